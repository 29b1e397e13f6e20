/* measure.c: a step at reduced size; see measure.h.
 *
 * What decides the speed of decoding is how many sequences are side by side, so their number is
 * kept and the completions are made shorter; a pass of the gradient then takes more of them, and
 * has about as many rows. What is left out is attention's growth with length: a few percent at a
 * thousand tokens of context. */
#include "train/measure.h"
#include <math.h>
#include "base/mem.h"

enum { TOKENS = 1024, FEWEST = 8 }; /* drawn in all; of a completion */

int measure_evaluations(const struct setup *s)
{
    int steps = s->plan.max_steps, every = s->o->eval_steps;
    return s->has_eval ? 2 + (every ? (steps - 1) / every : 0) : 0;
}

/* The options of a step that decodes as the plan does, but not as long. */
static void reduce(struct train_options *o, const struct plan *p)
{
    int per_group = p->gradient.per_group;
    int groups = (p->max_sequences + per_group - 1) / per_group;
    groups = groups < p->gradient.groups ? groups : p->gradient.groups;
    int tokens = TOKENS / (groups * per_group);
    tokens = tokens > FEWEST ? tokens : FEWEST;
    o->max_completion_length =
        tokens < o->max_completion_length ? tokens : o->max_completion_length;
    if (o->soft_overlong_cache > o->max_completion_length)
        o->soft_overlong_cache = o->max_completion_length;
    o->prompts_per_step = groups;
    o->num_generations = per_group;
    o->steps_per_generation = o->num_iterations = 1;
    o->optim.max_steps = 2;
    o->dynamic_sampling = false; /* how often it comes is not known */
}

static void take_down(struct measured *out, const struct grpo *g, int *longest, double *rows)
{
    int cut = 0, n = generation_count(&g->gen);
    for (int i = 0; i < n; i++) {
        const struct completion *c =
            &generation_sample((struct generation *)&g->gen, i)->completion;
        out->tokens += c->length;
        cut += c->stop == STOP_LENGTH;
        *longest = c->length > *longest ? c->length : *longest;
        *rows += c->length;
    }
    for (int b = 0; b < g->gen.batch.count; b++)
        *rows += (double)g->gen.batch.groups[b].prompt.count;
    out->clipped = (double)cut / n;
    out->rollout = g->times.rollout;
    out->gradient = g->times.gradient;
    out->update = g->times.update;
}

/* What is known after the small step. */
struct rates {
    double pass, row; /* seconds of a decoding pass, of a row of the gradient */
    double update;    /* seconds */
    double prompt;    /* tokens of a prompt */
    double ends;      /* chance that a token is a completion's last */
};

/* With completions of `tokens` on average, the longest of those side by side of `longest`. */
static struct measured_time scale_up(const struct setup *s, const struct rates *r, double tokens,
                                     double longest)
{
    const struct plan *p = &s->plan;
    const struct gradient_size *size = &p->gradient;
    double sequences = (double)size->groups * size->per_group;
    double sampling = r->pass * longest * ceil(sequences / p->max_sequences);
    double learning = r->row * (sequences * tokens + size->groups * r->prompt);
    double evaluated = s->has_eval ? (double)s->eval_data.count * s->o->eval_num_generations : 0;
    struct measured_time t = {.tokens = tokens,
                              .step = sampling / train_generation_steps(s->o) +
                                      learning / s->o->steps_per_generation + r->update,
                              .evaluation = r->pass * longest * ceil(evaluated / p->max_sequences)};
    t.run = t.step * p->max_steps + t.evaluation * measure_evaluations(s);
    return t;
}

/* Ending at a constant rate e, a completion has (1 − (1 − e)^T) / e tokens on average, and the
 * longest of n about (1 + 1/2 + … + 1/n) / e. */
static void estimate(struct measured *m, const struct setup *s, const struct rates *r)
{
    double limit = s->o->max_completion_length, mean = limit, longest = limit, harmonic = 0;
    m->most = scale_up(s, r, limit, limit);
    for (int i = 1; i <= s->plan.max_sequences; i++)
        harmonic += 1.0 / i;
    if (r->ends > 0) {
        mean = (1 - pow(1 - r->ends, limit)) / r->ends;
        longest = fmin(limit, fmax(mean, harmonic / r->ends));
    }
    m->likely = scale_up(s, r, mean, longest);
}

/* The first step pays for memory that is touched for the first time; where it was short, the
 * second one counts. */
static int do_steps(struct grpo *g, struct err *err)
{
    const double shortly = 2;
    int status = grpo_step(g, 1, err);
    if (!status && g->times.rollout + g->times.gradient < shortly)
        status = grpo_step(g, 2, err);
    return status;
}

int measure_step(struct measured *out, const struct setup *s, struct err *err)
{
    *out = (struct measured){0};
    struct train_options o = *s->o;
    struct setup small = *s; /* what is open is borrowed; plan, dealer and engine are its own */
    struct grpo *g = mem_calloc(1, sizeof *g);
    if (!g)
        return err_no_memory(err, "a step", sizeof *g);
    reduce(&o, &s->plan);
    small.o = small.spec.o = &o;
    small.dealer = (struct dealer){0};
    int status = setup_plan(&small, err);
    if (!status)
        status = setup_engine(g, &small, err);
    if (!status)
        status = do_steps(g, err);
    if (!status) {
        int longest = 1;
        double rows = 0;
        out->groups = o.prompts_per_step;
        out->per_group = o.num_generations;
        out->max_tokens = o.max_completion_length;
        take_down(out, g, &longest, &rows);
        struct rates r = {.pass = out->rollout / longest,
                          .row = out->gradient / rows,
                          .update = out->update,
                          .prompt = (rows - (double)out->tokens) / out->groups,
                          .ends = (1 - out->clipped) * out->groups * out->per_group /
                                  (double)out->tokens};
        estimate(out, s, &r);
    }
    setup_close_engine(g, &small);
    dealer_free(&small.dealer);
    mem_free(g);
    return status;
}
