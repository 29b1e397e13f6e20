/* checkpoint.h: RUN/checkpoints/step-N/, the whole state of a run after N optimizer steps:
 *   adapter_model.safetensors, adapter_config.json   the adapter, PEFT's format; in pretraining
 *   model.safetensors                                all the parameters, f32
 *   optimizer.safetensors                            exp_avg.NAME, exp_avg_sq.NAME
 *   state.json                                       counters, best so far, log offsets, where the
 *                                                    decks and the tasks' weights stand, SHA-256 of
 *                                                    the files of tensors, identity
 * Draws are functions of counters, so no generator state exists. A folder is written under a
 * temporary name, synced and renamed: at every instant a step-N folder is whole or absent. */
#ifndef TRAIN_CHECKPOINT_H
#define TRAIN_CHECKPOINT_H
#include <stdbool.h>
#include <stdint.h>
#include "track/track.h"
#include "train/dealer.h"
#include "train/identity.h"
#include "train/metrics.h"
#include "train/optim.h"
#include "train/stop_rules.h"
#include "train/stopping.h"

enum { CHECKPOINT_VERSION = 1 };

/* Where the decks of prompts and the tasks' weights stand: saved, and loaded into. */
struct dealing {
    struct dealer *dealer;
    struct dealer_cursor *cursor;
    struct task_sampler *sampler;
    int groups,
        serves; /* of a generation; steps that it serves: for checkpoints without "dealer" */
};

struct train_state {
    int step;             /* optimizer steps done */
    long long num_tokens; /* prompt and completion tokens trained on, as TRL counts */
    long long rewards, reward_failures;
    struct track_offsets logs; /* length of each log */
    uint64_t generation_start; /* where the samples of the generation in force begin */
    int generation_step;       /* its first step */
    struct best_so_far best;
    struct str allowed; /* differences that --allow let pass, one line each */
    /* Metrics of the step, when a signal came while it was evaluated: the step is done and its
     * samples are logged, its evaluation and its line in metrics.jsonl are still to come. NULL:
     * nothing is missing. Borrowed. */
    const struct metrics *pending;
    struct dealing *dealing; /* NULL: nothing is dealt (replay, pretraining). Borrowed */
};

/* Saves and then removes all but the newest `keep` checkpoints (0: keeps all) and those that a stop
 * rule needs (rules may be NULL). */
int checkpoint_save(const char *run, const struct train_state *state, const struct identity *id,
                    const struct trainable *params, const struct optimizer *o, int keep,
                    const struct stop_rules *rules, struct err *err);
/* *step: newest with a checkpoint, −1: none. Leftovers of interrupted saves are removed. */
int checkpoint_latest(const char *run, int *step, struct err *err);

struct checkpoint_check {
    const struct identity *id;
    const char *const *allow; /* names of differences to pass over (identity.h) */
    size_t n_allow;
    struct metrics *pending; /* room for state->pending */
};
/* Loads RUN/checkpoints/step-N into parameters, optimizer and state after checking its identity. A
 * damaged checkpoint is ERR_INPUT naming the file and what to do, another identity ERR_USAGE. */
int checkpoint_load(const char *run, int step, struct train_state *state,
                    const struct checkpoint_check *check, const struct trainable *params,
                    struct optimizer *o, struct err *err);

#endif
