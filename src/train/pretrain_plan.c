/* pretrain_plan.c: adding up and choosing; see pretrain_plan.h. */
#include "train/pretrain_plan.h"
#include <math.h>
#include "train/pretrain_step.h"

/* More rows than this in one pass bring no speed. */
enum { USEFUL_ROWS = 2048 };

static void add_part(struct pretrain_plan *p, const char *name, size_t bytes)
{
    p->parts[p->n_parts++] = (struct plan_part){name, bytes};
    p->total += bytes;
}

static size_t corpus_bytes(const struct corpus *c)
{
    return c->ids.count * sizeof(int) + c->count * sizeof(struct corpus_document);
}

static void add_up(struct pretrain_plan *p, const struct pretrain_plan_input *in)
{
    const struct device *d = in->d;
    const struct hf_config *c = in->config;
    size_t params = p->parameters * sizeof(float), rows = (size_t)p->max_rows;
    size_t pieces = (size_t)in->o->sequences_per_step * (size_t)corpus_dealer_pieces(in->dealer);
    size_t texts =
        corpus_bytes(in->dealer->corpus) + (in->eval_data ? corpus_bytes(in->eval_data) : 0);
    p->n_parts = 0;
    p->total = 0;
    add_part(p, "program, texts", in->program_bytes > texts ? in->program_bytes - texts : 0);
    add_part(p, "weights, masters", full_bytes(d, c, p->max_context));
    add_part(p, "gradient", params);
    add_part(p, "moments", 2 * params);
    add_part(p, "activations",
             activations_bytes(d, c, NULL, p->max_rows) +
                 kv_cache_bytes(d, c, pretrain_kv_rows(p->max_rows)) +
                 rows * (size_t)c->hidden_size * sizeof(float));
    add_part(p, "device scratch", model_scratch_bytes(d, c, NULL, p->max_rows, p->max_context));
    add_part(p, "documents",
             texts + pieces * sizeof(struct corpus_piece) + pretrain_pass_bytes(p->max_rows));
    add_part(p, "saving", 4 * params); /* the moments on the host and their file */
}

/* Rows of a pass of `micro` sequences of max_length; never more than a step or its longest
 * sequence (and the longest held-out document) can fill. */
static int pass_rows(const struct pretrain_plan_input *in, int micro)
{
    int longest = in->dealer->length && in->dealer->length < in->dealer->corpus->longest
                      ? in->dealer->length
                      : in->dealer->corpus->longest;
    if (in->eval_data && in->eval_data->longest > longest)
        longest = in->eval_data->longest;
    longest = longest < in->o->max_length ? longest : in->o->max_length;
    double step = (double)in->o->sequences_per_step * corpus_dealer_rows(in->dealer);
    double rows = fmin((double)micro * in->o->max_length, step);
    return rows > longest ? (int)fmin(rows, INT32_MAX / 2) : longest;
}

static int count_steps(struct pretrain_plan *p, const struct pretrain_plan_input *in,
                       struct err *err)
{
    const struct pretrain_options *o = in->o;
    double of_epoch = 1 / corpus_dealer_epochs(in->dealer, (uint64_t)o->sequences_per_step);
    double steps =
        o->optim.max_steps ? o->optim.max_steps : ceil(o->optim.num_train_epochs * of_epoch);
    if (steps > INT32_MAX)
        return err_set(err, ERR_USAGE, "num_train_epochs", "makes more steps than can be counted");
    p->max_steps = (int)steps;
    p->warmup_steps = optim_warmup_steps(&o->optim, p->max_steps);
    p->epochs = steps / of_epoch;
    p->rows_a_step = (double)in->dealer->corpus->rows / of_epoch;
    return ERR_NONE;
}

int pretrain_plan_make(struct pretrain_plan *p, const struct pretrain_plan_input *in,
                       struct err *err)
{
    const struct pretrain_options *o = in->o;
    int most = o->max_length; /* rows of a piece */
    if (most > in->config->max_position_embeddings)
        return err_set(err, ERR_USAGE, "max_length",
                       "is %d, the config's context (max_position_embeddings) is %d: lower it",
                       most, in->config->max_position_embeddings);
    *p = (struct pretrain_plan){.budget = o->memory_gib > 0 ? (size_t)(o->memory_gib * 0x1p30)
                                                            : plan_default_budget(),
                                .parameters = full_floats(in->config),
                                .max_context = most};
    p->checkpoint_bytes = 3 * p->parameters * sizeof(float);
    int status = count_steps(p, in, err);
    if (status)
        return status;
    int useful = (USEFUL_ROWS + most - 1) / most;
    p->micro_batch = o->micro_batch ? o->micro_batch : useful;
    if (p->micro_batch > o->sequences_per_step)
        p->micro_batch = o->sequences_per_step;
    for (;; p->micro_batch /= 2) {
        p->max_rows = pass_rows(in, p->micro_batch);
        add_up(p, in);
        if (p->total <= p->budget)
            return ERR_NONE;
        if (o->micro_batch || p->micro_batch == 1)
            break;
    }
    return err_set(err, ERR_MACHINE, "memory plan",
                   "%s plan takes %.2f GiB (parameters, gradient and moments %.2f), the budget is "
                   "%.2f GiB: lower max_length%s, or raise memory_gib",
                   o->micro_batch ? "the recipe's" : "the smallest", (double)p->total / 0x1p30,
                   (double)(p->parts[1].bytes + p->parts[2].bytes + p->parts[3].bytes) / 0x1p30,
                   (double)p->budget / 0x1p30, o->micro_batch ? " or micro_batch" : "");
}

static void print_corpus(struct str *out, const char *name, const struct corpus *c)
{
    str_printf(out, "%s: %zu documents, %zu tokens, the longest %d", name, c->count, c->ids.count,
               c->longest + 1);
    if (c->truncated)
        str_printf(out, "; %zu cut to max_length", c->truncated);
    str_putc(out, '\n');
}

void pretrain_plan_print(struct str *out, const struct pretrain_plan *p,
                         const struct pretrain_plan_input *in)
{
    print_corpus(out, "data", in->dealer->corpus);
    if (in->eval_data)
        print_corpus(out, "eval_data", in->eval_data);
    str_printf(out, "model: %.3f million parameters\nplan: memory\n", (double)p->parameters / 1e6);
    for (int i = 0; i < p->n_parts; i++)
        str_printf(out, "  %-20s %9.1f MiB\n", p->parts[i].name,
                   (double)p->parts[i].bytes / 0x1p20);
    str_printf(out, "  %-20s %9.1f MiB of %.1f GiB\n", "total", (double)p->total / 0x1p20,
               (double)p->budget / 0x1p30);
    str_printf(out, "  passes of at most %d tokens; a checkpoint takes %.1f MiB on disk\n",
               p->max_rows, (double)p->checkpoint_bytes / 0x1p20);
    str_printf(out, "plan: %d steps of %d sequences, %.0f tokens each on average, %.2f epochs",
               p->max_steps, in->o->sequences_per_step, p->rows_a_step, p->epochs);
}
