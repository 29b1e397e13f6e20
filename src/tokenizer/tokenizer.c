/* tokenizer.c: tokenizer.json to a byte-level BPE tokenizer, encoding and decoding; see
 * tokenizer.h.
 *
 * Order of encoding, as in the reference: added tokens that are not normalized are cut out of the
 * raw text; the rest is normalized (NFC); added tokens that are normalized are cut out; what
 * remains is pre-tokenized into words; each word's bytes become symbols and are merged.
 *
 * Byte-level vocabularies spell each byte as one printable character (GPT-2's table). Symbols for
 * single bytes are looked up once at loading; after that merging works on ids and never sees text.
 */
#include "tokenizer/tokenizer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "tokenizer/bpe.h"
#include "tokenizer/pattern.h"
#include "tokenizer/pretokenize.h"
#include "tokenizer/unicode.h"

enum { MAX_ID = 1 << 24, MAX_EDGE_IDS = 16, BYTE_CHARS = 256 + 68 };

struct added_token {
    char *content; /* as matched: normalized when the token is */
    size_t length;
    int id;
    bool special, single_word, lstrip, rstrip, normalized;
};

struct tokenizer {
    char **tokens; /* by id; NULL: no such id */
    size_t *lengths;
    int size;             /* largest id + 1 */
    size_t capacity;      /* of the three arrays by id */
    struct map vocab;     /* of the model … */
    struct map added_ids; /* … and of added tokens that are not in it */
    struct merge_table merges;
    bool ignore_merges, nfc;
    int char_of[256];        /* the character that spells a byte … */
    int byte_of[BYTE_CHARS]; /* … and back, −1: none */
    int byte_ids[256];       /* symbol of a single byte, −1: none */
    int unk;                 /* −1: none */
    bool fuse_unk;           /* consecutive unknown bytes are one unknown symbol */
    struct pretokenizer *pre;
    struct added_token *added; /* longest first */
    int n_added;
    bool starts_added[256]; /* first bytes of added tokens */
    bool *special;          /* by id */
    pattern *word_char;     /* what single_word tokens must not touch; NULL: there are none */
    int prefix[MAX_EDGE_IDS], n_prefix, suffix[MAX_EDGE_IDS], n_suffix;
    bool has_template;
    long long truncation; /* the file's own limit, −1: none */
};

int ids_push(struct ids *ids, int id)
{
    if (ids->count == ids->capacity) {
        size_t capacity = ids->capacity ? 2 * ids->capacity : 64;
        int *data = mem_realloc(ids->data, capacity * sizeof *data);
        if (!data)
            return ERR_MACHINE;
        ids->data = data;
        ids->capacity = capacity;
    }
    ids->data[ids->count++] = id;
    return 0;
}

void ids_free(struct ids *ids)
{
    mem_free(ids->data);
    *ids = (struct ids){0};
}

/* --- GPT-2's byte alphabet: printable Latin-1 stands for itself, the other 68 bytes for U+0100 …
 * --- */

static bool byte_is_printable(int b)
{
    return (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
}

static void make_alphabet(tokenizer *t)
{
    int next = 256;
    for (int c = 0; c < BYTE_CHARS; c++)
        t->byte_of[c] = -1;
    for (int b = 0; b < 256; b++) {
        t->char_of[b] = byte_is_printable(b) ? b : next++;
        t->byte_of[t->char_of[b]] = b;
    }
}

/* --- loading --- */

struct loader {
    tokenizer *t;
    const json_t *root;
    const char *where;
    struct err *err;
};

static int refuse(const struct loader *l, const char *what)
{
    return err_set(l->err, ERR_INPUT, l->where, "%s is not supported: ids could be wrong", what);
}

/* Room for `size` ids. Geometric growth: mem_realloc always copies. */
static int reserve_ids(const struct loader *l, size_t size)
{
    tokenizer *t = l->t;
    size_t capacity = t->capacity ? t->capacity : 1024;
    while (capacity < size)
        capacity *= 2;
    if (capacity == t->capacity)
        return ERR_NONE;
    char **tokens = mem_realloc(t->tokens, capacity * sizeof *tokens);
    if (tokens)
        t->tokens = tokens;
    size_t *lengths = tokens ? mem_realloc(t->lengths, capacity * sizeof *lengths) : NULL;
    if (lengths)
        t->lengths = lengths;
    bool *special = lengths ? mem_realloc(t->special, capacity * sizeof *special) : NULL;
    if (!special)
        return err_no_memory(l->err, l->where, capacity * sizeof *tokens);
    t->special = special;
    t->capacity = capacity;
    return ERR_NONE;
}

static int set_token(const struct loader *l, struct map *names, const char *content, size_t length,
                     long long id)
{
    tokenizer *t = l->t;
    if (id < 0 || id >= MAX_ID)
        return err_set(l->err, ERR_INPUT, l->where, "token \"%.60s\" has id %lld, expected 0 to %d",
                       content, id, (int)MAX_ID - 1);
    if (id >= t->size) {
        size_t old = (size_t)t->size, size = (size_t)id + 1;
        int status = reserve_ids(l, size);
        if (status)
            return status;
        for (size_t i = old; i < size; i++) {
            t->tokens[i] = NULL;
            t->lengths[i] = 0;
            t->special[i] = false;
        }
        t->size = (int)size;
    }
    if (t->tokens[id]) {
        if (t->lengths[id] == length && memcmp(t->tokens[id], content, length) == 0)
            return ERR_NONE;
        return err_set(l->err, ERR_INPUT, l->where,
                       "id %lld belongs to both \"%.60s\" and \"%.60s\"", id, t->tokens[id],
                       content);
    }
    t->tokens[id] = mem_strndup(content, length);
    t->lengths[id] = length;
    if (!t->tokens[id] || !map_put(names, content, length, (int32_t)id))
        return err_no_memory(l->err, l->where, length);
    return ERR_NONE;
}

static int load_vocab(const struct loader *l, const json_t *model)
{
    const json_t *vocab = json_object_get(model, "vocab");
    if (!json_is_object(vocab))
        return err_set(l->err, ERR_INPUT, l->where, "\"model.vocab\" is %s, expected an object",
                       json_type_name(vocab));
    const char *token;
    json_t *id;
    json_object_foreach((json_t *)(uintptr_t)vocab, token, id)
    {
        if (!json_is_integer(id))
            return err_set(l->err, ERR_INPUT, l->where,
                           "the id of token \"%.60s\" is %s, expected an integer", token,
                           json_type_name(id));
        int status = set_token(l, &l->t->vocab, token, strlen(token), json_integer_value(id));
        if (status)
            return status;
    }
    for (int b = 0; b < 256; b++) {
        struct str symbol = {0};
        str_put_utf8(&symbol, (uint32_t)l->t->char_of[b]);
        int32_t found = -1;
        map_get(&l->t->vocab, str_text(&symbol), symbol.length, &found);
        l->t->byte_ids[b] = found;
        bool failed = symbol.failed;
        str_free(&symbol);
        if (failed) /* not a byte without a token */
            return err_no_memory(l->err, l->where, 4);
    }
    return ERR_NONE;
}

/* The two parts of a merge: ["a", "b"], or "a b" with exactly one space (byte-level text has no
 * other). */
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
    if (!space || strchr(space + 1, ' '))
        return false;
    *left = (struct slice){text, (size_t)(space - text)};
    *right = (struct slice){space + 1, strlen(space + 1)};
    return true;
}

static int load_merges(const struct loader *l, const json_t *model)
{
    tokenizer *t = l->t;
    const json_t *merges = json_object_get(model, "merges");
    if (!json_is_array(merges))
        return err_set(l->err, ERR_INPUT, l->where, "\"model.merges\" is %s, expected a list",
                       json_type_name(merges));
    struct str joined = {0};
    int status = ERR_NONE;
    for (size_t i = 0; i < json_array_size(merges) && !status; i++) {
        struct slice a, b;
        int32_t left, right, id;
        const char *line = json_string_value(json_array_get(merges, i));
        if (line && strncmp(line, "#version", 8) == 0) /* the reference skips these */
            continue;
        if (!merge_parts(json_array_get(merges, i), &a, &b)) {
            status = err_set(l->err, ERR_INPUT, l->where,
                             "merge %zu is neither \"left right\" nor [left, right]", i);
            break;
        }
        str_clear(&joined);
        str_append(&joined, a.data, a.length);
        str_append(&joined, b.data, b.length);
        if (joined.failed)
            status = err_no_memory(l->err, l->where, a.length + b.length);
        else if (!map_get(&t->vocab, a.data, a.length, &left) ||
                 !map_get(&t->vocab, b.data, b.length, &right) ||
                 !map_get(&t->vocab, str_text(&joined), joined.length, &id))
            status = err_set(l->err, ERR_INPUT, l->where,
                             "merge %zu (\"%.*s\" and \"%.*s\") uses or makes a token that is "
                             "not in the vocabulary",
                             i, (int)(a.length < 40 ? a.length : 40), a.data,
                             (int)(b.length < 40 ? b.length : 40), b.data);
        else if (!merge_table_put(&t->merges, left, right, (int)i, id))
            status = err_no_memory(l->err, l->where, i);
    }
    str_free(&joined);
    return status;
}

static bool present(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return value && !json_is_null(value) && !json_is_false(value) &&
           !(json_is_string(value) && json_string_length(value) == 0) &&
           !(json_is_number(value) && json_number_value(value) == 0);
}

static int load_model(const struct loader *l)
{
    const json_t *model = json_object_get(l->root, "model");
    if (!json_is_object(model))
        return err_set(l->err, ERR_INPUT, l->where, "\"model\" is %s, expected an object",
                       json_type_name(model));
    const char *type = "BPE", *unk = NULL;
    int status = json_get_string(&type, model, "type", false, l->where, l->err);
    if (status)
        return status;
    if (strcmp(type, "BPE") != 0)
        return err_set(l->err, ERR_INPUT, l->where,
                       "model type \"%.40s\" is not supported (known: byte-level BPE)", type);
    static const char *const refused[] = {"dropout", "continuing_subword_prefix",
                                          "end_of_word_suffix", "byte_fallback"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char what[80];
        snprintf(what, sizeof what, "\"model.%s\"", refused[i]);
        if (present(model, refused[i]))
            return refuse(l, what);
    }
    if ((status = json_get_bool(&l->t->ignore_merges, model, "ignore_merges", false, l->where,
                                l->err)) ||
        (status = json_get_string(&unk, model, "unk_token", false, l->where, l->err)) ||
        (status = load_vocab(l, model)) || (status = load_merges(l, model)))
        return status;
    l->t->fuse_unk = present(model, "fuse_unk");
    l->t->unk = unk ? tokenizer_token_id(l->t, unk, strlen(unk)) : -1;
    for (int b = 0; unk && l->t->unk < 0 && b < 256; b++)
        if (l->t->byte_ids[b] < 0)
            return err_set(l->err, ERR_INPUT, l->where,
                           "\"model.unk_token\" \"%.60s\" is not in the vocabulary, which lacks "
                           "byte %d",
                           unk, b);
    return ERR_NONE;
}

static int load_normalizer(const struct loader *l, const json_t *spec)
{
    if (!spec || json_is_null(spec))
        return ERR_NONE;
    const char *type;
    int status = json_get_string(&type, spec, "type", true, l->where, l->err);
    if (status)
        return status;
    if (strcmp(type, "NFC") == 0) {
        l->t->nfc = true;
        return ERR_NONE;
    }
    if (strcmp(type, "Sequence") == 0) {
        const json_t *list = json_object_get(spec, "normalizers");
        if (!json_is_array(list))
            return refuse(l, "a normalizer Sequence without a list");
        for (size_t i = 0; i < json_array_size(list) && !status; i++)
            status = load_normalizer(l, json_array_get(list, i));
        return status;
    }
    char what[80];
    snprintf(what, sizeof what, "normalizer \"%.40s\"", type);
    return refuse(l, what);
}

static int load_decoder(const struct loader *l, const json_t *spec)
{
    const char *type = NULL;
    if (!json_is_object(spec))
        return refuse(l, "a tokenizer without a decoder");
    int status = json_get_string(&type, spec, "type", true, l->where, l->err);
    if (status)
        return status;
    if (strcmp(type, "ByteLevel") == 0)
        return ERR_NONE;
    const json_t *list = json_object_get(spec, "decoders");
    if (strcmp(type, "Sequence") == 0 && json_array_size(list) == 1)
        return load_decoder(l, json_array_get(list, 0));
    char what[80];
    snprintf(what, sizeof what, "decoder \"%.40s\"", type);
    return refuse(l, what);
}

/* TemplateProcessing's "single": special tokens before and after the sequence A. */
static int load_template(const struct loader *l, const json_t *spec)
{
    tokenizer *t = l->t;
    const json_t *single = json_object_get(spec, "single"), *piece;
    const json_t *specials = json_object_get(spec, "special_tokens");
    bool after = false;
    size_t i;
    if (t->has_template)
        return refuse(l, "more than one TemplateProcessing");
    t->has_template = true;
    json_array_foreach(single, i, piece)
    {
        const json_t *sequence = json_object_get(piece, "Sequence");
        if (sequence) {
            const char *which = json_string_value(json_object_get(sequence, "id"));
            if (after || !which || strcmp(which, "A") != 0)
                return refuse(l, "this TemplateProcessing");
            after = true;
            continue;
        }
        const char *name =
            json_string_value(json_object_get(json_object_get(piece, "SpecialToken"), "id"));
        const json_t *ids = name ? json_object_get(json_object_get(specials, name), "ids") : NULL;
        if (!json_is_array(ids))
            return refuse(l, "this TemplateProcessing");
        for (size_t k = 0; k < json_array_size(ids); k++) {
            int *edge = after ? t->suffix : t->prefix, *n = after ? &t->n_suffix : &t->n_prefix;
            const json_t *id = json_array_get(ids, k);
            if (*n == MAX_EDGE_IDS || !json_is_integer(id))
                return refuse(l, "this TemplateProcessing");
            if (json_integer_value(id) < 0 || json_integer_value(id) >= t->size ||
                !t->tokens[json_integer_value(id)])
                return err_set(l->err, ERR_INPUT, l->where,
                               "TemplateProcessing puts id %lld around a text, which is no token",
                               (long long)json_integer_value(id));
            edge[(*n)++] = (int)json_integer_value(id);
        }
    }
    return after ? ERR_NONE : refuse(l, "a TemplateProcessing without the sequence A");
}

static int load_post_processor(const struct loader *l, const json_t *spec)
{
    if (!spec || json_is_null(spec))
        return ERR_NONE;
    const char *type;
    int status = json_get_string(&type, spec, "type", true, l->where, l->err);
    if (status)
        return status;
    if (strcmp(type, "ByteLevel") == 0) /* concerns offsets only */
        return ERR_NONE;
    if (strcmp(type, "TemplateProcessing") == 0)
        return load_template(l, spec);
    if (strcmp(type, "Sequence") == 0) {
        const json_t *list = json_object_get(spec, "processors");
        if (!json_is_array(list))
            return refuse(l, "a post_processor Sequence without a list");
        for (size_t i = 0; i < json_array_size(list) && !status; i++)
            status = load_post_processor(l, json_array_get(list, i));
        return status;
    }
    char what[80];
    snprintf(what, sizeof what, "post_processor \"%.40s\"", type);
    return refuse(l, what);
}

/* The reference gives an added token the id it has in the vocabulary, else the next free one,
 * whatever the file says: a file that says otherwise would mean other ids there. */
static int check_added_id(const struct loader *l, const char *content, size_t length, long long id)
{
    const tokenizer *t = l->t;
    int32_t expected;
    if (!map_get(&t->vocab, content, length, &expected) &&
        !map_get(&t->added_ids, content, length, &expected)) {
        expected = (int)t->vocab.count;
        for (int i = 0; i < t->n_added; i++)
            if (t->added[i].id >= expected)
                expected = t->added[i].id + 1;
    }
    if (id == expected)
        return ERR_NONE;
    return err_set(l->err, ERR_INPUT, l->where,
                   "added token \"%.60s\" has id %lld, but it would be given %d: added tokens "
                   "must continue the vocabulary without a gap",
                   content, id, (int)expected);
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
    if (!status && a->single_word && !l->t->word_char)
        status = pattern_create_word(&l->t->word_char, l->where, l->err);
    return status;
}

static int load_added_token(const struct loader *l, const json_t *entry)
{
    tokenizer *t = l->t;
    const char *content;
    long long id;
    struct added_token a = {0};
    int status;
    if ((status = json_get_string(&content, entry, "content", true, l->where, l->err)) ||
        (status = json_get_int(&id, entry, "id", true, l->where, l->err)))
        return status;
    size_t length = json_string_length(json_object_get(entry, "content"));
    if (!length) /* the reference leaves it out */
        return ERR_NONE;
    if ((status = load_flags(l, entry, &a)) || (status = check_added_id(l, content, length, id)) ||
        (status = set_token(l, &t->added_ids, content, length, id)))
        return status;
    t->special[id] = a.special;
    struct str match = {0};
    if (a.normalized && t->nfc)
        status = unicode_nfc(&match, content, length, l->err);
    else
        str_append(&match, content, length);
    if (!status && match.failed)
        status = err_no_memory(l->err, l->where, length);
    if (!status && (match.length != length || memcmp(str_text(&match), content, length) != 0))
        status = refuse(l, "an added token that is normalized but not in NFC");
    a.id = (int)id;
    a.content = status ? NULL : mem_strndup(str_text(&match), match.length);
    a.length = match.length;
    str_free(&match);
    if (!status && !a.content)
        status = err_no_memory(l->err, l->where, length);
    if (!status) {
        t->starts_added[(unsigned char)a.content[0]] = true;
        t->added[t->n_added++] = a;
    }
    return status;
}

static int longest_first(const void *a, const void *b)
{
    const struct added_token *x = a, *y = b;
    if (x->length != y->length)
        return x->length > y->length ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static int load_added(const struct loader *l)
{
    const json_t *list = json_object_get(l->root, "added_tokens");
    if (!list || json_is_null(list))
        return ERR_NONE;
    if (!json_is_array(list))
        return err_set(l->err, ERR_INPUT, l->where, "\"added_tokens\" is %s, expected a list",
                       json_type_name(list));
    l->t->added = mem_calloc(json_array_size(list) + 1, sizeof *l->t->added);
    if (!l->t->added)
        return err_no_memory(l->err, l->where, json_array_size(list) * sizeof *l->t->added);
    int status = ERR_NONE;
    for (size_t i = 0; i < json_array_size(list) && !status; i++)
        status = load_added_token(l, json_array_get(list, i));
    if (!status)
        qsort(l->t->added, (size_t)l->t->n_added, sizeof *l->t->added, longest_first);
    return status;
}

/* Padding to the longest of a batch leaves one text alone. Truncation is kept for the moment a text
 * is longer: nobody can say then whether the file or the caller means it. */
static int load_limits(const struct loader *l)
{
    const json_t *padding = json_object_get(l->root, "padding");
    const json_t *truncation = json_object_get(l->root, "truncation");
    l->t->truncation = -1;
    if (json_is_object(padding)) {
        const char *strategy = json_string_value(json_object_get(padding, "strategy"));
        if (!strategy || strcmp(strategy, "BatchLongest") != 0 ||
            present(padding, "pad_to_multiple_of"))
            return refuse(l,
                          "\"padding\" (set it to null in the file): it is not BatchLongest, and");
    }
    if (!truncation || json_is_null(truncation))
        return ERR_NONE;
    return json_get_int(&l->t->truncation, truncation, "max_length", true, l->where, l->err);
}

int tokenizer_parse(tokenizer **out, const void *json, size_t size, const char *where,
                    struct err *err)
{
    *out = NULL;
    struct err local = {0}; /* the caller may have passed none, and the code is needed */
    json_t *root = json_read(json, size, JSON_UNIQUE_KEYS | JSON_NUL_ALLOWED, where, &local);
    if (!root)
        return err_set(err, local.code, where, "%s", local.message);
    tokenizer *t = mem_calloc(1, sizeof *t);
    struct loader l = {t, root, where, err};
    int status;
    if (t)
        make_alphabet(t);
    if (!t)
        status = err_no_memory(err, where, sizeof *t);
    else if (!json_is_object(root))
        status = err_set(err, ERR_INPUT, where, "is %s, expected an object", json_type_name(root));
    else if ((status = load_limits(&l)) ||
             (status = load_normalizer(&l, json_object_get(root, "normalizer"))) ||
             (status = load_model(&l)) || (status = load_added(&l)) ||
             (status = load_decoder(&l, json_object_get(root, "decoder"))) ||
             (status = load_post_processor(&l, json_object_get(root, "post_processor"))))
        ;
    else
        status = pretokenizer_create(&t->pre, json_object_get(root, "pre_tokenizer"), where, err);
    json_decref(root);
    if (status)
        tokenizer_free(t);
    else
        *out = t;
    return status;
}

int tokenizer_open(tokenizer **out, const char *path, struct err *err)
{
    struct str file = {0}, text = {0};
    if (dir_exists(path))
        path_join(&file, path, "tokenizer.json");
    else
        str_puts(&file, path);
    int status = file.failed ? err_no_memory(err, path, strlen(path))
                             : file_read(&text, str_text(&file), err);
    if (!status)
        status = tokenizer_parse(out, str_text(&text), text.length, str_text(&file), err);
    str_free(&file);
    str_free(&text);
    return status;
}

void tokenizer_free(tokenizer *t)
{
    if (!t)
        return;
    for (int i = 0; i < t->size; i++)
        mem_free(t->tokens[i]);
    for (int i = 0; i < t->n_added; i++)
        mem_free(t->added[i].content);
    mem_free(t->tokens);
    mem_free(t->lengths);
    mem_free(t->special);
    mem_free(t->added);
    map_free(&t->vocab);
    map_free(&t->added_ids);
    merge_table_free(&t->merges);
    pretokenizer_free(t->pre);
    pattern_free(t->word_char);
    mem_free(t);
}

int tokenizer_vocab_size(const tokenizer *t)
{
    return t->size;
}

int tokenizer_token_id(const tokenizer *t, const char *token, size_t length)
{
    int32_t id;
    if (map_get(&t->vocab, token, length, &id) || map_get(&t->added_ids, token, length, &id))
        return id;
    return -1;
}

bool tokenizer_is_special(const tokenizer *t, int id)
{
    return id >= 0 && id < t->size && t->special[id];
}

/* --- encoding --- */

struct encoding {
    const tokenizer *t;
    struct ids *out;
    matcher *matcher;
    struct bpe_scratch scratch;
    int *symbols;
    size_t capacity;
    struct str mapped;
    struct err *err;
};

static int no_memory(struct encoding *e)
{
    return err_no_memory(e->err, "tokenizer", e->capacity);
}

/* With ignore_merges a word that is a token of the model as a whole is that token. */
static int whole_word(struct encoding *e, const char *text, size_t length)
{
    str_clear(&e->mapped);
    for (size_t i = 0; i < length; i++)
        str_put_utf8(&e->mapped, (uint32_t)e->t->char_of[(unsigned char)text[i]]);
    int32_t id = -1;
    map_get(&e->t->vocab, str_text(&e->mapped), e->mapped.length, &id);
    return id;
}

static int encode_word(void *context, const char *text, size_t length)
{
    struct encoding *e = context;
    const tokenizer *t = e->t;
    if (t->ignore_merges) {
        int id = whole_word(e, text, length);
        if (e->mapped.failed)
            return no_memory(e);
        if (id >= 0)
            return ids_push(e->out, id) ? no_memory(e) : ERR_NONE;
    }
    if (length > e->capacity) {
        size_t capacity = 2 * length > 256 ? 2 * length : 256;
        int *symbols = mem_realloc(e->symbols, capacity * sizeof *symbols);
        if (!symbols)
            return no_memory(e);
        e->symbols = symbols;
        e->capacity = capacity;
    }
    size_t n = 0;
    bool unknown = false;
    for (size_t i = 0; i < length; i++) {
        int id = t->byte_ids[(unsigned char)text[i]];
        bool fused = id < 0 && unknown && t->fuse_unk;
        unknown = id < 0;
        if (unknown)
            id = t->unk;
        if (id >= 0 && !fused) /* the reference drops what it has no symbol for */
            e->symbols[n++] = id;
    }
    long left = bpe_merge(&t->merges, &e->scratch, e->symbols, n);
    if (left < 0)
        return no_memory(e);
    for (long i = 0; i < left; i++)
        if (ids_push(e->out, e->symbols[i]))
            return no_memory(e);
    return ERR_NONE;
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

/* The longest added token of the wanted kind that starts at text[at], or NULL. */
static const struct added_token *added_at(const tokenizer *t, const char *text, size_t length,
                                          size_t at, bool normalized)
{
    for (int i = 0; t->starts_added[(unsigned char)text[at]] && i < t->n_added; i++) {
        const struct added_token *a = &t->added[i];
        if (a->normalized == normalized && a->length <= length - at && text[at] == a->content[0] &&
            memcmp(text + at, a->content, a->length) == 0)
            return a;
    }
    return NULL;
}

/* No word character right before or after. */
static int standalone(struct encoding *e, const char *text, size_t length, size_t from, size_t to,
                      bool *yes)
{
    size_t begin, end, start = 0;
    int32_t c;
    int found = 0;
    if (last_char(text, from, &start) >= 0)
        found = pattern_match(e->t->word_char, e->matcher, text + start, from - start, 0, &begin,
                              &end, e->err);
    if (!found && to < length)
        found =
            pattern_match(e->t->word_char, e->matcher, text + to,
                          (size_t)utf8_decode(text + to, length - to, &c), 0, &begin, &end, e->err);
    *yes = found == 0;
    return found < 0 ? ERR_INPUT : ERR_NONE;
}

typedef int encode_piece(struct encoding *e, const char *text, size_t length);

/* The spaces that lstrip and rstrip take along. */
static void widen(const struct added_token *a, const char *text, size_t length, size_t done,
                  size_t *from, size_t *to)
{
    size_t start = 0;
    int32_t c;
    while (a->lstrip && *from > 0 && unicode_is_space(last_char(text, *from, &start)))
        *from = start;
    if (a->lstrip && *from < done)
        *from = done;
    while (a->rstrip && *to < length) {
        int n = utf8_decode(text + *to, length - *to, &c);
        if (!unicode_is_space(c))
            break;
        *to += (size_t)n;
    }
}

/* Cuts added tokens of one kind out of a text; what lies between goes to `rest`. Tokens are looked
 * for without regard to stripped spaces, as in the reference: one that starts inside the spaces
 * after an rstrip token is found, too, and the text goes on after it. */
static int cut_added(struct encoding *e, const char *text, size_t length, bool normalized,
                     encode_piece *rest)
{
    size_t done = 0;
    int status = ERR_NONE;
    for (size_t at = 0; at < length && !status;) {
        const struct added_token *a = added_at(e->t, text, length, at, normalized);
        if (!a) {
            at++;
            continue;
        }
        size_t from = at, to = at + a->length;
        bool alone = true;
        at = to;
        if (a->single_word)
            status = standalone(e, text, length, from, to, &alone);
        if (status || !alone)
            continue;
        widen(a, text, length, done, &from, &to);
        if (from > done)
            status = rest(e, text + done, from - done);
        if (!status && from < to && ids_push(e->out, a->id)) /* else nothing of it is left */
            status = no_memory(e);
        done = to;
    }
    if (!status && done < length)
        status = rest(e, text + done, length - done);
    return status;
}

static int encode_plain(struct encoding *e, const char *text, size_t length)
{
    return pretokenize(e->t->pre, e->matcher, text, length, encode_word, e, e->err);
}

static int encode_raw(struct encoding *e, const char *text, size_t length)
{
    if (!e->t->nfc)
        return cut_added(e, text, length, true, encode_plain);
    struct str normal = {0};
    int status = unicode_nfc(&normal, text, length, e->err);
    if (!status)
        status = cut_added(e, str_text(&normal), normal.length, true, encode_plain);
    str_free(&normal);
    return status;
}

static int push_all(struct encoding *e, const int *ids, int n)
{
    for (int i = 0; i < n; i++)
        if (ids_push(e->out, ids[i]))
            return no_memory(e);
    return ERR_NONE;
}

int tokenizer_encode(const tokenizer *t, struct ids *out, const char *text, size_t length,
                     bool with_special, struct err *err)
{
    if (!utf8_valid(text, length))
        return err_set(err, ERR_INPUT, "text", "is not valid UTF-8");
    struct encoding e = {.t = t, .out = out, .err = err};
    size_t before = out->count;
    e.matcher = matcher_create();
    if (!e.matcher)
        return err_no_memory(err, "tokenizer", length);
    int status = with_special ? push_all(&e, t->prefix, t->n_prefix) : ERR_NONE;
    if (!status)
        status = cut_added(&e, text, length, false, encode_raw);
    if (!status && with_special)
        status = push_all(&e, t->suffix, t->n_suffix);
    if (!status && t->truncation >= 0 && out->count - before > (size_t)t->truncation)
        status = err_set(err, ERR_INPUT, "text",
                         "has %zu ids, but tokenizer.json says \"truncation\" to %lld: set that to "
                         "null in the file, or shorten the text",
                         out->count - before, t->truncation);
    matcher_free(e.matcher);
    bpe_scratch_free(&e.scratch);
    mem_free(e.symbols);
    str_free(&e.mapped);
    return status;
}

/* --- decoding --- */

/* The bytes a token stands for: byte by byte when every character is in the byte alphabet, else its
 * own text (an added token with, say, a CJK character). */
static void put_token_bytes(const tokenizer *t, struct str *out, const char *token, size_t length)
{
    size_t before = out->length;
    for (size_t i = 0; i < length;) {
        int32_t c;
        i += (size_t)utf8_decode(token + i, length - i, &c);
        int byte = c >= 0 && c < BYTE_CHARS ? t->byte_of[c] : -1;
        if (byte < 0) {
            out->length = before;
            str_append(out, token, length);
            return;
        }
        str_putc(out, (char)byte);
    }
}

static int put_raw(const tokenizer *t, struct str *out, const int *ids, size_t count,
                   bool skip_special, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= t->size || !t->tokens[ids[i]])
            return err_set(err, ERR_INPUT, "ids",
                           "id %d at position %zu is no token; the vocabulary is 0 to %d", ids[i],
                           i, t->size - 1);
        if (!(skip_special && t->special[ids[i]]))
            put_token_bytes(t, out, t->tokens[ids[i]], t->lengths[ids[i]]);
    }
    return out->failed ? err_no_memory(err, "tokenizer", out->length) : ERR_NONE;
}

/* Length of the longest start of a well-formed sequence at b (at least 1), and whether it is a
 * whole one: what a decoder replaces by a single U+FFFD when it is not (Unicode 15, section 3.9,
 * U+FFFD Substitution of Maximal Subparts). */
static size_t maximal_subpart(const unsigned char *b, size_t length, bool *whole)
{
    int need = b[0] < 0x80                   ? 0
               : b[0] >= 0xC2 && b[0] < 0xE0 ? 1
               : b[0] >= 0xE0 && b[0] < 0xF0 ? 2
               : b[0] >= 0xF0 && b[0] < 0xF5 ? 3
                                             : -1;
    *whole = need == 0;
    if (need <= 0)
        return 1;
    unsigned low = b[0] == 0xE0 ? 0xA0 : b[0] == 0xF0 ? 0x90 : 0x80;
    unsigned high = b[0] == 0xED ? 0x9F : b[0] == 0xF4 ? 0x8F : 0xBF;
    size_t i = 1;
    for (; i <= (size_t)need && i < length && b[i] >= low && b[i] <= high; i++) {
        low = 0x80;
        high = 0xBF;
    }
    *whole = i == (size_t)need + 1;
    return i;
}

static void put_lossy(struct str *out, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length;) {
        bool whole;
        size_t n = maximal_subpart((const unsigned char *)bytes + i, length - i, &whole);
        if (whole)
            str_append(out, bytes + i, n);
        else
            str_puts(out, "\xEF\xBF\xBD");
        i += n;
    }
}

int tokenizer_decode(const tokenizer *t, struct str *out, const int *ids, size_t count,
                     bool skip_special, struct err *err)
{
    struct str raw = {0};
    int status = put_raw(t, &raw, ids, count, skip_special, err);
    if (!status)
        put_lossy(out, str_text(&raw), raw.length);
    str_free(&raw);
    if (!status && out->failed)
        status = err_no_memory(err, "tokenizer", count);
    return status;
}

/* Bytes at the end that may still become a character: a lead byte and what can follow it. */
static size_t unfinished(const char *bytes, size_t length)
{
    for (size_t back = 1; back <= 3 && back <= length; back++) {
        const unsigned char *b = (const unsigned char *)bytes + length - back;
        bool whole;
        if ((*b & 0xC0) == 0x80)
            continue;
        return *b >= 0xC2 && *b < 0xF5 && maximal_subpart(b, back, &whole) == back && !whole ? back
                                                                                             : 0;
    }
    return 0;
}

int tokenizer_decode_next(const tokenizer *t, struct decode_stream *stream, struct str *out, int id,
                          bool skip_special, struct err *err)
{
    struct str raw = {0};
    str_append(&raw, stream->held, stream->n_held);
    int status = put_raw(t, &raw, &id, 1, skip_special, err);
    if (!status) {
        size_t held = unfinished(str_text(&raw), raw.length);
        put_lossy(out, str_text(&raw), raw.length - held);
        memcpy(stream->held, str_text(&raw) + raw.length - held, held);
        stream->n_held = held;
        if (out->failed)
            status = err_no_memory(err, "tokenizer", out->length);
    }
    str_free(&raw);
    return status;
}

void tokenizer_decode_end(struct decode_stream *stream, struct str *out)
{
    put_lossy(out, stream->held, stream->n_held);
    stream->n_held = 0;
}
