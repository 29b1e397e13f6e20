/* push_variety.h: how far a push differs from the others that were written for the same prompt. */
#ifndef REWARD_PUSH_VARIETY_H
#define REWARD_PUSH_VARIETY_H
#include "reward/reward.h"

struct push_variety {
    double variety; /* 1 − mean likeness to the others; NaN: there are none */
    int twins;      /* others that are half a duplicate or more */
};

/* false when memory is out. */
bool push_variety_read(struct push_variety *out, const struct reward_input *in);

#endif
