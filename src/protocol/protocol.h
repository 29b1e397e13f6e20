/* protocol.h: `grpo run`: the whole experiment as a table of stages. Shared ones (env … dataset,
 * report) run once under DIR, the others (smoke … save) once a seed under DIR/seed-N, which is that
 * seed's run folder (train/trainer.h). Each writes gates/STAGE.json (gate_record.h) and is skipped
 * when that file let it pass and nothing it depends on has changed. A stage that says no stops what
 * comes after it. docs/PROTOCOL.md tells what each one checks. */
#ifndef PROTOCOL_PROTOCOL_H
#define PROTOCOL_PROTOCOL_H
#include <stdbool.h>
#include "backend/backend.h"
#include "base/str.h"
#include "protocol/gate_record.h"

enum stage {
    STAGE_ENV,
    STAGE_CONFIG,
    STAGE_MODEL,
    STAGE_TOKENS,
    STAGE_KV,
    STAGE_REWARDS,
    STAGE_AUDIT,
    STAGE_EVALSET,
    STAGE_DATASET,
    STAGE_SMOKE,
    STAGE_PROBE,
    STAGE_TRAIN,
    STAGE_VALIDATE,
    STAGE_SAVE,
    STAGE_REPORT,
    N_STAGES
};
const char *stage_name(enum stage stage);
/* Their names, then "all" and NULL: what --force takes. */
extern const char *const stage_names[N_STAGES + 2];
const char *stage_purpose(enum stage stage);
bool stage_of_seed(enum stage stage); /* once a seed */
/* -1 and ERR_USAGE, naming the nearest, when there is none of that name. */
int stage_by_name(const char *name, const char *where, struct err *err);

/* What is told of a stage, once it is over. */
struct stage_line {
    const char *stage, *verdict; /* "skipped" for one that is unchanged, too */
    const char *text;
    bool unchanged;
    bool has_seed;
    int seed;
    double seconds;
};

enum { PROTOCOL_MAX_SEEDS = 64 };

/* Writes the report of these run folders (one a seed) into the folder `out`. user: the spec's. */
typedef int protocol_report(void *user, const char *const *runs, int n, const char *out,
                            struct err *err);

struct protocol_spec {
    const char *recipe, *dir;
    const char *const *sets; /* overrides of the recipe */
    size_t n_sets;
    struct device_options device; /* precision: the recipe's */
    const int *seeds;             /* NULL: the recipe's */
    int n_seeds;
    int jobs;
    int from, to; /* enum stage */
    int force;    /* a stage that runs even if nothing changed; N_STAGES: each; -1: none */
    bool skip_audit;
    const char *smoke_replay; /* completions and rewards of the smoke stage, or NULL */
    const char *const *allow; /* differences that a resumed training may pass over */
    size_t n_allow;
    const char *const *words; /* of a `grpo run` that does a seed: all but --seeds, --from, --to and
                                 --threads */
    size_t n_words;
    bool quiet;
    protocol_report *report; /* NULL: not built */
    void (*say)(void *user, const struct stage_line *line);
    void *user;
};

struct protocol_result {
    int ran, unchanged; /* stages; those in processes of their own are counted as one */
};

/* ERR_GATE, ERR_USAGE, …: as the stage that stopped it. ERR_INTERRUPTED: the same command goes on.
 * A seed that failed does not keep the others from going on. */
int protocol_run(const struct protocol_spec *spec, struct protocol_result *result, struct err *err);

/* The text of a Slurm script that runs each seed as a task of an array and then the report. */
int protocol_slurm(struct str *out, const struct protocol_spec *spec, const char *program,
                   struct err *err);

#endif
