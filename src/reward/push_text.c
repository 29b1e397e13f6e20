/* push_text.c: words and signs of a short text; see push_text.h.
 *
 * A word is a letter and the letters and marks after it, with hyphens and apostrophes inside; a
 * number is a digit and the digits, letters, points and commas after it ("10x", "4,5"). "R$" is no
 * word. A letter and a combining accent are the one letter that they show. Everything else parts
 * words, and all of it but white space, quotes, % and $ ends a clause.
 *
 * Spelling: no list of a size one can read holds every word, so an unknown word is judged by its
 * letters. Portuguese words end in a vowel or s, m, r, l, z, x; double only r and s; do without k,
 * w, y, and without th, sh, ph, ck; do not begin with s and a consonant. Of English words outside
 * the list most break a rule, invented words often do not: hence 0.6, not 1. */
#include "reward/push_text.h"
#include <string.h>
#include <utf8proc.h>
#include "base/map.h"
#include "base/mem.h"
#include "reward/push_words.h"
#include "reward/pytext.h"

enum { PORTUGUESE_LISTS = ((1U << PUSH_LISTS) - 1) & ~(1U << PUSH_FOREIGN) & ~(1U << PUSH_META) };

/* --- letters --- */

/* The letter without its accent, for the letters Portuguese has; others as they are. */
static int32_t plain_letter(int32_t c)
{
    static const struct {
        int32_t first, last;
        char plain;
    } ranges[] = {
        {0xE0, 0xE5, 'a'}, {0xE7, 0xE7, 'c'}, {0xE8, 0xEB, 'e'}, {0xEC, 0xEF, 'i'},
        {0xF1, 0xF1, 'n'}, {0xF2, 0xF6, 'o'}, {0xF9, 0xFC, 'u'},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return ranges[i].plain;
    return c;
}

static bool is_vowel(int32_t plain)
{
    return plain > 0 && plain < 0x80 && strchr("aeiou", (int)plain);
}

static bool is_letter(int32_t c)
{
    if (c < 0x80)
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    utf8proc_category_t category = utf8proc_category(c);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

static bool is_mark(int32_t c)
{
    if (c < 0x300)
        return false;
    utf8proc_category_t category = utf8proc_category(c);
    return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}

/* Emoji and other pictures, arrows and the like; not %, $, +. */
static bool is_sign(int32_t c)
{
    if (c < 0xA1)
        return false;
    utf8proc_category_t category = utf8proc_category(c);
    return category == UTF8PROC_CATEGORY_SO || category == UTF8PROC_CATEGORY_SM ||
           category == UTF8PROC_CATEGORY_CN;
}

/* --- spelling --- */

static bool may_stand_together(int32_t a, int32_t b, int32_t plain_b)
{
    if (a == b && a != 'r' && a != 's')
        return false;
    if (b == 'h' && a != 'c' && a != 'l' && a != 'n')
        return false;
    if (a == 'q')
        return b == 'u';
    if (a == 0xE7) /* ç */
        return plain_b == 'a' || plain_b == 'o' || plain_b == 'u';
    return true;
}

static bool may_begin(int32_t a, int32_t b)
{
    bool rough = !is_vowel(plain_letter(b)) && b != 'h';
    return a != 0xE7 && a != b && !(a == 's' && rough);
}

/* The letters of a word, or of a part of it between hyphens. */
static bool spelt_as_portuguese(const int32_t *c, size_t n)
{
    size_t consonants = 0, vowels = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t plain = plain_letter(c[i]);
        if (plain < 'a' || plain > 'z' || plain == 'k' || plain == 'w' || plain == 'y' ||
            c[i] == 0xF1)
            return false;
        if (i + 1 < n && !may_stand_together(c[i], c[i + 1], plain_letter(c[i + 1])))
            return false;
        consonants = is_vowel(plain) ? 0 : consonants + 1;
        vowels += is_vowel(plain);
        if (consonants > 3)
            return false;
    }
    if (vowels == 0 || (n > 1 && !may_begin(c[0], c[1])))
        return false;
    int32_t last = plain_letter(c[n - 1]);
    return is_vowel(last) || strchr("smrlzx", (int)last);
}

static bool has_ending(struct slice word)
{
    static const char *const endings[] = {
        "ção",  "ções", "mente", "inho", "inha", "inhos", "inhas", "dade", "dades", "ável", "ível",
        "ando", "endo", "indo",  "eiro", "eira", "eiros", "eiras", "oso",  "osa",   "ista", "aram",
    };
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(endings[i]);
        if (word.length >= n + 3 && memcmp(word.data + word.length - n, endings[i], n) == 0)
            return true;
    }
    return false;
}

static bool spelling_fits(struct slice word)
{
    enum { LONGEST = 24 };
    int32_t letters[LONGEST];
    size_t n = 0;
    for (size_t i = 0; i < word.length;) {
        int32_t c;
        i += (size_t)utf8_decode(word.data + i, word.length - i, &c);
        if (c == '-') {
            if (n == 0 || !spelt_as_portuguese(letters, n))
                return false;
            n = 0;
            continue;
        }
        if (n == LONGEST)
            return false;
        letters[n++] = c;
    }
    return n > 0 && spelt_as_portuguese(letters, n);
}

double push_word_credit(const struct push_text *t, size_t i)
{
    struct slice word = push_token_text(t, i);
    unsigned lists = t->tokens[i].lists;
    if (lists & 1U << PUSH_FOREIGN)
        return 0;
    if (lists & PORTUGUESE_LISTS)
        return 1;
    if (word.length > 3 && word.data[word.length - 1] == 's' &&
        push_word_lists((struct slice){word.data, word.length - 1}) & PORTUGUESE_LISTS)
        return 1;
    if (!spelling_fits(word))
        return 0;
    return has_ending(word) ? 0.9 : 0.6;
}

/* --- reading --- */

struct reading {
    struct push_text *t;
    const char *text;
    size_t length, at;
};

static int32_t peek(const struct reading *r, size_t at, size_t *next)
{
    int32_t c = 0;
    *next = at;
    if (at < r->length)
        *next = at + (size_t)utf8_decode(r->text + at, r->length - at, &c);
    return c;
}

static void count_letter(struct push_text *t, int32_t c)
{
    t->letters++;
    t->capitals += utf8proc_category(c) == UTF8PROC_CATEGORY_LU;
}

/* Whether the word or number goes on with the character c at `at`. */
static bool goes_on(const struct reading *r, bool number, int32_t c, size_t next)
{
    size_t unused;
    if (is_letter(c) || is_mark(c))
        return true;
    if (number)
        return py_is_digit(c) || ((c == '.' || c == ',') && py_is_digit(peek(r, next, &unused)));
    return (c == '-' || c == '\'' || c == 0x2019) && is_letter(peek(r, next, &unused));
}

static uint64_t stem_of(struct slice word)
{
    char letters[64];
    size_t n = 0;
    for (size_t i = 0; i < word.length && n < sizeof letters;) {
        int32_t c;
        i += (size_t)utf8_decode(word.data + i, word.length - i, &c);
        c = plain_letter(c);
        if (c >= 'a' && c <= 'z')
            letters[n++] = (char)c;
    }
    if (n > 3 && letters[n - 1] == 's')
        n--;
    if (n < 3)
        return 0;
    return hash_bytes(letters, n < 5 ? n : 5, 1) | 1;
}

static bool new_token(struct push_text *t, size_t start, size_t source, bool number)
{
    if (t->n == t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : 64, size;
        if (!mem_mul(&size, capacity, sizeof *t->tokens))
            return false;
        struct push_token *tokens = mem_realloc(t->tokens, size);
        if (!tokens)
            return false;
        t->tokens = tokens;
        t->capacity = capacity;
    }
    struct slice word = {t->lowered.data + start, t->lowered.length - start};
    uint64_t hash = push_word_hash(word);
    t->tokens[t->n++] =
        (struct push_token){.start = start,
                            .length = word.length,
                            .source = source,
                            .hash = hash,
                            .stem = number ? 0 : stem_of(word),
                            .lists = number ? 0 : push_hashed_word_lists(word, hash),
                            .number = number};
    str_putc(&t->lowered, ' ');
    return !t->lowered.failed;
}

/* The letter of the lists for a lower-case letter and a combining mark; 0: none. */
static int32_t composed(int32_t letter, int32_t mark)
{
    static const struct {
        int32_t mark, letter, composed;
    } pairs[] = {
        {0x300, 'a', 0xE0}, {0x300, 'e', 0xE8}, {0x301, 'a', 0xE1}, {0x301, 'e', 0xE9},
        {0x301, 'i', 0xED}, {0x301, 'o', 0xF3}, {0x301, 'u', 0xFA}, {0x302, 'a', 0xE2},
        {0x302, 'e', 0xEA}, {0x302, 'o', 0xF4}, {0x303, 'a', 0xE3}, {0x303, 'n', 0xF1},
        {0x303, 'o', 0xF5}, {0x308, 'u', 0xFC}, {0x327, 'c', 0xE7},
    };
    for (size_t i = 0; mark >= 0x300 && i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i].mark == mark && pairs[i].letter == letter)
            return pairs[i].composed;
    return 0;
}

static bool read_token(struct reading *r, int32_t c, size_t next)
{
    struct push_text *t = r->t;
    size_t start = t->lowered.length, source = r->at;
    bool number = py_is_digit(c);
    do {
        if (is_letter(c))
            count_letter(t, c);
        size_t behind;
        int32_t lower = c == 0x2019 ? '\'' : utf8proc_tolower(c),
                whole = composed(lower, peek(r, next, &behind));
        str_put_utf8(&t->lowered, (uint32_t)(whole ? whole : lower));
        r->at = whole ? behind : next;
        c = peek(r, r->at, &next);
    } while (r->at < r->length && goes_on(r, number, c, next));
    return !t->lowered.failed && new_token(t, start, source, number);
}

static void read_sign(struct push_text *t, int32_t c, bool *blank_line)
{
    static const char quiet[] = "\"'%$";
    if (c == '\n' || c == '\r' || c == 0x2028 || c == 0x2029 || c == 0x85)
        *blank_line = true;
    else if (py_is_space(c))
        return;
    t->exclamations += c == '!';
    t->broken = t->broken || c < 0 || c == 0xFFFD || (c < 0x20 && !py_is_space(c)) || c == 0x7F;
    bool silent = (c > 0 && c < 0x80 && strchr(quiet, (int)c)) || c == 0x201C || c == 0x201D ||
                  c == 0x2018 || c == 0x2019;
    if (t->n && !silent) {
        t->tokens[t->n - 1].ends_clause = true;
        if (c == ':')
            t->tokens[t->n - 1].colon = true;
    }
}

/* One character as a phone shows it. */
struct cluster {
    uint64_t hash;
    size_t points; /* code points */
    bool sign, hidden, counts;
};

static void end_cluster(struct push_text *t, const struct cluster *c, uint64_t *previous,
                        size_t *run)
{
    enum { HEAP = 16 }; /* a family with skin tones has 11, a flag of a region 8 */
    *run = c->hash == *previous ? *run + 1 : 1;
    *previous = c->hash;
    if (c->counts && *run > t->longest)
        t->longest = *run;
    t->signs += c->sign;
    t->broken = t->broken || c->points > HEAP || (c->hidden && !c->sign);
}

/* Signs and runs of one character, by grapheme clusters: a separate pass. */
static void read_clusters(struct push_text *t, const char *text, size_t length)
{
    struct cluster cluster = {0};
    uint64_t previous = 0;
    size_t run = 0;
    int32_t before = 0, state = 0;
    for (size_t i = 0; i < length;) {
        int32_t c;
        i += (size_t)utf8_decode(text + i, length - i, &c);
        int32_t known = c < 0 ? 0xFFFD : c;
        if (cluster.points && utf8proc_grapheme_break_stateful(before, known, &state)) {
            end_cluster(t, &cluster, &previous, &run);
            cluster = (struct cluster){0};
        }
        before = known;
        if (cluster.points++ == 0)
            cluster.counts = !py_is_space(c) && !py_is_digit(c);
        cluster.hash = hash_bytes(&c, sizeof c, cluster.hash + 1);
        cluster.sign = cluster.sign || is_sign(c);
        cluster.hidden = cluster.hidden || utf8proc_category(known) == UTF8PROC_CATEGORY_CF;
    }
    if (cluster.points)
        end_cluster(t, &cluster, &previous, &run);
}

bool push_text_read(struct push_text *t, const char *text, size_t length)
{
    *t = (struct push_text){0};
    read_clusters(t, text, length);
    struct reading r = {.t = t, .text = text, .length = length};
    bool blank_line = true;
    str_putc(&t->lowered, ' ');
    while (r.at < length) {
        size_t next;
        int32_t c = peek(&r, r.at, &next);
        bool currency = c == 'R' && next < length && text[next] == '$';
        if (!py_is_space(c) && blank_line) {
            blank_line = false;
            t->lines++;
        }
        if (!currency && (is_letter(c) || py_is_digit(c))) {
            if (!read_token(&r, c, next))
                return false;
            continue;
        }
        if (currency)
            count_letter(t, c);
        else
            read_sign(t, c, &blank_line);
        r.at = next;
    }
    if (t->n)
        t->tokens[t->n - 1].ends_clause = true;
    return !t->lowered.failed;
}

void push_text_free(struct push_text *t)
{
    mem_free(t->tokens);
    str_free(&t->lowered);
    *t = (struct push_text){0};
}

struct slice push_token_text(const struct push_text *t, size_t i)
{
    return (struct slice){t->lowered.data + t->tokens[i].start, t->tokens[i].length};
}
