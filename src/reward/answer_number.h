/* answer_number.h: numbers as people and models write the answer of an exercise: Brazilian or
 * English marks, fractions, percent, powers of ten, LaTeX around it all. For `exact_answer`.
 * (ptbr_number.h reads data, where a comma can only be Brazilian; here either language may be.) */
#ifndef REWARD_ANSWER_NUMBER_H
#define REWARD_ANSWER_NUMBER_H
#include <stdbool.h>
#include <stddef.h>
#include "base/str.h"

enum { ANSWER_DIGITS = 64, ANSWER_READINGS = 4 };

struct answer_number {
    double
        values[ANSWER_READINGS]; /* what it may mean: "1.234" is 1234 or 1.234, "50%" 50 or 0.5 */
    int n;
    char digits[ANSWER_DIGITS + 1]; /* written as an integer: its sign and digits; else "" */
    bool fraction;                  /* written as one */
    int base;                       /* "133_8" is in base 8; 0: none is told */
};

/* Appends the text without what typesetting puts around an answer: LaTeX commands and their braces
 * (\frac{a}{b} becomes a/b, \times *), $ and currency, emphasis, quotes; signs and spaces beyond
 * ASCII become ASCII. The functions below want such text. */
void answer_simplify(struct str *out, const char *text, size_t length);

/* The number that begins at `at`; its end, or `at` when none does. */
size_t answer_number_at(struct answer_number *out, struct slice text, size_t at);
/* The next number at or after *at that does not go on a word; *at is then behind it. */
bool answer_number_next(struct answer_number *out, struct slice text, size_t *at);
/* The text is one number, a unit in letters behind it is fine ("42 km"). */
bool answer_number_read(struct answer_number *out, struct slice text);

/* Some reading of the one is some reading of the other. Integers by their digits, however many;
 * others to 1e-9 of the truth (1e-6 where either is a fraction: 0.333333 is 1/3); or to `tolerance`
 * of it, when that is over 0. */
bool answer_numbers_equal(const struct answer_number *got, const struct answer_number *truth,
                          double tolerance);

#endif
