/* trial.c: steps that are really done and thrown away: the stages smoke and probe. They go the
 * trainer's own way (setup.h, grpo.h) on an engine of their own and write nothing but their record:
 * training starts at step 0 afterwards. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/sanitizer.h"
#include "protocol/parts.h"
#include "protocol/smoke_replay.h"
#include "train/sampling.h"

typedef int trial_step(void *user, const struct grpo *g, int step, struct err *err);

/* Samples and scores as a step does, for what that takes; then the step has the replay's
 * completions instead. */
static int sample_for_nothing(struct grpo *g, const struct replay *replay, double *seconds,
                              struct err *err)
{
    double started = clock_seconds();
    int status = sampling_run(g, 1, err);
    *seconds = clock_seconds() - started;
    g->replay = replay;
    return status;
}

/* `s` is open and planned, and stays as it is: what is open is borrowed; plan, dealer and engine
 * are the trial's own. */
struct trial {
    const struct setup *s;
    int steps;
    const struct replay *replay; /* the completions of the only step; NULL: its own */
    trial_step *each;
    void *user;
    double sampling; /* out: seconds of sampling beside the replay */
};

static int trial_run(struct trial *t, struct err *err)
{
    struct setup own = *t->s;
    struct train_options o = *t->s->o;
    struct grpo *g = mem_calloc(1, sizeof *g);
    if (!g)
        return err_no_memory(err, "a step", sizeof *g);
    own.dealer = (struct dealer){0};
    own.o = own.spec.o = &o;
    o.dynamic_sampling = o.dynamic_sampling && !t->replay; /* what it would refill is not trained */
    int status = setup_plan(&own, err);
    if (!status)
        status = setup_engine(g, &own, err);
    if (!status && t->replay)
        status = sample_for_nothing(g, t->replay, &t->sampling, err);
    for (int step = 1; step <= t->steps && !status; step++) {
        status = grpo_step(g, step, err);
        if (!status)
            status = t->each(t->user, g, step, err);
    }
    setup_close_engine(g, &own);
    dealer_free(&own.dealer);
    mem_free(g);
    return status;
}

/* --- memory: the highest the process was resident, from here on --- */

static void forget_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return; /* then it counts what came before, too */
    ssize_t ignored = write(fd, "5", 1);
    (void)ignored;
    close(fd);
}

static double peak_bytes(void)
{
    char line[256];
    double kib = NAN;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lf", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib * 1024;
}

/* --- smoke --- */

struct smoke {
    char replayed[400]; /* ", completions of FILE …"; "": its own */
    int matrices, zero; /* LoRA B; those whose gradient is all zero */
    char first[160];    /* name of the first of these */
    int groups, informative;
    double loss, grad_norm;
    struct grpo_times times;
};

/* The optimizer's first moment after the first step is the gradient times a number. */
static int look_at_gradient(void *user, const struct grpo *g, int step, struct err *err)
{
    struct smoke *out = user;
    struct device *d = g->optimizer.d;
    int n;
    const struct adapter_tensor *tensors = adapter_tensors(g->a, &n);
    float *moment = mem_alloc(g->optimizer.n * sizeof *moment);
    (void)step;
    if (!moment)
        return err_no_memory(err, "a gradient", g->optimizer.n * sizeof *moment);
    d->ops->download(d, moment, g->optimizer.exp_avg, g->optimizer.n * sizeof *moment);
    for (int i = 0; i < n; i++) {
        size_t size = (size_t)tensors[i].rows * (size_t)tensors[i].cols, t = 0;
        while (t < size && moment[tensors[i].offset + t] == 0)
            t++;
        if (!tensors[i].is_b)
            continue;
        out->matrices++;
        if (t == size && !out->zero++)
            snprintf(out->first, sizeof out->first, "%s", tensors[i].name);
    }
    out->groups = g->gen.batch.count;
    out->informative = (int)metrics_get(&g->metrics, "informative_groups");
    out->loss = metrics_get(&g->metrics, "loss");
    out->grad_norm = metrics_get(&g->metrics, "grad_norm");
    out->times = g->times;
    mem_free(moment);
    return ERR_NONE;
}

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

/* Within 5% of the plan, and what an allocator and the threads' stacks take beside it. */
static int judge_memory(struct gate_record *g, double peak, double planned, struct err *err)
{
    const double slack = 16 * 0x1p20;
    gate_put(g, g->measured, "peak_bytes", number(peak));
    gate_put(g, g->measured, "planned_bytes", number(planned));
    if (SANITIZED || isnan(peak) || peak <= 1.05 * planned + slack)
        return ERR_NONE;
    return err_set(err, ERR_MACHINE, "smoke",
                   "expected a step to take at most the planned %.1f MiB, found %.1f MiB: the plan "
                   "is wrong, so a long run could end for lack of memory; report it, and set "
                   "memory_gib to leave room",
                   planned / 0x1p20, peak / 0x1p20);
}

static int judge_gradient(struct gate_record *g, const struct smoke *s, struct err *err)
{
    gate_put(g, g->figures, "groups", json_integer(s->groups));
    gate_put(g, g->figures, "informative_groups", json_integer(s->informative));
    gate_put(g, g->figures, "lora_b_matrices", json_integer(s->matrices));
    gate_put(g, g->figures, "lora_b_without_gradient", json_integer(s->zero));
    gate_put(g, g->figures, "loss", number(s->loss));
    gate_put(g, g->figures, "grad_norm", number(s->grad_norm));
    if (!s->informative) {
        g->verdict = OUTCOME_WARN;
        gate_record_say(g,
                        "one step; in none of its %d groups did rewards vary, so there is no "
                        "gradient to look at; --smoke-replay gives it completions that differ",
                        s->groups);
        return ERR_NONE;
    }
    gate_record_say(g, "one step%s, %d of %d groups informative; each of %d LoRA B has a gradient",
                    s->replayed, s->informative, s->groups, s->matrices);
    if (!s->zero)
        return ERR_NONE;
    return err_set(err, ERR_GATE, "smoke",
                   "expected a gradient in each of %d LoRA B, for rewards vary in %d groups; found "
                   "%d that are all zero, the first %.160s: that projection would not be trained",
                   s->matrices, s->informative, s->zero, s->first);
}

static void put_replay(struct gate_record *g, struct smoke *found, const char *path,
                       const struct smoke_replay *r)
{
    json_t *o = json_pack("{s:i,s:i,s:i,s:i}", "different_groups", r->groups, "encoded_from_text",
                          r->encoded, "scored_by_the_recipe", r->scored, "cut_to_length", r->cut);
    gate_put(g, g->figures, "replay", o);
    snprintf(found->replayed, sizeof found->replayed,
             " with completions of %.200s (its own were sampled, and left aside)", path);
}

static void put_times(struct gate_record *g, const struct smoke *found, double sampling)
{
    gate_put(g, g->measured, "rollout_seconds", number(sampling + found->times.rollout));
    gate_put(g, g->measured, "gradient_seconds", number(found->times.gradient));
    gate_put(g, g->measured, "update_seconds", number(found->times.update));
}

int stage_smoke(struct protocol *p, struct gate_record *g, struct err *err)
{
    struct smoke found = {0};
    struct smoke_replay replay = {0};
    const char *path = p->spec->smoke_replay;
    struct trial t = {.s = &p->d.setup, .steps = 1, .each = look_at_gradient, .user = &found};
    int status = need_plan(p, err);
    if (!status && path)
        status = smoke_replay_open(&replay, path, &p->d.setup, err);
    if (!status && path) {
        t.replay = &replay.replay;
        put_replay(g, &found, path, &replay);
    }
    forget_peak();
    if (!status)
        status = trial_run(&t, err);
    if (!status) {
        put_times(g, &found, t.sampling);
        status = judge_memory(g, peak_bytes(), (double)p->d.setup.plan.total, err);
    }
    if (!status)
        status = judge_gradient(g, &found, err);
    smoke_replay_close(&replay);
    return status;
}

/* --- probe --- */

enum { PROBE_STEPS = 10, PROBE_NEEDS = 3 }; /* steps; of these must show what is asked */

/* Of the steps that have it: a step that trains on an earlier step's samples has no reward. */
struct mean {
    double sum;
    int n;
};

struct probe {
    bool on_policy, by_signal;  /* what is asked for: signal, or else clipping */
    int needed;                 /* steps that must show it */
    int steps, clipped, signal; /* signal: steps with an informative group and a gradient */
    double informative, groups; /* groups, over the steps that sampled */
    bool has_informative;       /* the generation that is trained on */
    struct mean entropy, length, cut, reward;
    json_t *each;
};

static void mean_add(struct mean *m, double value)
{
    if (isnan(value))
        return;
    m->sum += value;
    m->n++;
}

static double mean_of(const struct mean *m)
{
    return m->n ? m->sum / m->n : NAN;
}

static int look_at_metrics(void *user, const struct grpo *g, int step, struct err *err)
{
    const char *const kept[] = {"reward",
                                "reward_std",
                                "informative_groups",
                                "entropy",
                                "completions/mean_length",
                                "completions/clipped_ratio",
                                g->loss.type == LOSS_CISPO ? "cispo_clip_ratio"
                                                           : "clip_ratio/region_mean",
                                "grad_norm"};
    struct probe *out = user;
    json_t *line = json_object();
    double v[sizeof kept / sizeof *kept];
    json_object_set_new(line, "step", json_integer(step));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        v[i] = metrics_get(&g->metrics, kept[i]);
        json_object_set_new(line, kept[i], number(v[i]));
    }
    if (json_array_append_new(out->each, line))
        return err_no_memory(err, "the probe", 0);
    if (!isnan(v[2])) {
        out->informative += v[2];
        out->groups += g->gen.batch.count;
        out->has_informative = v[2] > 0;
    }
    out->steps++;
    out->clipped += v[6] > 0;
    out->signal += out->has_informative && v[7] > 0;
    mean_add(&out->reward, v[0]);
    mean_add(&out->entropy, v[3]);
    mean_add(&out->length, v[4]);
    mean_add(&out->cut, v[5]);
    return ERR_NONE;
}

static void put_probe(struct gate_record *g, struct probe *r)
{
    gate_put(g, g->figures, "steps", json_integer(r->steps));
    gate_put(g, g->figures, "on_policy", json_boolean(r->on_policy));
    gate_put(g, g->figures, "steps_needed", json_integer(r->needed));
    gate_put(g, g->figures, "steps_with_clipping", json_integer(r->clipped));
    gate_put(g, g->figures, "steps_with_signal", json_integer(r->signal));
    gate_put(g, g->figures, "reward", number(mean_of(&r->reward)));
    gate_put(g, g->figures, "informative_groups", number(r->informative / r->groups));
    gate_put(g, g->figures, "entropy", number(mean_of(&r->entropy)));
    gate_put(g, g->figures, "mean_length", number(mean_of(&r->length)));
    gate_put(g, g->figures, "eos_rate", number(1 - mean_of(&r->cut)));
    gate_put(g, g->figures, "by_step", json_incref(r->each));
}

/* Oddities that stop nothing. */
static const char *odd(const struct probe *r)
{
    if (mean_of(&r->cut) >= 1)
        return "; no completion ended by itself: raise max_completion_length";
    if (mean_of(&r->entropy) <= 0.01)
        return "; the policy is all but certain of every token: it explores nothing";
    return "";
}

static int judge_probe(struct gate_record *g, const struct probe *r, struct err *err)
{
    const char *more = odd(r);
    const char *why = r->on_policy
                          ? "the setup is on-policy, where the ratio is 1 and nothing can clip"
                          : "cispo's clip takes no gradient away";
    if (*more)
        g->verdict = OUTCOME_WARN;
    gate_record_say(g,
                    "%s on %d of %d steps%s%s%s; %.0f%% of the groups informative, entropy %.2f, "
                    "length %.0f, EOS %.0f%%%s",
                    r->by_signal ? "gradient signal" : "clip_ratio > 0",
                    r->by_signal ? r->signal : r->clipped, r->steps, r->by_signal ? " (" : "",
                    r->by_signal ? why : "", r->by_signal ? ")" : "",
                    100 * r->informative / r->groups, mean_of(&r->entropy), mean_of(&r->length),
                    100 * (1 - mean_of(&r->cut)), more);
    if ((r->by_signal ? r->signal : r->clipped) >= r->needed)
        return ERR_NONE;
    if (r->by_signal)
        return err_set(err, ERR_GATE, "probe",
                       "expected an informative group and a gradient on %d of %d steps or more, "
                       "found %d (%s, so signal is asked instead): all completions of a prompt "
                       "earn the same; raise num_generations, temperature or prompts_per_step, or "
                       "give a reward that tells them apart",
                       r->needed, r->steps, r->signal, why);
    return err_set(err, ERR_GATE, "probe",
                   "expected clip_ratio > 0 on %d of %d steps or more, found %d: the policy does "
                   "not move enough for clipping to act; raise learning_rate or num_iterations, or "
                   "lower epsilon",
                   r->needed, r->steps, r->clipped);
}

int stage_probe(struct protocol *p, struct gate_record *g, struct err *err)
{
    struct probe r = {.each = json_array()};
    int status = r.each ? need_plan(p, err) : err_no_memory(err, "the probe", 0);
    r.on_policy = plan_on_policy(&p->d.o);
    r.by_signal = r.on_policy || p->d.o.loss_type == LOSS_CISPO;
    int steps = p->d.setup.plan.max_steps < PROBE_STEPS ? p->d.setup.plan.max_steps : PROBE_STEPS;
    r.needed = (steps * PROBE_NEEDS + PROBE_STEPS - 1) / PROBE_STEPS;
    struct trial t = {.s = &p->d.setup, .steps = steps, .each = look_at_metrics, .user = &r};
    if (!status)
        status = trial_run(&t, err);
    if (!status) {
        put_probe(g, &r);
        status = judge_probe(g, &r, err);
    }
    json_decref(r.each);
    return status;
}
