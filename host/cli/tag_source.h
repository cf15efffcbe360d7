// Tags of photos from files or folders: --tags-from labelme | csv:FILE | coco:FILE | folder.
#ifndef CLI_TAG_SOURCE_H
#define CLI_TAG_SOURCE_H

#include "cli/cli.h"

typedef struct tag_source tag_source;

// text is the option's value; NULL makes a source without tags. Errors: ARGUMENT for an unknown kind; what reading the
// file gives.
tagmask_status tag_source_open(const char *text, tag_source **source, tm_error *err);
void tag_source_close(tag_source *source);  // NULL is allowed
// Says that a photo of this name (its path below the folder that was given) will be asked for: rows with exactly that
// name are its own, and no other photo's.
void tag_source_claim(tag_source *source, const char *name);
// Adds the photo's tags, each once, to `tags`; they live until the next call. Rows of exactly the photo's name count,
// else those whose path is the end of the photo's path by most names ("b/c.jpg" of "/a/b/c.jpg", before "c.jpg"). For
// labelme: the flags of the JSON beside the photo that are true. For folders: the name of the folder the photo is in.
tagmask_status tag_source_find(tag_source *source, const char *photo_path, const char *name, cli_list *tags,
                               tm_error *err);
// Adds a tag unless it is there.
tagmask_status cli_add_tag(cli_list *tags, const char *tag, tm_error *err);

#endif
