/* setup.h: what a recipe names, opened, checked against each other and planned: the way from a
 * recipe to the first step. `grpo train` goes it and then trains; `grpo doctor` goes it and tells
 * what it found. One way, so that what the doctor says is what the trainer does. */
#ifndef TRAIN_SETUP_H
#define TRAIN_SETUP_H
#include "train/grpo.h"
#include "train/plan.h"
#include "train/stop_rules.h"

struct setup_spec {
    const struct train_options *o;
    const recipe *recipe;
    struct device *device;
    const struct tensor_set *weights; /* instead of those in the model's folder; NULL: those */
    const char *replay;               /* samples to take instead of sampling, or NULL */
    bool evaluates;                   /* eval_data is opened */
    bool keep_gates; /* a check that says no is kept in setup.gate instead of ending the way */
};

struct setup {
    struct setup_spec spec;
    const struct train_options *o; /* spec.o */
    struct hf_config config;
    struct peft_config lora, reference_lora; /* the latter with ref_adapter only */
    struct text_codec codec;
    struct stop_strings stops;
    struct reward_set rewards;
    struct dataset data, eval_data;
    struct replay replay;
    bool has_rewards, has_data, has_eval, has_replay;
    char ignored[512];    /* of generation_config.json; "" when nothing is */
    struct err gate;      /* with keep_gates: the first check that said no; code 0: none */
    struct dealer dealer; /* made with the plan */
    struct task_sampler sampler;
    struct stop_rules rules;
    struct plan plan;
    int longest_prompt; /* tokens, over all that is sampled from */
    int max_context;
    adapter *reference; /* of the KL, made with the engine; NULL: the bare base */
};

/* Model configuration, tokenizer, template, data, rewards. On an error setup_close still releases
 * what was opened. */
int setup_open(struct setup *s, const struct setup_spec *spec, struct err *err);
/* Its parts, for who stops in between (`grpo run`): model configuration, tokenizer and template;
 * rows; rewards; and what these say about each other. The middle two in either order. */
void setup_begin(struct setup *s, const struct setup_spec *spec);
int setup_open_model(struct setup *s, struct err *err);
int setup_open_data(struct setup *s, struct err *err);
int setup_open_rewards(struct setup *s, struct err *err);
int setup_check(struct setup *s, struct err *err);
/* The plan and the dealer. ERR_USAGE when prompt and completion exceed the model's context,
 * ERR_INPUT naming a row whose prompt is too long, ERR_MACHINE when it does not fit. */
int setup_plan(struct setup *s, struct err *err);
/* Lines for people: the plan, and how often each task's rows come round. */
void setup_print_plan(struct str *out, struct setup *s);
/* What the plan does not do, or does besides: lines behind those. The doctor has warnings for it.
 */
void setup_print_remarks(struct str *out, const struct setup *s);
/* Groups dealt in the whole run; 0 without data. */
uint64_t setup_groups(const struct setup *s);
/* The model and everything a step works on, into a zeroed *g, as planned. The dealer goes to g. `s`
 * must outlive it; setup_close_engine also after an error. */
int setup_engine(struct grpo *g, struct setup *s, struct err *err);
void setup_close_engine(struct grpo *g, struct setup *s);
void setup_close(struct setup *s);

#endif
