/* selfcheck.h: what a run proves about itself before it is trusted: that completions were drawn
 * from the distribution that is trained, and that an update reaches the policy. Checked once a
 * process, on the user's own model and device, against definitions and not against another fast
 * path; docs/TESTING.md lists the faults each of these stops. What does not hold is ERR_GATE. */
#ifndef TRAIN_SELFCHECK_H
#define TRAIN_SELFCHECK_H
#include <stdbool.h>
#include "base/err.h"

struct selfcheck { /* zero-initialise */
    bool sampler;  /* proven */
    bool gradient; /* proven */
    bool update;   /* proven, or given up with a warning */
    int updates;   /* with a learning rate and a gradient, so far */
    double b;      /* Σ‖B‖² before the update at hand; NaN: no update is to be looked at */
};

struct grpo;
/* After sampling. Over the first 64 tokens of the completions, from the model's logits, in double:
 * the log-probability noted is that of softmax(logits / temperature), and (unless the distribution
 * was truncated) the token is the one that the draw's own uniform number selects. Hence another
 * temperature, another distribution, another seed or no seed is found. */
int selfcheck_sampler(struct grpo *g, struct err *err);

/* Before the update; total: the step's gradient. A step in which rewards tell completions apart has
 * a gradient that is not zero. */
int selfcheck_gradient(struct grpo *g, const float *total, double learning_rate, struct err *err);

/* After it: B is no longer zero, and the log-probabilities of a completion are those of the
 * parameters as they are now, not of a copy prepared before; those of the KL's reference have not
 * moved. Until a log-probability has moved the updates 1, 2, 4 … 64 are looked at; then a warning
 * says that nothing moves. */
int selfcheck_update(struct grpo *g, double norm, struct err *err);

#endif
