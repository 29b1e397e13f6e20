/* split.h: the fixed stratified split: from one file of rows, so many of each task for evaluation,
 * optionally so many for a test set, the rest for training. Written once: the same rows, seed and
 * counts give the same files, and an evaluation file that holds anything else is never replaced. */
#ifndef DATA_SPLIT_H
#define DATA_SPLIT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct split_count {
    const char *task;
    size_t eval, test; /* distinct prompts */
};

struct split_options {
    const char *source;                          /* JSONL */
    const char *eval_out, *test_out, *train_out; /* NULL: not written (eval_out must be given) */
    const struct split_count *counts;
    size_t n_counts;
    uint64_t seed;
};

struct split_set {
    size_t rows;
    char sha256[65]; /* of the file's bytes; "" when the set was not asked for */
    bool written;    /* false: an equal file was there already */
};

struct split_result {
    struct split_set eval, test, train;
    size_t copies; /* rows left out of every file, for their prompt was chosen in another row */
};

/* Who is chosen depends on the seed and each row's own id (without one, on its prompt), never on
 * the order of the rows; asking for more of a task later only adds. Rows with one fingerprint
 * (rows.h) are one unit: chosen, it gives its row of the smallest id, and its copies go nowhere;
 * not chosen, all its rows train. A file holds the rows' own bytes, one a line ending in '\n':
 * evaluation and test rows in the order of their draws, training rows in the order of the source.
 *
 * ERR_GATE when a file exists with other content (nothing is written then), ERR_INPUT when a task
 * has too few prompts or nothing is left to train on, ERR_USAGE for counts and paths that make no
 * sense. What is on disk afterwards has been read back: counts exact, sets disjoint; else what
 * was written is removed again. */
int split_run(const struct split_options *options, struct split_result *result, struct err *err);

#endif
