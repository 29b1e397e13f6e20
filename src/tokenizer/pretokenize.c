/* pretokenize.c: a list of steps, each handing its pieces to the next; see pretokenize.h.
 *
 * The reference runs one step over all pieces, then the next; going depth first gives the same
 * words in the same order, and needs one buffer a step where text is rewritten. Every piece carries
 * how many of its first bytes come from the original text's first character, as the only thing that
 * a step (Metaspace with prepend_scheme "first") asks about a piece's place.
 */
#include "tokenizer/pretokenize.h"
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "tokenizer/bytes.h"
#include "tokenizer/spec.h"
#include "tokenizer/unicode.h"

enum step_kind {
    STEP_REGEX,
    STEP_CHARS, /* each character of a kind is a match */
    STEP_WORDS, /* runs of word characters, and of those that are neither that nor space */
    STEP_LENGTH,
    STEP_PREFIX_SPACE,
    STEP_BYTES,
    STEP_METASPACE /* rewriting only; its cuts are a step of their own */
};

/* What becomes of the pieces that a pattern matched. */
enum behavior {
    ISOLATED,
    REMOVED,
    MERGED_WITH_PREVIOUS,
    MERGED_WITH_NEXT,
    CONTIGUOUS,
    N_BEHAVIORS
};

static const char *const behavior_names[N_BEHAVIORS] = {"Isolated", "Removed", "MergedWithPrevious",
                                                        "MergedWithNext", "Contiguous"};

struct step {
    enum step_kind kind;
    pattern *pattern;
    bool (*is_match)(int32_t c); /* NULL: the character `delimiter` */
    int32_t delimiter;
    enum behavior behavior;
    bool invert; /* what the pattern does not match counts as matched */
    long long length;
    struct metaspace metaspace;
};

enum { MAX_STEPS = 32 };

struct pretokenizer {
    struct step steps[MAX_STEPS];
    int n;
};

/* GPT-2's pattern, which ByteLevel uses unless told not to. */
static const char *const byte_level_pattern =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* --- loading --- */

struct loader {
    struct pretokenizer *p;
    const char *where;
    struct err *err;
};

static struct step *new_step(const struct loader *l, enum step_kind kind)
{
    if (l->p->n == MAX_STEPS) {
        err_set(l->err, ERR_INPUT, l->where, "pre_tokenizer has more than %d steps",
                (int)MAX_STEPS);
        return NULL;
    }
    struct step *s = &l->p->steps[l->p->n++];
    *s = (struct step){.kind = kind};
    return s;
}

static int add_chars(const struct loader *l, bool (*is_match)(int32_t c), int32_t delimiter,
                     enum behavior behavior)
{
    struct step *s = new_step(l, STEP_CHARS);
    if (!s)
        return ERR_INPUT;
    s->is_match = is_match;
    s->delimiter = delimiter;
    s->behavior = behavior;
    return ERR_NONE;
}

/* required: else *behavior stays when the key is absent. */
static int get_behavior(const struct loader *l, enum behavior *behavior, const json_t *spec,
                        const char *type, bool required)
{
    const char *name = behavior_names[*behavior];
    int status = json_get_string(&name, spec, "behavior", required, l->where, l->err);
    if (status)
        return status;
    int found = 0;
    while (found < N_BEHAVIORS && strcmp(behavior_names[found], name) != 0)
        found++;
    if (found == N_BEHAVIORS)
        return err_set(l->err, ERR_INPUT, l->where,
                       "pre_tokenizer %s with behavior \"%.40s\" is not supported", type, name);
    *behavior = (enum behavior)found;
    return ERR_NONE;
}

static int add_split(const struct loader *l, const json_t *spec)
{
    struct step *s = new_step(l, STEP_REGEX);
    if (!s)
        return ERR_INPUT;
    int status = get_behavior(l, &s->behavior, spec, "Split", true);
    if (!status)
        status = json_get_bool(&s->invert, spec, "invert", false, l->where, l->err);
    if (!status)
        status = spec_pattern(&s->pattern, spec, "pre_tokenizer Split", l->where, l->err);
    return status;
}

static int add_byte_level(const struct loader *l, const json_t *spec)
{
    bool prefix = true, use_regex = true;
    int status = json_get_bool(&prefix, spec, "add_prefix_space", false, l->where, l->err);
    if (!status)
        status = json_get_bool(&use_regex, spec, "use_regex", false, l->where, l->err);
    if (status)
        return status;
    if (prefix && !new_step(l, STEP_PREFIX_SPACE))
        return ERR_INPUT;
    if (use_regex) {
        struct step *s = new_step(l, STEP_REGEX);
        status = s ? pattern_create(&s->pattern, byte_level_pattern, strlen(byte_level_pattern),
                                    false, l->where, l->err)
                   : ERR_INPUT;
    }
    if (!status && !new_step(l, STEP_BYTES))
        status = ERR_INPUT;
    return status;
}

static int add_metaspace(const struct loader *l, const json_t *spec)
{
    struct step *s = new_step(l, STEP_METASPACE);
    if (!s)
        return ERR_INPUT;
    int status = spec_metaspace(&s->metaspace, spec, l->where, l->err);
    if (status || !s->metaspace.split)
        return status;
    return add_chars(l, NULL, s->metaspace.character, MERGED_WITH_NEXT);
}

static int add_digits(const struct loader *l, const json_t *spec)
{
    bool individual = false;
    int status = json_get_bool(&individual, spec, "individual_digits", false, l->where, l->err);
    return status ? status
                  : add_chars(l, unicode_is_numeric, 0, individual ? ISOLATED : CONTIGUOUS);
}

static int add_punctuation(const struct loader *l, const json_t *spec)
{
    enum behavior behavior = ISOLATED;
    int status = get_behavior(l, &behavior, spec, "Punctuation", false);
    return status ? status : add_chars(l, unicode_is_punctuation, 0, behavior);
}

static int add_whitespace(const struct loader *l, const json_t *spec)
{
    (void)spec;
    return new_step(l, STEP_WORDS) ? ERR_NONE : ERR_INPUT;
}

static int add_whitespace_split(const struct loader *l, const json_t *spec)
{
    (void)spec;
    return add_chars(l, unicode_is_space, 0, REMOVED);
}

static int add_bert(const struct loader *l, const json_t *spec)
{
    int status = add_whitespace_split(l, spec);
    return status ? status : add_chars(l, unicode_is_punctuation, 0, ISOLATED);
}

static int add_delimiter(const struct loader *l, const json_t *spec)
{
    int32_t c;
    int status = spec_char(&c, spec, "delimiter", l->where, l->err);
    return status ? status : add_chars(l, NULL, c, REMOVED);
}

static int add_length(const struct loader *l, const json_t *spec)
{
    struct step *s = new_step(l, STEP_LENGTH);
    if (!s)
        return ERR_INPUT;
    s->length = 5;
    int status = json_get_int(&s->length, spec, "length", false, l->where, l->err);
    if (!status && s->length < 1)
        status = err_set(l->err, ERR_INPUT, l->where,
                         "FixedLength's \"length\" is %lld, expected at least 1", s->length);
    return status;
}

static int add_component(const struct loader *l, const json_t *spec)
{
    static const struct {
        const char *name;
        int (*add)(const struct loader *l, const json_t *spec);
    } known[] = {{"Split", add_split},
                 {"ByteLevel", add_byte_level},
                 {"Metaspace", add_metaspace},
                 {"Digits", add_digits},
                 {"Punctuation", add_punctuation},
                 {"Whitespace", add_whitespace},
                 {"WhitespaceSplit", add_whitespace_split},
                 {"BertPreTokenizer", add_bert},
                 {"CharDelimiterSplit", add_delimiter},
                 {"FixedLength", add_length}};
    const char *type;
    const json_t *list;
    int status = spec_type(&type, spec, "pre_tokenizer", l->where, l->err);
    if (status)
        return status;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(type, known[i].name) == 0)
            return known[i].add(l, spec);
    if (strcmp(type, "Sequence") != 0)
        return spec_refuse(l->where, l->err, "pre_tokenizer \"%.40s\"", type);
    status = spec_list(&list, spec, "pre_tokenizer", "pretokenizers", l->where, l->err);
    for (size_t i = 0; !status && i < json_array_size(list); i++)
        status = add_component(l, json_array_get(list, i));
    return status;
}

int pretokenizer_create(struct pretokenizer **out, const json_t *spec, const char *where,
                        struct err *err)
{
    *out = NULL;
    struct pretokenizer *p = mem_calloc(1, sizeof *p);
    if (!p)
        return err_no_memory(err, where, sizeof *p);
    struct loader l = {p, where, err};
    int status = spec && !json_is_null(spec) ? add_component(&l, spec) : ERR_NONE;
    if (status)
        pretokenizer_free(p);
    else
        *out = p;
    return status;
}

void pretokenizer_free(struct pretokenizer *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->n; i++)
        pattern_free(p->steps[i].pattern);
    mem_free(p);
}

/* --- running --- */

struct run {
    const struct pretokenizer *p;
    matcher *m;
    pretokenize_word *word;
    void *context;
    struct err *err;
    struct str rewritten[MAX_STEPS]; /* by step: its piece, while later steps work on it */
};

struct piece {
    const char *text;
    size_t length, zero;
};

static int run_steps(struct run *r, int step, struct piece piece);

static int hand_on(struct run *r, int step, struct piece whole, size_t begin, size_t end)
{
    if (begin == end)
        return ERR_NONE;
    struct piece part = {whole.text + begin, end - begin, 0};
    if (whole.zero > begin)
        part.zero = whole.zero < end ? whole.zero - begin : end - begin;
    return run_steps(r, step + 1, part);
}

/* The pieces of a text in order, matched and not, joined as the behavior says. An empty match is a
 * piece, too: it parts what stands before and after it. */
struct pieces {
    struct run *r;
    int step;
    struct piece whole;
    size_t begin, end; /* the piece not yet handed on */
    bool pending, pending_matched, previous_matched;
};

static int flush_piece(struct pieces *s)
{
    if (!s->pending)
        return ERR_NONE;
    s->pending = false;
    if (s->r->p->steps[s->step].behavior == REMOVED && s->pending_matched)
        return ERR_NONE;
    return hand_on(s->r, s->step, s->whole, s->begin, s->end);
}

static int add_piece(struct pieces *s, size_t begin, size_t end, bool matched)
{
    const struct step *step = &s->r->p->steps[s->step];
    matched = matched != step->invert;
    bool join = false;
    if (step->behavior == MERGED_WITH_PREVIOUS)
        join = matched && !s->previous_matched;
    else if (step->behavior == MERGED_WITH_NEXT)
        join = !matched && s->previous_matched;
    else if (step->behavior == CONTIGUOUS)
        join = matched == s->previous_matched;
    s->previous_matched = matched;
    if (join && s->pending) {
        s->end = end;
        return ERR_NONE;
    }
    int status = flush_piece(s);
    s->begin = begin;
    s->end = end;
    s->pending = true;
    s->pending_matched = matched;
    return status;
}

static int run_regex(struct run *r, int step, struct piece piece)
{
    struct pieces s = {.r = r, .step = step, .whole = piece};
    struct pattern_scan scan = {0};
    size_t done = 0, from, to;
    int status = ERR_NONE, found = 0;
    while (!status && (found = pattern_next(r->p->steps[step].pattern, r->m, &scan, piece.text,
                                            piece.length, &from, &to, r->err)) > 0) {
        if (from > done)
            status = add_piece(&s, done, from, false);
        if (!status)
            status = add_piece(&s, from, to, true);
        done = to;
    }
    if (found < 0)
        return ERR_INPUT;
    if (!status && done < piece.length)
        status = add_piece(&s, done, piece.length, false);
    return status ? status : flush_piece(&s);
}

static int run_chars(struct run *r, int step, struct piece piece)
{
    const struct step *s = &r->p->steps[step];
    struct pieces pieces = {.r = r, .step = step, .whole = piece};
    size_t done = 0;
    int status = ERR_NONE;
    for (size_t at = 0; at < piece.length && !status;) {
        int32_t c;
        size_t next = at + (size_t)utf8_decode(piece.text + at, piece.length - at, &c);
        if (s->is_match ? s->is_match(c) : c == s->delimiter) {
            if (at > done)
                status = add_piece(&pieces, done, at, false);
            if (!status)
                status = add_piece(&pieces, at, next, true);
            done = next;
        }
        at = next;
    }
    if (!status && done < piece.length)
        status = add_piece(&pieces, done, piece.length, false);
    return status ? status : flush_piece(&pieces);
}

static int run_words(struct run *r, int step, struct piece piece)
{
    enum { SPACE, WORD, OTHER } run = SPACE, kind;
    size_t start = 0;
    int status = ERR_NONE;
    for (size_t at = 0; at < piece.length && !status;) {
        int32_t c;
        size_t n = (size_t)utf8_decode(piece.text + at, piece.length - at, &c);
        kind = unicode_is_word(c) ? WORD : unicode_is_space(c) ? SPACE : OTHER;
        if (kind != run) {
            if (run != SPACE)
                status = hand_on(r, step, piece, start, at);
            start = at;
            run = kind;
        }
        at += n;
    }
    return status || run == SPACE ? status : hand_on(r, step, piece, start, piece.length);
}

static int run_length(struct run *r, int step, struct piece piece)
{
    size_t start = 0;
    long long n = 0;
    int status = ERR_NONE;
    for (size_t at = 0; at < piece.length && !status;) {
        int32_t c;
        at += (size_t)utf8_decode(piece.text + at, piece.length - at, &c);
        if (++n < r->p->steps[step].length && at < piece.length)
            continue;
        status = hand_on(r, step, piece, start, at);
        start = at;
        n = 0;
    }
    return status;
}

static int hand_on_rewritten(struct run *r, int step, size_t zero)
{
    const struct str *s = &r->rewritten[step];
    if (s->failed)
        return err_no_memory(r->err, "tokenizer", s->length);
    return run_steps(r, step + 1, (struct piece){str_text(s), s->length, zero});
}

static int run_metaspace(struct run *r, int step, struct piece piece)
{
    const struct metaspace *m = &r->p->steps[step].metaspace;
    struct str *out = &r->rewritten[step];
    size_t zero = 0;
    bool first = m->prepend == PREPEND_ALWAYS || (m->prepend == PREPEND_FIRST && piece.zero);
    bool marked = piece.text[0] == ' ' || (piece.length >= m->mark_length &&
                                           memcmp(piece.text, m->mark, m->mark_length) == 0);
    str_clear(out);
    if (first && !marked)
        str_append(out, m->mark, m->mark_length);
    for (size_t i = 0; i < piece.length; i++) {
        if (i == piece.zero)
            zero = out->length;
        if (piece.text[i] == ' ')
            str_append(out, m->mark, m->mark_length);
        else
            str_putc(out, piece.text[i]);
    }
    if (!piece.zero)
        zero = 0;
    else if (piece.zero >= piece.length)
        zero = out->length;
    return hand_on_rewritten(r, step, zero);
}

static int run_prefix_space(struct run *r, int step, struct piece piece)
{
    if (piece.text[0] == ' ')
        return run_steps(r, step + 1, piece);
    struct str *out = &r->rewritten[step];
    str_clear(out);
    str_putc(out, ' ');
    str_append(out, piece.text, piece.length);
    return hand_on_rewritten(r, step, piece.zero ? piece.zero + 1 : 0);
}

static int run_bytes(struct run *r, int step, struct piece piece)
{
    struct str *out = &r->rewritten[step];
    str_clear(out);
    bytes_put(out, piece.text, piece.zero);
    size_t zero = out->length;
    bytes_put(out, piece.text + piece.zero, piece.length - piece.zero);
    return hand_on_rewritten(r, step, zero);
}

static int run_steps(struct run *r, int step, struct piece piece)
{
    static int (*const runs[])(struct run *, int, struct piece) = {
        [STEP_REGEX] = run_regex,
        [STEP_CHARS] = run_chars,
        [STEP_WORDS] = run_words,
        [STEP_LENGTH] = run_length,
        [STEP_PREFIX_SPACE] = run_prefix_space,
        [STEP_BYTES] = run_bytes,
        [STEP_METASPACE] = run_metaspace,
    };
    if (step == r->p->n)
        return r->word(r->context, piece.text, piece.length);
    return runs[r->p->steps[step].kind](r, step, piece);
}

int pretokenize(const struct pretokenizer *p, matcher *m, const char *text, size_t length,
                size_t zero, pretokenize_word *word, void *context, struct err *err)
{
    if (!length)
        return ERR_NONE;
    struct run r = {.p = p, .m = m, .word = word, .context = context, .err = err};
    int status = run_steps(&r, 0, (struct piece){text, length, zero});
    for (int i = 0; i < p->n; i++)
        str_free(&r.rewritten[i]);
    return status;
}
