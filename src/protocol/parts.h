/* parts.h: what the files of this room share: the state of a run of the protocol, and the functions
 * that are its stages. */
#ifndef PROTOCOL_PARTS_H
#define PROTOCOL_PARTS_H
#include "base/log.h"
#include "protocol/doctor.h"
#include "protocol/protocol.h"

/* What a stage's result depends on, each as a hash (or a short text that stands for a state). */
enum input {
    INPUT_BUILD,      /* of this program */
    INPUT_DEVICE,     /* device, instruction set, precision */
    INPUT_RECIPE,     /* resolved, without what only the protocol reads */
    INPUT_SEED,       /* the one at hand */
    INPUT_WHOLE,      /* all of it */
    INPUT_MODEL,      /* folder; initial and reference adapters */
    INPUT_CHAT,       /* template and what it is given */
    INPUT_REWARDS,    /* their part of the recipe, their scripts and fixtures */
    INPUT_REFERENCES, /* files that rows' rewards read: databases */
    INPUT_DATA,
    INPUT_EVAL_DATA,
    INPUT_TEST_DATA,
    INPUT_COUNTS,  /* eval_counts, classifier */
    INPUT_AUDIT,   /* DIR/audit/audit.json and what it is of, or --skip-audit */
    INPUT_REPLAY,  /* of the smoke stage */
    INPUT_ADAPTER, /* the adapter that training ended with: best, or last */
    INPUT_SEEDS,
    INPUT_REPORT, /* whether there is a report */
    N_INPUTS
};

struct protocol {
    const struct protocol_spec *spec;
    struct doctor d; /* recipe, options, device, and what was opened of them (setup) */
    bool has_model, has_rows, has_checked, has_planned; /* of the setup: opened without error */
    const char *dir;
    struct str run; /* DIR/seed-N, of the seed at hand; empty: none */
    bool has_seed;
    int seeds[PROTOCOL_MAX_SEEDS], n_seeds;
    char input[N_INPUTS][72];  /* "" : not known yet */
    char digest[N_STAGES][72]; /* of the gates, for stages that need them; "": not known */
    int recipe_seed;           /* `seed` of the recipe */
    struct protocol_result result;
};

/* --- state.c --- */
int protocol_open(struct protocol *p, const struct protocol_spec *spec, struct err *err);
void protocol_close(struct protocol *p);
/* Goes over to a seed: its folder, its digests, its `seed` in the options. */
int protocol_take_seed(struct protocol *p, int seed, struct err *err);
/* The folder whose gates/ the stage's file is in. */
const char *protocol_folder(const struct protocol *p, enum stage stage);
/* What stages open when they first need it. */
int need_model(struct protocol *p, struct err *err); /* configuration, tokenizer, template */
int need_rewards(struct protocol *p, struct err *err);
int need_data(struct protocol *p, struct err *err); /* training and evaluation rows */
int need_plan(struct protocol *p, struct err *err); /* all of it, checked and planned */
/* Closes what is open; it opens again when needed. */
void protocol_let_go(struct protocol *p);

/* --- inputs.c --- */
const char *input_name(enum input input);
int input_hash(struct protocol *p, enum input input, const char **out, struct err *err);

/* --- the stages: each fills figures, text and verdict; an error is the verdict "fail" --- */
typedef int stage_run(struct protocol *p, struct gate_record *g, struct err *err);
stage_run stage_env, stage_config, stage_model, stage_tokens, stage_kv,
    stage_rewards;                                 /* checks.c */
stage_run stage_audit;                             /* audit_gate.c */
stage_run stage_evalset, stage_dataset;            /* rows.c */
stage_run stage_smoke, stage_probe;                /* trial.c */
stage_run stage_train, stage_validate, stage_save; /* run.c */
stage_run stage_report;                            /* run.c */

/* --- kv.c --- */
struct kv_check {
    int prompts, tokens; /* compared */
    int differ;          /* tokens whose log-probabilities have other bits */
    double largest;      /* difference */
};
/* Greedy completions decoded with the cache, against one pass over prompt and completion. */
int kv_compare(struct kv_check *out, const struct setup *s, struct err *err);

/* --- watch.c: one progress of seeds that train side by side, and their evaluations --- */
struct seed_state;
struct watch { /* borrows both */
    const struct protocol *p;
    struct seed_state *seeds;
    int n;
    long total, before; /* steps of all that are due, and those that were there */
    bool begun;
    double next; /* look, by the clock */
    struct progress progress;
};
void watch_begin(struct watch *w, const struct protocol *p, struct seed_state *seeds, int n);
void watch_look(struct watch *w); /* cheap when it has just looked */
void watch_end(struct watch *w);

/* --- seeds.c: seeds as processes --- */
struct seed_state {
    int seed;
    bool due; /* something of it has to run */
    long pid;
    int status;        /* its exit status; −1: not ended */
    int signal;        /* that ended it; 0: none */
    long shown, total; /* steps, for the watch */
};
/* Runs those that are due, `jobs` at a time, each as a `grpo run` of its own from the first to the
 * last stage asked for. ERR_INTERRUPTED after a signal, when all have ended. */
int seeds_run(struct protocol *p, struct seed_state *seeds, int n, struct err *err);

#endif
