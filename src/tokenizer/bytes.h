/* bytes.h: GPT-2's byte alphabet: each byte spelled as one printable character. Printable Latin-1
 * stands for itself, the other 68 bytes for U+0100 … in order. */
#ifndef TOKENIZER_BYTES_H
#define TOKENIZER_BYTES_H
#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

int32_t byte_to_char(unsigned char b);
int byte_from_char(int32_t c); /* −1: no character of the alphabet */
/* Appends the spelling of every byte. */
void bytes_put(struct str *out, const char *bytes, size_t length);

#endif
