// The list of photos and their tags.
#ifndef VIEWER_PHOTOS_H
#define VIEWER_PHOTOS_H

#include "viewer.h"

// Adds a photo, or those of a folder (not of its sub-folders) by name; false with a sentence in why.
bool photos_add(viewer *v, const char *path, char *why, size_t size);
void photos_free(viewer *v);

#endif
