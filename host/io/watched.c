#include "io/watched.h"

#include <stdlib.h>

void tm_watch(tm_watched *watched, const char *path) {
    *watched = (tm_watched){0};
    watched->there = tm_file_stat(path, &watched->info);
}

bool tm_is_as_watched(const void *user, const char *path) {
    const tm_watched *before = user;
    tm_watched now;
    tm_watch(&now, path);
    if (!before->there || !now.there) return before->there == now.there;
    return before->info.device == now.info.device && before->info.number == now.info.number &&
           before->info.size == now.info.size && before->info.changed == now.info.changed;
}

tagmask_status tm_watched_write(tm_watched *watched, tm_text *text, const char *path, tm_error *err) {
    tm_file_info written;
    tagmask_status status =
        text->failed ? tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to write it", path)
                     : tm_write_file_known(path, text->data, text->size, tm_is_as_watched, watched, &written, err);
    free(text->data);
    *text = (tm_text){0};
    if (status == TAGMASK_OK) *watched = (tm_watched){true, written};
    return status;
}
