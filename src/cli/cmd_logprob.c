/* cmd_logprob.c: log-probability and entropy of each token of given completions, by the forward
 * pass that sampling and training use. */
#include <math.h>
#include "base/check.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/session.h"

struct logprob_options {
    struct session_options session;
    double temperature;
};

struct scoring {
    const struct logprob_options *o;
    struct session s;
    rollout *rollout;
    int prompt_room, completion_room; /* what `rollout` was made for */
    struct ids prompt, completion;
    float *logprobs, *entropies; /* (completion_room) */
};

static int at_least(int room, size_t wanted)
{
    int grown = room ? room : 256;
    while ((size_t)grown < wanted)
        grown *= 2;
    return grown;
}

/* Caches grow with the longest line so far; results do not depend on their size. */
static int make_room(struct scoring *c, struct err *err)
{
    int prompt = at_least(c->prompt_room, c->prompt.count),
        completion = at_least(c->completion_room, c->completion.count);
    if (c->rollout && prompt == c->prompt_room && completion == c->completion_room)
        return ERR_NONE;
    rollout_free(c->rollout);
    c->rollout = NULL;
    mem_free(c->logprobs);
    mem_free(c->entropies);
    c->logprobs = mem_alloc((size_t)completion * sizeof *c->logprobs);
    c->entropies = mem_alloc((size_t)completion * sizeof *c->entropies);
    if (!c->logprobs || !c->entropies)
        return err_no_memory(err, "log-probabilities", (size_t)completion * sizeof(float));
    c->prompt_room = prompt;
    c->completion_room = completion;
    return rollout_create(&c->rollout, c->s.model, session_lora(&c->s), 1, prompt, completion, err);
}

static int read_completion(struct scoring *c, const json_t *line, struct err *err)
{
    const json_t *ids = json_object_get(line, "completion_ids"),
                 *text = json_object_get(line, "completion");
    if (ids)
        return ids_from_json(&c->completion, ids, "completion_ids",
                             model_config(c->s.model)->vocab_size, err);
    if (!json_is_string(text))
        return err_set(err, ERR_INPUT, "",
                       "\"completion\" is %s; expected text, or \"completion_ids\"",
                       json_type_name(text));
    const struct text_codec *codec;
    int status = session_text(&c->s, &codec, err);
    return status ? status
                  : tokenizer_encode(codec->tokenizer, &c->completion, json_string_value(text),
                                     json_string_length(text), false, err);
}

static int answer(void *context, struct lines *l, const json_t *line, struct err *err)
{
    struct scoring *c = context;
    c->prompt.count = c->completion.count = 0;
    int status = prompt_from_json(&c->s, &c->prompt, line, err);
    if (!status)
        status = read_completion(c, line, err);
    if (!status)
        status = prompt_fits(&c->s, &c->prompt, (int)c->completion.count, err);
    if (!status)
        status = make_room(c, err);
    if (status)
        return status;
    const int *ids = c->completion.data;
    int length = (int)c->completion.count;
    if (length) {
        struct score_request q = {.prompt_ids = c->prompt.data,
                                  .prompt_len = (int)c->prompt.count,
                                  .completion_ids = &ids,
                                  .completion_len = &length,
                                  .n = 1,
                                  .logprobs = &c->logprobs,
                                  .entropies = &c->entropies};
        status = rollout_score(c->rollout, c->s.adapter, c->o->temperature, &q, err);
        for (int i = 0; i < length && !status; i++)
            if (!isfinite(c->logprobs[i]) || !isfinite(c->entropies[i]))
                status = err_set(err, ERR_INPUT, "",
                                 "the log-probability of token %d is not finite: the weights or "
                                 "the adapter have diverged",
                                 i);
        if (status)
            return status;
    }
    put_ids(&l->w, "completion_ids", ids, (size_t)length);
    put_floats(&l->w, "logprobs", c->logprobs, (size_t)length);
    put_floats(&l->w, "entropies", c->entropies, (size_t)length);
    return ERR_NONE;
}

static int run(const struct common *common, const void *options, struct err *err)
{
    struct scoring c = {.o = options};
    int status = session_open(&c.s, &c.o->session, common, err);
    if (status)
        return status;
    status = lines_each(common, "logprob", answer, &c, err);
    rollout_free(c.rollout);
    mem_free(c.logprobs);
    mem_free(c.entropies);
    ids_free(&c.prompt);
    ids_free(&c.completion);
    session_close(&c.s);
    return status;
}

static const struct arg args[] = {
    SESSION_ARGS(struct logprob_options, session),
    {"temperature", ARG_FLOAT, offsetof(struct logprob_options, temperature), 0, 1e6, NULL, "1",
     "T", "Of the distribution that is scored; 0 reports temperature 1, as greedy sampling does."},
};

const struct command command_logprob = {
    .name = "logprob",
    .summary = "log-probability and entropy of each token of given completions (JSONL)",
    .usage = "",
    .details = "In, one a line:  {\"prompt_ids\", \"completion_ids\"} or {\"prompt\": text or "
               "messages, \"completion\": text};\n                 prompt and completion are "
               "encoded separately, nothing is appended\nOut, one a line: {\"completion_ids\", "
               "\"logprobs\", \"entropies\"} (nats)",
    .args = args,
    .n_args = ARRAY_LENGTH(args),
    .options_size = sizeof(struct logprob_options),
    .run = run};
