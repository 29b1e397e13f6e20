/* decode.c: decoders as a pipeline; see decode.h.
 *
 * In the reference each decoder turns a whole list of token texts into another list. Here the list
 * flows: a step is told pieces of a token's text (put), that the token is complete (end_token), and
 * that there are no more (finish), and tells the next step the same. Decoding at once and streaming
 * are the same calls, so they cannot differ. A step holds back only what may still change: most of
 * them a token, ByteFallback a run of bytes, ByteLevel an unfinished character, Fuse nothing. Texts
 * between steps are always whole characters.
 */
#include "tokenizer/decode.h"
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "tokenizer/bytes.h"
#include "tokenizer/spec.h"

enum kind {
    BYTE_LEVEL,
    BYTE_FALLBACK,
    FUSE,
    STRIP,
    REPLACE,
    METASPACE,
    WORD_PIECE,
    BPE_SUFFIX,
    CTC,
    JOIN /* no decoder at all */
};

struct step {
    enum kind kind;
    pattern *pattern;           /* replace */
    char *texts[2];             /* replace: content; word piece: prefix; suffix; pad, delimiter */
    size_t lengths[2];          /* of them */
    bool cleanup;               /* word piece, CTC */
    struct metaspace metaspace; /* its character also for strip */
    long long start, stop;      /* strip */
};

enum { MAX_STEPS = 32 };

struct decoder {
    struct step steps[MAX_STEPS];
    int n;
};

/* --- loading --- */

struct loader {
    struct decoder *d;
    const char *where;
    struct err *err;
};

static struct step *new_step(const struct loader *l, enum kind kind)
{
    if (l->d->n == MAX_STEPS) {
        err_set(l->err, ERR_INPUT, l->where, "the decoder has more than %d steps", (int)MAX_STEPS);
        return NULL;
    }
    struct step *s = &l->d->steps[l->d->n++];
    *s = (struct step){.kind = kind};
    return s;
}

static int get_text(const struct loader *l, struct step *s, int i, const json_t *spec,
                    const char *key)
{
    struct slice text;
    int status = spec_text(&text, spec, key, l->where, l->err);
    if (status)
        return status;
    s->texts[i] = mem_strndup(text.data, text.length);
    s->lengths[i] = text.length;
    return s->texts[i] ? ERR_NONE : err_no_memory(l->err, l->where, text.length);
}

/* A text that is looked for: not an empty one. */
static int get_pattern_text(const struct loader *l, struct step *s, int i, const json_t *spec,
                            const char *key)
{
    int status = get_text(l, s, i, spec, key);
    return !status && !s->lengths[i]
               ? spec_refuse(l->where, l->err, "a decoder with an empty \"%s\"", key)
               : status;
}

static int load_strip(const struct loader *l, struct step *s, const json_t *spec)
{
    int status;
    if ((status = spec_char(&s->metaspace.character, spec, "content", l->where, l->err)) ||
        (status = json_get_int(&s->start, spec, "start", true, l->where, l->err)) ||
        (status = json_get_int(&s->stop, spec, "stop", true, l->where, l->err)))
        return status;
    if (s->start < 0 || s->stop < 0)
        return err_set(l->err, ERR_INPUT, l->where,
                       "decoder Strip has \"start\" %lld and \"stop\" %lld, expected none below 0",
                       s->start, s->stop);
    return ERR_NONE;
}

static int load_replace(const struct loader *l, struct step *s, const json_t *spec)
{
    int status = spec_pattern(&s->pattern, spec, "decoder Replace", l->where, l->err);
    return status ? status : get_text(l, s, 0, spec, "content");
}

static int load_metaspace(const struct loader *l, struct step *s, const json_t *spec)
{
    return spec_metaspace(&s->metaspace, spec, l->where, l->err);
}

static int load_word_piece(const struct loader *l, struct step *s, const json_t *spec)
{
    int status = get_text(l, s, 0, spec, "prefix");
    return status ? status : json_get_bool(&s->cleanup, spec, "cleanup", true, l->where, l->err);
}

static int load_suffix(const struct loader *l, struct step *s, const json_t *spec)
{
    return get_pattern_text(l, s, 0, spec, "suffix");
}

static int load_ctc(const struct loader *l, struct step *s, const json_t *spec)
{
    int status;
    if ((status = get_pattern_text(l, s, 0, spec, "pad_token")) ||
        (status = get_pattern_text(l, s, 1, spec, "word_delimiter_token")))
        return status;
    return json_get_bool(&s->cleanup, spec, "cleanup", true, l->where, l->err);
}

static int load_component(const struct loader *l, const json_t *spec)
{
    static const struct {
        const char *name;
        enum kind kind;
        int (*load)(const struct loader *l, struct step *s, const json_t *spec);
    } known[] = {{"ByteLevel", BYTE_LEVEL, NULL},
                 {"ByteFallback", BYTE_FALLBACK, NULL},
                 {"Fuse", FUSE, NULL},
                 {"Strip", STRIP, load_strip},
                 {"Replace", REPLACE, load_replace},
                 {"Metaspace", METASPACE, load_metaspace},
                 {"WordPiece", WORD_PIECE, load_word_piece},
                 {"BPEDecoder", BPE_SUFFIX, load_suffix},
                 {"CTC", CTC, load_ctc}};
    const char *type;
    const json_t *list;
    int status = spec_type(&type, spec, "decoder", l->where, l->err);
    if (status)
        return status;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(type, known[i].name) != 0)
            continue;
        struct step *s = new_step(l, known[i].kind);
        if (!s)
            return ERR_INPUT;
        return known[i].load ? known[i].load(l, s, spec) : ERR_NONE;
    }
    if (strcmp(type, "Sequence") != 0)
        return spec_refuse(l->where, l->err, "decoder \"%.40s\"", type);
    status = spec_list(&list, spec, "decoder", "decoders", l->where, l->err);
    for (size_t i = 0; !status && i < json_array_size(list); i++)
        status = load_component(l, json_array_get(list, i));
    return status;
}

int decoder_create(struct decoder **out, const json_t *spec, const char *where, struct err *err)
{
    *out = NULL;
    struct decoder *d = mem_calloc(1, sizeof *d);
    if (!d)
        return err_no_memory(err, where, sizeof *d);
    struct loader l = {d, where, err};
    int status = ERR_NONE;
    if (spec && !json_is_null(spec))
        status = load_component(&l, spec);
    else
        new_step(&l, JOIN);
    if (status)
        decoder_free(d);
    else
        *out = d;
    return status;
}

void decoder_free(struct decoder *d)
{
    if (!d)
        return;
    for (int i = 0; i < d->n; i++) {
        pattern_free(d->steps[i].pattern);
        mem_free(d->steps[i].texts[0]);
        mem_free(d->steps[i].texts[1]);
    }
    mem_free(d);
}

/* --- running --- */

struct state {
    struct str token; /* read so far */
    struct str held;  /* fallback: bytes; byte level: an unfinished character; else: token before */
    bool has_held;    /* for those that hold a token */
    size_t index;     /* of the token being read */
    long long skipped; /* strip: characters dropped at this token's start, −1: past them */
};

struct decoding {
    const struct decoder *d;
    matcher *m;
    struct state states[MAX_STEPS];
    struct str scratch[2];
    struct str *out;
    struct err *err;
    int status; /* the first error; nothing is done after it */
};

static void put(struct decoding *s, int i, const char *text, size_t length);
static void end_token(struct decoding *s, int i);
static void finish(struct decoding *s, int i);

static void put_token(struct decoding *s, int i, const char *text, size_t length)
{
    put(s, i, text, length);
    end_token(s, i);
}

static void put_all(struct decoding *s, int i, const struct str *text)
{
    if (text->failed && !s->status)
        s->status = err_no_memory(s->err, "tokenizer", text->length);
    put(s, i, str_text(text), text->length);
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

static const char replacement[] = "\xEF\xBF\xBD";

static void put_lossy(struct decoding *s, int i, const char *bytes, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t start = at, n = 0;
        bool whole = true;
        while (at < length) {
            n = maximal_subpart((const unsigned char *)bytes + at, length - at, &whole);
            if (!whole)
                break;
            at += n;
        }
        if (at > start)
            put(s, i, bytes + start, at - start);
        if (!whole) {
            put(s, i, replacement, 3);
            at += n;
        }
    }
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

/* The bytes a token stands for: byte by byte when every character is in the byte alphabet, else its
 * own text (an added token with, say, a CJK character). All tokens become one. */
static void end_byte_level(struct decoding *s, int i)
{
    struct state *state = &s->states[i];
    struct str *bytes = &state->held;
    const char *token = str_text(&state->token);
    size_t before = bytes->length, length = state->token.length;
    for (size_t at = 0; at < length;) {
        int32_t c;
        at += (size_t)utf8_decode(token + at, length - at, &c);
        int byte = byte_from_char(c);
        if (byte < 0) {
            bytes->length = before;
            str_append(bytes, token, length);
            break;
        }
        str_putc(bytes, (char)byte);
    }
    size_t held = unfinished(str_text(bytes), bytes->length);
    put_lossy(s, i + 1, str_text(bytes), bytes->length - held);
    if (held)
        memmove(bytes->data, bytes->data + bytes->length - held, held);
    bytes->length = held;
}

/* "<0x41>": the byte, else −1. The two places are read as Rust reads a number, plus sign and all.
 */
static int fallback_byte(const char *token, size_t length)
{
    int value = 0;
    if (length != 6 || memcmp(token, "<0x", 3) != 0 || token[5] != '>')
        return -1;
    for (int k = token[3] == '+' ? 4 : 3; k < 5; k++) {
        int digit = hex_digit(token[k]);
        if (digit < 0)
            return -1;
        value = 16 * value + digit;
    }
    return value;
}

/* A run of bytes is text as a whole or not at all. */
static void flush_bytes(struct decoding *s, int i)
{
    struct str *bytes = &s->states[i].held;
    if (bytes->length && utf8_valid(str_text(bytes), bytes->length)) {
        put_all(s, i + 1, bytes);
        end_token(s, i + 1);
    } else {
        for (size_t k = 0; k < bytes->length; k++)
            put_token(s, i + 1, replacement, 3);
    }
    str_clear(bytes);
}

static void end_byte_fallback(struct decoding *s, int i)
{
    const struct str *token = &s->states[i].token;
    int byte = fallback_byte(str_text(token), token->length);
    if (byte >= 0) {
        str_putc(&s->states[i].held, (char)byte);
        return;
    }
    flush_bytes(s, i);
    put_all(s, i + 1, token);
    end_token(s, i + 1);
}

/* The first characters of each token, where they are the one to be stripped. */
static void put_strip(struct decoding *s, int i, const char *text, size_t length)
{
    const struct step *step = &s->d->steps[i];
    struct state *state = &s->states[i];
    while (length && state->skipped >= 0) {
        int32_t c;
        size_t n = (size_t)utf8_decode(text, length, &c);
        if (state->skipped == step->start || c != step->metaspace.character) {
            state->skipped = -1;
            break;
        }
        state->skipped++;
        text += n;
        length -= n;
    }
    if (step->stop)
        str_append(&state->token, text, length);
    else
        put(s, i + 1, text, length);
}

static void end_strip(struct decoding *s, int i)
{
    const struct step *step = &s->d->steps[i];
    struct state *state = &s->states[i];
    size_t length = state->token.length;
    const char *text = str_text(&state->token);
    for (long long k = 0; k < step->stop && length; k++) {
        size_t start = length - 1;
        int32_t c;
        while (start && ((unsigned char)text[start] & 0xC0) == 0x80)
            start--;
        utf8_decode(text + start, length - start, &c);
        if (c != step->metaspace.character)
            break;
        length = start;
    }
    put_token(s, i + 1, text, length);
    state->skipped = 0;
}

static void end_replace(struct decoding *s, int i)
{
    const struct step *step = &s->d->steps[i];
    const struct str *token = &s->states[i].token;
    struct str *out = &s->scratch[0];
    str_clear(out);
    if (!s->status)
        s->status = pattern_replace(step->pattern, s->m, out, str_text(token), token->length,
                                    (struct slice){step->texts[0], step->lengths[0]}, NULL, s->err);
    put_all(s, i + 1, out);
    end_token(s, i + 1);
}

static void end_metaspace(struct decoding *s, int i)
{
    const struct metaspace *m = &s->d->steps[i].metaspace;
    const struct str *token = &s->states[i].token;
    struct str *out = &s->scratch[0];
    const char *text = str_text(token);
    bool drop = s->states[i].index == 0 && m->prepend != PREPEND_NEVER;
    str_clear(out);
    for (size_t at = 0; at < token->length;) {
        int32_t c;
        size_t n = (size_t)utf8_decode(text + at, token->length - at, &c);
        if (c != m->character)
            str_append(out, text + at, n);
        else if (!drop)
            str_putc(out, ' ');
        at += n;
    }
    put_all(s, i + 1, out);
    end_token(s, i + 1);
}

/* Appends text with every `from` replaced by `to`, left to right. */
static void put_replaced(struct str *out, struct slice text, struct slice from, struct slice to)
{
    while (text.length >= from.length) {
        const char *found = memmem(text.data, text.length, from.data, from.length);
        if (!found)
            break;
        size_t before = (size_t)(found - text.data);
        str_append(out, text.data, before);
        str_append(out, to.data, to.length);
        text.data += before + from.length;
        text.length -= before + from.length;
    }
    str_append(out, text.data, text.length);
}

/* English spacing put right, one rule after the other; from and to scratch[0]. What had no memory
 * stays there as it is: the text that follows would hide it. */
static void clean_up(struct decoding *s)
{
    static const char *const rules[][2] = {
        {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
        {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
        {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
    };
    for (size_t k = 0; k < sizeof rules / sizeof *rules && !s->scratch[0].failed; k++) {
        struct str swap = s->scratch[0];
        str_clear(&s->scratch[1]);
        put_replaced(&s->scratch[1], (struct slice){str_text(&swap), swap.length},
                     slice_of(rules[k][0]), slice_of(rules[k][1]));
        s->scratch[0] = s->scratch[1];
        s->scratch[1] = swap;
    }
}

static void end_word_piece(struct decoding *s, int i)
{
    const struct step *step = &s->d->steps[i];
    const struct str *token = &s->states[i].token;
    const char *text = str_text(token);
    size_t n = step->lengths[0];
    bool continues = token->length >= n && memcmp(text, step->texts[0], n) == 0;
    if (s->states[i].index == 0 || !continues)
        n = 0;
    str_clear(&s->scratch[0]);
    if (s->states[i].index && !continues)
        str_putc(&s->scratch[0], ' ');
    str_append(&s->scratch[0], text + n, token->length - n);
    if (step->cleanup)
        clean_up(s);
    put_all(s, i + 1, &s->scratch[0]);
    end_token(s, i + 1);
}

/* The end-of-word suffix is a space, except in the last token: one is held back. */
static void flush_suffix(struct decoding *s, int i, const char *to)
{
    const struct step *step = &s->d->steps[i];
    struct state *state = &s->states[i];
    if (!state->has_held)
        return;
    str_clear(&s->scratch[0]);
    put_replaced(&s->scratch[0], (struct slice){str_text(&state->held), state->held.length},
                 (struct slice){step->texts[0], step->lengths[0]}, slice_of(to));
    put_all(s, i + 1, &s->scratch[0]);
    end_token(s, i + 1);
}

static void hold_token(struct state *state)
{
    str_clear(&state->held);
    str_append(&state->held, str_text(&state->token), state->token.length);
    state->has_held = true;
}

static void end_suffix(struct decoding *s, int i)
{
    flush_suffix(s, i, " ");
    hold_token(&s->states[i]);
}

static void end_ctc(struct decoding *s, int i)
{
    const struct step *step = &s->d->steps[i];
    struct state *state = &s->states[i];
    const struct str *token = &state->token, *before = &state->held;
    if (state->has_held && token->length == before->length &&
        memcmp(str_text(token), str_text(before), token->length) == 0)
        return;
    hold_token(state);
    str_clear(&s->scratch[0]);
    put_replaced(&s->scratch[0], (struct slice){str_text(token), token->length},
                 (struct slice){step->texts[0], step->lengths[0]}, slice_of(""));
    if (step->cleanup)
        clean_up(s);
    bool delimited = step->cleanup && !s->scratch[0].failed;
    if (delimited) {
        str_clear(&s->scratch[1]);
        put_replaced(&s->scratch[1], (struct slice){str_text(&s->scratch[0]), s->scratch[0].length},
                     (struct slice){step->texts[1], step->lengths[1]}, slice_of(" "));
    }
    const struct str *out = &s->scratch[delimited];
    if (!out->length && !out->failed)
        return;
    put_all(s, i + 1, out);
    end_token(s, i + 1);
}

static void put(struct decoding *s, int i, const char *text, size_t length)
{
    if (s->status || !length)
        return;
    if (i == s->d->n) {
        str_append(s->out, text, length);
        return;
    }
    switch (s->d->steps[i].kind) {
    case FUSE:
        put(s, i + 1, text, length);
        return;
    case STRIP:
        put_strip(s, i, text, length);
        return;
    default:
        str_append(&s->states[i].token, text, length);
    }
}

static void end_token(struct decoding *s, int i)
{
    if (s->status || i == s->d->n)
        return;
    struct state *state = &s->states[i];
    switch (s->d->steps[i].kind) {
    case BYTE_LEVEL:
        end_byte_level(s, i);
        break;
    case BYTE_FALLBACK:
        end_byte_fallback(s, i);
        break;
    case FUSE:
        break;
    case STRIP:
        end_strip(s, i);
        break;
    case REPLACE:
        end_replace(s, i);
        break;
    case METASPACE:
        end_metaspace(s, i);
        break;
    case WORD_PIECE:
        end_word_piece(s, i);
        break;
    case BPE_SUFFIX:
        end_suffix(s, i);
        break;
    case CTC:
        end_ctc(s, i);
        break;
    case JOIN:
        if (state->index)
            put(s, i + 1, " ", 1);
        put_all(s, i + 1, &state->token);
        break;
    }
    if ((state->token.failed || state->held.failed) && !s->status)
        s->status = err_no_memory(s->err, "tokenizer", state->token.length);
    str_clear(&state->token);
    state->index++;
}

static void finish(struct decoding *s, int i)
{
    if (s->status || i == s->d->n)
        return;
    struct state *state = &s->states[i];
    switch (s->d->steps[i].kind) {
    case BYTE_LEVEL:
        put_lossy(s, i + 1, str_text(&state->held), state->held.length);
        end_token(s, i + 1);
        break;
    case FUSE:
        end_token(s, i + 1);
        break;
    case BYTE_FALLBACK:
        flush_bytes(s, i);
        break;
    case BPE_SUFFIX:
        flush_suffix(s, i, "");
        break;
    default:
        break;
    }
    finish(s, i + 1);
}

int decoding_create(struct decoding **out, const struct decoder *d, struct err *err)
{
    *out = NULL;
    struct decoding *s = mem_calloc(1, sizeof *s);
    matcher *m = s ? matcher_create() : NULL;
    if (!m) {
        mem_free(s);
        return err_no_memory(err, "tokenizer", sizeof *s);
    }
    s->d = d;
    s->m = m;
    *out = s;
    return ERR_NONE;
}

void decoding_free(struct decoding *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->d->n; i++) {
        str_free(&s->states[i].token);
        str_free(&s->states[i].held);
    }
    str_free(&s->scratch[0]);
    str_free(&s->scratch[1]);
    matcher_free(s->m);
    mem_free(s);
}

static int result(struct decoding *s)
{
    if (!s->status && s->out->failed)
        s->status = err_no_memory(s->err, "tokenizer", s->out->length);
    return s->status;
}

int decoding_put(struct decoding *s, struct str *out, const char *token, size_t length,
                 struct err *err)
{
    s->out = out;
    s->err = err;
    put_token(s, 0, token, length);
    return result(s);
}

int decoding_end(struct decoding *s, struct str *out, struct err *err)
{
    s->out = out;
    s->err = err;
    finish(s, 0);
    return result(s);
}
