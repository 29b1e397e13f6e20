/* sql_compare.c: comparing results; see sql_compare.h.
 *
 * Cells become small numbers first. For each column of the reference its different values are
 * numbered, and each given column is read through that numbering: a cell gets the number of the
 * nearest value that it agrees with, or none. Rows are then tuples of numbers, equal or not, and
 * tolerance is no matter any more.
 *
 * Which given column stands for which of the reference is searched for: columns in turn, each takes
 * a free one that shares values with it, the likeliest first, or none; what cannot beat the best
 * found is not followed, and after MAX_TRIES assignments the best found is it. Two columns with the
 * same values are no trouble, since rows tell them apart. */
#include "reward/sql_compare.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "reward/ptbr_number.h"
#include "reward/rewards.h"

enum {
    MAX_COLUMNS = 24, /* more on either side are left out */
    MAX_TRIES = 300,
    MAX_DIGITS = 15, /* a text with more (a code, a key) is no number that a double holds */
    NO_VALUE = -1    /* agrees with no value of the reference's column */
};

/* --- what the query says --- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

/* Behind what begins at i and is no SQL: a quoted name or text, a comment; i where there is none.
 */
static size_t skip_quoted(struct slice t, size_t i)
{
    const char *s = t.data;
    char end = s[i] == '[' ? ']' : s[i];
    if (end == '\'' || end == '"' || end == '`' || end == ']') {
        if (s[i] == ']')
            return i;
        for (i++; i < t.length; i++)
            if (s[i] == end && (end == ']' || i + 1 >= t.length || s[i + 1] != end))
                return i + 1;
            else if (s[i] == end)
                i++;
        return t.length;
    }
    if (t.length - i >= 2 && s[i] == '-' && s[i + 1] == '-') {
        while (i < t.length && s[i] != '\n')
            i++;
        return i;
    }
    if (t.length - i >= 2 && s[i] == '/' && s[i + 1] == '*') {
        const char *close = memmem(s + i + 2, t.length - i - 2, "*/", 2);
        return close ? (size_t)(close - s) + 2 : t.length;
    }
    return i;
}

static bool word_is(struct slice word, const char *capitals)
{
    if (strlen(capitals) != word.length)
        return false;
    for (size_t i = 0; i < word.length; i++)
        if ((word.data[i] >= 'a' && word.data[i] <= 'z' ? word.data[i] - 32 : word.data[i]) !=
            capitals[i])
            return false;
    return true;
}

/* One sign or word at a time, with its depth in parentheses; quoted things come whole. */
struct token {
    struct slice text;
    size_t at;
    int depth;
    bool quoted;
};

static bool next_token(struct token *k, struct slice t, size_t *at)
{
    size_t i = *at;
    while (i < t.length) {
        size_t end = skip_quoted(t, i);
        bool comment = end > i && (t.data[i] == '-' || t.data[i] == '/');
        if (comment || t.data[i] == ' ' || (t.data[i] >= '\t' && t.data[i] <= '\r')) {
            i = comment ? end : i + 1;
            continue;
        }
        k->quoted = end > i;
        if (!k->quoted) {
            end = i + 1;
            while (is_word(t.data[i]) && end < t.length && is_word(t.data[end]))
                end++;
        }
        k->at = i;
        k->text = (struct slice){t.data + i, end - i};
        if (!k->quoted && t.data[i] == '(')
            k->depth++;
        if (!k->quoted && t.data[i] == ')')
            k->depth--;
        *at = end;
        return true;
    }
    return false;
}

static bool is_sign(const struct token *k, char sign)
{
    return !k->quoted && k->text.length == 1 && k->text.data[0] == sign;
}

/* The digits of ROUND(x, digits): what stands behind its last comma, if it is an integer. */
static int round_digits(struct slice t, size_t at)
{
    struct token k = {0};
    int digits = 0, behind_comma = -1; /* words behind the last comma; -1: there is none */
    bool first = true;
    while (next_token(&k, t, &at)) {
        if (first && !is_sign(&k, '('))
            return -1;
        first = false;
        if (k.depth == 0)
            return digits;
        if (k.depth == 1 && is_sign(&k, ','))
            behind_comma = 0;
        else if (behind_comma >= 0)
            digits = behind_comma++ == 0 && k.text.length == 1 && k.text.data[0] >= '0' &&
                             k.text.data[0] <= '9'
                         ? k.text.data[0] - '0'
                         : 9;
    }
    return -1; /* it never closes */
}

static bool ends_term(const struct token *k)
{
    static const char *const words[] = {"ASC", "DESC", "NULLS", "COLLATE", "LIMIT"};
    if (k->depth > 0)
        return false;
    if (is_sign(k, ',') || is_sign(k, ';') || k->depth < 0)
        return true;
    for (size_t i = 0; !k->quoted && i < ARRAY_LENGTH(words); i++)
        if (word_is(k->text, words[i]))
            return true;
    return false;
}

static struct slice term_at(struct slice t, size_t at)
{
    struct token k = {0};
    size_t from = 0, to = 0;
    while (next_token(&k, t, &at) && !ends_term(&k)) {
        from = to ? from : k.at;
        to = k.at + k.text.length;
    }
    return (struct slice){t.data + from, to - from};
}

struct sql_outline sql_outline_read(const char *sql, size_t length)
{
    struct sql_outline out = {.key = {sql, 0}, .decimals = -1};
    struct slice t = {sql, length};
    struct token k = {0}, before = {0};
    for (size_t at = 0; next_token(&k, t, &at); before = k) {
        if (k.quoted)
            continue;
        if (word_is(k.text, "ROUND")) {
            int digits = round_digits(t, at);
            if (digits >= 0 && (out.decimals < 0 || digits < out.decimals))
                out.decimals = digits;
        }
        if (k.depth != 0)
            continue;
        if (word_is(k.text, "BY") && !before.quoted && word_is(before.text, "ORDER")) {
            out.ordered = true;
            out.key = term_at(t, at);
        } else if (word_is(k.text, "LIMIT")) {
            out.limit_at = k.at;
        }
    }
    return out;
}

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

/* Equal but for case and white space. */
static bool same_term(struct slice a, struct slice b)
{
    size_t i = 0, k = 0;
    while (i < a.length || k < b.length) {
        if (i < a.length && (a.data[i] == ' ' || (a.data[i] >= '\t' && a.data[i] <= '\r'))) {
            i++;
        } else if (k < b.length && (b.data[k] == ' ' || (b.data[k] >= '\t' && b.data[k] <= '\r'))) {
            k++;
        } else if (i == a.length || k == b.length || lower(a.data[i]) != lower(b.data[k])) {
            return false;
        } else {
            i++;
            k++;
        }
    }
    return true;
}

int sql_key_column(const struct sql_outline *outline, const struct sql_result *r)
{
    struct slice key = outline->key;
    int number = 0;
    size_t digits = 0, point = 0;
    if (key.length == 0)
        return -1;
    while (digits < key.length && digits < 3 && key.data[digits] >= '0' && key.data[digits] <= '9')
        number = number * 10 + key.data[digits++] - '0';
    if (digits == key.length)
        return number >= 1 && number <= r->n_columns ? number - 1 : -1;
    for (size_t i = 0; i < key.length && (is_word(key.data[i]) || key.data[i] == '.'); i++)
        if (key.data[i] == '.')
            point = i + 1;
    struct slice bare = {key.data + point, key.length - point};
    for (int i = 0; i < r->n_columns; i++) {
        struct slice name = sql_cell_text(r, sql_result_name(r, i));
        if (same_term(name, key) || same_term(name, bare))
            return i;
    }
    return -1;
}

/* --- cells --- */

struct value {
    enum { VALUE_NULL, VALUE_NUMBER, VALUE_TEXT } kind;
    bool real;
    double number;
    int64_t integer; /* where it is a number and not real */
    struct slice text;
};

static int count_digits(struct slice t)
{
    int digits = 0;
    for (size_t i = 0; i < t.length; i++)
        digits += t.data[i] >= '0' && t.data[i] <= '9';
    return digits;
}

/* [-+]digits[.digits], not more of them than a double holds. */
static bool plain_number(struct value *v, struct slice t)
{
    char text[24];
    size_t i = t.length && (t.data[0] == '-' || t.data[0] == '+'), points = 0;
    int digits = count_digits(t);
    if (t.length >= sizeof text || digits == 0 || digits > MAX_DIGITS)
        return false;
    for (; i < t.length; i++) {
        if (t.data[i] == '.')
            points++;
        else if (t.data[i] < '0' || t.data[i] > '9')
            return false;
    }
    if (points > 1)
        return false;
    memcpy(text, t.data, t.length);
    text[t.length] = 0;
    v->real = points > 0;
    v->number = strtod(text, NULL);
    v->integer = v->real ? 0 : strtoll(text, NULL, 10);
    return true;
}

static void read_value(struct value *v, const struct sql_result *r, const struct sql_cell *cell)
{
    struct ptbr_number n;
    *v = (struct value){0};
    switch (cell->type) {
    case SQL_NULL:
        return;
    case SQL_INTEGER:
        v->kind = VALUE_NUMBER;
        v->integer = cell->integer;
        v->number = (double)cell->integer;
        return;
    case SQL_REAL:
        v->kind = VALUE_NUMBER;
        v->real = true;
        v->number = cell->real;
        return;
    default:
        v->kind = VALUE_TEXT;
        v->text = sql_cell_text(r, cell);
    }
    if (cell->type == SQL_BLOB)
        return;
    v->text = reward_trim(v->text.data, v->text.length);
    if (plain_number(v, v->text)) {
        v->kind = VALUE_NUMBER;
    } else if (v->text.length < 40 && count_digits(v->text) > 0 &&
               count_digits(v->text) <= MAX_DIGITS &&
               ptbr_number_read(&n, v->text.data, v->text.length)) {
        v->kind = VALUE_NUMBER;
        v->real = !n.integer;
        v->number = n.value;
        v->integer = n.integer ? (int64_t)n.value : 0;
    }
}

bool sql_cell_number(double *value, bool *real, const struct sql_result *r,
                     const struct sql_cell *cell)
{
    struct value v;
    read_value(&v, r, cell);
    *value = v.number;
    *real = v.real;
    return v.kind == VALUE_NUMBER;
}

static bool has_decimals(double x, int decimals)
{
    double scaled = x * pow(10, decimals);
    return fabs(scaled - nearbyint(scaled)) <= 1e-9 * fmax(1, fabs(scaled));
}

/* One of them is the other, rounded. */
static bool rounded(const struct value *a, const struct value *b, int decimals)
{
    bool shown = (a->real && has_decimals(a->number, decimals)) ||
                 (b->real && has_decimals(b->number, decimals));
    return shown && fabs(a->number - b->number) <= 0.5 * pow(10, -decimals) * (1 + 1e-9);
}

/* decimals: of the outline. */
static bool numbers_agree(const struct value *a, const struct value *b, int decimals)
{
    if (!a->real && !b->real)
        return a->integer == b->integer;
    double gap = fabs(a->number - b->number);
    if (a->number == b->number || gap <= 1e-6 * fmax(fabs(a->number), fabs(b->number)) ||
        gap <= 1e-12)
        return true;
    if (a->real && b->real && rounded(a, b, 2))
        return true;
    return decimals >= 0 && rounded(a, b, decimals);
}

static int compare_text(struct slice a, struct slice b)
{
    size_t n = a.length < b.length ? a.length : b.length;
    int order = n ? memcmp(a.data, b.data, n) : 0;
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static int compare_values(const void *x, const void *y)
{
    const struct value *a = x, *b = y;
    if (a->kind != b->kind)
        return (a->kind > b->kind) - (a->kind < b->kind);
    if (a->kind == VALUE_TEXT)
        return compare_text(a->text, b->text);
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return (a->integer > b->integer) - (a->integer < b->integer);
}

static bool values_agree(const struct value *a, const struct value *b, int decimals)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == VALUE_NULL)
        return true;
    return a->kind == VALUE_TEXT ? compare_text(a->text, b->text) == 0
                                 : numbers_agree(a, b, decimals);
}

bool sql_same_cell(const struct sql_result *r, const struct sql_cell *a, const struct sql_cell *b)
{
    struct value x, y;
    read_value(&x, r, a);
    read_value(&y, r, b);
    return values_agree(&x, &y, -1);
}

bool sql_same_result(const struct sql_result *a, const struct sql_result *b)
{
    if (a->n_columns != b->n_columns || a->n_rows != b->n_rows)
        return false;
    for (int row = 0; row < a->n_rows; row++)
        for (int i = 0; i < a->n_columns; i++) {
            struct value x, y;
            read_value(&x, a, sql_result_cell(a, row, i));
            read_value(&y, b, sql_result_cell(b, row, i));
            if (!values_agree(&x, &y, -1))
                return false;
        }
    return true;
}

/* The row as text; its length before its bytes sets cells apart. */
static void put_glance(struct str *out, const struct sql_result *r, int row)
{
    for (int i = 0; i < r->n_columns; i++) {
        struct value v;
        read_value(&v, r, sql_result_cell(r, row, i));
        if (v.kind == VALUE_TEXT) {
            str_printf(out, "%zu:", v.text.length);
            str_append(out, v.text.data, v.text.length);
        } else if (v.kind == VALUE_NUMBER) {
            double x = v.real ? v.number : (double)v.integer;
            str_printf(out, fabs(x) < 1000 ? "%.2f," : "%.4e,", x);
        } else {
            str_puts(out, "-,");
        }
    }
}

static int compare_glances(const void *a, const void *b)
{
    return compare_text(*(const struct slice *)a, *(const struct slice *)b);
}

static bool put_glances(struct str *text, struct slice *rows, const struct sql_result *r)
{
    for (int row = 0; row < r->n_rows; row++) {
        rows[row].length = text->length;
        put_glance(text, r, row);
        rows[row].length = text->length - rows[row].length;
    }
    const char *at = str_text(text);
    for (int row = 0; row < r->n_rows && !text->failed; row++) {
        rows[row].data = at;
        at += rows[row].length;
    }
    if (!text->failed && r->n_rows > 1)
        qsort(rows, (size_t)r->n_rows, sizeof *rows, compare_glances);
    return !text->failed;
}

bool sql_unchanged(bool *out, const struct sql_result *a, const struct sql_result *b)
{
    *out = a->n_columns == b->n_columns && a->n_rows == b->n_rows;
    if (!*out || a->n_rows == 0)
        return true;
    size_t n = (size_t)a->n_rows;
    struct slice *rows = mem_calloc(2 * n, sizeof *rows);
    struct str texts[2] = {0};
    bool memory = rows && put_glances(&texts[0], rows, a) && put_glances(&texts[1], rows + n, b);
    for (size_t i = 0; memory && *out && i < n; i++)
        *out = compare_text(rows[i], rows[n + i]) == 0;
    mem_free(rows);
    str_free(&texts[0]);
    str_free(&texts[1]);
    return memory;
}

bool sql_nothing_found(const struct sql_result *r)
{
    for (int row = 0; row < r->n_rows; row++)
        for (int i = 0; i < r->n_columns; i++)
            if (sql_result_cell(r, row, i)->type != SQL_NULL)
                return false;
    return true;
}

/* --- columns --- */

struct comparison {
    const struct sql_result *reference, *given;
    int required, n, m; /* rows: required ones, all of the reference, given ones */
    int k, l;           /* columns */
    int decimals, key;  /* key: column that orders, or -1 */
    bool ordered;
    int *reference_ids; /* [k][n] */
    int *given_ids;     /* [k][l][m]: given column, through a reference's numbering */
    int *groups;        /* [n] rows of one group may change places */
    int shared[MAX_COLUMNS][MAX_COLUMNS]; /* rows that the two columns could share at most */
    /* the search */
    int choice[MAX_COLUMNS], best_choice[MAX_COLUMNS];
    bool taken[MAX_COLUMNS];
    int tries;
    double best;
    int best_matched;
    bool best_in_order;
    int *rows, *other_rows, *sequence; /* scratch of an evaluation: [n], [m], [2m] */
};

/* Different values in order; returns how many. */
static int distinct(struct value *values, int n)
{
    int kept = 0;
    if (n)
        qsort(values, (size_t)n, sizeof *values, compare_values);
    for (int i = 0; i < n; i++)
        if (kept == 0 || compare_values(&values[kept - 1], &values[i]) != 0)
            values[kept++] = values[i];
    return kept;
}

/* The number of the value that agrees; of two the nearer. */
static int find_value(const struct value *values, int n, const struct value *v, int decimals)
{
    int low = 0, high = n;
    while (low < high) {
        int middle = (low + high) / 2;
        if (compare_values(&values[middle], v) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    int found = NO_VALUE;
    double gap = INFINITY;
    for (int i = low - 1; i <= low + 1; i++) {
        if (i < 0 || i >= n || !values_agree(&values[i], v, decimals))
            continue;
        double distance = v->kind == VALUE_NUMBER ? fabs(values[i].number - v->number) : 0;
        if (distance < gap) {
            gap = distance;
            found = i;
        }
    }
    return found;
}

static int count_shared(const int *a, int n, const int *b, int m, int *counts, int values)
{
    int shared = 0;
    memset(counts, 0, (size_t)values * sizeof *counts);
    for (int i = 0; i < n; i++)
        counts[a[i]]++;
    for (int i = 0; i < m; i++)
        if (b[i] >= 0 && counts[b[i]]-- > 0)
            shared++;
    return shared;
}

static void number_column(struct comparison *c, int i, struct value *values, int *counts)
{
    int *ids = c->reference_ids + (size_t)i * (size_t)c->n;
    for (int row = 0; row < c->n; row++)
        read_value(&values[row], c->reference, sql_result_cell(c->reference, row, i));
    int n = distinct(values, c->n);
    for (int row = 0; row < c->n; row++) {
        struct value v;
        read_value(&v, c->reference, sql_result_cell(c->reference, row, i));
        ids[row] = find_value(values, n, &v, -1);
        if (ids[row] == NO_VALUE) /* cannot be: it is in the list */
            ids[row] = 0;
    }
    for (int j = 0; j < c->l; j++) {
        int *given = c->given_ids + ((size_t)i * (size_t)c->l + (size_t)j) * (size_t)c->m;
        for (int row = 0; row < c->m; row++) {
            struct value v;
            read_value(&v, c->given, sql_result_cell(c->given, row, j));
            given[row] = find_value(values, n, &v, c->decimals);
        }
        c->shared[i][j] = count_shared(ids, c->n, given, c->m, counts, n);
    }
}

/* --- rows --- */

struct tuple_order {
    const struct comparison *c;
    bool given;
};

static int cell_id(const struct comparison *c, bool given, int row, int i)
{
    if (!given)
        return c->reference_ids[(size_t)i * (size_t)c->n + (size_t)row];
    return c
        ->given_ids[((size_t)i * (size_t)c->l + (size_t)c->choice[i]) * (size_t)c->m + (size_t)row];
}

static int compare_rows(const struct comparison *c, bool given_a, int a, bool given_b, int b)
{
    for (int i = 0; i < c->k; i++) {
        if (c->choice[i] < 0)
            continue;
        int x = cell_id(c, given_a, a, i), y = cell_id(c, given_b, b, i);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

static int compare_indexes(const void *a, const void *b, void *order)
{
    const struct tuple_order *o = order;
    int x = *(const int *)a, y = *(const int *)b,
        sign = compare_rows(o->c, o->given, x, o->given, y);
    return sign ? sign : (x > y) - (x < y);
}

static bool row_matches_nothing(const struct comparison *c, int row)
{
    for (int i = 0; i < c->k; i++)
        if (c->choice[i] >= 0 && cell_id(c, true, row, i) == NO_VALUE)
            return true;
    return false;
}

/* Pairs equal rows; sequence[given row] is the row of the reference, or -1. */
static int pair_rows(struct comparison *c)
{
    struct tuple_order order = {c, false};
    int n = 0, m = 0, pairs = 0;
    for (; n < c->n; n++)
        c->rows[n] = n;
    for (int row = 0; row < c->m; row++) {
        c->sequence[row] = -1;
        if (!row_matches_nothing(c, row))
            c->other_rows[m++] = row;
    }
    qsort_r(c->rows, (size_t)n, sizeof *c->rows, compare_indexes, &order);
    order.given = true;
    qsort_r(c->other_rows, (size_t)m, sizeof *c->other_rows, compare_indexes, &order);
    for (int a = 0, b = 0; a < n && b < m;) {
        int sign = compare_rows(c, false, c->rows[a], true, c->other_rows[b]);
        if (sign == 0) {
            c->sequence[c->other_rows[b]] = c->rows[a];
            pairs++;
        }
        a += sign <= 0;
        b += sign >= 0;
    }
    return pairs;
}

/* The length of the longest part of the sequence that never goes back, in groups. */
static int longest_in_order(struct comparison *c)
{
    int *ends = c->sequence + c->m, n = 0; /* ends[i]: least last group of a part of i + 1 */
    for (int row = 0; row < c->m; row++) {
        if (c->sequence[row] < 0)
            continue;
        int group = c->groups[c->sequence[row]], low = 0, high = n;
        while (low < high) {
            int middle = (low + high) / 2;
            if (ends[middle] <= group)
                low = middle + 1;
            else
                high = middle;
        }
        ends[low] = group;
        n += low == n;
    }
    return n;
}

static void evaluate(struct comparison *c, int mapped)
{
    int pairs = pair_rows(c), matched = pairs < c->required ? pairs : c->required;
    double share = (double)mapped / c->k;
    double score = 2.0 * matched / (c->required + c->m) * share * share;
    bool in_order = true;
    if (c->ordered && pairs > 1) {
        int longest = longest_in_order(c);
        in_order = longest == pairs;
        score *= 0.5 + 0.5 * (longest - 1) / (pairs - 1);
    }
    c->tries++;
    if (score > c->best) {
        c->best = score;
        c->best_matched = matched;
        c->best_in_order = in_order;
        memcpy(c->best_choice, c->choice, sizeof c->choice);
    }
}

/* What columns 0..i-1 leave possible. */
static double bound(const struct comparison *c, int i, int mapped, int shared)
{
    double share = (double)(mapped + c->k - i) / c->k;
    int matched = shared < c->required ? shared : c->required;
    return 2.0 * matched / (c->required + c->m) * share * share;
}

static void search(struct comparison *c, int i, int mapped, int shared)
{
    if (c->tries >= MAX_TRIES || bound(c, i, mapped, shared) <= c->best)
        return;
    if (i == c->k) {
        if (mapped)
            evaluate(c, mapped);
        return;
    }
    bool tried[MAX_COLUMNS] = {false};
    for (;;) {
        int j = -1; /* the likeliest: most in common, then the same place */
        for (int a = 0; a < c->l; a++)
            if (!tried[a] && !c->taken[a] && c->shared[i][a] > 0 &&
                (j < 0 || c->shared[i][a] > c->shared[i][j] ||
                 (c->shared[i][a] == c->shared[i][j] && a == i)))
                j = a;
        if (j < 0)
            break;
        tried[j] = c->taken[j] = true;
        c->choice[i] = j;
        search(c, i + 1, mapped + 1, shared < c->shared[i][j] ? shared : c->shared[i][j]);
        c->taken[j] = false;
    }
    c->choice[i] = -1;
    search(c, i + 1, mapped, shared);
}

/* Rows of one key, one after another, are one group. */
static void group_rows(struct comparison *c)
{
    for (int row = 0; row < c->n; row++) {
        bool tied = row > 0 && c->key >= 0 && c->key < c->k &&
                    cell_id(c, false, row, c->key) == cell_id(c, false, row - 1, c->key);
        c->groups[row] = tied ? c->groups[row - 1] : row;
    }
}

static double ratio(int a, int b)
{
    if (a == b)
        return 1;
    return a == 0 || b == 0 ? 0 : (double)(a < b ? a : b) / (a < b ? b : a);
}

static double shape(const struct sql_result *reference, int required,
                    const struct sql_result *given)
{
    int k = reference->n_columns, l = given->n_columns;
    double columns = l == k ? 1 : l == k + 1 ? 0.8 : 0.8 * ratio(k, l);
    return columns * ratio(required, given->n_rows) * (given->truncated ? 0.5 : 1);
}

static bool allocate(struct comparison *c, struct value **values, int **counts)
{
    size_t n = (size_t)c->n + 1, m = (size_t)c->m + 1, k = (size_t)c->k, l = (size_t)c->l;
    *values = mem_alloc(n * sizeof **values);
    *counts = mem_alloc(n * sizeof **counts);
    c->reference_ids = mem_alloc(k * n * sizeof *c->reference_ids);
    c->given_ids = mem_alloc(k * l * m * sizeof *c->given_ids);
    c->groups = mem_alloc(n * sizeof *c->groups);
    c->rows = mem_alloc(n * sizeof *c->rows);
    c->other_rows = mem_alloc(m * sizeof *c->other_rows);
    c->sequence = mem_alloc(2 * m * sizeof *c->sequence);
    return *values && *counts && c->reference_ids && c->given_ids && c->groups && c->rows &&
           c->other_rows && c->sequence;
}

bool sql_compare(struct sql_match *out, const struct sql_result *reference, int required,
                 const struct sql_outline *outline, const struct sql_result *given)
{
    struct comparison c = {.reference = reference,
                           .given = given,
                           .required = required,
                           .n = reference->n_rows,
                           .m = given->n_rows,
                           .k = reference->n_columns,
                           .l = given->n_columns,
                           .decimals = outline->decimals,
                           .ordered = outline->ordered,
                           .key = sql_key_column(outline, reference)};
    struct value *values = NULL;
    int *counts = NULL;
    *out = (struct sql_match){.shape = shape(reference, required, given), .in_order = true};
    c.k = c.k < MAX_COLUMNS ? c.k : MAX_COLUMNS;
    c.l = c.l < MAX_COLUMNS ? c.l : MAX_COLUMNS;
    bool memory = allocate(&c, &values, &counts);
    if (memory && c.required && c.m) {
        for (int i = 0; i < c.k; i++)
            number_column(&c, i, values, counts);
        group_rows(&c);
        search(&c, 0, 0, c.n < c.m ? c.n : c.m);
        double kept = given->n_columns <= reference->n_columns + 1
                          ? 1
                          : (double)(reference->n_columns + 1) / given->n_columns;
        out->values = c.best * kept * kept;
        out->matched = c.best_matched;
        out->in_order = c.best > 0 ? c.best_in_order : true;
    } else if (memory && c.required == c.m) {
        out->values = 1; /* both found nothing */
    }
    mem_free(values);
    mem_free(counts);
    mem_free(c.reference_ids);
    mem_free(c.given_ids);
    mem_free(c.groups);
    mem_free(c.rows);
    mem_free(c.other_rows);
    mem_free(c.sequence);
    return memory;
}
