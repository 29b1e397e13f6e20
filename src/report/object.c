/* object.c: the findings as JSON, for `grpo report --json`; see page.h. NaN is null. Fields are
 * added, none renamed. */
#include <math.h>
#include <string.h>
#include "base/json.h"
#include "report/page.h"

static void put_text(struct json_writer *w, const char *key, const char *text)
{
    jw_key(w, key);
    if (text)
        jw_text(w, text);
    else
        jw_null(w);
}

static void put_number(struct json_writer *w, const char *key, double value)
{
    jw_key(w, key);
    jw_double(w, value);
}

static void put_interval(struct json_writer *w, const char *key, struct interval ci)
{
    jw_key(w, key);
    jw_array_begin(w);
    jw_double(w, ci.low);
    jw_double(w, ci.high);
    jw_array_end(w);
}

static void put_json(struct json_writer *w, const char *key, const json_t *value)
{
    jw_key(w, key);
    if (value)
        jw_value(w, value);
    else
        jw_null(w);
}

static void put_doubles(struct json_writer *w, const char *key, const double *x, int n)
{
    jw_key(w, key);
    jw_array_begin(w);
    for (int i = 0; i < n; i++)
        jw_double(w, x[i]);
    jw_array_end(w);
}

/* --- results --- */

static void put_line(struct json_writer *w, const struct gain_line *l, int seeds)
{
    jw_object_begin(w);
    jw_key(w, "n");
    jw_int(w, (long long)l->n);
    put_number(w, "before", l->before);
    put_number(w, "mean", l->after);
    put_doubles(w, "seeds_before", l->seed_before, seeds);
    put_doubles(w, "seeds", l->seed_after, seeds);
    put_interval(w, "before_t95", l->before_t);
    put_interval(w, "ci95", l->after_normal);
    put_interval(w, "t95", l->after_t);
    put_interval(w, "bca95", l->after_bca);
    put_interval(w, "seeds_t95", l->after_seeds);
    put_number(w, "gain", l->gain);
    put_interval(w, "gain_t95", l->gain_t);
    put_interval(w, "gain_bca95", l->gain_bca);
    put_interval(w, "gain_seeds_t95", l->gain_seeds);
    put_interval(w, "gain_bootstrap95", l->gain_both.ci);
    put_number(w, "p", l->p);
    put_number(w, "p_holm", l->p_holm);
    put_text(w, "verdict", verdict_name(l->verdict));
    put_text(w, "why", l->why);
    put_number(w, "prompts_needed", l->prompts_needed);
    put_number(w, "seeds_needed", l->seeds_needed);
    put_number(w, "changed", (double)l->changed);
    put_number(w, "detectable", l->detectable);
    jw_object_end(w);
}

static void put_set(struct json_writer *w, const struct result_set *set)
{
    jw_key(w, set->name);
    if (!set->there) {
        jw_null(w);
        return;
    }
    jw_object_begin(w);
    put_text(w, "before", set->before);
    jw_key(w, "selected_on_this_set");
    jw_bool(w, set->selected_on);
    jw_key(w, "left_out");
    jw_int(w, (long long)set->pairs.left_out);
    jw_key(w, "tasks");
    jw_object_begin(w);
    for (int t = 0; t < set->gains.n_tasks; t++) {
        jw_key(w, set->gains.tasks[t].name);
        put_line(w, &set->gains.tasks[t], set->gains.seeds);
    }
    jw_object_end(w);
    jw_key(w, "overall");
    put_line(w, &set->gains.all, set->gains.seeds);
    jw_object_end(w);
}

/* --- the rest --- */

static void put_runs(struct json_writer *w, const struct findings *f)
{
    jw_key(w, "runs");
    jw_array_begin(w);
    for (int i = 0; i < f->n_runs; i++) {
        const struct run *r = &f->runs[i];
        const struct best_step *b = &f->best[i];
        jw_object_begin(w);
        put_text(w, "name", r->name);
        put_json(w, "seed", json_object_get(r->about, "seed"));
        put_json(w, "recipe_hash", json_object_get(r->about, "recipe_hash"));
        jw_key(w, "last_step");
        jw_int(w, r->last_step);
        jw_key(w, "best_step");
        jw_int(w, b->step);
        put_text(w, "best_metric", b->metric);
        put_number(w, "best_value", b->value);
        jw_key(w, "evaluations");
        jw_int(w, b->evaluated);
        jw_key(w, "indistinguishable_from_best");
        jw_int(w, b->indistinguishable);
        put_number(w, "best_minus_last", b->over_last_gain);
        put_interval(w, "best_minus_last95", b->over_last);
        put_json(w, "stopped", json_object_get(r->about, "stopped"));
        put_json(w, "stop_rules_fired", json_object_get(r->about, "stop_rules_fired"));
        put_json(w, "reward_gates", json_object_get(json_object_get(r->about, "gates"), "rewards"));
        jw_key(w, "gates");
        jw_array_begin(w);
        for (int k = 0; k < r->n_gates; k++)
            jw_value(w, r->gates[k].json);
        jw_array_end(w);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void put_questions(struct json_writer *w, const struct findings *f)
{
    jw_key(w, "questions");
    jw_array_begin(w);
    for (int i = 0; i < f->n_questions; i++) {
        const struct question *q = &f->questions[i];
        jw_object_begin(w);
        put_text(w, "name", q->name);
        put_text(w, "asks", q->asks);
        put_text(w, "verdict", answer_name(q->answer));
        put_text(w, "document", q->document);
        put_text(w, "ours", q->ours);
        put_number(w, "needed", q->needed);
        put_text(w, "needed_of", q->needed_of);
        jw_key(w, "figures");
        jw_object_begin(w);
        for (int k = 0; k < q->n_figures; k++) {
            jw_key(w, q->figures[k].name);
            jw_object_begin(w);
            put_number(w, "value", q->figures[k].value);
            put_interval(w, "ci95", q->figures[k].ci);
            jw_object_end(w);
        }
        jw_object_end(w);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void put_estimate(struct json_writer *w, const char *key, const struct estimate *e)
{
    jw_key(w, key);
    jw_object_begin(w);
    put_number(w, "value", e->value);
    put_interval(w, "ci95", e->ci);
    jw_object_end(w);
}

static void put_shared(struct json_writer *w, const struct findings *f)
{
    jw_key(w, "shared_rewards");
    jw_array_begin(w);
    for (int i = 0; i < f->n_shared; i++) {
        const struct shared_reward *e = &f->shared[i];
        jw_object_begin(w);
        put_text(w, "task", e->task);
        put_text(w, "reward", e->reward);
        jw_key(w, "n");
        jw_int(w, (long long)e->n);
        put_number(w, "before", e->before);
        put_number(w, "after", e->after);
        put_estimate(w, "gain", &e->gain);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void put_attribution(struct json_writer *w, const struct findings *f)
{
    jw_key(w, "attribution");
    jw_array_begin(w);
    for (int i = 0; i < f->n_attribution; i++) {
        const struct attribution *a = &f->attribution[i];
        jw_object_begin(w);
        put_text(w, "task", a->task);
        put_text(w, "old_reward", a->old_reward);
        put_text(w, "new_reward", a->new_reward);
        jw_key(w, "n");
        jw_int(w, (long long)a->n);
        put_number(w, "old_start", a->old_start);
        put_number(w, "new_start", a->new_start);
        put_number(w, "old_end", a->old_end);
        put_number(w, "new_end", a->new_end);
        put_estimate(w, "change_of_reward", &a->change);
        put_estimate(w, "learning", &a->learning);
        put_estimate(w, "learning_by_old_reward", &a->learning_old);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void put_warnings(struct json_writer *w, struct str *text, const struct findings *f)
{
    jw_key(w, "warnings");
    jw_array_begin(w);
    for (int i = 0; i < f->n_warnings; i++) {
        str_clear(text);
        findings_warning_say(text, f, &f->warnings[i]);
        jw_string(w, str_text(text), text->length);
    }
    jw_array_end(w);
}

static void put_headline(struct json_writer *w, const struct findings *f)
{
    const struct result_set *h = f->headline;
    jw_key(w, "headline");
    if (!h) {
        jw_null(w);
        return;
    }
    const struct gain_line *l = &h->gains.all;
    jw_object_begin(w);
    put_text(w, "set", h->name);
    jw_key(w, "selected_on_this_set");
    jw_bool(w, h->selected_on);
    put_number(w, "gain", l->gain);
    put_interval(w, "bootstrap95", l->gain_both.ci);
    put_interval(w, "prompts_t95", l->gain_t);
    put_interval(w, "seeds_t95", l->gain_seeds);
    put_text(w, "verdict", verdict_name(l->verdict));
    put_text(w, "why", l->why);
    put_number(w, "prompts_needed", l->prompts_needed);
    put_number(w, "seeds_needed", l->seeds_needed);
    jw_object_end(w);
}

void object_write(struct str *json, const struct findings *f)
{
    struct json_writer w;
    struct str text = {0};
    jw_begin(&w, json);
    jw_object_begin(&w);
    jw_key(&w, "compare");
    jw_bool(&w, f->compare);
    put_text(&w, "why_compare", f->why_compare);
    put_headline(&w, f);
    put_set(&w, &f->test);
    put_set(&w, &f->eval);
    put_shared(&w, f);
    put_questions(&w, f);
    put_attribution(&w, f);
    put_runs(&w, f);
    put_json(&w, "baseline", json_object_get(f->runs[0].recipe, "baseline"));
    put_json(&w, "history", json_object_get(f->runs[0].recipe, "history"));
    put_warnings(&w, &text, f);
    jw_object_end(&w);
    str_putc(json, '\n');
    json->failed = json->failed || text.failed;
    str_free(&text);
}
