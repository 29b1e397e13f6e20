/* test_peft.c: adapter folders that PEFT wrote (tests/oracle/model), ours, and what is refused. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "backend/backend.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "formats/peft.h"
#include "model/model.h"

static void put(const char *folder, const char *name, const char *text, size_t length)
{
    struct str path = {0};
    struct err err = {0};
    assert_int_equal(file_write_atomic(path_join(&path, folder, name), text, length, &err), 0);
    str_free(&path);
}

static const char *const oracle[] = {"llama_tied", "llama_untied", "qwen3_tied", "llama3_rslora",
                                     "qwen2_untied"};

static void test_from_peft(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct peft_config c;
        struct tensor_set set = {0};
        struct err err = {0};
        char path[64];
        snprintf(path, sizeof path, "model/%s/adapter", oracle[i]);
        if (peft_open(&c, &set, fixture(path), &err))
            fail_msg("%s: %s", err.where, err.message);
        assert_int_equal(c.use_rslora, i == 3);
        assert_true(peft_scale(&c) == (i == 3 ? 4 : 2)); /* r 4, alpha 8; else alpha = 2r */
        int n = 0;
        for (int p = 0; p < N_PROJECTIONS; p++)
            n += c.targets[p];
        assert_true(n > 0 && set.count % (2 * (size_t)n) == 0);
        for (int layer = 0; layer < (int)set.count / 2 / n; layer++) {
            for (int p = 0; p < N_PROJECTIONS; p++) {
                for (int b = 0; b < 2; b++) {
                    char name[160];
                    peft_tensor_name(name, layer, (enum projection)p, b);
                    const struct tensor *t = tensor_find(&set, name);
                    assert_int_equal(t != NULL, c.targets[p]);
                    if (t)
                        assert_int_equal(t->shape[b], c.r);
                }
            }
        }
        tensor_set_close(&set);
    }
}

static void test_names(void **state)
{
    (void)state;
    char name[160];
    peft_tensor_name(name, 3, PROJ_Q, false);
    assert_string_equal(name, "base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight");
    peft_tensor_name(name, 12, PROJ_DOWN, true);
    assert_string_equal(name, "base_model.model.model.layers.12.mlp.down_proj.lora_B.weight");
}

static void test_scale(void **state)
{
    (void)state;
    struct peft_config c = {.r = 16, .lora_alpha = 32};
    assert_true(peft_scale(&c) == 2.0f);
    c.use_rslora = true;
    assert_true(peft_scale(&c) == 8.0f);
    c = (struct peft_config){.r = 3, .lora_alpha = 1};
    assert_true(peft_scale(&c) == (float)(1.0 / 3.0));
}

static char *folder;

static int setup(void **state)
{
    (void)state;
    folder = temp_folder();
    json_decref(json_read("{}", 2, 0, "", NULL)); /* jansson allocates by mem_alloc from here on */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temp_folder_remove(folder);
    return 0;
}

static void put_tensors(void)
{
    struct str bytes = {0};
    struct err err = {0};
    assert_int_equal(safetensors_write(&bytes, NULL, 0, &err), 0);
    put(folder, "adapter_model.safetensors", str_text(&bytes), bytes.length);
    str_free(&bytes);
}

static int open_config(struct peft_config *c, const char *text, struct err *err)
{
    struct tensor_set set = {0};
    put_tensors();
    put(folder, "adapter_config.json", text, strlen(text));
    int status = peft_open(c, &set, folder, err);
    tensor_set_close(&set);
    return status;
}

/* The least config with one more key. */
static int open_with(struct peft_config *c, const char *key, const char *value, struct err *err)
{
    json_t *root = json_pack("{s:i,s:[s]}", "r", 8, "target_modules", "q_proj");
    if (value) {
        json_t *v = json_loads(value, JSON_DECODE_ANY, NULL);
        if (!v)
            fail_msg("no JSON: %s", value);
        json_object_set_new(root, key, v);
    } else {
        json_object_del(root, key);
    }
    char *text = json_dumps(root, 0);
    json_decref(root);
    int status = open_config(c, text, err);
    mem_free(text);
    return status;
}

struct patch {
    const char *key, *value, *message;
};

static void test_refused(void **state)
{
    (void)state;
    static const struct patch bad[] = {
        {"use_dora", "true", "\"use_dora\" is set"},
        {"rank_pattern", "{\"q_proj\":4}", "\"rank_pattern\" is set"},
        {"alpha_pattern", "{\"q_proj\":4}", "\"alpha_pattern\" is set"},
        {"modules_to_save", "[\"lm_head\"]", "\"modules_to_save\" is set"},
        {"layers_to_transform", "[0]", "\"layers_to_transform\" is set"},
        {"layers_to_transform", "3", "\"layers_to_transform\" is set"},
        {"layer_replication", "[[0,2]]", "\"layer_replication\" is set"},
        {"fan_in_fan_out", "true", "\"fan_in_fan_out\" is set"},
        {"lora_bias", "true", "\"lora_bias\" is set"},
        {"trainable_token_indices", "[1]", "\"trainable_token_indices\" is set"},
        {"exclude_modules", "[\"v_proj\"]", "\"exclude_modules\" is set"},
        {"use_qalora", "true", "\"use_qalora\" is set"},
        {"use_bdlora", "{\"a\":1}", "\"use_bdlora\" is set"},
        {"some_new_variant", "true", "\"some_new_variant\" is set"},
        {"bias", "\"all\"", "\"bias\" is \"all\""},
        {"bias", "\"lora_only\"", "\"bias\" is \"lora_only\""},
        {"bias", "true", "\"bias\" is a boolean"},
        {"peft_type", "\"IA3\"", "\"peft_type\" is \"IA3\""},
        {"init_lora_weights", "\"pissa\"", "\"init_lora_weights\" is \"pissa\""},
        {"init_lora_weights", "\"loftq\"", "\"init_lora_weights\" is \"loftq\""},
        {"r", "0", "\"r\" is 0"},
        {"r", "-8", "\"r\" is -8"},
        {"r", "99999999", "\"r\" is 99999999"},
        {"r", "8.0", "\"r\" is a number, expected an integer"},
        {"r", NULL, "\"r\" is missing"},
        {"lora_alpha", "\"32\"", "\"lora_alpha\" is a string"},
        {"lora_alpha", "1e55", "\"lora_alpha\" is 1e+55"},
        {"lora_dropout", "1", "\"lora_dropout\" is 1"},
        {"lora_dropout", "-0.1", "\"lora_dropout\" is -0.1"},
        {"use_rslora", "1", "\"use_rslora\" is an integer"},
        {"target_modules", "[]", "\"target_modules\" is a list"},
        {"target_modules", NULL, "\"target_modules\" is nothing"},
        {"target_modules", "[\"lm_head\"]", "\"lm_head\" is not one of q_proj"},
        {"target_modules", "[\"model.layers.0.lm_head\"]", "\"model.layers.0.lm_head\" is not one"},
        {"target_modules", "[\"model.q_proj.x\"]", "\"model.q_proj.x\" is not one of q_proj"},
        {"target_modules", "[1]", "no string"},
        {"target_modules", "\".*\\\\.q_proj\"", "is not one of q_proj"},
        {"target_modules", "{\"q_proj\":1}", "\"target_modules\" is an object"},
        {"base_model_name_or_path", "7", "\"base_model_name_or_path\" is an integer"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct peft_config c;
        struct err err = {0};
        int status = open_with(&c, bad[i].key, bad[i].value, &err);
        if (status != ERR_INPUT || !strstr(err.message, bad[i].message))
            fail_msg("%s = %s: status %d, \"%s\"", bad[i].key, bad[i].value, status, err.message);
        assert_non_null(strstr(err.where, "adapter_config.json"));
    }
}

static void test_accepted(void **state)
{
    (void)state;
    static const struct patch good[] = {
        {"use_dora", "false", ""},       {"rank_pattern", "{}", ""},
        {"modules_to_save", "null", ""}, {"init_lora_weights", "true", ""},
        {"task_type", "null", ""},       {"init_lora_weights", "\"gaussian\"", ""},
        {"peft_version", "\"9\"", ""},   {"inference_mode", "false", ""},
        {"lora_alpha", "7.5", ""},       {"target_modules", "\"k_proj\"", ""},
    };
    struct peft_config c;
    struct err err = {0};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (open_with(&c, good[i].key, good[i].value, &err))
            fail_msg("%s = %s: %s", good[i].key, good[i].value, err.message);
    assert_true(c.targets[PROJ_K] && !c.targets[PROJ_Q]);
    assert_int_equal(open_with(&c, "target_modules", "\"all-linear\"", &err), 0);
    for (int p = 0; p < N_PROJECTIONS; p++)
        assert_true(c.targets[p]);
    static const char paths[] =
        "[\"model.layers.0.self_attn.v_proj\",\"model.layers.1.self_attn.v_proj\"]";
    assert_int_equal(open_with(&c, "target_modules", paths, &err), 0);
    for (int p = 0; p < N_PROJECTIONS; p++)
        assert_int_equal(c.targets[p], p == PROJ_V);
    assert_int_equal(open_with(&c, "x", "null", &err), 0);
    assert_true(c.lora_alpha == 8 && c.lora_dropout == 0 && !c.use_rslora && c.r == 8);
    assert_string_equal(c.base_model, "");
}

static void test_malformed(void **state)
{
    (void)state;
    char deep[10001];
    memset(deep, '[', 10000);
    deep[10000] = 0;
    static const char *const texts[] = {"", "{", "[]", "3", "{\"r\":1,\"r\":2}"};
    struct peft_config c;
    struct err err = {0};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(open_config(&c, texts[i], &err), ERR_INPUT);
        assert_int_equal(open_config(&c, texts[i], NULL), ERR_INPUT);
    }
    assert_int_equal(open_config(&c, deep, &err), ERR_INPUT);
    struct tensor_set set = {0};
    assert_int_equal(peft_open(&c, &set, "no/such", &err), ERR_INPUT);
    assert_non_null(strstr(err.where, "no/such/adapter_config.json"));
}

/* Written, read, written again: the same bytes and the same settings. */
static void test_round_trip(void **state)
{
    (void)state;
    struct peft_config a = {.r = 5, .lora_alpha = 12.5, .lora_dropout = 0.05, .use_rslora = true};
    a.targets[PROJ_V] = a.targets[PROJ_DOWN] = a.targets[PROJ_GATE] = true;
    snprintf(a.base_model, sizeof a.base_model, "loja \"x\"\\\xC3\xA9");
    struct str first = {0}, second = {0};
    struct err err = {0};
    struct peft_config b;
    assert_int_equal(peft_config_write(&first, &a, &err), 0);
    if (open_config(&b, str_text(&first), &err))
        fail_msg("%s", err.message);
    assert_int_equal(b.r, 5);
    assert_true(b.lora_alpha == 12.5 && b.lora_dropout == 0.05 && b.use_rslora);
    assert_memory_equal(a.targets, b.targets, sizeof a.targets);
    assert_string_equal(a.base_model, b.base_model);
    assert_int_equal(peft_config_write(&second, &b, &err), 0);
    assert_string_equal(str_text(&first), str_text(&second));
    str_free(&first);
    str_free(&second);
    assert_int_equal(
        peft_config_write(&first, &(struct peft_config){.r = 2, .lora_alpha = 64}, &err), 0);
    assert_non_null(strstr(str_text(&first), "\"lora_alpha\": 64,"));
    str_free(&first);
}

/* An adapter's file with a tensor more, less, or of another shape does not fit a model. */
static void test_tensors_must_fit(void **state)
{
    (void)state;
    struct err err = {0};
    struct device *d;
    model *m;
    struct device_options options = {.precision = PRECISION_F32, .threads = 1};
    assert_int_equal(device_open(&d, &options, &err), 0);
    assert_int_equal(model_open(&m, d, fixture("model/qwen3_tied"), 0, &err), 0);
    struct peft_config c;
    struct tensor_set set = {0};
    assert_int_equal(peft_open(&c, &set, fixture("model/qwen3_tied/adapter"), &err), 0);
    size_t n = set.count;
    struct tensor_out *out = calloc(n + 1, sizeof *out);
    for (size_t i = 0; i < n; i++) {
        out[i] = (struct tensor_out){set.tensors[i].name,
                                     set.tensors[i].dtype,
                                     set.tensors[i].n_dims,
                                     {0},
                                     set.tensors[i].data};
        memcpy(out[i].shape, set.tensors[i].shape, sizeof out[i].shape);
    }
    struct str config = {0};
    assert_int_equal(peft_config_write(&config, &c, &err), 0);
    put(folder, "adapter_config.json", str_text(&config), config.length);
    static const float zero[4];
    out[n] = (struct tensor_out){"base_model.model.lm_head.weight", DTYPE_F32, 1, {4}, zero};
    static const char *const message[] = {NULL, "is not a LoRA tensor", "is missing", "has shape",
                                          "NaN or infinite"};
    for (int i = 0; i < 5; i++) {
        struct tensor_out changed = out[0];
        float *values = NULL;
        if (i == 3) { /* transposed: the same bytes */
            out[0].shape[0] = changed.shape[1];
            out[0].shape[1] = changed.shape[0];
        } else if (i == 4) {
            values = malloc(set.tensors[0].size);
            memcpy(values, changed.data, set.tensors[0].size);
            values[1] = NAN;
            out[0].data = values;
        }
        struct str bytes = {0};
        assert_int_equal(safetensors_write(&bytes, out,
                                           i == 1   ? n + 1
                                           : i == 2 ? n - 1
                                                    : n,
                                           &err),
                         0);
        put(folder, "adapter_model.safetensors", str_text(&bytes), bytes.length);
        str_free(&bytes);
        free(values);
        out[0] = changed;
        adapter *a;
        int status = adapter_open(&a, m, folder, &err);
        if (!message[i])
            assert_int_equal(status, 0);
        else if (status != ERR_INPUT || !strstr(err.message, message[i]))
            fail_msg("case %d: status %d, \"%s\"", i, status, err.message);
        adapter_close(a);
    }
    free(out);
    str_free(&config);
    tensor_set_close(&set);
    model_close(m);
    device_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_peft),  cmocka_unit_test(test_names),
        cmocka_unit_test(test_scale),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_accepted),   cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_tensors_must_fit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
