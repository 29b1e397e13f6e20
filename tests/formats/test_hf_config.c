/* test_hf_config.c: config.json in both spellings, and everything it may hold that we do not
 * compute. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "formats/hf_config.h"

static const char llama4[] =
    "{\"architectures\":[\"LlamaForCausalLM\"],\"attention_bias\":false,\"attention_dropout\":0.0,"
    "\"bos_token_id\":1,\"eos_token_id\":2,\"hidden_act\":\"silu\",\"hidden_size\":576,"
    "\"initializer_range\":0.04,\"intermediate_size\":1536,\"max_position_embeddings\":8192,"
    "\"model_type\":\"llama\",\"num_attention_heads\":9,\"num_hidden_layers\":30,"
    "\"num_key_value_heads\":3,\"pad_token_id\":2,\"rms_norm_eps\":1e-05,\"rope_interleaved\":"
    "false,"
    "\"rope_scaling\":null,\"rope_theta\":100000,\"tie_word_embeddings\":true,"
    "\"torch_dtype\":\"bfloat16\",\"use_cache\":true,\"vocab_size\":49152}";

static const char qwen5[] =
    "{\"architectures\":[\"Qwen3ForCausalLM\"],\"attention_bias\":false,\"attention_dropout\":0.0,"
    "\"bos_token_id\":null,\"dtype\":\"bfloat16\",\"eos_token_id\":[5,7],\"head_dim\":128,"
    "\"hidden_act\":\"silu\",\"hidden_size\":1024,\"intermediate_size\":3072,"
    "\"layer_types\":[\"full_attention\",\"full_attention\"],\"max_window_layers\":2,"
    "\"model_type\":\"qwen3\",\"num_attention_heads\":16,\"num_hidden_layers\":2,"
    "\"num_key_value_heads\":8,\"rms_norm_eps\":1e-06,"
    "\"rope_parameters\":{\"rope_theta\":1000000,\"rope_type\":\"default\"},"
    "\"sliding_window\":null,\"tie_word_embeddings\":true,\"use_sliding_window\":false,"
    "\"vocab_size\":151936}";

static int parse(struct hf_config *c, const char *text, struct err *err)
{
    return hf_config_parse(c, text, strlen(text), "config.json", err);
}

/* text with `key` replaced by the JSON value (NULL: removed). */
static int parse_patched(struct hf_config *c, const char *text, const char *key, const char *value,
                         struct err *err)
{
    json_t *root = json_loads(text, 0, NULL);
    assert_non_null(root);
    if (value) {
        json_t *v = json_loads(value, JSON_DECODE_ANY, NULL);
        if (!v)
            fail_msg("no JSON: %s", value);
        json_object_set_new(root, key, v);
    } else {
        json_object_del(root, key);
    }
    char *patched = json_dumps(root, 0);
    int status = parse(c, patched, err);
    mem_free(patched); /* jansson allocates by mem_alloc once json.c has been used */
    json_decref(root);
    return status;
}

static void test_transformers_4(void **state)
{
    (void)state;
    struct hf_config c;
    struct err err = {0};
    if (parse(&c, llama4, &err))
        fail_msg("%s", err.message);
    assert_int_equal(c.arch, ARCH_LLAMA);
    assert_int_equal(c.vocab_size, 49152);
    assert_int_equal(c.hidden_size, 576);
    assert_int_equal(c.intermediate_size, 1536);
    assert_int_equal(c.layers, 30);
    assert_int_equal(c.heads, 9);
    assert_int_equal(c.kv_heads, 3);
    assert_int_equal(c.head_dim, 64);
    assert_int_equal(c.max_position_embeddings, 8192);
    assert_true(c.tie_word_embeddings);
    assert_false(c.qk_norm);
    assert_true(c.rms_norm_eps == 1e-5);
    assert_true(c.rope_theta == 100000);
    assert_int_equal(c.n_eos, 1);
    assert_int_equal(c.eos[0], 2);
    assert_int_equal(c.bos, 1);
}

static void test_transformers_5(void **state)
{
    (void)state;
    struct hf_config c;
    struct err err = {0};
    if (parse(&c, qwen5, &err))
        fail_msg("%s", err.message);
    assert_int_equal(c.arch, ARCH_QWEN3);
    assert_true(c.qk_norm);
    assert_int_equal(c.head_dim, 128);
    assert_true(c.rope_theta == 1e6);
    assert_int_equal(c.n_eos, 2);
    assert_int_equal(c.eos[1], 7);
    assert_int_equal(c.bos, -1);
}

/* What is left out means what transformers' own defaults are. */
static void test_defaults(void **state)
{
    (void)state;
    struct hf_config c;
    struct err err = {0};
    static const char least[] =
        "{\"model_type\":\"%s\",\"vocab_size\":8,\"hidden_size\":16,\"intermediate_size\":4,"
        "\"num_hidden_layers\":1,\"num_attention_heads\":2}";
    char text[256];
    snprintf(text, sizeof text, least, "llama");
    assert_int_equal(parse(&c, text, &err), 0);
    assert_int_equal(c.kv_heads, 2);
    assert_int_equal(c.head_dim, 8);
    assert_int_equal(c.max_position_embeddings, 2048);
    assert_false(c.tie_word_embeddings);
    assert_true(c.rms_norm_eps == 1e-6 && c.rope_theta == 10000);
    assert_int_equal(c.n_eos, 0);
    assert_int_equal(c.bos, -1);
    snprintf(text, sizeof text, least, "qwen3");
    assert_int_equal(parse(&c, text, &err), 0);
    assert_int_equal(c.head_dim, 128);
    assert_int_equal(c.max_position_embeddings, 32768);
    snprintf(text, sizeof text, least, "qwen2");
    assert_int_equal(parse(&c, text, &err), 0);
    assert_int_equal(c.head_dim, 8);
    assert_int_equal(c.max_position_embeddings, 32768);
    assert_true(c.qkv_bias && !c.qk_norm);
}

struct patch {
    const char *key, *value, *message;
};

#define LLAMA3(factor, low, high, length)                                                          \
    "{\"rope_type\":\"llama3\",\"factor\":" factor ",\"low_freq_factor\":" low                     \
    ",\"high_freq_factor\":" high ",\"original_max_position_embeddings\":" length

static const struct patch bad_llama[] = {
    {"model_type", "\"mistral\"", "model_type \"mistral\" is not built"},
    {"model_type", "\"qwen2_moe\"", "model_type \"qwen2_moe\" is not built"},
    {"model_type", NULL, "\"model_type\" is missing"},
    {"model_type", "3", "\"model_type\" is an integer"},
    {"attention_bias", "true", "\"attention_bias\" is true"},
    {"mlp_bias", "true", "\"mlp_bias\" is true"},
    {"hidden_act", "\"gelu\"", "\"hidden_act\" is \"gelu\""},
    {"rope_interleaved", "true", "\"rope_interleaved\" is true"},
    {"is_causal", "false", "\"is_causal\" is false"},
    {"is_causal", "0", "\"is_causal\" is an integer"},
    {"quantization_config", "{\"bits\":4}", "\"quantization_config\" is an object"},
    {"rope_scaling", "{\"type\":\"linear\",\"factor\":2.0}", "rope scaling \"linear\""},
    {"rope_scaling", "{\"rope_type\":\"dynamic\",\"factor\":8.0}", "rope scaling \"dynamic\""},
    {"rope_scaling", LLAMA3("8", "1", "4", "8192") ",\"mscale\":1}", "holds \"mscale\""},
    {"rope_scaling", LLAMA3("0.5", "1", "4", "8192") "}", "has factor 0.5, expected 1 to 1e6"},
    {"rope_scaling", LLAMA3("\"8\"", "1", "4", "8192") "}", "\"factor\" is a string"},
    {"rope_scaling", LLAMA3("8", "4", "4", "8192") "}", "low_freq_factor 4 and high_freq_factor 4"},
    {"rope_scaling", LLAMA3("8", "0", "4", "8192") "}", "low_freq_factor 0"},
    {"rope_scaling", LLAMA3("8", "1", "4", "0") "}", "original_max_position_embeddings is 0"},
    {"rope_scaling", LLAMA3("8", "1", "4", "8192.5") "}", "expected an integer"},
    {"rope_scaling", "{\"rope_type\":\"llama3\",\"factor\":8.0}", "\"low_freq_factor\" is missing"},
    {"rope_scaling", LLAMA3("8", "1", "4", "8192") ",\"partial_rotary_factor\":0.5}",
     "rope scaling"},
    {"rope_scaling", "{\"rope_type\":\"default\",\"factor\":8.0}", "holds \"factor\""},
    {"rope_scaling", "\"linear\"", "\"rope_scaling\" is a string"},
    {"rope_parameters", "{\"rope_type\":\"yarn\",\"rope_theta\":100000}", "rope scaling \"yarn\""},
    {"rope_parameters", "{\"rope_theta\":5}", "rope_theta is 100000 at the top and 5"},
    {"rope_parameters", "{\"full_attention\":{\"rope_theta\":100000}}", "holds \"full_attention\""},
    {"rope_parameters", "{\"partial_rotary_factor\":0.5}", "rope scaling"},
    {"partial_rotary_factor", "0.5", "partial_rotary_factor"},
    {"rope_theta", "-1", "rope_theta is -1"},
    {"rope_theta", "0", "rope_theta is 0"},
    {"rope_parameters", "{\"rope_theta\":0}", "rope_theta is 100000 at the top and 0"},
    {"rope_theta", "\"x\"", "\"rope_theta\" is a string"},
    {"num_attention_heads", "7", "7 attention heads are no multiple of 3 key-value heads"},
    {"num_key_value_heads", "2", "9 attention heads are no multiple of 2 key-value heads"},
    {"num_key_value_heads", "18", "9 attention heads are no multiple of 18"},
    {"num_key_value_heads", "0", "\"num_key_value_heads\" is 0, expected 1 to"},
    {"num_attention_heads", "-9", "\"num_attention_heads\" is -9"},
    {"hidden_size", "0", "\"hidden_size\" is 0"},
    {"hidden_size", "577", "hidden_size 577 is no multiple of 9"},
    {"hidden_size", "9999999999", "\"hidden_size\" is 9999999999"},
    {"hidden_size", "576.0", "\"hidden_size\" is a number, expected an integer"},
    {"hidden_size", "\"576\"", "\"hidden_size\" is a string"},
    {"hidden_size", NULL, "\"hidden_size\" is missing"},
    {"hidden_size", "63", "head_dim is 7, expected an even number"},
    {"head_dim", "0", "\"head_dim\" is 0"},
    {"head_dim", "3", "head_dim is 3, expected an even number"},
    {"head_dim", "100000", "\"head_dim\" is 100000"},
    {"vocab_size", "-1", "\"vocab_size\" is -1"},
    {"vocab_size", "4294967297", "\"vocab_size\" is 4294967297"},
    {"vocab_size", NULL, "\"vocab_size\" is missing"},
    {"num_hidden_layers", "0", "\"num_hidden_layers\" is 0"},
    {"num_hidden_layers", "1000000", "\"num_hidden_layers\" is 1000000"},
    {"intermediate_size", NULL, "\"intermediate_size\" is missing"},
    {"max_position_embeddings", "0", "\"max_position_embeddings\" is 0"},
    {"rms_norm_eps", "-1e-5", "rms_norm_eps is -1e-05"},
    {"rms_norm_eps", "2", "rms_norm_eps is 2"},
    {"rms_norm_eps", "\"x\"", "\"rms_norm_eps\" is a string"},
    {"tie_word_embeddings", "1", "\"tie_word_embeddings\" is an integer"},
    {"eos_token_id", "49152", "eos_token_id"},
    {"eos_token_id", "-1", "eos_token_id"},
    {"eos_token_id", "[2,\"x\"]", "eos_token_id holds a string"},
    {"eos_token_id", "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]", "more than 16 EOS ids"},
    {"bos_token_id", "[1]", "\"bos_token_id\" is a list"},
};

static const struct patch bad_qwen[] = {
    {"use_sliding_window", "true", "\"use_sliding_window\" is true"},
    {"layer_types", "[\"full_attention\",\"sliding_attention\"]",
     "\"sliding_attention\" for layer 1"},
    {"layer_types", "[\"full_attention\"]", "no list of 2 names"},
    {"layer_types", "[1,2]", "for layer 0"},
    {"attention_bias", "true", "\"attention_bias\" is true"},
    {"rope_parameters", "{\"rope_theta\":1000000,\"rope_type\":\"yarn\",\"factor\":4}", "\"yarn\""},
    {"rope_scaling", LLAMA3("8", "1", "4", "8192") "}", "rope_parameters and rope_scaling"},
};

/* The keys of a Qwen2.5 that are not those of a Llama. */
static const char qwen2[] =
    "{\"architectures\":[\"Qwen2ForCausalLM\"],\"attention_dropout\":0.0,\"bos_token_id\":2,"
    "\"eos_token_id\":3,\"hidden_act\":\"silu\",\"hidden_size\":64,\"intermediate_size\":48,"
    "\"max_position_embeddings\":32768,\"max_window_layers\":1,\"model_type\":\"qwen2\","
    "\"num_attention_heads\":4,\"num_hidden_layers\":2,\"num_key_value_heads\":2,"
    "\"rms_norm_eps\":1e-06,\"rope_theta\":1000000.0,\"sliding_window\":32768,"
    "\"tie_word_embeddings\":true,\"use_mrope\":false,\"use_sliding_window\":false,"
    "\"vocab_size\":8}";

static const struct patch bad_qwen2[] = {
    {"use_sliding_window", "true", "\"use_sliding_window\" is true"},
    {"hidden_size", "66", "hidden_size 66 is no multiple of 4"},
    {"use_mrope", "true", "\"use_mrope\" is true"},
    {"rope_scaling", "{\"type\":\"yarn\",\"factor\":4.0}", "rope scaling \"yarn\""},
};

static void check_bad(const char *text, const struct patch *patches, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct hf_config c;
        struct err err = {0};
        int status = parse_patched(&c, text, patches[i].key, patches[i].value, &err);
        if (status != ERR_INPUT || !strstr(err.message, patches[i].message))
            fail_msg("%s = %s: status %d, \"%s\"", patches[i].key, patches[i].value, status,
                     err.message);
        assert_string_equal(err.where, "config.json");
    }
}

static void test_refused(void **state)
{
    (void)state;
    check_bad(llama4, bad_llama, sizeof bad_llama / sizeof *bad_llama);
    check_bad(qwen5, bad_qwen, sizeof bad_qwen / sizeof *bad_qwen);
    check_bad(qwen2, bad_qwen2, sizeof bad_qwen2 / sizeof *bad_qwen2);
}

static void test_accepted(void **state)
{
    (void)state;
    static const struct patch good[] = {
        {"rope_scaling", "{\"rope_type\":\"default\"}", ""},
        {"is_causal", "true", ""},
        {"rope_parameters", "{\"rope_type\":\"default\",\"rope_theta\":100000.0}", ""},
        {"quantization_config", "null", ""},
        {"num_key_value_heads", "null", ""},
        {"head_dim", "32", ""},
        {"hidden_act", NULL, ""},
        {"eos_token_id", "null", ""},
        {"pretraining_tp", "1", ""},
        {"bos_token_id", "60000", ""},
    };
    struct hf_config other;
    assert_int_equal(parse(&other, qwen2, NULL), 0);
    assert_int_equal(other.head_dim, 16);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct hf_config c;
        struct err err = {0};
        if (parse_patched(&c, llama4, good[i].key, good[i].value, &err))
            fail_msg("%s = %s: %s", good[i].key, good[i].value, err.message);
    }
}

static void test_llama3_rope(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
        int length;
    } cases[] = {
        {"rope_scaling", LLAMA3("32", "1", "4.5", "4096") "}", 4096},
        {"rope_parameters", LLAMA3("32", "1", "4.5", "4096") ",\"rope_theta\":100000}", 4096},
        /* the old key of the type; without a length transformers takes the model's own */
        {"rope_scaling",
         "{\"type\":\"llama3\",\"factor\":32,\"low_freq_factor\":1,\"high_freq_factor\":4.5}",
         8192},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hf_config c;
        struct err err = {0};
        if (parse_patched(&c, llama4, cases[i].key, cases[i].value, &err))
            fail_msg("%s: %s", cases[i].value, err.message);
        assert_true(c.rope.factor == 32 && c.rope.low_freq_factor == 1 &&
                    c.rope.high_freq_factor == 4.5 && c.rope_theta == 100000);
        assert_int_equal(c.rope.original_max_position_embeddings, cases[i].length);
    }
    struct hf_config plain;
    assert_int_equal(parse(&plain, llama4, NULL), 0);
    assert_true(plain.rope.factor == 0);
}

static void test_malformed(void **state)
{
    (void)state;
    char deep[10001];
    memset(deep, '[', 10000);
    deep[10000] = 0;
    const char *const texts[] = {"",
                                 "{",
                                 "[]",
                                 "null",
                                 "{\"model_type\":\"llama\"",
                                 deep,
                                 "\xFF",
                                 "{}",
                                 "{\"vocab_size\":1,\"vocab_size\":2}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct hf_config c;
        struct err err = {0};
        assert_int_equal(parse(&c, texts[i], &err), ERR_INPUT);
        assert_true(err.message[0]);
        assert_int_equal(parse(&c, texts[i], NULL), ERR_INPUT);
    }
}

static void put(const char *folder, const char *name, const char *text)
{
    struct str path = {0};
    struct err err = {0};
    assert_int_equal(file_write_atomic(path_join(&path, folder, name), text, strlen(text), &err),
                     0);
    str_free(&path);
}

/* The EOS set is the union; the sampling settings are listed, not taken. */
static void test_generation_config(void **state)
{
    (void)state;
    struct hf_config c;
    struct err err = {0};
    char ignored[200], *folder = temp_folder();
    assert_int_equal(hf_config_open(&c, folder, ignored, sizeof ignored, &err), ERR_INPUT);
    assert_non_null(strstr(err.where, "config.json"));
    put(folder, "config.json", qwen5);
    assert_int_equal(hf_config_open(&c, folder, ignored, sizeof ignored, &err), 0);
    assert_string_equal(ignored, "");
    put(folder, "generation_config.json",
        "{\"eos_token_id\":[7,9],\"temperature\":0.6,\"top_k\":20,\"do_sample\":true,\"x\":1}");
    assert_int_equal(hf_config_open(&c, folder, ignored, sizeof ignored, &err), 0);
    assert_int_equal(c.n_eos, 3);
    assert_int_equal(c.eos[0], 5);
    assert_int_equal(c.eos[1], 7);
    assert_int_equal(c.eos[2], 9);
    assert_non_null(strstr(ignored, "temperature 0.6"));
    assert_non_null(strstr(ignored, "top_k 20"));
    assert_non_null(strstr(ignored, "do_sample true"));
    assert_null(strstr(ignored, "eos"));
    char small[12];
    assert_int_equal(hf_config_open(&c, folder, small, sizeof small, &err), 0);
    assert_true(strlen(small) < sizeof small);
    assert_int_equal(hf_config_open(&c, folder, NULL, 0, &err), 0);
    static const char *const bad[][2] = {{"{", "not valid JSON"},
                                         {"[]", "is a list, expected an object"},
                                         {"{\"eos_token_id\":999999}", "no id of the vocabulary"}};
    for (int i = 0; i < 3; i++) {
        put(folder, "generation_config.json", bad[i][0]);
        assert_int_equal(hf_config_open(&c, folder, ignored, sizeof ignored, &err), ERR_INPUT);
        assert_non_null(strstr(err.message, bad[i][1]));
        assert_non_null(strstr(err.where, "generation_config.json"));
    }
    temp_folder_remove(folder);
}

/* What transformers itself wrote. */
static void test_oracle_folders(void **state)
{
    (void)state;
    static const char *const names[] = {"llama_tied", "llama_untied", "qwen3_tied", "llama3_rslora",
                                        "qwen2_untied"};
    for (int i = 0; i < 5; i++) {
        struct hf_config c;
        struct err err = {0};
        char path[64];
        snprintf(path, sizeof path, "model/%s", names[i]);
        if (hf_config_open(&c, fixture(path), NULL, 0, &err))
            fail_msg("%s: %s", err.where, err.message);
        assert_int_equal(c.tie_word_embeddings, i != 1 && i != 4);
        assert_int_equal(c.arch, i == 2 ? ARCH_QWEN3 : i == 4 ? ARCH_QWEN2 : ARCH_LLAMA);
        assert_int_equal(c.qkv_bias, i == 4);
        assert_int_equal(c.qk_norm, i == 2);
        assert_true(c.rope.factor == (i == 3 ? 8 : 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transformers_4), cmocka_unit_test(test_transformers_5),
        cmocka_unit_test(test_defaults),       cmocka_unit_test(test_refused),
        cmocka_unit_test(test_accepted),       cmocka_unit_test(test_llama3_rope),
        cmocka_unit_test(test_malformed),      cmocka_unit_test(test_generation_config),
        cmocka_unit_test(test_oracle_folders),
    };
    json_decref(json_read("{}", 2, 0, "", NULL));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
