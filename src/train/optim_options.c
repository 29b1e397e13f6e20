/* optim_options.c: the table of the optimizer's keys; see optim_options.h. */
#include "train/optim_options.h"
#include <math.h>
#include <stddef.h>
#include "base/check.h"

#define AT(field) offsetof(struct optim_options, field)
#define SCHEDULER(field) offsetof(struct scheduler_options, field)

/* name, aliases, type, offset, min, max, choices, default, help */
static const struct option options[] = {
    {"lr_scheduler_type", NULL, OPTION_CHOICE, AT(lr_scheduler_type), 0, 0, schedule_names,
     "linear", "Course of the learning rate."},
    {"warmup_ratio", NULL, OPTION_FLOAT, AT(warmup_ratio), 0, 1, NULL, "0.0",
     "Share of max_steps that warms up, rounded up."},
    {"warmup_steps", NULL, OPTION_FLOAT, AT(warmup_steps), 0, 1e9, NULL, "0",
     "Warm-up in steps; below 1 it is the ratio, as in transformers 5."},
    {"weight_decay", NULL, OPTION_FLOAT, AT(weight_decay), 0, 1e3, NULL, "0.0",
     "AdamW's decoupled weight decay, of matrices only (not of norms and biases)."},
    {"adam_beta1", NULL, OPTION_FLOAT, AT(adam_beta1), 0, 0.9999999, NULL, "0.9",
     "AdamW's beta 1."},
    {"adam_beta2", NULL, OPTION_FLOAT, AT(adam_beta2), 0, 0.9999999, NULL, "0.999",
     "AdamW's beta 2."},
    {"adam_epsilon", NULL, OPTION_FLOAT, AT(adam_epsilon), 1e-30, 1, NULL, "1e-8",
     "AdamW's epsilon."},
    {"max_grad_norm", NULL, OPTION_FLOAT, AT(max_grad_norm), 0, 1e30, NULL, "1.0",
     "Gradients are scaled down to this global norm; 0: never."},
    {"max_steps", NULL, OPTION_INT, AT(max_steps), 0, 1 << 30, NULL, "0",
     "Optimizer steps; 0: as num_train_epochs says."},
    {"num_train_epochs", NULL, OPTION_FLOAT, AT(num_train_epochs), 0, 1e6, NULL, "0",
     "Passes over the data, where max_steps is not given."},
};

static const struct option scheduler_table[] = {
    {"min_lr", NULL, OPTION_FLOAT, SCHEDULER(min_lr), 0, 1e3, NULL, NULL,
     "Learning rate that cosine_with_min_lr ends at; at most learning_rate."},
    {"min_lr_rate", NULL, OPTION_FLOAT, SCHEDULER(min_lr_rate), 0, 1, NULL, NULL,
     "The same as a share of learning_rate; cosine_with_min_lr takes one of the two."},
};

void optim_option_tables(struct optim_options *o, struct option_table tables[OPTIM_OPTION_TABLES])
{
    tables[0] = (struct option_table){NULL, options, ARRAY_LENGTH(options), o, false};
    tables[1] =
        (struct option_table){"lr_scheduler_kwargs", scheduler_table, ARRAY_LENGTH(scheduler_table),
                              &o->lr_scheduler_kwargs, false};
}

static int complain(const recipe *r, const char *key, struct err *err, const char *message)
{
    return err_set(err, ERR_USAGE, recipe_where(r, NULL, key), "%s", message);
}

static bool given(const recipe *r, const char *key)
{
    return recipe_given(r, NULL, key, NULL);
}

static int check_warmup(const recipe *r, struct optim_options *o, struct err *err)
{
    if (!given(r, "warmup_steps"))
        return ERR_NONE;
    if (o->warmup_steps >= 1 && o->warmup_steps != floor(o->warmup_steps))
        return complain(r, "warmup_steps", err,
                        "is neither a share below 1 nor a whole number of steps");
    double ratio = o->warmup_steps < 1 ? o->warmup_steps : -1;
    if (given(r, "warmup_ratio") && o->warmup_ratio != ratio)
        return complain(r, "warmup_steps", err,
                        "and warmup_ratio say different things: remove one");
    if (ratio >= 0) {
        o->warmup_ratio = ratio;
        o->warmup_steps = 0;
    }
    return ERR_NONE;
}

static int check_scheduler(const recipe *r, const struct optim_options *o, struct err *err)
{
    static const char *const section = "lr_scheduler_kwargs";
    bool lr = !isnan(o->lr_scheduler_kwargs.min_lr),
         rate = !isnan(o->lr_scheduler_kwargs.min_lr_rate);
    const char *where = recipe_where(r, section, lr ? "min_lr" : "min_lr_rate");
    if (o->lr_scheduler_type == SCHEDULE_COSINE_WITH_MIN_LR && !lr && !rate)
        return complain(r, "lr_scheduler_type", err,
                        "cosine_with_min_lr needs min_lr or min_lr_rate under lr_scheduler_kwargs");
    if (o->lr_scheduler_type != SCHEDULE_COSINE_WITH_MIN_LR && (lr || rate))
        return err_set(err, ERR_USAGE, where,
                       "has no effect with lr_scheduler_type %s: remove it or set "
                       "cosine_with_min_lr",
                       schedule_names[o->lr_scheduler_type]);
    if (lr && rate)
        return err_set(err, ERR_USAGE, where, "and min_lr_rate are both given: remove one");
    if (lr && o->lr_scheduler_kwargs.min_lr > o->learning_rate)
        return err_set(err, ERR_USAGE, where, "is %g, above learning_rate %g: lower it",
                       o->lr_scheduler_kwargs.min_lr, o->learning_rate);
    return ERR_NONE;
}

int optim_options_check(const recipe *r, struct optim_options *o, bool needs_length,
                        struct err *err)
{
    int status = check_warmup(r, o, err);
    if (status)
        return status;
    if (o->lr_scheduler_type == SCHEDULE_CONSTANT && (o->warmup_ratio > 0 || o->warmup_steps > 0))
        return complain(r, given(r, "warmup_ratio") ? "warmup_ratio" : "warmup_steps", err,
                        "has no effect with lr_scheduler_type constant: remove it or set "
                        "constant_with_warmup");
    if (needs_length && !o->max_steps && o->num_train_epochs <= 0)
        return complain(r, "max_steps", err, "or num_train_epochs is required: how long to train");
    if (o->max_steps && o->num_train_epochs > 0)
        return complain(r, "num_train_epochs", err, "and max_steps are both given: remove one");
    return check_scheduler(r, o, err);
}

int optim_warmup_steps(const struct optim_options *o, int max_steps)
{
    return o->warmup_steps >= 1 ? (int)o->warmup_steps
                                : schedule_warmup_steps(max_steps, o->warmup_ratio);
}

double optim_min_lr_rate(const struct optim_options *o)
{
    const struct scheduler_options *s = &o->lr_scheduler_kwargs;
    if (s->min_lr > 0) /* false where it is not given */
        return s->min_lr / o->learning_rate;
    return s->min_lr_rate > 0 ? s->min_lr_rate : 0;
}

struct optimizer_call optim_call(const struct optim_options *o, int step, int warmup_steps,
                                 int max_steps)
{
    return (struct optimizer_call){
        .learning_rate = schedule_lr((enum schedule)o->lr_scheduler_type, o->learning_rate, step,
                                     warmup_steps, max_steps, optim_min_lr_rate(o)),
        .beta1 = o->adam_beta1,
        .beta2 = o->adam_beta2,
        .epsilon = o->adam_epsilon,
        .weight_decay = o->weight_decay,
        .max_grad_norm = o->max_grad_norm,
        .step = step};
}
