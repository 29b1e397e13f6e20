/* pretokenize.c: a list of cutting steps; see pretokenize.h. */
#include "tokenizer/pretokenize.h"
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "tokenizer/unicode.h"

enum step_kind { STEP_REGEX, STEP_DIGITS, STEP_PREFIX_SPACE };

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
    enum behavior behavior;
    bool invert;     /* what the pattern does not match counts as matched */
    bool individual; /* digits one by one */
};

enum { MAX_STEPS = 16 };

struct pretokenizer {
    struct step steps[MAX_STEPS];
    int n;
    bool byte_level;
};

/* GPT-2's pattern, which ByteLevel uses unless told not to. */
static const char *const byte_level_pattern =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static struct step *new_step(struct pretokenizer *p, enum step_kind kind, const char *where,
                             struct err *err)
{
    if (p->n == MAX_STEPS) {
        err_set(err, ERR_INPUT, where, "pre_tokenizer has more than %d steps", (int)MAX_STEPS);
        return NULL;
    }
    struct step *s = &p->steps[p->n++];
    *s = (struct step){.kind = kind};
    return s;
}

static int add_regex(struct pretokenizer *p, const char *text, size_t length, bool literal,
                     const char *where, struct err *err)
{
    struct step *s = new_step(p, STEP_REGEX, where, err);
    return s ? pattern_create(&s->pattern, text, length, literal, where, err) : ERR_INPUT;
}

static int add_split(struct pretokenizer *p, const json_t *spec, const char *where, struct err *err)
{
    const char *name;
    bool invert = false;
    int status = json_get_string(&name, spec, "behavior", true, where, err);
    if (!status)
        status = json_get_bool(&invert, spec, "invert", false, where, err);
    if (status)
        return status;
    int behavior = 0;
    while (behavior < N_BEHAVIORS && strcmp(behavior_names[behavior], name) != 0)
        behavior++;
    if (behavior == N_BEHAVIORS)
        return err_set(err, ERR_INPUT, where,
                       "pre_tokenizer Split with behavior \"%.40s\" is not supported", name);
    const json_t *rule = json_object_get(spec, "pattern");
    const json_t *regex = json_object_get(rule, "Regex"), *string = json_object_get(rule, "String");
    const json_t *text = regex ? regex : string;
    if (!json_is_string(text) || !json_string_length(text))
        return err_set(err, ERR_INPUT, where, "pre_tokenizer Split has no Regex or String pattern");
    status = add_regex(p, json_string_value(text), json_string_length(text), !regex, where, err);
    if (!status) {
        p->steps[p->n - 1].behavior = (enum behavior)behavior;
        p->steps[p->n - 1].invert = invert;
    }
    return status;
}

static int add_byte_level(struct pretokenizer *p, const json_t *spec, const char *where,
                          struct err *err)
{
    bool prefix = true, use_regex = true;
    int status = json_get_bool(&prefix, spec, "add_prefix_space", false, where, err);
    if (!status)
        status = json_get_bool(&use_regex, spec, "use_regex", false, where, err);
    if (status)
        return status;
    if (prefix && !new_step(p, STEP_PREFIX_SPACE, where, err))
        return ERR_INPUT;
    if (use_regex)
        status = add_regex(p, byte_level_pattern, strlen(byte_level_pattern), false, where, err);
    p->byte_level = true;
    return status;
}

static int add_component(struct pretokenizer *p, const json_t *spec, const char *where,
                         struct err *err)
{
    const char *type;
    int status = json_get_string(&type, spec, "type", true, where, err);
    if (status)
        return status;
    if (p->byte_level)
        return err_set(err, ERR_INPUT, where,
                       "pre_tokenizer has %.40s after ByteLevel, which is not supported", type);
    if (strcmp(type, "Sequence") == 0) {
        const json_t *list = json_object_get(spec, "pretokenizers");
        if (!json_is_array(list))
            return err_set(err, ERR_INPUT, where,
                           "pre_tokenizer Sequence has no list \"pretokenizers\"");
        for (size_t i = 0; i < json_array_size(list) && !status; i++)
            status = add_component(p, json_array_get(list, i), where, err);
        return status;
    }
    if (strcmp(type, "Split") == 0)
        return add_split(p, spec, where, err);
    if (strcmp(type, "ByteLevel") == 0)
        return add_byte_level(p, spec, where, err);
    if (strcmp(type, "Digits") == 0) {
        struct step *s = new_step(p, STEP_DIGITS, where, err);
        return s ? json_get_bool(&s->individual, spec, "individual_digits", false, where, err)
                 : ERR_INPUT;
    }
    return err_set(err, ERR_INPUT, where,
                   "pre_tokenizer \"%.40s\" is not supported (known: Sequence, Split, ByteLevel, "
                   "Digits)",
                   type);
}

int pretokenizer_create(struct pretokenizer **out, const json_t *spec, const char *where,
                        struct err *err)
{
    *out = NULL;
    if (!json_is_object(spec))
        return err_set(err, ERR_INPUT, where,
                       "\"pre_tokenizer\" is %s; only byte-level tokenizers are supported",
                       json_type_name(spec));
    struct pretokenizer *p = mem_calloc(1, sizeof *p);
    if (!p)
        return err_no_memory(err, where, sizeof *p);
    int status = add_component(p, spec, where, err);
    if (!status && !p->byte_level)
        status = err_set(err, ERR_INPUT, where,
                         "pre_tokenizer has no ByteLevel step; only byte-level tokenizers are "
                         "supported");
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
};

static int run_steps(struct run *r, int step, const char *text, size_t length);

static int run_digits(struct run *r, int step, const char *text, size_t length)
{
    bool individual = r->p->steps[step].individual;
    size_t start = 0;
    bool in_digits = false;
    for (size_t i = 0; i <= length;) {
        int32_t c = -1;
        int n = i < length ? utf8_decode(text + i, length - i, &c) : 1;
        bool digit = i < length && unicode_is_numeric(c);
        bool cut = i == length || digit != in_digits || (digit && individual);
        if (cut && i > start) {
            int status = run_steps(r, step + 1, text + start, i - start);
            if (status)
                return status;
            start = i;
        }
        in_digits = digit;
        i += (size_t)n;
    }
    return ERR_NONE;
}

/* The pieces of a text in order, matched and not, joined as the behavior says. An empty match is a
 * piece, too: it parts what stands before and after it. */
struct pieces {
    struct run *r;
    int step;
    const char *text;
    size_t begin, end; /* the piece not yet handed on */
    bool pending, pending_matched, previous_matched;
};

static int flush_piece(struct pieces *s)
{
    if (!s->pending)
        return ERR_NONE;
    s->pending = false;
    const struct step *step = &s->r->p->steps[s->step];
    if (s->end == s->begin || (step->behavior == REMOVED && s->pending_matched))
        return ERR_NONE;
    return run_steps(s->r, s->step + 1, s->text + s->begin, s->end - s->begin);
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

static int run_regex(struct run *r, int step, const char *text, size_t length)
{
    struct pieces s = {.r = r, .step = step, .text = text};
    size_t at = 0, done = 0, from, to;
    bool any = false; /* then `done` is the end of the last match */
    int status = ERR_NONE;
    while (!status && at <= length) {
        int found =
            pattern_match(r->p->steps[step].pattern, r->m, text, length, at, &from, &to, r->err);
        if (found < 0)
            return ERR_INPUT;
        if (!found)
            break;
        if (from == to && any && to == done) { /* no empty match right after a match */
            int32_t c;
            at += at < length ? (size_t)utf8_decode(text + at, length - at, &c) : 1;
            continue;
        }
        if (from > done)
            status = add_piece(&s, done, from, false);
        if (!status)
            status = add_piece(&s, from, to, true);
        done = at = to;
        any = true;
    }
    if (!status && done < length)
        status = add_piece(&s, done, length, false);
    return status ? status : flush_piece(&s);
}

static int run_steps(struct run *r, int step, const char *text, size_t length)
{
    if (step == r->p->n)
        return r->word(r->context, text, length);
    switch (r->p->steps[step].kind) {
    case STEP_REGEX:
        return run_regex(r, step, text, length);
    case STEP_DIGITS:
        return run_digits(r, step, text, length);
    case STEP_PREFIX_SPACE:
        break;
    }
    if (text[0] == ' ')
        return run_steps(r, step + 1, text, length);
    struct str spaced = {0};
    str_putc(&spaced, ' ');
    str_append(&spaced, text, length);
    int status = spaced.failed ? err_no_memory(r->err, "tokenizer", length)
                               : run_steps(r, step + 1, str_text(&spaced), spaced.length);
    str_free(&spaced);
    return status;
}

int pretokenize(const struct pretokenizer *p, matcher *m, const char *text, size_t length,
                pretokenize_word *word, void *context, struct err *err)
{
    if (!length)
        return ERR_NONE;
    struct run r = {.p = p, .m = m, .word = word, .context = context, .err = err};
    return run_steps(&r, 0, text, length);
}
