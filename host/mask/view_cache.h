// Network outputs of a view on disk. A file is named by the photo, the pack and the view, carries a checksum, and is
// ignored when it does not fit; it never makes a proposal fail.
#ifndef TM_VIEW_CACHE_H
#define TM_VIEW_CACHE_H

#include "mask/views.h"

bool tm_view_cache_load(const tm_views_context *context, tm_view *view);  // true: the view is ready
tagmask_status tm_view_cache_store(const tm_views_context *context, const tm_view *view, tm_error *err);

#endif
