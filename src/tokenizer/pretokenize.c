/* pretokenize.c: a list of cutting steps over PCRE2; see pretokenize.h.
 *
 * The reference runs its patterns on Oniguruma. PCRE2 with UTF and UCP agrees with it on \p{…},
 * (?i:…) and look-ahead, but its \s also takes U+180E (a space until Unicode 6.3), so \s and \S are
 * rewritten as the White_Space set before compiling. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "tokenizer/pretokenize.h"
#include <pcre2.h>
#include <stdint.h>
#include <string.h>
#include <utf8proc.h>
#include "base/json.h"
#include "base/mem.h"

enum step_kind { STEP_REGEX, STEP_DIGITS, STEP_PREFIX_SPACE };

struct step {
    enum step_kind kind;
    pcre2_code *code;
    bool removed; /* drop what the pattern matches (or, inverted, what it does not) */
    bool invert;
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

static const char *const white_space = "\\x{09}-\\x{0d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{"
                                       "200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";

bool is_unicode_space(int32_t c)
{
    return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

/* --- compiling --- */

static int rewrite_spaces(struct str *out, const char *pattern, const char *where, struct err *err)
{
    bool in_class = false;
    for (const char *p = pattern; *p; p++) {
        if (p[0] == '\\' && p[1]) {
            if (p[1] == 's') {
                str_printf(out, in_class ? "%s" : "[%s]", white_space);
            } else if (p[1] == 'S' && !in_class) {
                str_printf(out, "[^%s]", white_space);
            } else if (p[1] == 'S') {
                return err_set(err, ERR_INPUT, where,
                               "the pattern \"%.200s\" has \\S inside a class, which is not "
                               "supported",
                               pattern);
            } else {
                str_append(out, p, 2);
            }
            p++;
            continue;
        }
        if (*p == '[')
            in_class = true;
        else if (*p == ']')
            in_class = false;
        str_putc(out, *p);
    }
    return out->failed ? err_no_memory(err, where, strlen(pattern)) : ERR_NONE;
}

static int compile(pcre2_code **out, const char *pattern, bool literal, const char *where,
                   struct err *err)
{
    struct str rewritten = {0};
    int status = ERR_NONE;
    if (literal)
        str_puts(&rewritten, pattern);
    else
        status = rewrite_spaces(&rewritten, pattern, where, err);
    if (!status) {
        int code;
        PCRE2_SIZE offset;
        uint32_t flags = PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK | (literal ? PCRE2_LITERAL : 0);
        if (literal)
            flags &= ~(uint32_t)PCRE2_UCP;
        *out = pcre2_compile((PCRE2_SPTR)str_text(&rewritten), rewritten.length, flags, &code,
                             &offset, NULL);
        if (*out) {
            pcre2_jit_compile(*out, PCRE2_JIT_COMPLETE); /* without JIT it merely runs slower */
        } else {
            PCRE2_UCHAR message[200];
            pcre2_get_error_message(code, message, sizeof message);
            status = err_set(err, ERR_INPUT, where, "the pattern \"%.200s\" does not compile: %s",
                             pattern, (const char *)message);
        }
    }
    str_free(&rewritten);
    return status;
}

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

static int add_split(struct pretokenizer *p, const json_t *spec, const char *where, struct err *err)
{
    const char *behavior, *text = NULL;
    bool invert = false;
    int status = json_get_string(&behavior, spec, "behavior", true, where, err);
    if (!status)
        status = json_get_bool(&invert, spec, "invert", false, where, err);
    if (status)
        return status;
    bool removed = strcmp(behavior, "Removed") == 0;
    if (!removed && strcmp(behavior, "Isolated") != 0)
        return err_set(err, ERR_INPUT, where,
                       "pre_tokenizer Split with behavior \"%.40s\" is not supported", behavior);
    const json_t *pattern = json_object_get(spec, "pattern");
    const json_t *regex = json_object_get(pattern, "Regex"),
                 *string = json_object_get(pattern, "String");
    text = json_string_value(regex ? regex : string);
    if (!text || !*text)
        return err_set(err, ERR_INPUT, where, "pre_tokenizer Split has no Regex or String pattern");
    struct step *s = new_step(p, STEP_REGEX, where, err);
    if (!s)
        return ERR_INPUT;
    s->removed = removed;
    s->invert = invert;
    return compile(&s->code, text, !regex, where, err);
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
    if (use_regex) {
        struct step *s = new_step(p, STEP_REGEX, where, err);
        if (!s)
            return ERR_INPUT;
        status = compile(&s->code, byte_level_pattern, false, where, err);
    }
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
        pcre2_code_free(p->steps[i].code);
    mem_free(p);
}

/* --- running --- */

struct run {
    const struct pretokenizer *p;
    pretokenize_word *word;
    void *context;
    struct err *err;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    pcre2_jit_stack *stack;
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
        bool digit = false;
        if (i < length && c >= 0) {
            utf8proc_category_t category = utf8proc_category(c);
            digit = category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
                    category == UTF8PROC_CATEGORY_NO;
        }
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

/* One piece of a regex step: matched says whether the pattern matched it. */
static int regex_piece(struct run *r, int step, const char *text, size_t length, bool matched)
{
    const struct step *s = &r->p->steps[step];
    if (!length || (s->removed && matched != s->invert))
        return ERR_NONE;
    return run_steps(r, step + 1, text, length);
}

static int run_regex(struct run *r, int step, const char *text, size_t length)
{
    const struct step *s = &r->p->steps[step];
    size_t at = 0, done = 0;
    while (at <= length) {
        /* The inner steps reuse the match data, so offsets are taken out before going on. */
        int rc = pcre2_match(s->code, (PCRE2_SPTR)text, length, at, PCRE2_NO_UTF_CHECK, r->match,
                             r->limits);
        if (rc == PCRE2_ERROR_NOMATCH)
            break;
        if (rc < 0)
            return err_set(r->err, ERR_INPUT, "tokenizer",
                           "the pre-tokenizer's pattern gave up on a text of %zu bytes "
                           "(PCRE2 error %d)",
                           length, rc);
        const PCRE2_SIZE *range = pcre2_get_ovector_pointer(r->match);
        size_t from = range[0], to = range[1];
        if (from >= to) { /* an empty match separates nothing: step over one character */
            int32_t c;
            at = to < length ? to + (size_t)utf8_decode(text + to, length - to, &c) : length + 1;
            continue;
        }
        int status = regex_piece(r, step, text + done, from - done, false);
        if (!status)
            status = regex_piece(r, step, text + from, to - from, true);
        if (status)
            return status;
        done = at = to;
    }
    return regex_piece(r, step, text + done, length - done, false);
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

int pretokenize(const struct pretokenizer *p, const char *text, size_t length,
                pretokenize_word *word, void *context, struct err *err)
{
    if (!length)
        return ERR_NONE;
    struct run r = {.p = p, .word = word, .context = context, .err = err};
    r.match = pcre2_match_data_create(1, NULL);
    r.limits = pcre2_match_context_create(NULL);
    r.stack = pcre2_jit_stack_create(32 * 1024, 16 * 1024 * 1024, NULL);
    int status;
    if (!r.match || !r.limits) {
        status = err_no_memory(err, "tokenizer", 0);
    } else {
        pcre2_jit_stack_assign(r.limits, NULL, r.stack);
        status = run_steps(&r, 0, text, length);
    }
    pcre2_match_data_free(r.match);
    pcre2_match_context_free(r.limits);
    pcre2_jit_stack_free(r.stack);
    return status;
}
