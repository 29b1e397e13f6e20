/* line.h: one measured part of a run of the bench: its times, its floor, and how both are shown and
 * compared with a stored run. */
#ifndef BENCH_LINE_H
#define BENCH_LINE_H
#include "base/json.h"
#include "bench/counts.h"

enum { BENCH_MAX_LINES = 96, BENCH_MAX_REPEATS = 100, BENCH_MAX_PARTS = 4 };

/* Parts of one line that cannot overlap: each waits for the one before. */
struct bench_work {
    struct work part[BENCH_MAX_PARTS];
    int n;
    double items;     /* what is worked on, for a rate */
    const char *unit; /* "tokens", "completions", "parameters", "bytes" */
};

struct bench_line {
    char shape[128], name[32];
    int repeats;
    double seconds; /* median */
    double spread;  /* (largest − smallest) ÷ median */
    struct bench_work work;
    double operations, bytes; /* of all its parts */
    /* from bench_floors on */
    double floor;        /* seconds: the sum of the floors of its parts, one after another */
    double memory_share; /* of the floor: what waits for memory, 0 to 1 */
};

struct bench_lines {
    struct bench_line line[BENCH_MAX_LINES];
    int n;
};

/* Appends a line from the seconds of its repeats (sorted here). */
void bench_add(struct bench_lines *l, const char *shape, const char *name, double *seconds,
               int repeats, const struct bench_work *w);
/* The floors of all lines, once it is known what the machine can do. */
void bench_floors(struct bench_lines *l, const struct count_rates *r);
/* floor ÷ seconds. */
double bench_share(const struct bench_line *line);

void bench_line_write(struct json_writer *w, const struct bench_line *line); /* an object */
void bench_lines_header(struct str *out);
void bench_line_print(struct str *out, const struct bench_line *line);

/* Against a stored run (an object of `grpo bench --json`): the ratio of seconds for every line that
 * both have, printed, or as the object's member "reference" in JSON. */
struct bench_comparison {
    const json_t *stored;
    const char *path;
    double tolerance;
    double ratio[BENCH_MAX_LINES]; /* of line i; NaN: the stored run does not have it */
    /* What a ratio may be: 1 + tolerance, or 1 + the larger spread of the two runs where that is
     * more: two medians inside of one spread do not tell a slower program from a busy machine. */
    double limit[BENCH_MAX_LINES];
    int slower; /* lines beyond it */
};
/* ERR_INPUT when the file is no such object, is of another kind of machine, or did other work under
 * a line's name (its counts differ), or shares no line with this run. */
int bench_compare(struct bench_comparison *c, const struct bench_lines *l, const char *kind,
                  struct err *err);
void bench_comparison_write(struct json_writer *w, const struct bench_comparison *c,
                            const struct bench_lines *l);
void bench_comparison_print(struct str *out, const struct bench_comparison *c,
                            const struct bench_lines *l);
/* ERR_GATE naming the worst line when one is slower than the tolerance allows. */
int bench_comparison_verdict(const struct bench_comparison *c, const struct bench_lines *l,
                             struct err *err);

#endif
