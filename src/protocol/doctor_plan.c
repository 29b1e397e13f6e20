/* doctor_plan.c: what the run will take: memory, disk and time, and how often each row really
 * comes.
 */
#include <math.h>
#include <string.h>
#include "protocol/doctor.h"

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static void put_memory(struct doctor *d, json_t *s)
{
    const struct plan *p = &d->setup.plan;
    json_t *list = json_array();
    for (int i = 0; i < p->n_parts; i++) {
        json_t *part = json_object();
        doctor_put(d, part, "part", json_string(p->parts[i].name));
        doctor_put(d, part, "bytes", json_integer((json_int_t)p->parts[i].bytes));
        doctor_push(d, list, part);
    }
    doctor_put(d, s, "memory", list);
    doctor_put(d, s, "total_bytes", json_integer((json_int_t)p->total));
    doctor_put(d, s, "budget_bytes", json_integer((json_int_t)p->budget));
}

/* Tasks beyond the table's end count as its last. */
static int task_of(const struct row *row, const char *const *names, int tasks)
{
    int t = 0;
    while (t < tasks - 1 && strcmp(row->task, names[t]) != 0)
        t++;
    return t;
}

/* How many prompts of each task the run really takes: dealt here as they will be dealt there, so
 * that the last, partial pass is counted too. */
static void put_tasks(struct doctor *d, json_t *s)
{
    struct setup *setup = &d->setup;
    const struct dataset *data = &setup->data;
    const char *names[DEALER_MAX_TASKS];
    double prompts[DEALER_MAX_TASKS] = {0}, rows[DEALER_MAX_TASKS] = {0};
    int tasks = dataset_tasks(data, names, DEALER_MAX_TASKS);
    struct dealer_cursor at = {0};
    json_t *list = json_array();
    for (size_t i = 0; i < data->count; i++)
        rows[task_of(&data->rows[i], names, tasks)]++;
    for (uint64_t g = 0; g < setup_groups(setup); g++)
        prompts[task_of(&data->rows[dealer_deal(&setup->dealer, &at, NULL, NULL)], names, tasks)]++;
    for (int t = 0; t < tasks; t++) {
        json_t *item = json_object();
        doctor_put(d, item, "task", doctor_string(names[t]));
        doctor_put(d, item, "rows", json_integer((json_int_t)rows[t]));
        doctor_put(d, item, "prompts", json_integer((json_int_t)prompts[t]));
        doctor_put(d, item, "epochs", number(prompts[t] / rows[t]));
        doctor_push(d, list, item);
    }
    doctor_put(d, s, "tasks", list);
}

static void put_disk(struct doctor *d)
{
    const struct setup *s = &d->setup;
    struct plan_disk disk;
    size_t eval_rows = s->has_eval ? s->eval_data.count * (size_t)d->o.eval_num_generations : 0;
    plan_disk(&disk, &s->plan, &d->o, measure_evaluations(s), eval_rows, d->median_prompt);
    json_t *o = doctor_section(d, NULL, "disk");
    doctor_put(d, o, "where", doctor_string(d->out));
    doctor_put(d, o, "checkpoints", json_integer(disk.checkpoints));
    doctor_put(d, o, "checkpoint_bytes", json_integer((json_int_t)disk.checkpoint));
    doctor_put(d, o, "checkpoints_kept_bytes", json_integer((json_int_t)disk.kept));
    doctor_put(d, o, "best_checkpoint_bytes", json_integer((json_int_t)disk.best));
    doctor_put(d, o, "samples_bytes", json_integer((json_int_t)disk.samples));
    doctor_put(d, o, "logs_bytes", json_integer((json_int_t)disk.logs));
    doctor_put(d, o, "total_bytes", json_integer((json_int_t)disk.total));
    if (d->disk_free > 0)
        doctor_check(d, "disk", (double)disk.total < d->disk_free, ERR_MACHINE,
                     "the run writes up to %.1f MiB where %.1f MiB are free%s",
                     (double)disk.total / 0x1p20, d->disk_free / 0x1p20,
                     (double)disk.total < d->disk_free
                         ? ""
                         : ": name another --out, lower save_total_limit or raise save_steps");
}

void doctor_plan(struct doctor *d)
{
    const struct plan *p = &d->setup.plan;
    const struct gradient_size *size = &p->gradient;
    json_t *s = doctor_section(d, NULL, "plan");
    double generations = ceil((double)p->max_steps / train_generation_steps(&d->o)) * size->groups;
    put_memory(d, s);
    doctor_put(d, s, "micro_batch", json_integer(size->micro_batch));
    doctor_put(d, s, "decode_together", json_integer(p->max_sequences));
    doctor_put(d, s, "steps", json_integer(p->max_steps));
    doctor_put(d, s, "warmup_steps", json_integer(p->warmup_steps));
    doctor_put(d, s, "prompts_per_step", json_integer(d->o.prompts_per_step));
    doctor_put(d, s, "completions_per_prompt", json_integer(size->per_group));
    doctor_put(d, s, "longest_prompt", json_integer(d->setup.longest_prompt));
    doctor_put(d, s, "epochs", number(p->epochs));
    put_tasks(d, s);
    doctor_put(
        d, s, "tokens_at_most",
        json_integer((json_int_t)(generations * size->per_group * d->o.max_completion_length)));
    doctor_put(d, s, "on_policy", json_boolean(plan_on_policy(&d->o)));
    doctor_put(d, s, "evaluations", json_integer(measure_evaluations(&d->setup)));
    put_disk(d);
}

static void put_time(struct doctor *d, json_t *s, const char *name, const struct measured_time *t)
{
    json_t *o = doctor_section(d, s, name);
    doctor_put(d, o, "completion_tokens", number(t->tokens));
    doctor_put(d, o, "step_seconds", number(t->step));
    doctor_put(d, o, "evaluation_seconds", number(t->evaluation));
    doctor_put(d, o, "run_seconds", number(t->run));
}

void doctor_time(struct doctor *d)
{
    json_t *s = doctor_section(d, NULL, "time");
    const struct measured *m = &d->measured;
    doctor_put(d, s, "measured", json_boolean(d->has_measured));
    if (!d->has_measured)
        return;
    json_t *on = doctor_section(d, s, "measured_on");
    doctor_put(d, on, "prompts", json_integer(m->groups));
    doctor_put(d, on, "completions_per_prompt", json_integer(m->per_group));
    doctor_put(d, on, "tokens_at_most", json_integer(m->max_tokens));
    doctor_put(d, on, "tokens", json_integer(m->tokens));
    doctor_put(d, on, "rollout_seconds", number(m->rollout));
    doctor_put(d, on, "gradient_seconds", number(m->gradient));
    doctor_put(d, on, "update_seconds", number(m->update));
    put_time(d, s, "likely", &m->likely);
    put_time(d, s, "at_most", &m->most);
    doctor_put(d, s, "note",
               json_string("estimates, scaled from one small step that was thrown away; likely: "
                           "completions go on ending at the rate seen; at most: all run to "
                           "max_completion_length"));
}
