#include "cli/noise.h"

#include <stdlib.h>

static uint32_t side_of(const tagmask_tensor *declared, int32_t d, uint32_t side) {
    bool fixed = declared->rank == 4 && declared->dims[d] > 0 && declared->dims[d] <= 8192;
    return side ? side : fixed ? (uint32_t)declared->dims[d] : 224;
}

tagmask_status cli_noise_input(const tagmask_network *network, const char *model, uint32_t side, tagmask_tensor *tensor,
                               tm_error *err) {
    const tagmask_tensor *declared;
    size_t inputs = tagmask_network_inputs(network, &declared);
    if (inputs != 1) {
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "%s: has %zu inputs; expected one float32 picture (1 x 3 x height x width)", model, inputs);
    }
    bool ranked = declared->rank < 0 || (declared->rank == 4 && (declared->dims[1] < 0 || declared->dims[1] == 3));
    if (declared->dtype != TAGMASK_FLOAT32 || !ranked) {
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "%s: its input '%s' is no float32 picture (1 x 3 x height x width); only such networks are run "
                       "on noise: tagmask run takes any input",
                       model, declared->name);
    }
    uint32_t height = side_of(declared, 2, side), width = side_of(declared, 3, side);
    size_t count = (size_t)3 * height * width;
    float *data = tm_calloc(count, sizeof *data);
    if (!data)
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for a picture of %u x %u", model, width, height);
    uint64_t state = 0x9e3779b97f4a7c15u;  // xorshift64 (G. Marsaglia, 2003)
    for (size_t i = 0; i < count; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        data[i] = (float)(state >> 40) / 8388608.0f - 1.0f;
    }
    *tensor = (tagmask_tensor){.struct_size = sizeof *tensor,
                               .name = declared->name,
                               .dtype = TAGMASK_FLOAT32,
                               .rank = 4,
                               .dims = {1, 3, height, width},
                               .data = data};
    return TAGMASK_OK;
}

tagmask_status cli_run_once(tagmask_network *network, const tagmask_tensor *input, tm_error *err) {
    const tagmask_tensor *declared;
    size_t count = tagmask_network_outputs(network, &declared);
    tagmask_tensor *outputs = tm_calloc(count, sizeof *outputs);
    if (!outputs) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for %zu outputs", count);
    for (size_t i = 0; i < count; i++) outputs[i].struct_size = sizeof outputs[i];
    tagmask_status status = tagmask_network_run(network, input, 1, outputs, err);
    for (size_t i = 0; status == TAGMASK_OK && i < count; i++) tagmask_tensor_release(&outputs[i]);
    free(outputs);
    return status;
}
