/* synth_words.h: the vocabulary of the synthetic shop: what it sells, where its customers live, and
 * the names the database and the four tasks share. Only tables; nothing here is drawn. Every
 * product is grammatically singular, so that agreement needs its gender alone. */
#ifndef DATA_SYNTH_WORDS_H
#define DATA_SYNTH_WORDS_H
#include <stdbool.h>

enum {
    SYNTH_CATEGORIES = 10,
    SYNTH_PRODUCTS = 80, /* eight a category */
    SYNTH_CITIES = 24,
    SYNTH_STATES = 12,
    SYNTH_REGIONS = 5,
    SYNTH_FIRST_NAMES = 32,
    SYNTH_SURNAMES = 24,
    SYNTH_MONTHS = 12,
    SYNTH_NUMBERS = 13
};

struct synth_product {
    const char *name; /* lower case, singular */
    bool feminine;
    bool powered;  /* has a plug or a battery: it can fail to switch on */
    int category;  /* index into synth_categories */
    int low, high; /* price band in reais */
};

struct synth_city {
    const char *name;
    int state; /* index into synth_states */
};

struct synth_state {
    const char *code, *in; /* "SP", "em SP" */
    int region;            /* index into synth_regions */
};

extern const char *const synth_categories[SYNTH_CATEGORIES];
extern const struct synth_product synth_products[SYNTH_PRODUCTS];
extern const struct synth_state synth_states[SYNTH_STATES];
extern const struct synth_city synth_cities[SYNTH_CITIES];
extern const char *const synth_regions[SYNTH_REGIONS]; /* all masculine: "no Norte" */
extern const char *const synth_first_names[SYNTH_FIRST_NAMES];
extern const char *const synth_surnames[SYNTH_SURNAMES];
extern const char *const synth_months[SYNTH_MONTHS];
extern const char *const synth_numbers[SYNTH_NUMBERS]; /* 0..12 in words, masculine */

#endif
