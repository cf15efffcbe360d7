// What the methods share that run a network, or what follows a layer, again for each of many channels.
#ifndef TM_MAP_RERUNS_H
#define TM_MAP_RERUNS_H

#include "mask/map_table.h"

#define TM_NO_CHANNEL UINT32_MAX

// What one run starts from. picture: what the network would see (of_picture), linear (1, 3, height, width).
typedef struct tm_rerun {
    const tm_tensor *features;
    tm_tensor picture, input;
    uint32_t channel;  // TM_NO_CHANNEL: nothing is changed
} tm_rerun;

typedef struct tm_rerun_kind {
    bool of_picture;  // the whole network runs; else what follows the layer
    bool plain;       // one more run with nothing changed comes first
    tagmask_status (*record_input)(tm_work *work, const tm_rerun *run, tm_error *err);
    // The class's scores of the runs become the channels' weights, in place. plain: the score of that run, else 0.
    void (*weigh)(double plain, double *scores, size_t count);
} tm_rerun_kind;

// map = relu(sum of weights times channels) over the view->option channels with the largest sums of squares (0: all).
tagmask_status tm_map_make_of_reruns(const tm_views_context *context, tm_view *view, const tm_rerun_kind *kind,
                                     tm_error *err);

// score_input and ablate, for tests, too.
tagmask_status tm_rerun_mask(tm_work *work, const tm_rerun *run, tm_error *err);
tagmask_status tm_rerun_ablate(tm_work *work, const tm_rerun *run, tm_error *err);
tagmask_status tm_channel_energies(tm_work *work, const tm_tensor *features, tm_slice *energies, tm_error *err);

#endif
