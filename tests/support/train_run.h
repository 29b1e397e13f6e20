/* train_run.h: runs of the trainer for tests: a recipe as text, `grpo train` in this process, and
 * comparison of what two runs left behind. */
#ifndef TESTS_TRAIN_RUN_H
#define TESTS_TRAIN_RUN_H
#include <jansson.h>
#include "support.h"
#include "base/str.h"
#include "train/trainer.h"

/* One text model, a few short completions: a step takes milliseconds. Reward "ends in a vowel" plus
 * a length, so that groups differ. Append lines; a later key may not repeat one of these. */
#define TRAIN_RECIPE_BARE                                                                          \
    "model: tests/demo/model\n"                                                                    \
    "rewards:\n"                                                                                   \
    "  - {name: regex, params: {pattern: \"[aeiou]$\"}}\n"                                         \
    "  - {name: length, weight: 0.5, params: {target: 20}}\n"                                      \
    "lora: {r: 4, lora_alpha: 8}\n"
#define TRAIN_RECIPE                                                                               \
    TRAIN_RECIPE_BARE "data: tests/demo/train.jsonl\n"                                             \
                      "num_generations: 4\n"                                                       \
                      "prompts_per_step: 2\n"                                                      \
                      "max_completion_length: 5\n"                                                 \
                      "learning_rate: 2e-3\n"                                                      \
                      "precision: f32\n"

struct train_run {
    const char *recipe; /* path */
    const char *run;    /* the run folder */
    const char *replay; /* or NULL */
    const char *isa;    /* NULL: the machine's best */
    int threads;        /* 0: 1 */
    bool resume;
    const char *set[12], *allow[8]; /* up to the first NULL */
    trainer_eval *evaluate;         /* NULL: train_evaluate */
};
/* As `grpo train` does; any outcome. result may be NULL. */
int train_run(const struct train_run *r, struct trainer_result *result, struct err *err);
/* The same where it must go well. */
struct trainer_result train_ok(const struct train_run *r);
/* The evaluation of `grpo train` without its file: the mean reward over eval_data and of its tasks.
 */
int train_evaluate(const struct trainer_eval_call *call, struct metrics *out, struct err *err);

/* FOLDER/NAME, from a ring of static buffers (eight calls live at a time). */
const char *in_folder(const char *folder, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
const char *write_text(const char *path, const char *text); /* returns path */
void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A file's bytes; fails the test when it is not there. str_free. */
struct str read_bytes(const char *path);
void same_bytes(const char *path_a, const char *path_b, const char *label);
/* Line `n` (0-based, negative: from the end) of a JSONL file; json_decref. */
json_t *json_line(const char *path, int n);
int count_lines(const char *path);
double metric_at(const char *run, int step, const char *name); /* of metrics.jsonl; NaN: null */

/* metrics.jsonl, samples.jsonl, and of checkpoint `step` adapter, optimizer and state (but for the
 * length of timing.jsonl, which holds clocks) are the same, byte for byte. */
void same_run(const char *run_a, const char *run_b, int step, const char *label);
void same_checkpoint(const char *run_a, const char *run_b, int step, const char *label);
/* Nothing that an interrupted write leaves lies below the folder. */
void no_leftovers(const char *run, const char *label);
int latest_checkpoint(const char *run); /* -1: none */

/* The outcome must be this code, and the error's place and message together must hold each of the
 * texts (up to NULL). */
void expect_error(int status, enum err_code code, const struct err *err, ...);

#endif
