// Attribute getters.
#include <string.h>

#include "graph/internal.h"

static const struct tm_attr *find(const tm_node *node, const char *name, tm_attr_kind kind) {
    for (size_t i = 0; i < node->attr_count; i++) {
        struct tm_attr *attr = &node->attrs[i];
        if (strcmp(attr->name, name)) continue;
        if (attr->kind == kind) return attr;
        attr->misread = true;
        attr->expected = kind;
    }
    return NULL;
}

tagmask_status tm_check_attributes(const tm_node *node, tm_error *err) {
    static const char *const kinds[] = {"an integer",
                                        "a number",
                                        "a text",
                                        "a list of integers",
                                        "a list of numbers",
                                        "a tensor",
                                        "of a type that is not supported"};
    for (size_t i = 0; i < node->attr_count; i++) {
        const struct tm_attr *attr = &node->attrs[i];
        if (attr->misread)
            return tm_fail(err, TAGMASK_ERROR_FORMAT,
                           "node '%.200s' (%.60s, opset %lld): attribute '%.100s' is %s; expected %s", node->name,
                           node->op_type, (long long)node->opset, attr->name, kinds[attr->kind], kinds[attr->expected]);
    }
    return TAGMASK_OK;
}

int64_t tm_attr_int(const tm_node *node, const char *name, int64_t otherwise) {
    const struct tm_attr *attr = find(node, name, TM_ATTR_INT);
    return attr ? attr->i : otherwise;
}

float tm_attr_float(const tm_node *node, const char *name, float otherwise) {
    const struct tm_attr *attr = find(node, name, TM_ATTR_FLOAT);
    return attr ? attr->f : otherwise;
}

const char *tm_attr_string(const tm_node *node, const char *name, const char *otherwise) {
    const struct tm_attr *attr = find(node, name, TM_ATTR_STRING);
    return attr ? attr->s : otherwise;
}

const int64_t *tm_attr_ints(const tm_node *node, const char *name, size_t *count) {
    const struct tm_attr *attr = find(node, name, TM_ATTR_INTS);
    *count = attr ? attr->count : 0;
    return attr ? attr->ints : NULL;
}

const float *tm_attr_floats(const tm_node *node, const char *name, size_t *count) {
    const struct tm_attr *attr = find(node, name, TM_ATTR_FLOATS);
    *count = attr ? attr->count : 0;
    return attr ? attr->floats : NULL;
}

const tm_host_tensor *tm_attr_tensor(const tm_node *node, const char *name) {
    const struct tm_attr *attr = find(node, name, TM_ATTR_TENSOR);
    return attr ? &attr->tensor : NULL;
}

bool tm_attr_has(const tm_node *node, const char *name) {
    for (size_t i = 0; i < node->attr_count; i++)
        if (!strcmp(node->attrs[i].name, name)) return true;
    return false;
}
