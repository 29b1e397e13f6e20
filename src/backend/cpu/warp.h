/* warp.h: one row's distribution bent before the draw (backend.h, struct warpers): penalty, top-k,
 * top-p, min-p, and the draw from what is left. cpu.c calls it with two rows of scratch a thread.
 */
#ifndef BACKEND_CPU_WARP_H
#define BACKEND_CPU_WARP_H
#include "backend/cpu/ops.h"

struct warp_row {
    float *scores;  /* (n): bent logits, −∞ where cut */
    float *weights; /* (n): exp(score − largest), 0 where cut; valid after warp_cut */
    int n;
    float logz; /* log-sum-exp of the whole distribution */
};

/* scores = z, those of seen ids penalised. z: tempered logits, their log-sum-exp finite; seen: a
 * bitset of n bits, or NULL. (The penalty commutes with the temperature, which is positive.) */
void warp_begin(struct warp_row *row, const struct warpers *how, const float *z,
                const uint32_t *seen);
/* Cuts; returns the largest score, infinite where the penalty has overflowed (then nothing else is
 * valid). At least one id stays. */
float warp_cut(struct warp_row *row, const struct warpers *how, const struct ops_kernels *ops);
/* warp_cut, then inverse CDF in id order over what stays: the first id whose cumulative probability
 * exceeds u. logp: of that id among what stays. −1 and NaN where the penalty has overflowed. */
int warp_draw(struct warp_row *row, const struct warpers *how, const struct ops_kernels *ops,
              double u, float *logp);

#endif
