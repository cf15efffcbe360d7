// Class activation mapping (Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016): the
// class weights times the features before the pooling, less competing classes.
#include "mask/map_table.h"

tagmask_status tm_map_cam_record(tm_work *work, const tagmask_engine *engine, const tm_view *view,
                                 const tm_map_classes *classes, tm_map *map, tm_error *err) {
    const tm_tensor *features = &view->outputs[0];
    bool first = view->role == TM_ROLE_CLASSIFIER;
    int64_t channels = first ? engine->channels : engine->second.channels;
    tm_buffer *weights = first ? engine->class_weights : engine->second.class_weights;
    if (features->shape.dim[1] != channels)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s: the CAM layer has %lld channels, its dense layer %lld",
                       tm_engine_pack(engine, view->role)->model_path, (long long)features->shape.dim[1],
                       (long long)channels);
    return tm_map_class(work, features, tm_slice_all(weights), classes, map, err);
}

const tm_map_method tm_map_cam = {.name = "cam", .needs = TM_MAP_CLASS_WEIGHTS | TM_MAP_FEATURES, .of_class = true};
