/* ptbr_number.h: numbers as Brazilians write them: "4,5", "1.234,56", "R$ 10,00", "12%", "2 mil",
 * "1,5 milhão". For text that stands where a value stands; JSON's own numbers ("1.234" there is
 * 1.234, here one thousand two hundred and thirty-four) are for who reads JSON to take first. */
#ifndef REWARD_PTBR_NUMBER_H
#define REWARD_PTBR_NUMBER_H
#include <stdbool.h>
#include <stddef.h>

struct ptbr_number {
    double value; /* finite; with its scale ("2 mil" is 2000), percent as written (12% is 12) */
    double unit;  /* what one in the last digit shown is worth: 0.1 for "4,5", 1000 for "2 mil" */
    bool percent, currency;
    bool integer; /* written without decimals, and exact as a long long */
};

/* The whole text, white space at its ends aside, is one number. "mil" alone is 1000. */
bool ptbr_number_read(struct ptbr_number *out, const char *text, size_t length);

/* The next number in running text at or after *at: sets *start to where it begins and *at to behind
 * it. Digits that go on a word ("A4") are none; "10x" is 10. false: no more. Linear over a text. */
bool ptbr_number_next(struct ptbr_number *out, const char *text, size_t length, size_t *at,
                      size_t *start);

#endif
