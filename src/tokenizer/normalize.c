/* normalize.c: a list of rewriting steps; see normalize.h.
 *
 * Sequences are flattened. Each step reads one text and writes the next. Most look at one character
 * at a time (map_char), which also says where the original's first character ends up; the others
 * are the normal forms, patterns, and what is put in front.
 *
 * The reference keeps an alignment of each byte with the original. Where a step inserts text that
 * belongs to no original character at all (an empty match replaced, an empty text prepended), a
 * later step goes wrong there in ways we do not follow: such a step is refused.
 */
#include "tokenizer/normalize.h"
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "tokenizer/bytes.h"
#include "tokenizer/spec.h"
#include "tokenizer/unicode.h"

enum step_kind { STEP_FORM, STEP_CHARS, STEP_STRIP, STEP_REPLACE, STEP_PREPEND };

/* What a step makes of one character: appends it, something else, or nothing. */
typedef void map_char(struct str *out, int32_t c);

struct step {
    enum step_kind kind;
    enum unicode_form form;
    map_char *map;
    bool left, right; /* strip */
    pattern *pattern;
    char *content; /* of replace and prepend */
    size_t length;
};

enum { MAX_STEPS = 32 };

struct normalizer {
    struct step steps[MAX_STEPS];
    int n;
};

/* --- steps of one character --- */

static void to_lower(struct str *out, int32_t c)
{
    int32_t lower[2];
    int n = unicode_to_lower(c, lower);
    for (int i = 0; i < n; i++)
        str_put_utf8(out, (uint32_t)lower[i]);
}

static void without_marks(struct str *out, int32_t c)
{
    if (!unicode_is_mark(c))
        str_put_utf8(out, (uint32_t)c);
}

static void without_nonspacing(struct str *out, int32_t c)
{
    if (!unicode_is_nonspacing(c))
        str_put_utf8(out, (uint32_t)c);
}

/* The rules of Google's NMT systems: controls go, odd spaces and format characters are spaces. */
static void nmt(struct str *out, int32_t c)
{
    if ((c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F ||
        c == 0x8F || c == 0x9F)
        return;
    bool space = c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 ||
                 (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                 c == 0xFEFF || c == 0xFFFD;
    str_put_utf8(out, space ? ' ' : (uint32_t)c);
}

static void clean(struct str *out, int32_t c)
{
    if (!unicode_is_removed_by_cleaning(c))
        str_put_utf8(out, unicode_is_space(c) ? ' ' : (uint32_t)c);
}

static void space_chinese(struct str *out, int32_t c)
{
    static const int32_t blocks[][2] = {{0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF},
                                        {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF},
                                        {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};
    bool chinese = false;
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        chinese = chinese || (c >= blocks[i][0] && c <= blocks[i][1]);
    if (chinese)
        str_putc(out, ' ');
    str_put_utf8(out, (uint32_t)c);
    if (chinese)
        str_putc(out, ' ');
}

static void to_bytes(struct str *out, int32_t c)
{
    char bytes[8];
    struct str one = {.data = bytes, .capacity = sizeof bytes};
    str_put_utf8(&one, (uint32_t)c);
    bytes_put(out, bytes, one.length);
}

/* --- loading --- */

struct loader {
    struct normalizer *n;
    const char *where;
    struct err *err;
};

static struct step *new_step(const struct loader *l, enum step_kind kind)
{
    if (l->n->n == MAX_STEPS) {
        err_set(l->err, ERR_INPUT, l->where, "the normalizer has more than %d steps",
                (int)MAX_STEPS);
        return NULL;
    }
    struct step *s = &l->n->steps[l->n->n++];
    *s = (struct step){.kind = kind};
    return s;
}

static int add_form(const struct loader *l, enum unicode_form form)
{
    struct step *s = new_step(l, STEP_FORM);
    if (!s)
        return ERR_INPUT;
    s->form = form;
    return ERR_NONE;
}

static int add_map(const struct loader *l, map_char *map)
{
    struct step *s = new_step(l, STEP_CHARS);
    if (!s)
        return ERR_INPUT;
    s->map = map;
    return ERR_NONE;
}

static int add_strip(const struct loader *l, const json_t *spec)
{
    struct step *s = new_step(l, STEP_STRIP);
    if (!s)
        return ERR_INPUT;
    int status = json_get_bool(&s->left, spec, "strip_left", true, l->where, l->err);
    return status ? status : json_get_bool(&s->right, spec, "strip_right", true, l->where, l->err);
}

static int set_content(const struct loader *l, struct step *s, const json_t *spec, const char *key)
{
    struct slice text;
    int status = spec_text(&text, spec, key, l->where, l->err);
    if (status)
        return status;
    s->content = mem_strndup(text.data, text.length);
    s->length = text.length;
    return s->content ? ERR_NONE : err_no_memory(l->err, l->where, text.length);
}

static int add_replace(const struct loader *l, const json_t *spec)
{
    struct step *s = new_step(l, STEP_REPLACE);
    if (!s)
        return ERR_INPUT;
    int status = spec_pattern(&s->pattern, spec, "normalizer Replace", l->where, l->err);
    if (!status)
        status = set_content(l, s, spec, "content");
    if (!status && s->length && pattern_matches_empty(s->pattern))
        status = spec_refuse(l->where, l->err,
                             "a normalizer Replace whose pattern matches an empty text");
    return status;
}

static int add_prepend(const struct loader *l, const json_t *spec)
{
    struct step *s = new_step(l, STEP_PREPEND);
    int status = s ? set_content(l, s, spec, "prepend") : ERR_INPUT;
    if (!status && !s->length)
        status = spec_refuse(l->where, l->err, "a normalizer Prepend of an empty text");
    return status;
}

static int add_bert(const struct loader *l, const json_t *spec)
{
    bool clean_text, chinese, lowercase, accents;
    int status;
    if ((status = json_get_bool(&clean_text, spec, "clean_text", true, l->where, l->err)) ||
        (status = json_get_bool(&chinese, spec, "handle_chinese_chars", true, l->where, l->err)) ||
        (status = json_get_bool(&lowercase, spec, "lowercase", true, l->where, l->err)))
        return status;
    accents = lowercase;
    if ((status = json_get_bool(&accents, spec, "strip_accents", false, l->where, l->err)) ||
        (clean_text && (status = add_map(l, clean))) ||
        (chinese && (status = add_map(l, space_chinese))) ||
        (accents && (status = add_form(l, UNICODE_NFD))) ||
        (accents && (status = add_map(l, without_nonspacing))) ||
        (lowercase && (status = add_map(l, to_lower))))
        return status;
    return ERR_NONE;
}

static int add_component(const struct loader *l, const json_t *spec)
{
    static const char *const forms[] = {"NFC", "NFD", "NFKC", "NFKD"};
    static const struct {
        const char *name;
        map_char *map;
    } maps[] = {{"Lowercase", to_lower},
                {"StripAccents", without_marks},
                {"Nmt", nmt},
                {"ByteLevel", to_bytes}};
    static const struct {
        const char *name;
        int (*add)(const struct loader *l, const json_t *spec);
    } others[] = {{"Strip", add_strip},
                  {"Replace", add_replace},
                  {"Prepend", add_prepend},
                  {"BertNormalizer", add_bert}};
    const char *type;
    const json_t *list;
    int status = spec_type(&type, spec, "normalizer", l->where, l->err);
    if (status)
        return status;
    for (int i = 0; i < 4; i++) {
        if (strcmp(type, forms[i]) == 0)
            return add_form(l, (enum unicode_form)i);
        if (strcmp(type, maps[i].name) == 0)
            return add_map(l, maps[i].map);
        if (strcmp(type, others[i].name) == 0)
            return others[i].add(l, spec);
    }
    if (strcmp(type, "Sequence") != 0)
        return spec_refuse(l->where, l->err, "normalizer \"%.40s\"", type);
    status = spec_list(&list, spec, "normalizer", "normalizers", l->where, l->err);
    for (size_t i = 0; !status && i < json_array_size(list); i++)
        status = add_component(l, json_array_get(list, i));
    return status;
}

int normalizer_create(struct normalizer **out, const json_t *spec, const char *where,
                      struct err *err)
{
    *out = NULL;
    struct normalizer *n = mem_calloc(1, sizeof *n);
    if (!n)
        return err_no_memory(err, where, sizeof *n);
    struct loader l = {n, where, err};
    int status = spec && !json_is_null(spec) ? add_component(&l, spec) : ERR_NONE;
    if (status)
        normalizer_free(n);
    else
        *out = n;
    return status;
}

void normalizer_free(struct normalizer *n)
{
    if (!n)
        return;
    for (int i = 0; i < n->n; i++) {
        pattern_free(n->steps[i].pattern);
        mem_free(n->steps[i].content);
    }
    mem_free(n);
}

bool normalizer_is_empty(const struct normalizer *n)
{
    return n->n == 0;
}

/* --- running: each appends to out, and turns *zero into that of its output --- */

static void run_map(map_char *map, struct str *out, const char *text, size_t length, size_t *zero)
{
    size_t before = out->length, reach = 0;
    for (size_t at = 0; at < length;) {
        int32_t c;
        at += (size_t)utf8_decode(text + at, length - at, &c);
        map(out, c);
        if (at <= *zero)
            reach = out->length - before;
    }
    *zero = reach;
}

static void run_strip(const struct step *s, struct str *out, const char *text, size_t length,
                      size_t *zero)
{
    size_t from = 0, to = length, start = length;
    int32_t c;
    while (s->left && from < length) {
        size_t n = (size_t)utf8_decode(text + from, length - from, &c);
        if (!unicode_is_space(c))
            break;
        from += n;
    }
    while (s->right && to > from) {
        for (start = to - 1; start > from && ((unsigned char)text[start] & 0xC0) == 0x80;)
            start--;
        utf8_decode(text + start, to - start, &c);
        if (!unicode_is_space(c))
            break;
        to = start;
    }
    str_append(out, text + from, to - from);
    size_t end = *zero < to ? *zero : to;
    *zero = end > from ? end - from : 0;
}

static int run_form(const struct step *s, struct str *out, const char *text, size_t length,
                    size_t *zero, struct err *err)
{
    int status = unicode_normalize(out, s->form, text, length, err);
    if (!status && *zero)
        status = unicode_normalize_origin(zero, s->form, text, length, *zero, err);
    return status;
}

static int run_step(const struct step *s, matcher *m, struct str *out, const char *text,
                    size_t length, size_t *zero, struct err *err)
{
    int status = ERR_NONE;
    switch (s->kind) {
    case STEP_FORM:
        status = run_form(s, out, text, length, zero, err);
        break;
    case STEP_CHARS:
        run_map(s->map, out, text, length, zero);
        break;
    case STEP_STRIP:
        run_strip(s, out, text, length, zero);
        break;
    case STEP_REPLACE:
        status = pattern_replace(s->pattern, m, out, text, length,
                                 (struct slice){s->content, s->length}, zero, err);
        break;
    case STEP_PREPEND:
        if (length) {
            str_append(out, s->content, s->length);
            *zero += *zero ? s->length : 0;
        }
        str_append(out, text, length);
        break;
    }
    if (!status && out->failed)
        status = err_no_memory(err, "tokenizer", length);
    return status;
}

int normalize(const struct normalizer *n, matcher *m, struct origin_text *out, const char *text,
              size_t length, size_t zero, struct err *err)
{
    struct str between[2] = {{0}, {0}};
    int status = ERR_NONE;
    out->zero = zero;
    for (int i = 0; i < n->n && !status; i++) {
        struct str *to = i == n->n - 1 ? &out->text : &between[i % 2];
        if (to != &out->text)
            str_clear(to);
        status = run_step(&n->steps[i], m, to, text, length, &out->zero, err);
        text = str_text(to);
        length = to->length;
    }
    if (!n->n)
        str_append(&out->text, text, length);
    if (!status && out->text.failed)
        status = err_no_memory(err, "tokenizer", length);
    str_free(&between[0]);
    str_free(&between[1]);
    return status;
}
