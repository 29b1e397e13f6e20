/* audit_gate.c: the stage audit: is there a human's word on the rewards, is it about these rewards,
 * this model and these prompts, and do they agree? `grpo audit` writes DIR/audit/audit.json. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "protocol/parts.h"
#include "train/identity.h"

struct audit {
    double rho, p, low, high;
    long long n;
    bool simulated;
};

static int stale(struct err *err, const char *path, const char *what)
{
    return err_set(err, ERR_GATE, path,
                   "is stale: it is about %s than the recipe's; expected one of the experiment as "
                   "it is now: run `grpo audit` again, or record the gate as skipped with "
                   "--skip-audit",
                   what);
}

/* Labels and versions of the rewards with a weight, as the audit has them. */
static json_t *reward_versions(const struct reward_set *set)
{
    json_t *map = json_object();
    for (int i = 0; i < set->count; i++)
        if (set->items[i].weight != 0)
            json_object_set_new(map, set->items[i].label,
                                json_integer(reward_definition(set->items[i].reward)->version));
    return map;
}

static int check_subject(struct protocol *p, const json_t *audit, const char *path, struct err *err)
{
    const char *data;
    int status = need_rewards(p, err);
    if (!status)
        status = input_hash(p, INPUT_DATA, &data, err);
    if (status)
        return status;
    json_t *versions = reward_versions(&p->d.setup.rewards);
    char folder[72];
    status = identity_folder(folder, p->d.o.model, err);
    const char *was_model = json_string_value(json_object_get(audit, "model_sha256"));
    const char *was_data = json_string_value(json_object_get(audit, "prompts_sha256"));
    if (!status && !json_equal(versions, json_object_get(audit, "reward_versions")))
        status = stale(err, path, "other rewards, or other versions of them,");
    if (!status && (!was_model || strcmp(was_model, folder) != 0))
        status = stale(err, path, "another model");
    if (!status && (!was_data || strcmp(was_data, data) != 0))
        status = stale(err, path, "other training rows");
    json_decref(versions);
    return status;
}

static int read_audit(struct audit *out, const json_t *audit, const char *path, struct err *err)
{
    const json_t *ci = json_object_get(audit, "ci95");
    int status = json_get_double(&out->rho, audit, "rho", true, path, err);
    out->p = NAN;
    if (!status)
        status = json_get_double(&out->p, audit, "p", false, path, err);
    if (!status)
        status = json_get_int(&out->n, audit, "n", true, path, err);
    if (!status)
        status = json_get_bool(&out->simulated, audit, "simulated", true, path, err);
    if (!status && (json_array_size(ci) != 2 || !json_is_number(json_array_get(ci, 0)) ||
                    !json_is_number(json_array_get(ci, 1))))
        status = err_set(err, ERR_INPUT, path, "\"ci95\" is no list of two numbers");
    out->low = json_number_value(json_array_get(ci, 0));
    out->high = json_number_value(json_array_get(ci, 1));
    return status;
}

static int judge(struct protocol *p, struct gate_record *g, const struct audit *a, const char *path,
                 struct err *err)
{
    const struct train_options *o = &p->d.o;
    bool bound = o->audit_gate_on_lower_bound;
    gate_put(g, g->figures, "rho", json_real(a->rho));
    gate_put(g, g->figures, "p", isfinite(a->p) ? json_real(a->p) : json_null());
    gate_put(g, g->figures, "ci95", json_pack("[f,f]", a->low, a->high));
    gate_put(g, g->figures, "n", json_integer(a->n));
    gate_put(g, g->figures, "simulated", json_boolean(a->simulated));
    gate_put(g, g->figures, "audit_min_rho", json_real(o->audit_min_rho));
    gate_put(g, g->figures, "gate_on_lower_bound", json_boolean(bound));
    gate_record_say(g, "%srho %.3f, 95%% interval %.2f to %.2f, %lld completions",
                    a->simulated ? "simulated rater: " : "", a->rho, a->low, a->high, a->n);
    if (a->simulated)
        g->verdict = OUTCOME_WARN;
    if ((bound ? a->low : a->rho) > o->audit_min_rho)
        return ERR_NONE;
    return err_set(err, ERR_GATE, path,
                   "expected %s above %.2f (audit_min_rho); found rho %.3f with 95%% interval %.2f "
                   "to %.2f over %lld completions: the rewards pay for something else than people "
                   "want; repair them and run `grpo audit` again, or --skip-audit",
                   bound ? "the lower end of rho's interval" : "rho", o->audit_min_rho, a->rho,
                   a->low, a->high, a->n);
}

static int judge_file(struct protocol *p, struct gate_record *g, const char *path, struct err *err)
{
    struct str text = {0};
    struct audit a = {0};
    json_t *audit = NULL;
    int status = file_read(&text, path, err);
    if (!status && !(audit = json_read(str_text(&text), text.length, JSON_UNIQUE_KEYS, path, err)))
        status = err ? (int)err->code : ERR_INPUT;
    if (!status)
        status = check_subject(p, audit, path, err);
    if (!status)
        status = read_audit(&a, audit, path, err);
    if (!status)
        status = judge(p, g, &a, path, err);
    json_decref(audit);
    str_free(&text);
    return status;
}

int stage_audit(struct protocol *p, struct gate_record *g, struct err *err)
{
    if (p->spec->skip_audit) {
        g->verdict = OUTCOME_SKIPPED;
        gate_record_say(g, "--skip-audit: nobody has looked at what the rewards pay for");
        return ERR_NONE;
    }
    struct str path = {0};
    path_join(&path, p->dir, "audit/audit.json");
    int status = path.failed ? err_no_memory(err, p->dir, path.capacity) : ERR_NONE;
    if (!status && !file_exists(str_text(&path)))
        status = err_set(err, ERR_GATE, str_text(&path),
                         "is not there: expected scores of 20 completions by a person. Run `grpo "
                         "audit %.300s --out %.300s/audit`, then this command again; or go on "
                         "without with --skip-audit, which the report will say",
                         p->spec->recipe, p->dir);
    if (!status)
        status = judge_file(p, g, str_text(&path), err);
    str_free(&path);
    return status;
}
