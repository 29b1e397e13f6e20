/* page.c: headline, results, questions, attribution, best step; see page.h. The order is that of a
 * sceptical reader: what is claimed, what speaks against believing it, then the numbers. */
#include "report/page.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "report/curves.h"

/* --- headline --- */

static void put_verdict(struct str *out, const struct gain_line *l)
{
    bool prompts = !isnan(l->prompts_needed), seeds = !isnan(l->seeds_needed);
    str_puts(out, verdict_name(l->verdict));
    if (*l->why)
        str_printf(out, ": %s", l->why);
    if (prompts || seeds)
        str_puts(out, "; about ");
    if (prompts)
        str_printf(out, "%s prompts", cell_count(l->prompts_needed).text);
    if (seeds)
        str_printf(out, "%s%s seeds", prompts ? " and " : "", cell_count(l->seeds_needed).text);
    if (prompts || seeds)
        str_puts(out, " would tell");
}

static void say_detectable(char *out, size_t size, const struct gain_line *l)
{
    if (isnan(l->detectable))
        snprintf(out, size,
                 "The score of %zu of %zu prompts changed: too few to say what difference so many "
                 "prompts find.",
                 l->changed, l->n);
    else
        snprintf(out, size, "Found 4 times in 5 with so many prompts: a difference of %s.",
                 cell_number(l->detectable, 3).text);
}

static void put_headline(struct doc *d, const struct findings *f)
{
    const struct result_set *h = f->headline;
    if (!h) {
        doc_strong(d, "Nothing can be said of a gain: there are no two evaluations of the same "
                      "rows to compare.");
        return;
    }
    const struct gain_line *l = &h->gains.all;
    struct str verdict = {0};
    char found[200];
    say_detectable(found, sizeof found, l);
    put_verdict(&verdict, l);
    doc_strong(d, "%s. Mean gain over %s %s on the %s set (%zu prompts, %d %s)%s.",
               str_text(&verdict), h->before, cell_gain(l->gain, l->gain_both.ci).text, h->name,
               l->n, h->gains.seeds, h->gains.seeds == 1 ? "seed" : "seeds",
               h->selected_on ? ", selected on this set" : "");
    d->text.failed = d->text.failed || verdict.failed;
    str_free(&verdict);
    doc_text(d,
             "%s: %.3f; %s: %.3f. The interval above is 95%%, by the hierarchical "
             "bootstrap over prompts and seeds. Over these prompts, paired: %s; over seeds (t): "
             "%s; permutation p %s. %s",
             h->before, l->before, f->compare ? f->runs[1].name : "after training", l->after,
             cell_gain(l->gain, l->gain_t).text,
             h->gains.seeds > 1 ? cell_gain(l->gain, l->gain_seeds).text : "one seed has none",
             cell_p(l->p).text, found);
}

static void put_warnings(struct doc *d, const struct findings *f)
{
    struct str text = {0};
    doc_heading(d, 2, "In plain sight");
    if (!f->n_warnings)
        doc_text(d, "Every gate passed, no rule fired, no file was damaged.");
    doc_list_begin(d);
    for (int i = 0; i < f->n_warnings; i++) {
        str_clear(&text);
        findings_warning_say(&text, f, &f->warnings[i]);
        doc_item(d, "%s", str_text(&text));
    }
    doc_list_end(d);
    d->text.failed = d->text.failed || text.failed;
    str_free(&text);
}

/* --- results --- */

static const char *line_name(const struct gain_line *l)
{
    return l->name ? l->name : "Mean";
}

static void result_row(struct doc *d, const struct gains *g, const struct gain_line *l)
{
    struct str verdict = {0};
    doc_cell(d, "%.60s", line_name(l));
    doc_cell(d, "%zu", l->n);
    for (int s = 0; s < g->seeds && g->seeds > 1; s++)
        doc_cell(d, "%.3f", l->seed_after[s]);
    doc_cell(d, "%s", cell_half(l->after, g->seeds > 1 ? l->after_seeds : l->after_normal).text);
    doc_cell(d, "%.3f", l->before);
    doc_cell(d, "%s", cell_gain(l->gain, l->gain_t).text);
    doc_cell(d, "%s%s", cell_p(l->p_holm).text, l->name ? "" : " (not adjusted)");
    put_verdict(&verdict, l);
    doc_cell(d, "%s", str_text(&verdict));
    d->text.failed = d->text.failed || verdict.failed;
    str_free(&verdict);
}

static void result_table(struct doc *d, const struct findings *f, const struct result_set *set)
{
    const struct gains *g = &set->gains;
    const char *heads[80];
    int n = 0;
    heads[n++] = "Task";
    heads[n++] = "n";
    for (int s = 0; s < g->seeds && g->seeds > 1; s++)
        heads[n++] = f->runs[s].title;
    heads[n++] = f->compare     ? f->runs[1].title
                 : g->seeds > 1 ? "Mean ± 95% CI (t over seeds)"
                                : "Mean ± 95% CI (1.96·s/√n)";
    heads[n++] = set->before;
    heads[n++] = "Gain [95%, paired]";
    heads[n++] = "p (Holm)";
    heads[n++] = "Verdict";
    doc_table_begin(d, heads, n);
    for (int t = 0; t < g->n_tasks; t++)
        result_row(d, g, &g->tasks[t]);
    result_row(d, g, &g->all);
    doc_table_end(d);
}

static void interval_row(struct doc *d, const struct gain_line *l)
{
    doc_cell(d, "%.60s", line_name(l));
    doc_cell(d, "%s", cell_half(l->after, l->after_normal).text);
    doc_cell(d, "%s", cell_interval(l->after_t).text);
    doc_cell(d, "%s", cell_interval(l->after_bca).text);
    doc_cell(d, "%s", cell_interval(l->after_seeds).text);
    doc_cell(d, "%s", cell_interval(l->gain_t).text);
    doc_cell(d, "%s", cell_interval(l->gain_bca).text);
    doc_cell(d, "%s", cell_interval(l->gain_seeds).text);
    doc_cell(d, "%s", cell_interval(l->gain_both.ci).text);
}

static void interval_table(struct doc *d, const struct gains *g)
{
    static const char *const heads[] = {"Task",
                                        "After: mean ± 1.96·s/√n",
                                        "t, prompts",
                                        "BCa, prompts",
                                        "t, seeds",
                                        "Gain: t, prompts",
                                        "BCa, prompts",
                                        "t, seeds",
                                        "bootstrap, prompts and seeds"};
    doc_table_begin(d, heads, 9);
    for (int t = 0; t < g->n_tasks; t++)
        interval_row(d, &g->tasks[t]);
    interval_row(d, &g->all);
    doc_table_end(d);
}

static void put_set(struct doc *d, const struct findings *f, const struct result_set *set)
{
    if (!set->there)
        return;
    doc_heading(d, 3,
                set->selected_on ? "Eval set (the best step was selected on it)"
                                 : "Test set (used for nothing else)");
    result_table(d, f, set);
    doc_text(d, "All the 95%% intervals of these means, side by side:");
    interval_table(d, &set->gains);
}

static void put_results(struct doc *d, const struct findings *f)
{
    doc_heading(d, 2, "Results");
    if (!f->headline)
        doc_text(d, "None: see above.");
    put_set(d, f, &f->test);
    put_set(d, f, &f->eval);
}

/* --- questions --- */

static void put_answer(struct str *out, const struct question *q)
{
    str_puts(out, answer_name(q->answer));
    if (q->answer == ANSWER_CANNOT_TELL && q->needed_of)
        str_printf(out, " at this n; about %s %s would", cell_count(q->needed).text, q->needed_of);
}

static void put_question(struct doc *d, const struct question *q)
{
    static const char *const heads[] = {"Figure", "Value", "95% interval"};
    struct str answer = {0};
    put_answer(&answer, q);
    doc_heading(d, 3, "%s. %s", q->name, q->asks);
    doc_strong(d, "%s", str_text(&answer));
    doc_text(d, "The document's reading: %s", q->document);
    if (*q->ours)
        doc_text(d, "Ours: %s", q->ours);
    d->text.failed = d->text.failed || answer.failed;
    str_free(&answer);
    if (!q->n_figures)
        return;
    doc_table_begin(d, heads, 3);
    for (int i = 0; i < q->n_figures; i++) {
        doc_cell(d, "%s", q->figures[i].name);
        double x = q->figures[i].value;
        doc_cell(d, "%s", cell_number(x, fabs(x) >= 2 && x == floor(x) ? 0 : 4).text);
        doc_cell(d, "%s", cell_interval(q->figures[i].ci).text);
    }
    doc_table_end(d);
}

static void put_questions(struct doc *d, const struct findings *f)
{
    if (!f->n_questions)
        return;
    doc_heading(d, 2, "The four questions");
    for (int i = 0; i < f->n_questions; i++)
        put_question(d, &f->questions[i]);
}

/* --- attribution --- */

static void put_attribution(struct doc *d, const struct findings *f)
{
    static const char *const heads[] = {"Task",
                                        "Rewards: old, new",
                                        "n",
                                        "Step 0: old, new",
                                        "Change of reward",
                                        "Learnt, by the new",
                                        "Best step: old, new",
                                        "Learnt, by the old"};
    if (f->compare)
        return;
    doc_heading(d, 2, "Reward or learning");
    if (!f->n_attribution) {
        doc_text(d, "No task is scored by two rewards at once, so nothing can be attributed to a "
                    "change of reward. Give the old one weight 0 beside the new one to have this.");
        return;
    }
    doc_text(d, "The completions of step 0 under the old reward and under the new one differ by "
                "the reward alone; what changes after that was learnt.");
    doc_table_begin(d, heads, 8);
    for (int i = 0; i < f->n_attribution; i++) {
        const struct attribution *a = &f->attribution[i];
        doc_cell(d, "%.60s", a->task);
        doc_cell(d, "%.60s, %.60s", a->old_reward, a->new_reward);
        doc_cell(d, "%zu", a->n);
        doc_cell(d, "%.3f, %.3f", a->old_start, a->new_start);
        doc_cell(d, "%s", cell_gain(a->change.value, a->change.ci).text);
        doc_cell(d, "%s", cell_gain(a->learning.value, a->learning.ci).text);
        doc_cell(d, "%.3f, %.3f", a->old_end, a->new_end);
        doc_cell(d, "%s", cell_gain(a->learning_old.value, a->learning_old.ci).text);
    }
    doc_table_end(d);
}

/* --- the best step --- */

static void put_best(struct doc *d, const struct findings *f)
{
    static const char *const heads[] = {"Run",
                                        "Metric",
                                        "Best step",
                                        "Value",
                                        "Evaluations",
                                        "Not distinguishable from it",
                                        "Best minus last [95%]",
                                        "Reading"};
    doc_heading(d, 2, "Best step");
    doc_table_begin(d, heads, 8);
    for (int i = 0; i < f->n_runs; i++) {
        const struct best_step *b = &f->best[i];
        bool alone = b->indistinguishable == 0;
        doc_cell(d, "%s", f->runs[i].title);
        doc_cell(d, "%.80s", b->metric);
        doc_cell(d, "%s", cell_number(b->step < 0 ? NAN : (double)b->step, 0).text);
        doc_cell(d, "%s", cell_number(b->value, 4).text);
        doc_cell(d, "%d", b->evaluated);
        doc_cell(d, "%d", b->indistinguishable);
        doc_cell(d, "%s",
                 b->step == b->last ? "it is the last"
                                    : cell_gain(b->over_last_gain, b->over_last).text);
        doc_cell(d, "%s",
                 b->step < 0 || b->evaluated < 2 ? "no choice was made"
                 : alone                         ? "the choice stands out"
                                                 : "the choice is within noise");
    }
    doc_table_end(d);
    doc_text(d,
             "Not distinguishable: evaluations of the same run whose paired 95%% interval of the "
             "difference from the best holds 0. The highest of many noisy values is too high on "
             "average; only a test set is free of that.");
}

/* A column a run; the steps are the first run's. */
static void put_evaluations(struct doc *d, const struct findings *f)
{
    const char *heads[1 + 64];
    heads[0] = "Step";
    for (int i = 0; i < f->n_runs; i++)
        heads[1 + i] = f->runs[i].title;
    const struct series *s = series_find(&f->runs[0].metrics, "eval/mean_reward");
    if (!s)
        return;
    doc_heading(d, 3, "eval/mean_reward, ± 1.96 standard errors over prompts");
    doc_table_begin(d, heads, 1 + f->n_runs);
    size_t every = s->n / 60 + 1;
    for (size_t k = 0; k < s->n; k += every) {
        doc_cell(d, "%.0f", s->step[k]);
        for (int i = 0; i < f->n_runs; i++) {
            const struct series_set *m = &f->runs[i].metrics;
            double se = series_at(series_find(m, "eval/mean_reward_se"), s->step[k]);
            double mean = series_at(series_find(m, "eval/mean_reward"), s->step[k]);
            doc_cell(d, "%s ± %s", cell_number(mean, 4).text, cell_number(1.96 * se, 4).text);
        }
    }
    doc_table_end(d);
}

/* --- all --- */

static void put_title(struct str *title, const struct findings *f)
{
    if (f->compare)
        str_printf(title, "Report: %.100s against %.100s", f->runs[1].name, f->runs[0].name);
    else
        str_printf(title, "Report: %.100s, %d %s", f->runs[0].name, f->n_runs,
                   f->n_runs == 1 ? "run" : "seeds");
}

static void put_method(struct doc *d)
{
    doc_heading(d, 2, "How to read this");
    doc_list_begin(d);
    doc_item(d, "The mean of a run is the unweighted mean of its tasks' means. A prompt counts "
                "once: with several completions its value is their mean.");
    doc_item(d, "Gain [95%%, paired]: Student's t over prompts of each prompt's difference, "
                "averaged over seeds; for the mean, stratified by task with Welch-Satterthwaite "
                "degrees of freedom. p: paired permutation test, adjusted over tasks by Holm.");
    doc_item(d,
             "\"Improved\" or \"worse\" is said only when the intervals over prompts, over seeds "
             "and over both lie on one side of 0 and Holm's p is below 0.05; else \"cannot "
             "tell\", with the number of prompts or seeds that would find a difference as large "
             "as this one 4 times in 5.");
    doc_list_end(d);
}

int page_write(struct doc *d, const struct findings *f, struct err *err)
{
    struct str title = {0};
    put_title(&title, f);
    doc_begin(d, str_text(&title));
    str_free(&title);
    put_headline(d, f);
    put_warnings(d, f);
    put_results(d, f);
    put_questions(d, f);
    put_attribution(d, f);
    put_best(d, f);
    doc_heading(d, 2, "Curves");
    int status = curves_write(d, f, err);
    put_evaluations(d, f);
    page_gates(d, f);
    page_history(d, f);
    page_completions(d, f);
    page_recipe(d, f);
    page_time(d, f);
    put_method(d);
    doc_end(d);
    if (!status && doc_failed(d))
        status = err_no_memory(err, "the report", d->html.length);
    return status;
}

void page_summary(struct str *markdown, const struct findings *f)
{
    struct doc d = {0};
    put_headline(&d, f);
    if (f->headline)
        result_table(&d, f, f->headline);
    for (int i = 0; i < f->n_questions; i++) {
        struct str answer = {0};
        put_answer(&answer, &f->questions[i]);
        doc_item(&d, "%s %s: %s", f->questions[i].name, f->questions[i].asks, str_text(&answer));
        d.text.failed = d.text.failed || answer.failed;
        str_free(&answer);
    }
    str_append(markdown, str_text(&d.md), d.md.length);
    markdown->failed = markdown->failed || doc_failed(&d);
    doc_free(&d);
}
