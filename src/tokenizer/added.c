/* added.c: loading and finding added tokens; see added.h.
 *
 * The tokens of a kind stand in a sorted array; those that start with the text at hand are found by
 * narrowing a range of it byte by byte (a trie without nodes), the longest one wins. Few bytes
 * start a token at all, so most of a text costs one look-up each.
 */
#include "tokenizer/added.h"
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "tokenizer/spec.h"
#include "tokenizer/unicode.h"

struct added_token {
    char *match; /* what is looked for */
    size_t length;
    int id;
    bool special, single_word, lstrip, rstrip, normalized;
};

struct kind {
    const struct added_token **sorted; /* by match */
    int n;
    bool starts[256]; /* first bytes */
};

struct added_tokens {
    struct added_token *list;
    int n;
    struct kind kinds[2];    /* raw, normalized */
    bool *special, *skipped; /* by id, below size */
    int size;
};

struct loader {
    struct added_tokens *a;
    struct vocab *vocab;
    const struct normalizer *normalizer;
    matcher *matcher;
    struct map specials; /* contents of special tokens */
    const char *where;
    struct err *err;
};

/* --- loading --- */

/* The reference gives an added token the id it has in the vocabulary, else the next free one,
 * whatever the file says: a file that says otherwise would mean other ids there. */
static int check_id(const struct loader *l, const char *content, size_t length, long long id)
{
    int expected = vocab_id(l->vocab, content, length);
    if (expected < 0) {
        expected = (int)l->vocab->model.count;
        for (int i = 0; i < l->a->n; i++)
            if (l->a->list[i].id >= expected)
                expected = l->a->list[i].id + 1;
    }
    if (id == expected)
        return ERR_NONE;
    return err_set(l->err, ERR_INPUT, l->where,
                   "added token \"%.60s\" has id %lld, but it would be given %d: added tokens must "
                   "continue the vocabulary without a gap",
                   content, id, expected);
}

static int load_flags(const struct loader *l, const json_t *entry, struct added_token *a)
{
    const struct {
        const char *key;
        bool *flag;
    } flags[] = {{"special", &a->special},
                 {"normalized", &a->normalized},
                 {"single_word", &a->single_word},
                 {"lstrip", &a->lstrip},
                 {"rstrip", &a->rstrip}};
    int status = ERR_NONE;
    for (size_t i = 0; i < sizeof flags / sizeof *flags && !status; i++) {
        if (i == 1)
            a->normalized = !a->special; /* when it does not say */
        status = json_get_bool(flags[i].flag, entry, flags[i].key, false, l->where, l->err);
    }
    return status;
}

static bool same_flags(const struct added_token *a, const struct added_token *b)
{
    return a->special == b->special && a->normalized == b->normalized &&
           a->single_word == b->single_word && a->lstrip == b->lstrip && a->rstrip == b->rstrip;
}

/* What a normalized token looks like in a normalized text; decoding gives that, too. */
static int set_match(const struct loader *l, struct added_token *a, struct slice content)
{
    struct origin_text text = {0};
    int status = ERR_NONE;
    if (a->normalized) {
        status =
            normalize(l->normalizer, l->matcher, &text, content.data, content.length, 0, l->err);
        content = (struct slice){str_text(&text.text), text.text.length};
    }
    if (!status && !content.length)
        status = spec_refuse(l->where, l->err, "an added token that the normalizer leaves empty");
    if (!status && a->normalized && !vocab_set_text(l->vocab, a->id, content.data, content.length))
        status = err_no_memory(l->err, l->where, content.length);
    a->match = status ? NULL : mem_strndup(content.data, content.length);
    a->length = content.length;
    str_free(&text.text);
    if (!status && !a->match)
        status = err_no_memory(l->err, l->where, a->length);
    return status;
}

static int load_token(struct loader *l, const json_t *entry)
{
    struct slice content;
    long long id;
    struct added_token a = {0};
    int status;
    if ((status = spec_text(&content, entry, "content", l->where, l->err)) ||
        (status = json_get_int(&id, entry, "id", true, l->where, l->err)))
        return status;
    if (!content.length) /* the reference leaves it out */
        return ERR_NONE;
    if ((status = load_flags(l, entry, &a)) ||
        (status = check_id(l, content.data, content.length, id)))
        return status;
    for (int i = 0; i < l->a->n; i++)
        if (l->a->list[i].id == id)
            return same_flags(&l->a->list[i], &a)
                       ? ERR_NONE
                       : err_set(l->err, ERR_INPUT, l->where,
                                 "added token \"%.60s\" is there twice, with other settings",
                                 content.data);
    status =
        vocab_put(l->vocab, &l->vocab->added, content.data, content.length, id, l->where, l->err);
    a.id = (int)id;
    if (!status)
        status = set_match(l, &a, content);
    if (status)
        return status;
    l->a->list[l->a->n++] = a;
    if (a.special && !map_put(&l->specials, content.data, content.length, a.id))
        return err_no_memory(l->err, l->where, content.length);
    return ERR_NONE;
}

static int by_match(const void *a, const void *b)
{
    const struct added_token *x = *(const struct added_token *const *)a;
    const struct added_token *y = *(const struct added_token *const *)b;
    int order = memcmp(x->match, y->match, x->length < y->length ? x->length : y->length);
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

static int sort_kind(const struct loader *l, bool normalized)
{
    struct kind *k = &l->a->kinds[normalized];
    k->sorted = mem_calloc((size_t)l->a->n + 1, sizeof *k->sorted);
    if (!k->sorted)
        return err_no_memory(l->err, l->where, (size_t)l->a->n * sizeof *k->sorted);
    for (int i = 0; i < l->a->n; i++) {
        const struct added_token *a = &l->a->list[i];
        if (a->normalized != normalized)
            continue;
        k->sorted[k->n++] = a;
        k->starts[(unsigned char)a->match[0]] = true;
    }
    qsort(k->sorted, (size_t)k->n, sizeof *k->sorted, by_match);
    for (int i = 1; i < k->n; i++)
        if (by_match(&k->sorted[i - 1], &k->sorted[i]) == 0)
            return err_set(l->err, ERR_INPUT, l->where,
                           "two added tokens are the same text after normalization: \"%.60s\"",
                           k->sorted[i]->match);
    return ERR_NONE;
}

/* The reference asks whether the text it is about to decode is that of a special token. */
static int mark_special(const struct loader *l)
{
    struct added_tokens *a = l->a;
    a->size = l->vocab->size;
    a->special = mem_calloc((size_t)a->size + 1, sizeof *a->special);
    a->skipped = mem_calloc((size_t)a->size + 1, sizeof *a->skipped);
    if (!a->special || !a->skipped)
        return err_no_memory(l->err, l->where, (size_t)a->size);
    for (int i = 0; i < a->n; i++) {
        int id = a->list[i].id;
        a->special[id] = a->list[i].special;
        a->skipped[id] = map_get(&l->specials, l->vocab->tokens[id], l->vocab->lengths[id], NULL);
    }
    return ERR_NONE;
}

static int load(struct loader *l, const json_t *list)
{
    size_t n = json_array_size(list);
    if (list && !json_is_null(list) && !json_is_array(list))
        return err_set(l->err, ERR_INPUT, l->where, "\"added_tokens\" is %s, expected a list",
                       json_type_name(list));
    l->matcher = matcher_create();
    l->a->list = mem_calloc(n + 1, sizeof *l->a->list);
    if (!l->a->list || !l->matcher)
        return err_no_memory(l->err, l->where, n * sizeof *l->a->list);
    int status = ERR_NONE;
    for (size_t i = 0; i < n && !status; i++)
        status = load_token(l, json_array_get(list, i));
    if (!status)
        status = sort_kind(l, false);
    if (!status)
        status = sort_kind(l, true);
    return status ? status : mark_special(l);
}

int added_tokens_create(struct added_tokens **out, struct vocab *vocab, const struct normalizer *n,
                        const json_t *list, const char *where, struct err *err)
{
    *out = NULL;
    struct added_tokens *a = mem_calloc(1, sizeof *a);
    if (!a)
        return err_no_memory(err, where, sizeof *a);
    struct loader l = {.a = a, .vocab = vocab, .normalizer = n, .where = where, .err = err};
    int status = load(&l, list);
    matcher_free(l.matcher);
    map_free(&l.specials);
    if (status)
        added_tokens_free(a);
    else
        *out = a;
    return status;
}

void added_tokens_free(struct added_tokens *a)
{
    if (!a)
        return;
    for (int i = 0; i < a->n; i++)
        mem_free(a->list[i].match);
    for (int i = 0; i < 2; i++)
        mem_free(a->kinds[i].sorted);
    mem_free(a->list);
    mem_free(a->special);
    mem_free(a->skipped);
    mem_free(a);
}

bool added_is_special(const struct added_tokens *a, int id)
{
    return id >= 0 && id < a->size && a->special[id];
}

bool added_is_skipped(const struct added_tokens *a, int id)
{
    return id >= 0 && id < a->size && a->skipped[id];
}

/* --- finding --- */

/* First of sorted[low, high) whose byte at `depth` is at least `byte`; all agree before it. */
static int first_at_least(const struct kind *k, int low, int high, size_t depth, int byte)
{
    while (low < high) {
        int middle = (low + high) / 2;
        const struct added_token *a = k->sorted[middle];
        if (a->length <= depth || (unsigned char)a->match[depth] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The longest token that starts at text, or NULL. */
static const struct added_token *longest(const struct kind *k, const char *text, size_t length)
{
    const struct added_token *found = NULL;
    int low = 0, high = k->n;
    if (!k->starts[(unsigned char)text[0]])
        return NULL;
    for (size_t depth = 0; depth < length && low < high; depth++) {
        int byte = (unsigned char)text[depth];
        low = first_at_least(k, low, high, depth, byte);
        high = first_at_least(k, low, high, depth, byte + 1);
        if (low < high && k->sorted[low]->length == depth + 1)
            found = k->sorted[low];
    }
    return found;
}

/* The code point that ends at text[length), −1 when there is none. */
static int32_t last_char(const char *text, size_t length, size_t *start)
{
    size_t i = length;
    while (i && ((unsigned char)text[i - 1] & 0xC0) == 0x80)
        i--;
    if (!i)
        return -1;
    int32_t c;
    utf8_decode(text + i - 1, length - i + 1, &c);
    *start = i - 1;
    return c;
}

/* No word character right before or after. */
static bool stands_alone(const char *text, size_t length, size_t from, size_t to)
{
    size_t start;
    int32_t c = last_char(text, from, &start);
    if (c >= 0 && unicode_is_word(c))
        return false;
    if (to == length)
        return true;
    utf8_decode(text + to, length - to, &c);
    return !unicode_is_word(c);
}

/* The spaces that lstrip and rstrip take along: not those before `done`; *space_end is how far the
 * spaces after an earlier token are known to reach (a run of them is walked once, however many
 * tokens are found in it). */
static void widen(const struct added_token *a, const char *text, size_t length, size_t done,
                  size_t *space_end, size_t *from, size_t *to)
{
    size_t start = 0;
    int32_t c;
    while (a->lstrip && *from > done && unicode_is_space(last_char(text, *from, &start)))
        *from = start;
    if (a->lstrip && *from < done)
        *from = done;
    if (!a->rstrip)
        return;
    if (*to < *space_end)
        *to = *space_end;
    while (*to < length) {
        int n = utf8_decode(text + *to, length - *to, &c);
        if (!unicode_is_space(c))
            break;
        *to += (size_t)n;
    }
    *space_end = *to;
}

/* Tokens are looked for without regard to stripped spaces, as in the reference: one that starts
 * inside the spaces after an rstrip token is found, too, and the text goes on after it. */
int added_cut(const struct added_tokens *a, bool normalized, const char *text, size_t length,
              added_piece *piece, void *context)
{
    size_t done = 0, space_end = 0;
    int status = ERR_NONE;
    for (size_t at = 0; at < length && !status;) {
        const struct added_token *found = longest(&a->kinds[normalized], text + at, length - at);
        if (!found) {
            at++;
            continue;
        }
        size_t from = at, to = at + found->length;
        at = to;
        if (found->single_word && !stands_alone(text, length, from, to))
            continue;
        widen(found, text, length, done, &space_end, &from, &to);
        if (from > done)
            status = piece(context, -1, text + done, done, from - done);
        if (!status && from < to) /* else nothing of it is left */
            status = piece(context, found->id, text + from, from, to - from);
        done = to;
    }
    if (!status && done < length)
        status = piece(context, -1, text + done, done, length - done);
    return status;
}
