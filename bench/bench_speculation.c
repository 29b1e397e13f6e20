/* bench_speculation.c: what guessing would have brought on completions that are there already. As
 * speculation changes no token, a rollout is replayed from its samples.jsonl: each step's
 * completions side by side, all guesses fed that are right with at least a given probability. No
 * clock and no model: the counts are exact.
 *
 *   build/release/bench/bench_speculation RUN/samples.jsonl [price …]
 *
 * Lines need "step", "task", "prompt_ids" and "ids". */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "formats/jsonl.h"
#include "rollout/speculate.h"

enum { MOST_TASKS = 16 };

struct sample {
    long long step;
    int task;
    int *prompt, n_prompt, *ids, n;
};

struct samples {
    struct sample *items;
    size_t n, room, tokens;
    char tasks[MOST_TASKS][32];
    int n_tasks;
};

struct count {
    long long tokens, rows, drafted, accepted; /* rows: passes × sequences alive in them */
};

static int *ints_of(const json_t *array, int *n)
{
    *n = (int)json_array_size(array);
    int *out = malloc((size_t)(*n + 1) * sizeof *out);
    for (int i = 0; i < *n; i++)
        out[i] = (int)json_integer_value(json_array_get(array, (size_t)i));
    return out;
}

static int task_of(struct samples *all, const char *name)
{
    int t = 0;
    while (t < all->n_tasks && strcmp(all->tasks[t], name) != 0)
        t++;
    if (t == all->n_tasks && t < MOST_TASKS)
        snprintf(all->tasks[all->n_tasks++], sizeof all->tasks[0], "%.31s", name);
    return t < MOST_TASKS ? t : MOST_TASKS - 1;
}

static void add_sample(struct samples *all, const json_t *line)
{
    if (all->n == all->room) {
        all->room = all->room ? 2 * all->room : 1024;
        all->items = realloc(all->items, all->room * sizeof *all->items);
    }
    const char *task = json_string_value(json_object_get(line, "task"));
    struct sample *s = &all->items[all->n++];
    s->step = json_integer_value(json_object_get(line, "step"));
    s->task = task_of(all, task ? task : "-");
    s->prompt = ints_of(json_object_get(line, "prompt_ids"), &s->n_prompt);
    s->ids = ints_of(json_object_get(line, "ids"), &s->n);
    all->tokens += (size_t)s->n;
}

static int read_samples(struct samples *all, const char *path, struct err *err)
{
    struct jsonl_reader r;
    int status = jsonl_open(&r, path, err), got = 0;
    if (status)
        return status;
    json_t *line;
    while ((got = jsonl_next(&r, &line, err)) == 1) {
        add_sample(all, line);
        json_decref(line);
    }
    jsonl_close(&r);
    return got < 0 ? (int)err->code : 0;
}

/* All guesses behind a place that are worth the price. */
static void guess(const drafter *d, struct speculated *s, float price)
{
    struct draft_place ahead = s->place;
    float right = 1, chance;
    for (s->n = 0; s->n < DRAFT_MOST; s->n++) {
        s->ids[s->n] = draft_guess(d, &ahead, &chance);
        right *= chance;
        if (s->ids[s->n] < 0 || right < price)
            break;
        draft_move(&ahead, s->ids[s->n]);
    }
}

static int right_guesses(const struct sample *s, const struct speculated *g, int at)
{
    int n = 0;
    while (n < g->n && n < s->n - at - 1 && s->ids[at + n] == g->ids[n])
        n++;
    return n;
}

/* As the rollout does: with what was known when the guesses were made. */
static void judge(drafter *d, const struct sample *s, const struct speculated *g, int at)
{
    struct draft_place place = g->place;
    for (int k = 0; k <= right_guesses(s, g, at); k++) {
        draft_judge(d, &place, s->ids[at + k]);
        draft_move(&place, s->ids[at + k]);
    }
}

/* The tokens that a sequence goes on by. */
static int advance(drafter *d, const struct sample *s, struct speculated *g, int at,
                   struct count *c)
{
    int accepted = right_guesses(s, g, at), left = s->n - at - 1;
    for (int i = 0; i <= accepted; i++)
        draft_learn(d, &g->place, s->ids[at + i]);
    c->tokens += accepted + 1;
    c->rows++;
    c->drafted += g->n < left ? g->n : left; /* the rollout makes none beyond the last token */
    c->accepted += accepted;
    return accepted + 1;
}

/* n completions side by side: guesses for all, then what comes of them. Returns the passes. */
static long long replay_step(drafter *d, const struct sample *s, size_t n, float price,
                             struct count counts[MOST_TASKS])
{
    struct speculated *g = calloc(n, sizeof *g);
    int *at = calloc(n, sizeof *at);
    for (size_t i = 0; i < n; i++)
        if (i && s[i].n_prompt == s[i - 1].n_prompt &&
            memcmp(s[i].prompt, s[i - 1].prompt, (size_t)s[i].n_prompt * sizeof(int)) == 0)
            g[i] = g[i - 1];
        else
            draft_prompt(d, &g[i].place, s[i].prompt, s[i].n_prompt);
    long long passes = 0;
    for (bool alive = true; alive; passes += alive) {
        alive = false;
        for (size_t i = 0; i < n; i++)
            if (at[i] < s[i].n)
                guess(d, &g[i], price);
        for (size_t i = 0; i < n; i++)
            if (at[i] < s[i].n)
                judge(d, &s[i], &g[i], at[i]);
        for (size_t i = 0; i < n; i++)
            if (at[i] < s[i].n) {
                at[i] += advance(d, &s[i], &g[i], at[i], &counts[s[i].task]);
                alive = true;
            }
    }
    free(g);
    free(at);
    return passes;
}

static void print_count(const char *name, const struct count *c)
{
    if (c->rows)
        printf("  %-12s %8lld tokens  %6.2f tokens a pass and sequence  %5.1f%% of %lld guesses "
               "came true\n",
               name, c->tokens, (double)c->tokens / (double)c->rows,
               c->drafted ? 100.0 * (double)c->accepted / (double)c->drafted : 0, c->drafted);
}

static int replay(const struct samples *all, float price, struct err *err)
{
    drafter *d;
    struct count counts[MOST_TASKS] = {{0}}, sum = {0};
    int status = drafter_create(&d, all->tokens, err);
    if (status)
        return status;
    long long passes = 0, plain = 0;
    for (size_t first = 0, last; first < all->n; first = last) {
        int longest = 0;
        for (last = first; last < all->n && all->items[last].step == all->items[first].step; last++)
            longest = all->items[last].n > longest ? all->items[last].n : longest;
        passes += replay_step(d, all->items + first, last - first, price, counts);
        plain += longest;
    }
    printf("guesses right with probability %.2f or more: %lld passes instead of %lld\n",
           (double)price, passes, plain);
    for (int t = 0; t < all->n_tasks; t++) {
        print_count(all->tasks[t], &counts[t]);
        sum.tokens += counts[t].tokens;
        sum.rows += counts[t].rows;
        sum.drafted += counts[t].drafted;
        sum.accepted += counts[t].accepted;
    }
    print_count("all", &sum);
    drafter_free(d);
    return 0;
}

int main(int argc, char **argv)
{
    static const float usual[] = {0.1f, 0.3f, 0.6f, 0.9f};
    struct samples all = {0};
    struct err err = {0};
    if (argc < 2) { /* `make bench` has no run to look at */
        printf("for guesses that come true: bench_speculation RUN/samples.jsonl [price ...]\n");
        return 0;
    }
    int status = read_samples(&all, argv[1], &err);
    for (int i = 2; i < argc && !status; i++)
        status = replay(&all, (float)atof(argv[i]), &err);
    for (int i = 0; argc == 2 && i < 4 && !status; i++)
        status = replay(&all, usual[i], &err);
    if (status)
        fprintf(stderr, "%s: %s\n", err.where, err.message);
    for (size_t i = 0; i < all.n; i++) {
        free(all.items[i].prompt);
        free(all.items[i].ids);
    }
    free(all.items);
    return status;
}
