/* stats.h: what a file of rows holds: tasks, lengths of prompts, copies, and what it shares with
 * another file. Two rows are copies when their fingerprints (rows.h) are equal. */
#ifndef DATA_STATS_H
#define DATA_STATS_H
#include "base/json.h"
#include "data/rows.h"

struct data_lengths { /* of n prompts; nearest rank; all 0 without any */
    size_t n, least, median, p95, most;
    double mean;
};

struct data_task {
    const char *name; /* the dataset's; "": none */
    struct data_lengths characters, tokens;
};

struct data_pair {
    size_t row, twin; /* rows of equal fingerprints; twin: the first such row, of this file or of
                         the other one */
};

struct data_stats {
    const struct dataset *data, *other; /* borrowed; other NULL: not asked */
    bool has_tokens;
    struct data_task *tasks; /* in order of first appearance */
    size_t n_tasks;
    struct data_task all;
    size_t *untold; /* rows without a task */
    size_t n_untold;
    struct data_pair *copies, *shared;
    size_t n_copies, n_shared;
};

/* tokens: of each row's prompt, or NULL. ERR_MACHINE. data_stats_free also after an error. */
int data_stats_make(struct data_stats *s, const struct dataset *d, const size_t *tokens,
                    const struct dataset *other, struct err *err);
void data_stats_free(struct data_stats *s);
/* A table for people, with the first rows of each list; or all of it as an object. */
void data_stats_table(struct str *out, const struct data_stats *s);
void data_stats_json(struct str *out, const struct data_stats *s);

#endif
