/* peft.c: PEFT's adapter folder; see peft.h. What we do not compute is refused by name. */
#include "formats/peft.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/json.h"

const char *const projection_names[N_PROJECTIONS] = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                                     "gate_proj", "up_proj", "down_proj"};

float peft_scale(const struct peft_config *config)
{
    double r = config->r;
    return (float)(config->lora_alpha / (config->use_rslora ? sqrt(r) : r));
}

static int find_projection(const char *name)
{
    for (int p = 0; p < N_PROJECTIONS; p++)
        if (strcmp(projection_names[p], name) == 0)
            return p;
    return -1;
}

static int add_target(struct peft_config *config, const char *name, const char *where,
                      struct err *err)
{
    if (strcmp(name, "all-linear") == 0) {
        for (int p = 0; p < N_PROJECTIONS; p++)
            config->targets[p] = true;
        return ERR_NONE;
    }
    int p = find_projection(name);
    if (p < 0)
        return err_set(err, ERR_INPUT, where,
                       "target module \"%.80s\" is not one of q_proj, k_proj, v_proj, o_proj, "
                       "gate_proj, up_proj, down_proj (or all-linear)",
                       name);
    config->targets[p] = true;
    return ERR_NONE;
}

/* PEFT lists "q_proj", or the whole path of each module ("model.layers.0.self_attn.q_proj": what
 * all-linear leaves on a model of few layers). Which layers the paths name needs no check here:
 * loading asks for the tensors of every layer and takes no others. */
static const char *last_of_path(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && find_projection(dot + 1) >= 0 ? dot + 1 : name;
}

static int read_targets(struct peft_config *config, const json_t *root, const char *where,
                        struct err *err)
{
    const json_t *targets = json_object_get(root, "target_modules");
    if (json_is_string(targets))
        return add_target(config, json_string_value(targets), where, err);
    if (!json_is_array(targets) || json_array_size(targets) == 0)
        return err_set(err, ERR_INPUT, where, "\"target_modules\" is %s, expected a list of names",
                       json_type_name(targets));
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const char *name = json_string_value(json_array_get(targets, i));
        if (!name)
            return err_set(err, ERR_INPUT, where,
                           "\"target_modules\" holds something that is no string");
        int status = add_target(config, last_of_path(name), where, err);
        if (status)
            return status;
    }
    return ERR_NONE;
}

/* Set means: present and none of null, false, 0, "", [], {}. */
static bool is_set(const json_t *value)
{
    if (!value || json_is_null(value) || json_is_false(value))
        return false;
    if (json_is_array(value))
        return json_array_size(value) > 0;
    if (json_is_object(value))
        return json_object_size(value) > 0;
    if (json_is_string(value))
        return json_string_length(value) > 0;
    return !json_is_number(value) || json_number_value(value) != 0;
}

/* Keys that are read, or that say nothing about what the adapter computes. Every version of PEFT
 * adds variants, each with a key of its own, so any other key that is set is refused. */
static bool is_harmless(const char *key)
{
    static const char *const keys[] = {"auto_mapping",
                                       "base_model_name_or_path",
                                       "bias",
                                       "ensure_weight_tying",
                                       "inference_mode",
                                       "init_lora_weights",
                                       "loftq_config",
                                       "lora_alpha",
                                       "lora_dropout",
                                       "megatron_core",
                                       "peft_type",
                                       "peft_version",
                                       "qalora_group_size",
                                       "r",
                                       "revision",
                                       "runtime_config",
                                       "target_modules",
                                       "task_type",
                                       "use_rslora"};
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

static int refuse_unsupported(const json_t *root, const char *where, struct err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)root, key, value)
    {
        if (!is_harmless(key) && is_set(value))
            return err_set(err, ERR_INPUT, where,
                           "\"%.80s\" is set, which is not supported: the adapter would be "
                           "computed wrongly",
                           key);
    }
    /* PiSSA, OLoRA, CorDA and LoftQ also change the base weights: B·A alone is not the adapter. */
    const char *start = json_string_value(json_object_get(root, "init_lora_weights"));
    if (start && strcmp(start, "gaussian") != 0 && strcmp(start, "orthogonal") != 0 &&
        strcmp(start, "eva") != 0)
        return err_set(err, ERR_INPUT, where,
                       "\"init_lora_weights\" is \"%.40s\", which also changes the base "
                       "weights; save the adapter as plain LoRA (PEFT: "
                       "path_initial_model_for_weight_conversion)",
                       start);
    const char *bias = "none", *type = "LORA";
    int status = json_get_string(&bias, root, "bias", false, where, err);
    if (!status)
        status = json_get_string(&type, root, "peft_type", false, where, err);
    if (!status && strcmp(bias, "none") != 0)
        status = err_set(err, ERR_INPUT, where, "\"bias\" is \"%.40s\", only \"none\" is supported",
                         bias);
    if (!status && strcmp(type, "LORA") != 0)
        status = err_set(err, ERR_INPUT, where,
                         "\"peft_type\" is \"%.40s\", only LORA is supported", type);
    return status;
}

static int read_config(struct peft_config *config, const json_t *root, const char *where,
                       struct err *err)
{
    long long r = 0;
    const char *base = "";
    config->lora_alpha = 8; /* PEFT's default */
    int status;
    if (!json_is_object(root))
        return err_set(err, ERR_INPUT, where, "is %s, expected an object", json_type_name(root));
    if ((status = refuse_unsupported(root, where, err)) ||
        (status = json_get_int(&r, root, "r", true, where, err)) ||
        (status = json_get_double(&config->lora_alpha, root, "lora_alpha", false, where, err)) ||
        (status =
             json_get_double(&config->lora_dropout, root, "lora_dropout", false, where, err)) ||
        (status = json_get_bool(&config->use_rslora, root, "use_rslora", false, where, err)) ||
        (status = json_get_string(&base, root, "base_model_name_or_path", false, where, err)) ||
        (status = read_targets(config, root, where, err)))
        return status;
    if (r < 1 || r > 65536)
        return err_set(err, ERR_INPUT, where, "\"r\" is %lld, expected 1 to 65536", r);
    if (!(fabs(config->lora_alpha) <= 1e6)) /* beyond it the scale leaves f32, or all sense */
        return err_set(err, ERR_INPUT, where, "\"lora_alpha\" is %g, expected at most 1e6",
                       config->lora_alpha);
    if (!(config->lora_dropout >= 0 && config->lora_dropout < 1))
        return err_set(err, ERR_INPUT, where, "\"lora_dropout\" is %g, expected 0 to 1",
                       config->lora_dropout);
    if (strlen(base) >= sizeof config->base_model)
        return err_set(err, ERR_INPUT, where,
                       "\"base_model_name_or_path\" has %zu bytes, at most %zu are supported",
                       strlen(base), sizeof config->base_model - 1);
    config->r = (int)r;
    snprintf(config->base_model, sizeof config->base_model, "%s", base);
    return ERR_NONE;
}

int peft_config_parse(struct peft_config *config, const void *json, size_t size, const char *where,
                      struct err *err)
{
    *config = (struct peft_config){0};
    struct err local = {0}; /* the caller may have passed none, and the code is needed */
    json_t *root = json_read(json, size, JSON_UNIQUE_KEYS, where, &local);
    if (!root)
        return err_set(err, local.code, where, "%s", local.message);
    int status = read_config(config, root, where, err);
    json_decref(root);
    return status;
}

int peft_config_read(struct peft_config *config, const char *folder, struct err *err)
{
    *config = (struct peft_config){0};
    struct str path = {0}, text = {0};
    path_join(&path, folder, "adapter_config.json");
    int status = path.failed ? err_no_memory(err, folder, strlen(folder))
                             : file_read(&text, str_text(&path), err);
    if (!status)
        status = peft_config_parse(config, str_text(&text), text.length, str_text(&path), err);
    str_free(&path);
    str_free(&text);
    return status;
}

int peft_open(struct peft_config *config, struct tensor_set *tensors, const char *folder,
              struct err *err)
{
    struct str path = {0};
    int status = peft_config_read(config, folder, err);
    path_join(&path, folder, "adapter_model.safetensors");
    if (!status)
        status = path.failed ? err_no_memory(err, folder, strlen(folder))
                             : safetensors_open(tensors, str_text(&path), err);
    str_free(&path);
    return status;
}

void peft_tensor_name(char out[160], int layer, enum projection p, bool is_b)
{
    snprintf(out, 160, "base_model.model.model.layers.%d.%s.%s.lora_%c.weight", layer,
             p <= PROJ_O ? "self_attn" : "mlp", projection_names[p], is_b ? 'B' : 'A');
}

int peft_config_write(struct str *out, const struct peft_config *config, struct err *err)
{
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "base_model_name_or_path");
    jw_text(&w, config->base_model);
    jw_key(&w, "bias");
    jw_text(&w, "none");
    jw_key(&w, "fan_in_fan_out");
    jw_bool(&w, false);
    jw_key(&w, "inference_mode");
    jw_bool(&w, true);
    jw_key(&w, "init_lora_weights");
    jw_bool(&w, true);
    jw_key(&w, "lora_alpha");
    if (config->lora_alpha == floor(config->lora_alpha) && fabs(config->lora_alpha) < 1e9)
        jw_int(&w, (long long)config->lora_alpha);
    else
        jw_double(&w, config->lora_alpha);
    jw_key(&w, "lora_dropout");
    jw_double(&w, config->lora_dropout);
    jw_key(&w, "peft_type");
    jw_text(&w, "LORA");
    jw_key(&w, "r");
    jw_int(&w, config->r);
    jw_key(&w, "target_modules");
    jw_array_begin(&w);
    /* In alphabetical order, like the keys. */
    static const enum projection sorted[] = {PROJ_DOWN, PROJ_GATE, PROJ_K, PROJ_O,
                                             PROJ_Q,    PROJ_UP,   PROJ_V};
    for (int i = 0; i < N_PROJECTIONS; i++)
        if (config->targets[sorted[i]])
            jw_text(&w, projection_names[sorted[i]]);
    jw_array_end(&w);
    jw_key(&w, "task_type");
    jw_text(&w, "CAUSAL_LM");
    jw_key(&w, "use_dora");
    jw_bool(&w, false);
    jw_key(&w, "use_rslora");
    jw_bool(&w, config->use_rslora);
    jw_object_end(&w);
    str_putc(out, '\n');
    return out->failed ? err_no_memory(err, "adapter_config.json", out->length) : ERR_NONE;
}
