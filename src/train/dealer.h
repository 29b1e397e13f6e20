/* dealer.h: which row of the data comes next. A position is a group of a run: a generation of P
 * prompts takes P of them.
 *
 * Without task weights there is one deck of all rows. With weights each task has a deck of its own,
 * reshuffled whenever it is exhausted, so a prompt does not come twice from one pass of its deck;
 * and the tasks' order is planned a stretch of positions at a time, so that every stretch has the
 * mix. Weights may change between stretches (task_sampler.h), and cards may be taken out of turn
 * (sampling.h): how many cards each deck has given is therefore counted, in a cursor that is part
 * of a checkpoint. Decks and plans are functions of the seed. */
#ifndef TRAIN_DEALER_H
#define TRAIN_DEALER_H
#include "base/yaml.h"
#include "data/rows.h"
#include "train/deck.h"
#include "train/task_sampler.h"

enum { DEALER_MAX_TASKS = TASKS_MAX };

struct task_weights { /* a recipe's `task_weights`; n 0: none */
    int n;
    const char *task[DEALER_MAX_TASKS]; /* borrowed from the recipe */
    double weight[DEALER_MAX_TASKS];    /* normalised: they sum to 1 */
};
/* From the recipe's mapping of task to weight (NULL: none). Weights are any numbers ≥ 0 with a
 * positive sum. ERR_USAGE names the key. */
int task_weights_read(struct task_weights *out, const struct yaml_node *node, const char *where,
                      struct err *err);

/* The mix of tasks in order of first appearance: equal, or by their rows. A row without a task,
 * more tasks than DEALER_MAX_TASKS or fewer than two: ERR_USAGE. The names are the data's. */
int task_weights_of_data(struct task_weights *out, const struct dataset *data, bool proportional,
                         const char *where, struct err *err);

/* How many of n positions each task gets: max(1, ⌊n·w⌋) (the hand-off document's rule; 0 for weight
 * 0), and what is then left goes one each to the largest remainders. Returns the sum, which is
 * above n where n is too small for one each: the plan is then cut after it was shuffled. */
int dealer_counts(int *count, const double *weight, int tasks, int n);

/* The same as if positions were n points at equal distances on a line of the weights laid end to
 * end, the first at u/n (0 ≤ u < 1): every count is ⌊n·w⌋ or one more, and on average over u it is
 * n·w, however small n is. Their sum is n. */
void dealer_systematic(int *count, const double *weight, int tasks, int n, double u);

struct dealer {
    int n_decks;
    struct dealer_deck {
        const char *task; /* NULL: all rows */
        double weight;    /* of the stretch at hand; changed by dealer_weights */
        struct deck deck;
        uint32_t *rows; /* (deck.n) indices of the data; NULL: all */
    } decks[DEALER_MAX_TASKS];
    uint64_t seed;
    bool systematic; /* counts of a stretch by dealer_systematic instead of dealer_counts */
    int stretch;     /* positions of a plan */
    uint64_t index;  /* of the stretch that `plan` holds; UINT64_MAX: none */
    int *plan;       /* (at least stretch) deck of each position */
    size_t n_rows;
};

struct dealer_cursor {
    uint64_t position;                /* dealt so far */
    uint64_t cards[DEALER_MAX_TASKS]; /* taken from each deck, in turn or not */
};

/* stretch: positions planned together (with weights). A task of the data without a weight, or a
 * weight without rows, is ERR_USAGE naming it. data must outlive the dealer. */
int dealer_create(struct dealer *d, const struct dataset *data, const struct task_weights *weights,
                  int stretch, uint64_t seed, const char *where, struct err *err);
void dealer_free(struct dealer *d);
/* Weights (n_decks) of the stretches planned from now on. */
void dealer_weights(struct dealer *d, const double *weight);
/* Index of the row at the cursor's position, which moves on; its deck, and the deck's pass (either
 * may be NULL). */
size_t dealer_deal(struct dealer *d, struct dealer_cursor *c, int *deck, uint64_t *epoch);
/* The deck's next card, out of turn: no position is used up. */
size_t dealer_redeal(struct dealer *d, struct dealer_cursor *c, int deck, uint64_t *epoch);
/* Where a run stands after so many positions under the weights at hand, nothing out of turn. */
void dealer_foresee(struct dealer *d, struct dealer_cursor *out, uint64_t positions);
/* As a JSON object in a checkpoint, decks by their tasks' names; and back, into a zeroed *c.
 * ERR_INPUT: counts that no run has. */
void dealer_cursor_write(struct json_writer *w, const struct dealer *d,
                         const struct dealer_cursor *c);
int dealer_cursor_read(struct dealer_cursor *c, const struct dealer *d, const json_t *saved,
                       const char *where, struct err *err);
/* The decks' tasks, in their order. */
void dealer_tasks(const struct dealer *d, const char *task[DEALER_MAX_TASKS]);
/* Passes over the rows of deck i; cards taken from all decks. */
double dealer_epochs(const struct dealer *d, const struct dealer_cursor *c, int i);
uint64_t dealer_cards(const struct dealer *d, const struct dealer_cursor *c);

#endif
