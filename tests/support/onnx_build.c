#include "onnx_build.h"

#include <stdlib.h>
#include <string.h>

#include "onnx.pb-c.h"
#include "support.h"

struct onnx_model {
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    Onnx__OperatorSetIdProto opset, *opset_list[1];
    tm_arena arena;
};
struct onnx_node {
    Onnx__NodeProto proto;
};

static void *allocate(onnx_model *model, size_t size) {
    void *memory = tm_arena_alloc(&model->arena, size);
    if (!memory) abort();
    return memory;
}

static char *copy_text(onnx_model *model, const char *text) {
    return strcpy(allocate(model, strlen(text) + 1), text);
}

static void *copy_bytes(onnx_model *model, const void *data, size_t size) {
    void *copy = allocate(model, size);
    if (size) memcpy(copy, data, size);
    return copy;
}

// Appends to a protobuf-c repeated field of pointers; doubling is not needed for test models.
static void append(onnx_model *model, void *list, size_t *count, void *item) {
    void ***array = list, **grown = allocate(model, (*count + 1) * sizeof(void *));
    if (*count) memcpy(grown, *array, *count * sizeof(void *));
    grown[(*count)++] = item;
    *array = grown;
}

onnx_model *onnx_new(int64_t opset) {
    onnx_model *model = calloc(1, sizeof *model);
    if (!model) abort();
    onnx__model_proto__init(&model->model);
    onnx__graph_proto__init(&model->graph);
    onnx__operator_set_id_proto__init(&model->opset);
    model->opset.domain = "";
    model->opset.has_version = true;
    model->opset.version = opset;
    model->opset_list[0] = &model->opset;
    model->model.has_ir_version = true;
    model->model.ir_version = 8;
    model->model.n_opset_import = 1;
    model->model.opset_import = model->opset_list;
    model->model.graph = &model->graph;
    model->graph.name = "test";
    return model;
}

void onnx_free(onnx_model *model) {
    if (!model) return;
    tm_arena_free(&model->arena);
    free(model);
}

void onnx_input(onnx_model *model, const char *name, tm_dtype dtype, size_t rank, const int64_t *dims) {
    Onnx__ValueInfoProto *info = allocate(model, sizeof *info);
    Onnx__TypeProto *type = allocate(model, sizeof *type);
    Onnx__TypeProto__Tensor *tensor = allocate(model, sizeof *tensor);
    Onnx__TensorShapeProto *shape = allocate(model, sizeof *shape);
    onnx__value_info_proto__init(info);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    onnx__tensor_shape_proto__init(shape);
    info->name = copy_text(model, name);
    info->type = type;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    tensor->has_elem_type = true;
    tensor->elem_type = (int32_t)dtype;
    tensor->shape = shape;
    for (size_t i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *dim = allocate(model, sizeof *dim);
        onnx__tensor_shape_proto__dimension__init(dim);
        if (dims[i] >= 0) {
            dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            dim->dim_value = dims[i];
        } else {
            dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            dim->dim_param = "d";
        }
        append(model, &shape->dim, &shape->n_dim, dim);
    }
    append(model, &model->graph.input, &model->graph.n_input, info);
}

void onnx_output(onnx_model *model, const char *name) {
    Onnx__ValueInfoProto *info = allocate(model, sizeof *info);
    onnx__value_info_proto__init(info);
    info->name = copy_text(model, name);
    append(model, &model->graph.output, &model->graph.n_output, info);
}

static size_t element_size(tm_dtype dtype) {
    switch (dtype) {
        case TM_UINT8:
        case TM_INT8:
        case TM_BOOL:
            return 1;
        case TM_UINT16:
        case TM_INT16:
        case TM_FLOAT16:
        case TM_BFLOAT16:
            return 2;
        case TM_FLOAT64:
        case TM_INT64:
        case TM_UINT64:
            return 8;
        default:
            return 4;
    }
}

static Onnx__TensorProto *make_tensor(onnx_model *model, tm_dtype dtype, size_t rank, const int64_t *dims,
                                      const void *data) {
    Onnx__TensorProto *tensor = allocate(model, sizeof *tensor);
    onnx__tensor_proto__init(tensor);
    size_t count = 1;
    for (size_t i = 0; i < rank; i++) count *= (size_t)dims[i];
    tensor->has_data_type = true;
    tensor->data_type = (int32_t)dtype;
    tensor->n_dims = rank;
    tensor->dims = copy_bytes(model, dims, rank * sizeof *dims);
    tensor->has_raw_data = true;
    tensor->raw_data.len = count * element_size(dtype);
    tensor->raw_data.data = copy_bytes(model, data, tensor->raw_data.len);
    return tensor;
}

void onnx_constant(onnx_model *model, const char *name, tm_dtype dtype, size_t rank, const int64_t *dims,
                   const void *data) {
    Onnx__TensorProto *tensor = make_tensor(model, dtype, rank, dims, data);
    tensor->name = copy_text(model, name);
    append(model, &model->graph.initializer, &model->graph.n_initializer, tensor);
}

static void append_names(onnx_model *model, char ***list, size_t *count, const char *names) {
    while (*names || *count == 0) {
        size_t length = strcspn(names, ",");
        char *name = allocate(model, length + 1);
        memcpy(name, names, length);
        if (length || names[length] == ',') append(model, list, count, name);
        if (!names[length]) break;
        names += length + 1;
    }
}

onnx_node *onnx_add(onnx_model *model, const char *op_type, const char *inputs, const char *outputs) {
    onnx_node *node = allocate(model, sizeof *node);
    onnx__node_proto__init(&node->proto);
    node->proto.op_type = copy_text(model, op_type);
    append_names(model, &node->proto.input, &node->proto.n_input, inputs);
    append_names(model, &node->proto.output, &node->proto.n_output, outputs);
    append(model, &model->graph.node, &model->graph.n_node, &node->proto);
    return node;
}

void onnx_name(onnx_model *model, onnx_node *node, const char *name) {
    node->proto.name = copy_text(model, name);
}

void onnx_domain(onnx_model *model, onnx_node *node, const char *domain) {
    node->proto.domain = copy_text(model, domain);
}

static Onnx__AttributeProto *add_attribute(onnx_model *model, onnx_node *node, const char *name,
                                           Onnx__AttributeProto__AttributeType type) {
    Onnx__AttributeProto *attribute = allocate(model, sizeof *attribute);
    onnx__attribute_proto__init(attribute);
    attribute->name = copy_text(model, name);
    attribute->has_type = true;
    attribute->type = type;
    append(model, &node->proto.attribute, &node->proto.n_attribute, attribute);
    return attribute;
}

void onnx_int(onnx_model *model, onnx_node *node, const char *name, int64_t value) {
    Onnx__AttributeProto *attribute = add_attribute(model, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    attribute->has_i = true;
    attribute->i = value;
}

void onnx_float(onnx_model *model, onnx_node *node, const char *name, float value) {
    Onnx__AttributeProto *attribute = add_attribute(model, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    attribute->has_f = true;
    attribute->f = value;
}

void onnx_string(onnx_model *model, onnx_node *node, const char *name, const char *value) {
    Onnx__AttributeProto *attribute = add_attribute(model, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    attribute->has_s = true;
    attribute->s.len = strlen(value);
    attribute->s.data = copy_bytes(model, value, strlen(value));
}

void onnx_ints(onnx_model *model, onnx_node *node, const char *name, size_t count, const int64_t *values) {
    Onnx__AttributeProto *attribute = add_attribute(model, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    attribute->n_ints = count;
    attribute->ints = copy_bytes(model, values, count * sizeof *values);
}

void onnx_floats(onnx_model *model, onnx_node *node, const char *name, size_t count, const float *values) {
    Onnx__AttributeProto *attribute = add_attribute(model, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS);
    attribute->n_floats = count;
    attribute->floats = copy_bytes(model, values, count * sizeof *values);
}

void onnx_tensor(onnx_model *model, onnx_node *node, const char *name, tm_dtype dtype, size_t rank, const int64_t *dims,
                 const void *data) {
    Onnx__AttributeProto *attribute = add_attribute(model, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR);
    attribute->t = make_tensor(model, dtype, rank, dims, data);
}

uint8_t *onnx_bytes(const onnx_model *model, size_t *size) {
    *size = onnx__model_proto__get_packed_size(&model->model);
    uint8_t *bytes = malloc(*size ? *size : 1);
    if (!bytes) abort();
    onnx__model_proto__pack(&model->model, bytes);
    return bytes;
}

tm_graph *onnx_load(const onnx_model *model, tm_gpu *gpu) {
    return onnx_load_as(model, gpu, TM_FP32);
}

tm_graph *onnx_load_as(const onnx_model *model, tm_gpu *gpu, tm_precision precision) {
    size_t size;
    uint8_t *bytes = onnx_bytes(model, &size);
    tm_graph *graph = NULL;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_status status = tm_graph_load_memory_as(gpu, precision, bytes, size, "test model", NULL, 0, &graph, &err);
    free(bytes);
    assert_ok(status, &err);
    return graph;
}

float *onnx_run(const onnx_model *model, tm_gpu *gpu, const tm_host_tensor *inputs, size_t count, tm_shape *shape) {
    tm_graph *graph = onnx_load(model, gpu);
    const tm_value_info *infos;
    size_t output_count = tm_graph_outputs(graph, &infos);
    tm_host_tensor *outputs = calloc(output_count, sizeof *outputs);
    if (!outputs) abort();
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_status status = tm_graph_run(graph, inputs, count, outputs, &err);
    tm_graph_free(graph);
    assert_ok(status, &err);
    assert_int_equal(outputs[0].dtype, TM_FLOAT32);
    for (size_t i = 1; i < output_count; i++) free(outputs[i].data);
    float *data = outputs[0].data;
    if (shape) *shape = outputs[0].shape;
    free(outputs);
    return data;
}

tm_host_tensor onnx_value(tm_dtype dtype, size_t rank, const int64_t *dims, const void *data) {
    tm_host_tensor value = {dtype, {(int32_t)rank, {0}}, (void *)(uintptr_t)data};
    for (size_t i = 0; i < rank && i < TM_MAX_RANK; i++) value.shape.dim[i] = dims[i];
    return value;
}
