/* plan.h: what a run will take, before anything is allocated: memory by part, the micro-batch and
 * the number of sequences that decode together, steps and epochs. The figures come from the same
 * functions that allocate, so plan and use cannot disagree. */
#ifndef TRAIN_PLAN_H
#define TRAIN_PLAN_H
#include "train/gradient.h"
#include "train/options.h"

enum { PLAN_PARTS = 10 };

struct plan_part {
    const char *name;
    size_t bytes;
};

struct plan {
    struct plan_part parts[PLAN_PARTS];
    int n_parts;
    size_t total, budget; /* bytes; total: of the parts, the peak of a step */
    int max_sequences;    /* completions that decode side by side */
    int prompt_room;      /* prompt tokens the rollout's cache holds: of all groups side by side */
    struct gradient_size gradient;
    int max_steps, warmup_steps;
    double epochs; /* passes over the data; NaN without data */
    size_t checkpoint_bytes;
};

struct plan_input {
    const struct device *d;
    const struct hf_config *config;
    const struct peft_config *lora;
    const struct peft_config *reference; /* of ref_adapter, or NULL */
    const struct peft_config *largest;   /* that of larger rank */
    const struct train_options *o;
    int groups, per_group;  /* of a generation */
    int max_prompt_tokens;  /* over all rows that are sampled from */
    int max_trained_prompt; /* over those that are trained on */
    bool evaluates;         /* with one completion a prompt many prompts decode side by side */
    int max_context;
    size_t rows; /* of the data, 0: none */
    int max_steps;
    size_t program_bytes; /* of the process before the engine is made; see plan_resident_bytes */
};

/* Bytes a plan may use where the recipe says nothing: 0.9 of what this machine (or its control
 * group) has. */
size_t plan_default_budget(void);
/* Resident bytes of this process now: program, libraries, tokenizer, data; 0 where the system does
 * not say. */
size_t plan_resident_bytes(void);
/* Chooses micro-batch and number of sequences within the budget. Without memory_gib in the recipe
 * they are the largest that still help speed; a budget that is given is used, up to a whole group
 * in one pass. ERR_MACHINE, with the parts, when not even the smallest fits. */
int plan_make(struct plan *out, const struct plan_input *in, struct err *err);
/* What a run writes, in bytes; where completions decide, with each at its longest. */
struct plan_disk {
    int checkpoints;                         /* that are kept */
    size_t checkpoint;                       /* bytes of one */
    size_t kept, best, samples, logs, total; /* total: with the checkpoint being written */
};
/* evaluations: how many; eval_rows: completions of one. prompt_tokens: of a usual prompt. */
void plan_disk(struct plan_disk *out, const struct plan *p, const struct train_options *o,
               int evaluations, size_t eval_rows, int prompt_tokens);
/* Whether the ratio of new to old policy is 1 by construction, so that clipping does nothing. */
bool plan_on_policy(const struct train_options *o);
/* Lines for people. */
void plan_print(struct str *out, const struct plan *p, const struct train_options *o);

#endif
