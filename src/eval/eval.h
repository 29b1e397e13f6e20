/* eval.h: a model or adapter on fixed rows, through the same path as training (episode_run). By
 * default one greedy completion a row. With several completions a row's value is their mean; rows
 * stay the unit that intervals count.
 *
 * eval/<task> is the mean of a task's rows, the overall mean the unweighted mean of the task means
 * with standard error √(Σ s²ₜ/nₜ)/T. A completion whose reward failed (machinery) or to which none
 * applies has no value; a row without any is counted and left out, never scored 0. */
#ifndef EVAL_EVAL_H
#define EVAL_EVAL_H
#include "base/json.h"
#include "base/str.h"
#include "episode/batch.h"
#include "stats/stats.h"

/* --- the numbers of one set of row values --- */

struct eval_numbers {
    size_t n;              /* rows with a value */
    double mean, sd, se;   /* sd over rows (ddof 1); NaN where n is too small */
    struct interval ci95;  /* mean ± 1.96·se */
    struct interval t95;   /* Student's t; overall: Welch–Satterthwaite degrees of freedom */
    struct interval bca95; /* bootstrap, fixed seed; overall: resampled within tasks */
};
int eval_numbers_of(struct eval_numbers *out, const double *x, size_t n, struct err *err);
/* stratum[i] in [0, strata): the mean of the strata's means. sd is over all values. */
int eval_numbers_strata(struct eval_numbers *out, const double *x, const int *stratum, size_t n,
                        int strata, struct err *err);
/* Fields n, mean, sd, se, ci95, t95, bca95 into the object being written. */
void eval_numbers_json(struct json_writer *w, const struct eval_numbers *s);

/* --- an evaluation --- */

struct eval_request {
    const struct episode *episode; /* with rewards and a rollout */
    const adapter *adapter;        /* NULL: the bare base */
    const struct dataset *data;
    int max_prompt_tokens; /* the rollout's */
    int max_new_tokens;
    double temperature; /* 0: greedy */
    int completions;    /* a row */
    uint64_t seed;      /* of the draws when temperature > 0 */
    int batch;          /* rows that are sampled together */
    const char *what;   /* title of the progress; NULL: none */
};

struct eval_sample {
    const char *text;
    size_t text_length;
    int tokens;
    enum stop_reason stop;
    double value; /* NaN: none */
};

struct eval_row {
    const char *id, *task;
    int task_index;
    double value;                /* mean over samples with a value; NaN: none */
    struct eval_sample *samples; /* (completions); read from a file: the first one's text only */
    double *components;          /* (n_components of the result), means over samples; NaN: absent */
};

struct eval_summary {
    const char *name; /* the task; NULL: overall */
    struct eval_numbers numbers;
    size_t rows, invalid_rows; /* invalid: without a value */
    long failed;               /* rewards that failed */
    double truncated;          /* share of completions that ended at the length limit */
    double mean_length;        /* tokens */
    double *components; /* (n_components); overall: unweighted mean over tasks that have it */
};

struct eval_result {
    struct eval_row *rows; /* in the order of the data */
    size_t n_rows;
    struct eval_summary *tasks; /* in the order of first appearance */
    int n_tasks;
    struct eval_summary overall;
    /* Every reward by its label, and its components as label/component; shadow metrics too. */
    const char **components;
    int n_components;
    int completions, max_new_tokens;
    double temperature;
    uint64_t seed;
    char data_sha256[65];
    void *storage;
};

/* Draws are keyed by (seed, row) alone, not by the training step: two evaluations of one run see
 * the same random numbers, and `grpo eval` on a checkpoint repeats the run's file. */
int eval_run(const struct eval_request *q, struct eval_result *out, struct err *err);
void eval_free(struct eval_result *r);
const struct eval_summary *eval_task(const struct eval_result *r, const char *name); /* or NULL */

/* What the numbers are of; NULL fields are written as null. */
struct eval_about {
    const char *model, *adapter, *data;
    long step; /* < 0: not of a run */
};
/* The object of `grpo eval --json`; with_rows: also "rows", as in eval/step-N.json. Holds only
 * deterministic values. Ends with a newline. */
void eval_json(struct str *out, const struct eval_result *r, const struct eval_about *about,
               bool with_rows);
/* For people. */
void eval_table(struct str *out, const struct eval_result *r);
/* Reads back what eval_json wrote with rows: ids, tasks, values, components, texts and the numbers
 * made of them. */
int eval_read(struct eval_result *out, const char *path, struct err *err);

#endif
