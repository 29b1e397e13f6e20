/* evaluation.c: what training asks of evaluation; see evaluation.h. */
#include "protocol/evaluation.h"
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "eval/eval.h"

static void add_metrics(struct metrics *out, const struct eval_result *r)
{
    metrics_add(out, r->overall.numbers.mean, "eval/mean_reward");
    metrics_add(out, r->overall.numbers.se, "eval/mean_reward_se");
    for (int t = 0; t < r->n_tasks; t++) {
        metrics_add(out, r->tasks[t].numbers.mean, "eval/%s", r->tasks[t].name);
        metrics_add(out, r->tasks[t].numbers.se, "eval/%s_se", r->tasks[t].name);
    }
    metrics_add(out, r->overall.truncated, "eval/clipped_ratio");
    metrics_add(out, r->overall.mean_length, "eval/mean_length");
    for (int c = 0; c < r->n_components; c++) /* rewards by label; their components are in eval/ */
        if (!strchr(r->components[c], '/'))
            metrics_add(out, r->overall.components[c], "eval/rewards/%s", r->components[c]);
}

static int write_evaluation(const struct trainer_eval_call *call, const struct eval_result *r,
                            struct err *err)
{
    struct eval_about about = {
        .model = call->o->model, .data = call->o->eval_data, .step = call->step};
    struct str text = {0}, path = {0};
    char name[64];
    snprintf(name, sizeof name, "eval/step-%d.json", call->step);
    eval_json(&text, r, &about, true);
    int status = text.failed ? err_no_memory(err, name, text.capacity)
                             : file_write_atomic(path_join(&path, call->run, name), str_text(&text),
                                                 text.length, err);
    str_free(&text);
    str_free(&path);
    return status;
}

int protocol_evaluate(const struct trainer_eval_call *call, struct metrics *out, struct err *err)
{
    int n = call->o->eval_num_generations;
    struct eval_request q = {.episode = call->episode,
                             .adapter = call->a,
                             .data = call->data,
                             .max_prompt_tokens = call->max_prompt_tokens,
                             .max_new_tokens = call->o->max_completion_length,
                             .temperature = call->o->eval_temperature,
                             .completions = n,
                             .seed = (uint64_t)call->o->seed,
                             .batch = call->max_sequences / n > 1 ? call->max_sequences / n : 1};
    struct eval_result result = {0};
    int status = eval_run(&q, &result, err);
    if (!status)
        status = write_evaluation(call, &result, err);
    if (!status)
        add_metrics(out, &result);
    eval_free(&result);
    return status;
}
