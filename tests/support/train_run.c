/* train_run.c: see train_run.h. */
#include "train_run.h"
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "eval/eval.h"

int train_evaluate(const struct trainer_eval_call *call, struct metrics *out, struct err *err)
{
    struct eval_request q = {.episode = call->episode,
                             .adapter = call->a,
                             .data = call->data,
                             .max_prompt_tokens = call->max_prompt_tokens,
                             .max_new_tokens = call->o->max_completion_length,
                             .completions = 1,
                             .seed = (uint64_t)call->o->seed,
                             .batch = call->max_sequences};
    struct eval_result result = {0};
    int status = eval_run(&q, &result, err);
    if (!status)
        metrics_add(out, result.overall.numbers.mean, "eval/mean_reward");
    for (int t = 0; !status && t < result.n_tasks; t++)
        if (*result.tasks[t].name)
            metrics_add(out, result.tasks[t].numbers.mean, "eval/%s", result.tasks[t].name);
    eval_free(&result);
    return status;
}

static size_t count_texts(const char *const *list, size_t max)
{
    size_t n = 0;
    while (n < max && list[n])
        n++;
    return n;
}

int train_run(const struct train_run *r, struct trainer_result *result, struct err *err)
{
    recipe *loaded;
    struct train_options o;
    struct device *d;
    struct trainer_result ignored;
    size_t n_sets = count_texts(r->set, sizeof r->set / sizeof *r->set);
    *err = (struct err){0};
    int status = train_recipe_load(&loaded, &o, r->recipe, r->set, n_sets, r->replay != NULL, err);
    if (status)
        return status;
    struct device_options options = {.isa = r->isa,
                                     .precision = (enum precision)o.precision,
                                     .threads = r->threads ? r->threads : 1};
    status = device_open(&d, &options, err);
    if (!status) {
        struct trainer_spec spec = {.o = &o,
                                    .recipe = loaded,
                                    .run = r->run,
                                    .replay = r->replay,
                                    .resume = r->resume,
                                    .allow = r->allow,
                                    .n_allow =
                                        count_texts(r->allow, sizeof r->allow / sizeof *r->allow),
                                    .device = d,
                                    .evaluate = r->evaluate ? r->evaluate : train_evaluate};
        status = trainer_run(&spec, result ? result : &ignored, err);
        device_close(d);
    }
    recipe_free(loaded);
    return status;
}

struct trainer_result train_ok(const struct train_run *r)
{
    struct trainer_result result;
    struct err err;
    if (train_run(r, &result, &err))
        fail_msg("%s: %s: %s", r->run, err.where, err.message);
    return result;
}

const char *in_folder(const char *folder, const char *format, ...)
{
    enum { RING = 8 };
    static char ring[RING][1200];
    static int next;
    char *path = ring[next++ % RING];
    int n = snprintf(path, sizeof ring[0], "%s/", folder);
    va_list args;
    va_start(args, format);
    vsnprintf(path + n, sizeof ring[0] - (size_t)n, format, args);
    va_end(args);
    return path;
}

const char *write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return path;
}

void shell(const char *format, ...)
{
    char command[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

struct str read_bytes(const char *path)
{
    struct str text = {0};
    struct err err;
    if (file_read(&text, path, &err))
        fail_msg("%s: %s", err.where, err.message);
    return text;
}

void same_bytes(const char *path_a, const char *path_b, const char *label)
{
    struct str a = read_bytes(path_a), b = read_bytes(path_b);
    size_t n = a.length < b.length ? a.length : b.length, at = 0;
    while (at < n && a.data[at] == b.data[at])
        at++;
    if (a.length != b.length || at < n)
        fail_msg("%s: %s (%zu bytes) and %s (%zu bytes) part at byte %zu", label, path_a, a.length,
                 path_b, b.length, at);
    str_free(&a);
    str_free(&b);
}

int count_lines(const char *path)
{
    struct str text = read_bytes(path);
    int n = 0;
    for (size_t i = 0; i < text.length; i++)
        n += text.data[i] == '\n';
    str_free(&text);
    return n;
}

json_t *json_line(const char *path, int n)
{
    struct str text = read_bytes(path);
    int wanted = n < 0 ? count_lines(path) + n : n;
    const char *at = str_text(&text);
    for (; wanted > 0 && at; wanted--)
        at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL;
    if (wanted < 0 || !at || !*at)
        fail_msg("%s has no line %d", path, n);
    struct err err;
    json_t *value = json_read(at, strcspn(at, "\n"), JSON_PLAIN, path, &err);
    if (!value)
        fail_msg("%s: %s", path, err.message);
    str_free(&text);
    return value;
}

double metric_at(const char *run, int step, const char *name)
{
    const char *path = in_folder(run, "metrics.jsonl");
    double found = NAN;
    bool there = false;
    for (int i = 0, n = count_lines(path); i < n && !there; i++) {
        json_t *line = json_line(path, i), *value = json_object_get(line, name);
        if (json_integer_value(json_object_get(line, "step")) == step) {
            if (!value)
                fail_msg("%s, step %d, has no %s", path, step, name);
            found = json_is_number(value) ? json_number_value(value) : NAN;
            there = true;
        }
        json_decref(line);
    }
    if (!there)
        fail_msg("%s has no step %d", path, step);
    return found;
}

static json_t *state_without_clocks(const char *run, int step)
{
    json_t *state = json_line(in_folder(run, "checkpoints/step-%d/state.json", step), 0);
    assert_int_equal(json_object_del(state, "timing_bytes"), 0);
    return state;
}

void same_checkpoint(const char *run_a, const char *run_b, int step, const char *label)
{
    static const char *const files[] = {"adapter_model.safetensors", "adapter_config.json",
                                        "optimizer.safetensors"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        same_bytes(in_folder(run_a, "checkpoints/step-%d/%s", step, files[i]),
                   in_folder(run_b, "checkpoints/step-%d/%s", step, files[i]), label);
    json_t *a = state_without_clocks(run_a, step), *b = state_without_clocks(run_b, step);
    if (!json_equal(a, b))
        fail_msg("%s: state.json of step %d differs between %s and %s", label, step, run_a, run_b);
    json_decref(a);
    json_decref(b);
}

void same_run(const char *run_a, const char *run_b, int step, const char *label)
{
    same_bytes(in_folder(run_a, "metrics.jsonl"), in_folder(run_b, "metrics.jsonl"), label);
    same_bytes(in_folder(run_a, "samples.jsonl"), in_folder(run_b, "samples.jsonl"), label);
    same_checkpoint(run_a, run_b, step, label);
}

void no_leftovers(const char *run, const char *label)
{
    char command[2048], found[512] = "";
    snprintf(command, sizeof command,
             "find '%s' -name '.?*' ! -name .lock -o -name '*.tmp.*' -o -name '*.old'", run);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    if (fgets(found, sizeof found, pipe))
        fail_msg("%s: left behind: %s", label, found);
    assert_int_equal(pclose(pipe), 0);
}

int latest_checkpoint(const char *run)
{
    int latest = -1, step;
    DIR *dir = opendir(in_folder(run, "checkpoints"));
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (sscanf(entry->d_name, "step-%d", &step) == 1 && step > latest)
            latest = step;
    if (dir)
        closedir(dir);
    return latest;
}

void expect_error(int status, enum err_code code, const struct err *err, ...)
{
    char all[1400];
    snprintf(all, sizeof all, "%s: %s", err->where, err->message);
    if (status != (int)code)
        fail_msg("status %d instead of %d: %s", status, (int)code, status ? all : "(no error)");
    va_list args;
    va_start(args, err);
    for (const char *text; (text = va_arg(args, const char *));)
        if (!strstr(all, text))
            fail_msg("\"%s\" is not in the error: %s", text, all);
    va_end(args);
}
