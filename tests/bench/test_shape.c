/* The standard shapes: their folder reads back as the shape, the tokenizer has the model's
 * vocabulary, and the weights make a model. */
#include <stdio.h>
#include <string.h>
#include "../support/support.h"
#include "bench/shape.h"
#include "data/rows.h"
#include "model/model.h"
#include "tokenizer/tokenizer.h"

static void ok(int status, const struct err *err)
{
    if (status)
        fail_msg("%s: %s", err->where, err->message);
}

static const char *in(const char *folder, const char *name)
{
    static char path[4200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void same_config(const struct hf_config *a, const struct hf_config *b)
{
    assert_int_equal(a->arch, b->arch);
    assert_int_equal(a->vocab_size, b->vocab_size);
    assert_int_equal(a->hidden_size, b->hidden_size);
    assert_int_equal(a->intermediate_size, b->intermediate_size);
    assert_int_equal(a->layers, b->layers);
    assert_int_equal(a->heads, b->heads);
    assert_int_equal(a->kv_heads, b->kv_heads);
    assert_int_equal(a->head_dim, b->head_dim);
    assert_int_equal(a->max_position_embeddings, b->max_position_embeddings);
    assert_int_equal(a->qk_norm, b->qk_norm);
    assert_int_equal(a->tie_word_embeddings, b->tie_word_embeddings);
    assert_true(a->rms_norm_eps == b->rms_norm_eps && a->rope_theta == b->rope_theta);
    assert_int_equal(a->n_eos, 0);
}

static void folders(void **state)
{
    (void)state;
    for (int i = 0; i < bench_n_shapes; i++) {
        struct err err = {0};
        struct hf_config config;
        tokenizer *t;
        char *folder = temp_folder();
        ok(bench_shape_folder(&bench_shapes[i], folder, &err), &err);
        ok(hf_config_open(&config, folder, NULL, 0, &err), &err);
        same_config(&config, &bench_shapes[i].config);
        ok(tokenizer_open(&t, folder, &err), &err);
        assert_int_equal(tokenizer_vocab_size(t), config.vocab_size);
        struct ids ids = {0};
        struct str back = {0};
        static const char text[] = "o preço é ótimo, não?\n12,50";
        ok(tokenizer_encode(t, &ids, text, strlen(text), false, &err), &err);
        assert_true(ids.count < strlen(text)); /* words of more than one letter are found */
        ok(tokenizer_decode(t, &back, ids.data, ids.count, false, &err), &err);
        assert_string_equal(str_text(&back), text);
        str_free(&back);
        ids_free(&ids);
        tokenizer_free(t);
        temp_folder_remove(folder);
    }
}

static void rows(void **state)
{
    (void)state;
    struct err err = {0};
    struct dataset d;
    char *folder = temp_folder();
    ok(bench_rows(folder, 3, 17, 100, &err), &err);
    ok(dataset_open(&d, in(folder, "rows.jsonl"), &err), &err);
    assert_int_equal(d.count, 3);
    for (size_t r = 0; r < d.count; r++) {
        const json_t *ids = json_object_get(d.rows[r].json, "prompt_ids");
        assert_int_equal(json_array_size(ids), 17);
        for (size_t i = 0; i < 17; i++)
            assert_true(json_integer_value(json_array_get(ids, i)) < 100);
    }
    assert_false(json_equal(json_object_get(d.rows[0].json, "prompt_ids"),
                            json_object_get(d.rows[1].json, "prompt_ids")));
    dataset_close(&d);
    temp_folder_remove(folder);
}

/* Both architectures, made small: the checks of model_create know every tensor by name and shape.
 */
static void weights(void **state)
{
    (void)state;
    struct err err = {0};
    struct device *d;
    struct device_options options = {.threads = 1};
    ok(device_open(&d, &options, &err), &err);
    for (int i = 0; i < bench_n_shapes; i++) {
        struct hf_config c = bench_shapes[i].config;
        struct bench_weights w;
        model *m;
        c.vocab_size = 64;
        c.layers = 2;
        ok(bench_weights_create(&w, &c, &err), &err);
        ok(model_create(&m, d, &c, &w.set, 16, &err), &err);
        model_close(m);
        bench_weights_free(&w);
    }
    device_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(folders), cmocka_unit_test(rows),
                                       cmocka_unit_test(weights)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
