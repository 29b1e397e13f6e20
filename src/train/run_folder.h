/* run_folder.h: what every kind of training does to its run folder besides logs (track.h) and
 * checkpoints (checkpoint.h): it is locked, cleaned of what a killed process left, described in
 * run.json; and files of a model are copied into it. */
#ifndef TRAIN_RUN_FOLDER_H
#define TRAIN_RUN_FOLDER_H
#include "backend/backend.h"
#include "episode/gate.h"
#include "model/model.h"
#include "recipe/option.h"
#include "train/identity.h"
#include "train/plan.h"
#include "train/stop_rules.h"

/* *lock: a file descriptor that holds RUN/.lock until it is closed; another process's: ERR_USAGE.
 */
int run_folder_lock(int *lock, const char *run, struct err *err);
/* ERR_USAGE when, without `resume`, a run is there by now: another process may have made one
 * between our look at the folder and the lock. */
int run_folder_unused(const char *run, bool resume, struct err *err);
/* ERR_USAGE when RUN holds anything and is not to be continued. */
int run_folder_check(const char *run, bool resume, struct err *err);
/* RUN/checkpoints and, with_eval, RUN/eval. */
int run_folder_make(const char *run, bool with_eval, struct err *err);
/* Removes from a folder what a process that was killed left half-written: file_write_atomic's
 * temporaries and folders named .NAME.new. Of checkpoints that is checkpoint_latest's business. */
int run_folder_clean(const char *folder, struct err *err);
/* Copies a file from one folder to another, where there is one. */
int run_folder_copy(const char *from_folder, const char *to_folder, const char *name,
                    struct err *err);

/* best_checkpoint/: the adapter with tokenizer and template of the model folder `from`, so that it
 * can be used as it is. The old one stays whole until the new one is. */
int run_folder_save_best(const char *run, adapter *a, const char *from, struct err *err);
/* The same as RUN/name. */
int run_folder_save_adapter(const char *run, const char *name, adapter *a, const char *from,
                            struct err *err);
/* Whether there is one: people delete it to save room. */
bool run_folder_has_best(const char *run);

struct run_about {
    const struct device *device;
    const recipe *recipe;
    const struct identity *identity;
    const struct str *allowed; /* what --allow let pass */
    int seed, max_steps;
    const struct plan_part *parts; /* of the plan, but for the first, the process's own memory */
    int n_parts;                   /* with that one */
    int micro_batch;
    const struct reward_gate *rewards; /* NULL: there are none */
    bool stopped_early;                /* by early_stopping_patience, after `step` */
    int step, not_better;
    const struct stop_rules *rules; /* NULL: there are none */
};
/* Writes RUN/run.json: what produced the run. A function of recipe, files, build and device: what
 * is measured (the memory of the process, which the plan adds to these parts) is in timing.jsonl.
 */
int run_folder_about(const char *run, const struct run_about *about, struct err *err);

#endif
