// A few words in pictures: capitals, digits and marks of five rows of pixels, made larger by whole factors.
#ifndef TM_LETTERING_H
#define TM_LETTERING_H

#include <stdint.h>

enum { TM_LETTER_ROWS = 5 };

// The width of a line of text in pixels at a scale. Letters count as capitals; what is not ASCII, a box a character.
uint32_t tm_letters_width(const char *text, uint32_t scale);
// Writes black letters into an RGB picture with rows of `width` pixels, from (left, top) on, as many whole letters as
// fit to the left of `right`.
void tm_letters_draw(uint8_t *rgb, uint32_t width, uint32_t left, uint32_t top, uint32_t right, uint32_t scale,
                     const char *text);

#endif
