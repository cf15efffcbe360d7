// The mark of pictures among the label files: a tEXt chunk (PNG, 11.3.3.2) right before IEND whose text is a hash of
// the compressed pixels.
#ifndef TM_PICTURE_MARK_H
#define TM_PICTURE_MARK_H

#define TM_MARK_KEYWORD "tagmask"  // with its zero, as the chunk wants it
enum { TM_MARK_DIGITS = 16, TM_MARK_CHUNK = 12 + sizeof TM_MARK_KEYWORD + TM_MARK_DIGITS, TM_MARK_END = 12 };

#endif
