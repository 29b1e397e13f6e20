/* compare.h: before and after on the same rows: paired differences row by row, which is the only
 * comparison that n = 65 can carry. */
#ifndef EVAL_COMPARE_H
#define EVAL_COMPARE_H
#include "eval/eval.h"

struct eval_gain {
    const char *name;                        /* the task; NULL: overall */
    struct eval_numbers before, after, gain; /* gain: of the rows' differences */
};

struct eval_comparison {
    struct eval_gain *tasks;
    int n_tasks;
    struct eval_gain overall; /* unweighted mean of the tasks' gains, stratified intervals */
    size_t excluded;          /* rows without a value on one side */
    struct eval_component_gain {
        const char *task;
        struct eval_gain gain; /* name: the component's, a reward's label or label/component */
    } * components;            /* of each task those that both sides have, in order */
    int n_components;
};

/* Both must hold the same rows (ids and tasks) of the same data, else ERR_INPUT. Borrows names from
 * `before`. */
int eval_compare(struct eval_comparison *out, const struct eval_result *before,
                 const struct eval_result *after, struct err *err);
void eval_comparison_free(struct eval_comparison *c);
void eval_comparison_json(struct str *out, const struct eval_comparison *c);
/* Columns: task, n, before, after, gain; each mean with its 95% t interval. */
void eval_comparison_table(struct str *out, const struct eval_comparison *c);
/* Columns: task, component, n, before, after, gain. Those of shadow metrics too. */
void eval_comparison_components(struct str *out, const struct eval_comparison *c);
/* The first `per_task` rows of each task: id, and text with value before and after, made printable.
 */
void eval_comparison_examples(struct str *out, const struct eval_result *before,
                              const struct eval_result *after, int per_task);

#endif
