/* pytext.c: CPython's case mappings and classes, cut down to Latin-1; see pytext.h.
 *
 * The lists are complete: every code point outside ASCII whose str.upper() has an ASCII character,
 * every one above U+00FF whose str.lower() has a Latin-1 character, every re.IGNORECASE partner of
 * an ASCII character, every decimal digit. tests/oracle/reward/ holds the same facts as CPython
 * tells them, and the tests compare all 1,114,112 code points. */
#include "reward/pytext.h"
#include <stddef.h>

int py_upper(unsigned char out[3], int32_t c)
{
    static const struct {
        int32_t codepoint;
        unsigned char n, text[3];
    } special[] = {
        {0xDF, 2, "SS"},   {0x131, 1, "I"},    {0x149, 2, "\0N"},  {0x17F, 1, "S"},
        {0x1F0, 2, "J"},   {0x1E96, 2, "H"},   {0x1E97, 2, "T"},   {0x1E98, 2, "W"},
        {0x1E99, 2, "Y"},  {0x1E9A, 2, "A"},   {0xFB00, 2, "FF"},  {0xFB01, 2, "FI"},
        {0xFB02, 2, "FL"}, {0xFB03, 3, "FFI"}, {0xFB04, 3, "FFL"}, {0xFB05, 2, "ST"},
        {0xFB06, 2, "ST"},
    };
    out[0] = 0;
    if (c < 0x80) {
        if (c > 0)
            out[0] = (unsigned char)(c >= 'a' && c <= 'z' ? c - 32 : c);
        return 1;
    }
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (special[i].codepoint == c) {
            for (int k = 0; k < special[i].n; k++)
                out[k] = special[i].text[k];
            return special[i].n;
        }
    return 1;
}

int py_lower(unsigned char out[2], int32_t c)
{
    out[0] = 0;
    if (c >= 0 && c < 0x100) {
        bool upper = (c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7);
        out[0] = (unsigned char)(upper ? c + 32 : c);
    } else if (c == 0x130) { /* İ: i and U+0307 */
        out[0] = 'i';
        out[1] = 0;
        return 2;
    } else if (c == 0x178) {
        out[0] = 0xFF;
    } else if (c == 0x1E9E) {
        out[0] = 0xDF;
    } else if (c == 0x212A) { /* Kelvin */
        out[0] = 'k';
    } else if (c == 0x212B) { /* Ångström */
        out[0] = 0xE5;
    }
    return 1;
}

unsigned char py_fold(int32_t c)
{
    if (c >= 0 && c < 0x80)
        return (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    switch (c) {
    case 0x130:
    case 0x131:
        return 'i';
    case 0x17F:
        return 's';
    case 0x212A:
        return 'k';
    default:
        return 0;
    }
}

bool py_is_space(int32_t c)
{
    if (c < 0x80)
        return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool py_is_digit(int32_t c)
{
    /* The zero of every run of ten. */
    static const int32_t zeros[] = {
        0x30,    0x660,   0x6F0,   0x7C0,   0x966,   0x9E6,   0xA66,   0xAE6,   0xB66,   0xBE6,
        0xC66,   0xCE6,   0xD66,   0xDE6,   0xE50,   0xED0,   0xF20,   0x1040,  0x1090,  0x17E0,
        0x1810,  0x1946,  0x19D0,  0x1A80,  0x1A90,  0x1B50,  0x1BB0,  0x1C40,  0x1C50,  0xA620,
        0xA8D0,  0xA900,  0xA9D0,  0xA9F0,  0xAA50,  0xABF0,  0xFF10,  0x104A0, 0x10D30, 0x11066,
        0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730, 0x118E0,
        0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x16A60, 0x16AC0, 0x16B50, 0x1D7CE, 0x1D7D8, 0x1D7E2,
        0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E950, 0x1FBF0,
    };
    if (c < 0x80)
        return c >= '0' && c <= '9';
    size_t low = 0, high = sizeof zeros / sizeof *zeros; /* the last zero that is <= c */
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (zeros[middle] <= c)
            low = middle;
        else
            high = middle;
    }
    return c - zeros[low] < 10;
}
