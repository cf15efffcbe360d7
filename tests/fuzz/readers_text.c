// Model packs, tags of photos, presets and the tables of `tagmask eval`.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/eval.h"
#include "cli/journal.h"
#include "cli/tag_source.h"
#include "mask/pack.h"
#include "mask/preset.h"
#include "mask/tags.h"
#include "readers.h"

#define TEXT_SEED(name, ...)                                                   \
    static bool name(size_t index, uint8_t **bytes, size_t *size) {            \
        static const char *const texts[] = {__VA_ARGS__};                      \
        return fuzz_text_seed(texts, TM_ARRAY_LEN(texts), index, bytes, size); \
    }

// ---- Model packs

static bool read_pack(const uint8_t *bytes, size_t size) {
    fuzz_put("model.onnx", "x", 1);
    fuzz_put("labels.json", "[]", 2);
    fuzz_put("tags.json", "{}", 2);
    fuzz_put("pack.json", bytes, size);
    bool accepted = false;
    for (int kind = TM_PACK_CLASSIFIER; kind <= TM_PACK_SALIENCY; kind++) {
        tm_pack pack;
        tm_error err = TAGMASK_ERROR_INIT;
        if (!fuzz_ok(tm_pack_load(fuzz_folder(), (tm_pack_kind)kind, &pack, &err), &err, fuzz_folder())) continue;
        accepted = true;
        fuzz_require(!strncmp(pack.model_path, fuzz_folder(), strlen(fuzz_folder())), "a pack stays in its folder");
        fuzz_require(pack.multiple_of >= 1 && pack.scale[0] != 0 && pack.output >= 0, "a pack's numbers are checked");
        tm_pack_free(&pack);
    }
    return accepted;
}

TEXT_SEED(
    seed_pack,
    "{\"format\": 1, \"name\": \"mine\", \"kind\": \"classifier\", \"model\": \"model.onnx\", \"output\": 0,"
    "\"preprocess\": {\"mean\": [127, 127, 127], \"scale\": [128, 1e2, 58.4], \"multiple_of\": 32, \"size\": [224, "
    "160],"
    "\"resample\": \"bicubic\", \"divide_by_max\": false}, \"labels\": \"labels.json\", \"tags\": \"tags.json\","
    "\"cam\": {\"layer\": null}, \"affinity\": {\"layer\": \"_blocks.10.add\"}}",
    "{\"format\":1,\"name\":\"s\",\"kind\":\"saliency\",\"model\":\"model.onnx\",\"preprocess\":{\"mean\":[1,2,3],"
    "\"scale\":[4,5,6],\"divide_by_max\":true,\"resample\":\"lanczos\"}}")

const fuzz_reader fuzz_pack = {"pack", "tables", read_pack, seed_pack, NULL};

// ---- What tags mean

enum { CLASSES = 6 };

static bool read_tags(const char *table, const char *labels) {
    tm_tags *tags = NULL;
    tm_error err = TAGMASK_ERROR_INIT;
    if (!fuzz_ok(tm_tags_load(table, labels, CLASSES, &tags, &err), &err, ".json")) return false;
    const char *name;
    for (size_t i = 0; (name = tm_tags_name(tags, i)) != NULL; i++) {
        tagmask_tag_info info = {.struct_size = sizeof info};
        if (!fuzz_ok(tm_tags_resolve(tags, name, &info, &err), &err, NULL)) continue;
        for (size_t c = 0; c < info.class_count; c++) {
            bool rises = !c || info.classes[c] > info.classes[c - 1];
            fuzz_require(info.classes[c] >= 0 && info.classes[c] < CLASSES && rises, "classes exist and ascend");
        }
    }
    for (size_t c = 0; c < CLASSES; c++) fuzz_require(tm_tags_class_name(tags, c) != NULL, "every class has a name");
    tm_tags_free(tags);
    return true;
}

static bool read_tag_table(const uint8_t *bytes, size_t size) {
    return read_tags(fuzz_put("tags.json", bytes, size), NULL);
}

TEXT_SEED(seed_tag_table,
          "{\"format\": 1, \"tags\": {\"cat\": [1, 2], \"dog\": [0, 3, 5], \"cow\": [], \"tennis ball\": [4]},"
          " \"canonical\": {\"hound\": \"dog\", \"cow\": \"cat\"}, \"notes\": {\"cow\": \"no class\"}}")

const fuzz_reader fuzz_tag_table = {"tag-table", "tables", read_tag_table, seed_tag_table, NULL};

static bool read_labels(const uint8_t *bytes, size_t size) {
    static const char table[] = "{\"format\": 1, \"tags\": {\"cat\": [1, 2], \"e\": []}}";
    return read_tags(fuzz_put("tags.json", table, strlen(table)), fuzz_put("labels.json", bytes, size));
}

TEXT_SEED(seed_labels,
          "[{\"name\": \"a\", \"synonyms\": [\"x\", \"y z\"], \"wnid\": \"n1\"}, {\"name\": \"b\"}, {\"name\": \"c\"},"
          " {\"name\": \"d\"}, {\"name\": \"e\"}, {\"name\": \"f\"}]",
          "{\"labels\": [\"a, b\", \"b\", \"c, d, e\", \"d\", \"cat\", \"f\"]}")

const fuzz_reader fuzz_labels = {"labels", "tables", read_labels, seed_labels, NULL};

// ---- Tags of photos

static bool find_tags(const char *source_text, const char *name) {
    tag_source *source = NULL;
    cli_list tags = {0};
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_status status = tag_source_open(source_text, &source, &err);
    if (status == TAGMASK_OK) status = tag_source_find(source, fuzz_path("a.jpg"), "a.jpg", &tags, &err);
    bool accepted = fuzz_ok(status, &err, name);
    for (size_t i = 0; i < tags.count; i++) fuzz_require(*tags.items[i], "a tag is not empty");
    free(tags.items);
    tag_source_close(source);
    return accepted;
}

static bool find_tags_in(const char *kind, const char *name, const uint8_t *bytes, size_t size) {
    char text[600];
    snprintf(text, sizeof text, "%s%s", kind, fuzz_put(name, bytes, size));
    return find_tags(text, name);
}

static bool read_csv_tags(const uint8_t *bytes, size_t size) {
    return find_tags_in("csv:", "t.csv", bytes, size);
}

TEXT_SEED(seed_csv_tags,
          "\xef\xbb\xbf"
          "file,tag,x\r\na.jpg,cat,1\r\n\"a.jpg\",\"hot \"\"dog\"\"\"\r\n\r\nb.jpg,cow\r\n",
          "x/a.jpg,dog\na.jpg,cat\n")

const fuzz_reader fuzz_csv_tags = {"csv-tags", "tables", read_csv_tags, seed_csv_tags, NULL};

static bool read_coco_tags(const uint8_t *bytes, size_t size) {
    return find_tags_in("coco:", "c.json", bytes, size);
}

TEXT_SEED(seed_coco_tags,
          "{\"images\":[{\"id\":7,\"file_name\":\"a.jpg\"},{\"id\":3,\"file_name\":\"b.jpg\"}],"
          "\"categories\":[{\"id\":1,\"name\":\"cat\"},{\"id\":2,\"name\":\"hot dog\"}],"
          "\"annotations\":[{\"image_id\":7,\"category_id\":2},{\"image_id\":3,\"category_id\":1}]}")

const fuzz_reader fuzz_coco_tags = {"coco-tags", "tables", read_coco_tags, seed_coco_tags, NULL};

static bool read_labelme_tags(const uint8_t *bytes, size_t size) {
    fuzz_put("a.json", bytes, size);
    return find_tags("labelme", "a.json");
}

TEXT_SEED(seed_labelme_tags, "{\"flags\": {\"cat\": true, \"dog\": false, \"hot dog\": true}, \"shapes\": []}")

const fuzz_reader fuzz_labelme_tags = {"labelme-tags", "tables", read_labelme_tags, seed_labelme_tags, NULL};

// ---- Presets

static bool read_preset(const uint8_t *bytes, size_t size) {
    tagmask_params params = {.struct_size = sizeof params, .preset = fuzz_put("p.json", bytes, size)};
    tm_error err = TAGMASK_ERROR_INIT;
    tm_settings settings;
    return fuzz_ok(tm_settings_resolve(&params, &settings, &err), &err, "p.json");
}

TEXT_SEED(
    seed_preset,
    "{\"preset\": \"best\", \"threshold\": 0.4, \"crf_iterations\": 0, \"working-size\": 512, \"method\": \"cam\"}",
    "{\"crf_bilateral_sxy\": 40, \"min-part\": 0, \"layer\": \"x\", \"polygon_tolerance\": 2, \"mirror\": true}",
    "{\"scales\": [448, 640], \"crops\": [1.5], \"rivals\": 3}")

const fuzz_reader fuzz_preset = {"preset", "tables", read_preset, seed_preset, NULL};

// ---- The list of photos that are done

static bool read_journal(const uint8_t *bytes, size_t size) {
    cli_journal *journal = NULL;
    tm_error err = TAGMASK_ERROR_INIT;
    const cli_journal_entry wanted = {.target = "a/1.jpg", .settings = 1, .size = 2, .changed = 3};
    fuzz_put(".tagmask-done", bytes, size);
    if (!fuzz_ok(cli_journal_open(fuzz_folder(), &journal, &err), &err, ".tagmask-done")) return false;
    const cli_journal_entry *found = cli_journal_find(journal, &wanted);
    for (size_t i = 0; found && i < found->tag_count; i++) fuzz_require(found->tags[i] != NULL, "a tag is there");
    cli_journal_close(journal);
    return found != NULL;
}

static void repair_journal(uint8_t *bytes, size_t size) {
    enum { DIGITS = 16 };
    char check[DIGITS + 2];
    for (uint8_t *line = bytes, *end; (end = memchr(line, '\n', size - (size_t)(line - bytes))) != NULL;
         line = end + 1) {
        if (end - line <= DIGITS) continue;
        uint64_t hash = tm_hash64(line + DIGITS + 1, (size_t)(end - line) - DIGITS - 1, 0);
        snprintf(check, sizeof check, "%016llx\t", (unsigned long long)hash);
        memcpy(line, check, DIGITS + 1);
    }
}

static bool seed_journal(size_t index, uint8_t **bytes, size_t *size) {
    static const char *const texts[] = {
        "0123456789abcdef\t1\t2\t3\ta/1.jpg\tcat\thot\\t dog\n"
        "0123456789abcdef\tff\t7\t-3\tb\\\\.jpg\n",
        "0123456789abcdef\t1\t2\t3\ta/1.jpg\n"};
    if (!fuzz_text_seed(texts, TM_ARRAY_LEN(texts), index, bytes, size)) return false;
    repair_journal(*bytes, *size);
    return true;
}

const fuzz_reader fuzz_journal = {"journal", "tables", read_journal, seed_journal, repair_journal};

// ---- tagmask eval

// The two tables in one input: index.csv, a bar, tags.csv.
static bool read_eval_tables(const uint8_t *bytes, size_t size) {
    const uint8_t *bar = size ? memchr(bytes, '|', size) : NULL;
    size_t first = bar ? (size_t)(bar - bytes) : size;
    eval_data data;
    tm_error err = TAGMASK_ERROR_INIT;
    fuzz_put("index.csv", bytes, first);
    fuzz_put("tags.csv", bar ? bar + 1 : bytes, bar ? size - first - 1 : 0);
    if (!fuzz_ok(eval_data_read(fuzz_folder(), 3, &data, &err), &err, fuzz_folder())) return false;
    eval_data_free(&data);
    return true;
}

TEXT_SEED(seed_eval_tables,
          "file,mask,set,salient\na.jpg,a.png,x,1\nb.jpg,b.png,x,0\n|"
          "file,mask_value,object,imagenet_indices,tag_quality,class_complete,area_frac\n"
          "a.jpg,1,cat,281;282,exact,1,0.25\nb.jpg,2,dog,151,generic,1,0.1\nb.jpg,3,cow,,none,0,0.5\n")

const fuzz_reader fuzz_eval_tables = {"eval-tables", "tables", read_eval_tables, seed_eval_tables, NULL};

static bool read_eval_record(const uint8_t *bytes, size_t size) {
    eval_run run = {0};
    tm_error err = TAGMASK_ERROR_INIT;
    bool accepted = fuzz_ok(eval_run_read(fuzz_put("run.json", bytes, size), &run, &err), &err, "run.json");
    for (size_t i = 0; accepted && i < run.count; i++) free(eval_record_text(&run.records[i]));
    eval_run_free(&run);
    return accepted;
}

static char *record_text(void) {
    static char object[] = "cat", file[] = "a.jpg", set[] = "x";
    eval_row_record row = {.object = object, .mask_value = 3, .area = 0.25, .resolved = true};
    row.scores[EVAL_TAGMASK].known = true;
    eval_record record = {.file = file, .set = set, .rows = &row, .row_count = 1, .has_saliency = true};
    char *text = eval_record_text(&record);
    fuzz_require(text != NULL, "no memory for a seed");
    return text;
}

static bool seed_eval_record(size_t index, uint8_t **bytes, size_t *size) {
    if (index > 1) return false;
    char *record = record_text();
    char *text = index ? tm_format("{\"format\":1,\"settings\":{\"way\":1},\"photos\":[%s]}", record)
                       : tm_format("{\"way\":1}\n%s\n", record);
    free(record);
    fuzz_require(text != NULL, "no memory for a seed");
    *bytes = (uint8_t *)text;
    *size = strlen(text);
    return true;
}

const fuzz_reader fuzz_eval_record = {"eval-record", "tables", read_eval_record, seed_eval_record, NULL};
