/* inputs.c: what stages depend on, as hashes. Each is computed when the first stage asks for it and
 * kept for the life of the process, but for what stages themselves make. */
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "protocol/parts.h"
#include "train/identity.h"

static int hash_text(char out[72], struct str *text, struct err *err)
{
    int status = text->failed ? err_no_memory(err, "an input", text->capacity) : ERR_NONE;
    if (!status)
        sha256_hex(out, str_text(text), text->length);
    str_free(text);
    return status;
}

static int hash_path(char out[72], const char *path, struct err *err)
{
    if (path)
        return sha256_file(out, path, err);
    snprintf(out, 72, "none");
    return ERR_NONE;
}

static void put_node(struct str *text, const struct yaml_node *node)
{
    json_t *value = node ? recipe_node_json(node) : NULL;
    struct json_writer w;
    jw_begin(&w, text);
    value ? jw_value(&w, value) : jw_null(&w);
    str_putc(text, '\n');
    json_decref(value);
}

static int of_build(struct protocol *p, char out[72], struct err *err)
{
    (void)p;
    return identity_build(out, err);
}

static int of_device(struct protocol *p, char out[72], struct err *err)
{
    (void)err;
    snprintf(out, 72, "%.16s %.24s %s", p->d.device->ops->name, p->d.device->isa,
             p->d.o.precision == PRECISION_F32 ? "f32" : "bf16");
    return ERR_NONE;
}

/* With the recipe's own seed: stages that all seeds share must not depend on which is at hand. */
static int of_resolved(struct protocol *p, void (*resolve)(const recipe *r, struct str *json),
                       char out[72], struct err *err)
{
    struct str text = {0};
    int seed = p->d.o.seed;
    p->d.o.seed = p->recipe_seed;
    resolve(p->d.recipe, &text);
    p->d.o.seed = seed;
    return hash_text(out, &text, err);
}

static int of_recipe(struct protocol *p, char out[72], struct err *err)
{
    return of_resolved(p, recipe_resolved, out, err);
}

static int of_whole(struct protocol *p, char out[72], struct err *err)
{
    return of_resolved(p, recipe_resolved_all, out, err);
}

static int of_seed(struct protocol *p, char out[72], struct err *err)
{
    (void)err;
    snprintf(out, 72, "%d", p->d.o.seed);
    return ERR_NONE;
}

static int of_model(struct protocol *p, char out[72], struct err *err)
{
    const char *folders[] = {p->d.o.model, p->d.o.init_adapter, p->d.o.ref_adapter};
    struct str text = {0};
    int status = ERR_NONE;
    for (size_t i = 0; i < ARRAY_LENGTH(folders) && !status; i++) {
        char hash[72] = "none";
        if (folders[i])
            status = identity_folder(hash, folders[i], err);
        str_printf(&text, "%s\n", hash);
    }
    if (status) {
        str_free(&text);
        return status;
    }
    return hash_text(out, &text, err);
}

static int of_chat(struct protocol *p, char out[72], struct err *err)
{
    const struct train_options *o = &p->d.o;
    struct str text = {0};
    char hash[72] = "none";
    int status = o->chat_template && chat_template_is_path(o->chat_template)
                     ? sha256_file(hash, o->chat_template, err)
                     : ERR_NONE;
    str_printf(&text, "%s %s\n", o->chat_template ? o->chat_template : "", hash);
    put_node(&text, o->chat_template_kwargs);
    put_node(&text, o->system_prompt);
    if (status) {
        str_free(&text);
        return status;
    }
    return hash_text(out, &text, err);
}

/* The recipe's lines, the files that the rewards read whatever the row, and fixtures of the user's.
 */
static int of_rewards(struct protocol *p, char out[72], struct err *err)
{
    struct identity id = {0};
    struct str text = {0};
    put_node(&text, p->d.o.rewards);
    int status = need_rewards(p, err);
    if (!status && p->d.setup.has_rewards)
        status = identity_rewards(&id, &p->d.setup.rewards, NULL, 0, err);
    if (!status)
        str_printf(&text, "%s\n", id.part[IDENTITY_REWARD_FILES]);
    for (int i = 0; i < p->d.setup.rewards.count && !status; i++) {
        char hash[72];
        status = hash_path(hash, p->d.setup.rewards.items[i].fixtures, err);
        str_printf(&text, "%s\n", hash);
    }
    identity_free(&id);
    if (status) {
        str_free(&text);
        return status;
    }
    return hash_text(out, &text, err);
}

static int of_references(struct protocol *p, char out[72], struct err *err)
{
    struct identity id = {0};
    int status = need_rewards(p, err);
    if (!status)
        status = need_data(p, err);
    const struct setup *s = &p->d.setup;
    const struct dataset *data[] = {&s->data, s->has_eval ? &s->eval_data : NULL};
    if (!status && s->has_rewards)
        status = identity_rewards(&id, &s->rewards, data, s->has_eval ? 2 : 1, err);
    snprintf(out, 72, "%s",
             id.part[IDENTITY_REWARD_FILES][0] ? id.part[IDENTITY_REWARD_FILES] : "none");
    identity_free(&id);
    return status;
}

static int of_data(struct protocol *p, char out[72], struct err *err)
{
    return hash_path(out, p->d.o.data, err);
}

static int of_eval_data(struct protocol *p, char out[72], struct err *err)
{
    return hash_path(out, p->d.o.eval_data, err);
}

static int of_test_data(struct protocol *p, char out[72], struct err *err)
{
    return hash_path(out, p->d.o.test_data, err);
}

static int of_counts(struct protocol *p, char out[72], struct err *err)
{
    struct str text = {0};
    put_node(&text, p->d.o.eval_counts);
    put_node(&text, p->d.o.classifier);
    return hash_text(out, &text, err);
}

/* What an audit is of is told by its own identity (eval/audit.h); here it is enough to see that
 * something of it may have changed. */
static int of_audit(struct protocol *p, char out[72], struct err *err)
{
    static const enum input of[] = {INPUT_WHOLE,     INPUT_CHAT,      INPUT_DATA,
                                    INPUT_EVAL_DATA, INPUT_TEST_DATA, INPUT_REFERENCES};
    static const char *const files[] = {"audit/audit.json", "audit/completions.jsonl"};
    struct str text = {0}, path = {0};
    char hash[72];
    if (p->spec->skip_audit) {
        snprintf(out, 72, "skipped");
        return ERR_NONE;
    }
    int status = ERR_NONE;
    /* Where the stage makes them itself they are its outputs. */
    size_t n_files = p->d.o.audit_rater == RATER_SIMULATED ? 0 : ARRAY_LENGTH(files);
    for (size_t i = 0; i < n_files && !status; i++) {
        path_join(&path, p->dir, files[i]);
        if (path.failed)
            status = err_no_memory(err, p->dir, path.capacity);
        else if (file_exists(str_text(&path)))
            status = sha256_file(hash, str_text(&path), err);
        else
            snprintf(hash, sizeof hash, "absent");
        str_printf(&text, "%s\n", hash);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(of) && !status; i++) {
        const char *one;
        status = input_hash(p, of[i], &one, err);
        str_printf(&text, "\n%s", one);
    }
    str_free(&path);
    if (status) {
        str_free(&text);
        return status;
    }
    return hash_text(out, &text, err);
}

static int of_replay(struct protocol *p, char out[72], struct err *err)
{
    return hash_path(out, p->spec->smoke_replay, err);
}

static int of_adapter(struct protocol *p, char out[72], struct err *err)
{
    struct str path = {0};
    path_join(&path, str_text(&p->run), "best_checkpoint/adapter_model.safetensors");
    int status = path.failed ? err_no_memory(err, p->dir, path.capacity) : ERR_NONE;
    if (!status && file_exists(str_text(&path)))
        status = sha256_file(out, str_text(&path), err);
    else
        snprintf(out, 72, "absent");
    str_free(&path);
    return status;
}

static int of_seeds(struct protocol *p, char out[72], struct err *err)
{
    struct str text = {0};
    for (int i = 0; i < p->n_seeds; i++)
        str_printf(&text, "%d ", p->seeds[i]);
    return hash_text(out, &text, err);
}

static int of_report(struct protocol *p, char out[72], struct err *err)
{
    (void)err;
    snprintf(out, 72, "%s", p->spec->report ? "built" : "not built");
    return ERR_NONE;
}

static const struct {
    const char *name;
    int (*hash)(struct protocol *p, char out[72], struct err *err);
    bool moves; /* stages, or another seed, change it: not kept */
} inputs[N_INPUTS] = {
    [INPUT_BUILD] = {"build", of_build, false},
    [INPUT_DEVICE] = {"device", of_device, false},
    [INPUT_RECIPE] = {"recipe", of_recipe, false},
    [INPUT_SEED] = {"seed", of_seed, true},
    [INPUT_WHOLE] = {"whole_recipe", of_whole, false},
    [INPUT_MODEL] = {"model", of_model, false},
    [INPUT_CHAT] = {"chat", of_chat, false},
    [INPUT_REWARDS] = {"rewards", of_rewards, false},
    [INPUT_REFERENCES] = {"reward_files", of_references, false},
    [INPUT_DATA] = {"data", of_data, false},
    [INPUT_EVAL_DATA] = {"eval_data", of_eval_data, false},
    [INPUT_TEST_DATA] = {"test_data", of_test_data, false},
    [INPUT_COUNTS] = {"eval_counts", of_counts, false},
    [INPUT_AUDIT] = {"audit", of_audit, true},
    [INPUT_REPLAY] = {"smoke_replay", of_replay, false},
    [INPUT_ADAPTER] = {"best_checkpoint", of_adapter, true},
    [INPUT_SEEDS] = {"seeds", of_seeds, false},
    [INPUT_REPORT] = {"report", of_report, false},
};

const char *input_name(enum input input)
{
    return inputs[input].name;
}

int input_hash(struct protocol *p, enum input input, const char **out, struct err *err)
{
    char *kept = p->input[input];
    int status = ERR_NONE;
    if (!kept[0] || inputs[input].moves)
        status = inputs[input].hash(p, kept, err);
    if (status)
        kept[0] = 0;
    *out = kept;
    return status;
}
