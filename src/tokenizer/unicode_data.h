/* unicode_data.h: tables of the reference's sets of code points, sorted. unicode.c looks things up
 * in them. */
#ifndef TOKENIZER_UNICODE_DATA_H
#define TOKENIZER_UNICODE_DATA_H
#include <stddef.h>
#include <stdint.h>

struct range {
    int32_t first, last;
};
struct range_table {
    const struct range *ranges;
    size_t n;
};
/* first, first + step, … last: each becomes itself + by. */
struct case_range {
    int32_t first, last, step, by;
};
struct case_table {
    const struct case_range *ranges;
    size_t n;
};

extern const struct range_table unicode_word, unicode_punctuation, unicode_marks,
    unicode_nonspacing, unicode_removed_by_cleaning;
extern const struct case_table unicode_lowercase; /* without U+0130, which becomes two */

#endif
