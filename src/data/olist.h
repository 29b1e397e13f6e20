/* olist.h: `grpo data prepare --olist DIR`: the public Olist e-commerce data (CSV, Brazilian orders
 * of 2016 to 2018) as a SQLite database and as prompts of the four tasks, in files for training,
 * evaluation and test that share no text. Nothing of the data is in the program: its licence,
 * CC BY-NC-SA 4.0, is not ours. See docs/OLIST.md. */
#ifndef DATA_OLIST_H
#define DATA_OLIST_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum { OLIST_TASKS = 4, OLIST_TABLES = 9, OLIST_LEVELS = 3 };
enum olist_task { OLIST_EXTRACTION, OLIST_SQL, OLIST_INSIGHTS, OLIST_PUSH };
enum olist_set { OLIST_EVAL, OLIST_TEST, OLIST_TRAIN, OLIST_SETS };
extern const char *const olist_task_names[OLIST_TASKS]; /* extraction, sql_qa, insights, push */
extern const char *const olist_set_names[OLIST_SETS];
extern const char *const olist_table_names[OLIST_TABLES];

/* Why a candidate became no row. */
enum olist_reason {
    OLIST_TAKEN,    /* the same text, query, slice or pair is a row already */
    OLIST_EMPTY,    /* no row, or nothing but NULL and zero */
    OLIST_SHARED,   /* a result that OLIST_SAME_RESULT other questions have already */
    OLIST_TIED,     /* an order was asked for and rows tie in it */
    OLIST_LONG,     /* more rows than anybody would print */
    OLIST_COSTLY,   /* beyond the budget of virtual-machine steps */
    OLIST_TOO_FEW,  /* a slice of too few orders, a category that sells too little */
    OLIST_UNSUITED, /* a review too short or too long, or with nothing known about its order */
    OLIST_REASONS
};
extern const char *const olist_reason_names[OLIST_REASONS];
enum { OLIST_SAME_RESULT = 3 }; /* questions that one and the same result may answer */

struct olist_options {
    const char *olist, *out; /* folders; out is made */
    uint64_t seed;
    size_t rows[OLIST_SETS][OLIST_TASKS];
};

struct olist_result {
    size_t table_rows[OLIST_TABLES];
    char database_sha256[65];
    size_t rows[OLIST_SETS][OLIST_TASKS];
    size_t levels[OLIST_SETS][OLIST_LEVELS]; /* of sql_qa */
    size_t templates[OLIST_SETS], held_out;  /* different ones used; test and eval rows of those
                                                that training never sees */
    size_t rejected[OLIST_TASKS][OLIST_REASONS];
    size_t longest_prompt[OLIST_TASKS]; /* characters */
    long long most_steps;               /* of a reference query, in virtual-machine steps */
};

/* Training rows of each task for `total` rows at 40/40/10/10. */
void olist_mix(size_t rows[OLIST_TASKS], size_t total);

/* Writes, replacing what is there, OUT/olist.db (tables orders, order_items, order_reviews,
 * order_payments, customers, products, sellers, geolocation, category_translation with Kaggle's
 * column names) and OUT/{train,eval,test}.jsonl. The same data, seed and counts give the same
 * bytes; of the database with the same version of SQLite.
 *
 * Rows: extraction {reference: those of the ten fields that the prompt's facts determine}, sql_qa
 * {reference: database, as OUT/olist.db; sql; difficulty: easy, medium or hard}, insights
 * {reference: numbers, domain}, push {reference: product and, where there is one, reason}. Every
 * reference query has been run.
 *
 * ERR_INPUT names file, row and column of what is wrong in a CSV, or the task that the data has too
 * little for; ERR_MACHINE for memory and disk. */
int olist_prepare(const struct olist_options *options, struct olist_result *result,
                  struct err *err);

#endif
