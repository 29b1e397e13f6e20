/* synth.h: the synthetic Brazilian shop: a SQLite database of customers, products, orders, items
 * and ratings, and dataset rows of the four tasks (extraction, sql_qa, insights, push) about it, in
 * Portuguese, with references. What the rows say is invented; what the references say is true of
 * the rows and the database by construction.
 *
 * Everything is a function of the seed (and of nothing else: asking for more rows of one set leaves
 * the earlier ones as they were, except that a set drawn later gives way to a set drawn before it:
 * eval, test, train, corpus). JSONL files are the same bytes on every machine; shop.sqlite is for
 * one version of SQLite. */
#ifndef DATA_SYNTH_H
#define DATA_SYNTH_H
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum { SYNTH_TASKS = 4 };
extern const char *const synth_task_names[SYNTH_TASKS];
/* What "source" is in every row, and in no row that was not invented: a scorer that knows the
 * invented truth (synth_rater.h) looks at it. */
#define SYNTH_SOURCE "synth"

struct synth_options {
    const char *out; /* folder, made when it is not there */
    uint64_t seed;
    size_t train, eval, test; /* rows of each task */
    size_t corpus;            /* lines over all tasks; 0: no corpus.jsonl */
};

struct synth_result {
    size_t clients, products, orders, items, ratings; /* rows of the database's tables */
    size_t rows[3];                                   /* train, eval, test */
    size_t corpus;
    size_t longest_prompt[SYNTH_TASKS]; /* in characters (code points), over rows and corpus */
};

/* Writes (replacing what is there) out/shop.sqlite, schema.sql, train.jsonl, eval.jsonl, test.jsonl
 * and corpus.jsonl. A row: {"id","task","source","prompt":[{"role":"user","content"}],"reference"};
 * in train.jsonl the tasks take turns, in the others they stand one after another. A corpus line:
 * {"prompt":[...],"completion":"..."}: answers of deliberately mixed quality.
 *
 * No prompt (rows.h: fingerprint) occurs twice in the row files or both in them and in the corpus,
 * and nor does its content: a review but for its digits, a reference query, the orders that
 * aggregates are taken over, a pair of product and reason belongs to one set alone.
 * ERR_USAGE when so many rows cannot be had, ERR_MACHINE for memory and disk. */
int synth_run(const struct synth_options *options, struct synth_result *result, struct err *err);

#endif
