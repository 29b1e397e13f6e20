/* rewards.h: inside the room: the functions that the table in reward.c points at, the order of each
 * reward's components, and what the rewards share. Nobody outside src/reward/ includes this
 * (tests of its parts do). */
#ifndef REWARD_REWARDS_H
#define REWARD_REWARDS_H
#include "base/json.h"
#include "reward/reward.h"

/* Components, in the order of the table. */
enum { SQL_STRUCTURE, SQL_QUERY_ANSWER, SQL_NUMBERS, SQL_DOMAIN, SQL_COMPONENTS };
enum {
    PUSH_LENGTH,
    PUSH_ONE_LINE,
    PUSH_PORTUGUESE,
    PUSH_SENTENCE,
    PUSH_ORIGINAL,
    PUSH_ON_TOPIC,
    PUSH_VARIED,
    PUSH_INFORMAL,
    PUSH_READER,
    PUSH_NO_PLACEHOLDER,
    PUSH_CLEAN,
    PUSH_GROUP_VARIETY,
    PUSH_FITS,
    PUSH_COMPONENTS
};
enum {
    EXTRACTION_STRICT,
    EXTRACTION_VALID,
    EXTRACTION_SCHEMA,
    EXTRACTION_FIELDS,
    EXTRACTION_CONSISTENCY,
    EXTRACTION_NO_EXTRA,
    EXTRACTION_COMPONENTS
};
enum {
    INSIGHTS_STRUCTURE,
    INSIGHTS_ACTIONS,
    INSIGHTS_LENGTH,
    INSIGHTS_DOMAIN,
    INSIGHTS_GROUNDING,
    INSIGHTS_REPETITION,
    INSIGHTS_COMPONENTS
};
enum {
    SQL_EXEC_PARSES,
    SQL_EXEC_RUNS,
    SQL_EXEC_SHAPE,
    SQL_EXEC_VALUES,
    SQL_EXEC_PROSE,
    SQL_EXEC_COMPONENTS
};
enum { EXACT_ANSWER_CORRECT, EXACT_ANSWER_MARKED, EXACT_ANSWER_COMPONENTS };
enum { SQL_VALID_FOUND, SQL_VALID_VALID, SQL_VALID_READS, SQL_VALID_COMPONENTS };

void sql_qa_v2_evaluate(const void *state, const struct reward_input *in, struct reward_result *out,
                        struct str *explain_json);
void push_evaluate(const void *state, const struct reward_input *in, struct reward_result *out,
                   struct str *explain_json);
int length_configure(void **state, const json_t *params, struct err *err);
void length_release(void *state);
void length_evaluate(const void *state, const struct reward_input *in, struct reward_result *out,
                     struct str *explain_json);
int regex_configure(void **state, const json_t *params, struct err *err);
void regex_release(void *state);
void regex_evaluate(const void *state, const struct reward_input *in, struct reward_result *out,
                    struct str *explain_json);

int extraction_configure(void **state, const json_t *params, struct err *err);
void extraction_release(void *state);
int extraction_files(const void *state, const json_t *row, reward_file_visit *visit, void *user,
                     struct err *err);
void extraction_evaluate(const void *state, const struct reward_input *in,
                         struct reward_result *out, struct str *explain_json);
void insights_evaluate(const void *state, const struct reward_input *in, struct reward_result *out,
                       struct str *explain_json);
int sql_exec_configure(void **state, const json_t *params, struct err *err);
void sql_exec_release(void *state);
struct reward_manner sql_exec_manner(const void *state);
int sql_exec_files(const void *state, const json_t *row, reward_file_visit *visit, void *user,
                   struct err *err);
void sql_exec_evaluate(const void *state, const struct reward_input *in, struct reward_result *out,
                       struct str *explain_json);
int sql_valid_configure(void **state, const json_t *params, struct err *err);
void sql_valid_release(void *state);
int sql_valid_files(const void *state, const json_t *row, reward_file_visit *visit, void *user,
                    struct err *err);
void sql_valid_evaluate(const void *state, const struct reward_input *in, struct reward_result *out,
                        struct str *explain_json);

int command_configure(void **state, const json_t *params, struct err *err);
void command_release(void *state);
const struct reward_component *command_list(const void *state, int *n);
struct reward_manner command_manner(const void *state);
int command_files(const void *state, const json_t *row, reward_file_visit *visit, void *user,
                  struct err *err);
void command_evaluate(const void *state, const struct reward_input *in, struct reward_result *out,
                      struct str *explain_json);
int library_configure(void **state, const json_t *params, struct err *err);
void library_release(void *state);
const struct reward_component *library_list(const void *state, int *n);
struct reward_manner library_manner(const void *state);
int library_files(const void *state, const json_t *row, reward_file_visit *visit, void *user,
                  struct err *err);
void library_evaluate(const void *state, const struct reward_input *in, struct reward_result *out,
                      struct str *explain_json);
int exact_answer_configure(void **state, const json_t *params, struct err *err);
void exact_answer_release(void *state);
void exact_answer_evaluate(const void *state, const struct reward_input *in,
                           struct reward_result *out, struct str *explain_json);
int repetition_configure(void **state, const json_t *params, struct err *err);
void repetition_release(void *state);
void repetition_evaluate(const void *state, const struct reward_input *in,
                         struct reward_result *out, struct str *explain_json);

/* ERR_USAGE when params is no object (NULL and null are fine) or has a key that is not in `known`;
 * the message names the key, the nearest known one and all of them. */
int reward_params_check(const json_t *params, const char *const *known, int n_known,
                        const char *reward_name, struct err *err);

/* Takes away what a cut has left of a character at the text's end. */
void reward_end_text(char *text);

/* A fault of the machinery: status, reason, and no numbers. */
void reward_set_failed(struct reward_result *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The row's object "reference", NULL where it has none (or null). false: it is something else,
 * nobody can be judged by it, and out says so. */
bool reward_reference(const json_t **reference, const struct reward_input *in,
                      struct reward_result *out);

/* What reward_evaluate does after `evaluate`: the total, and the checks on it. */
void reward_total(const char *name, const struct reward_component *list, int n,
                  struct reward_result *out);

/* The slice without white space (as Python's str.strip() has it) at its two ends. */
struct slice reward_trim(const char *text, size_t length);

/* Characters as a phone shows them: extended grapheme clusters (UAX #29). */
size_t reward_characters(const char *text, size_t length);

#endif
