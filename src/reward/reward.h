/* reward.h: what a completion is worth. A reward is a row of a table: (prompt, completion,
 * reference fields of the row) to named components and a weighted total. Pure: text in, numbers
 * out; no model, no tokens, no clock.
 *
 * Two failures are kept apart. A fault of the completion (nothing to parse, wrong
 * answer) is judged and scores what it deserves, usually 0. A fault of the machinery is `failed`:
 * counted, excluded from baselines and denominators, never 0. `not_applicable` is excluded too. */
#ifndef REWARD_REWARD_H
#define REWARD_REWARD_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/str.h"

enum reward_status { REWARD_OK, REWARD_FAILED, REWARD_NOT_APPLICABLE };
const char *reward_status_name(enum reward_status status); /* "ok", "failed", "not_applicable" */

enum { REWARD_MAX_COMPONENTS = 16 };

/* What a reward wants beyond the completion; where it is not there, it does not apply. */
enum reward_need {
    REWARD_NEEDS_PROMPT = 1,
    REWARD_NEEDS_REFERENCE = 2, /* the row's object "reference" */
    REWARD_NEEDS_GROUP = 4,     /* looks at the group's other completions where there are any, and
                                   so is asked when all of them are there */
    REWARD_NEEDS_PROCESS = 8    /* waits for a process of its own: worth asking early, while other
                                   completions are still being sampled, and from several threads */
};

struct reward_input {
    const char *prompt; /* the user messages' text, joined by newlines */
    size_t prompt_length;
    const char *completion; /* as generated, special tokens left out */
    size_t completion_length;
    const json_t *row;         /* the whole dataset row (reference under "reference"), or NULL */
    const struct slice *group; /* the completions of one prompt, this one at [sample]; */
    int n_group, sample;       /* n_group 0: nothing is known of others */
};

struct reward_result {
    enum reward_status status;
    double score; /* valid when status is REWARD_OK */
    int n_components;
    double components[REWARD_MAX_COMPONENTS]; /* in the order of the definition; NaN: absent */
    char reason[256];                         /* why it failed or does not apply */
};

typedef struct reward reward; /* a reward with its parameters: what a recipe's list names */

struct reward_component {
    const char *name;
    double weight; /* of the total; 0: shadow metric */
};

typedef int reward_file_visit(void *user, const char *path, struct err *err);

/* How a reward is to be asked, where its parameters decide that. */
struct reward_manner {
    unsigned needs;   /* bits of enum reward_need */
    int side_by_side; /* evaluations that run at once: more would wait for each other */
    bool repeatable;  /* the same input always gives the same result */
};

struct reward_definition {
    const char *name; /* "sql_qa_v2" */
    int version;
    const char *summary;
    unsigned needs; /* bits of enum reward_need */
    /* Where the parameters say it; its needs are beside those above. NULL: needs, 1, true. */
    struct reward_manner (*manner)(const void *state);
    int n_components;
    struct reward_component components[REWARD_MAX_COMPONENTS];
    /* Where the parameters say what the components are (then n_components above is 0). */
    const struct reward_component *(*list)(const void *state, int *n);
    /* params: an object of the recipe's `params` for this reward, or NULL. */
    int (*configure)(void **state, const json_t *params, struct err *err); /* may be NULL */
    void (*release)(void *state);
    /* Visits every file that scores of this row depend on (of the parameters, where row is NULL): a
     * resumed run is refused when one has changed. May be NULL: there are none. */
    int (*files)(const void *state, const json_t *row, reward_file_visit *visit, void *user,
                 struct err *err);
    void (*evaluate)(const void *state, const struct reward_input *in, struct reward_result *out,
                     struct str *explain_json /* NULL unless asked; a JSON object */);
    const char *params; /* for people: the parameters and what they mean; NULL: there are none */
};

const struct reward_definition *reward_find(const char *name); /* NULL when unknown */
const struct reward_definition *reward_at(int index);          /* the table, NULL at its end */

int reward_create(reward **out, const char *name, const json_t *params, struct err *err);
void reward_free(reward *r);
const struct reward_definition *reward_definition(const reward *r);
/* The components with their weights, in the order of results; *n of them. The reward's own. */
const struct reward_component *reward_components(const reward *r, int *n);
struct reward_manner reward_manner(const reward *r);
int reward_files(const reward *r, const json_t *row, reward_file_visit *visit, void *user,
                 struct err *err);
/* Thread-safe. The total is Σ weight·component over present components when `evaluate` leaves the
 * score as NaN, else what it set. A non-finite result is REWARD_FAILED. */
void reward_evaluate(const reward *r, const struct reward_input *in, struct reward_result *out,
                     struct str *explain_json);

/* Every <think>…</think> block removed (ASCII case-insensitive, nested whole), an
 * unclosed <think> removes all to the end, a stray closing tag is removed. One pass. */
void strip_think(struct str *out, const char *text, size_t length);

#endif
