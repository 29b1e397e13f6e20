/* bench.h: `grpo bench`: every part of a GRPO step timed against its floor, on a standard shape or
 * a user's model.
 *
 * Lines, in this order (docs/PERF.md tells how to read them):
 *   tokenizer             text to ids
 *   rewards               the shipped fixtures of the rewards that need no process
 *   prefill               one prompt to its first token
 *   decode-B              B sequences, one token of each a pass, after their prompts are there;
 *   decode-B-shared, -own   … of one prompt, of a prompt each
 *   score                 log-probabilities of given completions of one prompt
 *   rollout, gradient, optimizer, step   of grpo_step itself, with text and a reward
 *   checkpoint            saved, as the trainer does
 * Nothing ends a completion early, so the work of every line is known beforehand. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H
#include "bench/line.h"
#include "bench/machine.h"
#include "bench/shape.h"
#include "train/setup.h"

/* Which lines: all, or those of one kind. */
enum bench_part { BENCH_ALL, BENCH_TEXT, BENCH_ENGINE, BENCH_STEP };

struct bench_options {
    struct device *device;
    struct bench_sizes sizes; /* 0: the shape's own */
    int repeats;
    bool quick;
    enum bench_part part;
    double memory_gib;   /* of the step's plan; 0: as a recipe that does not say */
    const char *scratch; /* folder in which a temporary one is made */
};

struct bench {
    const struct bench_options *o;
    struct machine machine;
    struct bench_lines lines;
    /* of the shape at hand */
    const char *name;  /* as lines have it */
    const char *model; /* folder of config.json and tokenizer */
    char folder[4096]; /* the temporary one */
    struct bench_sizes sizes;
    struct bench_weights weights; /* none: those of the model's folder */
    recipe *recipe;
    struct train_options train;
    struct setup setup;
};

/* Names and measures the machine. */
int bench_begin(struct bench *b, const struct bench_options *o, struct err *err);
/* Adds the lines of a standard shape, or (shape NULL) of the model in a folder. The temporary
 * folder is removed, also after an error. ERR_INTERRUPTED after a signal. */
int bench_run(struct bench *b, const struct bench_shape *shape, const char *model_folder,
              struct err *err);

/* Measures the machine once more: the floors are made with the better of the two. */
int bench_end(struct bench *b, struct err *err);

/* Its parts: tokenizer and rewards; prefill to score; rollout to checkpoint. */
int bench_text_lines(struct bench *b, struct err *err);
int bench_engine_lines(struct bench *b, struct err *err);
int bench_step_lines(struct bench *b, struct err *err);

/* Does it once and says how long what counts took. */
typedef int bench_once(void *context, double *seconds, struct err *err);
/* A line from a warm-up and b->o->repeats times. */
int bench_repeat(struct bench *b, const char *name, bench_once *once, void *context,
                 const struct bench_work *w, struct err *err);
/* A line from seconds that are known. */
void bench_known(struct bench *b, const char *name, double *seconds, const struct bench_work *w);

#endif
