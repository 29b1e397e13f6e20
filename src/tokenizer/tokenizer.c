/* tokenizer.c: the parts of a tokenizer.json put together; see tokenizer.h.
 *
 * Order of encoding, as in the reference: added tokens that are not normalized are cut out of the
 * raw text (added.c); each piece between them is normalized (normalize.c); added tokens that are
 * normalized are cut out of that; what remains is cut into words (pretokenize.c), and each word
 * becomes ids (bpe_model.c, bpe.c). With special tokens asked for, postprocess.c says what goes
 * around. Decoding takes the tokens' texts through decode.c.
 */
#include "tokenizer/tokenizer.h"
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "tokenizer/added.h"
#include "tokenizer/bpe_model.h"
#include "tokenizer/decode.h"
#include "tokenizer/normalize.h"
#include "tokenizer/postprocess.h"
#include "tokenizer/pretokenize.h"
#include "tokenizer/spec.h"
#include "tokenizer/vocab.h"

struct tokenizer {
    struct vocab vocab;
    struct normalizer *normalizer;
    struct bpe_model *model;
    struct added_tokens *added;
    struct pretokenizer *pre;
    struct post_processor post;
    struct decoder *decoder;
    const char *kind;
    long long truncation; /* the file's own limit, −1: none */
};

/* --- loading --- */

/* Padding to the longest of a batch leaves one text alone. Truncation is kept for the moment a text
 * is longer: nobody can say then whether the file or the caller means it. */
static int load_limits(tokenizer *t, const json_t *root, const char *where, struct err *err)
{
    const json_t *padding = json_object_get(root, "padding");
    const json_t *truncation = json_object_get(root, "truncation");
    t->truncation = -1;
    if (json_is_object(padding)) {
        const char *strategy = json_string_value(json_object_get(padding, "strategy"));
        const json_t *multiple = json_object_get(padding, "pad_to_multiple_of");
        if (!strategy || strcmp(strategy, "BatchLongest") != 0 ||
            (multiple && !json_is_null(multiple) && json_number_value(multiple) != 0))
            return spec_refuse(where, err,
                               "\"padding\" (set it to null in the file): it is not BatchLongest, "
                               "and");
    }
    if (!truncation || json_is_null(truncation))
        return ERR_NONE;
    return json_get_int(&t->truncation, truncation, "max_length", true, where, err);
}

/* ByteLevel may stand alone or in a Sequence, before the model or behind it. */
static bool mentions_byte_level(const json_t *spec)
{
    const char *type = json_string_value(json_object_get(spec, "type")), *key;
    json_t *value;
    size_t i;
    if (type && strcmp(type, "ByteLevel") == 0)
        return true;
    json_object_foreach((json_t *)(uintptr_t)spec, key, value)
    {
        const json_t *item;
        json_array_foreach(value, i, item)
        {
            type = json_string_value(json_object_get(item, "type"));
            if (type && strcmp(type, "ByteLevel") == 0)
                return true;
        }
    }
    return false;
}

static const char *kind_of(const json_t *root)
{
    if (json_is_true(json_object_get(json_object_get(root, "model"), "byte_fallback")))
        return "BPE with byte fallback";
    return mentions_byte_level(json_object_get(root, "pre_tokenizer")) ||
                   mentions_byte_level(json_object_get(root, "decoder"))
               ? "byte-level BPE"
               : "BPE";
}

static int load(tokenizer *t, const json_t *root, const char *where, struct err *err)
{
    int status;
    if (!json_is_object(root))
        return err_set(err, ERR_INPUT, where, "is %s, expected an object", json_type_name(root));
    t->kind = kind_of(root);
    if ((status = load_limits(t, root, where, err)) ||
        (status =
             normalizer_create(&t->normalizer, json_object_get(root, "normalizer"), where, err)) ||
        (status =
             bpe_model_create(&t->model, &t->vocab, json_object_get(root, "model"), where, err)) ||
        (status = added_tokens_create(&t->added, &t->vocab, t->normalizer,
                                      json_object_get(root, "added_tokens"), where, err)) ||
        (status =
             pretokenizer_create(&t->pre, json_object_get(root, "pre_tokenizer"), where, err)) ||
        (status = post_processor_load(&t->post, &t->vocab, json_object_get(root, "post_processor"),
                                      where, err)))
        return status;
    return decoder_create(&t->decoder, json_object_get(root, "decoder"), where, err);
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
    int status = t ? load(t, root, where, err) : err_no_memory(err, where, sizeof *t);
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
    *out = NULL;
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
    normalizer_free(t->normalizer);
    bpe_model_free(t->model);
    added_tokens_free(t->added);
    pretokenizer_free(t->pre);
    post_processor_free(&t->post);
    decoder_free(t->decoder);
    vocab_free(&t->vocab);
    mem_free(t);
}

const char *tokenizer_kind(const tokenizer *t)
{
    return t->kind;
}

int tokenizer_vocab_size(const tokenizer *t)
{
    return t->vocab.size;
}

int tokenizer_token_id(const tokenizer *t, const char *token, size_t length)
{
    return vocab_id(&t->vocab, token, length);
}

bool tokenizer_is_special(const tokenizer *t, int id)
{
    return added_is_special(t->added, id);
}

/* --- encoding --- */

struct encoding {
    const tokenizer *t;
    struct ids *out;
    matcher *matcher;
    struct bpe_cache cache;
    struct origin_text normal; /* the piece being cut, normalized */
    struct err *err;
};

enum { WORTH_A_CACHE = 512 }; /* bytes of text */

static int no_memory(struct encoding *e)
{
    return err_no_memory(e->err, "tokenizer", e->out->count * sizeof *e->out->data);
}

static int push_all(struct encoding *e, const struct ids *ids)
{
    for (size_t i = 0; i < ids->count; i++)
        if (ids_push(e->out, ids->data[i]))
            return no_memory(e);
    return ERR_NONE;
}

static int encode_word(void *context, const char *text, size_t length)
{
    struct encoding *e = context;
    return bpe_model_encode(e->t->model, &e->cache, e->out, text, length, e->err);
}

static int encode_normal_piece(void *context, int id, const char *text, size_t begin, size_t length)
{
    struct encoding *e = context;
    if (id >= 0)
        return ids_push(e->out, id) ? no_memory(e) : ERR_NONE;
    size_t zero = e->normal.zero > begin ? e->normal.zero - begin : 0;
    return pretokenize(e->t->pre, e->matcher, text, length, zero < length ? zero : length,
                       encode_word, e, e->err);
}

static int encode_raw_piece(void *context, int id, const char *text, size_t begin, size_t length)
{
    struct encoding *e = context;
    if (id >= 0)
        return ids_push(e->out, id) ? no_memory(e) : ERR_NONE;
    int32_t c;
    e->normal.zero = begin ? 0 : (size_t)utf8_decode(text, length, &c);
    if (!normalizer_is_empty(e->t->normalizer)) {
        str_clear(&e->normal.text);
        int status = normalize(e->t->normalizer, e->matcher, &e->normal, text, length,
                               e->normal.zero, e->err);
        if (status)
            return status;
        text = str_text(&e->normal.text);
        length = e->normal.text.length;
    }
    return added_cut(e->t->added, true, text, length, encode_normal_piece, e);
}

int tokenizer_encode(const tokenizer *t, struct ids *out, const char *text, size_t length,
                     bool with_special, struct err *err)
{
    if (!utf8_valid(text, length))
        return err_set(err, ERR_INPUT, "text", "is not valid UTF-8");
    struct encoding e = {.t = t, .out = out, .err = err};
    size_t before = out->count;
    e.cache.use_cache = length >= WORTH_A_CACHE;
    e.matcher = matcher_create();
    if (!e.matcher)
        return err_no_memory(err, "tokenizer", length);
    int status = with_special ? push_all(&e, &t->post.before) : ERR_NONE;
    if (!status)
        status = added_cut(t->added, false, text, length, encode_raw_piece, &e);
    if (!status && with_special)
        status = push_all(&e, &t->post.after);
    if (!status && t->truncation >= 0 && out->count - before > (size_t)t->truncation)
        status = err_set(err, ERR_INPUT, "text",
                         "has %zu ids, but tokenizer.json says \"truncation\" to %lld: set that to "
                         "null in the file, or shorten the text",
                         out->count - before, t->truncation);
    matcher_free(e.matcher);
    bpe_cache_free(&e.cache);
    str_free(&e.normal.text);
    return status;
}

/* --- decoding --- */

struct decode_stream {
    const tokenizer *t;
    bool skip_special;
    struct decoding *decoding;
};

static int put_id(struct decode_stream *s, struct str *out, int id, size_t position,
                  struct err *err)
{
    const struct vocab *v = &s->t->vocab;
    if (id < 0 || id >= v->size || !v->tokens[id])
        return err_set(err, ERR_INPUT, "ids",
                       "id %d at position %zu is no token; the vocabulary is 0 to %d", id, position,
                       v->size - 1);
    if (s->skip_special && added_is_skipped(s->t->added, id))
        return ERR_NONE;
    return decoding_put(s->decoding, out, v->tokens[id], v->lengths[id], err);
}

int tokenizer_decode(const tokenizer *t, struct str *out, const int *ids, size_t count,
                     bool skip_special, struct err *err)
{
    struct decode_stream s = {.t = t, .skip_special = skip_special};
    size_t before = out->length;
    int status = decoding_create(&s.decoding, t->decoder, err);
    for (size_t i = 0; i < count && !status; i++)
        status = put_id(&s, out, ids[i], i, err);
    if (!status)
        status = decoding_end(s.decoding, out, err);
    decoding_free(s.decoding);
    if (status && out->length > before) { /* nothing was decoded */
        out->length = before;
        out->data[before] = 0;
    }
    return status;
}

int decode_stream_create(struct decode_stream **out, const tokenizer *t, bool skip_special,
                         struct err *err)
{
    *out = NULL;
    struct decode_stream *s = mem_calloc(1, sizeof *s);
    if (!s)
        return err_no_memory(err, "tokenizer", sizeof *s);
    s->t = t;
    s->skip_special = skip_special;
    int status = decoding_create(&s->decoding, t->decoder, err);
    if (status)
        mem_free(s);
    else
        *out = s;
    return status;
}

int decode_stream_put(struct decode_stream *s, struct str *out, int id, struct err *err)
{
    return put_id(s, out, id, 0, err);
}

int decode_stream_end(struct decode_stream *s, struct str *out, struct err *err)
{
    return decoding_end(s->decoding, out, err);
}

void decode_stream_free(struct decode_stream *s)
{
    if (!s)
        return;
    decoding_free(s->decoding);
    mem_free(s);
}
