// Everything that reads what comes from outside, each as one function of bytes; used by the mutation program (mutate.c)
// and by the fuzz targets (fuzz.c).
#ifndef FUZZ_READERS_H
#define FUZZ_READERS_H

#include "base/base.h"

typedef struct fuzz_reader {
    const char *name;
    const char *target;  // the fuzz target that it belongs to
    // Reads the bytes (an allocation of just their size) and aborts when a promise is broken. true: they were accepted.
    bool (*read)(const uint8_t *bytes, size_t size);
    // An input that is accepted, malloc'ed, the same each time; false: there are no more.
    bool (*seed)(size_t index, uint8_t **bytes, size_t *size);
    // Makes checksums right in place, so that damage behind them is reached; may be NULL.
    void (*repair)(uint8_t *bytes, size_t size);
} fuzz_reader;

extern const fuzz_reader *const fuzz_readers[];  // ends with NULL
extern const fuzz_reader fuzz_image, fuzz_onnx, fuzz_npy, fuzz_view_cache, fuzz_pipeline_cache, fuzz_tuning;
extern const fuzz_reader fuzz_pack, fuzz_tag_table, fuzz_labels, fuzz_preset;
extern const fuzz_reader fuzz_csv_tags, fuzz_coco_tags, fuzz_labelme_tags, fuzz_eval_tables, fuzz_eval_record,
    fuzz_journal;
extern const fuzz_reader fuzz_labelme, fuzz_coco, fuzz_yolo, fuzz_yolo_classes, fuzz_cvat, fuzz_label_studio, fuzz_voc,
    fuzz_voc_labelmap;
// What is there already when a format writes: people's work is taken over from it.
extern const fuzz_reader fuzz_kept_labelme, fuzz_kept_coco, fuzz_kept_yolo, fuzz_kept_cvat, fuzz_kept_label_studio,
    fuzz_kept_voc;

// A folder for the files of this process, in TMPDIR or in memory where the system has that; removed at exit.
const char *fuzz_folder(void);
// The path of a file there; valid for the next few calls.
const char *fuzz_path(const char *name);
// Writes it, without waiting for the disk.
const char *fuzz_put(const char *name, const void *bytes, size_t size);
// Whether it succeeded; aborts unless a failure is one whole printable sentence that names `name` (NULL: anything).
bool fuzz_ok(tagmask_status status, const tm_error *err, const char *name);
// Aborts with a text when a promise is broken.
void fuzz_require(bool promise, const char *text);
// For seeds that are texts.
bool fuzz_text_seed(const char *const *texts, size_t count, size_t index, uint8_t **bytes, size_t *size);

#endif
