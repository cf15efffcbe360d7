// One summand of FullGrad, for tests, too.
#ifndef TM_MAP_FULLGRAD_H
#define TM_MAP_FULLGRAD_H

#include "mask/map_table.h"

typedef struct tm_full_part {
    tm_tensor gradients;  // (1, channels, height, width)
    tm_slice factors;     // of each channel, or of each element of the picture
    bool picture;
} tm_full_part;
// sum += the part, bilinear to the sum's size.
tagmask_status tm_full_record(tm_work *work, const tm_full_part *part, const tm_map *sum, tm_error *err);

#endif
