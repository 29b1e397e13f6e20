/* result.h: building a struct eval_result, for the files of this room. */
#ifndef EVAL_RESULT_H
#define EVAL_RESULT_H
#include "eval/eval.h"

/* n rows, zeroed, and the arena. */
int eval_result_begin(struct eval_result *r, size_t n, struct err *err);
/* Copies id and task (an empty task is called "default"). */
int eval_result_name_row(struct eval_result *r, size_t row, const char *id, const char *task,
                         struct err *err);
/* From the named rows: the list of tasks and each row's index in it. */
int eval_result_tasks(struct eval_result *r, struct err *err);
/* From the rows' values and samples: numbers of each task and overall. */
int eval_result_summarise(struct eval_result *r, struct err *err);

#endif
