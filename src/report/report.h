/* report.h: what came of a recipe: results with intervals, verdicts, gates and curves, from run
 * folders alone. The same folders give the same bytes, whenever they are read. */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H
#include <stdbool.h>
#include "base/err.h"
#include "base/str.h"

enum { REPORT_MAX_RUNS = 64 };

struct report_request {
    /* Run folders of one recipe's seeds, or experiment folders of `grpo run`, which hold them. Two
     * experiments, or two runs that are no two seeds of one recipe, are compared: the second with
     * the first, paired by row and seed. */
    const char *const *runs;
    int n_runs;
    bool compare;              /* also two seeds of one recipe */
    const char *baseline_eval; /* an evaluation that stands for "before"; NULL: the run's own */
};

/* Each is written where it is not NULL. ERR_USAGE: runs that are neither seeds of one recipe (names
 * the key) nor two to compare, one seed or folder twice, a wrong number of runs, experiments to
 * compare whose seeds differ; ERR_INPUT: no run folder, or compared or with baseline_eval other
 * rows. Damage inside a folder is no error: the report tells of it. */
struct report_texts {
    struct str *markdown, *html, *json;
    struct str
        *summary; /* for a terminal: the headline, the results table, the questions' answers */
};
int report_write(const struct report_request *q, const struct report_texts *out, struct err *err);

/* Writes report.md and report.html of the runs (seeds of one recipe) into a folder, which is made
 * where it is missing. */
int report_make(const char *const *runs, int n, const char *out_folder, struct err *err);
/* The same of any request; `also`: its json and summary are written with them. */
int report_files(const struct report_request *q, const char *out_folder,
                 const struct report_texts *also, struct err *err);

#endif
