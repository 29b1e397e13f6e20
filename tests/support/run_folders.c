/* run_folders.c: see run_folders.h. */
#include "run_folders.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "base/err.h"
#include "base/file.h"

static const char *const tasks[RUN_TASKS] = {"sql_qa", "insights"};

struct run_spec run_improved(const char *name, int seed, double shift)
{
    return (struct run_spec){
        .name = name,
        .seed = seed,
        .shift = shift,
        .start = {0.2, 0.5},
        .n_steps = 2,
        .steps = {{0, {{0, 0}, {0, 0}}}, {10, {{0.3, 0.5}, {0.2, 0.3}}}},
    };
}

void run_put(const char *run, const char *file, const char *text)
{
    struct err err = {0};
    struct str path = {0}, folder = {0};
    path_join(&path, run, file);
    str_puts(&folder, str_text(&path));
    *strrchr(folder.data, '/') = 0;
    if (dir_make(folder.data, &err) || file_write_atomic(str_text(&path), text, strlen(text), &err))
        fail_msg("%s: %s", err.where, err.message);
    str_free(&path);
    str_free(&folder);
}

static double value_of(const struct run_spec *s, int k, int task, int row)
{
    double shift = k ? s->shift : 0;
    return s->start[task] + s->steps[k].gain[task][row % 2] + shift;
}

static void put_evaluation(struct str *out, const struct run_spec *s, int k)
{
    str_printf(out, "{\"data_sha256\": \"abc\", \"step\": %d, \"temperature\": 0.0, \"rows\": [",
               s->steps[k].step);
    for (int t = 0; t < RUN_TASKS; t++) {
        for (int i = 0; i < (s->rows ? s->rows : RUN_ROWS); i++) {
            double value = value_of(s, k, t, i);
            str_printf(
                out, "%s{\"id\": \"%s-%d\", \"task\": \"%s\", \"value\": %.17g, \"text\": %s",
                t || i ? ", " : "", tasks[t], i, tasks[t], value, s->text ? s->text : "\"texto\"");
            if (s->component)
                str_printf(out, ", \"components\": {\"%s\": %.17g}", s->component, value / 2);
            str_puts(out, "}");
        }
    }
    str_puts(out, "]}\n");
}

static double task_mean(const struct run_spec *s, int k, int task)
{
    return (value_of(s, k, task, 0) + value_of(s, k, task, 1)) / 2;
}

static void put_metrics(struct str *out, const struct run_spec *s)
{
    for (int k = 0; k < s->n_steps; k++) {
        double a = task_mean(s, k, 0), b = task_mean(s, k, 1);
        str_printf(out,
                   "{\"step\": %d, \"eval/mean_reward\": %.17g, \"eval/mean_reward_se\": 0.01, "
                   "\"eval/sql_qa\": %.17g, \"eval/sql_qa_se\": 0.01, \"eval/insights\": %.17g, "
                   "\"eval/insights_se\": 0.01, \"reward\": %.17g, \"epoch\": 1.5, "
                   "\"sampler/sql_qa_weight\": 0.5, \"sampler/insights_weight\": 0.5}\n",
                   s->steps[k].step, (a + b) / 2, a, b, (a + b) / 2);
    }
}

const char *run_write(const char *folder, const struct run_spec *s)
{
    static char paths[8][600];
    static int next;
    char *run = paths[next = (next + 1) % 8], file[80];
    struct str text = {0};
    snprintf(run, sizeof paths[0], "%s/%s", folder, s->name);
    str_printf(
        &text,
        "{\"version\": \"0.1.0\", \"seed\": %d, \"max_steps\": %d, \"recipe_hash\": \"h\"%s, "
        "\"recipe\": {\"model\": \"m\", \"seed\": %d, \"rewards\": {\"sql_qa\": [\"new\", "
        "{\"name\": \"old\", \"weight\": 0}]}, \"metric_for_best_model\": "
        "\"eval/mean_reward\"%s}}\n",
        s->seed, s->steps[s->n_steps - 1].step, s->about ? s->about : "", s->seed,
        s->recipe ? s->recipe : "");
    run_put(run, "run.json", str_text(&text));
    str_clear(&text);
    put_metrics(&text, s);
    run_put(run, "metrics.jsonl", str_text(&text));
    run_put(run, "timing.jsonl", "{\"step\": 10, \"step_time\": 2.5, \"eval_time\": 0.5}\n");
    for (int k = 0; k < s->n_steps; k++) {
        str_clear(&text);
        put_evaluation(&text, s, k);
        snprintf(file, sizeof file, "eval/step-%d.json", s->steps[k].step);
        run_put(run, file, str_text(&text));
        if (s->test && (k == 0 || k + 1 == s->n_steps))
            run_put(run, k ? "test-after.json" : "test-before.json", str_text(&text));
    }
    str_free(&text);
    return run;
}

/* --- XML --- */

static bool is_void(const char *name, size_t n)
{
    return (n == 4 && strncmp(name, "meta", 4) == 0) || (n == 2 && strncmp(name, "br", 2) == 0);
}

/* Past the attributes of a tag; *closed: it ends in "/>". */
static const char *skip_attributes(const char *at, bool *closed)
{
    for (;;) {
        while (isspace((unsigned char)*at))
            at++;
        if (*at == '>' || (*at == '/' && at[1] == '>'))
            break;
        size_t n = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-:");
        if (!n || at[n] != '=' || at[n + 1] != '"')
            fail_msg("an attribute that is none: %.60s", at);
        const char *end = strchr(at + n + 2, '"');
        if (!end || memchr(at, '<', (size_t)(end - at)))
            fail_msg("an attribute without an end: %.60s", at);
        at = end + 1;
    }
    *closed = *at == '/';
    return at + (*closed ? 2 : 1);
}

static void expect_entity(const char *at)
{
    static const char *const known[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(at, known[i], strlen(known[i])) == 0)
            return;
    fail_msg("no entity: %.40s", at);
}

void expect_well_formed(const char *text)
{
    enum { DEEP = 64 };
    const char *open[DEEP];
    size_t length[DEEP];
    int depth = 0;
    if (strncmp(text, "<!DOCTYPE html>", 15) == 0)
        text += 15;
    for (const char *at = text; *at;) {
        if (*at == '&')
            expect_entity(at);
        if (*at != '<') {
            at++;
            continue;
        }
        bool closing = at[1] == '/', closed = false;
        const char *name = at + 1 + closing;
        size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789");
        if (!n)
            fail_msg("no tag: %.40s", at);
        at = skip_attributes(name + n, &closed);
        if (closing) {
            if (!depth || length[depth - 1] != n || strncmp(open[depth - 1], name, n) != 0)
                fail_msg("</%.*s> closes nothing: %.60s", (int)n, name, at);
            depth--;
        } else if (!closed && !is_void(name, n)) {
            assert_true(depth < DEEP);
            open[depth] = name;
            length[depth++] = n;
        }
    }
    if (depth)
        fail_msg("<%.*s> is never closed", (int)length[depth - 1], open[depth - 1]);
}
