/* synth_text.h: how rows are worded: seeded draws, sentences with gaps, Brazilian numbers. Shared
 * by the synthetic shop and the rows made from Olist's data. */
#ifndef DATA_SYNTH_TEXT_H
#define DATA_SYNTH_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/check.h"
#include "base/rng.h"
#include "base/str.h"
#include "data/synth_words.h"

/* --- draws --- */
struct draws {
    struct rng_key key;
    uint64_t next;
};
unsigned draw(struct draws *d, unsigned n); /* 0..n-1 */
unsigned draw_between(struct draws *d, unsigned low, unsigned high);
bool draw_chance(struct draws *d, unsigned percent);
/* The index of a weight, with its probability; the weights sum to `sum`. */
unsigned draw_weighted(struct draws *d, const unsigned char *weights, unsigned sum);
#define PICK(d, table) ((table)[draw((d), (unsigned)ARRAY_LENGTH(table))])

/* --- sentences with gaps ---
 * {x}: the text of slot x ('a'..'z'); {X}: the same, its first letter capital. '@' is the ending of
 * the product's gender: o or a ("d@" is do or da). Always there: {U} um/uma, {E} ele/ela, {B}
 * bom/boa, {S} seu/sua, {O} capital O/A. */
struct fill {
    const char *slot['z' - 'a' + 1];
    bool feminine;
};
void fill_product(struct fill *f, const struct synth_product *p); /* gender and slot p */
void fill_slot(struct fill *f, char name, const char *text);
void fill_put(struct str *out, const char *sentence, const struct fill *f);

/* "1.234,56" of cents, and "12,5" of tenths. */
void put_money(struct str *out, long cents);
void put_tenths(struct str *out, long tenths);
/* Leaves the accents out, as people type; only those of Portuguese (U+00C0 to U+00FF). */
void strip_accents(struct str *s);

#endif
