/* warnings.c: what a reader must know before believing a number: gates that did not pass or were
 * skipped, stop rules that fired, rewards known to be gameable, selection on the set reported,
 * runs that ended early or are not whole, files that could not be read. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "report/cell.h"
#include "report/findings.h"

/* --- rewards --- */

/* The recipe's rewards: an entry, a list of entries, or a map from task to either. */
static void warn_rewards(struct findings *f, int run, const json_t *node, const char *task,
                         int depth)
{
    const json_t *item, *weight = json_object_get(node, "weight");
    const char *key, *name = run_text(node, "name");
    json_t *value;
    size_t i;
    if (json_is_true(json_object_get(node, "known_gameable"))) {
        bool paid = !json_is_number(weight) || json_number_value(weight) != 0;
        findings_warn(
            f, -1,
            "%.60s%sReward %.60s (task %.60s) is known to be gameable: answers exist that "
            "cheat it. %s",
            f->compare ? f->side[run > 0] : "", f->compare ? ": " : "", name ? name : "?",
            task ? task : "any",
            paid ? "It was trained on all the same, as the recipe says."
                 : "It has weight 0 here and is only watched.");
        return;
    }
    json_array_foreach(node, i, item)
    {
        warn_rewards(f, run, item, task, depth);
    }
    if (!json_is_object(node) || depth > 2)
        return;
    json_object_foreach((json_t *)node, key, value)
    {
        warn_rewards(f, run, value, depth ? task : key, depth + 1);
    }
}

/* gates.rewards of run.json: what the fixtures said. */
static void warn_fixtures(struct findings *f, int run)
{
    const struct run *r = &f->runs[run];
    const json_t *list = json_object_get(json_object_get(r->about, "gates"), "rewards"), *item;
    size_t i;
    json_array_foreach(list, i, item)
    {
        const char *verdict = run_text(item, "verdict"), *why = run_text(item, "why");
        const char *reward = run_text(item, "reward");
        if (!verdict || strcmp(verdict, "holds") == 0)
            continue;
        findings_warn(f, run, "reward %.60s against its fixtures: %.40s. %.300s",
                      reward ? reward : "?", verdict, why ? why : "");
    }
}

/* --- gates and rules --- */

static bool says_simulated(const json_t *gate)
{
    const json_t *figures = json_object_get(gate, "figures");
    const char *rater = run_text(figures, "rater");
    return json_is_true(json_object_get(figures, "simulated")) ||
           json_is_true(json_object_get(gate, "simulated")) ||
           (rater && strcmp(rater, "simulated") == 0);
}

/* The same failure of several seeds is one warning: what they differ in is their own folder. */
static void put_gate_text(struct str *out, const struct run *r, const char *text)
{
    char own[40];
    int n = snprintf(own, sizeof own, "seed-%lld/", r->seed);
    struct str general = {0};
    for (const char *at; (at = strstr(text, own)); text = at + n) {
        str_append(&general, text, (size_t)(at - text));
        str_puts(&general, "seed-N/");
    }
    str_puts(&general, text);
    cell_cut_digests(out, str_text(&general));
    out->failed = out->failed || general.failed;
    str_free(&general);
}

/* The oddities that the dataset stage found in recipe and rows. Left out: what depends on the
 * machine or its clock, for the report of the same work is the same bytes, and what is said here
 * anyway. */
static void warn_plan(struct findings *f, int run, const struct gate_file *g)
{
    static const char *const left_out[] = {"memory", "rare_checkpoints", "gameable_reward",
                                           "sampler_sees_eval"};
    const json_t *list = json_object_get(json_object_get(g->json, "measured"), "warnings"), *item;
    size_t i;
    json_array_foreach(list, i, item)
    {
        const char *id = run_text(item, "id"), *text = run_text(item, "text");
        bool told = id && text && i < 32;
        for (size_t k = 0; told && k < sizeof left_out / sizeof *left_out; k++)
            told = strcmp(id, left_out[k]) != 0;
        if (told)
            findings_warn(f, run, "gate %.40s: %.40s. %.400s.", g->stage, id, text);
    }
}

/* What a gate that did not pass says of it: its text, and its error where that says more. */
static void warn_gate(struct findings *f, int run, const struct gate_file *g)
{
    const char *text = run_text(g->json, "text");
    const char *error = run_text(json_object_get(g->json, "error"), "message");
    struct str said = {0};
    put_gate_text(&said, &f->runs[run], text ? text : "");
    if (error && !(text && strstr(text, error))) {
        str_puts(&said, said.length ? " " : "");
        put_gate_text(&said, &f->runs[run], error);
    }
    findings_warn(f, run, "gate %.40s: %.40s. %.600s%s", g->stage, g->verdict, str_text(&said),
                  says_simulated(g->json) ? " (judged by a simulated rater, not by a person)" : "");
    f->no_memory = f->no_memory || said.failed;
    str_free(&said);
    warn_plan(f, run, g);
}

/* Gates with the verdict given, or with any other but pass. */
static void warn_gates(struct findings *f, int run, bool failed)
{
    const struct run *r = &f->runs[run];
    for (int i = 0; i < r->n_gates; i++) {
        const struct gate_file *g = &r->gates[i];
        bool pass = strcmp(g->verdict, "pass") == 0;
        if (!pass && failed == (strcmp(g->verdict, "fail") == 0))
            warn_gate(f, run, g);
        else if (pass && !failed && says_simulated(g->json))
            findings_warn(f, run, "gate %.40s was judged by a simulated rater, not by a person.",
                          g->stage);
    }
    if (!r->n_gates && !failed)
        findings_warn(f, run,
                      "no gates are recorded: the run was not made by the protocol, and "
                      "nothing says that its rewards were audited.");
}

static void warn_rules(struct findings *f, int run)
{
    const struct run *r = &f->runs[run];
    const json_t *list = json_object_get(r->about, "stop_rules_fired"), *item;
    size_t i;
    json_array_foreach(list, i, item)
    {
        const char *rule = run_text(item, "rule"), *why = run_text(item, "why");
        const char *action = run_text(item, "action"), *metric = run_text(item, "metric");
        const json_t *step = json_object_get(item, "step");
        findings_warn(f, run, "stop rule %.40s on %.80s fired at step %lld (%.20s): %.300s",
                      rule ? rule : "?", metric ? metric : "?", (long long)json_integer_value(step),
                      action ? action : "?", why ? why : "");
    }
}

static void warn_end(struct findings *f, int run)
{
    const struct run *r = &f->runs[run];
    const json_t *stopped = json_object_get(r->about, "stopped");
    const json_t *most = json_object_get(r->about, "max_steps");
    const char *reason = run_text(stopped, "reason");
    if (json_is_object(stopped))
        findings_warn(f, run, "stopped early, after step %lld: %.60s.",
                      (long long)json_integer_value(json_object_get(stopped, "step")),
                      reason ? reason : "no reason is given");
    else if (json_is_integer(most) && r->last_step < (long)json_integer_value(most))
        findings_warn(f, run, "not finished: step %ld of %lld.", r->last_step,
                      (long long)json_integer_value(most));
}

static double sum_of(const struct series *s)
{
    double sum = 0;
    for (size_t k = 0; s && k < s->n; k++)
        sum += s->value[k];
    return sum;
}

/* --- the run --- */

static void warn_identity(struct findings *f, int run)
{
    const struct run *r = &f->runs[run];
    const char *allowed = run_text(r->about, "allowed");
    if (allowed && *allowed)
        findings_warn(f, run, "was continued although something had changed (--allow): %.300s",
                      allowed);
    const json_t *list = json_object_get(r->about, "rewards"), *item;
    size_t i;
    json_array_foreach(list, i, item)
    {
        const char *label = run_text(item, "label");
        if (json_is_false(json_object_get(item, "deterministic")))
            findings_warn(f, run,
                          "reward %.60s is not deterministic: the run cannot be repeated "
                          "byte for byte.",
                          label ? label : "?");
    }
    double failed = sum_of(series_find(&r->metrics, "reward_failures"));
    double apart = sum_of(series_find(&r->metrics, "reward_not_applicable"));
    if (failed > 0)
        findings_warn(f, run,
                      "the rewards of %.0f completions failed (the machinery, not the "
                      "completions): they are left out.",
                      failed);
    if (apart > 0)
        findings_warn(
            f, run, "no reward applied to %.0f completions: nothing was learnt from them.", apart);
}

/* Between a run and the first of its side: two recipes that are compared may differ as they like,
 * but for the rows and what a value means, of which findings_shared tells. */
static void warn_differences(struct findings *f)
{
    static const char *const parts[] = {"model", "data", "eval_data", "reward_files",
                                        "build", "isa",  "version"};
    for (int i = 1; i < f->n_runs; i++)
        for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
            int first = f->compare && i > f->pairs ? f->pairs : 0;
            const char *a = run_text(f->runs[first].about, parts[k]);
            const char *b = run_text(f->runs[i].about, parts[k]);
            if (a && b && strcmp(a, b) != 0)
                findings_warn(f, -1, "%s and %s differ in %s.", f->runs[first].title,
                              f->runs[i].title, parts[k]);
        }
}

static void warn_unlike_rewards(struct findings *f)
{
    const struct result_set *h = f->headline;
    for (int t = 0; f->compare && h && t < h->gains.n_tasks; t++)
        if (h->gains.tasks[t].unlike)
            findings_warn(f, -1,
                          "Task %.60s is paid by other rewards in %.60s than in %.60s: its values "
                          "have no common measure and nothing is said of their difference%s.",
                          h->gains.tasks[t].name, f->side[1], f->side[0],
                          f->n_shared ? "; see the rewards that both were scored with"
                                      : ". Give each the other's reward with weight 0 to compare");
}

static void warn_selection(struct findings *f)
{
    const struct result_set *h = f->headline;
    if (!h)
        findings_warn(f, -1, "There is nothing to compare: no evaluation before and after.");
    else if (h->selected_on)
        findings_warn(f, -1,
                      "The headline is selected on this set: the best step was chosen by the "
                      "rows it is reported on, so it is biased upwards. A test set would not "
                      "be.");
    for (int k = 0; k < 2; k++) {
        const struct result_set *s = k ? &f->eval : &f->test;
        if (s->there && s->pairs.left_out)
            findings_warn(f, -1,
                          "%zu rows of the %s set have no value in some evaluation and are "
                          "left out of all.",
                          s->pairs.left_out, s->name);
    }
    const char *sampler = run_text(f->runs[0].recipe, "task_sampler");
    const char *signal = run_text(f->runs[0].recipe, "sampler_signal");
    bool watches_eval = sampler && ((signal && strcmp(signal, "eval") == 0) ||
                                    (!signal && strcmp(sampler, "dynamic") == 0));
    if (watches_eval)
        findings_warn(f, -1,
                      "The task sampler watches the eval set (sampler_signal eval): training "
                      "saw, through the weights, what the best step is selected on.");
    if (f->compare && f->pairs == 1)
        findings_warn(
            f, -1,
            "One run of each recipe: the intervals are over prompts alone. Another seed of "
            "either may turn the difference around.");
    else if (f->n_runs < 2)
        findings_warn(f, -1,
                      "One seed: nothing is said of other seeds. Every interval here is over "
                      "prompts alone.");
}

void findings_warnings(struct findings *f)
{
    for (int i = 0; i < f->n_runs; i++) /* what weighs most stands first */
        warn_gates(f, i, true);
    warn_selection(f);
    warn_unlike_rewards(f);
    warn_differences(f);
    for (int i = 0; i < f->n_runs; i++) {
        const struct run *r = &f->runs[i];
        if (i == 0 || (f->compare && i == f->pairs))
            warn_rewards(f, i, json_object_get(r->recipe, "rewards"), NULL, 0);
        warn_fixtures(f, i);
        warn_gates(f, i, false);
        warn_rules(f, i);
        warn_end(f, i);
        warn_identity(f, i);
        for (int k = 0; k < r->notes.n; k++)
            findings_warn(f, i, "%s", r->notes.items[k]);
    }
}
