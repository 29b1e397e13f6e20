/* push_variety.c: see push_variety.h.
 *
 * A text becomes the set of its runs of five bytes, after folding (case, accents, punctuation,
 * emoji are nothing) and without numbers and words of under three letters: what is cheaply varied
 * does not vary it. What the prompt has as well is left out, for all are to speak of it, unless
 * little would be left. Two texts are alike by the share of the smaller set that the other has too,
 * and not by the share of both together: who appends something of his own to the common text has
 * the common text still. Sentences in another order share nearly all their runs.
 *
 *   likeness = (share − 0.5) / (0.85 − 0.5), within 0 and 1       the same for both of a pair
 *
 * Cost: for each completion, all sets of its group are made and merged with its own; only the first
 * bytes count (a push has 120 characters), so it is bounded whatever the completions are. */
#include "reward/push_variety.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/map.h"
#include "base/mem.h"
#include "reward/fold.h"
#include "reward/rewards.h"

enum {
    RAW_BYTES = 1 << 16,    /* of a completion, thinking included */
    TEXT_BYTES = 640,       /* of its text: 120 characters of four bytes, and a little */
    PROMPT_BYTES = 1 << 13, /* of the prompt */
    RUN = 5,
    ENOUGH = 12, /* runs; with fewer of its own a text is taken with those of the prompt */
    SHORTEST = 3
};

struct shingles {
    uint64_t *all, *own; /* sorted, each once; own: without the prompt's */
    size_t n_all, n_own;
};

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The folded words that count, a space behind each, in place. */
static void keep_words(struct str *folded)
{
    size_t kept = 0;
    for (size_t i = 0; i < folded->length;) {
        size_t end = i;
        bool digit = false;
        for (; end < folded->length && folded->data[end] != ' '; end++)
            digit = digit || (folded->data[end] >= '0' && folded->data[end] <= '9');
        if (!digit && end - i >= SHORTEST) {
            memmove(folded->data + kept, folded->data + i, end - i);
            kept += end - i;
            if (end < folded->length)
                folded->data[kept++] = ' ';
        }
        i = end + 1;
    }
    folded->length = kept;
}

static void shingles_free(struct shingles *s)
{
    mem_free(s->all);
    mem_free(s->own);
    *s = (struct shingles){0};
}

static size_t common(const uint64_t *a, size_t n, const uint64_t *b, size_t m)
{
    size_t count = 0;
    for (size_t i = 0, k = 0; i < n && k < m;) {
        count += a[i] == b[k];
        size_t step = a[i] <= b[k];
        k += b[k] <= a[i];
        i += step;
    }
    return count;
}

static bool read_shingles(struct shingles *s, const char *text, size_t length,
                          const struct shingles *prompt)
{
    struct str folded = {0};
    size_t size;
    fold_text(&folded, text, length);
    keep_words(&folded);
    size_t runs = folded.length >= RUN ? folded.length - RUN + 1 : 0;
    *s = (struct shingles){0};
    bool ok = !folded.failed && mem_mul(&size, runs + 1, sizeof *s->all) &&
              (s->all = mem_alloc(size)) && (s->own = mem_alloc(size));
    for (size_t i = 0; ok && i < runs; i++)
        s->all[s->n_all++] = hash_bytes(folded.data + i, RUN, 0);
    if (ok && s->n_all)
        qsort(s->all, s->n_all, sizeof *s->all, compare);
    size_t kept = 0;
    for (size_t i = 0; ok && i < s->n_all; i++)
        if (i == 0 || s->all[i] != s->all[i - 1])
            s->all[kept++] = s->all[i];
    s->n_all = kept;
    for (size_t i = 0; ok && i < kept; i++)
        if (!prompt || !prompt->n_all ||
            !bsearch(&s->all[i], prompt->all, prompt->n_all, sizeof *prompt->all, compare))
            s->own[s->n_own++] = s->all[i];
    str_free(&folded);
    return ok;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool read_completion(struct shingles *s, struct slice raw, const struct shingles *prompt)
{
    struct str text = {0};
    strip_think(&text, raw.data, least(raw.length, RAW_BYTES));
    struct slice t = reward_trim(str_text(&text), text.length);
    bool ok = read_shingles(s, t.data, least(t.length, TEXT_BYTES), prompt) && !text.failed;
    str_free(&text);
    return ok;
}

static double likeness(const struct shingles *a, const struct shingles *b)
{
    bool own = least(a->n_own, b->n_own) >= ENOUGH;
    size_t smaller = own ? least(a->n_own, b->n_own) : least(a->n_all, b->n_all);
    if (smaller == 0)
        return 0;
    size_t shared = own ? common(a->own, a->n_own, b->own, b->n_own)
                        : common(a->all, a->n_all, b->all, b->n_all);
    return fmin(1, fmax(0, ((double)shared / (double)smaller - 0.5) / 0.35));
}

bool push_variety_read(struct push_variety *out, const struct reward_input *in)
{
    *out = (struct push_variety){.variety = (double)NAN};
    if (in->n_group < 2)
        return true;
    struct shingles prompt = {0}, mine = {0};
    bool ok =
        read_shingles(&prompt, in->prompt, least(in->prompt_length, PROMPT_BYTES), NULL) &&
        read_completion(&mine, (struct slice){in->completion, in->completion_length}, &prompt);
    double sum = 0;
    for (int i = 0; ok && i < in->n_group; i++) {
        struct shingles other = {0};
        if (i == in->sample)
            continue;
        ok = read_completion(&other, in->group[i], &prompt);
        double alike = ok ? likeness(&mine, &other) : 0;
        out->twins += alike >= 0.5;
        sum += alike;
        shingles_free(&other);
    }
    out->variety = 1 - sum / (in->n_group - 1);
    shingles_free(&mine);
    shingles_free(&prompt);
    return ok;
}
