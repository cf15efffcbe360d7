// Saliency without a network: preset member `classical_saliency`.
#ifndef TM_CLASSICAL_H
#define TM_CLASSICAL_H

#include "mask/maps.h"

// target: 0..1, bilinear from a grid of at most TM_CLASSICAL_SIDE cells a side. photo: packed pixels.
#define TM_CLASSICAL_SIDE 128u
tagmask_status tm_classical_saliency_record(tm_work *work, const tm_map *photo, const tm_map *target, tm_error *err);

#endif
