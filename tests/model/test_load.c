/* test_load.c: models and adapters that must not load. Each error names the file and the tensor or
 * key, what was found and what was expected. The models are the tiny fixtures, changed in one way.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/json.h"
#include "model/model.h"

enum { MAX_TENSORS = 64 };

static struct device *device;

/* A copy of a fixture in memory, to be changed and written to a folder of its own. */
struct folder {
    char *path;
    char source[256];
    struct tensor_set set;
    struct tensor_out tensors[MAX_TENSORS];
    size_t n;
    json_t *config;
    bool adapter; /* PEFT's file names */
};

static const char *file_of(const struct folder *f, const char *base, bool tensors)
{
    static char path[512];
    const char *name = tensors ? (f->adapter ? "adapter_model.safetensors" : "model.safetensors")
                               : (f->adapter ? "adapter_config.json" : "config.json");
    snprintf(path, sizeof path, "%s/%s", base, name);
    return path;
}

static void folder_open(struct folder *f, const char *fixture_name)
{
    memset(f, 0, sizeof *f);
    f->path = temp_folder();
    f->adapter = strstr(fixture_name, "/adapter") != NULL;
    snprintf(f->source, sizeof f->source, "tests/oracle/model/%s", fixture_name);
    struct err err = {0};
    assert_int_equal(safetensors_open(&f->set, file_of(f, f->source, true), &err), 0);
    assert_true(f->set.count < MAX_TENSORS);
    for (; f->n < f->set.count; f->n++) {
        const struct tensor *t = &f->set.tensors[f->n];
        f->tensors[f->n] = (struct tensor_out){t->name, t->dtype, t->n_dims, {0}, t->data};
        memcpy(f->tensors[f->n].shape, t->shape, sizeof t->shape);
    }
    struct str text = {0};
    assert_int_equal(file_read(&text, file_of(f, f->source, false), &err), 0);
    f->config = json_read(str_text(&text), text.length, 0, "config", &err);
    assert_non_null(f->config);
    str_free(&text);
}

static struct tensor_out *find(struct folder *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->tensors[i].name, name) == 0)
            return &f->tensors[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static void drop(struct folder *f, const char *name)
{
    struct tensor_out *t = find(f, name);
    *t = f->tensors[--f->n];
}

/* cut: bytes to leave off at the end of the tensors' file. */
static void folder_write(const struct folder *f, size_t cut)
{
    struct err err = {0};
    struct str bytes = {0}, text = {0};
    struct json_writer w;
    assert_int_equal(safetensors_write(&bytes, f->tensors, f->n, &err), 0);
    assert_int_equal(
        file_write_atomic(file_of(f, f->path, true), str_text(&bytes), bytes.length - cut, &err),
        0);
    jw_begin(&w, &text);
    jw_value(&w, f->config);
    assert_int_equal(
        file_write_atomic(file_of(f, f->path, false), str_text(&text), text.length, &err), 0);
    str_free(&bytes);
    str_free(&text);
}

static void folder_close(struct folder *f)
{
    tensor_set_close(&f->set);
    json_decref(f->config);
    temp_folder_remove(f->path);
}

/* The error's place and sentence must hold every one of the words. */
static void assert_says(const struct err *err, const char *const *words)
{
    char all[1400];
    snprintf(all, sizeof all, "%s: %s", err->where, err->message);
    for (; *words; words++)
        if (!strstr(all, *words))
            fail_msg("\"%s\" does not say \"%s\"", all, *words);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void refuse_cut(struct folder *f, size_t cut, const char *const *words)
{
    struct err err = {0};
    model *m = (model *)(void *)&err; /* must be overwritten */
    folder_write(f, cut);
    assert_int_equal(model_open(&m, device, f->path, 0, &err), ERR_INPUT);
    assert_int_equal(err.code, ERR_INPUT);
    assert_null(m);
    assert_says(&err, WORDS(f->path));
    assert_says(&err, words);
    folder_close(f);
}

static void refuse(struct folder *f, const char *const *words)
{
    refuse_cut(f, 0, words);
}

static void accept(struct folder *f)
{
    struct err err = {0};
    model *m;
    folder_write(f, 0);
    if (model_open(&m, device, f->path, 0, &err))
        fail_msg("%s: %s", err.where, err.message);
    model_close(m);
    folder_close(f);
}

static void test_unchanged(void **state)
{
    (void)state;
    static const char *const names[] = {"qwen3_tied", "llama_untied", "llama_tied", "qwen2_untied"};
    for (int i = 0; i < 4; i++) {
        struct folder f;
        folder_open(&f, names[i]);
        accept(&f);
    }
}

static void test_missing_tensor(void **state)
{
    (void)state;
    static const char *const names[] = {
        "model.embed_tokens.weight", "model.norm.weight", "model.layers.2.mlp.up_proj.weight",
        "model.layers.0.self_attn.q_norm.weight", "model.layers.1.post_attention_layernorm.weight"};
    for (int i = 0; i < 5; i++) {
        struct folder f;
        folder_open(&f, "qwen3_tied");
        drop(&f, names[i]);
        refuse(&f, WORDS(names[i], "missing", "config.json asks for it"));
    }
    struct folder f;
    folder_open(&f, "qwen2_untied");
    drop(&f, "model.layers.1.self_attn.v_proj.bias");
    refuse(&f, WORDS("model.layers.1.self_attn.v_proj.bias", "missing"));
    folder_open(&f, "llama_untied");
    drop(&f, "lm_head.weight");
    refuse(&f, WORDS("lm_head.weight", "missing", "tie_word_embeddings is not true"));
}

static void test_wrong_shape(void **state)
{
    (void)state;
    struct folder f;
    folder_open(&f, "qwen3_tied"); /* transposed: the same number of values */
    struct tensor_out *t = find(&f, "model.layers.1.self_attn.q_proj.weight");
    t->shape[0] = 40;
    t->shape[1] = 72;
    refuse(&f, WORDS("model.layers.1.self_attn.q_proj.weight", "(40, 72)", "(72, 40)"));
    folder_open(&f, "qwen2_untied");
    find(&f, "model.layers.0.self_attn.k_proj.bias")->shape[0] = 13;
    refuse(&f, WORDS("model.layers.0.self_attn.k_proj.bias", "(13,)", "(12,)"));
    folder_open(&f, "qwen3_tied");
    find(&f, "model.norm.weight")->shape[0] = 39;
    refuse(&f, WORDS("model.norm.weight", "(39,)", "(40,)"));
    folder_open(&f, "qwen3_tied");
    t = find(&f, "model.norm.weight");
    t->n_dims = 2;
    t->shape[1] = 1;
    refuse(&f, WORDS("model.norm.weight", "(40, 1)", "(40,)"));
    folder_open(&f, "qwen3_tied");
    t = find(&f, "model.layers.0.mlp.up_proj.weight");
    t->n_dims = 0;
    refuse(&f, WORDS("up_proj.weight", "has shape ()", "(52, 40)"));
    folder_open(&f, "llama_tied"); /* the config of a model with another vocabulary */
    json_object_set_new(f.config, "vocab_size", json_integer(65));
    refuse(&f, WORDS("model.embed_tokens.weight", "(64, 32)", "(65, 32)"));
}

static void test_strangers(void **state)
{
    (void)state;
    struct folder f;
    float value[4] = {0};
    folder_open(&f, "llama_tied");
    f.tensors[f.n++] =
        (struct tensor_out){"model.layers.0.self_attn.q_proj.bias", DTYPE_F32, 1, {4}, value};
    refuse(&f, WORDS("model.layers.0.self_attn.q_proj.bias", "not part of the architecture"));
    folder_open(&f, "qwen2_untied"); /* o has no bias there */
    f.tensors[f.n++] =
        (struct tensor_out){"model.layers.0.self_attn.o_proj.bias", DTYPE_F32, 1, {4}, value};
    refuse(&f, WORDS("model.layers.0.self_attn.o_proj.bias", "not part of the architecture"));
    folder_open(&f, "llama_tied"); /* one layer fewer in the config than in the file */
    json_object_set_new(f.config, "num_hidden_layers", json_integer(1));
    json_object_del(f.config, "layer_types");
    refuse(&f, WORDS("model.layers.1.", "not part of the architecture"));
    folder_open(&f, "llama_tied"); /* derived from the config, in old files */
    f.tensors[f.n++] = (struct tensor_out){
        "model.layers.0.self_attn.rotary_emb.inv_freq", DTYPE_F32, 1, {4}, value};
    accept(&f);
}

static void test_bad_values(void **state)
{
    (void)state;
    static const struct {
        float bad;
        int place;
        const char *said;
    } cases[] = {{NAN, 777, "element 777;"},
                 {INFINITY, 0, "element 0;"},
                 {-INFINITY, 1535, "element 1535;"}};
    for (int i = 0; i < 3; i++) {
        struct folder f;
        folder_open(&f, "llama_tied");
        struct tensor_out *t = find(&f, "model.layers.1.mlp.down_proj.weight");
        float *values = malloc(32 * 48 * sizeof *values);
        memcpy(values, t->data, 32 * 48 * sizeof *values);
        values[cases[i].place] = cases[i].bad;
        t->data = values;
        refuse(&f, WORDS("model.layers.1.mlp.down_proj.weight", "1 of its 1536 values",
                         cases[i].said, "finite"));
        free(values);
    }
    struct folder f;
    folder_open(&f, "llama_tied"); /* an integer tensor of the right shape */
    find(&f, "model.layers.0.mlp.gate_proj.weight")->dtype = DTYPE_I32;
    refuse(&f, WORDS("gate_proj.weight", "dtype I32", "F32, F16 or BF16"));
}

static void test_truncated(void **state)
{
    (void)state;
    struct folder f;
    folder_open(&f, "llama_tied");
    refuse_cut(&f, 1, WORDS("model.safetensors", "truncated"));
    folder_open(&f, "llama_tied");
    refuse_cut(&f, 30000, WORDS("model.safetensors", "truncated"));
    folder_open(&f, "llama_tied"); /* within the header */
    struct err err = {0};
    model *m;
    folder_write(&f, 0);
    assert_int_equal(
        file_write_atomic(file_of(&f, f.path, true), "\x10\x27\0\0\0\0\0\0{\"a\":", 13, &err), 0);
    assert_int_equal(model_open(&m, device, f.path, 0, &err), ERR_INPUT);
    assert_says(&err, WORDS(f.path, "model.safetensors", "10000 bytes", "has 5"));
    remove(file_of(&f, f.path, true));
    assert_int_equal(model_open(&m, device, f.path, 0, &err), ERR_INPUT);
    assert_says(&err, WORDS(f.path, "neither model.safetensors nor"));
    remove(file_of(&f, f.path, false));
    assert_int_equal(model_open(&m, device, f.path, 0, &err), ERR_INPUT);
    assert_says(&err, WORDS(f.path, "config.json"));
    folder_close(&f);
}

static void test_unknown_architecture(void **state)
{
    (void)state;
    struct folder f;
    folder_open(&f, "llama_tied");
    json_object_set_new(f.config, "model_type", json_string("mamba"));
    refuse(&f, WORDS("config.json", "\"mamba\"", "llama", "qwen3"));
    folder_open(&f, "llama_tied"); /* Qwen3 without its head norms */
    json_object_set_new(f.config, "model_type", json_string("qwen3"));
    refuse(&f, WORDS("model.layers.0.self_attn.q_norm.weight", "missing"));
}

/* A tied model may bring its head along, but only the same numbers. */
static void test_tied_head(void **state)
{
    (void)state;
    struct folder f;
    folder_open(&f, "llama_tied");
    f.tensors[f.n] = *find(&f, "model.embed_tokens.weight");
    f.tensors[f.n++].name = "lm_head.weight";
    accept(&f);
    folder_open(&f, "llama_tied");
    float *values = malloc(64 * 32 * sizeof *values);
    f.tensors[f.n] = *find(&f, "model.embed_tokens.weight");
    memcpy(values, f.tensors[f.n].data, 64 * 32 * sizeof *values);
    values[2000] = nextafterf(values[2000], 9);
    f.tensors[f.n].data = values;
    f.tensors[f.n++].name = "lm_head.weight";
    refuse(&f, WORDS("lm_head.weight", "differs from the embedding", "tie_word_embeddings"));
    free(values);
}

static void test_max_context(void **state)
{
    (void)state;
    static const struct {
        int asked, got;
    } cases[] = {{0, 128}, {1, 1}, {100, 100}, {128, 128}, {129, 128}, {1 << 30, 128}};
    for (int i = 0; i < 6; i++) {
        struct err err = {0};
        model *m;
        assert_int_equal(
            model_open(&m, device, "tests/oracle/model/llama_tied", cases[i].asked, &err), 0);
        assert_int_equal(model_max_context(m), cases[i].got);
        model_close(m);
    }
}

/* --- adapters --- */

static void refuse_adapter(struct folder *f, const char *model_name, size_t cut,
                           const char *const *words)
{
    struct err err = {0};
    model *m;
    adapter *a = (adapter *)(void *)&err;
    char path[256];
    snprintf(path, sizeof path, "tests/oracle/model/%s", model_name);
    assert_int_equal(model_open(&m, device, path, 0, &err), 0);
    folder_write(f, cut);
    assert_int_equal(adapter_open(&a, m, f->path, &err), ERR_INPUT);
    assert_null(a);
    assert_says(&err, WORDS(f->path));
    assert_says(&err, words);
    assert_null(strstr(strstr(err.where, f->path) + 1, f->path)); /* and says it once */
    model_close(m);
    folder_close(f);
}

#define LORA(layer, name, side)                                                                    \
    "base_model.model.model.layers." layer "." name ".lora_" side ".weight"

static void test_adapter(void **state)
{
    (void)state;
    struct folder f;
    static const char q_a[] = LORA("0", "self_attn.q_proj", "A");
    folder_open(&f, "llama_tied/adapter"); /* an adapter for a model of other sizes */
    refuse_adapter(&f, "qwen3_tied", 0,
                   WORDS(q_a, "(16, 32)", "(16, 40)", "adapter for another model"));
    folder_open(&f, "llama_untied/adapter"); /* fewer layers than the model has */
    drop(&f, LORA("1", "mlp.down_proj", "B"));
    refuse_adapter(&f, "llama_untied", 0,
                   WORDS(LORA("1", "mlp.down_proj", "B"), "missing", "adapter_model.safetensors"));
    folder_open(&f, "llama_untied/adapter"); /* more layers */
    f.tensors[f.n] = *find(&f, LORA("1", "mlp.down_proj", "B"));
    f.tensors[f.n++].name = LORA("2", "mlp.down_proj", "B");
    refuse_adapter(&f, "llama_untied", 0, WORDS(LORA("2", "mlp.down_proj", "B"), "not a LoRA"));
    folder_open(&f, "llama_untied/adapter"); /* a projection the config does not name */
    json_array_remove(json_object_get(f.config, "target_modules"), 0);
    refuse_adapter(&f, "llama_untied", 0, WORDS(".lora_A.weight", "target_modules"));
    folder_open(&f, "llama_tied/adapter");
    json_object_set_new(f.config, "r", json_integer(8));
    refuse_adapter(&f, "llama_tied", 0, WORDS(q_a, "(16, 32)", "(8, 32)", "r = 8"));
    folder_open(&f, "llama_tied/adapter");
    float *values = malloc(16 * 32 * sizeof *values);
    memcpy(values, find(&f, q_a)->data, 16 * 32 * sizeof *values);
    values[100] = NAN;
    find(&f, q_a)->data = values;
    refuse_adapter(&f, "llama_tied", 0, WORDS(q_a, "NaN", "element 100"));
    free(values);
    folder_open(&f, "llama_tied/adapter");
    refuse_adapter(&f, "llama_tied", 5, WORDS("adapter_model.safetensors", "truncated"));
    folder_open(&f, "llama_tied/adapter");
    json_object_set_new(f.config, "use_dora", json_true());
    refuse_adapter(&f, "llama_tied", 0, WORDS("adapter_config.json", "use_dora"));
}

static int open_device(void **state)
{
    (void)state;
    struct err err = {0};
    struct device_options options = {.precision = PRECISION_F32, .threads = 1};
    return device_open(&device, &options, &err);
}

static int close_device(void **state)
{
    (void)state;
    device_close(device);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unchanged),
        cmocka_unit_test(test_missing_tensor),
        cmocka_unit_test(test_wrong_shape),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_unknown_architecture),
        cmocka_unit_test(test_tied_head),
        cmocka_unit_test(test_max_context),
        cmocka_unit_test(test_adapter),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
