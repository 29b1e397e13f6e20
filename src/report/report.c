/* report.c: from run folders to texts; see report.h. Folders are read (run.c), everything is
 * computed (findings.h), then laid out (page.c, object.c). Nothing here looks at a clock. */
#include "report/report.h"
#include <stdio.h>
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

static int check_seeds(const struct findings *f, struct err *err)
{
    for (int i = 1; i < f->n_runs; i++) {
        const struct run *a = &f->runs[0], *b = &f->runs[i];
        const char *key = a->recipe && b->recipe ? first_difference(a->recipe, b->recipe) : NULL;
        if (key)
            return err_set(err, ERR_USAGE, b->path,
                           "is no other seed of %s: their recipes differ in \"%s\"; compare two "
                           "recipes with --compare",
                           a->path, key);
        for (int k = 0; k < i; k++)
            if (b->seed >= 0 && f->runs[k].seed == b->seed)
                return err_set(err, ERR_USAGE, b->path,
                               "has seed %lld, as %s has: give each seed once, or compare two runs "
                               "with --compare",
                               b->seed, f->runs[k].path);
    }
    return ERR_NONE;
}

static int check_request(const struct report_request *q, struct err *err)
{
    if (q->n_runs < 1)
        return err_set(err, ERR_USAGE, "", "which run folders? `grpo report RUN...`");
    if (q->n_runs > REPORT_MAX_RUNS)
        return err_set(err, ERR_USAGE, "", "%d run folders; at most %d make one report", q->n_runs,
                       REPORT_MAX_RUNS);
    if (q->compare && q->n_runs != 2)
        return err_set(err, ERR_USAGE, "--compare", "takes two run folders, not %d", q->n_runs);
    if (q->compare && q->baseline_eval)
        return err_set(err, ERR_USAGE, "--baseline-eval",
                       "has no use with --compare, where the first run is what stands before");
    return ERR_NONE;
}

static int read_runs(struct findings *f, const struct report_request *q, struct err *err)
{
    f->runs = mem_calloc((size_t)q->n_runs, sizeof *f->runs);
    if (!f->runs)
        return err_no_memory(err, "the runs", 0);
    for (int i = 0; i < q->n_runs; i++) {
        int status = run_read(&f->runs[i], q->runs[i], err);
        if (status)
            return status;
        f->n_runs++;
    }
    findings_name_runs(f);
    if (q->baseline_eval)
        return evaluation_read(&f->baseline, q->baseline_eval, err);
    return ERR_NONE;
}

static int find_all(struct findings *f, const struct report_request *q, struct err *err)
{
    f->compare = q->compare;
    f->baseline_file = q->baseline_eval;
    int status = read_runs(f, q, err);
    if (!status && !f->compare)
        status = check_seeds(f, err);
    if (!status)
        status = findings_best(f, err);
    if (!status)
        status = findings_results(f, err);
    if (!status && f->compare && !f->headline)
        status = err_set(err, ERR_INPUT, q->runs[1], "cannot be compared with %s: %s", q->runs[0],
                         f->n_warnings ? f->warnings[0].text
                                       : "they have no evaluations of the same rows");
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
