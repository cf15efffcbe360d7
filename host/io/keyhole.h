// Formats whose polygons know no holes (labelme, YOLO, Label Studio): each hole is cut open by a bridge, an edge there
// and back of no width, so that one ring encloses exactly the region's area.
#ifndef TM_KEYHOLE_H
#define TM_KEYHOLE_H

#include "base/base.h"

// x and y in turn; malloc'ed. Without holes a copy of the outline. The bridge is the shortest that crosses no edge; in
// a region with absurdly many holes and points some bridges may cross edges, which changes no area. false: out of
// memory.
bool tm_keyhole(const tagmask_region *region, float **points, size_t *count);

#endif
