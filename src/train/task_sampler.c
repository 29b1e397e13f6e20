/* task_sampler.c: see task_sampler.h. The order of sums is the order of the tasks, as in the
 * document's class, so that the same course of rewards gives the same bits. */
#include "train/task_sampler.h"
#include <float.h>
#include <math.h>
#include <string.h>
#include "base/check.h"

const char *const task_sampler_names[] = {"uniform", "proportional", "dynamic", "mtgrpo", NULL};
const char *const sampler_signal_names[] = {"eval", "train_ema", NULL};

static const double filtered_decay = 0.9; /* the paper's code */

bool task_sampler_moves(int kind)
{
    return kind == SAMPLER_DYNAMIC || kind == SAMPLER_MTGRPO;
}

void task_sampler_start(struct task_sampler *s, int kind, int signal,
                        const struct task_sampler_settings *settings, const double *weight, int n)
{
    CHECK(n >= 0 && n <= TASKS_MAX);
    *s = (struct task_sampler){.kind = kind, .signal = signal, .n = n, .settings = *settings};
    for (int k = 0; k < n; k++) {
        CHECK(weight[k] > 0);
        s->weight[k] = weight[k];
        s->logit[k] = log(weight[k]);
        s->ema[k] = s->last[k] = s->filtered[k] = NAN;
    }
    if (kind == SAMPLER_MTGRPO)
        task_weights_bound(s->weight, weight, n, settings->min_weight, settings->max_weight);
}

static double moved(double average, double decay, double value)
{
    return isnan(average) ? value : decay * average + (1 - decay) * value;
}

void task_sampler_see_reward(struct task_sampler *s, int task, double mean)
{
    s->ema[task] = moved(s->ema[task], s->settings.ema_decay, mean);
}

void task_sampler_see_filtered(struct task_sampler *s, int task, double share)
{
    s->filtered[task] = moved(s->filtered[task], filtered_decay, share);
}

/* --- dynamic --- */

static void update_dynamic(struct task_sampler *s, const double *signal)
{
    double total = 0;
    for (int k = 0; k < s->n; k++) {
        double improvement = signal[k] - s->last[k]; /* NaN, which is neither, where unknown */
        if (improvement < 0.01)
            s->weight[k] = fmin(0.60, s->weight[k] * 1.3);
        else if (improvement > 0.05)
            s->weight[k] = fmax(0.10, s->weight[k] * 0.85);
    }
    for (int k = 0; k < s->n; k++)
        total += s->weight[k];
    for (int k = 0; k < s->n; k++)
        s->weight[k] /= total;
}

/* --- mtgrpo --- */

static void softmax(double *z, const double *logit, int n)
{
    double max = logit[0], sum = 0;
    for (int k = 1; k < n; k++)
        max = fmax(max, logit[k]);
    for (int k = 0; k < n; k++)
        sum += z[k] = exp(logit[k] - max);
    for (int k = 0; k < n; k++)
        z[k] /= sum;
}

/* The direction in which the weighted score rises; 0 for tasks of which nothing is known. */
static void improvement_gradient(double *gradient, const struct task_sampler *s, const double *z,
                                 const double *signal)
{
    double score[TASKS_MAX], sum = 0, known = 0;
    for (int k = 0; k < s->n; k++) {
        double rise = signal[k] - s->last[k], clip = s->settings.clip;
        rise = isnan(rise) ? 0 : fmin(fmax(rise, -clip), clip);
        score[k] = rise + s->settings.tradeoff * signal[k];
        sum += isnan(score[k]) ? 0 : z[k] * score[k];
        known += isnan(score[k]) ? 0 : z[k];
    }
    for (int k = 0; k < s->n; k++)
        gradient[k] = isnan(score[k]) ? 0 : z[k] * (score[k] - sum / known);
}

/* torch.optim.AdamW with its default betas and epsilon. */
static void descend(struct task_sampler *s, const double *gradient)
{
    const double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, rate = s->settings.learning_rate;
    double correction1 = 1 - pow(beta1, s->updates), correction2 = 1 - pow(beta2, s->updates);
    for (int k = 0; k < s->n; k++) {
        double g = gradient[k];
        s->logit[k] *= 1 - rate * s->settings.weight_decay;
        s->exp_avg[k] = beta1 * s->exp_avg[k] + (1 - beta1) * g;
        s->exp_avg_sq[k] = beta2 * s->exp_avg_sq[k] + (1 - beta2) * g * g;
        s->logit[k] -= rate / correction1 * s->exp_avg[k] /
                       (sqrt(s->exp_avg_sq[k]) / sqrt(correction2) + epsilon);
    }
}

static void update_mtgrpo(struct task_sampler *s, const double *signal)
{
    double z[TASKS_MAX] = {0}, gradient[TASKS_MAX] = {0};
    softmax(z, s->logit, s->n);
    improvement_gradient(gradient, s, z, signal);
    descend(s, gradient);
    softmax(z, s->logit, s->n);
    task_weights_bound(s->weight, z, s->n, s->settings.min_weight, s->settings.max_weight);
}

void task_sampler_update(struct task_sampler *s, const double *signal)
{
    if (!task_sampler_moves(s->kind))
        return;
    if (s->signal == SIGNAL_TRAIN_EMA)
        signal = s->ema;
    s->updates++;
    if (s->kind == SAMPLER_DYNAMIC)
        update_dynamic(s, signal);
    else
        update_mtgrpo(s, signal);
    for (int k = 0; k < s->n; k++)
        s->last[k] = isnan(signal[k]) ? s->last[k] : signal[k];
}

/* The sum rises with c, in straight pieces between the points where a weight meets a bound: c lies
 * on the piece whose ends enclose a sum of 1. */
static double sum_at(double c, const double *z, int n, double low, double high)
{
    double sum = 0;
    for (int k = 0; k < n; k++)
        sum += fmin(fmax(c * z[k], low), high);
    return sum;
}

void task_weights_bound(double *out, const double *z, int n, double low, double high)
{
    const double slack = 1e-12; /* n·(1/n) may be a bit off 1 */
    CHECK(n * low <= 1 + slack && n * high >= 1 - slack);
    double below = 0, above = INFINITY;
    for (int i = 0; i < 2 * n; i++) {
        double c = (i < n ? low : high) / fmax(z[i % n], DBL_MIN);
        if (sum_at(c, z, n, low, high) <= 1)
            below = fmax(below, c);
        else
            above = fmin(above, c);
    }
    double bound = 0, free = 0, middle = isfinite(above) ? below / 2 + above / 2 : below;
    for (int k = 0; k < n; k++) {
        double x = middle * z[k];
        bound += x <= low ? low : x >= high ? high : 0;
        free += x <= low || x >= high ? 0 : z[k];
    }
    double c = free > 0 ? (1 - bound) / free : middle;
    for (int k = 0; k < n; k++)
        out[k] = middle * z[k] <= low    ? low
                 : middle * z[k] >= high ? high
                                         : fmin(fmax(c * z[k], low), high);
}

/* --- in a checkpoint --- */

static const struct {
    const char *key;
    size_t offset; /* of an array in struct task_sampler */
    bool may_be_unknown;
} fields[] = {
    {"weight", offsetof(struct task_sampler, weight), false},
    {"logit", offsetof(struct task_sampler, logit), false},
    {"exp_avg", offsetof(struct task_sampler, exp_avg), false},
    {"exp_avg_sq", offsetof(struct task_sampler, exp_avg_sq), false},
    {"ema", offsetof(struct task_sampler, ema), true},
    {"last", offsetof(struct task_sampler, last), true},
    {"filtered", offsetof(struct task_sampler, filtered), true},
};

static double *field(struct task_sampler *s, size_t f)
{
    return (double *)(void *)((char *)s + fields[f].offset);
}

static const char *kind_name(int kind)
{
    return kind < 0 ? "fixed" : task_sampler_names[kind];
}

void task_sampler_write(struct json_writer *w, const struct task_sampler *s,
                        const char *const *task)
{
    struct task_sampler copy = *s;
    jw_object_begin(w);
    jw_key(w, "kind");
    jw_text(w, kind_name(s->kind));
    jw_key(w, "updates");
    jw_int(w, s->updates);
    jw_key(w, "tasks");
    jw_object_begin(w);
    for (int k = 0; k < s->n; k++) {
        jw_key(w, task[k]);
        jw_object_begin(w);
        for (size_t f = 0; f < ARRAY_LENGTH(fields); f++) {
            jw_key(w, fields[f].key);
            jw_double(w, field(&copy, f)[k]);
        }
        jw_object_end(w);
    }
    jw_object_end(w);
    jw_object_end(w);
}

static int read_task(struct task_sampler *s, int k, const json_t *task, const char *name,
                     const char *where, struct err *err)
{
    for (size_t f = 0; f < ARRAY_LENGTH(fields); f++) {
        const json_t *value = json_object_get(task, fields[f].key);
        bool unknown = fields[f].may_be_unknown && json_is_null(value);
        double x = json_number_value(value);
        if (!unknown && (!json_is_number(value) || !isfinite(x)))
            return err_set(err, ERR_INPUT, where,
                           "\"%s\" of task \"%.60s\" is %s; expected a number", fields[f].key, name,
                           json_type_name(value));
        if (x == 0 && f == 0)
            return err_set(err, ERR_INPUT, where, "the weight of task \"%.60s\" is 0", name);
        field(s, f)[k] = unknown ? NAN : x;
    }
    if (s->weight[k] < 0 || s->exp_avg_sq[k] < 0)
        return err_set(err, ERR_INPUT, where, "a number of task \"%.60s\" is negative", name);
    return ERR_NONE;
}

int task_sampler_read(struct task_sampler *s, const json_t *saved, const char *const *task,
                      const char *where, struct err *err)
{
    const char *kind = json_string_value(json_object_get(saved, "kind"));
    const json_t *tasks = json_object_get(saved, "tasks");
    const struct task_sampler start = *s;
    long long updates = 0;
    if (!saved || json_is_null(saved) || !kind || strcmp(kind, kind_name(s->kind)) != 0)
        return ERR_NONE;
    int status = json_get_int(&updates, saved, "updates", true, where, err);
    if (!status && (updates < 0 || updates > INT32_MAX))
        status = err_set(err, ERR_INPUT, where, "\"updates\" is %lld", updates);
    s->updates = (int)updates;
    double sum = 0;
    for (int k = 0; k < s->n && !status; k++) {
        const json_t *values = json_object_get(tasks, task[k]);
        if (values)
            status = read_task(s, k, values, task[k], where, err);
        sum += s->weight[k];
    }
    if (!task_sampler_moves(s->kind)) { /* what the recipe and the data say now */
        memcpy(s->weight, start.weight, sizeof s->weight);
        memcpy(s->logit, start.logit, sizeof s->logit);
        return status;
    }
    /* What was written sums to 1 but for rounding; with other tasks (--allow) it need not. */
    for (int k = 0; k < s->n && !status && fabs(sum - 1) > 1e-9; k++)
        s->weight[k] /= sum;
    return status;
}
