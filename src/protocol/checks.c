/* checks.c: the stages that need no rows: machine, recipe, model, tokenizer, cache, rewards. What
 * they find out is the doctor's (doctor.h); here it becomes a verdict. */
#include <math.h>
#include <string.h>
#include "base/file.h"
#include "base/log.h"
#include "base/version.h"
#include "protocol/parts.h"

/* Moves a section of the doctor's report to the figures. */
static void take_section(struct protocol *p, struct gate_record *g, const char *name)
{
    json_t *section = json_incref(json_object_get(p->d.report, name));
    json_object_del(p->d.report, name);
    gate_put(g, g->figures, name, section);
}

/* Moves a key that the system, not the input, decides. */
static void to_measured(struct gate_record *g, const char *section, const char *key)
{
    json_t *from = json_object_get(g->figures, section);
    json_t *value = json_incref(json_object_get(from, key));
    if (!value)
        return;
    json_object_del(from, key);
    gate_put(g, g->measured, key, value);
}

/* The first check of the doctor's that said no since the stage began. */
static int verdict_of_checks(struct protocol *p, struct err *err)
{
    if (!p->d.said_no.code)
        return ERR_NONE;
    *err = p->d.said_no;
    return (int)err->code;
}

int stage_env(struct protocol *p, struct gate_record *g, struct err *err)
{
    (void)err;
    doctor_machine(&p->d);
    take_section(p, g, "machine");
    take_section(p, g, "build");
    to_measured(g, "machine", "memory_available_bytes");
    to_measured(g, "machine", "disk_free_bytes");
    json_object_del(json_object_get(g->figures, "machine"), "threads"); /* changes no result */
    gate_record_say(g, "%s %s on %lld cores; grpo " GRPO_VERSION ", %.60s", p->d.device->ops->name,
                    p->d.device->isa,
                    (long long)json_integer_value(
                        json_object_get(json_object_get(g->figures, "machine"), "cores")),
                    GRPO_COMPILER);
    return ERR_NONE;
}

int stage_config(struct protocol *p, struct gate_record *g, struct err *err)
{
    struct str text = {0}, path = {0};
    char hash[65];
    int seed = p->d.o.seed;
    p->d.o.seed = p->recipe_seed;
    recipe_resolved_all(p->d.recipe, &text);
    recipe_hash(p->d.recipe, hash);
    p->d.o.seed = seed;
    str_putc(&text, '\n');
    path_join(&path, p->dir, "recipe.json");
    int status = text.failed || path.failed
                     ? err_no_memory(err, "the recipe", text.capacity)
                     : file_write_atomic(str_text(&path), str_text(&text), text.length, err);
    if (!status)
        status = gate_record_output(g, p->dir, "recipe.json", err);
    gate_put(g, g->figures, "recipe_hash", json_string(hash));
    gate_put(g, g->figures, "recipe", doctor_string(p->spec->recipe));
    gate_record_say(g, "%.400s is valid; resolved in recipe.json, %.12s", p->spec->recipe, hash);
    str_free(&text);
    str_free(&path);
    return status;
}

/* Weights are read whole: every tensor there, of the right shape, finite. */
static int open_weights(struct protocol *p, struct err *err)
{
    model *m = NULL;
    adapter *a = NULL;
    int status = model_open(&m, p->d.device, p->d.o.model, 0, err);
    if (!status && p->d.o.init_adapter)
        status = adapter_open(&a, m, p->d.o.init_adapter, err);
    adapter_close(a);
    if (m)
        model_close(m);
    return status;
}

int stage_model(struct protocol *p, struct gate_record *g, struct err *err)
{
    int status = need_model(p, err);
    if (!status)
        status = doctor_model(&p->d, err);
    if (!status)
        status = open_weights(p, err);
    if (status)
        return status;
    take_section(p, g, "model");
    const json_t *m = json_object_get(g->figures, "model");
    const char *ignored = p->d.setup.ignored;
    gate_record_say(g, "%s, %.1f M parameters, %d token%s a completion%s%.400s",
                    json_string_value(json_object_get(m, "architecture")),
                    json_number_value(json_object_get(m, "parameters")) / 1e6,
                    p->d.setup.codec.n_eos, p->d.setup.codec.n_eos == 1 ? " ends" : "s end",
                    *ignored ? "; generation_config.json ignored: " : "", ignored);
    return verdict_of_checks(p, err);
}

int stage_tokens(struct protocol *p, struct gate_record *g, struct err *err)
{
    int status = need_model(p, err);
    if (!status)
        status = doctor_tokens(&p->d, err);
    if (status)
        return status;
    take_section(p, g, "tokenizer");
    take_section(p, g, "template");
    const struct text_codec *c = &p->d.setup.codec;
    size_t specials =
        json_array_size(json_object_get(json_object_get(g->figures, "template"), "special_tokens"));
    if (!c->tokenizer)
        gate_record_say(g, "the model has no tokenizer: rows must give prompt_ids");
    else
        gate_record_say(g, "%s of %d; %zu special tokens are each one id; %d id%s a completion",
                        tokenizer_kind(c->tokenizer), tokenizer_vocab_size(c->tokenizer), specials,
                        c->n_eos, c->n_eos == 1 ? " ends" : "s end");
    return verdict_of_checks(p, err);
}

int stage_kv(struct protocol *p, struct gate_record *g, struct err *err)
{
    struct kv_check c = {0};
    int status = need_model(p, err);
    if (!status)
        status = kv_compare(&c, &p->d.setup, err);
    if (status)
        return status;
    gate_put(g, g->figures, "prompts", json_integer(c.prompts));
    gate_put(g, g->figures, "tokens", json_integer(c.tokens));
    gate_put(g, g->figures, "tokens_that_differ", json_integer(c.differ));
    gate_put(g, g->figures, "largest_difference", json_real(c.largest));
    if (c.differ)
        return err_set(err, ERR_GATE, "kv",
                       "expected the log-probabilities of %d tokens decoded with the cache to be "
                       "those of one full pass, bit for bit; found %d that differ, by up to %g: "
                       "this build computes wrongly on this machine; try --isa c, and report it",
                       c.tokens, c.differ, c.largest);
    gate_record_say(g,
                    "%d tokens of %d prompts: decoding with the cache and one full pass agree "
                    "bit for bit",
                    c.tokens, c.prompts);
    return ERR_NONE;
}

/* Told here, once a run of the protocol, and kept in the record. */
static json_t *tell_gameable(const struct gate_item *item)
{
    struct str text = {0}, shown = {0};
    reward_gate_say(&text, item);
    log_printable(&shown, str_text(&text), text.length, 0);
    log_warn("reward %s", str_text(&shown));
    json_t *kept = text.failed ? NULL : doctor_string(str_text(&text));
    str_free(&text);
    str_free(&shown);
    return kept;
}

int stage_rewards(struct protocol *p, struct gate_record *g, struct err *err)
{
    int status = need_rewards(p, err);
    reward_gate_close(&p->d.gate);
    if (!status)
        status = doctor_rewards(&p->d, err);
    if (status)
        return status;
    take_section(p, g, "rewards");
    const struct reward_gate *gate = &p->d.gate;
    json_t *known = json_array();
    for (int i = 0; i < gate->count && known; i++)
        if (gate->items[i].verdict == GATE_KNOWN_GAMEABLE)
            json_array_append_new(known, tell_gameable(&gate->items[i]));
    bool gameable = json_array_size(known) > 0;
    gate_put(g, g->figures, "known_gameable", known);
    if (gameable)
        g->verdict = OUTCOME_WARN;
    gate_record_say(g, "%d weighted rewards against their fixtures%s", gate->count,
                    gameable ? "; what can be gamed is known to be (known_gameable)"
                             : ": gold above near miss above empty, no adversary above gold");
    return verdict_of_checks(p, err);
}
