// A file that is read and written again later: what another program or a person made of it in between is not
// overwritten.
#ifndef TM_WATCHED_H
#define TM_WATCHED_H

#include "base/platform.h"
#include "io/text.h"

typedef struct tm_watched {
    bool there;
    tm_file_info info;
} tm_watched;

// Call before the file is read.
void tm_watch(tm_watched *watched, const char *path);
// A tm_may_write_fn; user is what was watched.
bool tm_is_as_watched(const void *user, const char *path);
// As tm_text_write, but an error when the file is no longer as it was when it was watched or written last.
tagmask_status tm_watched_write(tm_watched *watched, tm_text *text, const char *path, tm_error *err);

#endif
