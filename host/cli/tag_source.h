// Tags of photos from files: --tags-from labelme | csv:FILE | coco:FILE.
#ifndef CLI_TAG_SOURCE_H
#define CLI_TAG_SOURCE_H

#include "cli/cli.h"

typedef struct tag_source tag_source;

// text is the option's value; NULL makes a source without tags. Errors: ARGUMENT for an unknown kind; what reading the
// file gives.
tagmask_status tag_source_open(const char *text, tag_source **source, tm_error *err);
void tag_source_close(tag_source *source);  // NULL is allowed
// Adds the photo's tags, each once, to `tags`; they live as long as the source. A row belongs to a photo when its file
// name and the photo's path end in the same names ("b/c.jpg" and "/a/b/c.jpg"). For labelme: the flags of the JSON
// beside the photo that are true.
tagmask_status tag_source_find(tag_source *source, const char *photo_path, cli_list *tags, tm_error *err);
// Adds a tag unless it is there.
tagmask_status cli_add_tag(cli_list *tags, const char *tag, tm_error *err);

#endif
