// Which of a few kernels serves best, found by timing them once on the device at hand.
//
// A case is an operator's kind and a class of shapes; its candidates are numbers below 32 that only the operator
// understands. Choices are kept in a file beside the pipeline cache, one a device, driver, library version and kernel
// class. All candidates are right within the tests' tolerance but they round differently, so a choice changes bits:
// - nothing is timed unless TAGMASK_TUNE asks for it: a file that is there is used, and a case that it lacks gets the
//   operator's own rule
// - within a process a case keeps its first choice
//
// TAGMASK_TUNE: off (no file is read or written), on (cases that the file lacks are timed, 300 ms in all a process;
// what is left then gets the rule, and its turn in a later process), full (the same without a limit), or the path of a
// file, which is read, never written, and pins the choices of every process that names it.
//
// File: "TMTN", format version (u32), key of the device (u64), number of choices (u64), FNV-1a of the choices (u64),
// choices (case u64, candidate u64), in the machine's byte order. A file that is damaged or belongs to something else
// is ignored and replaced.
#ifndef TM_GPU_TUNE_H
#define TM_GPU_TUNE_H

#include "gpu/gpu.h"

#define TM_TUNE_MOST 4096  // choices that are kept
#define TM_TUNE_BUDGET_MS 300.0

typedef struct tm_tune_choice {
    uint64_t name, candidate;  // name: hash of kind and shape class
} tm_tune_choice;

typedef struct tm_tune_case {
    const char *kind;      // "conv"
    const int32_t *shape;  // what the time depends on
    size_t shape_count;
    uint32_t candidates;  // bit i: candidate i can serve
    uint32_t otherwise;   // the rule's candidate
    // Records one run of a candidate on memory of its own.
    tagmask_status (*run)(void *user, uint32_t candidate, tm_recorder *recorder, tm_error *err);
    void *user;
} tm_tune_case;

// The candidate to use, now and for the rest of the process. Never fails: what cannot be timed gets the rule.
uint32_t tm_tune_choose(tm_gpu *gpu, const tm_tune_case *what);
// Whether any case may get another candidate than the rule's: operators then prepare all.
bool tm_tune_active(tm_gpu *gpu);

// ---- Between the files of this folder, and for tests.
typedef struct tm_tune tm_tune;
tagmask_status tm_tune_open(tm_gpu *gpu, tm_error *err);  // fills gpu->tune
void tm_tune_close(tm_gpu *gpu);                          // writes the file if something new was timed
uint64_t tm_tune_key(tm_gpu *gpu);
char *tm_tune_path(tm_gpu *gpu);  // malloc'ed; NULL if the user has no cache folder
// The file of some choices; malloc'ed, NULL without memory.
uint8_t *tm_tune_encode(uint64_t key, const tm_tune_choice *choices, size_t count, size_t *file_size);
// Copies the choices (at most TM_TUNE_MOST) out of a file; false if it is not a whole file of this key.
bool tm_tune_decode(uint64_t key, const uint8_t *file, size_t file_size, tm_tune_choice *choices, size_t *count);

#endif
