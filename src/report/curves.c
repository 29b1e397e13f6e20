/* curves.c: see curves.h.
 *
 * Long curves are averaged over stretches of steps, at most MOST_POINTS of them, so that a page of
 * 1,500 steps is as light and as readable as one of 20. */
#include "report/curves.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "report/plot.h"

enum { MOST_POINTS = 120, MOST_TASK_FIGURES = 24, MOST_RUNS = 64 };

struct curve {
    double *x, *y, *low, *high; /* one block of memory, at x */
    size_t n;
};

static void curve_free(struct curve *c)
{
    mem_free(c->x);
    *c = (struct curve){0};
}

static int curve_room(struct curve *c, size_t n, struct err *err)
{
    *c = (struct curve){.x = mem_calloc(4 * n + 1, sizeof *c->x)};
    if (!c->x)
        return err_no_memory(err, "the curves", 4 * n * sizeof *c->x);
    c->y = c->x + n;
    c->low = c->y + n;
    c->high = c->low + n;
    return ERR_NONE;
}

/* Consecutive points become their mean. */
static void thin(struct curve *c)
{
    size_t every = (c->n + MOST_POINTS - 1) / MOST_POINTS, to = 0;
    for (size_t from = 0; every > 1 && from < c->n; from += every, to++) {
        size_t n = from + every < c->n ? every : c->n - from;
        double *const columns[] = {c->x, c->y, c->low, c->high};
        for (int k = 0; k < 4; k++)
            columns[k][to] = stats_mean(columns[k] + from, n);
    }
    if (every > 1)
        c->n = to;
}

/* Runs first … first + n of one metric, step by step as any of them has it. */
static int curve_of(struct curve *c, const struct findings *f, const char *metric, int first,
                    int n_runs, struct err *err)
{
    size_t room = 0, at[MOST_RUNS];
    const struct series *s[MOST_RUNS];
    for (int r = 0; r < n_runs; r++) {
        s[r] = series_find(&f->runs[first + r].metrics, metric);
        at[r] = 0;
        room += s[r] ? s[r]->n : 0;
    }
    int status = curve_room(c, room, err);
    while (!status) {
        double step = INFINITY, sum = 0, low = INFINITY, high = -INFINITY;
        int count = 0;
        for (int r = 0; r < n_runs; r++)
            if (s[r] && at[r] < s[r]->n)
                step = fmin(step, s[r]->step[at[r]]);
        if (!isfinite(step))
            break;
        for (int r = 0; r < n_runs; r++) {
            if (!s[r] || at[r] >= s[r]->n || s[r]->step[at[r]] != step)
                continue;
            double value = s[r]->value[at[r]++];
            sum += value;
            low = fmin(low, value);
            high = fmax(high, value);
            count++;
        }
        c->x[c->n] = step;
        c->y[c->n] = sum / count;
        c->low[c->n] = low;
        c->high[c->n++] = high;
    }
    return status;
}

/* The band of a single run's evaluation: ±1.96 of the standard error logged beside it. */
static bool band_of_se(struct curve *c, const struct run *r, const char *metric)
{
    char name[200];
    snprintf(name, sizeof name, "%.180s_se", metric);
    const struct series *se = series_find(&r->metrics, name);
    for (size_t i = 0; se && i < c->n; i++) {
        double half = 1.96 * series_at(se, c->x[i]);
        c->low[i] = c->y[i] - half;
        c->high[i] = c->y[i] + half;
    }
    return se != NULL;
}

struct figure {
    const char *metric, *y_title, *caption;
    bool from_zero;
};

static void put_figure(struct doc *d, struct plot *p, const char *caption)
{
    struct str svg = {0};
    if (plot_svg(&svg, p))
        doc_figure(d, &svg, caption);
    str_free(&svg);
}

/* A line along the axis tells nothing by itself: the value it has everywhere; "". */
static const char *say_constant(char text[80], const struct curve *c, int lines)
{
    for (int l = 0; l < lines; l++)
        for (size_t i = 0; i < c[l].n; i++)
            if (c[l].y[i] != c[0].y[0] || c[l].low[i] != c[l].high[i])
                return "";
    snprintf(text, 80, " Here it is %.6g at every step%s.", c[0].n ? c[0].y[0] : NAN,
             lines > 1 ? " of both" : "");
    return c[0].n > 1 ? text : "";
}

/* One metric: the runs together, or, compared, each side for itself. */
static int one_metric(struct doc *d, const struct findings *f, const struct figure *g,
                      const struct plot *frame, struct err *err)
{
    int lines = f->compare ? 2 : 1, each = f->compare ? f->pairs : f->n_runs;
    struct curve c[2] = {{0}};
    struct plot_series s[2];
    char text[80];
    bool band = false;
    int status = ERR_NONE;
    for (int i = 0; i < lines && i < 2 && !status; i++) {
        status = curve_of(&c[i], f, g->metric, i * each, each, err);
        if (status)
            break;
        band = each > 1 || (!f->compare && band_of_se(&c[i], &f->runs[i], g->metric));
        thin(&c[i]);
        s[i] = (struct plot_series){
            f->compare ? f->side[i] : "", c[i].x, c[i].y, band ? c[i].low : NULL,
            band ? c[i].high : NULL,      c[i].n};
    }
    if (!status) {
        struct plot p = *frame;
        char caption[480];
        snprintf(caption, sizeof caption, "%.300s%s%s", g->caption,
                 band && each < 2 ? " Band: ±1.96 standard errors over prompts." : "",
                 say_constant(text, c, lines));
        p.title = g->metric;
        p.x_title = "optimizer step";
        p.y_title = g->y_title;
        p.series = s;
        p.n_series = lines;
        p.from_zero = g->from_zero;
        p.legend = f->compare;
        put_figure(d, &p, caption);
    }
    curve_free(&c[0]);
    curve_free(&c[1]);
    return status;
}

/* --- evaluations --- */

static double baseline_value(const struct findings *f, const char *metric)
{
    const json_t *value = json_object_get(json_object_get(f->runs[0].recipe, "baseline"), metric);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Rows of the first run's evaluations: a task's, or all of them. */
static size_t count_rows(const struct findings *f, const char *task)
{
    const struct evaluation *e = f->runs[0].n_evals ? &f->runs[0].evals[0] : NULL;
    bool all = strcmp(task, "mean_reward") == 0;
    size_t n = 0;
    for (size_t i = 0; e && i < e->n; i++)
        n += all || strcmp(e->rows[i].task, task) == 0;
    return n;
}

static int eval_figure(struct doc *d, const struct findings *f, const char *metric,
                       const char *task, struct err *err)
{
    char title[120], caption[240], level[80];
    const char *name = run_text(json_object_get(f->runs[0].recipe, "baseline"), "name");
    snprintf(title, sizeof title, "%.30s (mean reward)", task);
    snprintf(caption, sizeof caption, "%.100s on the eval set (n = %zu prompts).", metric,
             count_rows(f, metric + 5));
    snprintf(level, sizeof level, "%.30s", name ? name : "baseline");
    struct figure g = {metric, title, caption, false};
    struct plot frame = {.level = baseline_value(f, metric), .level_name = level};
    return one_metric(d, f, &g, &frame, err);
}

/* Names of tasks by the metrics eval/NAME_se of the first run; mean_reward first. */
static int eval_figures(struct doc *d, const struct findings *f, struct err *err)
{
    const struct series_set *set = &f->runs[0].metrics;
    int status = eval_figure(d, f, "eval/mean_reward", "mean of the tasks", err), shown = 0;
    for (int i = 0; i < set->n && !status && shown < MOST_TASK_FIGURES; i++) {
        const char *name = set->list[i].name;
        size_t n = strlen(name);
        char metric[200];
        if (n < 9 || n > 190 || strncmp(name, "eval/", 5) != 0 || strcmp(name + n - 3, "_se") != 0)
            continue;
        snprintf(metric, sizeof metric, "%.*s", (int)(n - 3), name);
        if (strcmp(metric, "eval/mean_reward") == 0)
            continue;
        status = eval_figure(d, f, metric, metric + 5, err);
        shown++;
    }
    return status;
}

/* --- the task sampler --- */

/* sampler/NAME_weight, but not the second name of sql_qa. */
static bool is_weight(const struct series_set *set, const char *name)
{
    size_t n = strlen(name);
    if (n < 16 || n > 190 || strncmp(name, "sampler/", 8) != 0 ||
        strcmp(name + n - 7, "_weight") != 0)
        return false;
    return strcmp(name, "sampler/sql_weight") != 0 || !series_find(set, "sampler/sql_qa_weight");
}

static int weights_figure(struct doc *d, const struct findings *f, struct err *err)
{
    enum { MOST = 12 };
    struct curve c[MOST] = {{0}};
    struct plot_series s[MOST];
    char names[MOST][64];
    const struct series_set *set = &f->runs[0].metrics;
    int n = 0, status = ERR_NONE;
    for (int i = 0; i < set->n && n < MOST && !status; i++) {
        const char *name = set->list[i].name;
        if (!is_weight(set, name))
            continue;
        status = curve_of(&c[n], f, name, 0, f->compare ? f->pairs : f->n_runs, err);
        if (status)
            break;
        thin(&c[n]);
        snprintf(names[n], sizeof names[n], "%.*s", (int)(strlen(name) - 15), name + 8);
        s[n] = (struct plot_series){names[n], c[n].x, c[n].y, NULL, NULL, c[n].n};
        n++;
    }
    struct plot p = {.title = "task weights",
                     .x_title = "optimizer step",
                     .y_title = "task weight (share of groups)",
                     .series = s,
                     .n_series = n,
                     .level = NAN,
                     .from_zero = true,
                     .legend = true};
    char text[80] = "", caption[200];
    bool constant = n > 0;
    for (int i = 0; i < n; i++)
        constant = constant && *say_constant(text, &c[i], 1);
    snprintf(caption, sizeof caption, "The share of groups that each task gets, %s.%s",
             f->compare ? "of the first alone" : "mean over seeds",
             constant ? " Here each is the same at every step; lines may lie on each other." : "");
    if (!status && n)
        put_figure(d, &p, caption);
    for (int i = 0; i < MOST; i++)
        curve_free(&c[i]);
    return status;
}

/* --- training --- */

static const struct figure training[] = {
    {"reward", "training reward (mean)", "Mean reward of the sampled completions.", false},
    {"completions/mean_length", "completion length (tokens)", "Mean length of completions.", true},
    {"completions/clipped_ratio", "cut at the length limit (share)",
     "Share of completions that ended at the length limit.", true},
    {"entropy", "entropy (nats per token)", "Mean entropy of the tempered distribution.", true},
    {"kl", "KL to the reference (nats per token)", "Divergence from the reference model.", true},
    {"clip_ratio/region_mean", "ratio clipped (share of tokens)",
     "Tokens whose ratio was clipped. On policy the ratio is 1 by construction and this is 0.",
     true},
    {"sampling/sampling_logp_difference/max", "log-prob. difference, largest (nats)",
     "Sampler against trainer, the same tokens: 0 when both compute the same bits.", true},
    {"informative_groups", "groups with a signal (count a step)",
     "Groups whose rewards are not all equal.", true},
    {"unique_completions", "distinct completions (share)",
     "Share of a step's completions that are not copies of each other.", true},
    {"grad_norm", "gradient norm (of the loss, no unit)", "Global norm before clipping.", true},
};

void curves_explain(struct doc *d, const struct findings *f)
{
    int each = f->compare ? f->pairs : f->n_runs;
    doc_text(d, "%s%s The scales of the vertical axes differ; some do not begin at 0.",
             each > 1 ? "Lines are means over the seeds, bands reach from the lowest seed to the "
                        "highest."
                      : "Lines are of one run.",
             f->compare ? " Both sides are in each figure, told apart by dash and mark." : "");
}

int curves_write(struct doc *d, const struct findings *f, struct err *err)
{
    doc_figures_begin(d);
    int status = eval_figures(d, f, err);
    if (!status)
        status = weights_figure(d, f, err);
    for (size_t i = 0; i < sizeof training / sizeof *training && !status; i++)
        status = one_metric(d, f, &training[i], &(struct plot){.level = NAN}, err);
    doc_figures_end(d);
    return status;
}
