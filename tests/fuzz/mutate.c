// Damages good inputs in known ways and hands them to the readers:
//   mutate READER|all COUNT     COUNT inputs a reader; a figure line each, exit status 0 when none crashed or hung
//   mutate READER N FILE        writes input number N of the reader to FILE
//   mutate --seeds TARGET DIR   writes the good inputs of a fuzz target, as fuzz.c wants them
// Input N of a reader is the same on every machine. Readers abort on a broken promise, sanitizers on the rest; what was
// being read then is said on standard error.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/platform.h"
#include "readers.h"

enum { MOST_SEEDS = 32, LARGEST = 1 << 16, SECONDS = 5 };

typedef struct input {
    uint8_t *bytes;
    size_t size;
} input;

// ---- Random numbers: splitmix64

static uint64_t state;

static uint64_t draw(void) {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t below(size_t limit) {
    return limit ? (size_t)(draw() % limit) : 0;
}

// ---- Damage. An input is a buffer of LARGEST bytes.

static void replace(input *in, size_t at, size_t length, const void *bytes, size_t size) {
    if (in->size - length + size > LARGEST) return;
    memmove(in->bytes + at + size, in->bytes + at + length, in->size - at - length);
    memcpy(in->bytes + at, bytes, size);
    in->size += size - length;
}

static void flip_bits(input *in) {
    for (size_t i = 0, n = 1 + below(8); in->size && i < n; i++) in->bytes[below(in->size)] ^= (uint8_t)(1 << below(8));
}

static void set_bytes(input *in) {
    static const char spice[] = "[]{}<>\",:;-+/\\&0123456789.eE ~nul\n\r\t";
    bool text = below(2);
    for (size_t i = 0, n = 1 + below(4); in->size && i < n; i++) {
        in->bytes[below(in->size)] = text ? (uint8_t)spice[below(sizeof spice - 1)] : (uint8_t)draw();
    }
}

static void truncate_input(input *in) {
    in->size = below(in->size);
}

static void remove_piece(input *in) {
    size_t at = below(in->size), length = below(TM_MIN(in->size - at, (size_t)64) + 1);
    replace(in, at, length, "", 0);
}

static void repeat_piece(input *in) {
    uint8_t piece[64];
    size_t at = below(in->size), length = TM_MIN(in->size - at, 1 + below(sizeof piece));
    memcpy(piece, in->bytes + at, length);
    for (size_t i = 0, n = 1 + below(40); i < n; i++) replace(in, at, 0, piece, length);
}

static void insert_noise(input *in) {
    uint8_t noise[16];
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (uint8_t)draw();
    replace(in, below(in->size + 1), 0, noise, 1 + below(sizeof noise));
}

// Lengths and sizes of binary files: 8, 16, 32 or 64 bits, either order.
static void edit_length(input *in) {
    static const uint64_t values[] = {0,           1,         2,          0x7f,          0x80,       0xff,
                                      0x7fff,      0xffff,    0x10000,    0x7fffffff,    0x80000000, 0xffffffff,
                                      0x100000000, INT64_MAX, UINT64_MAX, UINT64_MAX - 7};
    size_t width = (size_t)1 << below(4), at = below(in->size);
    uint64_t value = values[below(TM_ARRAY_LEN(values))];
    bool big = below(2);
    for (size_t i = 0; i < width && at + i < in->size; i++) {
        in->bytes[at + i] = (uint8_t)(value >> 8 * (big ? width - 1 - i : i));
    }
}

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

// One of the text's numbers becomes an odd one.
static void replace_number(input *in) {
    static const char *const numbers[] = {"-1",
                                          "0",
                                          "1e999",
                                          "-1e999",
                                          "1e-400",
                                          "0.5",
                                          "NaN",
                                          "null",
                                          "\"\"",
                                          "2147483648",
                                          "4294967296",
                                          "9223372036854775808",
                                          "99999999999999999999",
                                          "1e7",
                                          "65536",
                                          "1e308",
                                          "true",
                                          "[]",
                                          "{}",
                                          "-0",
                                          "16777217"};
    size_t at = below(in->size), end;
    while (at < in->size && !is_digit(in->bytes[at])) at++;
    for (end = at; end < in->size && (is_digit(in->bytes[end]) || in->bytes[end] == '.'); end++) continue;
    const char *number = numbers[below(TM_ARRAY_LEN(numbers))];
    if (at < end) replace(in, at, end - at, number, strlen(number));
}

static void nest(input *in) {
    static const char *const opens[] = {"[", "{\"a\":", "<a>", "[[1,", "{\"shapes\":[", "\x3a\x7f"};
    const char *open = opens[below(TM_ARRAY_LEN(opens))];
    size_t at = below(in->size + 1);
    for (size_t i = 0, n = 1 + below(3000); i < n; i++) replace(in, at, 0, open, strlen(open));
}

// The start of one good input and the end of another.
static void splice(input *in, const input *other) {
    if (!other->size) return;
    size_t at = below(in->size), from = below(other->size);
    replace(in, at, in->size - at, other->bytes + from, TM_MIN(other->size - from, (size_t)LARGEST - at));
}

static void damage(input *in, const input *other) {
    static void (*const ways[])(input *) = {flip_bits,      set_bytes,      set_bytes,      edit_length,
                                            edit_length,    remove_piece,   repeat_piece,   insert_noise,
                                            replace_number, replace_number, truncate_input, nest};
    size_t way = below(TM_ARRAY_LEN(ways) + 1);
    if (way < TM_ARRAY_LEN(ways)) {
        if (in->size) ways[way](in);
    } else {
        splice(in, other);
    }
}

// ---- Inputs of a reader

static size_t load_seeds(const fuzz_reader *reader, input *seeds) {
    size_t count = 0;
    while (count < MOST_SEEDS && reader->seed(count, &seeds[count].bytes, &seeds[count].size)) count++;
    fuzz_require(count > 0, "a reader has seeds");
    return count;
}

static void free_seeds(input *seeds, size_t count) {
    for (size_t i = 0; i < count; i++) free(seeds[i].bytes);
}

// Input `number` in an allocation of its size; input 0, 1, ... are the seeds themselves.
static input make_input(const fuzz_reader *reader, const input *seeds, size_t count, uint64_t number) {
    static uint8_t buffer[LARGEST];
    state = tm_hash64(reader->name, strlen(reader->name), number * 0x9e3779b97f4a7c15u);
    const input *seed = &seeds[number < count ? number : below(count)];
    input in = {buffer, TM_MIN(seed->size, (size_t)LARGEST)};
    memcpy(buffer, seed->bytes, in.size);
    for (size_t i = 0, n = below(2) ? 1 : 2 + below(3); number >= count && i < n; i++)
        damage(&in, &seeds[below(count)]);
    if (reader->repair && number >= count && below(4)) reader->repair(in.bytes, in.size);
    input made = {malloc(in.size ? in.size : 1), in.size};
    fuzz_require(made.bytes != NULL, "no memory for an input");
    memcpy(made.bytes, buffer, in.size);
    return made;
}

static struct {
    const char *name;
    unsigned long long number;
} now;

static void say_input(void) {
    fprintf(stderr, "mutate: while reading input %llu of %s; 'mutate %s %llu FILE' writes it\n", now.number, now.name,
            now.name, now.number);
}

static void on_signal(int signal_number) {
    fprintf(stderr, "mutate: %s\n", signal_number == SIGPROF ? "no answer after 5 seconds of work" : "crashed");
    say_input();
    _exit(1);
}

// The sanitizers' hook; absent without them.
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void run_reader(const fuzz_reader *reader, uint64_t count) {
    input seeds[MOST_SEEDS];
    size_t seed_count = load_seeds(reader, seeds);
    double start = tm_now_ms(), slowest = 0;
    unsigned long long slowest_number = 0, accepted = 0;
    now.name = reader->name;
    for (uint64_t i = 0; i < count; i++) {
        input in = make_input(reader, seeds, seed_count, i);
        double before = tm_now_ms();
        now.number = i;
        setitimer(ITIMER_PROF, &(struct itimerval){.it_value.tv_sec = SECONDS}, NULL);
        bool good = reader->read(in.bytes, in.size);
        setitimer(ITIMER_PROF, &(struct itimerval){0}, NULL);
        fuzz_require(good || i >= seed_count, "a seed is accepted");
        accepted += good;
        double took = tm_now_ms() - before;
        if (took > slowest) slowest = took, slowest_number = i;
        free(in.bytes);
    }
    printf("%-18s %llu inputs, %llu accepted, 0 crashes, 0 hangs, %.1f s, slowest %.1f ms (input %llu)\n", reader->name,
           (unsigned long long)count, accepted, (tm_now_ms() - start) / 1e3, slowest, slowest_number);
    fflush(stdout);
    free_seeds(seeds, seed_count);
}

static void write_file(const char *path, int selector, const input *in) {
    FILE *file = fopen(path, "wb");
    bool ok =
        file && (selector < 0 || fputc(selector, file) != EOF) && fwrite(in->bytes, 1, in->size, file) == in->size;
    if (!file || fclose(file) || !ok) {
        fprintf(stderr, "mutate: %s: cannot be written: %s\n", path, strerror(errno));
        exit(1);
    }
}

static void write_seeds(const char *target, const char *folder) {
    int selector = 0;
    for (const fuzz_reader *const *at = fuzz_readers; *at; at++) {
        input seeds[MOST_SEEDS];
        if (strcmp((*at)->target, target)) continue;
        size_t count = load_seeds(*at, seeds);
        for (size_t i = 0; i < count; i++) {
            char path[4096];
            snprintf(path, sizeof path, "%s/%s-%zu", folder, (*at)->name, i);
            write_file(path, selector, &seeds[i]);
        }
        free_seeds(seeds, count);
        selector++;
    }
}

static void write_input(const fuzz_reader *reader, uint64_t number, const char *path) {
    input seeds[MOST_SEEDS];
    size_t count = load_seeds(reader, seeds);
    input in = make_input(reader, seeds, count, number);
    write_file(path, -1, &in);
    free(in.bytes);
    free_seeds(seeds, count);
}

int main(int argc, char **argv) {
    if (argc == 4 && !strcmp(argv[1], "--seeds")) {
        write_seeds(argv[2], argv[3]);
        return 0;
    }
    char *end = NULL;
    uint64_t count = argc > 2 ? strtoull(argv[2], &end, 10) : 0;
    if (argc < 3 || argc > 4 || *end) {
        fputs("mutate: expected READER|all COUNT, READER NUMBER FILE, or --seeds TARGET DIR; the readers are:", stderr);
        for (const fuzz_reader *const *at = fuzz_readers; *at; at++) fprintf(stderr, " %s", (*at)->name);
        fputc('\n', stderr);
        return 2;
    }
    signal(SIGPROF, on_signal);
    if (&__sanitizer_set_death_callback) {
        __sanitizer_set_death_callback(say_input);
    } else {
        static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
        for (size_t i = 0; i < TM_ARRAY_LEN(deadly); i++) signal(deadly[i], on_signal);
    }
    signal(SIGABRT, on_signal);
    bool found = false;
    for (const fuzz_reader *const *at = fuzz_readers; *at; at++) {
        if (strcmp(argv[1], "all") && strcmp(argv[1], (*at)->name)) continue;
        found = true;
        if (argc == 4) {
            write_input(*at, count, argv[3]);
        } else {
            run_reader(*at, count);
        }
    }
    if (!found) fprintf(stderr, "mutate: there is no reader %s\n", argv[1]);
    return found ? 0 : 2;
}
