// Maps that another program made of a network and a picture: maps.bin of a folder of tests/data/maps, which
// tests/peers/compare_gradcam.py and compare_gradcam_photos.py write, and preset.json, with which tagmask makes the
// same.
#ifndef MAP_RECORDS_H
#define MAP_RECORDS_H

#include "mask/session.h"
#include "support.h"

// Makes each map of the folder, of the tag `prefix` followed by the class's index; fails where one differs by more than
// 1e-3 of its range, and where there are fewer maps than `least`, or a quarter of them show nothing.
void compare_with_records(tagmask_session *session, const char *folder, const char *prefix, size_t least);

#endif
