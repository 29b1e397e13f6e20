/* sql_qa_v2.c: the reference experiment's Python function, to the digit on any text.
 *
 *   Tier 1, 0.30: SQL keywords in answer.upper(): 3 or more full, 1 or 2 half.
 *   Tier 2, 0.25: a query (```sql, or SELECT.{5,}FROM, case ignored, over lines) and one of five
 *                 answer words in answer.lower(); one of the two alone earns 0.12.
 *   Tier 3, 0.25: 0.05 for each match of \d+(?:[.,]\d+)?(?:\s*%)?, five at most.
 *   Tier 4, 0.20: 0.04 for each of ten Portuguese words in answer.lower(), five at most.
 *
 * The answer is folded once, three ways, to one byte a character (pytext.h: 0 stands for whatever
 * no keyword can contain), so that each `in` is a byte search. Nothing backtracks:
 * SELECT.{5,}FROM matches exactly when the last FROM begins at least five characters after the end
 * of the first SELECT, and a number's three parts start with different characters, so a match is
 * what a left-to-right scan takes. All is linear in the text.
 *
 * It rewards vocabulary, not answers, and can be gamed; it is kept because results are compared
 * under it. */
#include <string.h>
#include "base/mem.h"
#include "reward/pytext.h"
#include "reward/rewards.h"

static const char *const sql_keywords[] = {"SELECT", "FROM",   "WHERE", "GROUP BY", "ORDER BY",
                                           "JOIN",   "HAVING", "COUNT", "AVG",      "SUM"};
/* In Latin-1, as the folded text is: \343 ã, \347 ç, \351 é, \355 í. */
static const char *const answer_words[] = {"resultado", "total", "m\351dia", "mostra", "portanto"};
static const char *const domain_words[] = {
    "pedidos", "clientes",         "vendedores",       "produtos",  "avalia\347\343o",
    "entrega", "reclama\347\343o", "satisfa\347\343o", "categoria", "per\355odo"};
enum {
    N_KEYWORDS = sizeof sql_keywords / sizeof *sql_keywords,
    N_ANSWER_WORDS = sizeof answer_words / sizeof *answer_words,
    N_DOMAIN_WORDS = sizeof domain_words / sizeof *domain_words,
    MAX_LISTED_NUMBERS = 50
};

struct folded {
    unsigned char *upper, *lower, *fold; /* one block, in `upper` */
    size_t n_upper, n_lower, n_fold;     /* n_fold: characters of the text */
    bool blank;                          /* nothing but white space */
};

static bool fold_text(struct folded *f, const char *text, size_t length)
{
    size_t size;
    *f = (struct folded){.blank = true};
    if (!mem_mul(&size, length, 3))
        return false;
    f->upper = mem_alloc(size);
    if (!f->upper)
        return false;
    f->lower = f->upper + length;
    f->fold = f->lower + length;
    for (size_t i = 0; i < length;) {
        int32_t c;
        i += (size_t)utf8_decode(text + i, length - i, &c);
        unsigned char out[3];
        int n = py_upper(out, c);
        for (int k = 0; k < n; k++)
            f->upper[f->n_upper++] = out[k];
        n = py_lower(out, c);
        for (int k = 0; k < n; k++)
            f->lower[f->n_lower++] = out[k];
        f->fold[f->n_fold++] = py_fold(c);
        f->blank = f->blank && py_is_space(c);
    }
    return true;
}

static bool contains(const unsigned char *text, size_t length, const char *word)
{
    return memmem(text, length, word, strlen(word)) != NULL;
}

static unsigned find_words(const unsigned char *text, size_t length, const char *const *words,
                           int n)
{
    unsigned found = 0;
    for (int i = 0; i < n; i++)
        if (contains(text, length, words[i]))
            found |= 1U << i;
    return found;
}

/* re.search("```sql|SELECT.{5,}FROM", answer, re.IGNORECASE | re.DOTALL) */
static bool has_query(const struct folded *f)
{
    if (contains(f->fold, f->n_fold, "```sql"))
        return true;
    const unsigned char *end = f->fold + f->n_fold,
                        *select = memmem(f->fold, f->n_fold, "select", 6);
    if (!select || end - select < 6 + 5)
        return false;
    const unsigned char *after = select + 6 + 5;
    return contains(after, (size_t)(end - after), "from");
}

static size_t skip_digits(const char *text, size_t length, size_t i)
{
    while (i < length) {
        int32_t c;
        int n = utf8_decode(text + i, length - i, &c);
        if (!py_is_digit(c))
            break;
        i += (size_t)n;
    }
    return i;
}

/* The end of the number that begins at i, where a digit stands. */
static size_t number_end(const char *text, size_t length, size_t i)
{
    i = skip_digits(text, length, i);
    if (i < length && (text[i] == '.' || text[i] == ','))
        if (skip_digits(text, length, i + 1) > i + 1)
            i = skip_digits(text, length, i + 1);
    for (size_t k = i; k < length;) {
        int32_t c;
        int n = utf8_decode(text + k, length - k, &c);
        if (c == '%')
            return k + 1;
        if (!py_is_space(c))
            break;
        k += (size_t)n;
    }
    return i;
}

/* len(re.findall(...)); the first ones are listed as strings where a writer is given. */
static size_t count_numbers(const char *text, size_t length, struct json_writer *list)
{
    size_t count = 0;
    for (size_t i = 0; i < length;) {
        int32_t c;
        int n = utf8_decode(text + i, length - i, &c);
        if (!py_is_digit(c)) {
            i += (size_t)n;
            continue;
        }
        size_t end = number_end(text, length, i);
        if (list && count < MAX_LISTED_NUMBERS)
            jw_string(list, text + i, end - i);
        count++;
        i = end;
    }
    return count;
}

static double at_most_one(double x)
{
    return x < 1 ? x : 1;
}

static int bits(unsigned set)
{
    return __builtin_popcount(set);
}

/* A list of the words whose bit is set, from Latin-1 to UTF-8. */
static void write_words(struct json_writer *w, const char *key, const char *const *words,
                        unsigned set)
{
    jw_key(w, key);
    jw_array_begin(w);
    for (int i = 0; set >> i; i++) {
        if (!(set >> i & 1))
            continue;
        char text[64];
        size_t n = 0;
        for (const unsigned char *c = (const unsigned char *)words[i]; *c; c++) {
            if (*c >= 0x80)
                text[n++] = (char)(0xC0 | *c >> 6);
            text[n++] = (char)(*c < 0x80 ? *c : 0x80 | (*c & 63));
        }
        jw_string(w, text, n);
    }
    jw_array_end(w);
}

struct findings {
    unsigned keywords, answers, domain;
    bool query;
};

static void explain(struct str *out, const struct findings *found, const struct str *answer)
{
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    write_words(&w, "keywords", sql_keywords, found->keywords);
    jw_key(&w, "has_query");
    jw_bool(&w, found->query);
    jw_key(&w, "has_answer");
    jw_bool(&w, found->answers != 0);
    write_words(&w, "answer_words", answer_words, found->answers);
    jw_key(&w, "numbers");
    jw_array_begin(&w);
    size_t n = count_numbers(str_text(answer), answer->length, &w);
    jw_array_end(&w);
    jw_key(&w, "number_count");
    jw_int(&w, (long long)n);
    write_words(&w, "domain_words", domain_words, found->domain);
    jw_object_end(&w);
}

/* The document's sums, in its order; and the same tiers as components in [0,1]. */
static void judge(struct reward_result *out, const struct findings *found, size_t numbers)
{
    int sql_found = bits(found->keywords), domain_found = bits(found->domain);
    bool answered = found->answers != 0;
    double score = 0.0;
    if (sql_found >= 3)
        score += 0.30;
    else if (sql_found >= 1)
        score += 0.15;
    if (found->query && answered)
        score += 0.25;
    else if (found->query || answered)
        score += 0.12;
    double value = 0.05 * (double)numbers;
    score += value < 0.25 ? value : 0.25;
    value = 0.04 * domain_found;
    score += value < 0.20 ? value : 0.20;
    out->score = at_most_one(score);
    out->components[SQL_STRUCTURE] = sql_found >= 3 ? 1.0 : sql_found >= 1 ? 0.5 : 0.0;
    out->components[SQL_QUERY_ANSWER] = found->query && answered   ? 1.0
                                        : found->query || answered ? 0.12 / 0.25
                                                                   : 0.0;
    out->components[SQL_NUMBERS] = at_most_one((double)numbers / 5);
    out->components[SQL_DOMAIN] = at_most_one(domain_found / 5.0);
}

void sql_qa_v2_evaluate(const void *state, const struct reward_input *in, struct reward_result *out,
                        struct str *explain_json)
{
    (void)state;
    struct str answer = {0};
    struct folded f = {0};
    strip_think(&answer, in->completion, in->completion_length);
    if (answer.failed || !fold_text(&f, str_text(&answer), answer.length)) {
        reward_set_failed(out, "out of memory for a completion of %zu bytes",
                          in->completion_length);
        str_free(&answer);
        return;
    }
    struct findings found = {0};
    size_t numbers = 0;
    if (!f.blank) {
        found.keywords = find_words(f.upper, f.n_upper, sql_keywords, N_KEYWORDS);
        found.answers = find_words(f.lower, f.n_lower, answer_words, N_ANSWER_WORDS);
        found.domain = find_words(f.lower, f.n_lower, domain_words, N_DOMAIN_WORDS);
        found.query = has_query(&f);
        numbers = count_numbers(str_text(&answer), answer.length, NULL);
    }
    judge(out, &found, numbers);
    if (explain_json)
        explain(explain_json, &found, &answer);
    mem_free(f.upper);
    str_free(&answer);
}
