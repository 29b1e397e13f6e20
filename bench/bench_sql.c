/* bench_sql.c: queries a second through the worker processes of `sql_exec`, two of them, asked by
 * two threads: the synthetic shop's questions with the answers of its corpus and their references,
 * first as queries alone, then as whole scores (a right answer is three queries).
 *
 *   build/release/bench/bench_sql [seconds for each, default 3] */
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "data/synth.h"
#include "reward/reward.h"
#include "reward/sql_worker.h"

enum { WORKERS = 2, ROWS = 60, KINDS = 4, MAX_SQL = 2000 };

struct bench {
    char database[300];
    sql_pool *pool;
    reward *reward;
    json_t *rows[ROWS];
    char texts[ROWS][KINDS][MAX_SQL]; /* right with words, right and bare, wrong, broken */
    int n;
    bool whole; /* scores, not queries alone */
    double until;
};

struct asker {
    struct bench *b;
    int first;
    size_t done, failed;
};

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static const char *sql_of(const struct bench *b, int row)
{
    return json_string_value(json_object_get(json_object_get(b->rows[row], "reference"), "sql"));
}

static bool ask_query(struct bench *b, int row)
{
    const char *sql = sql_of(b, row);
    struct sql_request request = {.database = b->database,
                                  .sql = sql,
                                  .length = strlen(sql),
                                  .budget = {1000000, 32 << 20, 1000, 1 << 20}};
    struct sql_result result;
    sql_pool_run(b->pool, &request, &result);
    bool ran = result.outcome == SQL_RAN;
    sql_result_free(&result);
    return ran;
}

static bool ask_score(struct bench *b, int row, int kind)
{
    const char *text = b->texts[row][kind];
    struct reward_input in = {.prompt = "Quantos pedidos?",
                              .prompt_length = 16,
                              .completion = text,
                              .completion_length = strlen(text),
                              .row = b->rows[row]};
    struct reward_result result;
    reward_evaluate(b->reward, &in, &result, NULL);
    return result.status == REWARD_OK;
}

static void *ask(void *context)
{
    struct asker *a = context;
    struct bench *b = a->b;
    for (int i = a->first; seconds() < b->until; i++) {
        int row = i % b->n;
        a->failed += b->whole ? !ask_score(b, row, i / b->n % KINDS) : !ask_query(b, row);
        a->done++;
    }
    return NULL;
}

static int measure(struct bench *b, bool whole, double duration)
{
    struct asker askers[WORKERS];
    pthread_t threads[WORKERS];
    size_t done = 0, failed = 0;
    b->whole = whole;
    for (int i = 0; i < b->n; i++) /* references are run once, databases opened */
        failed += whole ? !ask_score(b, i, 0) : !ask_query(b, i);
    double start = seconds();
    b->until = start + duration;
    for (int i = 0; i < WORKERS; i++) {
        askers[i] = (struct asker){.b = b, .first = i * 7};
        if (pthread_create(&threads[i], NULL, ask, &askers[i]))
            return 1;
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        done += askers[i].done;
        failed += askers[i].failed;
    }
    printf("%-22s %8.0f a second (%zu failed)\n", whole ? "completions scored" : "queries run",
           (double)done / (seconds() - start), failed);
    return failed != 0;
}

static int read_rows(struct bench *b, const char *folder, struct err *err)
{
    struct str text = {0}, path = {0};
    int status = file_read(&text, path_join(&path, folder, "eval.jsonl"), err);
    const char *at = str_text(&text);
    while (!status && *at && b->n < ROWS) {
        size_t length = strcspn(at, "\n");
        json_t *row = json_read(at, length, 0, "eval.jsonl", err);
        at += length + (at[length] == '\n');
        if (!row)
            status = err->code;
        else if (strcmp(json_string_value(json_object_get(row, "task")), "sql_qa") == 0)
            b->rows[b->n++] = row;
        else
            json_decref(row);
    }
    str_free(&text);
    str_free(&path);
    return status;
}

static void make_texts(struct bench *b)
{
    for (int i = 0; i < b->n; i++) {
        const char *sql = sql_of(b, i);
        snprintf(b->texts[i][0], MAX_SQL,
                 "```sql\n%s;\n```\nA consulta mostra o total do período e ajuda a loja.", sql);
        snprintf(b->texts[i][1], MAX_SQL, "%s", sql);
        snprintf(b->texts[i][2], MAX_SQL,
                 "```sql\nSELECT COUNT(*) FROM pedidos WHERE id > %d;\n```\nA consulta conta.", i);
        snprintf(b->texts[i][3], MAX_SQL, "```sql\n%s;\n```", sql + 8);
    }
}

int main(int argc, char **argv)
{
    if (sql_worker_asked(argc, argv))
        return sql_worker_main();
    static struct bench b; /* texts: too large for a stack */
    char folder[] = "/tmp/grpo-bench-XXXXXX", params[400];
    struct err err = {0};
    struct synth_result result;
    double duration = argc > 1 ? strtod(argv[1], NULL) : 3;
    if (!mkdtemp(folder))
        return 1;
    struct synth_options options = {.out = folder, .seed = 1, .eval = ROWS};
    int status = synth_run(&options, &result, &err);
    if (!status)
        status = read_rows(&b, folder, &err);
    snprintf(b.database, sizeof b.database, "%s/shop.sqlite", folder);
    snprintf(params, sizeof params, "{\"folder\": \"%s\", \"workers\": %d}", folder, WORKERS);
    json_t *json = json_loads(params, 0, NULL);
    if (!status)
        status = reward_create(&b.reward, "sql_exec", json, &err);
    if (!status)
        status = sql_pool_create(&b.pool, WORKERS, &err);
    make_texts(&b);
    if (!status && (measure(&b, false, duration) || measure(&b, true, duration)))
        status = 1;
    if (err.code)
        fprintf(stderr, "%s: %s\n", err.where, err.message);
    sql_pool_free(b.pool);
    reward_free(b.reward);
    json_decref(json);
    for (int i = 0; i < b.n; i++)
        json_decref(b.rows[i]);
    if (dir_remove(folder, &err))
        fprintf(stderr, "%s: %s\n", err.where, err.message);
    return status;
}
