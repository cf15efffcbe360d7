// What is done to a view's picture before the network sees it. An edit is one row of the table in edit.c and one shader
// image/NAME.comp.
#ifndef TM_EDIT_H
#define TM_EDIT_H

#include "mask/maps.h"

typedef enum tm_edit_kind {
    TM_EDIT_NONE = 0,
    TM_EDIT_TURN,    // turned by amount[0] radians, moved by amount[1], amount[2] of the sides
    TM_EDIT_ERASE,   // plain where the mask is above amount[0]
    TM_EDIT_CUTOUT,  // the share amount[0] of cells of amount[1] pixels is plain, drawn by the seed
    TM_EDIT_MIXUP    // amount[0] of it is its blurred copy
} tm_edit_kind;

typedef struct tm_edit {
    uint32_t kind, seed;
    float amount[3];
    uint32_t reserved;  // 0: edits are compared and hashed as they lie in memory
    uint64_t mask_key;  // names the mask's content; 0: none
} tm_edit;

// image (packed) -> edited, of the same size; mask: NULL unless the kind has one. fill: the plain colour, packed.
tagmask_status tm_edit_record(tm_work *work, const tm_edit *edit, const tm_map *image, const tm_map *mask,
                              uint32_t fill, const tm_map *edited, tm_error *err);
// Brings the map of an edited picture of the given size back to where the photo's places are; both maps have one size.
// *map is left where the edit moves nothing.
tagmask_status tm_edit_undo(tm_work *work, const tm_edit *edit, uint32_t view_width, uint32_t view_height, tm_map *map,
                            tm_error *err);

#endif
