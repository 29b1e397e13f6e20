/* run_folders.h: tiny run folders of known numbers, written by the tests themselves. Two tasks,
 * sql_qa and insights, of 8 rows each. The value of row i under a seed at a step is
 * start + gain of (task, i odd) at that step + shift of the seed (not at step 0). */
#ifndef TESTS_RUN_FOLDERS_H
#define TESTS_RUN_FOLDERS_H
#include "support.h"
#include "base/str.h"

enum { RUN_ROWS = 8, RUN_TASKS = 2, RUN_MOST_STEPS = 8 };

struct run_spec {
    const char *name;
    int seed;
    double shift;
    double start[RUN_TASKS];
    int rows; /* of a task; 0: RUN_ROWS */
    int n_steps;
    struct run_step {
        int step;
        double gain[RUN_TASKS][2]; /* of even and of odd rows */
    } steps[RUN_MOST_STEPS];
    const char *recipe;    /* members after the fixed ones: ", \"baseline\": {...}" */
    const char *about;     /* members of run.json after the fixed ones */
    const char *component; /* a reward beside the one that pays: its value is half of the row's */
    const char *text;      /* JSON text of every completion; NULL: "texto" */
    bool test;             /* write the first and last evaluation as the test set's as well */
};

/* Gains of step 10 that are known by hand: sql_qa 0.3 and 0.5, insights 0.2 and 0.3. */
struct run_spec run_improved(const char *name, int seed, double shift);
/* Writes FOLDER/NAME and returns its path (static ring of 8). */
const char *run_write(const char *folder, const struct run_spec *spec);
/* FOLDER/NAME/FILE gets this text, with the folders it needs. */
void run_put(const char *run, const char *file, const char *text);

/* Fails the test unless the text is well-formed: tags closed in order, attributes quoted, only the
 * five entities, no bare < or &. Void elements of HTML are allowed. */
void expect_well_formed(const char *text);

#endif
