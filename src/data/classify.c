/* classify.c: the recipe's rules over a row's user messages; see classify.h.
 *
 * Words and phrases are folded once when the rules are read, a text once when it is judged; both
 * then stand between single spaces, so that " push " found anywhere is the whole word. memmem is
 * linear, so words cost (text + phrase) each whatever they are.
 *
 * Patterns are PCRE2's business and its matcher backtracks: `x.*y` alone is quadratic on a text of
 * x. PCRE2's match limit counts anew at every starting place, so it bounds no total. Therefore the
 * patterns are compiled with a callout at every item, and the callout adds up what has been done
 * since the last one, one unit and the distance that the matcher moved, over the whole call; past
 * the budget it ends the match. No JIT: it counts differently, and a task must not depend on the
 * machine. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "data/classify.h"
#include <pcre2.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>
#include "base/check.h"
#include "base/mem.h"

enum {
    WORK_FIXED = 500000, /* units of work for any text, */
    WORK_PER_BYTE = 2,   /* and for each byte of it */
    MATCH_STEPS = 2000000,
    MATCH_HEAP_KIB = 64 * 1024,
    MAX_FOLDED = 32 /* code points that one can become (U+FDFA: 18) */
};

struct phrases {
    struct slice *items; /* folded, with a space at both ends */
    size_t count;
};
struct rule {
    const char *task;
    struct phrases any, all;
    pcre2_code *regex;
    int line;
};
struct classifier {
    struct arena arena;
    struct rule rules[CLASSIFY_MAX_RULES];
    int n_rules;
    const char *fallback; /* of {default: TASK}, or NULL */
    pcre2_general_context *general;
    pcre2_compile_context *compiling;
};

/* --- folding --- */

static bool is_mark(utf8proc_category_t category)
{
    return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
           category == UTF8PROC_CATEGORY_ME;
}

static bool is_word(utf8proc_category_t category)
{
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
           (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
}

void classify_fold(struct str *out, const char *text, size_t length)
{
    size_t start = out->length;
    bool between = false;
    for (size_t i = 0; i < length && !out->failed;) {
        int32_t c;
        i += (size_t)utf8_decode(text + i, length - i, &c);
        utf8proc_int32_t folded[MAX_FOLDED];
        int boundary = 0;
        utf8proc_ssize_t n = c < 0
                                 ? 0
                                 : utf8proc_decompose_char(c, folded, MAX_FOLDED,
                                                           UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT |
                                                               UTF8PROC_CASEFOLD | UTF8PROC_IGNORE,
                                                           &boundary);
        between = between || c < 0;
        for (utf8proc_ssize_t k = 0; k < n && k < MAX_FOLDED; k++) {
            utf8proc_category_t category = utf8proc_category(folded[k]);
            if (is_mark(category))
                continue;
            if (!is_word(category)) {
                between = true;
                continue;
            }
            if (between && out->length > start)
                str_putc(out, ' ');
            between = false;
            str_put_utf8(out, (uint32_t)folded[k]);
        }
    }
}

/* --- reading the rules --- */

struct reading {
    classifier *c;
    const char *where;
    int number, line; /* of the rule at hand */
    struct err *err;
};

static int refuse(const struct reading *r, const char *format, const char *detail)
{
    char message[400];
    snprintf(message, sizeof message, format, detail);
    return err_set(r->err, ERR_USAGE, r->where, "rule %d (line %d) %s", r->number, r->line,
                   message);
}

static int no_memory(const struct reading *r)
{
    return err_no_memory(r->err, r->where, 0);
}

/* One word or phrase; empty after folding is a mistake, for it would be found everywhere. */
static int read_phrase(const struct reading *r, struct slice *out, const struct yaml_node *node)
{
    if (node->kind != YAML_SCALAR)
        return refuse(r, "has %s where a word or phrase is expected",
                      node->kind == YAML_LIST ? "a list" : "a mapping");
    struct str folded = {0};
    str_putc(&folded, ' ');
    classify_fold(&folded, node->text, strlen(node->text));
    bool empty = folded.length <= 1;
    str_putc(&folded, ' ');
    out->data = arena_strndup(&r->c->arena, str_text(&folded), folded.length);
    out->length = folded.length;
    bool failed = folded.failed || !out->data;
    str_free(&folded);
    if (failed)
        return no_memory(r);
    return empty ? refuse(r, "has \"%.60s\", which has no letter or digit to look for", node->text)
                 : ERR_NONE;
}

static int read_phrases(const struct reading *r, struct phrases *out, const struct yaml_node *node)
{
    bool list = node->kind == YAML_LIST;
    size_t n = list ? node->n_children : 1;
    if (node->kind == YAML_MAPPING || !n || n > CLASSIFY_MAX_PHRASES)
        return refuse(r, "wants under \"%.20s\" a list of 1 to 256 words or phrases", node->key);
    out->items = arena_alloc(&r->c->arena, n * sizeof *out->items);
    if (!out->items)
        return no_memory(r);
    out->count = n;
    int status = ERR_NONE;
    for (size_t i = 0; i < n && !status; i++)
        status = read_phrase(r, &out->items[i], list ? &node->children[i] : node);
    return status;
}

static int read_regex(const struct reading *r, struct rule *rule, const struct yaml_node *node)
{
    if (node->kind != YAML_SCALAR || !node->text[0])
        return refuse(r, "wants under \"regex\" a pattern%s", "");
    int code = 0;
    PCRE2_SIZE at = 0;
    rule->regex = pcre2_compile((PCRE2_SPTR)node->text, strlen(node->text),
                                PCRE2_UTF | PCRE2_UCP | PCRE2_AUTO_CALLOUT | PCRE2_NO_AUTO_POSSESS |
                                    PCRE2_NEVER_BACKSLASH_C,
                                &code, &at, r->c->compiling);
    if (rule->regex)
        return ERR_NONE;
    if (code == PCRE2_ERROR_HEAP_FAILED)
        return no_memory(r);
    PCRE2_UCHAR why[160];
    char detail[240];
    pcre2_get_error_message(code, why, sizeof why);
    snprintf(detail, sizeof detail, "character %zu: %s", (size_t)at, (const char *)why);
    return refuse(r, "has a regex that is none, at %s", detail);
}

static int read_name(const struct reading *r, const char **out, const struct yaml_node *node)
{
    if (node->kind != YAML_SCALAR || !node->text[0])
        return refuse(r, "wants under \"%.20s\" the name of a task", node->key);
    *out = arena_strndup(&r->c->arena, node->text, strlen(node->text));
    return *out ? ERR_NONE : no_memory(r);
}

static int read_key(const struct reading *r, struct rule *rule, const struct yaml_node *node)
{
    if (strcmp(node->key, "task") == 0)
        return read_name(r, &rule->task, node);
    if (strcmp(node->key, "any") == 0)
        return read_phrases(r, &rule->any, node);
    if (strcmp(node->key, "all") == 0)
        return read_phrases(r, &rule->all, node);
    if (strcmp(node->key, "regex") == 0)
        return read_regex(r, rule, node);
    return refuse(r, "has \"%.60s\"; known: task, any, all, regex, or default alone", node->key);
}

static int read_rule(struct reading *r, const struct yaml_node *node, bool last)
{
    classifier *c = r->c;
    const struct yaml_node *fallback = yaml_find(node, "default");
    if (node->kind != YAML_MAPPING)
        return refuse(r, "is %s, expected {task: NAME, any: [words], ...}",
                      node->kind == YAML_LIST ? "a list" : "text");
    if (fallback && (!last || node->n_children != 1))
        return refuse(r, "has \"default\", which stands alone in the last rule%s", "");
    if (fallback)
        return read_name(r, &c->fallback, fallback);
    struct rule *rule = &c->rules[c->n_rules++];
    rule->line = node->line;
    int status = ERR_NONE;
    for (size_t i = 0; i < node->n_children && !status; i++)
        status = read_key(r, rule, &node->children[i]);
    if (!status && !rule->task)
        status = refuse(r, "has no \"task\"%s", "");
    if (!status && !rule->any.count && !rule->all.count && !rule->regex)
        status = refuse(r,
                        "has no condition: give any, all or regex, or end the list with "
                        "{default: %.60s}",
                        rule->task);
    return status;
}

/* The library's memory is ours to count and to fail. */
static void *allocate(size_t size, void *unused)
{
    (void)unused;
    return mem_alloc(size);
}

static void release(void *p, void *unused)
{
    (void)unused;
    mem_free(p);
}

int classifier_read(classifier **out, const struct yaml_node *node, const char *where,
                    struct err *err)
{
    *out = NULL;
    if (node->kind != YAML_LIST || !node->n_children || node->n_children > CLASSIFY_MAX_RULES)
        return err_set(err, ERR_USAGE, where,
                       "is no list of 1 to %d rules {task: NAME, any: [words], all: [words], "
                       "regex: PATTERN}, in the order they are tried",
                       (int)CLASSIFY_MAX_RULES);
    classifier *c = mem_calloc(1, sizeof *c);
    if (!c)
        return err_no_memory(err, where, sizeof *c);
    c->general = pcre2_general_context_create(allocate, release, NULL);
    c->compiling = c->general ? pcre2_compile_context_create(c->general) : NULL;
    int status = c->compiling ? ERR_NONE : err_no_memory(err, where, 0);
    struct reading r = {.c = c, .where = where, .err = err};
    for (size_t i = 0; i < node->n_children && !status; i++) {
        r.number = (int)i + 1;
        r.line = node->children[i].line;
        status = read_rule(&r, &node->children[i], i + 1 == node->n_children);
    }
    if (status) {
        classifier_free(c);
        return status;
    }
    *out = c;
    return ERR_NONE;
}

void classifier_free(classifier *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->n_rules; i++)
        pcre2_code_free(c->rules[i].regex);
    pcre2_compile_context_free(c->compiling);
    pcre2_general_context_free(c->general);
    arena_free(&c->arena);
    mem_free(c);
}

/* --- judging a text --- */

static bool has_phrase(const struct str *folded, struct slice phrase)
{
    return memmem(str_text(folded), folded->length, phrase.data, phrase.length) != NULL;
}

static bool words_hold(const struct rule *rule, const struct str *folded)
{
    bool any = !rule->any.count;
    for (size_t i = 0; i < rule->any.count && !any; i++)
        any = has_phrase(folded, rule->any.items[i]);
    for (size_t i = 0; i < rule->all.count && any; i++)
        any = has_phrase(folded, rule->all.items[i]);
    return any;
}

struct work {
    size_t left, at;
};

static int count_work(pcre2_callout_block *block, void *data)
{
    struct work *w = data;
    size_t moved = block->current_position > w->at ? block->current_position - w->at
                                                   : w->at - block->current_position;
    w->at = block->current_position;
    if (w->left <= moved)
        return PCRE2_ERROR_CALLOUT;
    w->left -= moved + 1;
    return 0;
}

static int regex_holds(const classifier *c, const struct rule *rule, bool *holds,
                       const struct str *text, struct err *err)
{
    char where[40];
    snprintf(where, sizeof where, "classifier, line %d", rule->line);
    pcre2_match_context *limits = pcre2_match_context_create(c->general);
    pcre2_match_data *found = pcre2_match_data_create(1, c->general);
    struct work work = {.left = WORK_FIXED + WORK_PER_BYTE * text->length};
    int got = PCRE2_ERROR_NOMEMORY;
    if (limits && found) {
        pcre2_set_match_limit(limits, MATCH_STEPS);
        pcre2_set_heap_limit(limits, MATCH_HEAP_KIB);
        pcre2_set_callout(limits, count_work, &work);
        got = pcre2_match(rule->regex, (PCRE2_SPTR)str_text(text), text->length, 0,
                          PCRE2_NO_UTF_CHECK, found, limits);
    }
    pcre2_match_data_free(found);
    pcre2_match_context_free(limits);
    *holds = got >= 0;
    if (got >= 0 || got == PCRE2_ERROR_NOMATCH)
        return ERR_NONE;
    if (got == PCRE2_ERROR_NOMEMORY)
        return err_no_memory(err, where, text->length);
    return err_set(err, ERR_INPUT, where,
                   "the regex of the rule for \"%.60s\" takes too many steps on this text of %zu "
                   "bytes: make it simpler (no nested repetition, fewer .*)",
                   rule->task, text->length);
}

/* The matcher may trust its text to be UTF-8: what is not becomes U+FFFD first. */
static void put_valid(struct str *out, const char *text, size_t length)
{
    if (utf8_valid(text, length)) {
        str_append(out, text, length);
        return;
    }
    for (size_t i = 0; i < length;) {
        int32_t c;
        i += (size_t)utf8_decode(text + i, length - i, &c);
        str_put_utf8(out, c < 0 ? 0xFFFD : (uint32_t)c);
    }
}

int classifier_task(const classifier *c, const char **task, const char *text, size_t length,
                    struct err *err)
{
    struct str folded = {0}, valid = {0};
    int status = ERR_NONE;
    *task = NULL;
    str_putc(&folded, ' ');
    classify_fold(&folded, text, length);
    str_putc(&folded, ' ');
    put_valid(&valid, text, length);
    if (folded.failed || valid.failed)
        status = err_no_memory(err, "classifier", length);
    for (int i = 0; i < c->n_rules && !status && !*task; i++) {
        const struct rule *rule = &c->rules[i];
        bool holds = words_hold(rule, &folded);
        if (holds && rule->regex)
            status = regex_holds(c, rule, &holds, &valid, err);
        if (holds)
            *task = rule->task;
    }
    if (!status && !*task)
        *task = c->fallback;
    str_free(&folded);
    str_free(&valid);
    return status;
}

/* --- datasets --- */

static int classify_row(struct dataset *d, size_t i, const classifier *c, struct str *text,
                        struct err *err)
{
    const struct row *row = &d->rows[i];
    const char *task = NULL;
    str_clear(text);
    row_user_text(text, row);
    if (text->failed)
        return err_no_memory(err, d->path, 0);
    int status = classifier_task(c, &task, str_text(text), text->length, err);
    if (status == ERR_INPUT) {
        char context[256];
        snprintf(context, sizeof context, "%.150s, line %ld, row \"%.60s\"", d->path, row->line,
                 row->id);
        err_prefix(err, context);
    }
    return status || !task ? status : dataset_set_task(d, i, task, err);
}

static int refuse_unmatched(const struct dataset *d, size_t unmatched, struct err *err)
{
    enum { SHOWN = 5 };
    struct str list = {0};
    size_t shown = 0;
    for (size_t i = 0; i < d->count && shown < SHOWN; i++)
        if (!d->rows[i].task[0])
            str_printf(&list, "%s\"%.60s\" (line %ld)", shown++ ? ", " : "", d->rows[i].id,
                       d->rows[i].line);
    int status = err_set(
        err, ERR_INPUT, d->path,
        "no rule of the recipe's classifier matches %zu of %zu rows: %s%s. Give them a \"task\", "
        "add a rule, or end the list with {default: TASK}; `grpo data stats --recipe` lists them",
        unmatched, d->count, str_text(&list), unmatched > shown ? ", ..." : "");
    str_free(&list);
    return status;
}

int dataset_classify(struct dataset *d, const classifier *c, size_t *unmatched, struct err *err)
{
    struct str text = {0};
    size_t without = 0;
    int status = ERR_NONE;
    for (size_t i = 0; c && i < d->count && !status; i++) {
        if (d->rows[i].task[0])
            continue;
        status = classify_row(d, i, c, &text, err);
        without += !d->rows[i].task[0];
    }
    str_free(&text);
    if (unmatched)
        *unmatched = without;
    else if (!status && without)
        status = refuse_unmatched(d, without, err);
    return status;
}

int dataset_classify_by(struct dataset *d, const struct yaml_node *node, const char *where,
                        struct err *err)
{
    classifier *c = NULL;
    if (!node)
        return ERR_NONE;
    int status = classifier_read(&c, node, where, err);
    if (!status)
        status = dataset_classify(d, c, NULL, err);
    classifier_free(c);
    return status;
}
