/* bytes.c: see bytes.h. The bytes without a printable character of their own are three runs, 0 to
 * 32, 127 to 160 and 173, which follow each other from U+0100 on. */
#include "tokenizer/bytes.h"

int32_t byte_to_char(unsigned char b)
{
    if (b <= 32)
        return 256 + b;
    if (b >= 127 && b <= 160)
        return 256 + 33 + (b - 127);
    return b == 173 ? 256 + 33 + 34 : b;
}

int byte_from_char(int32_t c)
{
    if (c < 256)
        return c > 32 && (c < 127 || c > 160) && c != 173 ? c : -1;
    if (c < 256 + 33)
        return c - 256;
    if (c < 256 + 33 + 34)
        return c - 256 - 33 + 127;
    return c == 256 + 33 + 34 ? 173 : -1;
}

void bytes_put(struct str *out, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        int32_t c = byte_to_char((unsigned char)bytes[i]);
        if (c < 0x80)
            str_putc(out, (char)c);
        else
            str_put_utf8(out, (uint32_t)c);
    }
}
