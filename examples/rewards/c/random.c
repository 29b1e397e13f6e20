/* A reward that knows nothing: a number in [0, 1) that is hashed from a seed, the prompt and the
 * completion. It is the control of an experiment: what a run "gains" under it is no gain.
 *
 *     cc -O2 -shared -fPIC -o random.so random.c        (grpo_reward.h is installed with grpo)
 *
 * In a recipe:
 *
 *     rewards:
 *       - {library: ./random.so, name: random, params: {seed: 7}}
 *
 * The prompt is part of what is hashed, so a text that was lucky once is not lucky again elsewhere:
 * there is nothing to learn, while equal completions of one group still earn the same. The number
 * is uniform, hence symmetric about 1/2: over seeds every completion's expected advantage is 0. */
#include <grpo_reward.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* params is JSON: {"seed": N}, or {} for 0. */
static int create(void **out, const char *params, char *error, size_t error_size)
{
    uint64_t *seed = malloc(sizeof *seed);
    const char *found = strstr(params, "\"seed\":");
    if (!seed) {
        snprintf(error, error_size, "memory is out");
        return 1;
    }
    *seed = 0;
    if (found || strcmp(params, "{}") != 0) {
        const char *digits = found ? found + strlen("\"seed\":") : "";
        char *end;
        *seed = strtoull(digits, &end, 10);
        if (digits[0] < '0' || digits[0] > '9' || strcmp(end, "}") != 0) {
            snprintf(error, error_size, "params is %.80s, expected {\"seed\": N}", params);
            free(seed);
            return 1;
        }
    }
    *out = seed;
    return 0;
}

/* FNV-1a, a text and the NUL that follows it. */
static uint64_t hash_text(uint64_t h, struct grpo_reward_text text)
{
    for (size_t i = 0; i <= text.length; i++)
        h = (h ^ (unsigned char)text.data[i]) * 0x100000001b3;
    return h;
}

/* The last step of SplitMix64: every bit of its result depends on every bit of h. */
static uint64_t mix(uint64_t h)
{
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9;
    h = (h ^ (h >> 27)) * 0x94d049bb133111eb;
    return h ^ (h >> 31);
}

static int evaluate(void *state, const struct grpo_reward_input *in, struct grpo_reward_output *out)
{
    const uint64_t *seed = state;
    uint64_t h = mix(*seed + 0x9e3779b97f4a7c15);
    h = mix(hash_text(hash_text(h, in->prompt), in->completion));
    out->components[0] = (double)(h >> 11) * 0x1p-53;
    return GRPO_REWARD_OK;
}

const struct grpo_reward_library *grpo_reward_library(void)
{
    static const struct grpo_reward_library library = {
        .abi = GRPO_REWARD_ABI,
        .flags = GRPO_REWARD_THREAD_SAFE | GRPO_REWARD_DETERMINISTIC,
        .n_components = 1,
        .component_names = {"luck"},
        .component_weights = {1},
        .create = create,
        .evaluate = evaluate,
        .destroy = free,
    };
    return &library;
}
