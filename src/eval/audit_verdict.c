/* audit_verdict.c: what the scores of an audit say, how it is written down, and whether what was
 * written still counts; see audit.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "eval/audit.h"
#include "stats/dist.h"

const char *const audit_verdict_names[] = {"pass", "fail", "undefined", "too_few"};

/* --- verdict --- */

static bool is_pair(const struct audit_item *item)
{
    return item->mark == AUDIT_SCORED && isfinite(item->automatic);
}

/* ρ of the pairs of one task, or of all (NULL). */
static int correlate(struct rank_correlation *out, size_t *n, const struct audit *a,
                     const char *task, size_t least, struct err *err)
{
    double *human = mem_calloc(2 * a->n + 1, sizeof *human);
    if (!human)
        return err_no_memory(err, "the audit's scores", 2 * a->n);
    double *automatic = human + a->n;
    *n = 0;
    for (size_t i = 0; i < a->n; i++) {
        const struct audit_item *item = &a->items[i];
        if (!is_pair(item) || (task && strcmp(item->task, task) != 0))
            continue;
        human[*n] = item->human;
        automatic[(*n)++] = round(item->automatic * 1e9) / 1e9;
    }
    int status = ERR_NONE;
    if (*n < least)
        *out = (struct rank_correlation){NAN, NAN, {NAN, NAN}};
    else
        status = rank_spearman(out, human, automatic, *n, err);
    mem_free(human);
    return status;
}

enum audit_verdict audit_verdict_of(const struct rank_correlation *c, size_t n, size_t rows,
                                    const struct audit_gate *gate)
{
    double value = gate->on_lower_bound ? c->ci.low : c->rho;
    if (n < AUDIT_TASK_MIN || 2 * n < rows)
        return AUDIT_TOO_FEW;
    if (isnan(value))
        return AUDIT_UNDEFINED;
    return value > gate->min_rho ? AUDIT_PASS : AUDIT_FAIL;
}

static int judge_tasks(struct audit_result *out, const struct audit *a, struct err *err)
{
    out->tasks = mem_calloc(a->n + 1, sizeof *out->tasks);
    int status = out->tasks ? ERR_NONE : err_no_memory(err, "the audit's tasks", a->n);
    for (size_t i = 0; i < a->n && !status; i++) {
        const char *name = a->items[i].task;
        size_t t = 0;
        while (t < out->n_tasks && strcmp(out->tasks[t].name, name) != 0)
            t++;
        if (t < out->n_tasks)
            continue;
        struct audit_task *task = &out->tasks[out->n_tasks++];
        task->name = name;
        status = correlate(&task->correlation, &task->n, a, name, AUDIT_TASK_MIN, err);
    }
    return status;
}

int audit_judge(struct audit_result *out, const struct audit *a, const struct audit_gate *gate,
                bool simulated, struct err *err)
{
    *out = (struct audit_result){.rows = a->n, .gate = *gate, .simulated = simulated};
    out->skipped = audit_count(a, AUDIT_SKIPPED);
    for (size_t i = 0; i < a->n; i++)
        out->unscored += !isfinite(a->items[i].automatic);
    int status = correlate(&out->correlation, &out->n, a, NULL, 0, err);
    if (!status)
        status = judge_tasks(out, a, err);
    out->verdict = audit_verdict_of(&out->correlation, out->n, out->rows, gate);
    if (status)
        audit_result_free(out);
    return status;
}

void audit_result_free(struct audit_result *r)
{
    mem_free(r->tasks);
    r->tasks = NULL;
}

struct interval audit_worth(double rho, size_t n)
{
    struct interval worth = {NAN, NAN};
    if (n < 4)
        return worth;
    double half = dist_normal_quantile(0.975) / sqrt((double)n - 3);
    worth.low = tanh(atanh(rho) - half);
    worth.high = tanh(atanh(rho) + half);
    return worth;
}

static void say_correlation(struct str *out, const struct rank_correlation *c)
{
    if (isnan(c->rho))
        str_puts(out, "undefined (all scores of one side are equal)");
    else
        str_printf(out, "%+.2f  p %.3g  95%% [%+.2f, %+.2f]", c->rho, c->p, c->ci.low, c->ci.high);
}

static void say_verdict(struct str *out, const struct audit_result *r)
{
    const struct audit_gate *g = &r->gate;
    const char *what = g->on_lower_bound ? "the lower end of rho's interval" : "rho";
    str_printf(out, "gate: %s > %.2f%s: ", what, g->min_rho,
               r->simulated ? " (SIMULATED scores)" : "");
    if (r->verdict == AUDIT_PASS)
        str_puts(out, "yes\n");
    else if (r->verdict == AUDIT_FAIL)
        str_puts(out, "NO. Look at the rows where the two differ most: a parser that misses, a "
                      "part with too much weight, a row of another task\n");
    else if (r->verdict == AUDIT_UNDEFINED)
        str_puts(out, "NO. One side gave the same score to all, so nothing can be said\n");
    else
        str_printf(out, "NO. Only %zu of %zu completions have both scores\n", r->n, r->rows);
}

void audit_say(struct str *out, const struct audit_result *r)
{
    if (r->simulated)
        str_puts(out, "SIMULATED: a program that knows the synthetic shop's truth gave the human "
                      "scores; no person has seen these completions\n");
    str_printf(out, "%-16s %3s  Spearman's rho between human and automatic scores\n", "task", "n");
    for (size_t t = 0; t < r->n_tasks; t++) {
        const struct audit_task *task = &r->tasks[t];
        str_printf(out, "%-16.60s %3zu  ", task->name[0] ? task->name : "(none)", task->n);
        if (task->n < AUDIT_TASK_MIN)
            str_printf(out, "too few (%d are wanted)", AUDIT_TASK_MIN);
        else
            say_correlation(out, &task->correlation);
        str_putc(out, '\n');
    }
    str_printf(out, "%-16s %3zu  ", "all", r->n);
    say_correlation(out, &r->correlation);
    str_putc(out, '\n');
    if (r->skipped || r->unscored)
        str_printf(out, "left out: %zu skipped, %zu without an automatic score\n", r->skipped,
                   r->unscored);
    struct interval worth = audit_worth(0.7, r->n);
    if (!isnan(worth.low))
        str_printf(out,
                   "what rho = 0.70 at n = %zu is worth: the true one is between %.2f and %.2f "
                   "(95%%)\n",
                   r->n, worth.low, worth.high);
    say_verdict(out, r);
}

/* --- audit.json --- */

static void put_correlation(struct json_writer *w, const struct rank_correlation *c)
{
    jw_key(w, "rho");
    jw_double(w, c->rho);
    jw_key(w, "p");
    jw_double(w, c->p);
    jw_key(w, "ci95");
    jw_array_begin(w);
    jw_double(w, c->ci.low);
    jw_double(w, c->ci.high);
    jw_array_end(w);
}

static void put_rows(struct json_writer *w, const struct audit *a)
{
    static const char *const marks[] = {"open", "scored", "skipped"};
    jw_key(w, "rows");
    jw_array_begin(w);
    for (size_t i = 0; i < a->n; i++) {
        const struct audit_item *item = &a->items[i];
        jw_object_begin(w);
        jw_key(w, "id");
        jw_text(w, item->id);
        jw_key(w, "task");
        jw_text(w, item->task);
        jw_key(w, "mark");
        jw_text(w, marks[item->mark]);
        jw_key(w, "human");
        jw_double(w, item->mark == AUDIT_SCORED ? item->human : NAN);
        jw_key(w, "automatic");
        jw_double(w, item->automatic);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void put_tasks(struct json_writer *w, const struct audit_result *r)
{
    jw_key(w, "per_task");
    jw_object_begin(w);
    for (size_t t = 0; t < r->n_tasks; t++) {
        jw_key(w, r->tasks[t].name);
        jw_object_begin(w);
        jw_key(w, "n");
        jw_int(w, (long long)r->tasks[t].n);
        put_correlation(w, &r->tasks[t].correlation);
        jw_object_end(w);
    }
    jw_object_end(w);
}

static void put_identity(struct json_writer *w, const struct audit_identity *id,
                         const char *completions_sha256)
{
    json_t *versions = json_read(str_text(&id->reward_versions), id->reward_versions.length,
                                 JSON_PLAIN, "reward_versions", NULL);
    jw_key(w, "reward_versions");
    if (versions)
        jw_value(w, versions);
    else
        w->out->failed = true; /* our own JSON: only memory can be out */
    json_decref(versions);
    jw_key(w, "model_sha256");
    jw_text(w, id->model_sha256);
    jw_key(w, "prompts_sha256");
    jw_text(w, id->prompts_sha256);
    jw_key(w, "completions_sha256");
    jw_text(w, completions_sha256);
    jw_key(w, "n_per_task");
    jw_int(w, id->per_task);
}

void audit_json(struct str *out, const struct audit *a, const struct audit_result *r,
                const struct audit_identity *id, const char *completions_sha256)
{
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "verdict");
    jw_text(&w, audit_verdict_names[r->verdict]);
    jw_key(&w, "simulated");
    jw_bool(&w, r->simulated);
    put_correlation(&w, &r->correlation);
    jw_key(&w, "n");
    jw_int(&w, (long long)r->n);
    jw_key(&w, "completions");
    jw_int(&w, (long long)r->rows);
    jw_key(&w, "skipped");
    jw_int(&w, (long long)r->skipped);
    jw_key(&w, "unscored");
    jw_int(&w, (long long)r->unscored);
    jw_key(&w, "audit_min_rho");
    jw_double(&w, r->gate.min_rho);
    jw_key(&w, "audit_gate_on_lower_bound");
    jw_bool(&w, r->gate.on_lower_bound);
    put_tasks(&w, r);
    put_identity(&w, id, completions_sha256);
    put_rows(&w, a);
    jw_object_end(&w);
    str_putc(out, '\n');
}

/* --- does it still count? --- */

/* NaN where it is null. */
static int number_of(double *out, const json_t *o, const char *key, const char *path,
                     struct err *err)
{
    *out = NAN;
    return json_get_double(out, o, key, false, path, err);
}

static int read_figures(struct audit_state *out, size_t *rows, const json_t *o, const char *path,
                        struct err *err)
{
    long long n = 0, completions = 0;
    const json_t *ci = json_object_get(o, "ci95");
    int status = number_of(&out->correlation.rho, o, "rho", path, err);
    if (!status)
        status = number_of(&out->correlation.p, o, "p", path, err);
    if (!status)
        status = json_get_int(&n, o, "n", true, path, err);
    if (!status)
        status = json_get_int(&completions, o, "completions", true, path, err);
    if (!status)
        status = json_get_bool(&out->simulated, o, "simulated", true, path, err);
    if (!status &&
        (n < 0 || completions < n || json_array_size(ci) != 2 || fabs(out->correlation.rho) > 1))
        status = err_set(err, ERR_INPUT, path,
                         "holds no audit's numbers; expected rho within -1 and 1, ci95 of two, "
                         "0 <= n <= completions: remove the file and run `grpo audit` again");
    const json_t *low = json_array_get(ci, 0), *high = json_array_get(ci, 1);
    out->correlation.ci.low = json_is_number(low) ? json_number_value(low) : NAN;
    out->correlation.ci.high = json_is_number(high) ? json_number_value(high) : NAN;
    out->n = (size_t)n;
    *rows = (size_t)completions;
    return status;
}

/* What differs from today, named; "" where nothing does. */
static int compare_identity(struct str *differs, const json_t *o, const struct audit_identity *now,
                            const char *folder, const char *path, struct err *err)
{
    const char *of_model, *prompts, *completions;
    const json_t *versions = json_object_get(o, "reward_versions");
    struct str file = {0};
    char hash[65] = "";
    int status = json_get_string(&of_model, o, "model_sha256", true, path, err);
    if (!status)
        status = json_get_string(&prompts, o, "prompts_sha256", true, path, err);
    if (!status)
        status = json_get_string(&completions, o, "completions_sha256", true, path, err);
    if (status)
        return status;
    long long asked = AUDIT_PER_TASK; /* of files from before it was written down */
    status = json_get_int(&asked, o, "n_per_task", false, path, err);
    if (status)
        return status;
    json_t *today = json_read(str_text(&now->reward_versions), now->reward_versions.length,
                              JSON_PLAIN, "reward_versions", err);
    if (!today)
        return (int)err->code;
    if (!json_equal(today, versions))
        str_puts(differs, ", the rewards (versions, parameters or files)");
    if (strcmp(of_model, now->model_sha256) != 0)
        str_puts(differs, ", the model");
    if (asked < now->per_task)
        str_printf(differs, ", the completions a task (%lld, expected %d or more)", asked,
                   now->per_task);
    else if (strcmp(prompts, now->prompts_sha256) != 0)
        str_puts(differs, ", the prompts or how they are sampled");
    path_join(&file, folder, "audit/completions.jsonl");
    if (!file_exists(str_text(&file)))
        str_puts(differs, ", completions.jsonl (gone)");
    else if (!(status = sha256_file(hash, str_text(&file), err)) && strcmp(hash, completions) != 0)
        str_puts(differs, ", completions.jsonl");
    if (!status && (differs->failed || file.failed))
        status = err_no_memory(err, path, file.capacity);
    str_free(&file);
    json_decref(today);
    return status;
}

static void explain(struct audit_state *out, const struct str *differs,
                    const struct audit_gate *gate, size_t rows)
{
    const char *what = out->simulated ? "simulated audit" : "audit";
    if (out->found == AUDIT_STALE)
        snprintf(out->why, sizeof out->why,
                 "the %s is stale: changed since are %.200s. Run `grpo audit` again%s", what,
                 str_text(differs) + 2,
                 strstr(str_text(differs), "the rewards") && !strstr(str_text(differs), "the model")
                     ? "; human scores of the same completions are kept"
                     : "");
    else
        snprintf(out->why, sizeof out->why,
                 "%s: rho %.3f, 95%% [%.3f, %.3f], %zu of %zu completions; expected %s > %.2f: %s",
                 what, out->correlation.rho, out->correlation.ci.low, out->correlation.ci.high,
                 out->n, rows, gate->on_lower_bound ? "the interval's lower end" : "rho",
                 gate->min_rho, audit_verdict_names[out->verdict]);
}

static int check_object(struct audit_state *out, const json_t *o, const char *folder,
                        const char *path, const struct audit_identity *now,
                        const struct audit_gate *gate, struct err *err)
{
    struct str differs = {0};
    size_t rows = 0;
    int status = read_figures(out, &rows, o, path, err);
    if (!status)
        status = compare_identity(&differs, o, now, folder, path, err);
    if (!status) {
        out->found = differs.length ? AUDIT_STALE : AUDIT_CURRENT;
        out->verdict = audit_verdict_of(&out->correlation, out->n, rows, gate);
        out->passed = out->found == AUDIT_CURRENT && out->verdict == AUDIT_PASS;
        explain(out, &differs, gate, rows);
    }
    str_free(&differs);
    return status;
}

int audit_asked_per_task(const char *folder)
{
    enum { MOST = 1000 };
    struct str path = {0}, text = {0};
    long long asked = AUDIT_PER_TASK;
    const char *file = path_join(&path, folder, "audit/audit.json");
    json_t *o = NULL;
    if (!path.failed && file_exists(file) && !file_read(&text, file, NULL))
        o = json_read(str_text(&text), text.length, JSON_UNIQUE_KEYS, file, NULL);
    if (o && json_get_int(&asked, o, "n_per_task", false, file, NULL)) /* audit_check says so */
        asked = AUDIT_PER_TASK;
    json_decref(o);
    str_free(&path);
    str_free(&text);
    return asked > AUDIT_PER_TASK && asked <= MOST ? (int)asked : AUDIT_PER_TASK;
}

int audit_check(const char *folder, const struct audit_identity *now, const struct audit_gate *gate,
                struct audit_state *out, struct err *err)
{
    struct str path = {0}, text = {0};
    *out = (struct audit_state){
        .found = AUDIT_ABSENT, .correlation = {NAN, NAN, {NAN, NAN}}, .verdict = AUDIT_TOO_FEW};
    snprintf(out->why, sizeof out->why, "no audit has been done: run `grpo audit`");
    const char *file = path_join(&path, folder, "audit/audit.json");
    int status = path.failed ? err_no_memory(err, folder, path.capacity) : ERR_NONE;
    if (!status && file_exists(file)) {
        struct err local = {0};
        status = file_read(&text, file, &local);
        json_t *o =
            status ? NULL : json_read(str_text(&text), text.length, JSON_UNIQUE_KEYS, file, &local);
        if (o)
            status = check_object(out, o, folder, file, now, gate, &local);
        else if (!status)
            status = (int)local.code;
        if (status && err)
            *err = local;
        json_decref(o);
    }
    str_free(&path);
    str_free(&text);
    return status;
}
