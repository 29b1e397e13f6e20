/* synth_parts.h: what the files of the synthetic shop share: seeded draws, sentences with gaps, the
 * shop, and one maker of candidates a task. Included by synth*.c and their test alone. */
#ifndef DATA_SYNTH_PARTS_H
#define DATA_SYNTH_PARTS_H
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/check.h"
#include "base/err.h"
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

/* --- the shop --- */
enum { SHOP_CLIENTS = 240, SHOP_ORDERS = 1600, SHOP_MAX_ITEMS = 3, SHOP_FIRST_YEAR = 2023 };
enum shop_status { SHOP_DELIVERED, SHOP_CANCELLED, SHOP_ON_ITS_WAY };

struct shop_client {
    int first, surname, surname2, city;
};
struct shop_item {
    int product, quantity;
    long cents; /* price of one */
};
struct shop_order {
    int client;
    int day, due, delivered; /* days since 2023-01-01; delivered: -1 when it was not */
    enum shop_status status;
    int payment; /* index into shop_payments */
    int n_items;
    struct shop_item items[SHOP_MAX_ITEMS];
    long cents; /* of all items */
    int rating; /* 1..5, 0: none */
    int comment;
};
struct shop {
    struct shop_client clients[SHOP_CLIENTS];
    long prices[SYNTH_PRODUCTS]; /* cents */
    struct shop_order orders[SHOP_ORDERS];
    size_t items, ratings;
    sqlite3 *db; /* in memory */
};
extern const char *const shop_schema; /* the CREATE statements */
extern const char *const shop_payments[3], *const shop_statuses[3];
void shop_date(char out[16], int day); /* "2023-01-01" and what follows it */
int shop_month(int day);               /* 0..23 */

int shop_open(struct shop **out, uint64_t seed, struct err *err);
void shop_close(struct shop *s);
/* The database as a file's bytes, freed with sqlite3_free. */
int shop_image(unsigned char **bytes, size_t *size, struct shop *s, struct err *err);
/* Runs one query; the result as text: "; " between rows, ", " between columns. *informative is
 * false when there is no row, or only one value and that NULL or zero. */
int shop_query(struct str *out, bool *informative, struct shop *s, const char *sql,
               struct err *err);

/* --- candidates --- */
enum synth_set { SYNTH_EVAL, SYNTH_TEST, SYNTH_TRAIN, SYNTH_CORPUS, SYNTH_SETS };

struct candidate {
    struct str prompt;     /* of the user */
    struct str key;        /* its content: what sets must not share */
    struct str reference;  /* a JSON object */
    struct str completion; /* of mixed quality; only for the corpus */
    bool rejected;         /* to be drawn again */
};
/* Fills a cleared candidate from the draws. */
typedef int synth_maker(struct candidate *c, struct shop *s, struct draws *d, bool corpus,
                        struct err *err);
synth_maker synth_extraction, synth_sql, synth_insights, synth_push;

#endif
