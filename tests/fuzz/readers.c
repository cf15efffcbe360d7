#include "readers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const fuzz_reader *const fuzz_readers[] = {&fuzz_image,
                                           &fuzz_onnx,
                                           &fuzz_labelme,
                                           &fuzz_coco,
                                           &fuzz_yolo,
                                           &fuzz_yolo_classes,
                                           &fuzz_cvat,
                                           &fuzz_label_studio,
                                           &fuzz_voc,
                                           &fuzz_voc_labelmap,
                                           &fuzz_kept_labelme,
                                           &fuzz_kept_coco,
                                           &fuzz_kept_yolo,
                                           &fuzz_kept_cvat,
                                           &fuzz_kept_label_studio,
                                           &fuzz_kept_voc,
                                           &fuzz_pack,
                                           &fuzz_tag_table,
                                           &fuzz_labels,
                                           &fuzz_preset,
                                           &fuzz_csv_tags,
                                           &fuzz_coco_tags,
                                           &fuzz_labelme_tags,
                                           &fuzz_eval_tables,
                                           &fuzz_eval_record,
                                           &fuzz_journal,
                                           &fuzz_npy,
                                           &fuzz_view_cache,
                                           &fuzz_pipeline_cache,
                                           &fuzz_tuning,
                                           NULL};

static char folder[256];

static void remove_folder(void) {
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command)) fprintf(stderr, "could not remove %s\n", folder);
}

const char *fuzz_folder(void) {
    const char *const places[] = {getenv("TMPDIR"), "/dev/shm", "/tmp"};
    for (size_t i = 0; i < TM_ARRAY_LEN(places) && !*folder; i++) {
        if (!places[i] || !*places[i]) continue;
        snprintf(folder, sizeof folder, "%s/tagmask-fuzz-XXXXXX", places[i]);
        if (mkdtemp(folder)) {
            atexit(remove_folder);
        } else {
            *folder = 0;
        }
    }
    fuzz_require(*folder, "no folder for temporary files can be made");
    return folder;
}

const char *fuzz_path(const char *name) {
    static char paths[4][512];
    static size_t next;
    char *path = paths[next++ % TM_ARRAY_LEN(paths)];
    snprintf(path, sizeof paths[0], "%s/%s", fuzz_folder(), name);
    return path;
}

const char *fuzz_put(const char *name, const void *bytes, size_t size) {
    const char *path = fuzz_path(name);
    FILE *file = fopen(path, "wb");
    fuzz_require(file && fwrite(bytes, 1, size, file) == size && !fclose(file), "a temporary file cannot be written");
    return path;
}

void fuzz_require(bool promise, const char *text) {
    if (promise) return;
    fprintf(stderr, "broken promise: %s\n", text);
    abort();
}

bool fuzz_ok(tagmask_status status, const tm_error *err, const char *name) {
    if (status == TAGMASK_OK) return true;
    size_t length = strlen(err->message);
    bool printable = true;
    for (size_t i = 0; i < length; i++) printable = printable && (unsigned char)err->message[i] >= 0x20;
    bool good = status == err->status && status != TAGMASK_ERROR_INTERNAL && length > 10 &&
                length < sizeof err->message - 1 && printable && (!name || strstr(err->message, name));
    if (good) return false;
    fprintf(stderr, "status %d, message of status %d: \"%s\"\n", (int)status, (int)err->status, err->message);
    fuzz_require(false, "a failure is one whole printable sentence that names the file");
    return false;
}

bool fuzz_text_seed(const char *const *texts, size_t count, size_t index, uint8_t **bytes, size_t *size) {
    if (index >= count) return false;
    *size = strlen(texts[index]);
    *bytes = (uint8_t *)tm_strdup(texts[index]);
    fuzz_require(*bytes != NULL, "no memory for a seed");
    return true;
}
