/* dealer.h: which row of the data comes at which position of a run. A position is a group: step s
 * (0-based) with P prompts has positions s·P … s·P + P − 1.
 *
 * Without task weights there is one deck of all rows. With weights each task has a deck of its own,
 * reshuffled whenever it is exhausted, so a prompt does not come twice from one pass of its deck;
 * and the tasks' order is planned a stretch of positions at a time, so that every stretch has the
 * mix. Both are functions of seed and position alone: a run's cursor is one number. */
#ifndef TRAIN_DEALER_H
#define TRAIN_DEALER_H
#include "base/yaml.h"
#include "data/rows.h"
#include "train/deck.h"

enum { DEALER_MAX_TASKS = 64 };

struct task_weights { /* a recipe's `task_weights`; n 0: none */
    int n;
    const char *task[DEALER_MAX_TASKS]; /* borrowed from the recipe */
    double weight[DEALER_MAX_TASKS];    /* normalised: they sum to 1 */
};
/* From the recipe's mapping of task to weight (NULL: none). Weights are any numbers ≥ 0 with a
 * positive sum. ERR_USAGE names the key. */
int task_weights_read(struct task_weights *out, const struct yaml_node *node, const char *where,
                      struct err *err);

/* How many of n positions each task gets: max(1, ⌊n·w⌋) (the hand-off document's rule; 0 for weight
 * 0), and what is then left goes one each to the largest remainders. Returns the sum, which is
 * above n where n is too small for one each: the plan is then cut after it was shuffled. */
int dealer_counts(int *count, const double *weight, int tasks, int n);

struct dealer {
    int n_decks;
    struct dealer_deck {
        const char *task; /* NULL: all rows */
        double weight;
        struct deck deck;
        uint32_t *rows; /* (deck.n) indices of the data; NULL: all */
        uint64_t dealt; /* cards before the stretch at hand */
    } decks[DEALER_MAX_TASKS];
    uint64_t seed;
    int stretch;    /* positions of a plan */
    uint64_t index; /* of the stretch at hand; UINT64_MAX: none */
    int *plan;      /* (at least stretch) deck of each position */
    size_t n_rows;
};

/* stretch: positions planned together (with weights). A task of the data without a weight, or a
 * weight without rows, is ERR_USAGE naming it. data must outlive the dealer. */
int dealer_create(struct dealer *d, const struct dataset *data, const struct task_weights *weights,
                  int stretch, uint64_t seed, const char *where, struct err *err);
void dealer_free(struct dealer *d);
/* Index of the row at a position; *epoch (may be NULL): its deck's pass. */
size_t dealer_row(struct dealer *d, uint64_t position, uint64_t *epoch);
/* Passes over the rows of deck i within the first `positions`; fractional. */
double dealer_epochs(struct dealer *d, int i, uint64_t positions);

#endif
