#include "photos.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// Length of the name without its ending, which label files are named by.
static size_t stem_length(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && dot != name ? (size_t)(dot - name) : strlen(name);
}

static bool same_stem(const char *a, const char *b) {
    size_t length = stem_length(file_name(a));
    return length == stem_length(file_name(b)) && !memcmp(file_name(a), file_name(b), length);
}

static bool add_file(viewer *v, const char *path, char *why, size_t size) {
    if (strlen(path) >= MODEL_PATH) {
        snprintf(why, size, "%.60s...: the path is longer than %d bytes", path, MODEL_PATH - 1);
        return false;
    }
    viewer_photo *photos = realloc(v->photos, (v->photo_count + 1) * sizeof *photos);
    char *copy = strdup(path);
    if (photos) v->photos = photos;
    if (!photos || !copy) {
        free(copy);
        snprintf(why, size, "memory is exhausted: open fewer photos");
        return false;
    }
    viewer_photo *photo = &photos[v->photo_count];
    size_t namesakes = 0;
    for (size_t i = 0; i < v->photo_count; i++) namesakes += same_stem(photos[i].path, path);
    *photo = (viewer_photo){.path = copy};
    if (namesakes) snprintf(photo->sub, sizeof photo->sub, "%zu", namesakes + 1);
    v->photo_count++;
    return true;
}

static int is_photo(const struct dirent *entry) {
    const char *dot = strrchr(entry->d_name, '.');
    return dot && (!strcasecmp(dot, ".png") || !strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg"));
}

static bool add_folder(viewer *v, const char *path, char *why, size_t size) {
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_photo, alphasort);
    bool ok = count > 0;
    if (count < 0) snprintf(why, size, "%s: cannot be read: %s", path, strerror(errno));
    if (count == 0) snprintf(why, size, "%s: holds no PNG or JPEG file", path);
    for (int i = 0; i < count; i++) {
        char file[MODEL_PATH + 300];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        ok = ok && add_file(v, file, why, size);
        free(entries[i]);
    }
    free(entries);
    return ok;
}

bool photos_add(viewer *v, const char *path, char *why, size_t size) {
    struct stat about;
    if (stat(path, &about)) {
        snprintf(why, size, "%s: cannot be opened: %s", path, strerror(errno));
        return false;
    }
    return S_ISDIR(about.st_mode) ? add_folder(v, path, why, size) : add_file(v, path, why, size);
}

void photos_free(viewer *v) {
    for (size_t i = 0; i < v->photo_count; i++) free(v->photos[i].path);
    free(v->photos);
}

// ---- Tags of the photo that is shown

bool viewer_add_tag(viewer *v, const char *tag) {
    viewer_photo *photo = viewer_here(v);
    for (size_t i = 0; i < photo->tag_count; i++) {
        if (strcmp(photo->tags[i], tag)) continue;
        photo->selected = i;
        v->changed = true;
        return true;
    }
    if (photo->tag_count == MODEL_TAGS) return false;
    snprintf(photo->tags[photo->tag_count], MODEL_TAG_SIZE, "%s", tag);
    photo->selected = photo->tag_count++;
    v->changed = true;
    return true;
}

void viewer_remove_tag(viewer *v, size_t index) {
    viewer_photo *photo = viewer_here(v);
    memmove(photo->tags[index], photo->tags[index + 1], (photo->tag_count - index - 1) * sizeof photo->tags[0]);
    photo->tag_count--;
    if (photo->selected && photo->selected >= photo->tag_count) photo->selected--;
    v->changed = true;
}
