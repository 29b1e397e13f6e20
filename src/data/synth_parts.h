/* synth_parts.h: what the files of the synthetic shop share: the shop, and one maker of candidates
 * a task. Included by synth*.c and their test alone. */
#ifndef DATA_SYNTH_PARTS_H
#define DATA_SYNTH_PARTS_H
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/check.h"
#include "base/err.h"
#include "base/str.h"
#include "data/synth_text.h"

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
