/* dealer.c: decks and the plan that says which deck is next; see dealer.h. */
#include "train/dealer.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"

/* --- weights --- */

static int read_weight(double *out, const struct yaml_node *entry, const char *where,
                       struct err *err)
{
    char *end = NULL;
    errno = 0;
    double value = entry->kind == YAML_SCALAR ? strtod(entry->text, &end) : NAN;
    if (entry->kind != YAML_SCALAR || entry->quoted || end == entry->text || *end ||
        !(value >= 0) || !isfinite(value))
        return err_set(err, ERR_USAGE, where, "line %d: \"%.60s\" is not a weight: a number >= 0",
                       entry->line, entry->kind == YAML_SCALAR ? entry->text : entry->key);
    *out = value;
    return ERR_NONE;
}

int task_weights_read(struct task_weights *out, const struct yaml_node *node, const char *where,
                      struct err *err)
{
    *out = (struct task_weights){0};
    if (!node)
        return ERR_NONE;
    if (node->kind != YAML_MAPPING || !node->n_children || node->n_children > DEALER_MAX_TASKS)
        return err_set(err, ERR_USAGE, where,
                       "expected a mapping from task to weight with 1 to %d tasks, such as "
                       "{extraction: 0.4, sql_qa: 0.4, insights: 0.1, push: 0.1}",
                       DEALER_MAX_TASKS);
    double sum = 0;
    for (size_t i = 0; i < node->n_children; i++) {
        const struct yaml_node *entry = &node->children[i];
        int status = read_weight(&out->weight[i], entry, where, err);
        if (status)
            return status;
        out->task[i] = entry->key;
        sum += out->weight[i];
    }
    if (!(sum > 0) || !isfinite(sum))
        return err_set(err, ERR_USAGE, where, "the weights sum to %g; expected more than 0", sum);
    out->n = (int)node->n_children;
    for (int i = 0; i < out->n; i++)
        out->weight[i] /= sum;
    return ERR_NONE;
}

int dealer_counts(int *count, const double *weight, int tasks, int n)
{
    double remainder[DEALER_MAX_TASKS];
    int sum = 0;
    CHECK(tasks > 0 && tasks <= DEALER_MAX_TASKS);
    for (int t = 0; t < tasks; t++) {
        double share = n * weight[t];
        count[t] = weight[t] > 0 ? (int)fmax(1, floor(share)) : 0;
        remainder[t] = weight[t] > 0 ? share - count[t] : -INFINITY;
        sum += count[t];
    }
    while (sum < n) {
        int best = 0;
        for (int t = 1; t < tasks; t++)
            best = remainder[t] > remainder[best] ? t : best;
        count[best]++;
        remainder[best] -= 1;
        sum++;
    }
    return sum;
}

/* --- decks --- */

static int weight_of(const struct task_weights *w, const char *task)
{
    for (int i = 0; i < w->n; i++) {
        if (strcmp(w->task[i], task) == 0)
            return i;
    }
    return -1;
}

static int open_task(struct dealer *d, const struct dataset *data, const char *task, double weight,
                     const char *where, struct err *err)
{
    size_t n = 0;
    for (size_t r = 0; r < data->count; r++)
        n += strcmp(data->rows[r].task, task) == 0;
    if (!n)
        return err_set(err, ERR_USAGE, where, "no row of %s has task \"%.80s\"", data->path, task);
    struct dealer_deck *deck = &d->decks[d->n_decks++];
    *deck = (struct dealer_deck){.task = task, .weight = weight};
    deck->rows = mem_alloc(n * sizeof *deck->rows);
    if (!deck->rows)
        return err_no_memory(err, "the rows of a task", n * sizeof *deck->rows);
    n = 0;
    for (size_t r = 0; r < data->count; r++) {
        if (strcmp(data->rows[r].task, task) == 0)
            deck->rows[n++] = (uint32_t)r;
    }
    return deck_create(&deck->deck, n, d->seed, rng_id(task, strlen(task)), err);
}

static int open_tasks(struct dealer *d, const struct dataset *data, const struct task_weights *w,
                      const char *where, struct err *err)
{
    for (size_t r = 0; r < data->count; r++) {
        const struct row *row = &data->rows[r];
        if (weight_of(w, row->task) < 0)
            return err_set(
                err, ERR_USAGE, where,
                "says nothing of task \"%.80s\" (row \"%.80s\" of %s); give it a weight, "
                "0 leaves its rows out",
                row->task, row->id, data->path);
    }
    int status = ERR_NONE;
    for (int i = 0; i < w->n && !status; i++) {
        if (w->weight[i] > 0)
            status = open_task(d, data, w->task[i], w->weight[i], where, err);
    }
    if (status)
        return status;
    size_t room = (size_t)d->stretch + (size_t)d->n_decks;
    d->plan = mem_alloc(room * sizeof *d->plan);
    return d->plan ? ERR_NONE : err_no_memory(err, "the plan of tasks", room * sizeof *d->plan);
}

int dealer_create(struct dealer *d, const struct dataset *data, const struct task_weights *weights,
                  int stretch, uint64_t seed, const char *where, struct err *err)
{
    CHECK(stretch > 0);
    *d = (struct dealer){
        .seed = seed, .stretch = stretch, .index = UINT64_MAX, .n_rows = data->count};
    if (weights && weights->n)
        return open_tasks(d, data, weights, where, err);
    d->n_decks = 1;
    d->decks[0] = (struct dealer_deck){.weight = 1};
    return deck_create(&d->decks[0].deck, data->count, seed, 0, err);
}

void dealer_free(struct dealer *d)
{
    for (int i = 0; i < d->n_decks; i++) {
        deck_free(&d->decks[i].deck);
        mem_free(d->decks[i].rows);
    }
    mem_free(d->plan);
    *d = (struct dealer){0};
}

/* --- positions --- */

/* Makes the plan of stretch `index`: each deck as often as its count, shuffled. */
static void plan_stretch(struct dealer *d, uint64_t index)
{
    double weight[DEALER_MAX_TASKS];
    int count[DEALER_MAX_TASKS], n = 0;
    for (int i = 0; i < d->n_decks; i++)
        weight[i] = d->decks[i].weight;
    int sum = dealer_counts(count, weight, d->n_decks, d->stretch);
    for (int i = 0; i < d->n_decks; i++) {
        for (int c = 0; c < count[i]; c++)
            d->plan[n++] = i;
    }
    struct rng_key key = {.seed = d->seed, .purpose = RNG_TASK_PLAN, .epoch = index};
    for (int i = sum - 1; i > 0; i--) {
        int j = (int)rng_below(&key, (uint64_t)i, (uint64_t)i + 1), kept = d->plan[i];
        d->plan[i] = d->plan[j];
        d->plan[j] = kept;
    }
    d->index = index;
}

/* Brings the plan of stretch `index` and each deck's cards before it. */
static void seek(struct dealer *d, uint64_t index)
{
    if (d->index == UINT64_MAX || index < d->index) {
        for (int i = 0; i < d->n_decks; i++)
            d->decks[i].dealt = 0;
        plan_stretch(d, 0);
    }
    while (d->index < index) {
        for (int p = 0; p < d->stretch; p++)
            d->decks[d->plan[p]].dealt++;
        plan_stretch(d, d->index + 1);
    }
}

/* Cards of deck i before a position. */
static uint64_t dealt_before(struct dealer *d, int i, uint64_t position)
{
    if (!d->plan)
        return position;
    seek(d, position / (uint64_t)d->stretch);
    uint64_t nth = d->decks[i].dealt;
    for (uint64_t p = 0; p < position % (uint64_t)d->stretch; p++)
        nth += d->plan[p] == i;
    return nth;
}

size_t dealer_row(struct dealer *d, uint64_t position, uint64_t *epoch)
{
    int i = 0;
    if (d->plan) {
        seek(d, position / (uint64_t)d->stretch);
        i = d->plan[position % (uint64_t)d->stretch];
    }
    struct dealer_deck *deck = &d->decks[i];
    size_t card = deck_row(&deck->deck, dealt_before(d, i, position), epoch);
    return deck->rows ? deck->rows[card] : card;
}

double dealer_epochs(struct dealer *d, int i, uint64_t positions)
{
    return (double)dealt_before(d, i, positions) / (double)d->decks[i].deck.n;
}
