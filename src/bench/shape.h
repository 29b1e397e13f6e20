/* shape.h: the standard shapes: models of random weights, for timing only, and a folder with all
 * that a run needs besides the weights, which are made in memory. */
#ifndef BENCH_SHAPE_H
#define BENCH_SHAPE_H
#include "base/err.h"
#include "formats/hf_config.h"
#include "formats/safetensors.h"

struct bench_sizes {
    int prompt;      /* tokens of a prompt */
    int completion;  /* tokens of a completion in scoring and in the step */
    int generations; /* completions of a prompt in the step */
    int decoded;     /* tokens of each sequence in the decode phases */
};

struct bench_shape {
    const char *name;
    struct hf_config config;
    struct bench_sizes usual, quick;
};

extern const struct bench_shape bench_shapes[];
extern const int bench_n_shapes;

/* Writes config.json and tokenizer.json into an existing folder. The tokenizer is a byte-level BPE
 * of the vocabulary's size whose tokens are all the short words over a to z. */
int bench_shape_folder(const struct bench_shape *s, const char *folder, struct err *err);
/* Random tensors of the shape. All matrices show parts of one block. */
struct bench_weights {
    struct tensor_set set;
    uint16_t *random, *ones;
};
int bench_weights_create(struct bench_weights *w, const struct hf_config *c, struct err *err);
void bench_weights_free(struct bench_weights *w);
/* rows.jsonl in the folder: `rows` prompts of so many random ids. */
int bench_rows(const char *folder, int rows, int prompt, int vocab_size, struct err *err);

#endif
