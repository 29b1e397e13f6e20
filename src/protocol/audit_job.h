/* audit_job.h: the reward audit of a recipe from its rows to its verdict, for `grpo audit` and the
 * audit stage of `grpo run`. The pieces are eval/audit.h's; how a person is asked is the caller's.
 *
 *   audit_job_open → (audit_check: does one already count?) → audit_job_completions →
 *   audit_job_score → scores into job.audit: audit_job_simulate, or audit_sheet_read, or a person →
 *   audit_job_finish
 *
 * Files, all below OUT/audit: completions.jsonl, scores.csv, made_from.json (what the completions
 * are of), then audit.json and scatter.svg; of simulated scores simulated.csv. */
#ifndef PROTOCOL_AUDIT_JOB_H
#define PROTOCOL_AUDIT_JOB_H
#include "eval/audit.h"
#include "eval/audit_files.h"
#include "train/setup.h"

struct audit_job_spec { /* borrowed */
    const struct train_options *o;
    const recipe *recipe;
    struct device *device;
    const char *out;
    int per_task; /* AUDIT_PER_TASK */
    bool restart; /* throw away the completions and human scores that are there */
};
struct audit_job {
    struct audit_job_spec spec;
    struct setup setup;
    struct dataset test;
    bool has_setup, has_test;
    struct audit_selection selection;
    struct audit_identity identity;
    struct audit_gate gate;
    struct audit audit;
    char completions_sha256[72];
};

/* What the recipe names is opened (not the weights), rows are drawn with its first seed from
 * `data`, and hashed. On an error audit_job_close still releases what was opened. */
int audit_job_open(struct audit_job *j, const struct audit_job_spec *spec, struct err *err);
void audit_job_close(struct audit_job *j);
/* job.audit: the completions that are there, with the marks of scores.csv, or new ones.
 * ERR_USAGE when those there are of another model or other prompts and someone has scored them. */
int audit_job_completions(struct audit_job *j, struct err *err);
/* Automatic scores, by the recipe's rewards. */
int audit_job_score(struct audit_job *j, struct err *err);
/* Human scores by data/synth_rater.h, which refuses rows of any other origin (ERR_USAGE). Written
 * to simulated.csv; scores.csv stays a person's. */
int audit_job_simulate(struct audit_job *j, struct err *err);
/* Writes job.audit's marks to scores.csv. */
int audit_job_save_scores(struct audit_job *j, struct err *err);
/* The verdict, written; audit_result_free. A gate that says no is no error here. *json (may be
 * NULL) is given the text of audit.json. */
int audit_job_finish(struct audit_job *j, bool simulated, struct audit_result *out,
                     struct str *json, struct err *err);

#endif
