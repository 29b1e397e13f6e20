/* bench_rewards.c: completions a second. For each reward: the reward alone, and `grpo score` from a
 * file to /dev/null (reading, JSON, reward, writing), on one thread and by processor time, so that
 * other programs do not count; and `grpo score` on all threads by the clock. The completions are
 * the reward's own gold and near-miss fixtures, over and over; a reward without fixtures gets those
 * of insights. Rewards whose fixtures need a database are left out.
 *
 *   build/release/bench/bench_rewards [NAME]
 *
 * Best of three. The goal for rewards that run no SQL is 20,000/s by the clock on two idle cores.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "reward/fixtures.h"
#include "reward/line.h"

enum { MAX_ROWS = 500, LINES = 20000, CALLS = 10000, REPEATS = 3 };

struct work {
    const char *name;
    json_t *rows[MAX_ROWS];
    int n;
    json_t *params;
    reward *reward;
    double bytes; /* mean length of a completion */
};

static bool keep(struct work *w, const json_t *row)
{
    const char *kind = json_string_value(json_object_get(row, "kind"));
    if (!kind || (strcmp(kind, "gold") != 0 && strcmp(kind, "near_miss") != 0) || w->n == MAX_ROWS)
        return false;
    w->bytes += (double)json_string_length(json_object_get(row, "completion"));
    return true;
}

/* false: not for this bench. */
static bool read_work(struct work *w, const char *name, struct err *err)
{
    struct slice text = fixtures_shipped(name);
    bool own = text.data != NULL;
    *w = (struct work){.name = name};
    text = own ? text : fixtures_shipped("insights");
    for (const char *at = text.data, *end = at + text.length; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *stop = newline ? newline : end;
        json_t *row = json_read(at, (size_t)(stop - at), JSON_NUL_ALLOWED, name, err);
        at = stop + 1;
        if (row && keep(w, row))
            w->rows[w->n++] = json_incref(row);
        json_decref(row);
    }
    w->bytes /= w->n;
    if (!w->n || json_object_get(w->rows[0], "database_sql"))
        return false;
    w->params = own ? json_incref(json_object_get(w->rows[0], "params")) : NULL;
    if (!w->params && strcmp(name, "length") == 0)
        w->params = json_pack("{s:i,s:i}", "min", 20, "max", 400);
    if (!w->params && strcmp(name, "regex") == 0)
        w->params = json_pack("{s:s}", "pattern", "\\d+(,\\d+)?%");
    return reward_create(&w->reward, name, w->params, err) == 0;
}

static void free_work(struct work *w)
{
    for (int i = 0; i < w->n; i++)
        json_decref(w->rows[i]);
    json_decref(w->params);
    reward_free(w->reward);
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The reward alone: completions a second. */
static double evaluate_rate(const struct work *w)
{
    struct reward_line lines[MAX_ROWS] = {0};
    double best = 0;
    for (int i = 0; i < w->n; i++)
        reward_line_read(&lines[i], w->rows[i], w->rows[i], NULL);
    for (int r = 0; r < REPEATS; r++) {
        double start = seconds(CLOCK_PROCESS_CPUTIME_ID);
        for (int i = 0; i < CALLS; i++) {
            struct reward_result result;
            reward_evaluate(w->reward, &lines[i % w->n].in, &result, NULL);
        }
        best = fmax(best, CALLS / (seconds(CLOCK_PROCESS_CPUTIME_ID) - start));
    }
    for (int i = 0; i < w->n; i++)
        reward_line_free(&lines[i]);
    return best;
}

static int write_lines(const struct work *w, const char *path, struct err *err)
{
    struct str text = {0};
    struct json_writer out;
    for (int i = 0; i < LINES; i++) {
        jw_begin(&out, &text);
        jw_value(&out, w->rows[i % w->n]);
        str_putc(&text, '\n');
    }
    int status = text.failed ? err_no_memory(err, path, text.length)
                             : file_write_atomic(path, str_text(&text), text.length, err);
    str_free(&text);
    return status;
}

/* The command, as it is run from the shell; our standard output is /dev/null meanwhile. */
static int score_rate(double *rate, const struct work *w, const char *path, bool all,
                      struct err *err)
{
    clockid_t clock = all ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID;
    char *params = w->params ? json_dumps(w->params, JSON_COMPACT) : NULL;
    char *words[] = {"--reward",  (char *)(uintptr_t)w->name,
                     "--input",   (char *)(uintptr_t)path,
                     "--threads", all ? "0" : "1",
                     "--params",  params};
    struct common common;
    void *options = mem_calloc(1, command_score.options_size);
    int status = options ? args_parse(&command_score, &common, options, params ? 8 : 6, words, err)
                         : err_no_memory(err, "options", command_score.options_size);
    *rate = 0;
    for (int r = 0; r < REPEATS && !status; r++) {
        double start = seconds(clock);
        status = command_score.run(&common, options, err);
        *rate = fmax(*rate, LINES / (seconds(clock) - start));
    }
    mem_free(options);
    mem_free(params);
    return status;
}

static int measure(FILE *report, const char *name, const char *path, struct err *err)
{
    struct work w;
    int status = ERR_NONE;
    double one = 0, all = 0;
    if (read_work(&w, name, err)) {
        double alone = evaluate_rate(&w);
        status = write_lines(&w, path, err);
        if (!status)
            status = score_rate(&one, &w, path, false, err);
        if (!status)
            status = score_rate(&all, &w, path, true, err);
        if (!status)
            fprintf(report, "%-14s %9.0f bytes %12.0f/s %12.0f/s %12.0f/s\n", name, w.bytes, alone,
                    one, all);
        fflush(report);
    }
    free_work(&w);
    return status;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    char path[] = "/tmp/bench-rewards-XXXXXX";
    int out = dup(STDOUT_FILENO), made = mkstemp(path);
    FILE *report = out >= 0 ? fdopen(out, "w") : NULL;
    if (!report || made < 0 || !freopen("/dev/null", "w", stdout)) {
        perror("bench_rewards");
        return 1;
    }
    close(made);
    log_set_quiet(true);
    fprintf(report, "%-14s %15s %14s %14s %14s\n", "reward", "a completion", "alone", "score, one",
            "all, clock");
    int status = ERR_NONE;
    const struct reward_definition *d;
    for (int i = 0; (d = reward_at(i)) && !status; i++)
        if (argc < 2 || strcmp(argv[1], d->name) == 0)
            status = measure(report, d->name, path, &err);
    if (status)
        fprintf(stderr, "%s: %s\n", err.where, err.message);
    unlink(path);
    fclose(report);
    return status;
}
