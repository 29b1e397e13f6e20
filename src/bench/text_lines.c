/* text_lines.c: the tokenizer and the rewards. Their floor is one pass over the bytes. The text is
 * the shipped fixtures of the rewards: Portuguese in JSON. */
#include "base/log.h"
#include "base/mem.h"
#include "bench/bench.h"
#include "reward/fixtures.h"
#include "reward/line.h"

static const char *const reward_names[] = {"extraction", "sql_qa_v2", "insights", "push"};
enum { N_REWARDS = sizeof reward_names / sizeof reward_names[0], MAX_ROWS = 1000, TIMES = 10 };

/* --- tokenizer --- */

struct encoding {
    const tokenizer *t;
    struct str text;
    size_t ids;
};

static int encode(void *context, double *seconds, struct err *err)
{
    struct encoding *e = context;
    struct ids ids = {0};
    double started = clock_seconds();
    int status = tokenizer_encode(e->t, &ids, e->text.data, e->text.length, false, err);
    *seconds = clock_seconds() - started;
    e->ids = ids.count;
    ids_free(&ids);
    return status;
}

static int tokenizer_line(struct bench *b, struct err *err)
{
    struct encoding e = {.t = b->setup.codec.tokenizer};
    double ignored;
    for (int i = 0; i < N_REWARDS; i++) {
        struct slice text = fixtures_shipped(reward_names[i]);
        str_append(&e.text, text.data, text.length);
    }
    int status = e.text.failed ? err_no_memory(err, "text", e.text.capacity)
                               : encode(&e, &ignored, err); /* how many ids there are */
    struct bench_work w = {.part = {{0, (double)e.text.length + (double)e.ids * sizeof(int)}},
                           .n = 1,
                           .items = (double)e.text.length,
                           .unit = "bytes"};
    if (!status)
        status = bench_repeat(b, "tokenizer", encode, &e, &w, err);
    str_free(&e.text);
    return status;
}

/* --- rewards --- */

struct judging {
    reward *rewards[N_REWARDS];
    struct judged {
        const reward *by;
        struct reward_line line;
        json_t *row;
    } rows[MAX_ROWS];
    int n;
};

/* Lines that need a database, or parameters of their own, are left out. */
static int take_line(struct judging *j, const reward *by, const char *text, size_t length,
                     struct err *err)
{
    json_t *row = json_read(text, length, JSON_NUL_ALLOWED, "fixtures", err);
    if (!row)
        return ERR_INPUT;
    if (!json_object_get(row, "kind") || json_object_get(row, "database_sql") ||
        json_object_get(row, "params") || j->n == MAX_ROWS) {
        json_decref(row);
        return ERR_NONE;
    }
    struct judged *r = &j->rows[j->n++];
    r->by = by;
    r->row = row;
    return reward_line_read(&r->line, row, row, err);
}

static int take_reward(struct judging *j, int i, struct err *err)
{
    struct slice text = fixtures_shipped(reward_names[i]);
    int status = reward_create(&j->rewards[i], reward_names[i], NULL, err);
    for (size_t at = 0; at < text.length && !status;) {
        size_t end = at;
        while (end < text.length && text.data[end] != '\n')
            end++;
        if (end > at)
            status = take_line(j, j->rewards[i], text.data + at, end - at, err);
        at = end + 1;
    }
    return status;
}

static int judge(void *context, double *seconds, struct err *err)
{
    struct judging *j = context;
    struct reward_result result;
    (void)err;
    double started = clock_seconds();
    for (int time = 0; time < TIMES; time++)
        for (int i = 0; i < j->n; i++)
            reward_evaluate(j->rows[i].by, &j->rows[i].line.in, &result, NULL);
    *seconds = clock_seconds() - started;
    return ERR_NONE;
}

static int rewards_line(struct bench *b, struct err *err)
{
    struct judging *j = mem_calloc(1, sizeof *j);
    int status = j ? ERR_NONE : err_no_memory(err, "the rewards", sizeof *j);
    for (int i = 0; i < N_REWARDS && !status; i++)
        status = take_reward(j, i, err);
    struct bench_work w = {.n = 1, .unit = "completions"};
    for (int i = 0; j && i < j->n; i++)
        w.part[0].bytes += TIMES * (double)j->rows[i].line.in.completion_length;
    w.items = j ? (double)TIMES * j->n : 0;
    if (!status)
        status = bench_repeat(b, "rewards", judge, j, &w, err);
    for (int i = 0; j && i < j->n; i++) {
        reward_line_free(&j->rows[i].line);
        json_decref(j->rows[i].row);
    }
    for (int i = 0; j && i < N_REWARDS; i++)
        reward_free(j->rewards[i]);
    mem_free(j);
    return status;
}

int bench_text_lines(struct bench *b, struct err *err)
{
    int status = tokenizer_line(b, err);
    return status ? status : rewards_line(b, err);
}
