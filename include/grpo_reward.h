/* grpo_reward.h: a reward as a shared object, for `{library: ./reward.so}` in a recipe. Plain C99;
 * a full example is examples/rewards/c/reward.c. The library runs inside grpo: a crash of it is a
 * crash of the run, and nothing limits its time or memory. (For those, use `command` instead.) */
#ifndef GRPO_REWARD_H
#define GRPO_REWARD_H
#include <stddef.h>

#define GRPO_REWARD_ABI 1
#define GRPO_REWARD_MAX_COMPONENTS 16

enum grpo_reward_flags {
    GRPO_REWARD_THREAD_SAFE = 1,   /* evaluate may run in several threads at once; else never */
    GRPO_REWARD_DETERMINISTIC = 2, /* the same input always gives the same output */
    GRPO_REWARD_SLOW = 4,          /* worth asking while other completions are being sampled */
    GRPO_REWARD_WANTS_ROW = 8      /* fill input.row; otherwise it is empty */
};

enum grpo_reward_status { /* what evaluate returns */
                          GRPO_REWARD_OK = 0,
                          GRPO_REWARD_FAILED =
                              1, /* the machinery's fault: counted and left out, never 0 */
                          GRPO_REWARD_NOT_APPLICABLE = 2 /* left out */
};

struct grpo_reward_text {
    const char *data; /* bytes, usually UTF-8; a NUL follows, and NULs may be inside */
    size_t length;
};

struct grpo_reward_input {
    struct grpo_reward_text completion;
    struct grpo_reward_text prompt; /* the user messages, joined by newlines */
    struct grpo_reward_text row;    /* the dataset row as JSON; length 0 where there is none */
};

struct grpo_reward_output {
    double score;                                  /* NaN (as it comes): Σ weight · component */
    double components[GRPO_REWARD_MAX_COMPONENTS]; /* in your order; NaN (as they come): absent */
    char reason[200];                              /* why it failed or does not apply */
};

struct grpo_reward_library {
    int abi;        /* GRPO_REWARD_ABI */
    unsigned flags; /* of enum grpo_reward_flags */
    int n_components;
    const char *component_names[GRPO_REWARD_MAX_COMPONENTS];
    double component_weights[GRPO_REWARD_MAX_COMPONENTS];
    /* params: the recipe's `params` as JSON, "{}" where there are none. 0 is success; otherwise the
     * error is a sentence. May be NULL: then params must be empty and state is NULL. */
    int (*create)(void **state, const char *params, char *error, size_t error_size);
    int (*evaluate)(void *state, const struct grpo_reward_input *in,
                    struct grpo_reward_output *out);
    void (*destroy)(void *state); /* may be NULL */
};

/* The one symbol grpo looks for; what it points to stays valid and unchanged. */
const struct grpo_reward_library *grpo_reward_library(void);

#endif
