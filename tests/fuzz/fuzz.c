// A libFuzzer target (https://llvm.org/docs/LibFuzzer.html): the readers of FUZZ_TARGET; the first byte of an input
// says which.
#include <stdlib.h>
#include <string.h>

#include "readers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

static const fuzz_reader *reader_of(uint8_t selector) {
    size_t count = 0;
    for (const fuzz_reader *const *at = fuzz_readers; *at; at++) count += !strcmp((*at)->target, FUZZ_TARGET);
    selector = (uint8_t)(selector % count);
    for (const fuzz_reader *const *at = fuzz_readers; *at; at++) {
        if (!strcmp((*at)->target, FUZZ_TARGET) && !selector--) return *at;
    }
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    uint8_t *bytes = malloc(size > 1 ? size - 1 : 1);
    if (!bytes) return 0;
    memcpy(bytes, data + 1, size - 1);
    reader_of(data[0])->read(bytes, size - 1);
    free(bytes);
    return 0;
}

// Three of four inputs get right checksums, so that what lies behind them is reached.
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
    size = LLVMFuzzerMutate(data, size, max_size);
    if (size > 1 && seed % 4 && reader_of(data[0])->repair) reader_of(data[0])->repair(data + 1, size - 1);
    return size;
}
