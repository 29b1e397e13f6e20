/* deck.c: see deck.h. */
#include "train/deck.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"

int deck_create(struct deck *d, size_t n, uint64_t seed, uint64_t stream, struct err *err)
{
    CHECK(n > 0);
    *d = (struct deck){.seed = seed, .stream = stream, .n = n, .epoch = UINT64_MAX};
    d->order = mem_alloc(n * sizeof *d->order);
    return d->order ? ERR_NONE : err_no_memory(err, "the order of rows", n * sizeof *d->order);
}

void deck_free(struct deck *d)
{
    mem_free(d->order);
    *d = (struct deck){0};
}

size_t deck_row(struct deck *d, uint64_t position, uint64_t *epoch)
{
    uint64_t now = position / d->n;
    if (now != d->epoch) {
        struct rng_key key = {
            .seed = d->seed, .purpose = RNG_SHUFFLE, .row = d->stream, .epoch = now};
        rng_permutation(&key, d->order, d->n);
        d->epoch = now;
    }
    if (epoch)
        *epoch = now;
    return d->order[position % d->n];
}
