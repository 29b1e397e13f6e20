/* report.c: from run folders to texts; see report.h. Folders are read (run.c), everything is
 * computed (findings.h), then laid out (page.c, object.c). Nothing here looks at a clock. */
#include "report/report.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "report/findings.h"
#include "report/page.h"

/* Keys that may differ between the seeds of a recipe: the seed, and what changes no result. */
static bool may_differ(const char *key)
{
    static const char *const keys[] = {
        "seed",         "micro_batch", "memory_gib",      "console_steps",
        "save_minutes", "save_steps",  "save_total_limit"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

static const char *first_difference(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)a, key, value)
    {
        if (!may_differ(key) && !json_equal(value, json_object_get(b, key)))
            return key;
    }
    json_object_foreach((json_t *)b, key, value)
    {
        if (!may_differ(key) && !json_object_get(a, key))
            return key;
    }
    return NULL;
}

/* Why two runs are no two seeds of one recipe. */
struct unlike {
    int run, other;
    const char *key; /* of their recipes; NULL: they have one seed */
};

/* Of runs first … first + n; false: they are seeds of one recipe. */
static bool find_unlike(struct unlike *u, const struct findings *f, int first, int n)
{
    for (int i = first + 1; i < first + n; i++) {
        const struct run *a = &f->runs[first], *b = &f->runs[i];
        const char *key = a->recipe && b->recipe ? first_difference(a->recipe, b->recipe) : NULL;
        *u = (struct unlike){i, first, key};
        if (key)
            return true;
        for (int k = first; k < i; k++) {
            u->other = k;
            if (b->seed >= 0 && f->runs[k].seed == b->seed)
                return true;
        }
    }
    return false;
}

static int check_seeds(const struct findings *f, int first, int n, struct err *err)
{
    struct unlike u;
    if (!find_unlike(&u, f, first, n))
        return ERR_NONE;
    const struct run *a = &f->runs[u.other], *b = &f->runs[u.run];
    if (u.key)
        return err_set(err, ERR_USAGE, b->path,
                       "is no other seed of %s: their recipes differ in \"%s\"; name two runs, or "
                       "two experiments of `grpo run`, to have them compared",
                       a->path, u.key);
    return err_set(err, ERR_USAGE, b->path,
                   "has seed %lld, as %s has: give each seed once, or name these two alone to have "
                   "them compared",
                   b->seed, a->path);
}

static int check_request(const struct report_request *q, struct err *err)
{
    if (q->n_runs < 1)
        return err_set(err, ERR_USAGE, "", "which run folders? `grpo report RUN...`");
    if (q->n_runs > REPORT_MAX_RUNS)
        return err_set(err, ERR_USAGE, "", "%d run folders; at most %d make one report", q->n_runs,
                       REPORT_MAX_RUNS);
    if (q->compare && q->n_runs != 2)
        return err_set(err, ERR_USAGE, "--compare", "takes two folders, not %d", q->n_runs);
    return ERR_NONE;
}

static int by_seed(const void *a, const void *b)
{
    const struct run *x = a, *y = b;
    if (x->seed != y->seed)
        return x->seed < y->seed ? -1 : 1;
    return strcmp(x->path, y->path);
}

static int read_runs(struct findings *f, const struct report_request *q, struct err *err)
{
    struct gathered *g = &f->sources;
    int status = gather(g, q->runs, q->n_runs, REPORT_MAX_RUNS, err);
    if (status)
        return status;
    f->runs = mem_calloc((size_t)g->n, sizeof *f->runs);
    if (!f->runs)
        return err_no_memory(err, "the runs", 0);
    for (int i = 0; i < g->n && !status; i++) {
        status = run_read(&f->runs[i], g->paths[i], err);
        f->n_runs += !status;
    }
    for (int i = 0; i < g->n_sources && !status; i++)
        if (g->sources[i].empty)
            findings_warn(f, -1, "%.80s holds %d seed folders without a run in them: left out.",
                          g->sources[i].name, g->sources[i].empty);
    if (!status && q->baseline_eval)
        status = evaluation_read(&f->baseline, q->baseline_eval, err);
    return status;
}

/* Whether two folders are compared: asked for, experiments, or runs that nothing else can be. */
static void decide(struct findings *f, const struct report_request *q)
{
    const struct source *s = f->sources.sources;
    struct unlike u;
    f->compare = q->compare;
    if (f->compare || f->sources.n_sources != 2)
        return;
    if (s[0].experiment || s[1].experiment)
        f->why_compare = "Two experiments: the second is compared with the first.";
    else if (!find_unlike(&u, f, 0, 2))
        return;
    else if (u.key)
        f->why_compare =
            findings_text(f,
                          "Compared, the second with the first, because they are no "
                          "two seeds of one recipe: their recipes differ in \"%.80s\".",
                          u.key);
    else
        f->why_compare = findings_text(f,
                                       "Compared, the second with the first, because they are no "
                                       "two seeds of one recipe: both have seed %lld.",
                                       f->runs[1].seed);
    f->compare = true;
}

/* Run i of the one is run i of the other: the same seed, unless each has but one run. */
static int check_pairs(const struct findings *f, struct err *err)
{
    const struct source *a = &f->sources.sources[0], *b = &f->sources.sources[1];
    const struct run *x = f->runs, *y = f->runs + a->n;
    int status = check_seeds(f, 0, a->n, err);
    if (!status)
        status = check_seeds(f, a->n, b->n, err);
    if (status || (a->n == 1 && b->n == 1))
        return status;
    for (int i = 0, k = 0; i < a->n || k < b->n; i++, k++) {
        bool here = i < a->n, there = k < b->n;
        if (here && there && x[i].seed == y[k].seed && x[i].seed >= 0)
            continue;
        bool lacks = here && (!there || x[i].seed < y[k].seed);
        long long seed = lacks ? x[i].seed : y[k].seed;
        if (seed < 0)
            return err_set(err, ERR_INPUT, lacks ? x[i].path : y[k].path,
                           "its run.json tells no seed, so nothing says which run it pairs with");
        return err_set(
            err, ERR_USAGE, lacks ? b->path : a->path,
            "has no run of seed %lld, which %s has (%d and %d runs): two experiments are "
            "compared seed by seed; name the run folders of one seed of each to compare "
            "those",
            seed, lacks ? a->path : b->path, a->n, b->n);
    }
    return ERR_NONE;
}

/* Seeds that lie in one folder are an experiment, and it has the folder's name. */
static const char *title_of(struct findings *f)
{
    const char *name = path_part(&f->arena, f->runs[0].path, true);
    bool together =
        f->n_runs > 1 && name && *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
    f->no_memory = f->no_memory || !name;
    for (int i = 1; i < f->n_runs && together; i++) {
        const char *other = path_part(&f->arena, f->runs[i].path, true);
        f->no_memory = f->no_memory || !other;
        together = other && strcmp(other, name) == 0;
    }
    return together ? name : f->runs[0].name;
}

static int arrange(struct findings *f, const struct report_request *q, struct err *err)
{
    const struct source *s = f->sources.sources;
    decide(f, q);
    if (!f->compare) {
        qsort(f->runs, (size_t)f->n_runs, sizeof *f->runs, by_seed);
        findings_name_runs(f);
        f->title = title_of(f);
        return check_seeds(f, 0, f->n_runs, err);
    }
    if (q->baseline_eval)
        return err_set(err, ERR_USAGE, "--baseline-eval",
                       "has no use where two are compared: the first is what stands before");
    qsort(f->runs, (size_t)s[0].n, sizeof *f->runs, by_seed);
    qsort(f->runs + s[0].n, (size_t)s[1].n, sizeof *f->runs, by_seed);
    f->pairs = s[0].n;
    bool alike = strcmp(s[0].name, s[1].name) == 0;
    for (int i = 0; i < 2; i++)
        f->side[i] = alike ? s[i].path : s[i].name;
    findings_name_runs(f);
    return check_pairs(f, err);
}

static int find_all(struct findings *f, const struct report_request *q, struct err *err)
{
    f->baseline_file = q->baseline_eval;
    int status = read_runs(f, q, err);
    if (!status)
        status = arrange(f, q, err);
    if (!status)
        status = findings_best(f, err);
    if (!status)
        status = findings_results(f, err);
    if (!status && f->compare && !f->headline)
        status = err_set(err, ERR_INPUT, q->runs[1], "cannot be compared with %s: %s", q->runs[0],
                         f->n_warnings ? f->warnings[f->n_warnings - 1].text
                                       : "they have no evaluations of the same rows");
    if (!status)
        status = findings_shared(f, err);
    if (!status)
        status = findings_questions(f, err);
    if (!status)
        status = findings_attribution(f, err);
    if (!status)
        findings_warnings(f);
    return !status && f->no_memory ? err_no_memory(err, "the report", 0) : status;
}

static int lay_out(const struct findings *f, const struct report_texts *out, struct err *err)
{
    struct doc d = {0};
    int status = ERR_NONE;
    if (out->markdown || out->html) {
        status = page_write(&d, f, err);
        if (!status && out->markdown)
            str_append(out->markdown, str_text(&d.md), d.md.length);
        if (!status && out->html)
            str_append(out->html, str_text(&d.html), d.html.length);
        doc_free(&d);
    }
    if (!status && out->json)
        object_write(out->json, f);
    if (!status && out->summary)
        page_summary(out->summary, f);
    struct str *const texts[] = {out->markdown, out->html, out->json, out->summary};
    for (size_t i = 0; i < sizeof texts / sizeof *texts && !status; i++)
        if (texts[i] && texts[i]->failed)
            status = err_no_memory(err, "the report", texts[i]->length);
    return status;
}

int report_write(const struct report_request *q, const struct report_texts *out, struct err *err)
{
    struct findings f = {0};
    int status = check_request(q, err);
    if (!status)
        status = find_all(&f, q, err);
    if (!status)
        status = lay_out(&f, out, err);
    findings_free(&f);
    return status;
}

static int write_file(const char *folder, const char *name, const struct str *text, struct err *err)
{
    struct str path = {0};
    path_join(&path, folder, name);
    int status = path.failed
                     ? err_no_memory(err, name, path.capacity)
                     : file_write_atomic(str_text(&path), str_text(text), text->length, err);
    str_free(&path);
    return status;
}

int report_files(const struct report_request *q, const char *out_folder,
                 const struct report_texts *also, struct err *err)
{
    struct str md = {0}, html = {0};
    struct report_texts texts = *also;
    texts.markdown = &md;
    texts.html = &html;
    int status = report_write(q, &texts, err);
    if (!status)
        status = dir_make(out_folder, err);
    if (!status)
        status = write_file(out_folder, "report.md", &md, err);
    if (!status)
        status = write_file(out_folder, "report.html", &html, err);
    str_free(&md);
    str_free(&html);
    return status;
}

int report_make(const char *const *runs, int n, const char *out_folder, struct err *err)
{
    return report_files(&(struct report_request){.runs = runs, .n_runs = n}, out_folder,
                        &(struct report_texts){0}, err);
}
