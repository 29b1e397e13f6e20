/* samples.h: samples.jsonl, one completion a line, and reading it back: for `--replay`, and to
 * restore a generation that a checkpoint cut in two (num_iterations > 1).
 *
 * {"step","task","prompt_id","sample","prompt_ids","ids","text","logprobs","stop_reason","components",
 *  "reward","advantage","policy_version"[,"slice"]}; step: the optimizer step it was sampled for
 * (1-based); reward null: the machinery failed; slice, where a generation serves several steps:
 * which of them, from 0, trains it. Under truncated sampling "sampling_logprobs", of what was drawn
 * from, follow "logprobs". All values are deterministic. */
#ifndef TRAIN_SAMPLES_H
#define TRAIN_SAMPLES_H
#include "train/generation.h"

/* Appends completion i of a generation as one JSON object. Names of components come from `rewards`
 * (NULL under replay: none, but what gdpo took from the replayed file). */
void samples_write(struct str *out, const struct generation *gen, int i,
                   const struct reward_set *rewards);
/* One completion for people: step, task, row, reward, what it is made of, and the text, cut, with
 * control characters made visible. */
void samples_show(struct str *out, const struct generation *gen, int i,
                  const struct reward_set *rewards);

/* A file of samples, read whole. */
struct replay_line {
    long line, step;
    const char *prompt_id, *task;
    int *prompt_ids, n_prompt_ids; /* n 0: not given */
    int *ids, n_ids;
    float *logprobs; /* (n_ids), or NULL */
    double reward;   /* NaN: null */
    bool failed; /* … because the machinery did: not where "components" say that none applied */
    /* numbers of "components", for gdpo: name and value; those that are null or no number left out
     */
    struct replay_value {
        const char *name;
        double value;
    } * values;
    int n_values;
    bool stop_string; /* ended by one */
    int slice;        /* −1: not given */
};
struct replay {
    char *path;
    struct replay_line *lines; /* in file order */
    size_t count;
    struct row *rows; /* (count): rows made up for prompts that are not in the data */
    void *storage;
};
/* Reads from a byte offset on (0: all; where a line starts). Errors name file, line and field. */
int replay_open(struct replay *r, const char *path, uint64_t offset, struct err *err);
/* The same by hand, for who makes the lines: room for `lines` of them, count 0; and one of them
 * from its object, whose texts and lists go to *r. `where`: file and line, for messages. */
int replay_begin(struct replay *r, const char *path, size_t lines, struct err *err);
int replay_line_read(struct replay *r, struct replay_line *line, const json_t *object,
                     const char *where, struct err *err);
void replay_close(struct replay *r);
/* Sizes over the file: completions of the first group, most groups of a step, longest prompt, last
 * step. */
struct replay_size {
    int per_group, groups, prompt;
    long last_step;
};
void replay_measure(const struct replay *r, struct replay_size *size);

/* What there is room for. */
struct replay_limits {
    int vocab_size, max_prompt_tokens;
    uint64_t seed; /* deals the completions into slices where the lines do not */
};
/* Fills the generation with the lines of `step`: groups in file order, `per_group` lines of one
 * prompt each. Rows come from `data` (may be NULL) by id, and prompts without ids are encoded with
 * the episode's codec. Under gdpo every completion with a reward needs its "components". A step
 * without lines, an incomplete group, an id beyond the vocabulary, a prompt or completion that is
 * too long: ERR_INPUT naming the line. gen->slices (set by the caller) must divide the completions;
 * "slice" is on all lines of the step, each value equally often, or on none of them, and then the
 * seed decides as it does for sampled completions. */
int replay_load(const struct replay *r, long step, const struct episode *e,
                const struct dataset *data, const struct replay_limits *limits,
                struct generation *gen, struct err *err);

#endif
