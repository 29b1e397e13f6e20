/* audit_gate.c: the stage audit: is there a person's word on the rewards, is it about these
 * rewards, this model and these prompts, and do the two agree? `grpo audit` makes it (audit_job.h);
 * here it is only looked at, unless the recipe has the rows of the synthetic shop scored by the
 * program that made them (audit_rater: simulated). A person's audit counts there all the same. */
#include <math.h>
#include "data/synth_rater.h"
#include "protocol/audit_job.h"
#include "protocol/parts.h"

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static void put_state(struct gate_record *g, const struct audit_state *s,
                      const struct audit_gate *gate)
{
    const struct rank_correlation *c = &s->correlation;
    gate_put(g, g->figures, "rho", number(c->rho));
    gate_put(g, g->figures, "p", number(c->p));
    gate_put(g, g->figures, "ci95", json_pack("[o,o]", number(c->ci.low), number(c->ci.high)));
    gate_put(g, g->figures, "n", json_integer((json_int_t)s->n));
    gate_put(g, g->figures, "simulated", json_boolean(s->simulated));
    gate_put(g, g->figures, "audit_min_rho", number(gate->min_rho));
    gate_put(g, g->figures, "gate_on_lower_bound", json_boolean(gate->on_lower_bound));
}

static int judge(const struct protocol *p, struct gate_record *g, const struct audit_state *s,
                 const struct audit_gate *gate, struct err *err)
{
    if (s->found == AUDIT_ABSENT)
        return err_set(err, ERR_GATE, "audit",
                       "%.200s/audit has no verdict: expected scores of some completions by a "
                       "person. Run `grpo audit %.200s --out %.200s`, then this command again; or "
                       "go on without with --skip-audit, which is recorded",
                       p->dir, p->spec->recipe, p->dir);
    if (s->found == AUDIT_STALE)
        return err_set(err, ERR_GATE, "audit", "%.400s; or go on without with --skip-audit",
                       s->why);
    put_state(g, s, gate);
    if (!s->passed)
        return err_set(err, ERR_GATE, "audit",
                       "expected %s above %.2f (audit_min_rho); found %.400s. Repair the rewards "
                       "and run `grpo audit` again, or go on without with --skip-audit",
                       gate->on_lower_bound ? "the lower end of rho's 95% interval" : "rho",
                       gate->min_rho, s->why);
    if (s->simulated)
        g->verdict = OUTCOME_WARN;
    gate_record_say(g, "%srho %.3f, 95%% interval %.2f to %.2f, %zu completions",
                    s->simulated ? "SIMULATED rater, no person: " : "", s->correlation.rho,
                    s->correlation.ci.low, s->correlation.ci.high, s->n);
    return ERR_NONE;
}

/* --- the simulated rater --- */

/* Before anything is sampled: nobody knows the truth of real rows. */
static int expect_synthetic(const struct protocol *p, const struct audit_job *job, struct err *err)
{
    for (size_t i = 0; i < job->selection.n; i++)
        if (!synth_made(job->selection.rows[i]))
            return err_set(err, ERR_USAGE, recipe_where(p->d.recipe, NULL, "audit_rater"),
                           "is simulated, but row \"%.80s\" of %.200s was not made by `grpo data "
                           "synth`: its truth is unknown and a person has to score its "
                           "completions. Remove the key and run `grpo audit`",
                           job->selection.rows[i]->id, job->setup.data.path);
    return ERR_NONE;
}

static int simulate(const struct protocol *p, struct audit_job *job, struct err *err)
{
    struct audit_result result;
    int status = expect_synthetic(p, job, err);
    if (!status)
        status = audit_job_completions(job, err);
    if (!status)
        status = audit_job_score(job, err);
    if (!status)
        status = audit_job_simulate(job, err);
    if (!status)
        status = audit_job_finish(job, true, &result, NULL, err);
    if (!status)
        audit_result_free(&result);
    return status;
}

/* The verdict is this stage's own work: others may not change it unnoticed. */
static int keep_outputs(const struct protocol *p, struct gate_record *g, struct err *err)
{
    int status = gate_record_output(g, p->dir, "audit/audit.json", err);
    return status ? status : gate_record_output(g, p->dir, "audit/completions.jsonl", err);
}

/* --- the stage --- */

static int look_at_audit(const struct protocol *p, struct gate_record *g, struct audit_job *job,
                         struct err *err)
{
    bool simulated = p->d.o.audit_rater == RATER_SIMULATED;
    struct audit_state state;
    int status = audit_check(p->dir, &job->identity, &job->gate, &state, err);
    if (!status && simulated && state.found != AUDIT_CURRENT) {
        status = simulate(p, job, err);
        if (!status)
            status = audit_check(p->dir, &job->identity, &job->gate, &state, err);
    }
    if (!status && simulated)
        status = keep_outputs(p, g, err);
    return status ? status : judge(p, g, &state, &job->gate, err);
}

int stage_audit(struct protocol *p, struct gate_record *g, struct err *err)
{
    if (p->spec->skip_audit) {
        g->verdict = OUTCOME_SKIPPED;
        gate_record_say(g, "--skip-audit: nobody has looked at what the rewards pay for");
        return ERR_NONE;
    }
    const struct audit_job_spec spec = {.o = &p->d.o,
                                        .recipe = p->d.recipe,
                                        .device = p->d.device,
                                        .out = p->dir,
                                        .per_task = audit_asked_per_task(p->dir)};
    struct audit_job job;
    int status = audit_job_open(&job, &spec, err);
    if (!status)
        status = look_at_audit(p, g, &job, err);
    audit_job_close(&job);
    return status;
}
