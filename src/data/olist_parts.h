/* olist_parts.h: what the files olist*.c share: the data at hand, the questions, and one maker of
 * rows a task. Included by them and their test alone. */
#ifndef DATA_OLIST_PARTS_H
#define DATA_OLIST_PARTS_H
#include <sqlite3.h>
#include "base/map.h"
#include "base/mem.h"
#include "data/olist.h"
#include "data/synth_text.h"

/* --- words (olist_words.c) --- */
struct olist_state {
    const char *code, *in, *of; /* "MG", "em Minas Gerais (MG)", "de Minas Gerais (MG)" */
};
enum { OLIST_STATES = 27 };
extern const struct olist_state olist_states[OLIST_STATES];
int olist_state_index(const char *code); /* -1: none */
/* "cama, mesa e banho" for cama_mesa_banho; a category that the table lacks has its _ made spaces.
 */
void olist_category_words(struct str *out, const char *category);
void olist_month_words(struct str *out, int month); /* "março de 2018"; month = 12·year + 0..11 */

/* --- the database (olist_db.c) --- */
/* Reads the nine CSVs of the folder into a database in memory; rows[i]: of table i. */
int olist_db_open(sqlite3 **db, size_t rows[OLIST_TABLES], const char *folder, struct err *err);
/* "orders(order_id, customer_id, ...)" of table i, and its name as a word in a query. */
void olist_db_columns(struct str *out, int table);
int olist_db_error(sqlite3 *db, const char *what, struct err *err);

/* --- the data as rows are made from it (olist_data.c) --- */
struct olist_name {
    const char *text;
    size_t count;
};
struct olist_names {
    struct olist_name *items; /* most frequent first */
    size_t n;
};
struct olist_line { /* an item of an order */
    int category;   /* index into data.categories; -1: none */
    long cents, freight;
};
struct olist_order {
    int month, state; /* 12·year + 0..11; index into olist_states, -1: unknown */
    bool cancelled, delivered, late, boleto;
    double days; /* from purchase to delivery */
    int reviews, marks;
    size_t first, n; /* into data.lines */
};
struct olist_data {
    sqlite3 *db;
    struct arena arena;
    struct olist_names categories; /* by items sold */
    struct olist_names states;     /* customers' states with an entry in olist_states, by orders */
    struct olist_names seller_states, cities, months, years; /* months "2018-03", in time */
    struct olist_order *orders;
    size_t n_orders;
    struct olist_line *lines;
    size_t n_lines;
};
int olist_data_open(struct olist_data *d, sqlite3 *db, struct err *err);
void olist_data_close(struct olist_data *d); /* not the database */

/* --- rows --- */
struct olist_row {
    struct str prompt, reference; /* reference: a JSON object */
    struct str key;               /* its content: claimed by one row of one set */
    int rejected;                 /* enum olist_reason, or -1: it may become a row */
};
struct olist_making {
    const struct olist_options *options;
    struct olist_result *result;
    struct olist_data data;
    const char *database; /* as references name it */
    struct olist_reviews *reviews;
    struct map results;  /* of questions, to how many have it */
    unsigned *tried;     /* (olist_n_questions) times drawn for a candidate */
    unsigned char *used; /* (olist_n_questions) bits 1 << set */
    /* of the question at hand: */
    int question;
    struct str result_text;
    long long steps;
};
/* Fills a cleared row for the number-th place of a set. */
typedef int olist_maker(struct olist_row *row, struct olist_making *m, enum olist_set set,
                        size_t number, struct draws *d, struct err *err);
olist_maker olist_make_extraction, olist_make_sql, olist_make_insights, olist_make_push;
/* The question at hand is a row now. */
int olist_sql_taken(struct olist_making *m, enum olist_set set, struct err *err);

/* Reviews in a seeded order, each handed out once (olist_reviews.c). */
struct olist_review {
    int score;
    const char *text, *title;                     /* title: "" without one */
    const char *purchase, *estimated, *delivered; /* dates AAAA-MM-DD, "" where unknown */
    const char *written;                          /* the day the review was asked for */
    const char *category;                         /* of all items of the order, "" if mixed */
    long paid;                                    /* cents; -1: no payment */
    int late;                                     /* days of delivery behind the estimate; may be
                                                     negative; valid when delivered */
    bool overdue; /* not delivered, and written after the estimate */
};
int olist_reviews_open(struct olist_making *m, struct err *err);
void olist_reviews_close(struct olist_making *m);
/* What claims it: its folded words. */
void olist_review_key(struct str *out, const struct olist_review *v);
bool olist_review_fits(const struct olist_review *v); /* neither too short nor too long */
/* The next one; false: there are no more. */
bool olist_reviews_next(const struct olist_review **out, struct olist_making *m);

/* --- questions (olist_questions.c, olist_sql.c) --- */
struct olist_question {
    int level; /* 1 to 3 */
    int key;   /* the column, from 1, that orders the rows; 0: no order is asked for */
    bool held; /* kept out of training */
    const char *asked[2], *sql;
};
extern const struct olist_question olist_questions[];
extern const size_t olist_n_questions;

/* What a query gives, as one text for comparing; *reason is -1 or why it cannot be a reference. */
int olist_sql_run(struct str *result, int *reason, long long *steps, sqlite3 *db, const char *sql,
                  int key, struct err *err);

#endif
