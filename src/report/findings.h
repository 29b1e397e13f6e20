/* findings.h: all that a report says, as numbers and sentences, before it is laid out: page.c
 * writes it for people, object.c for scripts. */
#ifndef REPORT_FINDINGS_H
#define REPORT_FINDINGS_H
#include "base/str.h"
#include "report/gains.h"
#include "report/gather.h"
#include "report/run.h"

/* Evaluations before and after, of the same rows. */
struct result_set {
    const char *name;   /* "test" or "eval" */
    bool there;         /* pairs and gains are filled */
    bool selected_on;   /* the best step was chosen by these rows */
    const char *before; /* what stands before: "base model", … */
    struct pairs pairs;
    struct gains gains;
};

enum answer { ANSWER_YES, ANSWER_NO, ANSWER_CANNOT_TELL };
const char *answer_name(enum answer a); /* "yes", "no", "cannot tell" */

enum { QUESTION_FIGURES = 12, QUESTIONS = 4 };
struct question {
    const char *name, *asks; /* "Q1", the question as it is put */
    enum answer answer;
    const char *document;  /* the document's own reading, with the number it goes by */
    const char *ours;      /* why the answer is what it is */
    double needed;         /* cannot tell: prompts or seeds that would; NaN */
    const char *needed_of; /* "prompts", "seeds", NULL */
    struct question_figure {
        const char *name;
        double value;
        struct interval ci; /* NaN: none */
    } figures[QUESTION_FIGURES];
    int n_figures;
};

/* A task scored by two rewards at once: what the change of the reward is worth on the same
 * completions, and what was learnt. */
struct attribution {
    const char *task, *old_reward, *new_reward;
    size_t n;
    double old_start, new_start, old_end, new_end;
    struct estimate change;       /* new_start − old_start */
    struct estimate learning;     /* new_end − new_start */
    struct estimate learning_old; /* old_end − old_start */
};

/* How a run's best step came about. */
struct best_step {
    const char *metric;
    long step; /* −1: none */
    double value;
    int evaluated;             /* steps that were looked at */
    int indistinguishable;     /* of the others: paired interval of the difference holds 0 */
    long last;                 /* step last evaluated */
    struct interval over_last; /* best minus last, paired; NaN */
    double over_last_gain;
};

/* Compared: a reward that both sides scored on a task which they did not train on the same one. */
struct shared_reward {
    const char *task, *reward;
    size_t n;
    double before, after;
    struct estimate gain;
};

struct findings {
    struct gathered sources;
    struct run *runs;
    int n_runs;
    bool compare; /* runs pairs … 2·pairs − 1 against runs 0 … pairs − 1, seed by seed */
    int pairs;
    const char *title;       /* of the experiment, or of its first run */
    const char *side[2];     /* what the two are called; NULL unless compared */
    const char *why_compare; /* nobody asked for it: why it is done; NULL */
    struct shared_reward *shared;
    int n_shared;
    const char *baseline_file;
    struct evaluation baseline; /* n 0: none */
    struct result_set test, eval;
    const struct result_set *headline; /* NULL: there is nothing to compare */
    struct best_step *best;            /* (n_runs) */
    struct question questions[QUESTIONS];
    int n_questions;
    struct attribution *attribution;
    int n_attribution;
    struct warning {
        const char *text;
        uint64_t runs; /* a bit for each run it is about; 0: all of it */
    } * warnings;
    int n_warnings, warnings_room;
    struct arena arena;
    bool no_memory;
};

/* A text in the findings' arena; "" and no_memory when there is none. */
const char *findings_text(struct findings *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* run −1: about the whole. The same text about several runs is one warning. */
void findings_warn(struct findings *f, int run, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "seed 42, seed 123: " and the text. */
void findings_warning_say(struct str *out, const struct findings *f, const struct warning *w);
/* Fills each run's title. */
void findings_name_runs(struct findings *f);
/* Steps that every run has evaluated, ascending; freed with mem_free, also after an error. */
int findings_common_steps(const struct findings *f, long **steps, int *n, struct err *err);

/* Of an entry of a recipe's rewards: its name in evaluations, and whether it has weight 0. */
const char *reward_label(const json_t *item);
bool reward_is_watched(const json_t *item);
/* What a reward gave a row; NaN: none. */
double row_component(const struct report_row *row, const char *label);

/* The parts, each from what those above it have filled. */
int findings_best(struct findings *f, struct err *err);
int findings_results(struct findings *f, struct err *err);
/* Compared with other rewards: takes back what cannot be said, and finds what can. */
int findings_shared(struct findings *f, struct err *err);
int findings_questions(struct findings *f, struct err *err);
int findings_attribution(struct findings *f, struct err *err);
void findings_warnings(struct findings *f);
void findings_free(struct findings *f);

#endif
