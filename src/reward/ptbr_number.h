/* ptbr_number.h: numbers as Brazilians write them: "4,5", "1.234,56", "R$ 10,00", "12%", "2 mil",
 * "1,5 milhão". For text that stands where a value stands; JSON's own numbers ("1.234" there is
 * 1.234, here one thousand two hundred and thirty-four) are for who reads JSON to take first.
 *
 *   number    = [sign] [currency] [sign] digits [scale] [percent | money]       (one sign at most)
 *   sign      = "-" | "+" | "−" (U+2212)
 *   currency  = "R$" | "US$" | "BRL" | "$" | "€"
 *   digits    = integer ["," decimals]            4   4,5   1234,5   0,125
 *             | thousands ["," decimals]          1.234   1.234,56   12.345.678   "1 234,50" (read
 * only) | integer "." decimals              4.5   0.125   1234.5: unless it has thousands' shape |
 * integer ("," 3 digits)+ ["." decimals]          1,234.56   12,345,678 thousands = 1 to 3 digits
 * ("." 3 digits)+ scale     = "mil" | "k" | "mi" | "milhão" | "milhões" | "bi" | "bilhão" |
 * "bilhões" | "trilhão" | … percent   = "%" | "por cento" money     = ["de"] "reais" | "real" |
 * "BRL"
 *
 * Spaces (no-break ones too) may stand before digits, scale, percent and money. Words in any case.
 * A text that is one number may have full-width digits and signs: "４,５".
 * No number: "4,", ",5", "1.23.456", dates, hours, ranges, "4,5 estrelas". */
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
 * it. "1,2,3" is three numbers, "10-20" two, "10x" is 10, "1º" is 1. None: digits that go on a word
 * ("A4") and those that count nothing, dates, hours with minutes, postcodes, telephones, CPF and
 * CNPJ, versions ("1.2.3"), "#12". false: no more. Linear over a text. */
bool ptbr_number_next(struct ptbr_number *out, const char *text, size_t length, size_t *at,
                      size_t *start);

#endif
