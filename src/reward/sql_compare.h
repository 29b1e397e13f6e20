/* sql_compare.h: how much of a reference's result another result has. Pure. */
#ifndef REWARD_SQL_COMPARE_H
#define REWARD_SQL_COMPARE_H
#include <stdbool.h>
#include <stddef.h>
#include "base/str.h"
#include "reward/sql_result.h"

/* What the text of a query says of its result. */
struct sql_outline {
    bool ordered;     /* ORDER BY outside of parentheses */
    struct slice key; /* its first term, without ASC or DESC */
    size_t limit_at;  /* where LIMIT stands outside of parentheses; 0: nowhere */
    int decimals;     /* the fewest that a ROUND in it leaves; -1: there is none */
};
struct sql_outline sql_outline_read(const char *sql, size_t length);

/* The column of the result that the rows are ordered by first: by number, name or text; -1: it is
 * not in the result. */
int sql_key_column(const struct sql_outline *outline, const struct sql_result *r);

struct sql_match {
    double values; /* 0..1, see sql_compare */
    double shape;  /* 0..1: as many columns and rows */
    int matched;   /* rows */
    bool in_order; /* where the reference orders */
};

/* values: the share of rows that agree (F1, rows as a multiset), over the best assignment of the
 * reference's columns to given ones: names and order of columns are free.
 *
 *   a column that is not there: the share of columns that are, squared
 *   columns beyond one more: (k + 1) / given, squared, with k columns in the reference
 *   order, where `outline` has it: wholly wrong halves; rows with one key may stand in any order
 *
 * Cells agree: integers when equal; with a real, to a relative 1e-6, or when the one is the other
 * rounded: to the outline's decimals, or to two. Text that is one number ("12", "R$ 1.234,50") is
 * that number; other text byte for byte, without white space at its ends. NULL is only NULL, and so
 * neither 0 nor ''.
 *
 * The reference's rows from `required` on may stand for required ones of the same key (ties where
 * LIMIT cut). false: memory is out. */
bool sql_compare(struct sql_match *out, const struct sql_result *reference, int required,
                 const struct sql_outline *outline, const struct sql_result *given);

/* The same cells in the same places, numbers as in sql_compare. */
bool sql_same_result(const struct sql_result *a, const struct sql_result *b);

/* Whether the two have the same rows in any order, as one reads them at a glance: numbers to two
 * decimals, large ones to five digits. More than one in sql_compare would take for the same, so
 * that nothing added to a number which it overlooks makes another of it. false: memory is out. */
bool sql_unchanged(bool *out, const struct sql_result *a, const struct sql_result *b);

/* Two cells of one result are equal. */
bool sql_same_cell(const struct sql_result *r, const struct sql_cell *a, const struct sql_cell *b);

/* Whether there is nothing to agree with: no row, or nothing but NULL. */
bool sql_nothing_found(const struct sql_result *r);

/* A cell as a number, if it is one or its text is. */
bool sql_cell_number(double *value, bool *real, const struct sql_result *r,
                     const struct sql_cell *cell);

#endif
