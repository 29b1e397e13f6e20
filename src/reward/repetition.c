/* repetition.c: `repetition`, 1 for a text that does not repeat itself, falling to 0 for one that
 * says the same for ever. Parameters:
 *
 *   n            length of the runs that are compared, in words (default 4)
 *   threshold    share of repeated runs that is still free (default 0)
 *   strip_think  true: thinking does not count. false: all counts.
 *
 * With r the share of runs of n words that were there before, the score is
 * 1 − (r − threshold) / (1 − threshold). A text of fewer words is compared word by word (n = 1);
 * one without any is worth 0, so that saying nothing does not win.
 *
 * A "word" is a run of letters and digits, lower case; any other character that is no white space
 * is one by itself, so that 5,000 emoji or exclamation marks are not one word. Letters of scripts
 * without spaces, and what follows the first 16 letters of a word, go one by one or in pieces of 8:
 * "hahahaha…" is no long word but a repetition. */
#include <math.h>
#include <string.h>
#include <utf8proc.h>
#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "reward/pytext.h"
#include "reward/rewards.h"

enum { MOST_N = 32, LONG_WORD = 16, PIECE = 8 };

struct repetition_params {
    int n;
    double threshold;
    bool strip;
};

static int read_params(struct repetition_params *p, const json_t *params, struct err *err)
{
    static const char *const known[] = {"n", "threshold", "strip_think"};
    static const char where[] = "params of reward repetition";
    long long n = p->n;
    int status = reward_params_check(params, known, ARRAY_LENGTH(known), "repetition", err);
    if (status || !json_is_object(params))
        return status;
    if ((status = json_get_int(&n, params, "n", false, where, err)) ||
        (status = json_get_double(&p->threshold, params, "threshold", false, where, err)) ||
        (status = json_get_bool(&p->strip, params, "strip_think", false, where, err)))
        return status;
    if (n < 1 || n > MOST_N)
        return err_set(err, ERR_USAGE, where, "n is %lld, expected 1 to %d words", n, (int)MOST_N);
    if (!(p->threshold >= 0 && p->threshold < 1))
        return err_set(err, ERR_USAGE, where, "threshold is %g, expected a share from 0 to under 1",
                       p->threshold);
    p->n = (int)n;
    return ERR_NONE;
}

void repetition_release(void *state)
{
    mem_free(state);
}

int repetition_configure(void **state, const json_t *params, struct err *err)
{
    struct repetition_params *p = mem_alloc(sizeof *p);
    if (!p)
        return err_no_memory(err, "reward repetition", sizeof *p);
    *p = (struct repetition_params){.n = 4, .strip = true};
    int status = read_params(p, params, err);
    if (status)
        mem_free(p);
    else
        *state = p;
    return status;
}

/* --- words --- */

struct word_list {
    uint64_t *hashes;
    size_t n;
};

enum character { SPACE, LETTER, ALONE };

static enum character kind_of(int32_t c)
{
    if (c >= 0 && c < 0x80) {
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
            return LETTER;
        return py_is_space(c) ? SPACE : ALONE;
    }
    if (c < 0)
        return ALONE;
    if (py_is_space(c))
        return SPACE;
    utf8proc_category_t category = utf8proc_category(c);
    if (category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME)
        return LETTER;
    bool crowded = (c >= 0xE00 && c < 0xE80) || (c >= 0x3040 && c < 0xFB00) || c >= 0x20000;
    bool word = (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
                category == UTF8PROC_CATEGORY_ND;
    return word && !crowded ? LETTER : ALONE;
}

static int32_t lower(int32_t c)
{
    if (c >= 0 && c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    return c < 0 ? c : utf8proc_tolower(c);
}

/* At most one word a byte, so `hashes` has room for the text's length. */
static void read_words(struct word_list *w, const char *text, size_t length)
{
    uint64_t hash = 0;
    size_t letters = 0;
    for (size_t i = 0; i < length;) {
        int32_t c;
        i += (size_t)utf8_decode(text + i, length - i, &c);
        enum character kind = kind_of(c);
        bool piece = letters >= LONG_WORD && (letters - LONG_WORD) % PIECE == 0;
        if (letters && (kind != LETTER || piece))
            w->hashes[w->n++] = hash;
        if (kind != LETTER || piece)
            hash = 0;
        letters = kind == LETTER ? letters + 1 : 0;
        c = lower(c);
        if (kind == LETTER)
            hash = (hash ^ (uint64_t)(uint32_t)c) * 0x9FB21C651E98DF25ull + 1;
        else if (kind == ALONE)
            w->hashes[w->n++] = hash_bytes(&c, sizeof c, 1);
    }
    if (letters)
        w->hashes[w->n++] = hash;
}

/* How many different runs of n words; 0: memory is out. A table of hashes, at most half full. */
static size_t different_runs(const struct word_list *w, size_t n)
{
    size_t runs = w->n - n + 1, capacity = 16, found = 0;
    while (capacity < 2 * runs)
        capacity *= 2;
    uint64_t *table = mem_calloc(capacity, sizeof *table);
    for (size_t i = 0; table && i < runs; i++) {
        uint64_t hash = hash_bytes(w->hashes + i, n * sizeof *w->hashes, 0) | 1;
        size_t at = hash >> 1 & (capacity - 1);
        while (table[at] && table[at] != hash)
            at = (at + 1) & (capacity - 1);
        found += !table[at];
        table[at] = hash;
    }
    mem_free(table);
    return found;
}

void repetition_evaluate(const void *state, const struct reward_input *in,
                         struct reward_result *out, struct str *explain_json)
{
    const struct repetition_params *p = state;
    struct str answer = {0};
    struct slice text = {in->completion, in->completion_length};
    if (p->strip) {
        strip_think(&answer, in->completion, in->completion_length);
        text = (struct slice){str_text(&answer), answer.length};
    }
    size_t size = 0, different = 0, n = 0;
    struct word_list w = {0};
    if (!answer.failed && mem_mul(&size, text.length + 1, sizeof *w.hashes))
        w.hashes = mem_alloc(size);
    bool ok = w.hashes != NULL;
    if (ok) {
        read_words(&w, text.data, text.length);
        n = w.n < (size_t)p->n ? 1 : (size_t)p->n;
        different = w.n ? different_runs(&w, n) : 0;
        ok = w.n == 0 || different > 0;
    }
    size_t runs = w.n ? w.n - n + 1 : 0;
    double repeated = runs ? 1 - (double)different / (double)runs : 0;
    mem_free(w.hashes);
    str_free(&answer);
    if (!ok) {
        reward_set_failed(out, "out of memory for a completion of %zu bytes",
                          in->completion_length);
        return;
    }
    double over = fmax(0, repeated - p->threshold) / (1 - p->threshold);
    out->components[0] = runs ? 1 - over : 0;
    if (explain_json) {
        struct json_writer j;
        jw_begin(&j, explain_json);
        jw_object_begin(&j);
        jw_key(&j, "words");
        jw_int(&j, (long long)w.n);
        jw_key(&j, "repeated");
        jw_double(&j, repeated);
        jw_object_end(&j);
    }
}
