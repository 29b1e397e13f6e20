/* attribution.c: how much of a gain is a change of reward and how much was learnt: the document's
 * own decomposition (0.13 from its parser, 0.13 from learning), made from completions that were
 * scored under both rewards at once. A reward of weight 0 is scored beside the one that pays; on
 * the completions of step 0 the two differ by the change of reward alone. */
#include <math.h>
#include <string.h>
#include "report/findings.h"

struct rewards_of_task {
    const char *old_reward; /* of weight 0; NULL: none */
    const char *new_reward; /* of the others, joined */
};

const char *reward_label(const json_t *item)
{
    if (json_is_string(item))
        return json_string_value(item);
    const char *label = run_text(item, "label");
    return label ? label : run_text(item, "name");
}

bool reward_is_watched(const json_t *item)
{
    const json_t *weight = json_object_get(item, "weight");
    return json_is_number(weight) && json_number_value(weight) == 0;
}

/* The recipe's rewards of a task: a list for all, or a map from task to list. */
static const json_t *rewards_for(const struct findings *f, const char *task)
{
    const json_t *rewards = json_object_get(f->runs[0].recipe, "rewards");
    return json_is_object(rewards) ? json_object_get(rewards, task) : rewards;
}

static const char *paid_names(struct findings *f, const json_t *list)
{
    struct str names = {0};
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item)
    {
        const char *label = reward_label(item);
        if (label && !reward_is_watched(item))
            str_printf(&names, "%s%.60s", names.length ? " + " : "", label);
    }
    const char *text = findings_text(f, "%.400s", str_text(&names));
    f->no_memory = f->no_memory || names.failed;
    str_free(&names);
    return text;
}

double row_component(const struct report_row *row, const char *label)
{
    const json_t *value = json_object_get(row->components, label);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Three differences, prompt by prompt and seed by seed. */
struct columns {
    size_t n;
    double *change, *learning, *learning_old; /* [seeds][n] */
    int *stratum;
    double sum[4]; /* old and new at the start, old and new at the end */
};

static bool has_both(const struct pairs *p, size_t i, const char *label)
{
    for (size_t s = 0; s < (size_t)p->seeds; s++)
        if (!isfinite(row_component(p->row_before[s * p->n + i], label)) ||
            !isfinite(row_component(p->row_after[s * p->n + i], label)))
            return false;
    return true;
}

static size_t count_prompts(const struct pairs *p, int task, const char *label)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++)
        n += p->task[i] == task && has_both(p, i, label);
    return n;
}

static void fill_columns(struct columns *c, const struct pairs *p, int task, const char *label)
{
    for (size_t s = 0; s < (size_t)p->seeds; s++) {
        size_t to = s * c->n;
        for (size_t i = 0; i < p->n; i++) {
            if (p->task[i] != task || !has_both(p, i, label))
                continue;
            size_t at = s * p->n + i;
            double old0 = row_component(p->row_before[at], label);
            double old1 = row_component(p->row_after[at], label);
            c->change[to] = p->before[at] - old0;
            c->learning[to] = p->after[at] - p->before[at];
            c->learning_old[to] = old1 - old0;
            c->sum[0] += old0;
            c->sum[1] += p->before[at];
            c->sum[2] += old1;
            c->sum[3] += p->after[at];
            to++;
        }
    }
}

static int estimate_column(struct estimate *e, const struct columns *c, const double *x, int seeds,
                           struct err *err)
{
    struct bootstrap_table t = {x, (size_t)seeds, c->n, c->stratum, 1};
    return estimate_make(e, &t, err);
}

static int fill(struct attribution *a, const struct pairs *p, int task, struct err *err)
{
    struct columns c = {.n = a->n};
    size_t all = a->n * (size_t)p->seeds;
    c.change = mem_calloc(3 * all, sizeof *c.change);
    c.stratum = mem_calloc(a->n, sizeof *c.stratum);
    int status = c.change && c.stratum
                     ? ERR_NONE
                     : err_no_memory(err, "the attribution", 3 * all * sizeof *c.change);
    if (!status) {
        c.learning = c.change + all;
        c.learning_old = c.learning + all;
        fill_columns(&c, p, task, a->old_reward);
        double rows = (double)all;
        a->old_start = c.sum[0] / rows;
        a->new_start = c.sum[1] / rows;
        a->old_end = c.sum[2] / rows;
        a->new_end = c.sum[3] / rows;
        status = estimate_column(&a->change, &c, c.change, p->seeds, err);
    }
    if (!status)
        status = estimate_column(&a->learning, &c, c.learning, p->seeds, err);
    if (!status)
        status = estimate_column(&a->learning_old, &c, c.learning_old, p->seeds, err);
    mem_free(c.change);
    mem_free(c.stratum);
    return status;
}

int findings_attribution(struct findings *f, struct err *err)
{
    const struct pairs *p = &f->eval.pairs;
    if (f->compare || !f->eval.there || f->baseline.n)
        return ERR_NONE;
    enum { MOST = 64 };
    f->attribution = mem_calloc(MOST, sizeof *f->attribution);
    if (!f->attribution)
        return err_no_memory(err, "the attribution", 0);
    int status = ERR_NONE;
    for (int t = 0; t < p->n_tasks && !status; t++) {
        const json_t *list = rewards_for(f, p->tasks[t]), *item;
        size_t i;
        json_array_foreach(list, i, item)
        {
            const char *label = reward_is_watched(item) ? reward_label(item) : NULL;
            size_t n = label ? count_prompts(p, t, label) : 0;
            if (!n || f->n_attribution == MOST || status)
                continue;
            struct attribution *a = &f->attribution[f->n_attribution++];
            *a = (struct attribution){.task = p->tasks[t],
                                      .old_reward = label,
                                      .new_reward = paid_names(f, list),
                                      .n = n};
            status = fill(a, p, t, err);
        }
    }
    return status;
}
