/* tiny.h: a tiny model of tests/oracle/model on a device, and the gradient of a weighted sum of
 * completion log-probabilities computed the way the trainer does it. */
#ifndef TESTS_TINY_H
#define TESTS_TINY_H
#include "support.h"
#include "base/err.h"
#include "model/grad_tree.h"
#include "model/model.h"
#include "rollout/rollout.h"

enum { TINY_MAX_COMPLETIONS = 8, TINY_MAX_TOKENS = 64 };

struct tiny {
    struct device *d;
    model *m;
    adapter *a;
    struct tensor_set expected;
    int prompt[TINY_MAX_TOKENS], prompt_len;
    int ids[TINY_MAX_COMPLETIONS][TINY_MAX_TOKENS], len[TINY_MAX_COMPLETIONS];
    float weights[TINY_MAX_COMPLETIONS][TINY_MAX_TOKENS];
    int n;
};

void tiny_open(struct tiny *t, const char *name, const char *isa, enum precision precision,
               int threads);
void tiny_close(struct tiny *t);
const float *tiny_expected(const struct tiny *t, const char *name, size_t n);

/* Log-probabilities (n arrays) and the adapter's gradient (adapter_size floats, host) with
 * `micro` completions per forward and backward pass. */
void tiny_gradient(struct tiny *t, int micro, float temperature, float logp[][TINY_MAX_TOKENS],
                   float *gradient);
/* By rollout_score. entropy may be NULL. */
void tiny_score(struct tiny *t, float temperature, float logp[][TINY_MAX_TOKENS],
                float entropy[][TINY_MAX_TOKENS]);

#endif
