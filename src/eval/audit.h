/* audit.h: is the reward what a person means? A few completions of training rows, sampled almost
 * greedily, are scored 0–10 by a person and by the recipe's rewards; Spearman's ρ between the two
 * must be above a bound before anything is trained on these rewards.
 *
 * A folder FOLDER/audit holds: completions.jsonl and scores.csv (audit_files.h), audit.json (the
 * verdict and all it depends on), scatter.svg. Automatic scores are in no file before the verdict
 * is: who scores must not know them. They are computed anew each time, so a repaired reward is
 * audited again on the same completions and human scores.
 *
 * This half is pure but for audit_check, which reads audit.json: who is asked, what is worth what,
 * and the verdict. */
#ifndef EVAL_AUDIT_H
#define EVAL_AUDIT_H
#include <jansson.h>
#include "base/mem.h"
#include "episode/episode.h"
#include "stats/rank.h"

enum { AUDIT_PER_TASK = 5, AUDIT_TASK_MIN = 4 /* rows for a task's own ρ */ };
#define AUDIT_TEMPERATURE 0.1

/* --- which rows --- */

struct audit_selection {
    const struct row **rows; /* the tasks one after another, in order of first appearance */
    size_t n;
    size_t short_tasks; /* tasks with fewer than per_task rows that may be asked */
    void *storage;
};
/* per_task rows of each task, drawn by (seed, task), no prompt twice, none whose prompt is also in
 * one of the held-out sets (row_fingerprint). ERR_INPUT when nothing is left. */
int audit_select(struct audit_selection *out, const struct dataset *train,
                 const struct dataset *const *held_out, int n_held_out, int per_task, uint64_t seed,
                 struct err *err);
void audit_selection_free(struct audit_selection *s);

/* --- what an audit is of --- */

struct audit_settings {
    int per_task, max_completion_length;
    uint64_t seed;
    const char *const *stop_strings;
    size_t n_stop_strings;
};
/* What must be the same for an audit to count. */
struct audit_identity {
    char model_sha256[72];      /* base model and the adapter that training starts from */
    char prompts_sha256[72];    /* of the selection: rows, their prompts' ids, the settings */
    struct str reward_versions; /* JSON: names and versions, the recipe's list, the files' hash */
    int per_task;               /* completions of each task that were asked for */
};
/* How many completions a task the audit in FOLDER asked for; AUDIT_PER_TASK where there is none, or
 * it asked for fewer: a larger audit counts as one that was asked for as large. */
int audit_asked_per_task(const char *folder);
struct audit_subject {
    const struct text_codec *codec;
    const struct reward_set *rewards;
    const json_t *recipe_rewards;     /* the recipe's `rewards` as JSON: parameters and weights */
    const char *model, *init_adapter; /* hashes (train/identity.h); "" or NULL: none */
    const char *reward_files;         /* likewise */
    struct audit_settings settings;
};
int audit_identify(struct audit_identity *out, const struct audit_subject *subject,
                   const struct audit_selection *selection, struct err *err);
void audit_identity_free(struct audit_identity *id);

/* --- scores --- */

enum audit_mark { AUDIT_OPEN, AUDIT_SCORED, AUDIT_SKIPPED };

struct audit_item {
    const char *id, *task, *prompt, *reference; /* reference: as JSON, "" where there is none */
    const char *completion;
    size_t completion_length;
    const char *stop_reason;
    enum audit_mark mark;
    double human;     /* 0–10, when scored */
    double automatic; /* NaN: the rewards gave none */
};
struct audit {
    struct audit_item *items;
    size_t n;
    struct arena arena; /* of the texts */
};
void audit_free(struct audit *a);
size_t audit_count(const struct audit *a, enum audit_mark mark);
/* "7", "7.5" or, as half of the world writes it, "7,5"; within 0 and 10. */
bool audit_parse_score(double *out, const char *text, size_t length);

/* --- verdict --- */

struct audit_gate {
    double min_rho;
    bool on_lower_bound; /* the interval's lower end instead of ρ itself */
};
enum audit_verdict {
    AUDIT_PASS,
    AUDIT_FAIL,
    AUDIT_UNDEFINED, /* ρ is not a number: one side gave the same score to all */
    AUDIT_TOO_FEW    /* more than half were not scored by both */
};
extern const char *const audit_verdict_names[]; /* "pass", "fail", "undefined", "too_few" */

struct audit_task {
    const char *name;
    size_t n;                            /* pairs */
    struct rank_correlation correlation; /* NaN for n < AUDIT_TASK_MIN */
};
struct audit_result {
    struct rank_correlation correlation;
    size_t n, rows;           /* pairs; completions */
    size_t skipped, unscored; /* by the person; by the rewards */
    struct audit_task *tasks;
    size_t n_tasks;
    struct audit_gate gate;
    enum audit_verdict verdict;
    bool simulated;
};
/* Automatic scores are rounded to nine decimals first: sums of the same parts are ties. */
int audit_judge(struct audit_result *out, const struct audit *a, const struct audit_gate *gate,
                bool simulated, struct err *err);
void audit_result_free(struct audit_result *r);
enum audit_verdict audit_verdict_of(const struct rank_correlation *c, size_t n, size_t rows,
                                    const struct audit_gate *gate);
/* What ρ̂ would be worth with n pairs: Fisher's 95% interval. */
struct interval audit_worth(double rho, size_t n);

/* For people; the first line says it when the scores are simulated. */
void audit_say(struct str *out, const struct audit_result *r);
/* The object of audit.json. */
void audit_json(struct str *out, const struct audit *a, const struct audit_result *r,
                const struct audit_identity *id, const char *completions_sha256);

/* --- does an audit that was done still count? --- */

enum audit_found {
    AUDIT_ABSENT, /* no audit.json */
    AUDIT_STALE,  /* of other rewards, another model or other prompts */
    AUDIT_CURRENT /* see passed */
};
struct audit_state {
    enum audit_found found;
    bool passed; /* current, and the gate as given says yes */
    bool simulated;
    struct rank_correlation correlation;
    size_t n;
    enum audit_verdict verdict; /* under the gate as given */
    char why[400];              /* a sentence: what is stale and what to do, or the verdict */
};
/* Reads FOLDER/audit. `now` is the identity that audit_identify gives today. The verdict is taken
 * anew from ρ and its interval under `gate`. ERR_INPUT: audit.json is no audit's. */
int audit_check(const char *folder, const struct audit_identity *now, const struct audit_gate *gate,
                struct audit_state *out, struct err *err);

#endif
