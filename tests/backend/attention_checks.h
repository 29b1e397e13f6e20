/* attention_checks.h: what attention must satisfy on every set of matrix kernels, the machine's
 * (test_ops.c, test_ops_backward.c, test_row_rule_attention.c) or emulated ones
 * (test_attention_emulated.c). Emulated kernels get fewer cases. Failures are cmocka assertions. */
#ifndef TESTS_BACKEND_ATTENTION_CHECKS_H
#define TESTS_BACKEND_ATTENTION_CHECKS_H
#include "../support/rig.h"

/* Heads for comparisons with the reference. */
enum { ATTENTION_HEADS = 7 };
extern const struct attn_dims attention_heads[ATTENTION_HEADS];
/* "4 heads on 2, dimension 64" and more; until the next call. */
const char *attention_label(struct attn_dims dims, const char *more);

/* Heads and sequences for the row rule; sequences are no longer than ATTENTION_LONG. */
enum { ATTENTION_LONG = 130, ATTENTION_SHAPES = 5 };
extern const struct attention_shape {
    struct attn_dims dims;
    int length;
} attention_shapes[ATTENTION_SHAPES];
/* Of cases that differ by a position, how far from one to the next. */
int attention_step(const struct rig *g);

/* --- against the scalar reference in double --- */
void attention_check_forward(struct rig *g);
void attention_check_sharing(struct rig *g); /* decoding: spans with a common prefix */
void attention_check_extreme(struct rig *g); /* scores far apart */
void attention_check_backward(struct rig *g);

/* --- the row rule: equal bits. For rig_each_threads --- */
void attention_check_prefix_cuts(struct rig *g);
void attention_check_call_cuts(struct rig *g);
void attention_check_neighbours(struct rig *g);
void attention_check_shared_prefix(struct rig *g);
void attention_check_backward_alone(struct rig *g);

#endif
