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

void dealer_systematic(int *count, const double *weight, int tasks, int n, double u)
{
    double end = 0;
    int placed = 0;
    for (int t = 0; t < tasks; t++) {
        int before = placed;
        end += n * weight[t];
        while (placed < n &&
               (placed + u < end || t == tasks - 1)) /* the last takes what rounding left */
            placed++;
        count[t] = placed - before;
    }
}

static int weight_of(const struct task_weights *w, const char *task)
{
    for (int i = 0; i < w->n; i++) {
        if (strcmp(w->task[i], task) == 0)
            return i;
    }
    return -1;
}

static int count_task(struct task_weights *out, const struct dataset *data, size_t r,
                      const char *where, struct err *err)
{
    const struct row *row = &data->rows[r];
    int t = weight_of(out, row->task);
    if (!*row->task)
        return err_set(err, ERR_USAGE, where,
                       "needs the task of every row, row \"%.80s\" (%.200s, line %ld) has no "
                       "\"task\"",
                       row->id, data->path, row->line);
    if (t < 0 && out->n == DEALER_MAX_TASKS)
        return err_set(err, ERR_USAGE, where, "%.200s has more than %d tasks", data->path,
                       DEALER_MAX_TASKS);
    if (t < 0)
        out->task[t = out->n++] = row->task;
    out->weight[t]++;
    return ERR_NONE;
}

int task_weights_of_data(struct task_weights *out, const struct dataset *data, bool proportional,
                         const char *where, struct err *err)
{
    *out = (struct task_weights){0};
    for (size_t r = 0; r < data->count; r++) {
        int status = count_task(out, data, r, where, err);
        if (status)
            return status;
    }
    if (out->n < 2)
        return err_set(err, ERR_USAGE, where,
                       "has nothing to choose from: every row of %.200s has task \"%.80s\"",
                       data->path, out->task[0]);
    for (int t = 0; t < out->n; t++)
        out->weight[t] = proportional ? out->weight[t] / (double)data->count : 1.0 / out->n;
    return ERR_NONE;
}

/* --- decks --- */

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

void dealer_weights(struct dealer *d, const double *weight)
{
    for (int i = 0; i < d->n_decks; i++)
        d->decks[i].weight = weight[i];
    d->index = UINT64_MAX;
}

/* Makes the plan of stretch `index`: each deck as often as its count, shuffled. */
static void plan_stretch(struct dealer *d, uint64_t index)
{
    double weight[DEALER_MAX_TASKS];
    int count[DEALER_MAX_TASKS], n = 0, sum = d->stretch;
    struct rng_key key = {.seed = d->seed, .purpose = RNG_TASK_PLAN, .epoch = index};
    for (int i = 0; i < d->n_decks; i++)
        weight[i] = d->decks[i].weight;
    if (d->systematic) /* draw 0 is free: the shuffle takes those from 1 on */
        dealer_systematic(count, weight, d->n_decks, d->stretch, rng_uniform(&key, 0));
    else
        sum = dealer_counts(count, weight, d->n_decks, d->stretch);
    for (int i = 0; i < d->n_decks; i++) {
        for (int c = 0; c < count[i]; c++)
            d->plan[n++] = i;
    }
    for (int i = sum - 1; i > 0; i--) {
        int j = (int)rng_below(&key, (uint64_t)i, (uint64_t)i + 1), kept = d->plan[i];
        d->plan[i] = d->plan[j];
        d->plan[j] = kept;
    }
    d->index = index;
}

/* The deck of a position. */
static int planned_deck(struct dealer *d, uint64_t position)
{
    if (!d->plan)
        return 0;
    uint64_t index = position / (uint64_t)d->stretch;
    if (d->index != index)
        plan_stretch(d, index);
    return d->plan[position % (uint64_t)d->stretch];
}

size_t dealer_redeal(struct dealer *d, struct dealer_cursor *c, int deck, uint64_t *epoch)
{
    struct dealer_deck *from = &d->decks[deck];
    size_t card = deck_row(&from->deck, c->cards[deck]++, epoch);
    return from->rows ? from->rows[card] : card;
}

size_t dealer_deal(struct dealer *d, struct dealer_cursor *c, int *deck, uint64_t *epoch)
{
    int i = planned_deck(d, c->position++);
    if (deck)
        *deck = i;
    return dealer_redeal(d, c, i, epoch);
}

void dealer_foresee(struct dealer *d, struct dealer_cursor *out, uint64_t positions)
{
    *out = (struct dealer_cursor){.position = positions};
    if (!d->plan)
        out->cards[0] = positions;
    for (uint64_t p = 0; d->plan && p < positions; p++)
        out->cards[planned_deck(d, p)]++;
}

double dealer_epochs(const struct dealer *d, const struct dealer_cursor *c, int i)
{
    return (double)c->cards[i] / (double)d->decks[i].deck.n;
}

uint64_t dealer_cards(const struct dealer *d, const struct dealer_cursor *c)
{
    uint64_t sum = 0;
    for (int i = 0; i < d->n_decks; i++)
        sum += c->cards[i];
    return sum;
}

/* --- in a checkpoint --- */

void dealer_tasks(const struct dealer *d, const char *task[DEALER_MAX_TASKS])
{
    for (int i = 0; i < d->n_decks; i++)
        task[i] = d->decks[i].task ? d->decks[i].task : "";
}

void dealer_cursor_write(struct json_writer *w, const struct dealer *d,
                         const struct dealer_cursor *c)
{
    const char *task[DEALER_MAX_TASKS];
    dealer_tasks(d, task);
    jw_object_begin(w);
    jw_key(w, "position");
    jw_int(w, (long long)c->position);
    jw_key(w, "cards");
    jw_object_begin(w);
    for (int i = 0; i < d->n_decks; i++) {
        jw_key(w, task[i]);
        jw_int(w, (long long)c->cards[i]);
    }
    jw_object_end(w);
    jw_object_end(w);
}

static int read_count(uint64_t *out, const json_t *o, const char *key, bool required,
                      const char *where, struct err *err)
{
    long long value = 0;
    int status = json_get_int(&value, o, key, required, where, err);
    if (!status && value < 0)
        status = err_set(err, ERR_INPUT, where, "\"%.60s\" is %lld prompts", key, value);
    *out = (uint64_t)value;
    return status;
}

int dealer_cursor_read(struct dealer_cursor *c, const struct dealer *d, const json_t *saved,
                       const char *where, struct err *err)
{
    const char *task[DEALER_MAX_TASKS];
    const json_t *cards = json_object_get(saved, "cards");
    dealer_tasks(d, task);
    int status = read_count(&c->position, saved, "position", true, where, err);
    if (!status && !json_is_object(cards))
        status = err_set(err, ERR_INPUT, where, "\"cards\" is %s; expected an object",
                         json_type_name(cards));
    for (int i = 0; i < d->n_decks && !status; i++) /* a task that --allow let in begins its deck */
        status = read_count(&c->cards[i], cards, task[i], false, where, err);
    return status;
}
