/* pretrain_step.h: one step of pretraining, and the held-out loss. Everything it works on is
 * opened, sized and owned by the trainer (pretrain.h).
 *
 * A step is sequences_per_step sequences of the dealer. Its loss is the mean of −log p over all the
 * predictions that count, whatever sequence they are in: the denominator is known before the first
 * pass, and each element of the gradient is one sum over the step's rows in order, so how the step
 * is cut into passes changes no bit. */
#ifndef TRAIN_PRETRAIN_STEP_H
#define TRAIN_PRETRAIN_STEP_H
#include "train/metrics.h"
#include "train/optim.h"
#include "train/pretrain_corpus.h"
#include "train/pretrain_options.h"

/* Host tables of a pass of up to max_rows rows, and what is computed of them. */
struct pretrain_pass {
    int max_rows, rows, n_spans;
    int next_kv_row;                          /* first free row of the cache */
    int *ids, *positions, *kv_rows, *targets; /* (max_rows) */
    struct attn_span *spans;                  /* (max_rows) */
    bool *counts;                             /* (max_rows) */
    float *logp, *dlogp;                      /* (max_rows) */
    void *storage;
};
int pretrain_pass_create(struct pretrain_pass *p, int max_rows, struct err *err);
void pretrain_pass_free(struct pretrain_pass *p);
size_t pretrain_pass_bytes(int max_rows);
int pretrain_kv_rows(int max_rows); /* of the cache, for such a pass */

struct pretrain_times { /* seconds of the last step */
    double gradient, update;
};

struct pretrain {
    const struct pretrain_options *o;
    int max_steps, warmup_steps;
    struct device *d;
    full_model *f;
    struct kv_cache kv;
    activations *acts;
    float *hidden, *grad; /* device: (max_rows, H); (parameters) */
    struct optimizer optimizer;
    struct corpus_dealer dealer;
    struct corpus_piece *pieces; /* of a step */
    struct pretrain_pass pass;
    bool (*stop)(void); /* polled between passes: ERR_INTERRUPTED; may be NULL */
    /* counter of the run, part of a checkpoint */
    long long num_tokens; /* rows trained on, prompts included */
    /* of the last step */
    long rows;
    struct metrics metrics;
    struct pretrain_times times;
};

struct pretrain_size {
    int max_context; /* positions */
    int max_rows;    /* of a pass; no piece may be longer */
};
/* The model (initial weights from o->init_model or the seed), the optimizer and the memory of
 * passes. p->dealer must be made before; options, steps and `stop` are the caller's to fill in.
 * pretrain_close frees all that, the dealer too. */
int pretrain_open(struct pretrain *p, struct device *d, const struct hf_config *config,
                  const struct pretrain_size *size, struct err *err);
void pretrain_close(struct pretrain *p);
/* Optimizer step `step` (1-based): deal, gradient, update. On error, parameters, optimizer and
 * counters are as before. A loss or gradient that is not finite is ERR_MACHINE. */
int pretrain_step(struct pretrain *p, int step, struct err *err);

/* Mean of −log p over the predictions that count of all documents of a corpus, one by one; those
 * with more than max_length rows in pieces of as many. */
int pretrain_eval_loss(struct pretrain *p, const struct corpus *c, double *loss, struct err *err);

#endif
