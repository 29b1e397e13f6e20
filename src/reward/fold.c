/* fold.c: text made comparable; see fold.h. Accents go by canonical decomposition, so any Latin
 * letter loses its own; marks that stand alone are dropped too ("a" + U+0301 is "a"). */
#include "reward/fold.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>
#include "base/map.h"
#include "base/mem.h"

enum { IS_SPACE = -1, IS_MARK = -2 };

/* The folded character, or what it is instead. */
static int32_t fold_character(int32_t c)
{
    if (c >= 0 && c < 0x80) {
        if (c >= 'A' && c <= 'Z')
            return c + 32;
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : IS_SPACE;
    }
    if (c < 0)
        return IS_SPACE;
    utf8proc_int32_t parts[8];
    int boundary = 0;
    utf8proc_ssize_t n =
        utf8proc_decompose_char(utf8proc_tolower(c), parts, 8, UTF8PROC_DECOMPOSE, &boundary);
    if (n > 0 && n <= 8)
        c = parts[0];
    utf8proc_category_t category = utf8proc_category(c);
    if (category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME)
        return IS_MARK;
    bool word = (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
                category == UTF8PROC_CATEGORY_ND;
    return word ? c : IS_SPACE;
}

void fold_text(struct str *out, const char *text, size_t length)
{
    bool space = false, begun = false;
    for (size_t i = 0; i < length;) {
        int32_t c;
        i += (size_t)utf8_decode(text + i, length - i, &c);
        c = fold_character(c);
        if (c == IS_MARK)
            continue;
        if (c == IS_SPACE) {
            space = begun;
            continue;
        }
        if (space)
            str_putc(out, ' ');
        str_put_utf8(out, (uint32_t)c);
        space = false;
        begun = true;
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

bool fold_words(struct fold_words *out, const char *text, size_t length, size_t shortest)
{
    struct str folded = {0};
    *out = (struct fold_words){0};
    fold_text(&folded, text, length);
    size_t words = 1, size;
    for (size_t i = 0; i < folded.length; i++)
        words += folded.data[i] == ' ';
    out->hashes = mem_mul(&size, words, sizeof *out->hashes) ? mem_alloc(size) : NULL;
    bool ok = out->hashes && !folded.failed;
    for (size_t i = 0, start = 0; ok && i <= folded.length; i++)
        if (i == folded.length || folded.data[i] == ' ') {
            if (i > start && i - start >= shortest)
                out->hashes[out->n++] = hash_bytes(folded.data + start, i - start, 0);
            start = i + 1;
        }
    if (ok)
        qsort(out->hashes, out->n, sizeof *out->hashes, compare);
    str_free(&folded);
    return ok;
}

void fold_words_free(struct fold_words *w)
{
    mem_free(w->hashes);
    *w = (struct fold_words){0};
}

size_t fold_common(const struct fold_words *a, const struct fold_words *b)
{
    size_t common = 0;
    for (size_t i = 0, k = 0; i < a->n && k < b->n;) {
        if (a->hashes[i] == b->hashes[k]) {
            common++;
            i++;
            k++;
        } else if (a->hashes[i] < b->hashes[k]) {
            i++;
        } else {
            k++;
        }
    }
    return common;
}

bool fold_has(const struct fold_words *w, uint64_t hash)
{
    return w->n && bsearch(&hash, w->hashes, w->n, sizeof hash, compare);
}

double fold_f1(const struct fold_words *a, const struct fold_words *b)
{
    if (a->n + b->n == 0)
        return 1;
    return 2.0 * (double)fold_common(a, b) / (double)(a->n + b->n);
}
