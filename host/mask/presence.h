// Whether a tag's thing is in the photo at all. The classifier is asked place by place: its class weights and bias
// times the features before the pooling are the logits of a place, as a fully convolutional network has them (Long,
// Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015). A softmax over all
// classes says how large a class's share of a place is; what a view sees of a class is the largest mean of 3x3 places.
// A small thing beside a large one has such a place, though the photo's scores are all the other's.
#ifndef TM_PRESENCE_H
#define TM_PRESENCE_H

#include "mask/session.h"

// *peaks: for each class the largest mean share of 3x3 places, 0..1. The logits' mean over the places are the view's
// scores, which gives their bias. weights: (classes, channels). Needs tm_presence_fits.
tagmask_status tm_presence_record(tm_work *work, const tm_tensor *features, tm_slice weights, const float *scores,
                                  uint32_t classes, tm_slice *peaks, tm_error *err);
// Whether the device binds what is computed, and goes through it.
bool tm_presence_fits(const tm_gpu_info *info, const tm_tensor *features, uint32_t classes);

#endif
