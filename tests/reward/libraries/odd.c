/* odd.c: a shared object for tests/reward/test_library.c. Compiled once for each CASE_…, each wrong
 * in one way or right in an unusual one. */
#include <grpo_reward.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#if !defined CASE_NO_SYMBOL
#if !defined CASE_NO_EVALUATE
static int inside; /* evaluations that run */

static int evaluate(void *state, const struct grpo_reward_input *in, struct grpo_reward_output *out)
{
    const char *text = in->completion.data;
    (void)state;
    if (++inside != 1) /* not thread-safe: must never be */
        return 77;
    out->score = strlen(in->completion.data) == in->completion.length ? 1 : 0.5;
    int status = GRPO_REWARD_OK;
    if (strcmp(text, "row") == 0)
        out->score = (double)in->row.length;
    if (strcmp(text, "prompt") == 0)
        out->score = (double)in->prompt.length;
    if (strcmp(text, "infinite") == 0)
        out->score = INFINITY;
    if (strcmp(text, "nothing") == 0)
        out->score = NAN;
    if (strcmp(text, "failed") == 0) {
        memset(out->reason, 'x', sizeof out->reason); /* no NUL at its end */
        status = GRPO_REWARD_FAILED;
    }
    if (strcmp(text, "mute") == 0)
        status = GRPO_REWARD_FAILED;
    if (strcmp(text, "not applicable") == 0) {
        snprintf(out->reason, sizeof out->reason, "no \033 numbers");
        status = GRPO_REWARD_NOT_APPLICABLE;
    }
    if (strcmp(text, "odd") == 0)
        status = 42;
    inside--;
    return status;
}
#endif

#if defined CASE_CREATE_FAILS
static int create(void **state, const char *params, char *error, size_t error_size)
{
    (void)state;
    snprintf(error, error_size, "I do not like %s", params);
    return 1;
}
#endif

const struct grpo_reward_library *grpo_reward_library(void)
{
    static struct grpo_reward_library library = {
        .abi = GRPO_REWARD_ABI,
        .n_components = 1,
        .component_names = {"only"},
        .component_weights = {1},
#if !defined CASE_NO_EVALUATE
        .evaluate = evaluate,
#endif
#if defined CASE_CREATE_FAILS
        .create = create,
#endif
    };
#if defined CASE_NULL
    return NULL;
#endif
#if defined CASE_ABI
    library.abi = 2;
#endif
#if defined CASE_FLAGS
    library.flags = 64;
#endif
#if defined CASE_ROW
    library.flags = GRPO_REWARD_WANTS_ROW | GRPO_REWARD_SLOW;
#endif
#if defined CASE_NO_COMPONENTS
    library.n_components = 0;
#endif
#if defined CASE_MANY
    library.n_components = 17;
#endif
#if defined CASE_NO_NAME
    library.component_names[0] = NULL;
#endif
#if defined CASE_TWICE
    library.n_components = 2;
    library.component_names[1] = "only";
#endif
#if defined CASE_WEIGHT
    library.component_weights[0] = NAN;
#endif
    return &library;
}
#endif
