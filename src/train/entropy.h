/* entropy.h: top_entropy_quantile (arXiv 2506.01939): only the tokens at which the policy was most
 * uncertain carry the policy term of the loss. Which ones is decided over the whole optimizer step;
 * TRL decides over each micro-batch, and the two agree where a step is one. */
#ifndef TRAIN_ENTROPY_H
#define TRAIN_ENTROPY_H
#include <stddef.h>

/* The (1 − top) quantile of n ≥ 1 finite entropies, 0 ≤ top ≤ 1, the very float32 that
 * torch.quantile gives: tokens at or above it are kept. Reorders the values. Linear time, no
 * memory. */
float entropy_threshold(float *values, size_t n, double top);

#endif
