// The shared library is made of the static archive; this file only gives the target a source.
#include "tagmask/tagmask.h"
