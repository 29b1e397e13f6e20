/* page.c: headline, results, questions, attribution, best step; see page.h. The order is that of a
 * sceptical reader: what is claimed, what speaks against believing it, then the numbers. */
#include "report/page.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "report/curves.h"
#include "report/plain.h"

/* --- headline --- */

static void put_verdict(struct str *out, const struct gain_line *l, bool capital)
{
    bool prompts = !isnan(l->prompts_needed), seeds = !isnan(l->seeds_needed);
    const char *name = verdict_name(l->verdict);
    if (!l->changed && !l->unlike) { /* more of them would not tell either */
        str_printf(out, "%s change: the score of none of %zu prompts is another",
                   capital ? "No" : "no", l->n);
        return;
    }
    str_printf(out, "%c%s", capital ? name[0] - 'a' + 'A' : name[0], name + 1);
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

/* Stages whose gate failed or was skipped in some run: whoever reads one line reads this too. */
static void put_broken_gates(struct str *out, const struct findings *f)
{
    static const char *const verdicts[] = {"fail", "skipped"};
    for (int k = 0; k < 2; k++) {
        int told = 0;
        for (int s = 0; run_stages[s]; s++) {
            int runs = 0;
            for (int r = 0; r < f->n_runs; r++)
                for (int i = 0; i < f->runs[r].n_gates; i++) {
                    const struct gate_file *g = &f->runs[r].gates[i];
                    runs += !strcmp(g->stage, run_stages[s]) && !strcmp(g->verdict, verdicts[k]);
                }
            if (!runs)
                continue;
            str_puts(out, told++ ? ", " : k ? " Gates skipped: " : " GATES FAILED: ");
            str_puts(out, run_stages[s]);
            if (runs < f->n_runs)
                str_printf(out, " (%d of %d runs)", runs, f->n_runs);
        }
        str_puts(out, told ? "." : "");
    }
}

/* Of two that are paid by different rewards no mean can be compared, but tasks paid alike can, and
 * rewards that both were scored with. */
static void put_parts(struct str *out, const struct findings *f, const struct result_set *h)
{
    str_printf(out, ". Gain over %s on the %s set (%d %s)%s, task by task:", h->before, h->name,
               h->gains.seeds, h->gains.seeds == 1 ? "seed" : "seeds",
               h->selected_on ? ", selected on this set" : "");
    int told = 0;
    for (int t = 0; t < h->gains.n_tasks && told < 12; t++) {
        const struct gain_line *l = &h->gains.tasks[t];
        if (!l->unlike)
            str_printf(out, "%s %.60s %s %s (n = %zu)", told++ ? ";" : "", l->name,
                       verdict_name(l->verdict), cell_gain(l->gain, l->gain_both.ci).text, l->n);
    }
    for (int i = 0; i < f->n_shared && told < 12; i++) {
        const struct shared_reward *e = &f->shared[i];
        str_printf(out, "%s %.60s by %.60s, which scored both, %s (n = %zu)", told++ ? ";" : "",
                   e->task, e->reward, cell_gain(e->gain.value, e->gain.ci).text, e->n);
    }
    str_puts(out, told ? "." : " none was scored alike.");
}

static void say_detectable(char *out, size_t size, const struct gain_line *l)
{
    if (isnan(l->detectable))
        snprintf(out, size,
                 "The score of %zu of %zu prompts changed: too few to say what difference so many "
                 "prompts find.",
                 l->changed, l->n);
    else
        snprintf(out, size, "With %zu prompts a true difference of %s would be found 4 times in 5.",
                 l->n, cell_number(l->detectable, 3).text);
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
    put_verdict(&verdict, l, true);
    if (l->unlike)
        put_parts(&verdict, f, h);
    else
        str_printf(&verdict, ". Mean gain over %s %s on the %s set (%zu prompts, %d %s)%s.",
                   h->before, cell_gain(l->gain, l->gain_both.ci).text, h->name, l->n,
                   h->gains.seeds, h->gains.seeds == 1 ? "seed" : "seeds",
                   h->selected_on ? ", selected on this set" : "");
    put_broken_gates(&verdict, f);
    doc_strong(d, "%s", str_text(&verdict));
    d->failed = d->failed || verdict.failed;
    str_free(&verdict);
    if (f->why_compare)
        doc_text(d, "%s", f->why_compare);
    if (l->unlike)
        return;
    doc_list_begin(d);
    doc_item(d, "%.60s: %.3f; %.60s: %.3f. Each is the mean of %d %s.", h->before, l->before,
             f->compare ? f->side[1] : "after training", l->after, h->gains.n_tasks,
             h->gains.n_tasks == 1 ? "task" : "tasks' means");
    doc_item(d,
             "The interval above is 95%% over prompts%s. Over these prompts alone, paired (t): %s. "
             "Over seeds alone (t): %s. Permutation test: p %s.",
             h->gains.seeds > 1 ? " and seeds at once (hierarchical bootstrap)" : " (bootstrap)",
             cell_gain(l->gain, l->gain_t).text,
             h->gains.seeds > 1 ? cell_gain(l->gain, l->gain_seeds).text : "one seed has none",
             cell_p(l->p).text);
    char found[200];
    say_detectable(found, sizeof found, l);
    doc_item(d, "%s", found);
    doc_list_end(d);
}

static void put_warnings(struct doc *d, const struct findings *f)
{
    struct str text = {0};
    doc_heading(d, 2, "Warnings");
    if (!f->n_warnings)
        doc_text(d, "Every gate passed, no rule fired, no file was damaged.");
    doc_list_begin(d);
    for (int i = 0; i < f->n_warnings; i++) {
        str_clear(&text);
        findings_warning_say(&text, f, &f->warnings[i]);
        doc_item(d, "%s", str_text(&text));
    }
    doc_list_end(d);
    d->failed = d->failed || text.failed;
    str_free(&text);
}

/* --- results --- */

static const char *line_name(const struct gain_line *l)
{
    return l->name ? l->name : "Mean";
}

static void result_row(struct doc *d, const struct gains *g, const struct gain_line *l,
                       bool compare)
{
    struct str verdict = {0};
    doc_cell(d, "%.60s", line_name(l));
    doc_cell(d, "%zu", l->n);
    for (int s = 0; s < g->seeds && g->seeds > 1; s++)
        doc_cell(d, "%s",
                 compare ? cell_signed(l->seed_after[s] - l->seed_before[s]).text
                         : cell_number(l->seed_after[s], 3).text);
    doc_cell(d, "%s", cell_half(l->after, g->seeds > 1 ? l->after_seeds : l->after_normal).text);
    doc_cell(d, "%.3f", l->before);
    doc_cell(d, "%s", cell_gain(l->gain, l->gain_t).text);
    doc_cell(d, "%s%s", cell_p(l->p_holm).text, l->name ? "" : " (not adjusted)");
    put_verdict(&verdict, l, false);
    doc_cell(d, "%s", str_text(&verdict));
    d->failed = d->failed || verdict.failed;
    str_free(&verdict);
}

static void result_table(struct doc *d, const struct findings *f, const struct result_set *set)
{
    const struct gains *g = &set->gains;
    const char *heads[80];
    char seed[64][40], mean[100];
    int n = 0;
    heads[n++] = "Task";
    heads[n++] = "n";
    for (int s = 0; s < g->seeds && g->seeds > 1; s++) {
        snprintf(seed[s], sizeof seed[s], "seed %lld%s", f->runs[s].seed,
                 f->compare ? ": gain" : "");
        heads[n++] = f->runs[s].seed < 0 ? f->runs[s].title : seed[s];
    }
    snprintf(mean, sizeof mean, "%.50s ± 95%% CI (%s)", f->compare ? f->side[1] : "Mean",
             g->seeds > 1 ? "t over seeds" : "1.96·s/√n");
    heads[n++] = mean;
    heads[n++] = set->before;
    heads[n++] = "Gain [95%, paired]";
    heads[n++] = "p (Holm)";
    heads[n++] = "Verdict";
    doc_table_begin(d, heads, n);
    for (int t = 0; t < g->n_tasks; t++)
        result_row(d, g, &g->tasks[t], f->compare);
    result_row(d, g, &g->all, f->compare);
    doc_table_end(d);
}

static void interval_row(struct doc *d, const struct gain_line *l, int seeds)
{
    doc_cell(d, "%.60s", line_name(l));
    doc_cell(d, "%s", cell_half(l->after, l->after_normal).text);
    doc_cell(d, "%s", cell_interval(l->after_t).text);
    doc_cell(d, "%s", cell_interval(l->after_bca).text);
    if (seeds > 1)
        doc_cell(d, "%s", cell_interval(l->after_seeds).text);
    doc_cell(d, "%s", cell_change(l->gain_t).text);
    doc_cell(d, "%s", cell_change(l->gain_bca).text);
    if (seeds > 1)
        doc_cell(d, "%s", cell_change(l->gain_seeds).text);
    doc_cell(d, "%s", cell_change(l->gain_both.ci).text);
}

static void interval_table(struct doc *d, const struct gains *g)
{
    static const char *const several[] = {"Task",
                                          "After: mean ± 1.96·s/√n",
                                          "After: t, prompts",
                                          "After: BCa, prompts",
                                          "After: t, seeds",
                                          "Gain: t, prompts",
                                          "Gain: BCa, prompts",
                                          "Gain: t, seeds",
                                          "Gain: bootstrap, prompts and seeds"};
    static const char *const one[] = {"Task",
                                      "After: mean ± 1.96·s/√n",
                                      "After: t, prompts",
                                      "After: BCa, prompts",
                                      "Gain: t, prompts",
                                      "Gain: BCa, prompts",
                                      "Gain: bootstrap, prompts"};
    doc_table_begin(d, g->seeds > 1 ? several : one, g->seeds > 1 ? 9 : 7);
    for (int t = 0; t < g->n_tasks; t++)
        interval_row(d, &g->tasks[t], g->seeds);
    interval_row(d, &g->all, g->seeds);
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
    doc_text(
        d,
        "Mean: the unweighted mean of the tasks' means. \"Improved\" and \"worse\" rest on all "
        "of: the 95%% intervals of the gain over prompts (t, BCa)%s on one side of 0, and p "
        "below 0.05, a task's after Holm's correction for %d tasks.",
        set->gains.seeds > 1 ? ", over seeds and over both" : "", set->gains.n_tasks);
    doc_fold_begin(d,
                   "All the 95%% intervals of these means, side by side (a t interval may pass the "
                   "highest reward there is, a BCa interval cannot pass the highest seen)");
    interval_table(d, &set->gains);
    doc_fold_end(d);
}

static void put_shared(struct doc *d, const struct findings *f)
{
    static const char *const heads[] = {"Task", "Reward", "n", "Before", "After", "Gain [95%]"};
    if (!f->n_shared)
        return;
    doc_heading(d, 3, "By the rewards that both were scored with");
    doc_text(d,
             "Where %.60s and %.60s are not paid by the same rewards, their values have no common "
             "measure. These rewards scored the completions of both (%s set), whichever was paid: "
             "before is %.60s, after is %.60s.",
             f->side[0], f->side[1], f->headline->name, f->side[0], f->side[1]);
    doc_table_begin(d, heads, 6);
    for (int i = 0; i < f->n_shared; i++) {
        const struct shared_reward *e = &f->shared[i];
        doc_cell(d, "%.60s", e->task);
        doc_cell(d, "%.60s", e->reward);
        doc_cell(d, "%zu", e->n);
        doc_cell(d, "%.3f", e->before);
        doc_cell(d, "%.3f", e->after);
        doc_cell(d, "%s", cell_gain(e->gain.value, e->gain.ci).text);
    }
    doc_table_end(d);
}

static void put_results(struct doc *d, const struct findings *f)
{
    doc_heading(d, 2, "Results");
    if (!f->headline)
        doc_text(d, "None: see above.");
    put_set(d, f, &f->test);
    put_shared(d, f);
    put_set(d, f, &f->eval);
}

/* --- questions --- */

static void put_answer(struct str *out, const struct question *q)
{
    const char *name = answer_name(q->answer);
    str_printf(out, "%c%s", name[0] - 'a' + 'A', name + 1);
    if (q->answer == ANSWER_CANNOT_TELL && q->needed_of)
        str_printf(out, " at this n; about %s %s would", cell_count(q->needed).text, q->needed_of);
}

static void put_question(struct doc *d, const struct question *q)
{
    static const char *const heads[] = {"Figure", "Value", "95% interval"};
    struct str answer = {0};
    put_answer(&answer, q);
    doc_heading(d, 3, "%s. %s", q->name, q->asks);
    str_putc(&answer, '.');
    doc_answer(d, str_text(&answer), q->ours);
    doc_text(d, "By the document's own rule: %s", q->document);
    d->failed = d->failed || answer.failed;
    str_free(&answer);
    int there = 0;
    for (int i = 0; i < q->n_figures; i++)
        there += isfinite(q->figures[i].value);
    if (!there)
        return;
    doc_table_begin(d, heads, 3);
    for (int i = 0; i < q->n_figures; i++) {
        double x = q->figures[i].value;
        if (!isfinite(x))
            continue;
        doc_cell(d, "%s", q->figures[i].name);
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
    doc_text(
        d,
        "Those that the document of the reference experiment asks, with its steps and "
        "thresholds; it put them to tasks called sql_qa and insights over 1,500 steps. The "
        "answer is ours: yes or no only where a 95%% interval lies on one side of the threshold "
        "(%d %s; over prompts%s). Below it, what the document's own rule would say, which "
        "compares a mean with the threshold.",
        f->n_runs, f->n_runs == 1 ? "seed" : "seeds", f->n_runs > 1 ? " and seeds" : "");
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
    doc_text(d,
             "On the eval set, each completion scored twice: by the reward that was watched with "
             "weight 0 (old) and by the one that was paid (new). At step 0 the two differ by the "
             "reward alone; what changes after that was learnt. n counts prompts; intervals are "
             "95%%.");
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
    doc_heading(d, 3, "Every evaluation: eval/mean_reward, ± 1.96 standard errors over prompts");
    doc_fold_begin(d, "At each evaluated step");
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
    doc_fold_end(d);
}

/* --- all --- */

static void put_title(struct str *title, const struct findings *f)
{
    if (f->compare)
        str_printf(title, "Report: %.100s against %.100s", f->side[1], f->side[0]);
    else
        str_printf(title, "Report: %.100s, %d %s", f->title, f->n_runs,
                   f->n_runs == 1 ? "run" : "seeds");
}

static void put_method(struct doc *d)
{
    doc_heading(d, 2, "How to read this");
    doc_list_begin(d);
    doc_item(d, "A prompt counts once: with several completions its value is their mean. A reward "
                "is a number from 0 to 1 unless it says otherwise. n counts prompts.");
    doc_item(d, "Base model: the model before training. Gain: after minus before, on the same "
                "prompts. Test set: rows used for nothing else. Eval set: rows on which the step "
                "to keep was chosen, so its gain is a little too high.");
    doc_item(d, "Over prompts: what other prompts of the kind would give. Over seeds: what other "
                "seeds of the training would. Over both: the hierarchical bootstrap, which draws "
                "seeds and prompts anew. t: Student's; BCa: bootstrap, bias-corrected and "
                "accelerated. Two that are compared are paired by row and by seed.");
    doc_item(d, "Gain [95%%, paired]: Student's t over prompts of each prompt's difference, "
                "averaged over seeds; for the mean, stratified by task with Welch-Satterthwaite "
                "degrees of freedom. p: paired permutation test, adjusted over tasks by Holm.");
    doc_item(
        d,
        "\"Improved\" or \"worse\" is said only when the intervals over prompts (t and BCa), "
        "over seeds and over both lie on one side of 0 and p is below 0.05; else \"cannot "
        "tell\", with the reason and, where one can be given, the number of prompts or seeds that "
        "would find a difference as large as this one 4 times in 5.");
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
    curves_explain(d, f);
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

void page_summary(struct str *text, const struct findings *f)
{
    struct doc d = {0};
    put_headline(&d, f);
    if (f->headline)
        result_table(&d, f, f->headline);
    for (int i = 0; i < f->n_questions; i++) {
        struct str answer = {0};
        put_answer(&answer, &f->questions[i]);
        doc_item(&d, "%s %s: %s", f->questions[i].name, f->questions[i].asks, str_text(&answer));
        d.failed = d.failed || answer.failed;
        str_free(&answer);
    }
    plain_text(text, str_text(&d.md), d.md.length);
    text->failed = text->failed || doc_failed(&d);
    doc_free(&d);
}
