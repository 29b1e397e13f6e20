/* plan.c: adding up and choosing; see plan.h. */
#include "train/plan.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* More rows than this in one pass bring no speed: the matrix kernels are long since busy. */
enum { USEFUL_ROWS = 2048, USEFUL_SEQUENCES = 256, EVAL_PROMPTS = 16 };

size_t plan_default_budget(void)
{
    double bytes = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE), limit;
    FILE *file = fopen("/sys/fs/cgroup/memory.max", "re");
    if (file) {
        if (fscanf(file, "%lf", &limit) == 1 && limit < bytes)
            bytes = limit;
        fclose(file);
    }
    return (size_t)(0.9 * bytes);
}

size_t plan_resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file) {
        if (fscanf(file, "%*u %lu", &pages) != 1)
            pages = 0;
        fclose(file);
    }
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void add_part(struct plan *p, const char *name, size_t bytes)
{
    p->parts[p->n_parts++] = (struct plan_part){name, bytes};
    p->total += bytes;
}

/* Prompts that are in the cache at the same time. */
static int prompt_slots(const struct plan *p, const struct plan_input *in)
{
    int slots = (p->max_sequences + in->per_group - 1) / in->per_group;
    int wanted = p->max_sequences < EVAL_PROMPTS ? p->max_sequences : EVAL_PROMPTS;
    return in->evaluates && wanted > slots ? wanted : slots;
}

static void add_up(struct plan *p, const struct plan_input *in)
{
    p->prompt_room = rollout_prompt_room(prompt_slots(p, in), in->max_prompt_tokens);
    const struct device *d = in->d;
    const struct hf_config *c = in->config;
    int rows = p->gradient.micro_batch * p->gradient.max_completion_length;
    int decoding =
        rollout_pass_rows(p->max_sequences, p->prompt_room, in->o->max_completion_length);
    rows = rows > decoding ? rows : decoding;
    rows = rows > in->max_trained_prompt ? rows : in->max_trained_prompt;
    p->n_parts = 0;
    p->total = 0;
    add_part(p, "program, texts", in->program_bytes);
    add_part(p, "base weights", model_weight_bytes(d, c, in->max_context));
    add_part(p, "adapter, moments",
             adapter_bytes(d, c, in->lora) + 2 * adapter_floats(c, in->lora) * sizeof(float));
    if (in->reference)
        add_part(p, "reference adapter", adapter_bytes(d, c, in->reference));
    add_part(p, "rollout",
             rollout_bytes(d, c, in->largest, p->max_sequences, p->prompt_room,
                           in->o->max_completion_length));
    add_part(p, "gradient",
             gradient_bytes(d, c, in->lora, adapter_floats(c, in->lora), &p->gradient));
    add_part(p, "completions",
             generation_bytes(in->groups, in->per_group, in->o->max_completion_length));
    add_part(p, "device scratch", model_scratch_bytes(d, c, in->largest, rows, in->max_context));
    /* Both moments on the host and their file. */
    add_part(p, "saving", 4 * adapter_floats(c, in->lora) * sizeof(float));
}

/* Halves what can be halved, the sequences first where they are many, until it fits. */
static bool shrink(struct plan *p, bool micro_fixed)
{
    if (p->max_sequences > 16) {
        p->max_sequences = (p->max_sequences + 1) / 2;
        return true;
    }
    if (!micro_fixed && p->gradient.micro_batch > 1) {
        p->gradient.micro_batch = (p->gradient.micro_batch + 1) / 2;
        return true;
    }
    if (p->max_sequences > 1) {
        p->max_sequences = (p->max_sequences + 1) / 2;
        return true;
    }
    return false;
}

static int first_micro_batch(const struct plan_input *in)
{
    if (in->o->micro_batch)
        return in->o->micro_batch < in->per_group ? in->o->micro_batch : in->per_group;
    if (in->o->memory_gib > 0)
        return in->per_group;
    int useful = (USEFUL_ROWS + in->o->max_completion_length - 1) / in->o->max_completion_length;
    return useful < in->per_group ? useful : in->per_group;
}

int plan_make(struct plan *p, const struct plan_input *in, struct err *err)
{
    const struct train_options *o = in->o;
    int sequences = in->groups * in->per_group;
    *p = (struct plan){.budget = o->memory_gib > 0 ? (size_t)(o->memory_gib * 0x1p30)
                                                   : plan_default_budget(),
                       .max_sequences = sequences < USEFUL_SEQUENCES ? sequences : USEFUL_SEQUENCES,
                       .max_steps = in->max_steps,
                       .epochs = NAN};
    p->warmup_steps = optim_warmup_steps(&o->optim, in->max_steps);
    p->gradient = (struct gradient_size){.micro_batch = first_micro_batch(in),
                                         .max_completion_length = o->max_completion_length,
                                         .max_prompt_length = in->max_trained_prompt,
                                         .groups = in->groups,
                                         .per_group = in->per_group};
    p->checkpoint_bytes = 3 * adapter_floats(in->config, in->lora) * sizeof(float);
    if (in->rows) {
        int serves = train_generation_steps(o);
        int generations = (in->max_steps + serves - 1) / serves;
        p->epochs = (double)generations * in->groups / (double)in->rows;
    }
    do {
        add_up(p, in);
        if (p->total <= p->budget)
            return ERR_NONE;
    } while (shrink(p, o->micro_batch > 0));
    return err_set(
        err, ERR_MACHINE, "memory plan",
        "the smallest plan takes %.2f GiB (base weights %.2f, gradient %.2f with a "
        "micro-batch of %d), the budget is %.2f GiB: lower max_completion_length, or raise "
        "memory_gib",
        (double)p->total / 0x1p30, (double)p->parts[1].bytes / 0x1p30,
        (double)gradient_bytes(in->d, in->config, in->lora, adapter_floats(in->config, in->lora),
                               &p->gradient) /
            0x1p30,
        p->gradient.micro_batch, (double)p->budget / 0x1p30);
}

/* An id, a log-probability and the text of a token in samples.jsonl, and what an evaluation's file
 * keeps of it; a completion's names, components and numbers; a step's lines of metrics and clocks.
 * Measured on runs of the built-in model, rounded up. */
enum {
    ID_BYTES = 7,
    LOGPROB_BYTES = 13,
    TEXT_BYTES = 5,
    COMPLETION_BYTES = 700,
    STEP_BYTES = 2000
};

void plan_disk(struct plan_disk *out, const struct plan *p, const struct train_options *o,
               int evaluations, size_t eval_rows, int prompt_tokens)
{
    size_t new_tokens = (size_t)o->max_completion_length, steps = (size_t)p->max_steps;
    size_t completions = (size_t)p->gradient.groups * (size_t)p->gradient.per_group;
    size_t serves = (size_t)train_generation_steps(o);
    int made = (p->max_steps + o->save_steps - 1) / o->save_steps;
    *out = (struct plan_disk){.checkpoint = p->checkpoint_bytes};
    out->checkpoints =
        o->save_total_limit && made > o->save_total_limit ? o->save_total_limit : made;
    out->kept = (size_t)out->checkpoints * out->checkpoint;
    out->best = evaluations ? p->checkpoint_bytes / 3 : 0;
    out->samples = (steps + serves - 1) / serves * completions *
                   ((size_t)prompt_tokens * ID_BYTES +
                    new_tokens * (ID_BYTES + LOGPROB_BYTES + TEXT_BYTES) + COMPLETION_BYTES);
    out->logs = steps * STEP_BYTES + (size_t)evaluations * eval_rows *
                                         (new_tokens * (ID_BYTES + TEXT_BYTES) + COMPLETION_BYTES);
    out->total = out->kept + out->checkpoint + 2 * out->best + out->samples + out->logs;
}

bool plan_on_policy(const struct train_options *o)
{
    double bound = o->loss_type == LOSS_CISPO ? o->epsilon_high : o->delta;
    return train_generation_steps(o) == 1 && !(bound < 1);
}

void plan_print(struct str *out, const struct plan *p, const struct train_options *o)
{
    str_puts(out, "plan: memory\n");
    for (int i = 0; i < p->n_parts; i++)
        str_printf(out, "  %-20s %9.1f MiB\n", p->parts[i].name,
                   (double)p->parts[i].bytes / 0x1p20);
    str_printf(out, "  %-20s %9.1f MiB of %.1f GiB\n", "total", (double)p->total / 0x1p20,
               (double)p->budget / 0x1p30);
    str_printf(
        out,
        "  micro-batch %d completions; %d decode together; a checkpoint takes %.1f MiB on disk\n",
        p->gradient.micro_batch, p->max_sequences, (double)p->checkpoint_bytes / 0x1p20);
    str_printf(out, "plan: %d steps of %d prompt%s × %d completions of at most %d tokens",
               p->max_steps, p->gradient.groups / o->steps_per_generation,
               p->gradient.groups == o->steps_per_generation ? "" : "s", p->gradient.per_group,
               o->max_completion_length);
    if (!isnan(p->epochs))
        str_printf(out, ", %.2f epochs", p->epochs);
    if (o->steps_per_generation > 1)
        str_printf(
            out,
            "\nplan: a generation of %d prompts serves %d steps; each takes its share of the "
            "shuffled completions",
            p->gradient.groups, train_generation_steps(o));
    if (o->importance_sampling_level == LEVEL_SEQUENCE && o->loss_type != LOSS_GRPO)
        str_printf(out,
                   "\nplan: loss_type %s weighs each sequence by its length; GSPO's own is grpo",
                   loss_type_names[o->loss_type]);
    if (o->advantage == ADVANTAGE_GDPO && p->gradient.groups == 1)
        str_puts(out,
                 "\nplan: with one prompt at a time gdpo's batch step only rescales its group");
    if (o->dynamic_sampling)
        str_printf(
            out,
            "\nplan: dynamic_sampling: up to %d times the rollout, and as many prompts, in a "
            "step whose groups give no signal; epochs are counted without",
            1 + o->dynamic_sampling_max_rounds);
}
