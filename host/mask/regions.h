// From a label map to the regions an annotator edits: connected parts, small ones dropped, outlines with holes,
// simplified.
//
// Rules, in this order (`least` is TM_REGION_LEAST_PIXELS or the photo's pixels / 65536, whichever is larger, so that
// the same speck is dropped at every resolution):
// 1. A part is a 4-connected set of pixels of one tag. With min_part >= 0, a part smaller than min_part times the tag's
//    largest part, or than `least` pixels, returns to the background; a tag's largest part always stays. With max_parts
//    the tag's other parts do so too.
// 2. A hole of background that touches nothing but one part, and not the photo's edge, and is smaller than `least`
//    pixels, is filled with that part's tag (not with min_part < 0). Larger holes stay: a cup's handle is background.
// 3. Outlines follow the cracks between pixels (corner coordinates), the outer one clockwise on the screen, holes
//    counter-clockwise; background is 8-connected, so pixels that touch only at a corner are separated there.
// 4. With tolerance >= 0, Douglas and Peucker ("Algorithms for the reduction of the number of points", Cartographica
//    10(2), 1973) keep a subset of the corners such that no dropped corner is farther than the tolerance from the
//    polygon. A ring that would lose its area or cross itself keeps more corners (the tolerance is halved for it).
#ifndef TM_REGIONS_H
#define TM_REGIONS_H

#include "base/base.h"

#define TM_REGION_LEAST_PIXELS 16

typedef struct tm_region_rules {
    float min_part;      // share of the tag's largest part; negative: keep all parts and holes
    float tolerance;     // px; negative: every corner
    uint32_t max_parts;  // largest parts of a tag that stay; 0: all
} tm_region_rules;

typedef struct tm_regions {
    tagmask_region *items;  // by tag, then the larger part first, then from the top left
    size_t count;
    float *points;  // what the items point into
    const float **holes;
    size_t *hole_points;
} tm_regions;

// labels: height x width, 0 background, 1..tag_count; dropped parts and filled holes are changed in it. probability:
// tag_count planes of height x width, for the scores; NULL: every score is 1.
tagmask_status tm_regions_find(uint8_t *labels, uint32_t width, uint32_t height, size_t tag_count,
                               const float *probability, const tm_region_rules *rules, tm_regions *regions,
                               tm_error *err);
void tm_regions_free(tm_regions *regions);

#endif
