/* unicode.c: tables of differences; see unicode.h. tests/oracle/tokenizer holds the reference's
 * sets for every code point, so another version of a library shows up there. */
#include "tokenizer/unicode.h"
#include <string.h>
#include <utf8proc.h>
#include "base/check.h"
#include "base/mem.h"
#include "tokenizer/unicode_data.h"

struct category_range {
    int32_t first, last;
    char category[3];
};

/* Assigned by Unicode 15, 15.1 and 16. (U+1171E went from Mn to Mc: pattern.c takes M as a whole
 * only.) */
static const struct category_range additions[] = {
    {0x897, 0x897, "Mn"},     {0xCF3, 0xCF3, "Mc"},     {0xECE, 0xECE, "Mn"},
    {0x1B4E, 0x1B4F, "Po"},   {0x1B7F, 0x1B7F, "Po"},   {0x1C89, 0x1C89, "Lu"},
    {0x1C8A, 0x1C8A, "Ll"},   {0x2427, 0x2429, "So"},   {0x2FFC, 0x2FFF, "So"},
    {0x31E4, 0x31E5, "So"},   {0x31EF, 0x31EF, "So"},   {0xA7CB, 0xA7CC, "Lu"},
    {0xA7CD, 0xA7CD, "Ll"},   {0xA7DA, 0xA7DA, "Lu"},   {0xA7DB, 0xA7DB, "Ll"},
    {0xA7DC, 0xA7DC, "Lu"},   {0x105C0, 0x105F3, "Lo"}, {0x10D40, 0x10D49, "Nd"},
    {0x10D4A, 0x10D4D, "Lo"}, {0x10D4E, 0x10D4E, "Lm"}, {0x10D4F, 0x10D4F, "Lo"},
    {0x10D50, 0x10D65, "Lu"}, {0x10D69, 0x10D6D, "Mn"}, {0x10D6E, 0x10D6E, "Pd"},
    {0x10D6F, 0x10D6F, "Lm"}, {0x10D70, 0x10D85, "Ll"}, {0x10D8E, 0x10D8F, "Sm"},
    {0x10EC2, 0x10EC4, "Lo"}, {0x10EFC, 0x10EFF, "Mn"}, {0x1123F, 0x11240, "Lo"},
    {0x11241, 0x11241, "Mn"}, {0x11380, 0x11389, "Lo"}, {0x1138B, 0x1138B, "Lo"},
    {0x1138E, 0x1138E, "Lo"}, {0x11390, 0x113B5, "Lo"}, {0x113B7, 0x113B7, "Lo"},
    {0x113B8, 0x113BA, "Mc"}, {0x113BB, 0x113C0, "Mn"}, {0x113C2, 0x113C2, "Mc"},
    {0x113C5, 0x113C5, "Mc"}, {0x113C7, 0x113CA, "Mc"}, {0x113CC, 0x113CD, "Mc"},
    {0x113CE, 0x113CE, "Mn"}, {0x113CF, 0x113CF, "Mc"}, {0x113D0, 0x113D0, "Mn"},
    {0x113D1, 0x113D1, "Lo"}, {0x113D2, 0x113D2, "Mn"}, {0x113D3, 0x113D3, "Lo"},
    {0x113D4, 0x113D5, "Po"}, {0x113D7, 0x113D8, "Po"}, {0x113E1, 0x113E2, "Mn"},
    {0x116D0, 0x116E3, "Nd"}, {0x11B00, 0x11B09, "Po"}, {0x11BC0, 0x11BE0, "Lo"},
    {0x11BE1, 0x11BE1, "Po"}, {0x11BF0, 0x11BF9, "Nd"}, {0x11F00, 0x11F01, "Mn"},
    {0x11F02, 0x11F02, "Lo"}, {0x11F03, 0x11F03, "Mc"}, {0x11F04, 0x11F10, "Lo"},
    {0x11F12, 0x11F33, "Lo"}, {0x11F34, 0x11F35, "Mc"}, {0x11F36, 0x11F3A, "Mn"},
    {0x11F3E, 0x11F3F, "Mc"}, {0x11F40, 0x11F40, "Mn"}, {0x11F41, 0x11F41, "Mc"},
    {0x11F42, 0x11F42, "Mn"}, {0x11F43, 0x11F4F, "Po"}, {0x11F50, 0x11F59, "Nd"},
    {0x11F5A, 0x11F5A, "Mn"}, {0x1342F, 0x1342F, "Lo"}, {0x13439, 0x1343F, "Cf"},
    {0x13440, 0x13440, "Mn"}, {0x13441, 0x13446, "Lo"}, {0x13447, 0x13455, "Mn"},
    {0x13460, 0x143FA, "Lo"}, {0x16100, 0x1611D, "Lo"}, {0x1611E, 0x16129, "Mn"},
    {0x1612A, 0x1612C, "Mc"}, {0x1612D, 0x1612F, "Mn"}, {0x16130, 0x16139, "Nd"},
    {0x16D40, 0x16D42, "Lm"}, {0x16D43, 0x16D6A, "Lo"}, {0x16D6B, 0x16D6C, "Lm"},
    {0x16D6D, 0x16D6F, "Po"}, {0x16D70, 0x16D79, "Nd"}, {0x18CFF, 0x18CFF, "Lo"},
    {0x1B132, 0x1B132, "Lo"}, {0x1B155, 0x1B155, "Lo"}, {0x1CC00, 0x1CCEF, "So"},
    {0x1CCF0, 0x1CCF9, "Nd"}, {0x1CD00, 0x1CEB3, "So"}, {0x1D2C0, 0x1D2D3, "No"},
    {0x1DF25, 0x1DF2A, "Ll"}, {0x1E030, 0x1E06D, "Lm"}, {0x1E08F, 0x1E08F, "Mn"},
    {0x1E4D0, 0x1E4EA, "Lo"}, {0x1E4EB, 0x1E4EB, "Lm"}, {0x1E4EC, 0x1E4EF, "Mn"},
    {0x1E4F0, 0x1E4F9, "Nd"}, {0x1E5D0, 0x1E5ED, "Lo"}, {0x1E5EE, 0x1E5EF, "Mn"},
    {0x1E5F0, 0x1E5F0, "Lo"}, {0x1E5F1, 0x1E5FA, "Nd"}, {0x1E5FF, 0x1E5FF, "Po"},
    {0x1F6DC, 0x1F6DC, "So"}, {0x1F774, 0x1F776, "So"}, {0x1F77B, 0x1F77F, "So"},
    {0x1F7D9, 0x1F7D9, "So"}, {0x1F8B2, 0x1F8BB, "So"}, {0x1F8C0, 0x1F8C1, "So"},
    {0x1FA75, 0x1FA77, "So"}, {0x1FA87, 0x1FA89, "So"}, {0x1FA8F, 0x1FA8F, "So"},
    {0x1FAAD, 0x1FAAF, "So"}, {0x1FABB, 0x1FABF, "So"}, {0x1FAC6, 0x1FAC6, "So"},
    {0x1FACE, 0x1FACF, "So"}, {0x1FADA, 0x1FADC, "So"}, {0x1FADF, 0x1FADF, "So"},
    {0x1FAE8, 0x1FAE9, "So"}, {0x1FAF7, 0x1FAF8, "So"}, {0x1FBCB, 0x1FBEF, "So"},
    {0x2B739, 0x2B739, "Lo"}, {0x2EBF0, 0x2EE5D, "Lo"}, {0x31350, 0x323AF, "Lo"},
};

/* Digits know Unicode 17, too. */
static const int32_t new_digits[][2] = {{0x11DE0, 0x11DE9}, {0x16FF4, 0x16FF6}};

/* Code points whose combining class, composition or decomposition is younger than the reference's
 * normalizer: there, they are plain characters that nothing moves across or composes with. The last
 * line is of Unicode 16, by blocks. */
static const int32_t inert[][2] = {
    {0x7FD, 0x7FD},
    {0x897, 0x89F},
    {0x8CA, 0x8D3},
    {0x9FE, 0x9FE},
    {0xC3C, 0xC3C},
    {0xD3B, 0xD3C},
    {0xEBA, 0xEBA},
    {0x1715, 0x1715},
    {0x1ABF, 0x1ACE},
    {0x1DF6, 0x1DFA},
    {0xA82C, 0xA82C},
    {0x10D24, 0x10D27},
    {0x10D69, 0x10D6D},
    {0x10EAB, 0x10EAC},
    {0x10EFC, 0x10EFF},
    {0x10F46, 0x10F50},
    {0x10F82, 0x10F85},
    {0x11070, 0x11070},
    {0x1133B, 0x1133B},
    {0x1145E, 0x1145E},
    {0x11839, 0x1183A},
    {0x11930, 0x11930},
    {0x1193D, 0x1193E},
    {0x11943, 0x11943},
    {0x119E0, 0x119E0},
    {0x11A34, 0x11A34},
    {0x11A47, 0x11A47},
    {0x11A99, 0x11A99},
    {0x11D42, 0x11D42},
    {0x11D44, 0x11D45},
    {0x11D97, 0x11D97},
    {0x11F41, 0x11F42},
    {0x16FF0, 0x16FF1},
    {0x1E08F, 0x1E08F},
    {0x1E130, 0x1E136},
    {0x1E2AE, 0x1E2AE},
    {0x1E2EC, 0x1E2EF},
    {0x1E4EC, 0x1E4EF},
    {0x1E5EE, 0x1E5EF},
    {0x105C0, 0x105FF},
    {0x11380, 0x113FF},
    {0x16100, 0x1613F},
    {0x16D40, 0x16D7F},
    {0x11938, 0x11938},
    /* compatibility mappings only */
    {0x32FF, 0x32FF},
    {0xA7F1, 0xA7F4},
    {0xAB69, 0xAB69},
    {0x10781, 0x107BA},
    {0x1CCD6, 0x1CCF9},
    {0x1E030, 0x1E06D},
    {0x1F16C, 0x1F16C},
    {0x1FBF0, 0x1FBF9},
};

static bool in_ranges(int32_t c, const int32_t (*ranges)[2], size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return false;
}

static bool in_table(const struct range_table *t, int32_t c)
{
    size_t low = 0, high = t->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c > t->ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < t->n && c >= t->ranges[low].first;
}

bool unicode_is_word(int32_t c)
{
    return in_table(&unicode_word, c);
}

bool unicode_is_punctuation(int32_t c)
{
    return in_table(&unicode_punctuation, c);
}

bool unicode_is_mark(int32_t c)
{
    return in_table(&unicode_marks, c);
}

bool unicode_is_nonspacing(int32_t c)
{
    return in_table(&unicode_nonspacing, c);
}

bool unicode_is_removed_by_cleaning(int32_t c)
{
    return in_table(&unicode_removed_by_cleaning, c);
}

int unicode_to_lower(int32_t c, int32_t out[2])
{
    const struct case_table *t = &unicode_lowercase;
    out[0] = c;
    out[1] = 0x307;
    if (c == 0x130) {
        out[0] = 'i';
        return 2;
    }
    size_t low = 0, high = t->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c > t->ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < t->n && c >= t->ranges[low].first &&
        (c - t->ranges[low].first) % t->ranges[low].step == 0)
        out[0] = c + t->ranges[low].by;
    return 1;
}

bool unicode_is_space(int32_t c)
{
    return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

bool unicode_is_numeric(int32_t c)
{
    if (c < 0x80)
        return c >= '0' && c <= '9';
    utf8proc_category_t category = utf8proc_category(c);
    if (category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
        category == UTF8PROC_CATEGORY_NO)
        return true;
    for (size_t i = 0; i < ARRAY_LENGTH(additions); i++)
        if (additions[i].category[0] == 'N' && c >= additions[i].first && c <= additions[i].last)
            return true;
    return in_ranges(c, new_digits, ARRAY_LENGTH(new_digits));
}

void unicode_put_additions(struct str *out, const char *category)
{
    size_t n = strlen(category);
    for (size_t i = 0; i < ARRAY_LENGTH(additions); i++)
        if (strncmp(additions[i].category, category, n) == 0)
            str_printf(out, "\\x{%x}-\\x{%x}", (unsigned)additions[i].first,
                       (unsigned)additions[i].last);
}

/* --- normal forms --- */

/* Marks of one run, put in order of combining class, equal classes as they stood. utf8proc's own
 * ordering swaps neighbours, which takes minutes on a long run out of order. */
static void order_run(utf8proc_int32_t *run, const uint8_t *classes, utf8proc_int32_t *spare,
                      size_t n)
{
    size_t next[256] = {0};
    for (size_t i = 0; i < n; i++)
        if (classes[i] < 255)
            next[classes[i] + 1]++;
    for (size_t i = 1; i < ARRAY_LENGTH(next); i++)
        next[i] += next[i - 1];
    for (size_t i = 0; i < n; i++)
        spare[next[classes[i]]++] = run[i];
    memcpy(run, spare, n * sizeof *run);
}

static void order_marks(utf8proc_int32_t *chars, uint8_t *classes, utf8proc_int32_t *spare,
                        size_t n)
{
    for (size_t first = 0; first < n;) {
        size_t end = first + 1;
        bool ordered = true;
        for (; classes[first] && end < n && classes[end]; end++)
            ordered = ordered && classes[end - 1] <= classes[end];
        if (!ordered)
            order_run(chars + first, classes + first, spare, end - first);
        first = end;
    }
}

static uint8_t combining_class(int32_t c)
{
    return (uint8_t)utf8proc_get_property(c)->combining_class;
}

static bool is_composed(enum unicode_form form)
{
    return form == UNICODE_NFC || form == UNICODE_NFKC;
}

static utf8proc_option_t options_of(enum unicode_form form)
{
    bool compatible = form == UNICODE_NFKC || form == UNICODE_NFKD;
    return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0);
}

/* A text being normalized, as code points. */
struct points {
    utf8proc_int32_t *chars, *spare; /* one more place in chars, to re-encode */
    uint8_t *classes;
    size_t n, capacity;
};

static void points_free(struct points *p)
{
    mem_free(p->classes);
    mem_free(p->spare);
    mem_free(p->chars);
    *p = (struct points){0};
}

static bool points_reserve(struct points *p, size_t capacity)
{
    if (capacity <= p->capacity)
        return true;
    capacity = capacity > 2 * p->capacity ? capacity : 2 * p->capacity;
    utf8proc_int32_t *chars = mem_realloc(p->chars, (capacity + 1) * sizeof *chars);
    if (chars)
        p->chars = chars;
    utf8proc_int32_t *spare = chars ? mem_realloc(p->spare, capacity * sizeof *spare) : NULL;
    if (spare)
        p->spare = spare;
    uint8_t *classes = spare ? mem_realloc(p->classes, capacity) : NULL;
    if (!classes)
        return false;
    p->classes = classes;
    p->capacity = capacity;
    return true;
}

/* At most 18 characters from one (U+FDFA). */
enum { MAX_DECOMPOSED = 18 };

static int decompose(struct points *p, enum unicode_form form, const char *text, size_t length,
                     struct err *err)
{
    p->n = 0;
    for (size_t at = 0; at < length;) {
        int32_t c;
        at += (size_t)utf8_decode(text + at, length - at, &c);
        if (!points_reserve(p, p->n + MAX_DECOMPOSED))
            return err_no_memory(err, "tokenizer", p->n * 9);
        utf8proc_ssize_t got =
            utf8proc_decompose_char(c, p->chars + p->n, MAX_DECOMPOSED, options_of(form), NULL);
        if (got < 0 || got > MAX_DECOMPOSED)
            return err_set(err, ERR_INPUT, "tokenizer", "cannot normalize: %s",
                           utf8proc_errmsg(got < 0 ? got : UTF8PROC_ERROR_OVERFLOW));
        p->n += (size_t)got;
    }
    return ERR_NONE;
}

static int put_normal(struct str *out, enum unicode_form form, const char *text, size_t length,
                      struct err *err)
{
    if (!length)
        return ERR_NONE;
    struct points p = {0};
    int status = decompose(&p, form, text, length, err);
    if (!status) {
        for (size_t i = 0; i < p.n; i++)
            p.classes[i] = combining_class(p.chars[i]);
        order_marks(p.chars, p.classes, p.spare, p.n);
        utf8proc_ssize_t n =
            utf8proc_reencode(p.chars, (utf8proc_ssize_t)p.n,
                              UTF8PROC_STABLE | (is_composed(form) ? UTF8PROC_COMPOSE : 0));
        if (n < 0)
            status =
                err_set(err, ERR_INPUT, "tokenizer", "cannot normalize: %s", utf8proc_errmsg(n));
        else
            str_append(out, (const char *)p.chars, (size_t)n);
    }
    points_free(&p);
    if (status)
        return status;
    return out->failed ? err_no_memory(err, "tokenizer", length) : ERR_NONE;
}

static bool is_inert(int32_t c)
{
    return c >= 0x7FD && in_ranges(c, inert, ARRAY_LENGTH(inert));
}

int unicode_normalize(struct str *out, enum unicode_form form, const char *text, size_t length,
                      struct err *err)
{
    /* The first code point that a form changes, alone or with its neighbours. */
    static const int32_t first_changed[] = {0x300, 0xC0, 0xA0, 0xA0};
    size_t done = 0;
    bool plain = true;
    for (size_t at = 0; at < length;) {
        int32_t c;
        size_t n = (size_t)utf8_decode(text + at, length - at, &c);
        plain = plain && c < first_changed[form];
        if (is_inert(c)) {
            int status = put_normal(out, form, text + done, at - done, err);
            if (status)
                return status;
            str_append(out, text + at, n);
            done = at + n;
        }
        at += n;
    }
    if (!plain)
        return put_normal(out, form, text + done, length - done, err);
    str_append(out, text, length);
    return out->failed ? err_no_memory(err, "tokenizer", length) : ERR_NONE;
}

/* --- where a normal form comes from ---
 *
 * The reference keeps, for each byte of a normalized text, the original character it belongs to.
 * Only one question about that decides ids: does a piece begin at the original text's first byte
 * (Metaspace's prepend_scheme "first")? So we follow only how far the first character reaches. Its
 * normalizer gives each character it makes with a number: 0, it takes the place of the next one
 * read; 1, it was inserted after that; −n, it takes n more with it. The numbers of what is composed
 * add up.
 */

enum { INSERTED = 1 << 24 }; /* in a code point: came after the first of a decomposition */

struct made {
    int32_t c;
    int change;
};

static int32_t compose_pair(int32_t a, int32_t b)
{
    utf8proc_int32_t pair[3] = {a, b, 0};
    utf8proc_ssize_t n =
        is_inert(a) || is_inert(b)
            ? 2
            : utf8proc_normalize_utf32(pair, 2, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    return n == 1 ? pair[0] : -1;
}

/* The canonical composition algorithm (UAX 15) over ordered points, in the reference's manner. */
static size_t compose_made(struct made *out, const struct points *p, bool compose)
{
    size_t n = 0, starter = 0;
    int last = -1; /* class of the mark before, −1: none since the starter */
    bool any = false;
    for (size_t i = 0; i < p->n; i++) {
        struct made next = {p->chars[i] & (INSERTED - 1), p->chars[i] & INSERTED ? 1 : 0};
        int class = p->classes[i];
        bool blocked = !any || !compose || (last >= 0 && last >= class);
        int32_t composed = blocked ? -1 : compose_pair(out[starter].c, next.c);
        if (composed >= 0) {
            out[starter].c = composed;
            out[starter].change += next.change - 1;
            continue;
        }
        if (class == 0) {
            starter = n;
            any = true;
        }
        last = class == 0 || !any ? -1 : class;
        out[n++] = next;
    }
    return n;
}

/* Bytes of `made` that belong to the first `zero` bytes of text. */
static size_t reach_of(const struct made *made, size_t n, const char *text, size_t length,
                       size_t zero)
{
    size_t at = 0, reach = 0;
    for (size_t i = 0; i < n; i++) {
        bool inserted = made[i].change > 0;
        if (inserted ? at > zero : at >= zero)
            break;
        reach += made[i].c < 0x80 ? 1 : made[i].c < 0x800 ? 2 : made[i].c < 0x10000 ? 3 : 4;
        for (int taken = inserted ? 1 : made[i].change; taken <= 0 && at < length; taken++) {
            int32_t c;
            at += (size_t)utf8_decode(text + at, length - at, &c);
        }
    }
    return reach;
}

static int decompose_marked(struct points *p, enum unicode_form form, const char *text,
                            size_t length, struct err *err)
{
    struct points one = {0};
    int status = ERR_NONE;
    p->n = 0;
    for (size_t at = 0; at < length && !status;) {
        int32_t c;
        size_t n = (size_t)utf8_decode(text + at, length - at, &c);
        status = points_reserve(p, p->n + MAX_DECOMPOSED) ? ERR_NONE
                                                          : err_no_memory(err, "tokenizer", length);
        at += n;
        if (!status && is_inert(c)) {
            p->classes[p->n] = 0;
            p->chars[p->n++] = c;
            continue;
        }
        if (!status)
            status = decompose(&one, form, text + at - n, n, err);
        for (size_t i = 0; !status && i < one.n; i++) {
            p->classes[p->n] = combining_class(one.chars[i]);
            p->chars[p->n++] = one.chars[i] | (i ? INSERTED : 0);
        }
    }
    points_free(&one);
    return status;
}

int unicode_normalize_origin(size_t *out, enum unicode_form form, const char *text, size_t length,
                             size_t zero, struct err *err)
{
    size_t end = zero; /* nothing moves or composes across an ASCII character */
    while (end < length && (unsigned char)text[end] >= 0x80)
        end++;
    struct points p = {0};
    int status = decompose_marked(&p, form, text, end, err);
    struct made *made = status ? NULL : mem_alloc((p.n + 1) * sizeof *made);
    if (!status && !made)
        status = err_no_memory(err, "tokenizer", p.n * sizeof *made);
    if (!status) {
        order_marks(p.chars, p.classes, p.spare, p.n);
        *out = reach_of(made, compose_made(made, &p, is_composed(form)), text, end, zero);
    }
    mem_free(made);
    points_free(&p);
    return status;
}
