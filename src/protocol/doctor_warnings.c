/* doctor_warnings.c: a table of what is allowed and seldom meant. A warning is a function that
 * writes its sentence when its condition holds, and writes nothing otherwise. */
#include <math.h>
#include <string.h>
#include "base/check.h"
#include "eval/audit.h"
#include "protocol/doctor.h"
#include "stats/dist.h"
#include "stats/power.h"
#include "stats/stats.h"

struct warning {
    const char *id; /* stable: scripts look for it */
    void (*say)(struct str *out, const struct doctor *d);
};

/* --- the data and how often it comes round --- */

/* Steps that `epochs` passes over the rows take. */
static double steps_of_epochs(const struct doctor *d, double epochs)
{
    double groups = d->setup.plan.gradient.groups;
    return ceil(epochs * (double)d->setup.data.count / groups) * train_generation_steps(&d->o);
}

static void say_epochs(struct str *out, const struct doctor *d)
{
    const struct plan *p = &d->setup.plan;
    const char *comes = p->epochs < 1     ? "not even every row comes once"
                        : p->epochs < 1.5 ? "nearly every row comes once and not again"
                                          : "a row comes once or twice";
    if (p->epochs < 2)
        str_printf(out,
                   "%d steps × %d prompt%s over %zu rows are %.2f epochs%s: %s; 2 epochs take %.0f "
                   "steps, 3 take %.0f",
                   p->max_steps, d->o.prompts_per_step, d->o.prompts_per_step == 1 ? "" : "s",
                   d->setup.data.count, p->epochs,
                   train_generation_steps(&d->o) > 1 ? " (a generation serves several steps)" : "",
                   comes, steps_of_epochs(d, 2), steps_of_epochs(d, 3));
}

static void say_many_epochs(struct str *out, const struct doctor *d)
{
    if (d->setup.plan.epochs > 20)
        str_printf(out,
                   "each row comes %.0f times: the policy can learn the rows by heart; watch "
                   "the evaluation, not the training reward",
                   d->setup.plan.epochs);
}

static void say_uneven(struct str *out, const struct doctor *d)
{
    struct setup *s = (struct setup *)&d->setup; /* dealing ahead leaves the cursor alone */
    double low = INFINITY, high = 0;
    const char *name[2] = {"", ""};
    struct dealer_cursor end;
    if (s->sampler.n)
        dealer_foresee(&s->dealer, &end, setup_groups(s));
    for (int i = 0; i < s->sampler.n; i++) {
        double epochs = dealer_epochs(&s->dealer, &end, i);
        if (epochs < low)
            name[0] = s->dealer.decks[i].task;
        if (epochs > high)
            name[1] = s->dealer.decks[i].task;
        low = fmin(low, epochs);
        high = fmax(high, epochs);
    }
    if (high > 3 * low)
        str_printf(out,
                   "task_weights go against the number of rows: \"%s\" comes %.2f epochs, \"%s\" "
                   "%.2f",
                   name[1], high, name[0], low);
}

static void say_duplicates(struct str *out, const struct doctor *d)
{
    if (d->duplicates)
        str_printf(out,
                   "%zu training rows have the prompt of an earlier row: they come that much "
                   "oftener",
                   d->duplicates);
}

static void say_no_eval(struct str *out, const struct doctor *d)
{
    if (!d->setup.has_eval)
        str_puts(out, "no eval_data: no best checkpoint is chosen, and nothing tells learning from "
                      "luck");
}

/* Rows of each task; how many tasks. */
static int count_tasks(const struct dataset *rows, double n[DEALER_MAX_TASKS])
{
    const char *names[DEALER_MAX_TASKS];
    int tasks = dataset_tasks(rows, names, DEALER_MAX_TASKS);
    for (int t = 0; t < tasks; t++) {
        n[t] = 0;
        for (size_t i = 0; i < rows->count; i++)
            n[t] += strcmp(rows->rows[i].task, names[t]) == 0;
    }
    return tasks;
}

/* Values of the report come from the deviations found; before anything is found, DEVIATION stands
 * for them: about what rewards in [0, 1], and their differences between two models, have. A task's
 * mean and the mean of task means have standard errors sd/√n and sd·√(Σ 1/nₜ)/T. */
#define DEVIATION 0.25

static void say_small_eval(struct str *out, const struct doctor *d)
{
    enum { ENOUGH = 200 };
    double n[DEALER_MAX_TASKS], sum = 0, of_task = d->smallest_eval_task;
    if (!d->setup.has_eval || d->setup.eval_data.count >= ENOUGH)
        return;
    int tasks = count_tasks(&d->setup.eval_data, n);
    for (int t = 0; t < tasks; t++)
        sum += 1 / n[t];
    double rows = (double)d->setup.eval_data.count, se = DEVIATION * sqrt(sum) / tasks;
    if (of_task < 2) {
        str_printf(out,
                   "the evaluation has %.0f rows, one of its smallest task: nothing can be "
                   "said of that task",
                   rows);
        return;
    }
    double of_task_se = DEVIATION / sqrt(of_task);
    str_printf(out,
               "the evaluation has %.0f rows (%.0f of its smallest task). Where values deviate by "
               "%.2f, that task's mean has standard error %.3f (95%% ±%.2f) and the mean over "
               "tasks %.3f; a gain below about %.2f (%.2f in that task) cannot be told from chance "
               "(paired t test, 5%%, power 80%%)",
               rows, of_task, DEVIATION, of_task_se,
               of_task_se * dist_t_quantile(0.975, of_task - 1), se,
               power_detectable((size_t)rows, se * sqrt(rows), POWER_ALPHA, POWER_TARGET),
               power_detectable((size_t)of_task, DEVIATION, POWER_ALPHA, POWER_TARGET));
}

static void say_no_test(struct str *out, const struct doctor *d)
{
    if (d->setup.has_eval && !d->o.test_data)
        str_printf(out,
                   "no test_data: the best of %d evaluations is chosen on the rows that are also "
                   "reported, and is high by chance alone; the report says \"selected on this "
                   "set\". `grpo data split` writes a test set beside the evaluation set",
                   measure_evaluations(&d->setup));
}

static void say_seeds(struct str *out, const struct doctor *d)
{
    enum { ENOUGH = 10 };
    size_t n = d->o.seeds.count ? d->o.seeds.count : 1;
    struct interval worth = stats_sd_interval(1, n);
    if (n == 1)
        str_puts(out, "one seed: what it shows may be that seed's luck, and nothing is known of "
                      "the spread over seeds");
    else if (n < ENOUGH)
        str_printf(out,
                   "%zu seeds say little about a spread: the 95%% interval of their standard "
                   "deviation is %.2f to %.2f times the one observed; an observed 0.03 may be "
                   "%.3f or %.2f",
                   n, worth.low, worth.high, 0.03 * worth.low, 0.03 * worth.high);
}

/* --- the audit --- */

static void say_audit(struct str *out, const struct doctor *d)
{
    enum { MORE_PER_TASK = 20 };
    size_t n = (size_t)d->n_tasks * AUDIT_PER_TASK, more = (size_t)d->n_tasks * MORE_PER_TASK;
    struct interval worth = audit_worth(d->o.audit_min_rho, n),
                    then = audit_worth(d->o.audit_min_rho, more);
    if (d->o.audit_gate_on_lower_bound || !d->setup.codec.tokenizer || isnan(worth.low))
        return;
    str_printf(out,
               "an audit of %zu completions (%d a task) that just reaches audit_min_rho %.2f is "
               "worth %.2f to %.2f (95%%), so rewards that hardly follow a person can pass; with "
               "%zu (`grpo audit --n-per-task %d`) it is worth %.2f to %.2f. "
               "audit_gate_on_lower_bound: true asks that of the interval's lower end",
               n, AUDIT_PER_TASK, d->o.audit_min_rho, worth.low, worth.high, more, MORE_PER_TASK,
               then.low, then.high);
}

/* --- prompts --- */

static void say_limit(struct str *out, const struct doctor *d)
{
    int longest = d->setup.longest_prompt, limit = d->o.max_prompt_length,
        context = d->setup.config.max_position_embeddings;
    if (limit && longest > 0.95 * limit)
        str_printf(out, "the longest prompt has %d tokens, max_prompt_length is %d", longest,
                   limit);
    else if (d->setup.max_context > 0.95 * context)
        str_printf(out,
                   "the longest prompt (%d tokens) and max_completion_length %d nearly fill the "
                   "model's context of %d",
                   longest, d->o.max_completion_length, context);
}

static void say_no_bos(struct str *out, const struct doctor *d)
{
    if (d->no_bos && d->puts_bos)
        str_printf(out,
                   "%zu prompts begin without token %d, which the tokenizer puts before plain "
                   "text: the chat template prints none, and none is added",
                   d->no_bos, d->bos);
}

static void say_inside_bos(struct str *out, const struct doctor *d)
{
    if (d->inside_bos)
        str_printf(out, "the texts of %zu rows spell the beginning-of-text token (id %d)",
                   d->inside_bos, d->bos);
}

static void say_padded(struct str *out, const struct doctor *d)
{
    const tokenizer *t = d->setup.codec.tokenizer;
    int size = t ? tokenizer_vocab_size(t) : 0, vocab = d->setup.config.vocab_size;
    if (t && size < vocab)
        str_printf(out,
                   "the model has %d ids that the tokenizer does not: when sampled they stand for "
                   "no text",
                   vocab - size);
    else if (size > vocab)
        str_printf(out, "the tokenizer has %d ids that the model does not", size - vocab);
}

static void say_no_template(struct str *out, const struct doctor *d)
{
    if (!d->setup.codec.chat && d->setup.codec.tokenizer)
        str_puts(out, "the model has no chat template: rows must give prompt_ids");
}

/* --- the objective --- */

static void say_on_policy(struct str *out, const struct doctor *d)
{
    if (plan_on_policy(&d->o))
        str_puts(
            out,
            "on-policy (one step a generation, num_iterations 1): the ratio is 1 by "
            "construction, so clipping is inactive and clip_ratio stays 0 whatever epsilon is; "
            "no probe can ask for clip_ratio > 0, and that of `grpo run` asks for a gradient "
            "instead");
}

static void say_gameable(struct str *out, const struct doctor *d)
{
    for (int i = 0; i < d->gate.count; i++)
        if (d->gate.items[i].verdict == GATE_KNOWN_GAMEABLE) {
            str_puts(out, out->length ? "; " : "");
            reward_gate_say(out, &d->gate.items[i]);
        }
    if (out->length)
        str_puts(out, ". Read samples, and log a stricter reward beside it with weight 0");
}

static void say_no_fixtures(struct str *out, const struct doctor *d)
{
    for (int i = 0; i < d->gate.count; i++)
        if (d->gate.items[i].verdict == GATE_NO_FIXTURES) {
            str_puts(out, out->length ? "; " : "");
            reward_gate_say(out, &d->gate.items[i]);
        }
}

static void say_few_generations(struct str *out, const struct doctor *d)
{
    if (d->setup.plan.gradient.per_group < 8)
        str_printf(out,
                   "num_generations is %d: a group's mean is a rough baseline, and often all "
                   "rewards of a group are equal and teach nothing; 8 to 16 is usual",
                   d->setup.plan.gradient.per_group);
}

static void say_scale(struct str *out, const struct doctor *d)
{
    if (d->o.advantage != ADVANTAGE_GRPO && recipe_given(d->recipe, NULL, "scale_rewards", NULL))
        str_printf(out, "scale_rewards has no effect under advantage %s",
                   advantage_names[d->o.advantage]);
}

static void say_flat(struct str *out, const struct doctor *d)
{
    bool alone = d->setup.plan.gradient.groups == 1;
    if (d->o.advantage == ADVANTAGE_GDPO_FLAT)
        str_printf(out,
                   "gdpo_flat is the reference experiment's own function, for comparison: %s; gdpo "
                   "is the published method",
                   alone ? "with one prompt a step its task is the only component, so what is left "
                           "is the reward less the group's mean, over the group's deviation: no "
                           "component of a reward is normalised by itself"
                         : "with prompts of several tasks in a step a completion is also compared "
                           "with those of other tasks, which count 0");
}

static void say_sampler_sees_eval(struct str *out, const struct doctor *d)
{
    if (d->setup.sampler.n && d->setup.sampler.signal == SIGNAL_EVAL)
        str_puts(out, "the task sampler is steered by eval_data, from which the best checkpoint is "
                      "chosen too: a gain on it is then not independent evidence; sampler_signal: "
                      "train_ema leaves it alone");
}

static void say_lr_zero(struct str *out, const struct doctor *d)
{
    if (d->o.optim.learning_rate == 0)
        str_puts(out, "learning_rate is 0: nothing is learnt");
}

static void say_warmup(struct str *out, const struct doctor *d)
{
    const struct plan *p = &d->setup.plan;
    if (p->warmup_steps >= p->max_steps && p->warmup_steps > 0)
        str_printf(out,
                   "the warmup takes %d steps and the run %d: learning_rate is not reached before "
                   "the end",
                   p->warmup_steps, p->max_steps);
}

static void say_reference(struct str *out, const struct doctor *d)
{
    if (d->o.beta != 0 && d->o.init_adapter && !d->o.ref_adapter)
        str_puts(out, "beta holds the policy near the bare base model, not near init_adapter: "
                      "name it as ref_adapter too if that is meant");
}

static void say_cold(struct str *out, const struct doctor *d)
{
    if (d->o.temperature < 0.5)
        str_printf(out,
                   "temperature %g makes the completions of a group much alike: little to "
                   "compare",
                   d->o.temperature);
}

static void say_truncated(struct str *out, const struct doctor *d)
{
    if (d->o.allow_truncated_sampling)
        str_puts(out, "completions are drawn from a truncated distribution and trained on the "
                      "whole one: the update is biased");
}

/* --- the run --- */

static void say_memory(struct str *out, const struct doctor *d)
{
    double total = (double)d->setup.plan.total;
    if (d->memory_total > 0 && total > 0.9 * d->memory_total)
        str_printf(out, "the plan takes %.1f GiB of the machine's %.1f GiB: lower memory_gib",
                   total / 0x1p30, d->memory_total / 0x1p30);
}

static void say_saving(struct str *out, const struct doctor *d)
{
    double seconds = d->measured.likely.step * d->o.save_steps;
    if (d->has_measured && seconds > 3600 && d->o.save_minutes == 0 &&
        d->o.save_steps < d->setup.plan.max_steps)
        str_printf(out,
                   "%d steps between checkpoints take about %.1f hours, which a kill can lose: set "
                   "save_minutes",
                   d->o.save_steps, seconds / 3600);
}

static void say_clipped(struct str *out, const struct doctor *d)
{
    if (d->has_measured && d->measured.max_tokens == d->o.max_completion_length &&
        d->measured.clipped > 0.5)
        str_printf(out,
                   "%.0f%% of the completions measured ran into max_completion_length %d without "
                   "an end-of-text token",
                   100 * d->measured.clipped, d->o.max_completion_length);
}

static const struct warning warnings[] = {
    {"epochs", say_epochs},
    {"many_epochs", say_many_epochs},
    {"uneven_tasks", say_uneven},
    {"duplicates", say_duplicates},
    {"no_eval_data", say_no_eval},
    {"small_eval", say_small_eval},
    {"no_test_data", say_no_test},
    {"seeds", say_seeds},
    {"audit", say_audit},
    {"prompt_near_limit", say_limit},
    {"no_bos", say_no_bos},
    {"bos_in_texts", say_inside_bos},
    {"vocabulary", say_padded},
    {"no_template", say_no_template},
    {"on_policy", say_on_policy},
    {"gameable_reward", say_gameable},
    {"no_fixtures", say_no_fixtures},
    {"few_generations", say_few_generations},
    {"scale_rewards", say_scale},
    {"gdpo_flat", say_flat},
    {"sampler_sees_eval", say_sampler_sees_eval},
    {"lr_zero", say_lr_zero},
    {"warmup", say_warmup},
    {"reference", say_reference},
    {"low_temperature", say_cold},
    {"truncated_sampling", say_truncated},
    {"memory", say_memory},
    {"rare_checkpoints", say_saving},
    {"clipped", say_clipped},
};

void doctor_warnings(struct doctor *d)
{
    json_t *list = json_object_get(d->report, "warnings");
    for (size_t i = 0; i < ARRAY_LENGTH(warnings); i++) {
        struct str text = {0};
        warnings[i].say(&text, d);
        if (text.length || text.failed) {
            json_t *item = json_object();
            doctor_put(d, item, "id", json_string(warnings[i].id));
            doctor_put(d, item, "text", text.failed ? NULL : doctor_string(str_text(&text)));
            doctor_push(d, list, item);
        }
        str_free(&text);
    }
}
