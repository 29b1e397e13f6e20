/* identity.h: everything that decides a run's numbers, as text and hashes: what a checkpoint must
 * agree with before it may be continued. */
#ifndef TRAIN_IDENTITY_H
#define TRAIN_IDENTITY_H
#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include "base/err.h"
#include "base/str.h"

/* Named parts besides the recipe; each a hash or a name, "" where it does not apply. The names are
 * what `--allow` takes. */
enum identity_part {
    IDENTITY_MODEL, /* config.json, weights, tokenizer, template */
    IDENTITY_DATA,
    IDENTITY_EVAL_DATA,
    IDENTITY_INIT_ADAPTER,
    IDENTITY_REF_ADAPTER,
    IDENTITY_REPLAY,
    IDENTITY_REWARD_FILES, /* what scores depend on besides the recipe: scripts, databases */
    IDENTITY_BUILD,        /* of this program */
    IDENTITY_ISA,          /* instruction set: sums are ordered by it */
    N_IDENTITY_PARTS
};
extern const char *const identity_names[N_IDENTITY_PARTS];

struct identity {
    char part[N_IDENTITY_PARTS][72];
    struct str recipe;  /* resolved, as JSON */
    struct str rewards; /* members of a JSON object for run.json: "rewards", "reward_file_hashes" */
};
void identity_free(struct identity *id);

/* SHA-256 over the files that make a model (or adapter) folder: names and contents, in a fixed
 * order. */
int identity_folder(char out[72], const char *folder, struct err *err);
/* The same in a thread of its own, for a gigabyte takes half a second: begun, and its end waited
 * for. What began must be ended; `folder` must stay until then. */
struct identity_work {
    const char *folder;
    pthread_t thread;
    bool has_thread;
    int status;
    struct err err;
    char hash[72];
};
void identity_folder_begin(struct identity_work *w, const char *folder);
int identity_folder_end(char out[72], struct identity_work *w, struct err *err);
/* The same of what pretraining starts from: config.json, the tokenizer's files in their folder, and
 * the folder of initial weights (or NULL). */
int identity_architecture(char out[72], const char *config, const char *tokenizer_folder,
                          const char *weights, struct err *err);
/* Makes the hash depend on a file outside the folder as well (a recipe's chat template). */
int identity_add_file(char hash[72], const char *path, struct err *err);
/* The rewards and the files that their scores of these rows depend on (reward_files; each hashed
 * once): the part "reward_files", "" where there are none, and id->rewards. A file that cannot be
 * read is ERR_INPUT naming it. */
struct reward_set;
struct dataset;
int identity_rewards(struct identity *id, const struct reward_set *set,
                     const struct dataset *const *data, int n_data, struct err *err);
/* SHA-256 of the running program. */
int identity_build(char out[72], struct err *err);

/* Writes the members of an open JSON object: "recipe" and each part. */
struct json_writer;
void identity_write(struct json_writer *w, const struct identity *id);
/* Compares with what identity_write wrote into `saved`. Differences not in allow[0 … n) (names of
 * parts or of recipe keys such as "max_steps" or "lora.r") are one ERR_USAGE that lists them all
 * with both values; allowed ones are appended to *noted, one line each. */
int identity_check(const struct identity *now, const json_t *saved, const char *const *allow,
                   size_t n_allow, const char *where, struct str *noted, struct err *err);

#endif
