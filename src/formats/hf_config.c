/* hf_config.c: config.json to struct hf_config; see hf_config.h.
 *
 * Everything that would change the mathematics and is not built is refused by name. Keys that only
 * concern training or other software (dropout, initializer_range, use_cache …) are ignored. */
#include "formats/hf_config.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/json.h"

enum { MAX_SIZE = 1 << 20, MAX_VOCAB = 1 << 24, MAX_LAYERS = 1024, MAX_POSITIONS = 1 << 28 };

struct source {
    const json_t *root;
    const char *where;
    struct err *err;
};

static int get_size(const struct source *s, int *out, const char *key, bool required, int max)
{
    long long value = *out;
    int status = json_get_int(&value, s->root, key, required, s->where, s->err);
    if (status)
        return status;
    if (value < 1 || value > max)
        return err_set(s->err, ERR_INPUT, s->where, "\"%s\" is %lld, expected 1 to %d", key, value,
                       max);
    *out = (int)value;
    return ERR_NONE;
}

static int get_architecture(const struct source *s, struct hf_config *c)
{
    const char *type;
    int status = json_get_string(&type, s->root, "model_type", true, s->where, s->err);
    if (status)
        return status;
    if (strcmp(type, "llama") == 0) {
        c->arch = ARCH_LLAMA;
    } else if (strcmp(type, "qwen2") == 0) {
        c->arch = ARCH_QWEN2;
        c->qkv_bias = true;
    } else if (strcmp(type, "qwen3") == 0) {
        c->arch = ARCH_QWEN3;
        c->qk_norm = true;
    } else {
        return err_set(s->err, ERR_INPUT, s->where,
                       "model_type \"%.60s\" is not built; this version knows llama "
                       "(Llama, SmolLM), qwen2 (Qwen2, Qwen2.5) and qwen3",
                       type);
    }
    return ERR_NONE;
}

/* A decoder that is not causal sees what it is to predict. */
static int check_causal(const struct source *s)
{
    bool causal = true;
    int status = json_get_bool(&causal, s->root, "is_causal", false, s->where, s->err);
    if (!status && !causal)
        status = err_set(s->err, ERR_INPUT, s->where,
                         "\"is_causal\" is false: attention to later tokens is not built; expected "
                         "true or nothing");
    return status;
}

/* A key that must be absent, null, false or have this one value. */
static int refuse_unless(const struct source *s, const char *key, const char *accepted)
{
    const json_t *value = json_object_get(s->root, key);
    if (!value || json_is_null(value) || json_is_false(value))
        return ERR_NONE;
    if (accepted && json_is_string(value) && strcmp(json_string_value(value), accepted) == 0)
        return ERR_NONE;
    const char *found = json_is_string(value) ? json_string_value(value) : json_type_name(value);
    return err_set(s->err, ERR_INPUT, s->where,
                   "\"%s\" is %s%.60s%s, which is not built: the model would be "
                   "computed wrongly; expected %s",
                   key, json_is_string(value) ? "\"" : "", json_is_true(value) ? "true" : found,
                   json_is_string(value) ? "\"" : "", accepted ? accepted : "false or nothing");
}

/* The numbers of rope_type "llama3". transformers asks for the three factors, takes the original
 * length from the top level first and means max_position_embeddings when there is none. */
static int read_llama3(const struct source *s, const json_t *rope, const char *name,
                       const struct hf_config *c, struct rope_scaling *out)
{
    long long original = c->max_position_embeddings;
    static const char length[] = "original_max_position_embeddings";
    int status;
    if ((status = json_get_double(&out->factor, rope, "factor", true, s->where, s->err)) ||
        (status = json_get_double(&out->low_freq_factor, rope, "low_freq_factor", true, s->where,
                                  s->err)) ||
        (status = json_get_double(&out->high_freq_factor, rope, "high_freq_factor", true, s->where,
                                  s->err)) ||
        (status = json_get_int(&original, rope, length, false, s->where, s->err)) ||
        (status = json_get_int(&original, s->root, length, false, s->where, s->err)))
        return status;
    if (!(out->factor >= 1 && out->factor <= 1e6))
        return err_set(s->err, ERR_INPUT, s->where, "\"%s\" has factor %g, expected 1 to 1e6", name,
                       out->factor);
    if (!(out->low_freq_factor > 0 && out->high_freq_factor > out->low_freq_factor &&
          out->high_freq_factor <= 1e6))
        return err_set(s->err, ERR_INPUT, s->where,
                       "\"%s\" has low_freq_factor %g and high_freq_factor %g, expected positive "
                       "numbers, the second greater",
                       name, out->low_freq_factor, out->high_freq_factor);
    if (original < 1 || original > MAX_POSITIONS)
        return err_set(s->err, ERR_INPUT, s->where, "%s is %lld, expected 1 to %d", length,
                       original, (int)MAX_POSITIONS);
    out->original_max_position_embeddings = (int)original;
    return ERR_NONE;
}

/* A key not known here (a factor of another rope type, one object per kind of layer) would change
 * the angles, so it is refused. */
static int check_rope_keys(const struct source *s, const json_t *rope, const char *name,
                           bool llama3)
{
    static const char *const known[] = {
        "type",   "rope_type",       "rope_theta",       "partial_rotary_factor",
        "factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"};
    size_t n = llama3 ? ARRAY_LENGTH(known) : 4;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)rope, key, value)
    {
        bool found = json_is_null(value);
        for (size_t i = 0; i < n; i++)
            found = found || strcmp(key, known[i]) == 0;
        if (!found)
            return err_set(s->err, ERR_INPUT, s->where,
                           "\"%s\" holds \"%.60s\", which is not built", name, key);
    }
    return ERR_NONE;
}

/* rope_parameters or rope_scaling, whatever the spelling. */
static int read_rope_object(const struct source *s, const json_t *rope, const char *name,
                            const struct hf_config *c, double *theta, struct rope_scaling *scaling)
{
    if (!json_is_object(rope))
        return err_set(s->err, ERR_INPUT, s->where, "\"%s\" is %s, expected an object", name,
                       json_type_name(rope));
    const char *type = "default";
    double partial = 1.0;
    int status;
    if ((status = json_get_string(&type, rope, "type", false, s->where, s->err)) ||
        (status = json_get_string(&type, rope, "rope_type", false, s->where, s->err)) ||
        (status = json_get_double(theta, rope, "rope_theta", false, s->where, s->err)) ||
        (status =
             json_get_double(&partial, rope, "partial_rotary_factor", false, s->where, s->err)))
        return status;
    bool llama3 = strcmp(type, "llama3") == 0;
    if ((!llama3 && strcmp(type, "default") != 0) || partial != 1.0)
        return err_set(s->err, ERR_INPUT, s->where,
                       "rope scaling \"%.40s\" (%s) with partial_rotary_factor %g is not built; "
                       "this version knows \"default\" and \"llama3\" over the whole head",
                       type, name, partial);
    *scaling = (struct rope_scaling){0};
    if ((status = check_rope_keys(s, rope, name, llama3)))
        return status;
    return llama3 ? read_llama3(s, rope, name, c, scaling) : ERR_NONE;
}

static bool same_scaling(const struct rope_scaling *a, const struct rope_scaling *b)
{
    return a->factor == b->factor && a->low_freq_factor == b->low_freq_factor &&
           a->high_freq_factor == b->high_freq_factor &&
           a->original_max_position_embeddings == b->original_max_position_embeddings;
}

static int get_rope(const struct source *s, struct hf_config *c)
{
    double top = NAN, theta = NAN; /* not given */
    int status = json_get_double(&top, s->root, "rope_theta", false, s->where, s->err);
    if (status)
        return status;
    /* transformers 5: {"rope_theta": …, "rope_type": "default"}; transformers 4: rope_scaling. */
    static const char *const keys[] = {"rope_parameters", "rope_scaling"};
    struct rope_scaling scaling[2];
    int n = 0;
    for (int i = 0; i < 2; i++) {
        const json_t *rope = json_object_get(s->root, keys[i]);
        if (!rope || json_is_null(rope))
            continue;
        if ((status = read_rope_object(s, rope, keys[i], c, &theta, &scaling[n])))
            return status;
        c->rope = scaling[n++];
    }
    if (n == 2 && !same_scaling(&scaling[0], &scaling[1]))
        return err_set(s->err, ERR_INPUT, s->where,
                       "rope_parameters and rope_scaling say different things: remove one");
    if (!isnan(top) && !isnan(theta) && top != theta)
        return err_set(s->err, ERR_INPUT, s->where,
                       "rope_theta is %g at the top and %g in rope_parameters: "
                       "remove one",
                       top, theta);
    c->rope_theta = !isnan(theta) ? theta : !isnan(top) ? top : 10000.0;
    if (!(c->rope_theta > 0 && c->rope_theta < 1e15))
        return err_set(s->err, ERR_INPUT, s->where, "rope_theta is %g, expected a positive number",
                       c->rope_theta);
    return ERR_NONE;
}

static int add_eos(const struct source *s, struct hf_config *c, const json_t *id)
{
    if (!json_is_integer(id) || json_integer_value(id) < 0 ||
        json_integer_value(id) >= c->vocab_size)
        return err_set(s->err, ERR_INPUT, s->where,
                       "eos_token_id holds %s that is no id of the vocabulary (0 to %d)",
                       json_type_name(id), c->vocab_size - 1);
    int value = (int)json_integer_value(id);
    for (int i = 0; i < c->n_eos; i++)
        if (c->eos[i] == value)
            return ERR_NONE;
    if (c->n_eos == HF_MAX_EOS)
        return err_set(s->err, ERR_INPUT, s->where, "has more than %d EOS ids", (int)HF_MAX_EOS);
    c->eos[c->n_eos++] = value;
    return ERR_NONE;
}

static int get_eos(const struct source *s, struct hf_config *c)
{
    const json_t *eos = json_object_get(s->root, "eos_token_id");
    if (!eos || json_is_null(eos))
        return ERR_NONE;
    if (!json_is_array(eos))
        return add_eos(s, c, eos);
    for (size_t i = 0; i < json_array_size(eos); i++) {
        int status = add_eos(s, c, json_array_get(eos, i));
        if (status)
            return status;
    }
    return ERR_NONE;
}

static int get_sizes(const struct source *s, struct hf_config *c)
{
    int status;
    if ((status = get_size(s, &c->vocab_size, "vocab_size", true, MAX_VOCAB)) ||
        (status = get_size(s, &c->hidden_size, "hidden_size", true, MAX_SIZE)) ||
        (status = get_size(s, &c->intermediate_size, "intermediate_size", true, MAX_SIZE)) ||
        (status = get_size(s, &c->layers, "num_hidden_layers", true, MAX_LAYERS)) ||
        (status = get_size(s, &c->heads, "num_attention_heads", true, MAX_SIZE)))
        return status;
    c->kv_heads = c->heads;
    if ((status = get_size(s, &c->kv_heads, "num_key_value_heads", false, MAX_SIZE)))
        return status;
    if (c->heads % c->kv_heads)
        return err_set(s->err, ERR_INPUT, s->where,
                       "%d attention heads are no multiple of %d key-value heads", c->heads,
                       c->kv_heads);
    /* Qwen3's default head_dim is 128, the others' is hidden_size / heads. */
    c->head_dim = c->arch == ARCH_QWEN3 ? 128 : c->hidden_size / c->heads;
    if (c->head_dim < 1)
        c->head_dim = 1;
    c->max_position_embeddings = c->arch == ARCH_LLAMA ? 2048 : 32768;
    if ((status = get_size(s, &c->head_dim, "head_dim", false, 4096)) ||
        (status = get_size(s, &c->max_position_embeddings, "max_position_embeddings", false,
                           MAX_POSITIONS)))
        return status;
    const json_t *own = json_object_get(s->root, "head_dim");
    if ((!own || json_is_null(own)) && c->arch != ARCH_QWEN3 && c->hidden_size % c->heads)
        return err_set(
            s->err, ERR_INPUT, s->where,
            "hidden_size %d is no multiple of %d attention heads and there is no head_dim",
            c->hidden_size, c->heads);
    if (c->head_dim % 2 || c->head_dim < 2)
        return err_set(s->err, ERR_INPUT, s->where, "head_dim is %d, expected an even number",
                       c->head_dim);
    return ERR_NONE;
}

/* transformers 5 lists each layer's kind of attention; only full attention is built. */
static int check_layer_types(const struct source *s, const struct hf_config *c)
{
    const json_t *types = json_object_get(s->root, "layer_types");
    if (!types || json_is_null(types))
        return ERR_NONE;
    if (!json_is_array(types) || json_array_size(types) != (size_t)c->layers)
        return err_set(s->err, ERR_INPUT, s->where, "\"layer_types\" is no list of %d names",
                       c->layers);
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        if (!type || strcmp(type, "full_attention") != 0)
            return err_set(s->err, ERR_INPUT, s->where,
                           "\"layer_types\" says \"%.60s\" for layer %zu; only "
                           "full_attention is built",
                           type ? type : "(no string)", i);
    }
    return ERR_NONE;
}

static int get_rest(const struct source *s, struct hf_config *c)
{
    c->rms_norm_eps = 1e-6;
    c->tie_word_embeddings = false;
    c->bos = -1;
    int status;
    long long bos = -1;
    if ((status =
             json_get_double(&c->rms_norm_eps, s->root, "rms_norm_eps", false, s->where, s->err)) ||
        (status = json_get_bool(&c->tie_word_embeddings, s->root, "tie_word_embeddings", false,
                                s->where, s->err)) ||
        (status = json_get_int(&bos, s->root, "bos_token_id", false, s->where, s->err)) ||
        (status = get_rope(s, c)) || (status = get_eos(s, c)) ||
        (status = refuse_unless(s, "hidden_act", "silu")) ||
        (status = refuse_unless(s, "attention_bias", NULL)) ||
        (status = refuse_unless(s, "mlp_bias", NULL)) ||
        (status = refuse_unless(s, "use_sliding_window", NULL)) ||
        (status = refuse_unless(s, "rope_interleaved", NULL)) ||
        (status = refuse_unless(s, "use_mrope", NULL)) || (status = check_causal(s)) ||
        (status = check_layer_types(s, c)) ||
        (status = refuse_unless(s, "quantization_config", NULL)))
        return status;
    if (!(c->rms_norm_eps >= 0 && c->rms_norm_eps < 1))
        return err_set(s->err, ERR_INPUT, s->where, "rms_norm_eps is %g, expected 0 to 1",
                       c->rms_norm_eps);
    double partial = 1.0, multiplier = 1.0;
    if ((status = json_get_double(&partial, s->root, "partial_rotary_factor", false, s->where,
                                  s->err)) ||
        (status = json_get_double(&multiplier, s->root, "logit_scale", false, s->where, s->err)))
        return status;
    if (partial != 1.0 || multiplier != 1.0)
        return err_set(s->err, ERR_INPUT, s->where,
                       "partial_rotary_factor and logit_scale are not built");
    c->bos = bos >= 0 && bos < c->vocab_size ? (int)bos : -1;
    return ERR_NONE;
}

int hf_config_parse(struct hf_config *config, const void *json, size_t size, const char *where,
                    struct err *err)
{
    *config = (struct hf_config){0};
    struct err local = {0}; /* the caller may have passed none, and the code is needed */
    json_t *root = json_read(json, size, JSON_UNIQUE_KEYS, where, &local);
    if (!root)
        return err_set(err, local.code, where, "%s", local.message);
    struct source s = {root, where, err};
    int status = json_is_object(root) ? ERR_NONE
                                      : err_set(err, ERR_INPUT, where, "is %s, expected an object",
                                                json_type_name(root));
    if (!status)
        status = get_architecture(&s, config);
    if (!status)
        status = get_sizes(&s, config);
    if (!status)
        status = get_rest(&s, config);
    json_decref(root);
    return status;
}

/* The sampling settings of a generation_config.json, as "temperature 0.6, top_k 20". */
static void list_ignored(char *out, size_t size, const json_t *root)
{
    static const char *const sampling[] = {"temperature",    "top_p",      "top_k",
                                           "min_p",          "do_sample",  "repetition_penalty",
                                           "max_new_tokens", "max_length", "no_repeat_ngram_size",
                                           "suppress_tokens"};
    const char *key;
    json_t *value;
    struct str list = {0};
    json_object_foreach((json_t *)(uintptr_t)root, key, value)
    {
        for (size_t i = 0; i < ARRAY_LENGTH(sampling); i++) {
            if (strcmp(key, sampling[i]) != 0)
                continue;
            struct json_writer w;
            struct str number = {0};
            jw_begin(&w, &number);
            jw_value(&w, value);
            str_printf(&list, "%s%s %.40s", list.length ? ", " : "", key, str_text(&number));
            str_free(&number);
        }
    }
    snprintf(out, size, "%s", str_text(&list));
    str_free(&list);
}

/* EOS ids are taken from generation_config.json; the sampling settings in it never are. */
static int read_generation_config(struct hf_config *config, const char *path, char *ignored,
                                  size_t ignored_size, struct err *err)
{
    struct str text = {0};
    struct err local = {0};
    int status = file_read(&text, path, err);
    json_t *root =
        status ? NULL : json_read(str_text(&text), text.length, JSON_UNIQUE_KEYS, path, &local);
    if (!status && !root)
        status = err_set(err, local.code, path, "%s", local.message);
    if (!status && !json_is_object(root))
        status = err_set(err, ERR_INPUT, path, "is %s, expected an object", json_type_name(root));
    if (!status) {
        struct source s = {root, path, err};
        status = get_eos(&s, config);
        if (ignored && ignored_size)
            list_ignored(ignored, ignored_size, root);
    }
    json_decref(root);
    str_free(&text);
    return status;
}

int hf_config_open(struct hf_config *config, const char *folder, char *ignored, size_t ignored_size,
                   struct err *err)
{
    struct str path = {0}, generation = {0}, text = {0};
    if (ignored && ignored_size)
        ignored[0] = 0;
    path_join(&path, folder, "config.json");
    path_join(&generation, folder, "generation_config.json");
    int status = path.failed || generation.failed ? err_no_memory(err, folder, strlen(folder))
                                                  : file_read(&text, str_text(&path), err);
    if (!status)
        status = hf_config_parse(config, str_text(&text), text.length, str_text(&path), err);
    if (!status && file_exists(str_text(&generation)))
        status = read_generation_config(config, str_text(&generation), ignored, ignored_size, err);
    str_free(&path);
    str_free(&generation);
    str_free(&text);
    return status;
}
