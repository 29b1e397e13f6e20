/* bpe_model.c: loading a BPE model and encoding a word; see bpe_model.h.
 *
 * A word's characters become symbols (ids), bpe.c merges them; after that text is never looked at.
 * Symbols of the basic plane are one look-up in a table.
 *
 * A SentencePiece model has no pre-tokenizer: its word is the whole text. As a rule no merge of it
 * joins anything with a "▁" that follows (tokens are words with the mark in front, or runs of
 * marks). Then merging falls apart at those marks into words that cannot affect each other, and
 * each is looked up in the cache, or merged, alone. Whether it is so is found out from the merges
 * at loading; where not, the whole text goes through the heap, which is O(n log n).
 */
#include "tokenizer/bpe_model.h"
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "tokenizer/spec.h"

enum { TABLE = 0x10000, MAX_CACHED = 64, MAX_WORDS = 1 << 16, MAX_CACHED_IDS = 1 << 20 };

static const char mark[] = "\xE2\x96\x81"; /* ▁ */
enum { MARK_LENGTH = 3 };

struct bpe_model {
    struct vocab *vocab;
    struct merge_table merges;
    int32_t *chars;    /* ids of the characters below TABLE, −1: none */
    int byte_ids[256]; /* <0x00> … <0xFF>, −1: none */
    bool byte_fallback, fuse_unk, ignore_merges;
    bool has_unk; /* says unk_token … */
    char *unk_text;
    int unk;               /* … which is −1 when it is no token */
    char *prefix, *suffix; /* of the symbols after the first, and of the last; NULL: none */
    bool cut_at_marks;
};

/* --- loading --- */

struct loader {
    struct bpe_model *m;
    const json_t *spec;
    const char *where;
    struct err *err;
};

static int load_vocab(const struct loader *l)
{
    struct bpe_model *m = l->m;
    const json_t *vocab = json_object_get(l->spec, "vocab");
    if (!json_is_object(vocab))
        return err_set(l->err, ERR_INPUT, l->where, "\"model.vocab\" is %s, expected an object",
                       json_type_name(vocab));
    m->chars = mem_alloc(TABLE * sizeof *m->chars);
    if (!m->chars)
        return err_no_memory(l->err, l->where, TABLE * sizeof *m->chars);
    memset(m->chars, -1, TABLE * sizeof *m->chars);
    const char *token;
    json_t *id;
    json_object_foreach((json_t *)(uintptr_t)vocab, token, id)
    {
        if (!json_is_integer(id))
            return err_set(l->err, ERR_INPUT, l->where,
                           "the id of token \"%.60s\" is %s, expected an integer", token,
                           json_type_name(id));
        size_t length = strlen(token);
        int status = vocab_put(m->vocab, &m->vocab->model, token, length, json_integer_value(id),
                               l->where, l->err);
        if (status)
            return status;
        int32_t c;
        if (length && (size_t)utf8_decode(token, length, &c) == length && c >= 0 && c < TABLE)
            m->chars[c] = (int32_t)json_integer_value(id);
    }
    for (int b = 0; b < 256; b++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)b);
        m->byte_ids[b] = vocab_id(m->vocab, name, 6);
    }
    return ERR_NONE;
}

/* The two parts of a merge: ["a", "b"], or "a b" with exactly one space. */
static bool merge_parts(const json_t *merge, struct slice *left, struct slice *right)
{
    if (json_is_array(merge) && json_array_size(merge) == 2) {
        const json_t *a = json_array_get(merge, 0), *b = json_array_get(merge, 1);
        if (!json_is_string(a) || !json_is_string(b))
            return false;
        *left = (struct slice){json_string_value(a), json_string_length(a)};
        *right = (struct slice){json_string_value(b), json_string_length(b)};
        return true;
    }
    if (!json_is_string(merge))
        return false;
    const char *text = json_string_value(merge), *space = strchr(text, ' ');
    if (!space || strchr(space + 1, ' ') || strlen(text) != json_string_length(merge))
        return false;
    *left = (struct slice){text, (size_t)(space - text)};
    *right = (struct slice){space + 1, strlen(space + 1)};
    return true;
}

static bool starts_with_mark(struct slice s)
{
    return s.length >= MARK_LENGTH && memcmp(s.data, mark, MARK_LENGTH) == 0;
}

static bool ends_with_mark(struct slice s)
{
    return s.length >= MARK_LENGTH &&
           memcmp(s.data + s.length - MARK_LENGTH, mark, MARK_LENGTH) == 0;
}

/* One merge; rank counts those before it. */
static int add_merge(const struct loader *l, struct str *joined, size_t rank, const json_t *merge)
{
    struct bpe_model *m = l->m;
    struct slice a, b;
    int32_t left, right, id;
    if (!merge_parts(merge, &a, &b))
        return err_set(l->err, ERR_INPUT, l->where,
                       "merge %zu is neither \"left right\" nor [left, right]", rank);
    size_t skip = m->prefix ? strlen(m->prefix) : 0;
    str_clear(joined);
    str_append(joined, a.data, a.length);
    str_append(joined, b.data + (skip <= b.length ? skip : 0),
               b.length - (skip <= b.length ? skip : 0));
    if (joined->failed)
        return err_no_memory(l->err, l->where, a.length + b.length);
    if (skip > b.length || !map_get(&m->vocab->model, a.data, a.length, &left) ||
        !map_get(&m->vocab->model, b.data, b.length, &right) ||
        !map_get(&m->vocab->model, str_text(joined), joined->length, &id))
        return err_set(l->err, ERR_INPUT, l->where,
                       "merge %zu (\"%.*s\" and \"%.*s\") uses or makes a token that is not in the "
                       "vocabulary",
                       rank, (int)(a.length < 40 ? a.length : 40), a.data,
                       (int)(b.length < 40 ? b.length : 40), b.data);
    if (starts_with_mark(b) && !ends_with_mark(a))
        m->cut_at_marks = false;
    if (!merge_table_put(&m->merges, left, right, (int)rank, id))
        return err_no_memory(l->err, l->where, rank);
    return ERR_NONE;
}

/* Whether merging falls apart before marks, as far as symbols go (add_merge looks at the merges): a
 * mark is a symbol, and no character vanishes, which would make neighbours of two marks. */
static bool may_cut_at_marks(const struct bpe_model *m)
{
    bool expressed = m->byte_fallback;
    for (int b = 0; b < 256; b++)
        expressed = expressed && m->byte_ids[b] >= 0;
    return !m->prefix && !m->suffix && m->chars[0x2581] >= 0 &&
           (m->has_unk ? !ends_with_mark(slice_of(m->unk_text)) : expressed);
}

static int load_merges(const struct loader *l)
{
    const json_t *merges = json_object_get(l->spec, "merges");
    if (!json_is_array(merges))
        return err_set(l->err, ERR_INPUT, l->where, "\"model.merges\" is %s, expected a list",
                       json_type_name(merges));
    struct bpe_model *m = l->m;
    m->cut_at_marks = may_cut_at_marks(m);
    struct str joined = {0};
    int status = ERR_NONE;
    for (size_t i = 0; i < json_array_size(merges) && !status; i++) {
        const char *line = json_string_value(json_array_get(merges, i));
        if (!line || strncmp(line, "#version", 8) != 0) /* the reference skips these */
            status = add_merge(l, &joined, i, json_array_get(merges, i));
    }
    str_free(&joined);
    return status;
}

/* A string that may be null, copied; "" counts as none where `empty_is_none`. */
static int load_text(const struct loader *l, char **out, const char *key, bool empty_is_none)
{
    const char *text = NULL;
    int status = json_get_string(&text, l->spec, key, false, l->where, l->err);
    if (status || !text || (empty_is_none && !*text))
        return status;
    *out = mem_strdup(text);
    return *out ? ERR_NONE : err_no_memory(l->err, l->where, strlen(text));
}

static int load_options(const struct loader *l)
{
    struct bpe_model *m = l->m;
    double dropout = 0;
    int status;
    if ((status = json_get_double(&dropout, l->spec, "dropout", false, l->where, l->err)))
        return status;
    if (dropout != 0)
        return spec_refuse(l->where, l->err, "\"model.dropout\"");
    if ((status =
             json_get_bool(&m->ignore_merges, l->spec, "ignore_merges", false, l->where, l->err)) ||
        (status =
             json_get_bool(&m->byte_fallback, l->spec, "byte_fallback", false, l->where, l->err)) ||
        (status = json_get_bool(&m->fuse_unk, l->spec, "fuse_unk", false, l->where, l->err)) ||
        (status = load_text(l, &m->prefix, "continuing_subword_prefix", true)) ||
        (status = load_text(l, &m->suffix, "end_of_word_suffix", true)) ||
        (status = load_text(l, &m->unk_text, "unk_token", false)))
        return status;
    m->has_unk = m->unk_text != NULL;
    return ERR_NONE;
}

static int load(const struct loader *l)
{
    const char *type = "BPE";
    int status;
    if (!json_is_object(l->spec))
        return err_set(l->err, ERR_INPUT, l->where, "\"model\" is %s, expected an object",
                       json_type_name(l->spec));
    if ((status = json_get_string(&type, l->spec, "type", false, l->where, l->err)))
        return status;
    if (strcmp(type, "BPE") != 0)
        return err_set(l->err, ERR_INPUT, l->where,
                       "model type \"%.40s\" is not supported (known: BPE)", type);
    if ((status = load_options(l)) || (status = load_vocab(l)) || (status = load_merges(l)))
        return status;
    struct bpe_model *m = l->m;
    m->unk = m->has_unk ? vocab_id(m->vocab, m->unk_text, strlen(m->unk_text)) : -1;
    return ERR_NONE;
}

int bpe_model_create(struct bpe_model **out, struct vocab *vocab, const json_t *spec,
                     const char *where, struct err *err)
{
    *out = NULL;
    struct bpe_model *m = mem_calloc(1, sizeof *m);
    if (!m)
        return err_no_memory(err, where, sizeof *m);
    m->vocab = vocab;
    struct loader l = {m, spec, where, err};
    int status = load(&l);
    if (status)
        bpe_model_free(m);
    else
        *out = m;
    return status;
}

void bpe_model_free(struct bpe_model *m)
{
    if (!m)
        return;
    merge_table_free(&m->merges);
    mem_free(m->chars);
    mem_free(m->unk_text);
    mem_free(m->prefix);
    mem_free(m->suffix);
    mem_free(m);
}

/* --- encoding --- */

void bpe_cache_free(struct bpe_cache *c)
{
    ids_free(&c->symbols);
    bpe_scratch_free(&c->merging);
    str_free(&c->affixed);
    map_free(&c->known);
    ids_free(&c->words);
}

static int no_memory(struct err *err, size_t length)
{
    return err_no_memory(err, "tokenizer", length);
}

/* The id of a character where it stands (−1: none), and the text it is looked up by. */
static int symbol_of(const struct bpe_model *m, struct bpe_cache *c, struct slice *text, bool first,
                     bool last)
{
    bool prefixed = m->prefix && !first, suffixed = m->suffix && last;
    int32_t id = -1;
    if (prefixed || suffixed) {
        str_clear(&c->affixed);
        if (prefixed)
            str_puts(&c->affixed, m->prefix);
        str_append(&c->affixed, text->data, text->length);
        if (suffixed)
            str_puts(&c->affixed, m->suffix);
        *text = (struct slice){str_text(&c->affixed), c->affixed.length};
    } else if (text->length <= 3) {
        int32_t code;
        utf8_decode(text->data, text->length, &code);
        return m->chars[code];
    }
    map_get(&m->vocab->model, text->data, text->length, &id);
    return id;
}

/* All bytes of a text as <0xNN> symbols: 1; 0 when one of them is no token; −1: memory is out. */
static int push_bytes(const struct bpe_model *m, struct ids *symbols, struct slice text)
{
    for (size_t i = 0; i < text.length; i++)
        if (m->byte_ids[(unsigned char)text.data[i]] < 0)
            return 0;
    for (size_t i = 0; i < text.length; i++)
        if (ids_push(symbols, m->byte_ids[(unsigned char)text.data[i]]))
            return -1;
    return 1;
}

/* The symbols of a word. An unknown one waits until the next known symbol, to be fused with others;
 * bytes of the fallback go past it, as in the reference. */
static int put_symbols(const struct bpe_model *m, struct bpe_cache *c, const char *word,
                       size_t length, struct err *err)
{
    bool waiting = false;
    c->symbols.count = 0;
    for (size_t at = 0; at < length;) {
        int32_t code;
        size_t n = (size_t)utf8_decode(word + at, length - at, &code);
        struct slice text = {word + at, n};
        int id = symbol_of(m, c, &text, at == 0, at + n == length);
        at += n;
        if (c->affixed.failed)
            return no_memory(err, length);
        if (id >= 0) {
            if ((waiting && ids_push(&c->symbols, m->unk)) || ids_push(&c->symbols, id))
                return no_memory(err, length);
            waiting = false;
            continue;
        }
        int fallen = m->byte_fallback ? push_bytes(m, &c->symbols, text) : 0;
        if (fallen < 0)
            return no_memory(err, length);
        if (fallen || !m->has_unk)
            continue;
        if (m->unk < 0)
            return err_set(err, ERR_INPUT, "text",
                           "has a character that is not in the vocabulary, and the tokenizer's "
                           "\"unk_token\" \"%.60s\" is not, either",
                           m->unk_text);
        if (waiting && !m->fuse_unk && ids_push(&c->symbols, m->unk))
            return no_memory(err, length);
        waiting = true;
    }
    return waiting && ids_push(&c->symbols, m->unk) ? no_memory(err, length) : ERR_NONE;
}

static int push_all(struct ids *out, const int *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ids_push(out, ids[i]))
            return ERR_MACHINE;
    return ERR_NONE;
}

static int merge_part(const struct bpe_model *m, struct bpe_cache *c, struct ids *out,
                      const char *part, size_t length, struct err *err)
{
    int32_t place;
    bool cached = c->use_cache && length <= MAX_CACHED;
    if (cached && map_get(&c->known, part, length, &place))
        return push_all(out, c->words.data + place + 1, (size_t)c->words.data[place])
                   ? no_memory(err, length)
                   : ERR_NONE;
    int status = put_symbols(m, c, part, length, err);
    if (status)
        return status;
    long n = bpe_merge(&m->merges, &c->merging, c->symbols.data, c->symbols.count);
    if (n < 0 || push_all(out, c->symbols.data, (size_t)n))
        return no_memory(err, length);
    if (!cached || c->known.count >= MAX_WORDS || c->words.count >= MAX_CACHED_IDS)
        return ERR_NONE;
    place = (int32_t)c->words.count;
    if (ids_push(&c->words, (int)n) || push_all(&c->words, c->symbols.data, (size_t)n) ||
        !map_put(&c->known, part, length, place))
        return no_memory(err, length);
    return ERR_NONE;
}

static bool mark_at(const char *word, size_t length, size_t at)
{
    return length - at >= MARK_LENGTH && memcmp(word + at, mark, MARK_LENGTH) == 0;
}

int bpe_model_encode(const struct bpe_model *m, struct bpe_cache *c, struct ids *out,
                     const char *word, size_t length, struct err *err)
{
    int32_t id;
    if (m->ignore_merges && map_get(&m->vocab->model, word, length, &id))
        return ids_push(out, id) ? no_memory(err, length) : ERR_NONE;
    if (!m->cut_at_marks)
        return merge_part(m, c, out, word, length, err);
    size_t start = 0;
    bool after_mark = true;
    int status = ERR_NONE;
    for (size_t at = 0; at < length && !status;) {
        bool is_mark = word[at] == mark[0] && mark_at(word, length, at);
        if (is_mark && !after_mark) {
            status = merge_part(m, c, out, word + start, at - start, err);
            start = at;
        }
        after_mark = is_mark;
        at += is_mark ? MARK_LENGTH : 1;
    }
    return status ? status : merge_part(m, c, out, word + start, length - start, err);
}
