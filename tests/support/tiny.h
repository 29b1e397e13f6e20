/* tiny.h: a tiny model of tests/oracle/model on a device with a prompt and its completions, and
 * what the trainer computes of them: log-probabilities and the gradient of their weighted sum.
 * Tests may overwrite prompt, completions, weights and adapter. */
#ifndef TESTS_TINY_H
#define TESTS_TINY_H
#include "support.h"
#include "base/err.h"
#include "model/grad_tree.h"
#include "model/model.h"
#include "rollout/rollout.h"

enum { TINY_MAX_COMPLETIONS = 16, TINY_MAX_TOKENS = 640, TINY_MAX_ROWS = 2048 };

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
/* The same weights with room for `context` positions, whatever the config says. */
void tiny_open_wide(struct tiny *t, const char *name, const char *isa, enum precision precision,
                    int threads, int context);
void tiny_close(struct tiny *t);
const float *tiny_expected(const struct tiny *t, const char *name, size_t n);
/* Another adapter in place of t->a: targets is a bit mask over enum projection; A as new, B drawn
 * from N(0, 0.12) (zero_b: zero). */
void tiny_new_adapter(struct tiny *t, unsigned targets, int rank, bool zero_b);
/* n random ids (never the first three) that depend on `seed` alone. */
void tiny_random_ids(const struct tiny *t, int *ids, int n, uint64_t seed);

/* Log-probabilities (n arrays) and the adapter's gradient (adapter_size floats, host; NULL: only
 * the forward pass) with `micro` completions per forward and backward pass. */
void tiny_gradient(struct tiny *t, int micro, float temperature, float logp[][TINY_MAX_TOKENS],
                   float *gradient);
/* By rollout_score. entropy may be NULL. */
void tiny_score(struct tiny *t, float temperature, float logp[][TINY_MAX_TOKENS],
                float entropy[][TINY_MAX_TOKENS]);

/* Calls check for each case and each instruction set this machine has; prints those it lacks. */
void tiny_each(const char *const *cases, enum precision precision,
               void (*check)(const char *name, const char *isa, enum precision precision));
/* Fails the test with the error's text when status is not 0. */
void tiny_ok(int status, const struct err *err);

#endif
