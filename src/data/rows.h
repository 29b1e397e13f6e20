/* rows.h: datasets. A row is {"id", "task", "prompt": [{"role","content"}], "reference": {...}};
 * extra columns pass through to rewards. `prompt` may also be plain text (one user message). */
#ifndef DATA_ROWS_H
#define DATA_ROWS_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"
#include "tokenizer/chat.h"

struct row {
    const char *id;                      /* given, or "line-N" */
    uint64_t key;                        /* rng_id(id) */
    const char *task;                    /* "" when absent */
    const struct chat_message *messages; /* NULL when the row gives prompt_ids only */
    size_t n_messages;
    const char *user_text; /* user messages joined by '\n': what rewards see */
    json_t *json;          /* the whole row */
    long line;
};

struct dataset {
    struct row *rows;
    size_t count;
    char sha256[65]; /* of the file's bytes */
    char *path;
    void *storage;
};

/* Errors name file, line and id: not JSON, no prompt, empty dataset, duplicate id. */
int dataset_open(struct dataset *d, const char *path, struct err *err);
void dataset_close(struct dataset *d);
/* Appends the user messages joined by '\n': user_text with its NULs. */
void row_user_text(struct str *text, const struct row *row);
/* Gives a row a task (a copy of it), as the recipe's classifier does (classify.h). */
int dataset_set_task(struct dataset *d, size_t row, const char *task, struct err *err);
/* Task names in order of first appearance; returns their number. */
int dataset_tasks(const struct dataset *d, const char **names, int capacity);
/* Appends what two rows' prompts are compared by: the user text, normalised (NFKC, case folded,
 * white space as single spaces, invisible characters left out); where there is none, the prompt as
 * JSON. Rows with equal fingerprints never straddle two sets. */
int row_fingerprint(struct str *out, const struct row *row, struct err *err);
/* ERR_GATE naming the first row of `eval` whose fingerprint is also in `train`. */
int dataset_disjoint(const struct dataset *train, const struct dataset *eval, struct err *err);

#endif
