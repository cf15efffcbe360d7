#include "mask/tags.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/nearest.h"

#define LONGEST_NAME 200             // bytes of a tag or a label name
#define LARGEST_FILE (8u << 20)      // of tags.json and labels.json
#define LARGEST_MEMORY (256u << 20)  // of the tables made from them

// One name of the vocabulary.
typedef struct tag_entry {
    char *text;       // as a person writes it: "tennis ball"
    char *key;        // as names are compared: "tennisball"
    char *canonical;  // the name it stands for; text itself unless it is a synonym
    const char *note;
    int32_t *classes;  // ascending
    size_t class_count;
    size_t order;  // of loading, so that sorting has no ties
} tag_entry;

// Class indices given by number; made when first asked for and kept, because callers may hold the pointers.
typedef struct index_list {
    struct index_list *next;
    tag_entry entry;
} index_list;

struct tm_tags {
    tm_arena arena;
    tag_entry *entries;  // sorted by key
    size_t count, capacity;
    const char **vocabulary;
    size_t vocabulary_count;
    size_t class_count;
    const char **class_names, **class_tags;
    pthread_mutex_t lock;  // guards arena and lists after loading
    index_list *lists;
};

static tagmask_status out_of_memory(tm_error *err) {
    return tm_fail(err, TAGMASK_ERROR_MEMORY, "the tag table does not fit into memory; expected at most %u MiB",
                   LARGEST_MEMORY >> 20);
}

// ---- Names

static bool is_separator(char c) {
    return c == ' ' || c == '_' || c == '-' || c == '\t' || c == '\'' || c == '.';
}

// Writes how a name is compared: lower case, without separators. key has room for strlen(text) + 1.
static void make_key(const char *text, char *key) {
    for (; *text; text++) {
        if (is_separator(*text)) continue;
        *key++ = *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text;
    }
    *key = 0;
}

static int compare_entries(const void *a, const void *b) {
    const tag_entry *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    if (!order) order = strcmp(x->text, y->text);
    return order ? order : x->order < y->order ? -1 : x->order > y->order;
}

static int compare_classes(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return x < y ? -1 : x > y;
}

// First entry with a key among `count` sorted entries, or NULL.
static tag_entry *find_key(tag_entry *entries, size_t count, const char *key) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(entries[middle].key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && !strcmp(entries[low].key, key) ? &entries[low] : NULL;
}

// The entry with the key of `text`; among several the one written the same.
static tag_entry *find_text(tag_entry *entries, size_t count, const char *text) {
    char key[LONGEST_NAME + 8];
    if (strlen(text) > LONGEST_NAME) return NULL;
    make_key(text, key);
    tag_entry *first = find_key(entries, count, key);
    for (tag_entry *at = first; at && at < entries + count && !strcmp(at->key, key); at++) {
        if (!strcmp(at->text, text)) return at;
    }
    return first;
}

static tagmask_status add_entry(tm_tags *tags, const char *file, const char *text, tag_entry **entry, tm_error *err) {
    if (!*text || strlen(text) > LONGEST_NAME) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: a tag's name has %zu bytes; expected 1 to %d", file,
                       strlen(text), LONGEST_NAME);
    }
    if (!tm_grow((void **)&tags->entries, &tags->capacity, tags->count + 1, sizeof *tags->entries))
        return out_of_memory(err);
    tag_entry made = {.order = tags->count, .note = ""};
    made.text = tm_arena_strdup(&tags->arena, text);
    made.key = tm_arena_alloc(&tags->arena, strlen(text) + 1);
    if (!made.text || !made.key) return out_of_memory(err);
    for (char *at = made.text; *at; at++) {
        if (*at == '_') *at = ' ';
    }
    make_key(text, made.key);
    if (!*made.key) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: the tag \"%.40s\" has no letters; expected a word", file, text);
    }
    made.canonical = made.text;
    tags->entries[tags->count] = made;
    *entry = &tags->entries[tags->count++];
    return TAGMASK_OK;
}

static void sort_entries(tm_tags *tags) {
    if (tags->count) qsort(tags->entries, tags->count, sizeof *tags->entries, compare_entries);
}

// Ascending, each once.
static void tidy_classes(tag_entry *entry) {
    if (entry->class_count < 2) return;
    qsort(entry->classes, entry->class_count, sizeof *entry->classes, compare_classes);
    size_t kept = 1;
    for (size_t i = 1; i < entry->class_count; i++) {
        if (entry->classes[i] != entry->classes[kept - 1]) entry->classes[kept++] = entry->classes[i];
    }
    entry->class_count = kept;
}

// ---- Loading

static tagmask_status read_classes(tm_tags *tags, const char *file, const cJSON *list, tag_entry *entry,
                                   tm_error *err) {
    if (!cJSON_IsArray(list)) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: tags.%s: expected an array of class indices", file, entry->text);
    }
    size_t count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list) count++;
    if (count > tags->class_count) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: tags.%s: %zu class indices; the classifier has %zu classes",
                       file, entry->text, count, tags->class_count);
    }
    entry->classes = tm_arena_alloc(&tags->arena, count * sizeof *entry->classes);
    if (!entry->classes) return out_of_memory(err);
    cJSON_ArrayForEach(item, list) {
        double value = cJSON_IsNumber(item) ? item->valuedouble : -1;
        if (!(value >= 0 && value < (double)tags->class_count) || value != floor(value)) {
            return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: tags.%s: every class index must be a whole number in 0..%zu",
                           file, entry->text, tags->class_count ? tags->class_count - 1 : 0);
        }
        entry->classes[entry->class_count++] = (int32_t)value;
    }
    tidy_classes(entry);
    return TAGMASK_OK;
}

// A synonym shows its canonical name; one without classes of its own takes those of the name it stands for.
static tagmask_status read_canonical(tm_tags *tags, const char *file, const cJSON *canonical, tm_error *err) {
    size_t known = tags->count;  // entries added below are unsorted until the end
    const cJSON *item;
    cJSON_ArrayForEach(item, canonical) {
        const char *name = cJSON_GetStringValue(item);
        if (!name || !*name || strlen(name) > LONGEST_NAME) {
            return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: canonical.%.80s: expected a name", file, item->string);
        }
        tag_entry *alias = find_text(tags->entries, known, item->string);
        const tag_entry *target = find_text(tags->entries, known, name);
        if (!alias && !target) {
            return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: canonical.%.80s: \"%.80s\" is not among the tags", file,
                           item->string, name);
        }
        if (!alias) {
            tag_entry copy = *target;  // adding may move the entries
            TM_TRY(add_entry(tags, file, item->string, &alias, err));
            alias->classes = copy.classes;
            alias->class_count = copy.class_count;
            alias->canonical = copy.text;
        } else {
            alias->canonical = target ? target->text : tm_arena_strdup(&tags->arena, name);
            if (!alias->canonical) return out_of_memory(err);
        }
    }
    sort_entries(tags);
    return TAGMASK_OK;
}

static tagmask_status check_words(const tm_tags *tags, const char *file, tm_error *err) {
    for (size_t i = 1; i < tags->count; i++) {
        if (strcmp(tags->entries[i - 1].text, tags->entries[i].text)) continue;
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: \"%s\" is there twice; expected each word once", file,
                       tags->entries[i].text);
    }
    return TAGMASK_OK;
}

static tagmask_status read_table(tm_tags *tags, const char *path, const cJSON *root, tm_error *err) {
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(root, "format");
    const cJSON *table = cJSON_GetObjectItemCaseSensitive(root, "tags");
    if (!cJSON_IsNumber(format) || format->valuedouble != 1) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: \"format\" must be 1", path);
    }
    if (!cJSON_IsObject(table)) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: \"tags\" must be an object of class lists by name", path);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, table) {
        tag_entry *entry;
        TM_TRY(add_entry(tags, path, item->string, &entry, err));
        TM_TRY(read_classes(tags, path, item, entry, err));
    }
    sort_entries(tags);
    const cJSON *canonical = cJSON_GetObjectItemCaseSensitive(root, "canonical");
    const cJSON *notes = cJSON_GetObjectItemCaseSensitive(root, "notes");
    if ((canonical && !cJSON_IsObject(canonical)) || (notes && !cJSON_IsObject(notes))) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: \"canonical\" and \"notes\" must be objects of texts by name",
                       path);
    }
    TM_TRY(read_canonical(tags, path, canonical, err));
    TM_TRY(check_words(tags, path, err));
    cJSON_ArrayForEach(item, notes) {
        tag_entry *entry = find_text(tags->entries, tags->count, item->string);
        const char *note = cJSON_GetStringValue(item);
        if (!entry || !note) {
            return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: notes.%.80s: expected a text about a name among the tags",
                           path, item->string);
        }
        entry->note = tm_arena_strdup(&tags->arena, note);
        if (!entry->note) return out_of_memory(err);
    }
    return TAGMASK_OK;
}

// Adds one of a label's names ("tench" of "tench, Tinca tinca") unless the table (the first `known` entries) has it.
static tagmask_status add_label_name(tm_tags *tags, const char *path, size_t known, size_t index, const char *name,
                                     tm_error *err) {
    tag_entry *entry;
    if (find_text(tags->entries, known, name)) return TAGMASK_OK;
    TM_TRY(add_entry(tags, path, name, &entry, err));
    entry->classes = tm_arena_alloc(&tags->arena, sizeof *entry->classes);
    if (!entry->classes) return out_of_memory(err);
    entry->classes[0] = (int32_t)index;
    entry->class_count = 1;
    return TAGMASK_OK;
}

// Adds the first `length` bytes of text, spaces trimmed, as a name of a class; the first one is what the class is
// called.
static tagmask_status read_label_name(tm_tags *tags, const char *path, size_t known, size_t index, const char *text,
                                      size_t length, tm_error *err) {
    while (length && *text == ' ') text++, length--;
    while (length && text[length - 1] == ' ') length--;
    if (!length || length > LONGEST_NAME) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: label %zu: a name has %zu bytes; expected 1 to %d", path, index,
                       length, LONGEST_NAME);
    }
    char name[LONGEST_NAME + 1];
    memcpy(name, text, length);
    name[length] = 0;
    TM_TRY(add_label_name(tags, path, known, index, name, err));
    if (!tags->class_names[index]) {
        tags->class_names[index] = tm_arena_strdup(&tags->arena, name);
        if (!tags->class_names[index]) return out_of_memory(err);
    }
    return TAGMASK_OK;
}

static tagmask_status read_label(tm_tags *tags, const char *path, size_t known, size_t index, const cJSON *label,
                                 tm_error *err) {
    const cJSON *name = cJSON_IsObject(label) ? cJSON_GetObjectItemCaseSensitive(label, "name") : NULL;
    const cJSON *synonyms = name ? cJSON_GetObjectItemCaseSensitive(label, "synonyms") : NULL, *item;
    const char *text = cJSON_GetStringValue(name ? name : label);
    if (!text || (synonyms && !cJSON_IsArray(synonyms))) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT,
                       "%s: label %zu: expected a text, or an object with the text name and the array synonyms", path,
                       index);
    }
    if (name) TM_TRY(read_label_name(tags, path, known, index, text, strlen(text), err));
    cJSON_ArrayForEach(item, synonyms) {
        const char *synonym = cJSON_GetStringValue(item);
        if (!synonym) synonym = "";
        TM_TRY(read_label_name(tags, path, known, index, synonym, strlen(synonym), err));
    }
    for (const char *at = name ? NULL : text; at;) {
        const char *comma = strchr(at, ',');
        TM_TRY(read_label_name(tags, path, known, index, at, comma ? (size_t)(comma - at) : strlen(at), err));
        at = comma ? comma + 1 : NULL;
    }
    return TAGMASK_OK;
}

// Two labels of one name ("crane" the bird and the machine) become one tag with both classes. Labels are the entries
// from `first` on.
static tagmask_status merge_labels(tm_tags *tags, size_t first, tm_error *err) {
    size_t kept = first;
    if (tags->count > first) {
        qsort(tags->entries + first, tags->count - first, sizeof *tags->entries, compare_entries);
    }
    for (size_t i = first; i < tags->count;) {
        size_t end = i + 1, classes = tags->entries[i].class_count;
        while (end < tags->count && !strcmp(tags->entries[end].key, tags->entries[i].key)) {
            classes += tags->entries[end++].class_count;
        }
        tag_entry merged = tags->entries[i];
        if (end > i + 1) {
            merged.classes = tm_arena_alloc(&tags->arena, classes * sizeof *merged.classes);
            if (!merged.classes) return out_of_memory(err);
            merged.class_count = 0;
            for (; i < end; i++) {
                for (size_t c = 0; c < tags->entries[i].class_count; c++) {
                    merged.classes[merged.class_count++] = tags->entries[i].classes[c];
                }
            }
            tidy_classes(&merged);
        }
        i = end;
        tags->entries[kept++] = merged;
    }
    tags->count = kept;
    sort_entries(tags);
    return TAGMASK_OK;
}

typedef struct named_class {
    const char *name;
    size_t index;
} named_class;

static int compare_named(const void *a, const void *b) {
    const named_class *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : x->index < y->index ? -1 : x->index > y->index;
}

// The member `name` tells classes apart. Lists of plain texts, as others ship them, have words for two classes.
static tagmask_status check_names(const char *path, const cJSON *list, tm_error *err) {
    size_t count = 0, index = 0;
    const cJSON *item;
    named_class *classes = tm_calloc((size_t)cJSON_GetArraySize(list), sizeof *classes);
    if (!classes) return out_of_memory(err);
    cJSON_ArrayForEach(item, list) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
        if (name) classes[count++] = (named_class){name, index};
        index++;
    }
    tagmask_status status = TAGMASK_OK;
    if (count) qsort(classes, count, sizeof *classes, compare_named);
    for (size_t i = 1; i < count && !status; i++) {
        if (strcmp(classes[i - 1].name, classes[i].name)) continue;
        status = tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: labels %zu and %zu have one name, \"%.80s\"; expected two",
                         path, classes[i - 1].index, classes[i].index, classes[i].name);
    }
    free(classes);
    return status;
}

static tagmask_status read_labels(tm_tags *tags, const char *path, const cJSON *root, tm_error *err) {
    const cJSON *list = cJSON_IsObject(root) ? cJSON_GetObjectItemCaseSensitive(root, "labels") : root;
    size_t count = 0, known = tags->count;
    const cJSON *item;
    if (!cJSON_IsArray(list)) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: expected an array with the name of every class", path);
    }
    cJSON_ArrayForEach(item, list) count++;
    if (count != tags->class_count) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: names %zu classes; the classifier has %zu", path, count,
                       tags->class_count);
    }
    size_t index = 0;
    cJSON_ArrayForEach(item, list) {
        TM_TRY(read_label(tags, path, known, index, item, err));
        index++;
    }
    TM_TRY(check_names(path, list, err));
    return merge_labels(tags, known, err);
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// The sorted vocabulary, the tag of each class and the notes that can be told from the table alone.
static tagmask_status finish_tables(tm_tags *tags, tm_error *err) {
    tags->vocabulary = tm_arena_alloc(&tags->arena, tags->count * sizeof *tags->vocabulary);
    size_t *narrowest = tm_arena_alloc(&tags->arena, tags->class_count * sizeof *narrowest);
    if (!tags->vocabulary || !narrowest) return out_of_memory(err);
    for (size_t i = 0; i < tags->count; i++) {
        tag_entry *entry = &tags->entries[i];
        if (!*entry->note && !entry->class_count) entry->note = "no class of the classifier; masks from saliency alone";
        tags->vocabulary[tags->vocabulary_count++] = entry->canonical;
        for (size_t c = 0; c < entry->class_count; c++) {
            size_t index = (size_t)entry->classes[c];
            if (narrowest[index] && narrowest[index] <= entry->class_count) continue;
            narrowest[index] = entry->class_count;
            tags->class_tags[index] = entry->canonical;
        }
    }
    for (size_t i = 0; i < tags->class_count; i++) {
        if (!tags->class_names[i]) continue;
        // A class is called by its own name as long as that name means no other class as well.
        const tag_entry *own = find_text(tags->entries, tags->count, tags->class_names[i]);
        if (own && own->class_count == 1 && own->classes[0] == (int32_t)i) tags->class_tags[i] = own->canonical;
    }
    if (tags->vocabulary_count) {
        qsort(tags->vocabulary, tags->vocabulary_count, sizeof *tags->vocabulary, compare_texts);
    }
    size_t kept = 0;
    for (size_t i = 0; i < tags->vocabulary_count; i++) {
        if (kept && !strcmp(tags->vocabulary[kept - 1], tags->vocabulary[i])) continue;
        tags->vocabulary[kept++] = tags->vocabulary[i];
    }
    tags->vocabulary_count = kept;
    return TAGMASK_OK;
}

// Classes that neither file names are called by their index, so that every class can be shown and proposed.
static tagmask_status name_the_rest(tm_tags *tags, tm_error *err) {
    for (size_t i = 0; i < tags->class_count; i++) {
        char *number = tm_format("#%zu", i);
        char *kept = number ? tm_arena_strdup(&tags->arena, number) : NULL;
        free(number);
        if (!kept) return out_of_memory(err);
        if (!tags->class_tags[i]) tags->class_tags[i] = kept;
        if (!tags->class_names[i]) tags->class_names[i] = tags->class_tags[i];
    }
    return TAGMASK_OK;
}

static tagmask_status load_files(tm_tags *tags, const char *table_path, const char *labels_path, tm_error *err) {
    cJSON *root = NULL;
    tags->class_names = tm_arena_alloc(&tags->arena, tags->class_count * sizeof *tags->class_names);
    tags->class_tags = tm_arena_alloc(&tags->arena, tags->class_count * sizeof *tags->class_tags);
    if (!tags->class_names || !tags->class_tags) return out_of_memory(err);
    if (table_path) {
        TM_TRY(tm_json_read(table_path, LARGEST_FILE, &root, err));
        tagmask_status status = read_table(tags, table_path, root, err);
        cJSON_Delete(root);
        TM_TRY(status);
    }
    if (labels_path) {
        TM_TRY(tm_json_read(labels_path, LARGEST_FILE, &root, err));
        tagmask_status status = read_labels(tags, labels_path, root, err);
        cJSON_Delete(root);
        TM_TRY(status);
    }
    TM_TRY(finish_tables(tags, err));
    return name_the_rest(tags, err);
}

tagmask_status tm_tags_load(const char *table_path, const char *labels_path, size_t class_count, tm_tags **tags,
                            tm_error *err) {
    if (class_count > 1000000) {
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "a classifier with %zu classes; at most 1000000 are supported",
                       class_count);
    }
    tm_tags *made = tm_calloc(1, sizeof *made);
    if (!made) return out_of_memory(err);
    if (pthread_mutex_init(&made->lock, NULL)) {
        free(made);
        return out_of_memory(err);
    }
    made->arena.limit = LARGEST_MEMORY;
    made->class_count = class_count;
    tagmask_status status = load_files(made, table_path, labels_path, err);
    if (status != TAGMASK_OK) {
        tm_tags_free(made);
        return status;
    }
    *tags = made;
    return TAGMASK_OK;
}

void tm_tags_free(tm_tags *tags) {
    if (!tags) return;
    pthread_mutex_destroy(&tags->lock);
    tm_arena_free(&tags->arena);
    free(tags->entries);
    free(tags);
}

// ---- Resolving

// Singular of a key into `out` (room for strlen(key) + 8) by rule number; false when the rule does not fit.
static bool singular(const char *key, int rule, char *out) {
    static const struct {
        const char *plural, *single;
    } endings[] = {{"people", "person"},  {"men", "man"},     {"mice", "mouse"}, {"geese", "goose"},
                   {"children", "child"}, {"teeth", "tooth"}, {"feet", "foot"},  {"ves", "f"},
                   {"ves", "fe"},         {"ies", "y"},       {"s", ""},         {"es", ""}};
    if (rule >= (int)TM_ARRAY_LEN(endings)) return false;
    size_t length = strlen(key), ending = strlen(endings[rule].plural);
    out[0] = 0;
    if (length <= ending || strcmp(key + length - ending, endings[rule].plural)) {
        if (strcmp(key, endings[rule].plural)) return true;
    }
    memcpy(out, key, length - ending);
    strcpy(out + length - ending, endings[rule].single);
    return true;
}

static tag_entry *find_plural(tm_tags *tags, const char *tag) {
    char key[LONGEST_NAME + 1], other[LONGEST_NAME + 16];
    make_key(tag, key);
    for (int rule = 0; singular(key, rule, other); rule++) {
        tag_entry *entry = *other ? find_key(tags->entries, tags->count, other) : NULL;
        if (entry) return entry;
    }
    // The vocabulary itself may hold the plural: "goggles", "sunglasses".
    size_t length = strlen(key);
    memcpy(other, key, length);
    strcpy(other + length, "s");
    tag_entry *entry = find_key(tags->entries, tags->count, other);
    if (entry) return entry;
    strcpy(other + length, "es");
    return find_key(tags->entries, tags->count, other);
}

static tagmask_status unknown_tag(const tm_tags *tags, const char *tag, tm_error *err) {
    char key[LONGEST_NAME + 1], text[256];
    tm_nearest nearest;
    make_key(tag, key);
    tm_nearest_begin(&nearest, key, TM_NEAREST_MAX);
    for (size_t i = 0; i < tags->count; i++) tm_nearest_offer(&nearest, tags->entries[i].text, tags->entries[i].key);
    if (!nearest.count) {
        return tm_fail(err, TAGMASK_ERROR_UNKNOWN_TAG,
                       "unknown tag \"%s\" and no name is near it; `tagmask tags` lists the vocabulary", tag);
    }
    return tm_fail(err, TAGMASK_ERROR_UNKNOWN_TAG,
                   "unknown tag \"%s\"; the nearest names are: %s; `tagmask tags` lists the vocabulary", tag,
                   tm_nearest_text(&nearest, text, sizeof text));
}

static tagmask_status parse_indices(tm_tags *tags, const char *tag, tag_entry *entry, tm_error *err) {
    size_t commas = 0;
    for (const char *at = tag; *at; at++) commas += *at == ',';
    entry->classes = tm_arena_alloc(&tags->arena, (commas + 1) * sizeof *entry->classes);
    if (!entry->classes) return out_of_memory(err);
    for (const char *at = tag + 1; *at;) {
        char *end = NULL;
        unsigned long value = *at >= '0' && *at <= '9' ? strtoul(at, &end, 10) : 0;
        bool more = end && *end == ',' && end[1];
        if (!end || (*end && !more) || value >= tags->class_count) {
            return tm_fail(err, TAGMASK_ERROR_ARGUMENT,
                           "tag \"%.80s\": expected # and class indices in 0..%zu separated by commas, as in #281,282",
                           tag, tags->class_count ? tags->class_count - 1 : 0);
        }
        entry->classes[entry->class_count++] = (int32_t)value;
        at = more ? end + 1 : end;
    }
    tidy_classes(entry);
    return TAGMASK_OK;
}

static tagmask_status resolve_indices(tm_tags *tags, const char *tag, const tag_entry **entry, tm_error *err) {
    for (index_list *list = tags->lists; list; list = list->next) {
        if (!strcmp(list->entry.text, tag)) {
            *entry = &list->entry;
            return TAGMASK_OK;
        }
    }
    index_list *list = tm_arena_alloc(&tags->arena, sizeof *list);
    if (!list || !(list->entry.text = tm_arena_strdup(&tags->arena, tag))) return out_of_memory(err);
    list->entry.canonical = list->entry.text;
    TM_TRY(parse_indices(tags, tag, &list->entry, err));
    list->entry.note = tag[1] ? "class indices given by number" : "no class; masks from saliency alone";
    list->next = tags->lists;
    tags->lists = list;
    *entry = &list->entry;
    return TAGMASK_OK;
}

tagmask_status tm_tags_resolve(tm_tags *tags, const char *tag, tagmask_tag_info *info, tm_error *err) {
    const tag_entry *entry = NULL;
    if (!tag || !*tag) return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "an empty tag; expected a name such as cat");
    if (*tag == '#') {
        if (strlen(tag) > 8 * tags->class_count + 8) {
            return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "tag \"%.40s...\" has more indices than the classifier classes",
                           tag);
        }
        pthread_mutex_lock(&tags->lock);
        tagmask_status status = resolve_indices(tags, tag, &entry, err);
        pthread_mutex_unlock(&tags->lock);
        TM_TRY(status);
    } else {
        char key[LONGEST_NAME + 1];
        if (strlen(tag) > LONGEST_NAME) {
            return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "tag \"%.40s...\" has %zu bytes; expected at most %d", tag,
                           strlen(tag), LONGEST_NAME);
        }
        make_key(tag, key);
        if (!*key) return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "tag \"%s\" has no letters; expected a name", tag);
        entry = find_text(tags->entries, tags->count, tag);
        if (!entry) entry = find_plural(tags, tag);
        if (!entry) return unknown_tag(tags, tag, err);
    }
    tagmask_tag_info filled = {.struct_size = sizeof filled,
                               .name = entry->canonical,
                               .classes = entry->classes,
                               .class_count = entry->class_count,
                               .note = entry->note};
    if (tm_struct_write(info, &filled, sizeof filled)) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "tagmask_tag_info: struct_size is not set");
}

size_t tm_tags_class_count(const tm_tags *tags) {
    return tags->class_count;
}
const char *tm_tags_class_name(const tm_tags *tags, size_t index) {
    return index < tags->class_count ? tags->class_names[index] : NULL;
}
const char *tm_tags_of_class(const tm_tags *tags, size_t index) {
    return index < tags->class_count ? tags->class_tags[index] : NULL;
}
size_t tm_tags_count(const tm_tags *tags) {
    return tags->vocabulary_count;
}
const char *tm_tags_name(const tm_tags *tags, size_t index) {
    return index < tags->vocabulary_count ? tags->vocabulary[index] : NULL;
}
