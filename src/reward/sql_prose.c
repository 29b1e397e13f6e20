/* sql_prose.c: the sentence beside a query; see sql_prose.h.
 *
 *   quality = amount · grammar · portuguese · fresh · own · few numbers
 *
 *   amount       different words, full at 6; from 150 words on it falls, to 0 at 400
 *   grammar      share of grammar words: salads of key words have none
 *   portuguese   credit of the words as `push` has it
 *   fresh        share of different words, 0 at 0.3 and 1 at 0.55: repetition has few
 *   own          words that are not the question's, taken as multisets: 0 at none, 1 at a quarter
 *   few numbers  at most one number to three words, 0 at one to one
 *
 * A claim is a number of the prose that is neither in the question nor in the query (a year, a
 * limit). It is grounded when a cell of the result, or a number in a text cell, is that number as
 * far as the digits shown tell, or when it is the number of rows. Whoever says no number claims
 * nothing wrong: one who cannot run the query is not asked to know the result. */
#include "reward/sql_prose.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "reward/fold.h"
#include "reward/ptbr_number.h"
#include "reward/push_text.h"
#include "reward/push_words.h"
#include "reward/sql_compare.h"

enum { MAX_CLAIMS = 12, MAX_NUMBERS = 200, MAX_RESULT = 4000 };

enum {
    GRAMMAR = 1U << PUSH_PREPOSITIONS | 1U << PUSH_CONTRACTIONS | 1U << PUSH_ARTICLES |
              1U << PUSH_CONJUNCTIONS | 1U << PUSH_POSSESSIVES | 1U << PUSH_GRAMMAR
};

static double ramp(double x, double zero, double one)
{
    return fmin(1, fmax(0, (x - zero) / (one - zero)));
}

/* --- the text --- */

/* Appends the text without its fences. */
static void put_outside_fences(struct str *out, const char *text, size_t length)
{
    struct slice t = {text, length};
    struct sql_fence f;
    size_t at = 0;
    for (; sql_fence_next(&f, t, at); at = f.behind) {
        str_append(out, text + at, f.open - at);
        str_putc(out, '\n');
    }
    str_append(out, text + at, length - at);
    str_putc(out, '\n');
}

void sql_prose_text(struct str *out, struct slice answer, const struct sql_found *found)
{
    if (found->place != SQL_PROSE) {
        put_outside_fences(out, answer.data, answer.length);
        return;
    }
    size_t start = (size_t)(found->sql.data - answer.data), end = start + found->sql.length;
    put_outside_fences(out, answer.data, start);
    put_outside_fences(out, answer.data + end, answer.length - end);
}

/* --- its words --- */

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool judge_words(struct sql_prose *p, struct slice prompt)
{
    struct push_text t = {0};
    struct fold_words mine = {0}, asked = {0};
    size_t words = 0, grammar = 0, different = 0, numbers = 0;
    double credit = 0;
    bool memory = push_text_read(&t, str_text(&p->text), p->text.length) &&
                  fold_words(&mine, str_text(&p->text), p->text.length, 1) &&
                  fold_words(&asked, prompt.data, prompt.length, 1);
    uint64_t *hashes = memory ? mem_alloc((t.n + 1) * sizeof *hashes) : NULL;
    memory = hashes != NULL;
    for (size_t i = 0; memory && i < t.n; i++) {
        if (t.tokens[i].number) {
            numbers++;
            continue;
        }
        hashes[words++] = t.tokens[i].hash;
        grammar += (t.tokens[i].lists & GRAMMAR) != 0;
        credit += push_word_credit(&t, i);
    }
    if (memory && words)
        qsort(hashes, words, sizeof *hashes, compare_hashes);
    for (size_t i = 0; memory && i < words; i++)
        different += i == 0 || hashes[i] != hashes[i - 1];
    if (memory && words) {
        double n = (double)words, own = 1 - (double)fold_common(&mine, &asked) / (double)mine.n;
        p->quality = fmin(1, (double)different / 6) * ramp(n, 400, 150) *
                     ramp((double)grammar / n, 0.05, 0.2) * ramp(credit / n, 0.3, 0.8) *
                     ramp((double)different / n, 0.3, 0.55) * ramp(own, 0, 0.25) *
                     ramp((double)numbers / n, 1, 0.34);
    }
    mem_free(hashes);
    push_text_free(&t);
    fold_words_free(&mine);
    fold_words_free(&asked);
    return memory;
}

/* --- its numbers --- */

struct numbers {
    double values[MAX_RESULT];
    int n;
};

static void add_number(struct numbers *list, double value, int most)
{
    if (list->n < most)
        list->values[list->n++] = fabs(value);
}

static void add_text_numbers(struct numbers *list, const char *text, size_t length, int most)
{
    struct ptbr_number n;
    size_t at = 0, start;
    while (list->n < most && ptbr_number_next(&n, text, length, &at, &start))
        add_number(list, n.value, most);
}

static void add_cells(struct numbers *list, const struct sql_result *r, int rows)
{
    add_number(list, rows, MAX_RESULT);
    for (int row = 0; row < rows && list->n < MAX_RESULT; row++)
        for (int i = 0; i < r->n_columns; i++) {
            const struct sql_cell *cell = sql_result_cell(r, row, i);
            double value;
            bool real;
            if (sql_cell_number(&value, &real, r, cell)) {
                add_number(list, value, MAX_RESULT);
            } else if (cell->type == SQL_TEXT) {
                struct slice text = sql_cell_text(r, cell);
                add_text_numbers(list, text.data, text.length, MAX_RESULT);
            }
        }
}

static bool among(const struct numbers *list, const struct ptbr_number *n, bool exactly)
{
    for (int i = 0; i < list->n; i++) {
        double gap = fabs(list->values[i] - fabs(n->value));
        if (gap <= (exactly ? 0 : 0.5 * n->unit) + 1e-9 * fabs(n->value))
            return true;
    }
    return false;
}

/* "1." or "2)" at a line's begin. */
static bool list_mark(const char *text, size_t length, size_t start, size_t end)
{
    size_t line = start;
    while (line > 0 && (text[line - 1] == ' ' || text[line - 1] == '\t'))
        line--;
    return (line == 0 || text[line - 1] == '\n') && end < length &&
           (text[end] == '.' || text[end] == ')');
}

static bool judge_numbers(struct sql_prose *p, const struct sql_found *found, struct slice prompt,
                          const struct sql_result *result, int rows)
{
    struct numbers *given = mem_calloc(2, sizeof *given), *cells = given ? given + 1 : NULL;
    if (!given)
        return false;
    add_text_numbers(given, prompt.data, prompt.length, MAX_NUMBERS);
    if (found->place)
        add_text_numbers(given, found->sql.data, found->sql.length, MAX_NUMBERS * 2);
    add_cells(cells, result, rows);
    struct ptbr_number n;
    const char *text = str_text(&p->text);
    size_t at = 0, start;
    while (ptbr_number_next(&n, text, p->text.length, &at, &start)) {
        if (list_mark(text, p->text.length, start, at))
            continue;
        bool grounded = among(cells, &n, false);
        if (!grounded && among(given, &n, true))
            continue;
        p->claims++;
        p->grounded += grounded;
    }
    mem_free(given);
    return true;
}

bool sql_prose_read(struct sql_prose *out, struct slice answer, const struct sql_found *found,
                    struct slice prompt, const struct sql_result *result, int rows)
{
    *out = (struct sql_prose){0};
    sql_prose_text(&out->text, answer, found);
    if (out->text.failed || !judge_words(out, prompt) ||
        !judge_numbers(out, found, prompt, result, rows))
        return false;
    double share = out->claims ? (double)out->grounded / out->claims : 1;
    double crowd = out->claims > MAX_CLAIMS ? (double)MAX_CLAIMS / out->claims : 1;
    out->score = out->quality * share * share * crowd;
    return true;
}

void sql_prose_free(struct sql_prose *p)
{
    str_free(&p->text);
}
