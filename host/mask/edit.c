#include "mask/edit.h"

#include <math.h>

typedef struct edit_push {
    uint32_t width, height, mask_width, mask_height;
    float amount[4];
    uint32_t seed, fill;
} edit_push;

// Fills in what the kind needs beside the image; *mask may be pointed to a map of its own.
typedef tagmask_status prepare_fn(tm_work *work, const tm_edit *edit, const tm_map *image, tm_map *mask,
                                  edit_push *push, tm_error *err);

static void turn_amounts(const tm_edit *edit, float width, float height, float amount[4]) {
    amount[0] = cosf(edit->amount[0]);
    amount[1] = sinf(edit->amount[0]);
    amount[2] = edit->amount[1] * width;
    amount[3] = edit->amount[2] * height;
}

static tagmask_status prepare_turn(tm_work *work, const tm_edit *edit, const tm_map *image, tm_map *mask,
                                   edit_push *push, tm_error *err) {
    (void)work, (void)mask, (void)err;
    turn_amounts(edit, (float)image->width, (float)image->height, push->amount);
    return TAGMASK_OK;
}

static tagmask_status prepare_erase(tm_work *work, const tm_edit *edit, const tm_map *image, tm_map *mask,
                                    edit_push *push, tm_error *err) {
    (void)work, (void)image, (void)mask, (void)err;
    push->amount[0] = edit->amount[0];
    return TAGMASK_OK;
}

static tagmask_status prepare_cutout(tm_work *work, const tm_edit *edit, const tm_map *image, tm_map *mask,
                                     edit_push *push, tm_error *err) {
    (void)work, (void)image, (void)mask, (void)err;
    push->amount[0] = edit->amount[0] * 65536;
    push->amount[1] = fmaxf(1, edit->amount[1]);
    return TAGMASK_OK;
}

// A sixteenth of the picture keeps its colours and loses its objects.
static tagmask_status prepare_mixup(tm_work *work, const tm_edit *edit, const tm_map *image, tm_map *mask,
                                    edit_push *push, tm_error *err) {
    push->amount[0] = edit->amount[0];
    TM_TRY(tm_scratch_map(work, tm_div_up(image->width, 16), tm_div_up(image->height, 16), mask, err));
    return tm_image_resample(work, image, NULL, TM_FILTER_BOX, mask, err);
}

static const struct {
    const char *shader;
    prepare_fn *prepare;
} edits[] = {
    [TM_EDIT_TURN] = {"image/turn", prepare_turn},
    [TM_EDIT_ERASE] = {"image/erase", prepare_erase},
    [TM_EDIT_CUTOUT] = {"image/cutout", prepare_cutout},
    [TM_EDIT_MIXUP] = {"image/mixup", prepare_mixup},
};

tagmask_status tm_edit_record(tm_work *work, const tm_edit *edit, const tm_map *image, const tm_map *mask,
                              uint32_t fill, const tm_map *edited, tm_error *err) {
    edit_push push = {.width = image->width, .height = image->height, .seed = edit->seed, .fill = fill};
    tm_map other = mask ? *mask : *image;
    TM_TRY(edits[edit->kind].prepare(work, edit, image, &other, &push, err));
    push.mask_width = other.width;
    push.mask_height = other.height;
    tm_map_call call = {.shader = edits[edit->kind].shader,
                        .bindings = {image->slice, other.slice, edited->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = tm_map_count(image),
                        .flops_per_element = 30};
    return tm_map_dispatch(work, &call, err);
}

tagmask_status tm_edit_undo(tm_work *work, const tm_edit *edit, uint32_t view_width, uint32_t view_height, tm_map *map,
                            tm_error *err) {
    if (edit->kind != TM_EDIT_TURN) return TAGMASK_OK;
    tm_map straight;
    TM_TRY(tm_scratch_map(work, map->width, map->height, &straight, err));
    struct {
        uint32_t width, height;
        float view_width, view_height, turn[4];
    } push = {map->width, map->height, (float)view_width, (float)view_height, {0}};
    turn_amounts(edit, push.view_width, push.view_height, push.turn);
    tm_map_call call = {.shader = "image/turn_map",
                        .bindings = {map->slice, straight.slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = tm_map_count(map),
                        .flops_per_element = 30};
    TM_TRY(tm_map_dispatch(work, &call, err));
    *map = straight;
    return TAGMASK_OK;
}
