/* rows.c: the stages about rows: evaluation and test set are what they were when first seen and
 * apart from the training rows; and the plan that rows and recipe make. */
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/classify.h"
#include "protocol/parts.h"

/* --- evalset --- */

/* The hash that an earlier run took down under this key of the figures; "" where there was none. */
static int first_seen(char out[72], const struct protocol *p, const char *key, struct err *err)
{
    json_t *saved;
    out[0] = 0;
    int status = gate_read(&saved, p->dir, stage_name(STAGE_EVALSET), err);
    if (status)
        return status;
    const char *was = json_string_value(json_object_get(json_object_get(saved, "figures"), key));
    snprintf(out, 72, "%s", was ? was : "");
    json_decref(saved);
    return ERR_NONE;
}

/* A set stays what it was at first sight. The old hash is kept in the record of a failure too. */
static int check_unchanged(struct protocol *p, struct gate_record *g, const char *key,
                           const char *path, const char *now, struct err *err)
{
    char was[72];
    int status = first_seen(was, p, key, err);
    if (status)
        return status;
    gate_put(g, g->figures, key, json_string(was[0] ? was : now));
    if (!was[0] || strcmp(was, now) == 0)
        return ERR_NONE;
    return err_set(err, ERR_GATE, path,
                   "expected the rows that this experiment began with, SHA-256 %s; found %s: "
                   "results before and after would not be of the same rows. Put the old file back, "
                   "or begin anew in another --out",
                   was, now);
}

struct task_count {
    const char *task;
    int rows, expected; /* expected −1: not said */
};

static int count_tasks(const struct dataset *d, struct task_count *out, int capacity)
{
    const char *names[DEALER_MAX_TASKS];
    int n = dataset_tasks(d, names, capacity);
    for (int t = 0; t < n; t++) {
        out[t] = (struct task_count){.task = names[t], .expected = -1};
        for (size_t i = 0; i < d->count; i++)
            out[t].rows += strcmp(d->rows[i].task, names[t]) == 0;
    }
    return n;
}

static void put_counts(struct gate_record *g, const char *key, const struct task_count *c, int n)
{
    json_t *map = json_object();
    for (int t = 0; t < n; t++)
        json_object_set_new(map, *c[t].task ? c[t].task : "default", json_integer(c[t].rows));
    gate_put(g, g->figures, key, map);
}

/* eval_counts: each task of it has exactly so many rows, and there is no other. */
static int check_counts(struct protocol *p, struct task_count *c, int n, struct err *err)
{
    const char *where = recipe_where(p->d.recipe, NULL, "eval_counts"), *task;
    json_t *wanted = p->d.o.eval_counts ? recipe_node_json(p->d.o.eval_counts) : NULL, *value;
    int status = ERR_NONE;
    if (!p->d.o.eval_counts)
        return ERR_NONE;
    if (!json_is_object(wanted))
        status = err_set(err, ERR_USAGE, where,
                         "is no map from task to a number of rows, such as {extraction: 20}");
    json_object_foreach(wanted, task, value)
    {
        int found = 0;
        if (!status && (!json_is_integer(value) || json_integer_value(value) < 1))
            status = err_set(err, ERR_USAGE, where, "%.80s is no number of rows, 1 or more", task);
        for (int t = 0; t < n && !status; t++)
            if (strcmp(c[t].task, task) == 0)
                found = c[t].rows, c[t].expected = (int)json_integer_value(value);
        if (!status && found != json_integer_value(value))
            status = err_set(err, ERR_GATE, p->d.o.eval_data,
                             "expected exactly %lld rows of task %.80s (%s), found %d: the set is "
                             "never resampled here; make it with `grpo data split`, or correct "
                             "eval_counts",
                             (long long)json_integer_value(value), task, where, found);
    }
    for (int t = 0; t < n && !status; t++)
        if (c[t].expected < 0)
            status = err_set(err, ERR_GATE, p->d.o.eval_data,
                             "has %d rows of task \"%.80s\", expected none (%s)", c[t].rows,
                             c[t].task, where);
    json_decref(wanted);
    return status;
}

/* Rows for the headline, apart from both others. */
static int check_test(struct protocol *p, struct gate_record *g, struct err *err)
{
    struct dataset test = {0};
    struct task_count counts[DEALER_MAX_TASKS];
    const struct setup *s = &p->d.setup;
    const char *path = p->d.o.test_data;
    if (!path)
        return ERR_NONE;
    int status = dataset_open(&test, path, err);
    if (status)
        return status;
    status = dataset_classify_by(&test, p->d.o.classifier,
                                 recipe_where(p->d.recipe, NULL, "classifier"), err);
    if (!status) {
        put_counts(g, "test_rows", counts, count_tasks(&test, counts, DEALER_MAX_TASKS));
        status = check_unchanged(p, g, "test_data_sha256", path, test.sha256, err);
    }
    if (!status)
        status = dataset_disjoint(&s->data, &test, err);
    if (!status && s->has_eval)
        status = dataset_disjoint(&s->eval_data, &test, err);
    dataset_close(&test);
    return status;
}

static int check_eval(struct protocol *p, struct gate_record *g, struct err *err)
{
    struct task_count counts[DEALER_MAX_TASKS];
    struct setup *s = &p->d.setup;
    int n = count_tasks(&s->eval_data, counts, DEALER_MAX_TASKS);
    put_counts(g, "eval_rows", counts, n);
    int status =
        check_unchanged(p, g, "eval_data_sha256", p->d.o.eval_data, s->eval_data.sha256, err);
    if (!status)
        status = check_counts(p, counts, n, err);
    if (!status && s->gate.code) { /* what opening the rows found: one of them is trained on */
        *err = s->gate;
        status = (int)err->code;
    }
    struct str tasks = {0};
    for (int t = 0; t < n; t++)
        str_printf(&tasks, "%s%s %d", t ? ", " : "", *counts[t].task ? counts[t].task : "default",
                   counts[t].rows);
    gate_record_say(g,
                    "%zu rows (%.300s%s), SHA-256 %.12s as first seen; none of them is trained "
                    "on%s",
                    s->eval_data.count, str_text(&tasks),
                    p->d.o.eval_counts ? ", as eval_counts says" : "", s->eval_data.sha256,
                    p->d.o.test_data ? ", nor any row of test_data" : "");
    str_free(&tasks);
    return status;
}

/* Whatever this time comes to, what was taken down first stays taken down. */
static int keep_first(struct protocol *p, struct gate_record *g, struct err *err)
{
    static const char *const keys[] = {"eval_data_sha256", "test_data_sha256"};
    int status = ERR_NONE;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !status; i++) {
        char was[72];
        status = first_seen(was, p, keys[i], err);
        if (!status && was[0])
            gate_put(g, g->figures, keys[i], json_string(was));
    }
    return status;
}

int stage_evalset(struct protocol *p, struct gate_record *g, struct err *err)
{
    int status = keep_first(p, g, err);
    if (!status)
        status = need_data(p, err);
    if (!status && p->d.setup.has_eval)
        status = check_eval(p, g, err);
    else if (!status) {
        const char *was = json_string_value(json_object_get(g->figures, "eval_data_sha256"));
        if (was)
            return err_set(err, ERR_GATE, recipe_where(p->d.recipe, NULL, "eval_data"),
                           "is gone, but this experiment began with rows of SHA-256 %s: put it "
                           "back, or begin anew in another --out",
                           was);
        g->verdict = OUTCOME_SKIPPED;
        gate_record_say(g, "the recipe has no eval_data: nothing will tell learning from luck");
    }
    return status ? status : check_test(p, g, err);
}

/* --- dataset --- */

/* What the system or the clock decides goes beside what the input does. */
static void put_figures(struct protocol *p, struct gate_record *g)
{
    static const char *const of_plan[] = {"memory", "total_bytes", "budget_bytes"};
    static const char *const sections[] = {"template", "data", "eval_data", "plan", "disk"};
    json_t *plan = json_object_get(p->d.report, "plan");
    for (size_t i = 0; i < sizeof of_plan / sizeof *of_plan; i++) {
        gate_put(g, g->measured, of_plan[i], json_incref(json_object_get(plan, of_plan[i])));
        json_object_del(plan, of_plan[i]);
    }
    gate_put(g, g->measured, "time", json_incref(json_object_get(p->d.report, "time")));
    gate_put(g, g->measured, "warnings", json_incref(json_object_get(p->d.report, "warnings")));
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        json_t *section = json_object_get(p->d.report, sections[i]);
        if (section)
            gate_put(g, g->figures, sections[i], json_incref(section));
    }
}

/* Each is told once a run: what rewards are known for is told by the stage rewards. */
static void tell_warnings(const struct protocol *p)
{
    const json_t *item;
    size_t i;
    json_array_foreach(json_object_get(p->d.report, "warnings"), i, item)
    {
        struct str shown = {0};
        const char *text = json_string_value(json_object_get(item, "text"));
        if (strcmp(json_string_value(json_object_get(item, "id")), "gameable_reward") == 0)
            continue;
        log_printable(&shown, text ? text : "", text ? strlen(text) : 0, 0);
        log_warn("%s", str_text(&shown));
        str_free(&shown);
    }
}

static void say_plan(struct protocol *p, struct gate_record *g)
{
    const struct plan *plan = &p->d.setup.plan;
    struct str text = {0};
    setup_print_plan(&text, &p->d.setup);
    log_info("%s", str_text(&text));
    str_free(&text);
    double hours = p->d.measured.likely.run / 3600, most = p->d.measured.most.run / 3600;
    gate_put(g, g->measured, "planned_gib", json_real((double)plan->total / 0x1p30));
    gate_record_say(g, "%zu rows fit; %d steps are %.2f epochs; %zu warnings",
                    p->d.setup.data.count, plan->max_steps, plan->epochs,
                    json_array_size(json_object_get(p->d.report, "warnings")));
    char all[80] = "";
    if (p->n_seeds > 1)
        snprintf(all, sizeof all, ", %d of them in turn %.1f to %.1f h", p->n_seeds,
                 p->n_seeds * hours, p->n_seeds * most);
    log_info("plan: %.2f GiB at most; a step takes about %.1f s, a seed %.2f to %.2f h%s",
             (double)plan->total / 0x1p30, p->d.measured.likely.step, hours, most, all);
}

int stage_dataset(struct protocol *p, struct gate_record *g, struct err *err)
{
    struct doctor *d = &p->d;
    int status = need_plan(p, err);
    json_array_clear(json_object_get(d->report, "warnings"));
    reward_gate_close(&d->gate);
    if (!status)
        status = doctor_rewards(d, err); /* warnings are about them too */
    if (!status) {
        doctor_machine(d);
        status = doctor_tokens(d, err);
    }
    if (!status)
        status = doctor_data(d, err);
    if (!status) {
        doctor_plan(d);
        status = measure_step(&d->measured, &d->setup, err);
        d->has_measured = !status;
    }
    if (status)
        return status;
    doctor_time(d);
    doctor_warnings(d);
    put_figures(p, g);
    tell_warnings(p);
    say_plan(p, g);
    if (json_array_size(json_object_get(d->report, "warnings")))
        g->verdict = OUTCOME_WARN;
    if (d->said_no.code)
        *err = d->said_no;
    return (int)d->said_no.code;
}
