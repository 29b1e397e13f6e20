/* pytext.h: what CPython 3.11 (Unicode 14.0) makes of a code point, as far as a byte can tell: the
 * functions here answer in ASCII or Latin-1 and say 0 for anything else, which is all that a search
 * for Latin-1 words can see. Pinned tables, so a newer Unicode library changes no score.
 * Code point -1 (an invalid byte) is nothing at all: 0 or false everywhere. */
#ifndef REWARD_PYTEXT_H
#define REWARD_PYTEXT_H
#include <stdbool.h>
#include <stdint.h>

/* str.upper() in ASCII: writes 1 to 3 characters and returns how many, never more than the code
 * point has bytes in UTF-8. U+00DF gives "SS", U+1E97 'T' and 0 (a combining mark). */
int py_upper(unsigned char out[3], int32_t c);

/* str.lower() in Latin-1: writes 1 or 2 characters and returns how many, as above. */
int py_lower(unsigned char out[2], int32_t c);

/* The ASCII character that this one equals under re.IGNORECASE, in lower case; 0: none. Two of
 * the four non-ASCII ones are dotless and dotted i, the others U+017F (s) and U+212A (k). */
unsigned char py_fold(int32_t c);

bool py_is_space(int32_t c); /* \s, str.isspace, what str.strip() removes */
bool py_is_digit(int32_t c); /* \d: category Nd */

#endif
