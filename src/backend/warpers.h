/* warpers.h: what bends the distribution that next_token (backend.h) draws from. Plain data, the
 * same for every device. */
#ifndef BACKEND_WARPERS_H
#define BACKEND_WARPERS_H
#include <stdbool.h>
#include <stdint.h>

/* What bends the distribution before a token is drawn, in the order of transformers' `generate`:
 * the penalty on ids that the sequence holds (logits < 0 times the penalty, others divided by it),
 * the temperature, then three cuts, each on what the one before has left, renormalised:
 *  - top_k: logits below the k-th largest go; all that equal it stay;
 *  - top_p: in ascending order (equal logits: lower id first), ids go as long as the cumulative
 *    probability is ≤ 1 − top_p; the last one always stays;
 *  - min_p: ids whose probability is below min_p times the largest go. */
struct warpers {
    double repetition_penalty; /* 1: none */
    int top_k;                 /* 0: none */
    double top_p;              /* 1: none */
    double min_p;              /* 0: none */
};

static inline bool warpers_neutral(const struct warpers *w)
{
    return w->repetition_penalty == 1 && w->top_k == 0 && w->top_p == 1 && w->min_p == 0;
}

/* Warpers for the rows of one next_token. */
struct warp {
    struct warpers how;
    const uint32_t *const *seen; /* host (R): bit v of row r: the sequence holds id v; may be NULL
                                    when the penalty is 1 */
    float *logp;                 /* host (R), out: of the bent, renormalised distribution */
};

#endif
