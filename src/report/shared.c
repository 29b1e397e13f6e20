/* shared.c: two recipes whose rewards differ. A value that one side's reward gave and a value that
 * the other's gave measure different things: their difference mixes a change of the ruler with what
 * was learnt, as the document's 0.13 did, so no verdict is said of it. But a reward of weight 0 is
 * scored as well: where one side trains on what the other only watches, both sides' completions
 * have a value by the same reward, and that difference means something. */
#include <math.h>
#include <string.h>
#include "report/findings.h"

enum { MOST_SHARED = 64 };

/* What decides a value: not the weight beside it, nor what is said of the reward. */
static json_t *essence(const json_t *item, bool keep_weight)
{
    if (json_is_string(item))
        return json_pack("{s:O}", "name", item);
    json_t *copy = json_copy((json_t *)item);
    json_object_del(copy, "known_gameable");
    if (!keep_weight || (json_is_number(json_object_get(copy, "weight")) &&
                         json_number_value(json_object_get(copy, "weight")) == 1))
        json_object_del(copy, "weight");
    return copy;
}

/* The entries of a task, as a list of its own: {task: entries}, a list or one entry for all. */
static json_t *entries_of(const struct run *r, const char *task)
{
    const json_t *rewards = json_object_get(r->recipe, "rewards");
    if (json_is_object(rewards) && !run_text(rewards, "name"))
        rewards = json_object_get(rewards, task);
    json_t *list = json_is_array(rewards) ? json_copy((json_t *)rewards) : json_array();
    if (rewards && !json_is_array(rewards) && !json_is_null(rewards))
        json_array_append(list, (json_t *)rewards);
    return list;
}

static bool has_equal(struct findings *f, const json_t *list, const json_t *wanted, bool paid)
{
    const json_t *item;
    size_t i;
    bool found = false;
    json_array_foreach(list, i, item)
    {
        json_t *a = essence(item, paid), *b = essence(wanted, paid);
        f->no_memory = f->no_memory || !a || !b;
        found = found || ((!paid || !reward_is_watched(item)) && json_equal(a, b));
        json_decref(a);
        json_decref(b);
    }
    return found;
}

static bool paid_are_in(struct findings *f, const json_t *list, const json_t *other)
{
    const json_t *item;
    size_t i;
    json_array_foreach(list, i, item)
    {
        if (!reward_is_watched(item) && !has_equal(f, other, item, true))
            return false;
    }
    return true;
}

/* The differences by one reward into x [seeds][n], of prompts that have it everywhere; n. */
static size_t fill(double *x, struct shared_reward *out, const struct pairs *p, int task)
{
    size_t n = 0, seeds = (size_t)p->seeds;
    for (size_t i = 0; i < p->n; i++) {
        bool all = p->task[i] == task;
        for (size_t s = 0; s < seeds && all; s++)
            all = isfinite(row_component(p->row_before[s * p->n + i], out->reward)) &&
                  isfinite(row_component(p->row_after[s * p->n + i], out->reward));
        for (size_t s = 0; s < seeds && all; s++) {
            double before = row_component(p->row_before[s * p->n + i], out->reward);
            double after = row_component(p->row_after[s * p->n + i], out->reward);
            x[s * p->n + n] = after - before;
            out->before += before;
            out->after += after;
        }
        n += all;
    }
    for (size_t s = 1; s < seeds; s++)
        memmove(x + s * n, x + s * p->n, n * sizeof *x);
    out->n = n;
    out->before /= (double)(n * seeds);
    out->after /= (double)(n * seeds);
    return n;
}

static int add_shared(struct findings *f, const struct pairs *p, int task, const char *label,
                      struct err *err)
{
    size_t all = p->n * (size_t)p->seeds;
    double *x = mem_calloc(all, sizeof *x);
    int *stratum = mem_calloc(p->n, sizeof *stratum);
    struct shared_reward e = {.task = p->tasks[task], .reward = label};
    int status = x && stratum ? ERR_NONE : err_no_memory(err, "the rewards", all * sizeof *x);
    if (!status && fill(x, &e, p, task)) {
        struct bootstrap_table t = {x, (size_t)p->seeds, e.n, stratum, 1};
        status = estimate_make(&e.gain, &t, err);
        if (!status)
            f->shared[f->n_shared++] = e;
    }
    mem_free(x);
    mem_free(stratum);
    return status;
}

static void take_back(struct gain_line *l)
{
    l->unlike = true;
    l->verdict = VERDICT_CANNOT_TELL;
    l->why = "the two were scored by different rewards";
    l->prompts_needed = l->seeds_needed = NAN;
}

static int judge_task(struct findings *f, struct result_set *set, int task, bool tell,
                      struct err *err)
{
    const char *name = set->pairs.tasks[task];
    json_t *before = entries_of(&f->runs[0], name), *after = entries_of(&f->runs[f->pairs], name);
    f->no_memory = f->no_memory || !before || !after;
    bool alike = paid_are_in(f, before, after) && paid_are_in(f, after, before);
    const json_t *item;
    size_t i;
    int status = ERR_NONE;
    if (!alike) {
        take_back(&set->gains.tasks[task]);
        take_back(&set->gains.all);
    }
    json_array_foreach(before, i, item)
    {
        const char *label = reward_label(item);
        if (!alike && tell && !status && label && f->n_shared < MOST_SHARED &&
            has_equal(f, after, item, false))
            status = add_shared(f, &set->pairs, task, label, err);
    }
    json_decref(before);
    json_decref(after);
    return status;
}

int findings_shared(struct findings *f, struct err *err)
{
    if (!f->compare)
        return ERR_NONE;
    f->shared = mem_calloc(MOST_SHARED, sizeof *f->shared);
    if (!f->shared)
        return err_no_memory(err, "the rewards", 0);
    int status = ERR_NONE;
    for (int k = 0; k < 2; k++) {
        struct result_set *set = k ? &f->eval : &f->test;
        for (int t = 0; set->there && t < set->pairs.n_tasks && !status; t++)
            status = judge_task(f, set, t, set == f->headline, err);
    }
    return status;
}
