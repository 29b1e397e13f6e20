/* stopping.c: see stopping.h. What an evaluation logs is decided above this room (cli hands the
 * trainer a callback), so the names are told here a second time; tests/cli compares the two. */
#include "train/stopping.h"
#include <string.h>
#include "base/log.h"
#include "train/metrics.h"

bool best_update(struct best_so_far *best, double value, double threshold, int step)
{
    bool better = !best->known || (value > best->value && value - best->value > threshold);
    best->not_better = better ? 0 : best->not_better + 1;
    if (best->known && value <= best->value)
        return false;
    best->known = true;
    best->value = value;
    best->step = step;
    return true;
}

bool early_stop(const struct best_so_far *best, int patience)
{
    return patience > 0 && best->not_better >= patience;
}

static bool has_task(const struct dataset *rows, const char *task, size_t length)
{
    for (size_t i = 0; i < rows->count; i++)
        if (strlen(rows->rows[i].task) == length && memcmp(rows->rows[i].task, task, length) == 0)
            return true;
    return false;
}

/* A reward's value is logged where it applies to a row. */
static bool has_reward(const struct task_reward *r, const struct dataset *rows)
{
    return !r->task || has_task(rows, r->task, strlen(r->task));
}

/* Whether it is called like a metric that every evaluation has. */
static bool is_of_all(const char *name)
{
    static const char *const of_all[] = {"mean_reward", "mean_reward_se", "clipped_ratio",
                                         "mean_length"};
    for (size_t i = 0; i < sizeof of_all / sizeof *of_all; i++)
        if (strcmp(name, of_all[i]) == 0)
            return true;
    return false;
}

int eval_metric_check(const struct dataset *rows, struct err *err)
{
    enum { MOST_BYTES = METRIC_NAME - 16 };
    for (size_t i = 0; i < rows->count; i++) {
        const char *task = rows->rows[i].task;
        size_t length = strlen(task), tail = length > 3 ? length - 3 : 0;
        bool clash = is_of_all(task) ||
                     (tail && strcmp(task + tail, "_se") == 0 && has_task(rows, task, tail));
        if (clash || length > MOST_BYTES)
            return err_set(err, ERR_INPUT, rows->path,
                           "line %ld has the task \"%.100s\", whose metric would be eval/%.100s: "
                           "%s; rename the task",
                           rows->rows[i].line, task, task,
                           clash ? "another metric has that name" : "that is too long");
    }
    return ERR_NONE;
}

bool eval_metric_exists(const char *name, const struct dataset *rows,
                        const struct reward_set *rewards)
{
    if (strncmp(name, "eval/", 5) != 0)
        return false;
    name += 5;
    if (is_of_all(name))
        return true;
    size_t length = strlen(name);
    if (has_task(rows, name, length) ||
        (length > 3 && !strcmp(name + length - 3, "_se") && has_task(rows, name, length - 3)))
        return true;
    for (int r = 0; !strncmp(name, "rewards/", 8) && r < rewards->count; r++)
        if (strcmp(name + 8, rewards->items[r].label) == 0 && has_reward(&rewards->items[r], rows))
            return true;
    return false;
}

void eval_metric_list(struct str *out, const struct dataset *rows, const struct reward_set *rewards)
{
    str_puts(out, "eval/mean_reward");
    for (size_t i = 0; i < rows->count; i++) {
        const char *task = rows->rows[i].task;
        bool seen = !*task;
        for (size_t j = 0; j < i && !seen; j++)
            seen = strcmp(rows->rows[j].task, task) == 0;
        if (!seen) {
            str_puts(out, ", eval/");
            log_printable(out, task, strlen(task), 40);
        }
    }
    for (int r = 0; r < rewards->count; r++)
        if (has_reward(&rewards->items[r], rows))
            str_printf(out, ", eval/rewards/%.60s", rewards->items[r].label);
}
