// How a result becomes the plain data that the window shows.
#ifndef VIEWER_OUTPUT_H
#define VIEWER_OUTPUT_H

#include "model.h"

tagmask_status output_no_memory(tagmask_error *error);
// The mask's picture, the figures of each tag, and the outlines.
tagmask_status output_describe(model_output *output, const tagmask_result *result, uint32_t side, tagmask_error *error);
// Takes over the pictures of an output that the window has not seen and that have not changed since; frees the rest.
void output_inherit(model_output *output, model_output *unseen);
// The file that a format writes for a photo, as docs/formats.md names it.
void output_name_file(char *text, size_t size, const char *folder, const char *format, const char *photo);

#endif
