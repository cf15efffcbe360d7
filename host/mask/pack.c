#include "mask/pack.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/platform.h"

#define PACK_JSON_LIMIT ((size_t)1 << 20)
#define MODEL_LIMIT ((size_t)2 << 30)

// Model folders relative to the folder of the library: of an installation (lib and lib/TRIPLET), of a build tree.
static const char *const library_models[] = {"../share/tagmask/models", "../../share/tagmask/models", "../models"};

static tagmask_status bad(const tm_pack *pack, tm_error *err, const char *member, const char *expected) {
    return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s/pack.json: member \"%s\": expected %s", pack->folder, member,
                   expected);
}

// A mistyped member would count for nothing without a word.
static tagmask_status check_members(const tm_pack *pack, const cJSON *object, const char *of, const char *const *names,
                                    tm_error *err) {
    char path[4200], quoted[64];
    (void)snprintf(path, sizeof path, "%s/pack.json", pack->folder);
    (void)snprintf(quoted, sizeof quoted, "\"%s\"", of);
    const tm_json_members known = {names, *of ? quoted : "a pack", "docs/packs.md"};
    return tm_json_check_members(path, object, &known, err);
}

// An object inside the pack's; *object stays NULL when it is absent or null.
static tagmask_status read_object(const tm_pack *pack, const cJSON *root, const char *member, const char *const *names,
                                  const cJSON **object, tm_error *err) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, member);
    if (!item || cJSON_IsNull(item)) return TAGMASK_OK;
    if (!cJSON_IsObject(item)) return bad(pack, err, member, "an object");
    *object = item;
    return check_members(pack, item, member, names, err);
}

// A string member; *text stays NULL when an optional member is absent or null.
static tagmask_status read_string(const tm_pack *pack, const cJSON *object, const char *member, bool required,
                                  char **text, tm_error *err) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, member);
    if ((!item || cJSON_IsNull(item)) && !required) return TAGMASK_OK;
    if (!cJSON_IsString(item) || !item->valuestring[0]) return bad(pack, err, member, "a string that is not empty");
    *text = tm_strdup(item->valuestring);
    return *text ? TAGMASK_OK : tm_fail(err, TAGMASK_ERROR_MEMORY, "%s/pack.json: no memory", pack->folder);
}

static tagmask_status read_whole(const tm_pack *pack, const cJSON *object, const char *member, double low, double high,
                                 double otherwise, double *value, tm_error *err) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, member);
    *value = otherwise;
    if (!item || cJSON_IsNull(item)) return TAGMASK_OK;
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= low && item->valuedouble <= high) ||
        item->valuedouble != floor(item->valuedouble)) {
        char expected[64];
        (void)snprintf(expected, sizeof expected, "a whole number from %g to %g", low, high);
        return bad(pack, err, member, expected);
    }
    *value = item->valuedouble;
    return TAGMASK_OK;
}

static tagmask_status read_three(const tm_pack *pack, const cJSON *object, const char *member, bool nonzero,
                                 float values[3], tm_error *err) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, member);
    bool ok = cJSON_IsArray(item) && cJSON_GetArraySize(item) == 3;
    for (int i = 0; ok && i < 3; i++) {
        const cJSON *value = cJSON_GetArrayItem(item, i);
        ok = cJSON_IsNumber(value) && isfinite(value->valuedouble) && (!nonzero || fabs(value->valuedouble) > 1e-9);
        if (ok) values[i] = (float)value->valuedouble;
    }
    return ok ? TAGMASK_OK : bad(pack, err, member, nonzero ? "three numbers other than 0" : "three numbers");
}

static bool read_side(const cJSON *item, uint32_t *side) {
    bool ok = cJSON_IsNumber(item) && item->valuedouble >= TM_MIN_INPUT && item->valuedouble <= TM_MAX_INPUT &&
              item->valuedouble == floor(item->valuedouble);
    if (ok) *side = (uint32_t)item->valuedouble;
    return ok;
}

static tagmask_status read_size(tm_pack *pack, const cJSON *object, tm_error *err) {
    const cJSON *size = cJSON_GetObjectItemCaseSensitive(object, "size");
    if (!size || cJSON_IsNull(size)) return TAGMASK_OK;
    bool ok = cJSON_IsArray(size) && cJSON_GetArraySize(size) == 2 &&
              read_side(cJSON_GetArrayItem(size, 0), &pack->height) &&
              read_side(cJSON_GetArrayItem(size, 1), &pack->width);
    return ok ? TAGMASK_OK : bad(pack, err, "size", "[height, width], whole numbers from 16 to 4096");
}

static tagmask_status read_preprocess(tm_pack *pack, const cJSON *root, tm_error *err) {
    static const char *const names[] = {"mean", "scale", "divide_by_max", "size", "multiple_of", "resample", NULL};
    const cJSON *object = NULL;
    TM_TRY(read_object(pack, root, "preprocess", names, &object, err));
    if (!object) return bad(pack, err, "preprocess", "an object with mean and scale");
    TM_TRY(read_three(pack, object, "mean", false, pack->mean, err));
    TM_TRY(read_three(pack, object, "scale", true, pack->scale, err));
    const cJSON *divide = cJSON_GetObjectItemCaseSensitive(object, "divide_by_max");
    if (divide && !cJSON_IsBool(divide) && !cJSON_IsNull(divide))
        return bad(pack, err, "divide_by_max", "true or false");
    pack->divide_by_max = cJSON_IsTrue(divide);
    double multiple;
    TM_TRY(read_whole(pack, object, "multiple_of", 1, 256, 1, &multiple, err));
    pack->multiple_of = (uint32_t)multiple;
    TM_TRY(read_size(pack, object, err));
    static const char *const filters[] = {"box", "bilinear", "bicubic", "lanczos"};
    const cJSON *filter = cJSON_GetObjectItemCaseSensitive(object, "resample");
    pack->filter = TM_FILTER_BICUBIC;
    if (!filter || cJSON_IsNull(filter)) return TAGMASK_OK;
    for (int i = 0; cJSON_IsString(filter) && i < (int)TM_ARRAY_LEN(filters); i++) {
        if (strcmp(filter->valuestring, filters[i])) continue;
        pack->filter = (tm_filter)i;
        return TAGMASK_OK;
    }
    return bad(pack, err, "resample", "box, bilinear, bicubic or lanczos");
}

// Files are named relative to the pack's folder and may not leave it.
static tagmask_status read_path(tm_pack *pack, const cJSON *root, const char *member, bool required, char **path,
                                tm_error *err) {
    char *name = NULL;
    TM_TRY(read_string(pack, root, member, required, &name, err));
    if (!name) return TAGMASK_OK;
    bool inside = strlen(name) < 256 && name[0] != '/' && !strchr(name, '\\') && !strchr(name, ':') &&
                  strcmp(name, "..") && strncmp(name, "../", 3) && !strstr(name, "/../");
    if (!inside) {
        free(name);
        return bad(pack, err, member, "the name of a file inside the pack's folder, of at most 255 bytes");
    }
    *path = tm_path_join(pack->folder, name);
    free(name);
    if (!*path) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s/pack.json: no memory", pack->folder);
    if (!tm_file_exists(*path))
        return tm_fail(err, TAGMASK_ERROR_FILE, "%s: named by member \"%s\" of pack.json, but there is no such file",
                       *path, member);
    return TAGMASK_OK;
}

static tagmask_status read_features(tm_pack *pack, const cJSON *root, tm_error *err) {
    static const char *const names[] = {"layer", "patch", NULL};
    const cJSON *features = NULL;
    double patch;
    TM_TRY(read_object(pack, root, "features", names, &features, err));
    TM_TRY(read_string(pack, features, "layer", false, &pack->features_layer, err));
    TM_TRY(read_whole(pack, features, "patch", 0, 256, 0, &patch, err));
    pack->patch = (uint32_t)patch;
    return TAGMASK_OK;
}

static tagmask_status read_layer(tm_pack *pack, const cJSON *root, const char *member, char **layer, tm_error *err) {
    static const char *const names[] = {"layer", NULL};
    const cJSON *object = NULL;
    TM_TRY(read_object(pack, root, member, names, &object, err));
    return read_string(pack, object, "layer", false, layer, err);
}

static tagmask_status read_kind(tm_pack *pack, const cJSON *root, tm_pack_kind wanted, tm_error *err) {
    char *kind = NULL;
    TM_TRY(read_string(pack, root, "kind", true, &kind, err));
    static const char *const kinds[TM_PACK_KINDS] = {"classifier", "saliency", "features"};
    int known = 0;
    while (known < TM_PACK_KINDS && strcmp(kind, kinds[known])) known++;
    free(kind);
    if (known == TM_PACK_KINDS) return bad(pack, err, "kind", "\"classifier\", \"saliency\" or \"features\"");
    pack->kind = (tm_pack_kind)known;
    if (pack->kind != wanted)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s/pack.json: is a %s pack where a %s pack is needed",
                       pack->folder, kinds[pack->kind], kinds[wanted]);
    return TAGMASK_OK;
}

static tagmask_status read_pack(tm_pack *pack, const cJSON *root, tm_pack_kind wanted, tm_error *err) {
    static const char *const names[] = {"format", "name",       "kind", "model", "licence",  "source",   "output",
                                        "labels", "preprocess", "tags", "cam",   "affinity", "features", NULL};
    double format, output;
    TM_TRY(read_whole(pack, root, "format", 0, 1e9, 0, &format, err));
    if (format != 1) return bad(pack, err, "format", "1, the version that this tagmask knows");
    TM_TRY(check_members(pack, root, "", names, err));
    TM_TRY(read_kind(pack, root, wanted, err));
    TM_TRY(read_string(pack, root, "name", true, &pack->name, err));
    TM_TRY(read_preprocess(pack, root, err));
    TM_TRY(read_whole(pack, root, "output", 0, 63, 0, &output, err));
    pack->output = (int32_t)output;
    TM_TRY(read_layer(pack, root, "cam", &pack->cam_layer, err));
    TM_TRY(read_layer(pack, root, "affinity", &pack->affinity_layer, err));
    TM_TRY(read_features(pack, root, err));
    TM_TRY(read_path(pack, root, "model", true, &pack->model_path, err));
    if (pack->kind != TM_PACK_CLASSIFIER) return TAGMASK_OK;
    TM_TRY(read_path(pack, root, "labels", false, &pack->labels_path, err));
    return read_path(pack, root, "tags", false, &pack->tags_path, err);
}

// Where packs are, separated by TM_LIST_SEPARATOR: TAGMASK_MODELS, then as seen from this library's own file the data
// folder of an installation and the models of a build tree. malloc'ed; NULL when out of memory.
static char *model_folders(void) {
    char *own = tm_environment("TAGMASK_MODELS");
    char *library = tm_module_path(library_models);
    char *slash = library ? strrchr(library, '/') : NULL;
    if (slash) *slash = 0;
    char *list = own ? own : tm_strdup("");
    for (size_t i = 0; list && slash && i < TM_ARRAY_LEN(library_models); i++) {
        char *longer = tm_format("%s%s%s/%s", list, *list ? TM_LIST_SEPARATOR : "", library, library_models[i]);
        free(list);
        list = longer;
    }
    free(library);
    return list;
}

// Sets *found when the folder holds a pack; false when out of memory.
static bool look_into(const char *folder, char **found) {
    char *json = tm_path_join(folder, "pack.json");
    if (!json) return false;
    bool there = tm_file_exists(json);
    free(json);
    if (there) *found = tm_strdup(folder);
    return !there || *found;
}

// The folder of a pack: the path itself, or a name below one of the model folders. *found stays NULL when there is
// none; false when out of memory.
static bool find_folder(const char *name, const char *folders, char **found) {
    bool ok = look_into(name, found);
    for (size_t length; ok && *folders && !*found; folders += length) {
        folders += strspn(folders, TM_LIST_SEPARATOR);
        length = strcspn(folders, TM_LIST_SEPARATOR);
        char *base = tm_format("%.*s", (int)length, folders), *folder = base ? tm_path_join(base, name) : NULL;
        ok = folder && look_into(folder, found);
        free(base);
        free(folder);
    }
    return ok;
}

tagmask_status tm_pack_exists(const char *name_or_path, bool *found, tm_error *err) {
    char *folders = model_folders(), *folder = NULL;
    bool ok = folders && find_folder(name_or_path, folders, &folder);
    *found = folder != NULL;
    free(folders);
    free(folder);
    return ok ? TAGMASK_OK : tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory to look for model packs");
}

static tagmask_status find_pack(const char *name_or_path, tm_pack_kind kind, tm_pack *pack, tm_error *err) {
    char *folders = model_folders();
    tagmask_status status = TAGMASK_OK;
    if (!folders || !find_folder(name_or_path, folders, &pack->folder))
        status = tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory to look for model packs");
    else if (!pack->folder && tm_is_dir(name_or_path))
        status = tm_fail(err, TAGMASK_ERROR_FILE, "%s: holds no pack.json; expected a model pack (docs/packs.md)",
                         name_or_path);
    else if (!pack->folder)
        status = tm_fail(
            err, TAGMASK_ERROR_FILE,
            "model pack \"%s\" was not found: expected a folder with pack.json, or the name of one in %s%s",
            name_or_path, folders, kind == TM_PACK_SALIENCY ? "; --saliency none does without a saliency network" : "");
    free(folders);
    return status;
}

static tagmask_status load(tm_pack *pack, const char *json_path, tm_pack_kind kind, tm_error *err) {
    uint8_t *text = NULL, *model = NULL;
    size_t size = 0, model_size = 0;
    cJSON *root = NULL;
    TM_TRY(tm_read_file(json_path, PACK_JSON_LIMIT, &text, &size, err));
    tagmask_status status = tm_json_parse(json_path, text, size, &root, err);
    if (!status && !cJSON_IsObject(root))
        status = tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: is not a JSON object; expected a model pack", json_path);
    if (!status) status = read_pack(pack, root, kind, err);
    if (!status) status = tm_read_file(pack->model_path, MODEL_LIMIT, &model, &model_size, err);
    if (!status) pack->hash = tm_hash64(model, model_size, tm_hash64(text, size, 0));
    cJSON_Delete(root);
    free(text);
    free(model);
    return status;
}

tagmask_status tm_pack_load(const char *name_or_path, tm_pack_kind kind, tm_pack *pack, tm_error *err) {
    *pack = (tm_pack){0};
    TM_TRY(find_pack(name_or_path, kind, pack, err));
    char *json_path = tm_path_join(pack->folder, "pack.json");
    tagmask_status status = json_path ? load(pack, json_path, kind, err)
                                      : tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory", pack->folder);
    free(json_path);
    if (status) tm_pack_free(pack);
    return status;
}

void tm_pack_free(tm_pack *pack) {
    free(pack->folder);
    free(pack->name);
    free(pack->model_path);
    free(pack->labels_path);
    free(pack->tags_path);
    free(pack->cam_layer);
    free(pack->affinity_layer);
    free(pack->features_layer);
    *pack = (tm_pack){0};
}
