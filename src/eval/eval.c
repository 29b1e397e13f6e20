/* eval.c: evaluation on fixed rows; see eval.h.
 *
 * Rows are taken `batch` at a time; what is kept of a row (texts, values, component means) goes
 * into one arena that the result owns, so a result is one thing to free. Summaries are computed
 * from the kept rows alone, by the same functions whether the rows were just sampled or read from
 * a file. */
#include "eval/eval.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "eval/result.h"

/* --- names of components --- */

/* Index of the column that holds item i's value; its components follow. */
static int column_of(const struct reward_set *set, int item)
{
    int column = 0;
    for (int i = 0; i < item; i++) {
        int n;
        reward_components(set->items[i].reward, &n);
        column += 1 + n;
    }
    return column;
}

static int name_components(struct eval_result *r, const struct reward_set *set, struct err *err)
{
    r->n_components = column_of(set, set->count);
    r->components = arena_alloc(r->storage, ((size_t)r->n_components + 1) * sizeof(char *));
    if (!r->components)
        return err_no_memory(err, "evaluation", (size_t)r->n_components);
    int column = 0;
    for (int i = 0; i < set->count; i++) {
        int n;
        const struct reward_component *list = reward_components(set->items[i].reward, &n);
        for (int c = -1; c < n; c++) {
            char name[320];
            if (c < 0)
                snprintf(name, sizeof name, "%s", set->items[i].label);
            else
                snprintf(name, sizeof name, "%s/%s", set->items[i].label, list[c].name);
            char *kept = arena_strndup(r->storage, name, strlen(name));
            if (!kept)
                return err_no_memory(err, "evaluation", strlen(name));
            r->components[column++] = kept;
        }
    }
    return ERR_NONE;
}

/* --- keeping what a row gave --- */

/* Means over samples of one column, in sample order. */
struct means {
    double *sum;
    int *count;
};

static void count_value(struct means *m, int column, double value)
{
    if (!isfinite(value))
        return;
    m->sum[column] += value;
    m->count[column]++;
}

static void count_sample(struct means *m, const struct reward_set *set, const struct scored *s)
{
    int column = 0;
    for (int i = 0; i < set->count; i++) {
        count_value(m, column++, s->values[i]);
        const struct reward_result *result = &s->results[i];
        int n;
        reward_components(set->items[i].reward, &n);
        for (int c = 0; c < n; c++, column++)
            if (result->status == REWARD_OK)
                count_value(m, column, result->components[c]);
    }
}

static int keep_row(struct eval_result *r, struct eval_row *row, const struct episode_group *group,
                    const struct reward_set *set, struct err *err)
{
    size_t n = (size_t)group->n, columns = (size_t)r->n_components;
    row->samples = arena_alloc(r->storage, n * sizeof *row->samples);
    row->components = arena_alloc(r->storage, (columns + 1) * sizeof *row->components);
    struct means m = {mem_calloc(columns + 1, sizeof *m.sum), mem_calloc(columns + 1, sizeof(int))};
    bool ok = row->samples && row->components && m.sum && m.count;
    double sum = 0;
    int valid = 0;
    for (size_t i = 0; i < n && ok; i++) {
        const struct episode_sample *s = &group->samples[i];
        row->samples[i] = (struct eval_sample){
            .text = arena_strndup(r->storage, str_text(&s->text), s->text.length),
            .text_length = s->text.length,
            .tokens = s->completion.length,
            .stop = s->completion.stop,
            .value = s->scored.valid ? s->scored.total : NAN};
        ok = row->samples[i].text != NULL;
        r->tasks[row->task_index].failed += s->scored.failed;
        if (s->scored.valid) {
            sum += s->scored.total;
            valid++;
        }
        if (ok)
            count_sample(&m, set, &s->scored);
    }
    row->value = valid ? sum / valid : NAN;
    for (size_t c = 0; c < columns && ok; c++)
        row->components[c] = m.count[c] ? m.sum[c] / m.count[c] : NAN;
    mem_free(m.sum);
    mem_free(m.count);
    return ok ? ERR_NONE : err_no_memory(err, "evaluation", n);
}

/* --- sampling --- */

static int run_batch(const struct eval_request *q, struct episode_batch *b, struct eval_result *r,
                     size_t first, struct err *err)
{
    const struct dataset *d = q->data;
    b->count = 0;
    for (size_t i = first; i < d->count && b->count < b->capacity; i++) {
        struct episode_group *group = &b->groups[b->count++];
        group->row = &d->rows[i];
        group->key =
            (struct rng_key){.seed = q->seed, .purpose = RNG_SAMPLE, .row = d->rows[i].key};
        group->first_sample = 0;
        group->n = q->completions;
    }
    const struct rollout_options how = {.max_new_tokens = q->max_new_tokens,
                                        .temperature = q->temperature,
                                        .eos = q->episode->codec->eos,
                                        .n_eos = q->episode->codec->n_eos};
    int status = episode_encode(q->episode, b, q->max_prompt_tokens, err);
    if (!status)
        status = episode_run(q->episode, q->adapter, &how, b, err);
    for (int g = 0; g < b->count && !status; g++)
        status = keep_row(r, &r->rows[first + (size_t)g], &b->groups[g], q->episode->rewards, err);
    return status;
}

static int sample_rows(const struct eval_request *q, struct eval_result *r, struct err *err)
{
    struct episode_batch batch;
    int capacity = q->batch > 0 ? q->batch : 1;
    if ((size_t)capacity > q->data->count)
        capacity = (int)q->data->count;
    int status = episode_batch_create(&batch, capacity, q->completions, q->max_new_tokens,
                                      q->episode->rewards, err);
    if (status)
        return status;
    struct progress progress;
    if (q->what)
        progress_begin(&progress, q->what, (long)q->data->count);
    for (size_t first = 0; first < q->data->count && !status; first += (size_t)capacity) {
        status = run_batch(q, &batch, r, first, err);
        if (q->what && !status)
            progress_step(&progress, (long)(first + (size_t)batch.count), NULL);
    }
    if (q->what)
        progress_end(&progress);
    episode_batch_free(&batch);
    return status;
}

int eval_run(const struct eval_request *q, struct eval_result *out, struct err *err)
{
    const struct reward_set *set = q->episode->rewards;
    CHECK(set && q->completions > 0);
    int status = eval_result_begin(out, q->data->count, err);
    out->completions = q->completions;
    out->max_new_tokens = q->max_new_tokens;
    out->temperature = q->temperature;
    out->seed = q->seed;
    if (!status) {
        memcpy(out->data_sha256, q->data->sha256, sizeof out->data_sha256);
        status = name_components(out, set, err);
    }
    for (size_t i = 0; i < q->data->count && !status; i++)
        status = eval_result_name_row(out, i, q->data->rows[i].id, q->data->rows[i].task, err);
    if (!status)
        status = eval_result_tasks(out, err);
    if (!status)
        status = sample_rows(q, out, err);
    if (!status)
        status = eval_result_summarise(out, err);
    if (status)
        eval_free(out);
    return status;
}
