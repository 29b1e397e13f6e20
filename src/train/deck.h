/* deck.h: which row comes when. Position p (0-based, over the whole run) is card p mod n of the
 * deck that is shuffled anew for epoch p / n: every row comes once an epoch, in an order that is a
 * function of seed and epoch alone. So the whole cursor of a run is one number. */
#ifndef TRAIN_DECK_H
#define TRAIN_DECK_H
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct deck {
    uint64_t seed, stream;
    size_t n;
    uint32_t *order; /* (n) of `epoch` */
    uint64_t epoch;  /* of the order at hand; UINT64_MAX: none yet */
};

/* stream tells the decks of one run apart (rng_id of the task; 0: the one of all rows). */
int deck_create(struct deck *d, size_t n, uint64_t seed, uint64_t stream, struct err *err);
void deck_free(struct deck *d);
/* Row index at a position; *epoch (may be NULL) is its epoch. */
size_t deck_row(struct deck *d, uint64_t position, uint64_t *epoch);

#endif
