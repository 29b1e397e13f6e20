/* run.h: a run folder, read. Everything the report says comes from here: run.json, metrics.jsonl,
 * timing.jsonl, eval/step-N.json, gates/NAME.json, and of the untouched model and the best adapter
 * eval/base.json and eval/best.json, on rows that nothing else used eval/test-base.json and
 * eval/test-best.json (or test-before.json and test-after.json).
 * samples.jsonl is not needed.
 *
 * A folder may be damaged: what cannot be read is left out and noted, and the report prints the
 * notes. Only a folder that holds neither run.json nor metrics.jsonl is an error. */
#ifndef REPORT_RUN_H
#define REPORT_RUN_H
#include <jansson.h>
#include <stdbool.h>
#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"

/* The values a metric had, by ascending step; what is null or no number is left out. */
struct series {
    const char *name;
    double *step, *value;
    size_t n, capacity;
};

struct series_set {
    struct series *list;
    int n, capacity;
    struct map index; /* name to place in the list */
};
const struct series *series_find(const struct series_set *s, const char *name); /* or NULL */
/* The value at a step; NaN: none. */
double series_at(const struct series *s, double step);

/* A row of an evaluation: texts are borrowed from the evaluation's JSON. */
struct report_row {
    const char *id, *task;
    double value; /* NaN: none */
    const char *text;
    size_t text_length;
    const json_t *components; /* or NULL */
};

struct evaluation {
    long step; /* −1: of no step */
    const char *data_sha256;
    bool greedy; /* at temperature 0 */
    struct report_row *rows;
    size_t n;         /* 0: there is no such evaluation */
    struct map index; /* id to row */
    json_t *json;
};
/* A file of `grpo eval --out` or of a run's eval folder. ERR_INPUT names the file, row and key. */
int evaluation_read(struct evaluation *e, const char *path, struct err *err);
void evaluation_free(struct evaluation *e);

struct gate_file {
    const char *stage, *verdict;
    json_t *json;
};

struct note_list {
    const char **items;
    int n, capacity;
};

struct run {
    const char *path, *name; /* as given; its last part */
    char title[80];          /* "seed 42", or the name where that says more */
    json_t *about;           /* run.json; NULL: cannot be read */
    const json_t *recipe;    /* of run.json; NULL: not there */
    long long seed;          /* −1: not known */
    struct series_set metrics, timing;
    struct evaluation *evals; /* by ascending step */
    int n_evals;
    /* The untouched model and the best adapter; n 0: not there. */
    struct evaluation base, best, test_before, test_after;
    struct gate_file *gates; /* in the protocol's order */
    int n_gates;
    long last_step;
    struct note_list notes;
    struct arena arena; /* texts, lists */
    bool no_memory;
};

/* ERR_INPUT: no run folder. */
int run_read(struct run *r, const char *path, struct err *err);
void run_free(struct run *r);
const struct evaluation *run_eval_at(const struct run *r, long step); /* or NULL */
/* A text of run.json or its recipe: NULL when it is not there or no text. */
const char *run_text(const json_t *object, const char *key);
/* Adds a printf-style note; beyond some tens a last one says that there are more. */
void run_note(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The protocol's stages in order, up to NULL. */
extern const char *const run_stages[];

#endif
