/* counts.h: what the parts of a GRPO step have to do at the least: multiply-adds of matrix products
 * (two operations each) and bytes that must come from memory. Divided by what the machine can do
 * they are the floor that `grpo bench` holds the measured times against.
 *
 * Every formula of the floor stands here and in counts.c, and nowhere else. Names:
 *   L layers, H hidden, I inner, V vocabulary, h query heads, g key-value heads, D head size,
 *   r the adapter's rank; projection p is a matrix (N_p, K_p)
 *   P   tokens of a prompt; its prefix is the first P − 1 of them (model.h)
 *   T   tokens of a completion; its row t (0-based) sees the P − 1 + t + 1 keys up to its own
 *
 * Counted: products with frozen weights, with the adapter, of attention, with the LM head; reading
 * weights, adapter, and keys and values. Not counted: norms, rotation, softmax, sampling, the
 * embedding's rows, writing and reading of activations, writing of keys and values. So a floor is
 * too low rather than too high. A product that the method needs twice (the logits, and attention's
 * scores, again in the backward pass, because keeping them would cost more) is counted twice. */
#ifndef BENCH_COUNTS_H
#define BENCH_COUNTS_H
#include <stdbool.h>
#include "backend/backend.h"
#include "formats/hf_config.h"
#include "formats/peft.h"

struct work {
    double operations, bytes;
};

struct count_model {
    const struct hf_config *c;
    const struct peft_config *lora; /* NULL: no adapter */
    double element_bytes;           /* of a prepared weight, of a key or value: 2 in bf16, 4 */
};

/* Completions of equal length, as the bench decodes them. */
struct count_batch {
    int groups;    /* prompts */
    int prompt;    /* P, of each */
    int per_group; /* completions of each prompt, which is computed and read once for all of them */
    int length;    /* T, of each */
};

struct count_model count_model(const struct hf_config *c, const struct peft_config *lora,
                               enum precision precision);

double count_adapter_floats(const struct count_model *m);
/* Bytes of all matrices of a pass that decodes: layers, LM head, adapter. */
double count_pass_bytes(const struct count_model *m);
/* Bytes of the keys and values of one token. */
double count_kv_bytes(const struct count_model *m);

/* Keys and values of every group's prefix. */
struct work count_prefill(const struct count_model *m, const struct count_batch *b);
/* Decoding passes first … end − 1, one token of every sequence each; pass t draws token t. */
struct work count_decode(const struct count_model *m, const struct count_batch *b, int first,
                         int end);
/* Log-probabilities of given completions, their prompts included. */
struct work count_score(const struct count_model *m, const struct count_batch *b);
/* Forward and backward pass of the completions and of their prompts. */
struct work count_gradient(const struct count_model *m, const struct count_batch *b);
/* Norm, clip, AdamW, and the adapter prepared again. */
struct work count_optimizer(const struct count_model *m);
/* Adapter and moments, read and written once. What the disk takes is not counted. */
struct work count_checkpoint(const struct count_model *m);

/* What the machine can do, a second. */
struct count_rates {
    double matrix; /* operations, in the precision at hand */
    double read;   /* bytes */
};
/* The larger of operations ÷ rate and bytes ÷ rate: the two may overlap entirely. */
double count_floor(const struct work *w, const struct count_rates *r);
bool count_memory_bound(const struct work *w, const struct count_rates *r);

#endif
