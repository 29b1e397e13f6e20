/* A reward as a shared object: is the text polite, and does it not shout?
 *
 *     cc -O2 -shared -fPIC -o reward.so reward.c        (grpo_reward.h is installed with grpo)
 *
 * In a recipe:
 *
 *     rewards:
 *       - {library: ./reward.so, name: polite, params: {word: "por favor"}}
 *
 * It runs inside grpo, so it is as fast as a reward can be, and may crash the run: write what you
 * do not trust as a `command` instead. */
#define _GNU_SOURCE /* memmem */
#include <grpo_reward.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLITE, CALM };

struct state {
    char word[64];
};

/* params is JSON. Take a parser for anything larger than this. */
static int create(void **out, const char *params, char *error, size_t error_size)
{
    struct state *s = calloc(1, sizeof *s);
    const char *found = strstr(params, "\"word\":\"");
    if (!s) {
        snprintf(error, error_size, "memory is out");
        return 1;
    }
    if (found) {
        found += strlen("\"word\":\"");
        size_t n = strcspn(found, "\"");
        if (n == 0 || n >= sizeof s->word) {
            snprintf(error, error_size, "word has %zu bytes, expected 1 to %zu", n,
                     sizeof s->word - 1);
            free(s);
            return 1;
        }
        memcpy(s->word, found, n);
    } else {
        strcpy(s->word, "or favor");
    }
    *out = s;
    return 0;
}

/* Thread-safe: it only reads the state. */
static int evaluate(void *state, const struct grpo_reward_input *in, struct grpo_reward_output *out)
{
    const struct state *s = state;
    size_t letters = 0, capitals = 0;
    for (size_t i = 0; i < in->completion.length; i++) {
        unsigned char c = (unsigned char)in->completion.data[i];
        letters += isalpha(c) != 0;
        capitals += isupper(c) != 0;
    }
    out->components[POLITE] =
        memmem(in->completion.data, in->completion.length, s->word, strlen(s->word)) != NULL;
    if (letters) /* else it stays absent */
        out->components[CALM] = 1 - (double)capitals / (double)letters;
    return GRPO_REWARD_OK; /* the score: Σ weight · component */
}

const struct grpo_reward_library *grpo_reward_library(void)
{
    static const struct grpo_reward_library library = {
        .abi = GRPO_REWARD_ABI,
        .flags = GRPO_REWARD_THREAD_SAFE | GRPO_REWARD_DETERMINISTIC,
        .n_components = 2,
        .component_names = {[POLITE] = "polite", [CALM] = "calm"},
        .component_weights = {[POLITE] = 0.6, [CALM] = 0.4},
        .create = create,
        .evaluate = evaluate,
        .destroy = free,
    };
    return &library;
}
