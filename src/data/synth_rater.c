/* synth_rater.c: see synth_rater.h. One small judge a task, each with the few questions that
 * someone would ask who has the right answer beside the completion. */
#include "data/synth_rater.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/json.h"
#include "base/mem.h"
#include "data/classify.h"
#include "data/synth.h"
#include "data/synth_rater_parts.h"

bool synth_made(const struct row *row)
{
    const char *source = json_string_value(json_object_get(row->json, "source"));
    return source && strcmp(source, SYNTH_SOURCE) == 0;
}

/* --- reading --- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Points between digits are thousands where three digits follow each and no other sense is left. */
static bool points_are_thousands(const char *token, size_t n)
{
    const char *comma = memchr(token, ',', n);
    size_t end = comma ? (size_t)(comma - token) : n;
    for (size_t i = 0, run = 0; i <= end; i++) {
        bool edge = i == end || token[i] == '.';
        if (edge && memchr(token, '.', i) && run != 3)
            return false;
        run = edge ? 0 : run + 1;
    }
    return true;
}

bool rater_number(double *value, const char *text, size_t length, size_t *at)
{
    size_t i = *at, n = 0;
    while (i < length && !is_digit(text[i]))
        i++;
    if (i == length)
        return false;
    size_t end = i;
    while (end < length && (is_digit(text[end]) || text[end] == '.' || text[end] == ','))
        end++;
    *at = end;
    while (!is_digit(text[end - 1]))
        end--;
    bool comma = memchr(text + i, ',', end - i) != NULL;
    bool thousands = comma || points_are_thousands(text + i, end - i);
    char plain[64];
    for (; i < end && n + 1 < sizeof plain; i++) {
        if (text[i] == '.' && thousands)
            continue;
        plain[n++] = text[i] == ',' ? '.' : text[i];
    }
    plain[n] = 0;
    *value = strtod(plain, NULL);
    return true;
}

int rater_text(const char **out, const json_t *reference, const char *key, const char *id,
               struct err *err)
{
    *out = json_string_value(json_object_get(reference, key));
    return *out ? ERR_NONE
                : err_set(err, ERR_INPUT, id,
                          "the reference has no text \"%s\", which the simulated rater needs: is "
                          "this a row of `grpo data synth`?",
                          key);
}

/* What is left without thoughts: all behind the last </think>, nothing when one is not closed. */
static struct slice without_thoughts(const char *text, size_t length)
{
    static const char open[] = "<think>", close[] = "</think>";
    const char *end = text + length, *from = text;
    for (const char *p = text; (p = memchr(p, '<', (size_t)(end - p))); p++)
        if ((size_t)(end - p) >= sizeof close - 1 && memcmp(p, close, sizeof close - 1) == 0)
            from = p + sizeof close - 1;
    for (const char *p = from; p < end && (p = memchr(p, '<', (size_t)(end - p))); p++)
        if ((size_t)(end - p) >= sizeof open - 1 && memcmp(p, open, sizeof open - 1) == 0)
            return (struct slice){from, 0};
    return (struct slice){from, (size_t)(end - from)};
}

/* Whether the folded text holds the folded words, at the beginning of a word. */
static bool mentions(const struct str *folded, const char *words)
{
    const char *text = str_text(folded), *p = text;
    for (; (p = strstr(p, words)); p++)
        if (p == text || p[-1] == ' ')
            return true;
    return false;
}

static int count_mentions(const struct str *folded, const char *const *words, size_t n)
{
    int count = 0;
    for (size_t i = 0; i < n; i++)
        count += mentions(folded, words[i]);
    return count;
}

/* --- extraction: how many of the ten fields are right --- */

/* The share of the words of a that are in b. */
static double shared_words(const struct str *a, const struct str *b)
{
    int words = 0, shared = 0;
    for (const char *p = str_text(a); *p;) {
        size_t n = strcspn(p, " ");
        char word[64];
        if (n > 2 && n < sizeof word) {
            memcpy(word, p, n);
            word[n] = 0;
            words++;
            shared += mentions(b, word);
        }
        p += n + (p[n] == ' ');
    }
    return words ? (double)shared / words : 0;
}

/* Texts of one word must be the same; of longer ones half of the words will do. */
static bool same_text(const char *wanted, struct slice got)
{
    struct str a = {0}, b = {0};
    classify_fold(&a, wanted, strlen(wanted));
    classify_fold(&b, got.data, got.length);
    bool equal = strcmp(str_text(&a), str_text(&b)) == 0;
    bool phrase = strchr(str_text(&a), ' ') != NULL;
    bool same = equal || (phrase && shared_words(&a, &b) >= 0.5 && shared_words(&b, &a) >= 0.5);
    str_free(&a);
    str_free(&b);
    return same;
}

/* One field against what was written for it, be it in quotes or not. */
static bool field_right(const json_t *wanted, struct slice got)
{
    double value;
    size_t at = 0;
    if (json_is_string(wanted))
        return same_text(json_string_value(wanted), got);
    if (json_is_number(wanted))
        return rater_number(&value, got.data, got.length, &at) &&
               fabs(value - json_number_value(wanted)) < 0.005;
    const char *word = json_is_true(wanted) ? "true" : json_is_false(wanted) ? "false" : "null";
    const char *spoken = json_is_true(wanted) ? "sim" : json_is_false(wanted) ? "não" : "nenhum";
    return same_text(word, got) || same_text(spoken, got);
}

/* What stands behind "name": up to the end of its string, or to a comma, brace or line break. */
static bool written_for(struct slice *out, struct slice text, const char *name)
{
    size_t n = strlen(name);
    const char *end = text.data + text.length;
    for (const char *p = text.data; p && (size_t)(end - p) > n; p++) {
        p = memchr(p, name[0], (size_t)(end - p));
        if (!p || (size_t)(end - p) <= n)
            return false;
        if (memcmp(p, name, n) != 0 || (p > text.data && p[-1] == '_'))
            continue;
        const char *q = p + n;
        while (q < end && memchr("\"' ", *q, 3))
            q++;
        if (q == end || (*q != ':' && *q != '='))
            continue;
        for (q++; q < end && *q == ' ';)
            q++;
        const char *from = q;
        if (q < end && (*q == '"' || *q == '\'')) {
            char quote = *q;
            from++;
            for (q++; q < end && *q != quote && *q != '\n';)
                q++;
        } else {
            bool within = true;
            while (q < end && within) {
                /* A comma between digits belongs to the number. */
                bool decimal =
                    *q == ',' && q > from && is_digit(q[-1]) && q + 1 < end && is_digit(q[1]);
                within = decimal || !memchr(",}\n]", *q, 4);
                q += within;
            }
        }
        *out = (struct slice){from, (size_t)(q - from)};
        return true;
    }
    return false;
}

static bool well_formed(struct slice text)
{
    const char *open = text.length ? memchr(text.data, '{', text.length) : NULL;
    const char *end = text.data + text.length;
    while (end > text.data && end[-1] != '}')
        end--;
    if (!open || end <= open)
        return false;
    json_t *value = json_read(open, (size_t)(end - open), JSON_PLAIN, "", NULL);
    bool good = json_is_object(value);
    json_decref(value);
    return good;
}

/* Someone who asked for JSON takes off two points when a program could not read it. */
static double rate_extraction(const json_t *reference, struct slice text)
{
    const char *name;
    json_t *wanted;
    double right = 0;
    size_t fields = json_object_size(reference);
    json_object_foreach((json_t *)reference, name, wanted)
    {
        struct slice got;
        right += written_for(&got, text, name) && field_right(wanted, got);
    }
    double points = fields ? 10 * right / (double)fields : 0;
    return well_formed(text) ? points : fmax(0, points - 2);
}

/* --- insights: are the figures right, is something to be done? --- */

static const char *const actions[] = {
    "acompanhe", "ajuste",  "amplie",  "analise",  "aproxime", "aumente",     "avise",
    "cobre",     "corrija", "crie",    "descubra", "destaque", "divulgue",    "diversifique",
    "faca",      "foque",   "garanta", "invista",  "lance",    "mantenha",    "melhore",
    "monte",     "mostre",  "negocie", "ofereca",  "peca",     "planeje",     "preserve",
    "priorize",  "promova", "reduza",  "reforce",  "revise",   "simplifique", "teste",
    "treine",    "use",
};

static bool among(double value, const json_t *numbers)
{
    const char *name;
    json_t *number;
    json_object_foreach((json_t *)numbers, name, number)
    {
        if (fabs(json_number_value(number) - value) < 0.005)
            return true;
    }
    return false;
}

/* Numbers of the text that are among those given, and all; a list's own ("1. ") do not count. */
static void count_claims(int *right, int *all, const json_t *numbers, struct slice text)
{
    size_t at = 0, before = 0;
    double value;
    *right = *all = 0;
    while (rater_number(&value, text.data, text.length, &at)) {
        size_t start = before;
        while (!is_digit(text.data[start]))
            start++;
        bool first = start == 0 || text.data[start - 1] == '\n';
        bool marker =
            first && at < text.length && (text.data[at - 1] == '.' || text.data[at] == ')');
        before = at;
        if (marker)
            continue;
        *right += among(value, numbers);
        *all += 1;
    }
}

static int rate_insights(double *points, const struct row *row, const json_t *reference,
                         struct slice text, struct err *err)
{
    const json_t *numbers = json_object_get(reference, "numbers");
    struct str folded = {0}, asked = {0};
    int right, all;
    if (!json_is_object(numbers))
        return err_set(err, ERR_INPUT, row->id,
                       "the reference has no \"numbers\", which the simulated rater needs");
    classify_fold(&folded, text.data, text.length);
    classify_fold(&asked, row->user_text, strlen(row->user_text));
    count_claims(&right, &all, numbers, text);
    int doing = count_mentions(&folded, actions, ARRAY_LENGTH(actions));
    double grounded = all ? (double)right / all : 0;
    *points = 4 * grounded * fmin(right, 3) / 3 + 2 * fmin(doing, 3);
    if (folded.length && strstr(str_text(&asked), str_text(&folded)))
        *points = fmin(*points, 1); /* the question again */
    if (text.length > 500)
        *points -= 2;
    str_free(&folded);
    str_free(&asked);
    return ERR_NONE;
}

/* --- push: is it short, about the product, alive, and like a shop's? --- */

static size_t letters(struct slice text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.length; i++)
        n += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    return n;
}

static int rate_push(double *points, const struct row *row, const json_t *reference,
                     struct slice text, struct err *err)
{
    static const char *const formal[] = {"prezad",      "caro cliente",  "cara cliente",
                                         "informamos",  "comunicamos",   "atenciosamente",
                                         "agradecemos", "por meio desta"};
    static const char *const talk[] = {"aqui esta", "segue a", "push ", "titulo "};
    static const char *const ours[] = {"a ",   "o ",   "de ",  "do ",   "da ",  "para ", "com ",
                                       "voce", "seu ", "sua ", "esta ", "que ", "por ",  "em "};
    const char *product;
    int status = rater_text(&product, reference, "product", row->id, err);
    if (status)
        return status;
    struct str folded = {0}, asked = {0}, named = {0};
    classify_fold(&folded, text.data, text.length);
    str_putc(&folded, ' ');
    classify_fold(&asked, row->user_text, strlen(row->user_text));
    classify_fold(&named, product, strlen(product));
    size_t n = letters(text);
    bool one_line = !memchr(text.data, '\n', text.length);
    bool gaps = memchr(text.data, '[', text.length) || memchr(text.data, '{', text.length);
    bool lively = memchr(text.data, '!', text.length) || memchr(text.data, '?', text.length);
    *points = n < 10 ? 0 : 2.0 * (n <= 120) + 3.0 * mentions(&folded, str_text(&named)) + lively;
    if (*points > 0)
        *points += 1.0 * one_line + 1.0 * !gaps +
                   1.0 * !count_mentions(&folded, formal, ARRAY_LENGTH(formal)) +
                   1.0 * (count_mentions(&folded, ours, ARRAY_LENGTH(ours)) >= 2);
    if (count_mentions(&folded, formal, ARRAY_LENGTH(formal)) || gaps)
        *points -= 2; /* nobody would send these */
    for (size_t i = 0; i < ARRAY_LENGTH(talk); i++)
        if (strncmp(str_text(&folded), talk[i], strlen(talk[i])) == 0)
            *points -= 2;
    if (mentions(&folded, "publico ") && mentions(&folded, "motivo "))
        *points = fmin(*points, 1); /* the question again */
    str_free(&folded);
    str_free(&asked);
    str_free(&named);
    return ERR_NONE;
}

/* --- */

static int rate_task(double *points, const struct row *row, struct slice text, const char *folder,
                     struct err *err)
{
    const json_t *reference = json_object_get(row->json, "reference");
    if (!json_is_object(reference))
        return err_set(err, ERR_INPUT, row->id, "the row has no reference to grade by");
    if (strcmp(row->task, "extraction") == 0) {
        *points = rate_extraction(reference, text);
        return ERR_NONE;
    }
    if (strcmp(row->task, "sql_qa") == 0)
        return rater_sql(points, reference, row->id, text, folder, err);
    if (strcmp(row->task, "insights") == 0)
        return rate_insights(points, row, reference, text, err);
    if (strcmp(row->task, "push") == 0)
        return rate_push(points, row, reference, text, err);
    return err_set(err, ERR_INPUT, row->id,
                   "task \"%.60s\" is none of the synthetic shop's (extraction, sql_qa, insights, "
                   "push)",
                   row->task);
}

int synth_rate(int *grade, const struct row *row, const char *text, size_t length,
               const char *folder, struct err *err)
{
    double points = 0;
    if (!synth_made(row))
        return err_set(err, ERR_USAGE, row->id,
                       "line %ld is not of the synthetic shop (no \"source\": \"" SYNTH_SOURCE
                       "\"): nobody knows the truth of real rows, so a person has to score them",
                       row->line);
    struct slice said = without_thoughts(text, length);
    int status = said.length ? rate_task(&points, row, said, folder, err) : ERR_NONE;
    *grade = (int)floor(fmin(10, fmax(0, points)) + 0.5);
    return status;
}
