/* test_pretrain.c: twenty steps of full training against PyTorch (tests/oracle/train/
 * make_pretrain.py): loss and gradient norm of every step within 1e-4 relative, learning rates, and
 * the held-out loss at the end; each on every instruction set, in passes as large as can be and as
 * small as can be, which must agree bit for bit. And a corpus that can be learnt by heart is. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/json_fixture.h"
#include "../support/support.h"
#include "base/file.h"
#include "train/pretrain_step.h"

#define FOLDER "tests/oracle/train/pretrain"
enum { STEPS = 20, SEQUENCES = 4 };

struct bench {
    struct pretrain_options o;
    struct device *d;
    struct hf_config config;
    struct text_codec codec;
    struct corpus data, eval_data;
    struct pretrain p;
};

static void ok(int status, const struct err *err)
{
    if (status)
        fail_msg("%s: %s", err->where, err->message);
}

/* In file order: the deck is given instead of shuffled. */
static void in_file_order(struct deck *deck)
{
    for (size_t i = 0; i < deck->n; i++)
        deck->order[i] = (uint32_t)i;
    deck->epoch = 0;
}

static void bench_open(struct bench *b, const char *data, const char *isa, int max_rows)
{
    struct err err = {0};
    struct device_options how = {.isa = isa, .precision = PRECISION_F32, .threads = 2};
    ok(device_open(&b->d, &how, &err), &err);
    ok(hf_config_open(&b->config, FOLDER, NULL, 0, &err), &err);
    ok(text_codec_open(&b->codec, FOLDER, NULL, &b->config, &err), &err);
    struct corpus_rules rules = {.codec = &b->codec,
                                 .folder = FOLDER,
                                 .vocab_size = b->config.vocab_size,
                                 .completion_only = b->o.completion_only_loss};
    char path[200];
    snprintf(path, sizeof path, FOLDER "/%s.jsonl", data);
    ok(corpus_open(&b->data, path, &rules, &err), &err);
    ok(corpus_open(&b->eval_data, FOLDER "/eval.jsonl", &rules, &err), &err);
    ok(corpus_dealer_create(&b->p.dealer, &b->data, b->o.packing ? b->o.max_length : 0, 1, &err),
       &err);
    in_file_order(&b->p.dealer.deck);
    b->p.o = &b->o;
    b->p.max_steps = STEPS;
    b->p.warmup_steps = (int)b->o.optim.warmup_steps;
    struct pretrain_size size = {.max_context = 128, .max_rows = max_rows};
    ok(pretrain_open(&b->p, b->d, &b->config, &size, &err), &err);
}

static void bench_close(struct bench *b)
{
    pretrain_close(&b->p);
    corpus_close(&b->data);
    corpus_close(&b->eval_data);
    text_codec_close(&b->codec);
    device_close(b->d);
}

static struct pretrain_options options_of(const json_t *json)
{
    const char *schedule = json_string_value(json_object_get(json, "lr_scheduler_type"));
    struct pretrain_options o = {.init_model = FOLDER,
                                 .sequences_per_step = SEQUENCES,
                                 .max_length = 128,
                                 .optim.learning_rate = json_fixture_number(json, "learning_rate"),
                                 .optim.warmup_steps = json_fixture_number(json, "warmup_steps"),
                                 .optim.weight_decay = json_fixture_number(json, "weight_decay"),
                                 .optim.adam_beta1 = 0.9,
                                 .optim.adam_beta2 = json_fixture_number(json, "adam_beta2"),
                                 .optim.adam_epsilon = 1e-8,
                                 .optim.max_grad_norm = json_fixture_number(json, "max_grad_norm"),
                                 .completion_only_loss =
                                     json_is_true(json_object_get(json, "completion_only_loss")),
                                 .packing = json_is_true(json_object_get(json, "packing"))};
    while (strcmp(schedule_names[o.optim.lr_scheduler_type], schedule) != 0)
        o.optim.lr_scheduler_type++;
    if (json_object_get(json, "max_length"))
        o.max_length = (int)json_fixture_number(json, "max_length");
    return o;
}

static double worst; /* relative error seen, printed at the end */

static void close_to(double got, double want, const char *what, int step)
{
    double error = fabs(got - want) / fabs(want);
    worst = error > worst ? error : worst;
    if (!(error <= 1e-4))
        fail_msg("%s of step %d: %.9g, PyTorch %.9g", what, step, got, want);
}

struct course {
    double loss[STEPS], norm[STEPS], eval;
};

static void run_case(struct course *out, const char *name, const json_t *fixture, const char *isa,
                     int max_rows)
{
    const json_t *one = json_object_get(fixture, name);
    struct bench b = {.o = options_of(json_object_get(one, "options"))};
    struct err err = {0};
    bench_open(&b, json_string_value(json_object_get(one, "data")), isa,
               max_rows      ? max_rows
               : b.o.packing ? b.o.max_length
                             : 128);
    assert_int_equal(b.data.ids.count, (size_t)json_fixture_number(one, "tokens"));
    for (int s = 0; s < STEPS; s++) {
        const json_t *want = json_array_get(json_object_get(one, "steps"), (size_t)s);
        ok(pretrain_step(&b.p, s + 1, &err), &err);
        out->loss[s] = metrics_get(&b.p.metrics, "loss");
        out->norm[s] = metrics_get(&b.p.metrics, "grad_norm");
        close_to(out->loss[s], json_fixture_number(want, "loss"), "loss", s + 1);
        close_to(out->norm[s], json_fixture_number(want, "grad_norm"), "grad_norm", s + 1);
        double rate = json_fixture_number(want, "learning_rate");
        assert_true(fabs(metrics_get(&b.p.metrics, "learning_rate") - rate) <= 1e-15);
    }
    ok(pretrain_eval_loss(&b.p, &b.eval_data, &out->eval, &err), &err);
    close_to(out->eval, json_fixture_number(one, "eval_loss"), "eval_loss", STEPS);
    bench_close(&b);
}

static void like_pytorch(void **state)
{
    (void)state;
    static const char *const names[] = {"documents", "completions", "packing"};
    json_t *fixture = json_fixture("train/pretrain/expected.json");
    for (const char *const *isa = device_isa_names(); *isa; isa++) {
        if (!device_isa_available(*isa)) {
            print_message("not run here: %s\n", *isa);
            continue;
        }
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            struct course wide, narrow;
            worst = 0;
            run_case(&wide, names[i], fixture, *isa, 600);
            run_case(&narrow, names[i], fixture, *isa, 0);
            assert_memory_equal(&wide, &narrow, sizeof wide);
            print_message("%s, %s: worst relative error %.1e\n", *isa, names[i], worst);
        }
    }
    json_decref(fixture);
}

/* Four completions of one prompt each: once they are known, the loss is the entropy of which one it
 * is, log 4 over the completion's tokens and the turn's end. */
static void learns_by_heart(void **state)
{
    (void)state;
    static const char *const words[] = {"azul", "verde", "preto", "branco"};
    char *folder = temp_folder(), path[600];
    snprintf(path, sizeof path, "%s/data.jsonl", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 4; i++)
        fprintf(file, "{\"prompt\": \"Que cor?\", \"completion\": \"%s\"}\n", words[i]);
    fclose(file);
    struct bench b = {.o = {.sequences_per_step = 4,
                            .max_length = 64,
                            .initializer_range = 0.06,
                            .optim.learning_rate = 1e-2,
                            .optim.adam_beta1 = 0.9,
                            .optim.adam_beta2 = 0.95,
                            .optim.adam_epsilon = 1e-8,
                            .optim.max_grad_norm = 1,
                            .completion_only_loss = true}};
    struct err err = {0};
    bench_open(&b, "pairs", NULL, 128);
    struct corpus data;
    struct corpus_rules rules = {.codec = &b.codec,
                                 .folder = FOLDER,
                                 .vocab_size = b.config.vocab_size,
                                 .completion_only = true};
    ok(corpus_open(&data, path, &rules, &err), &err);
    corpus_dealer_free(&b.p.dealer);
    ok(corpus_dealer_create(&b.p.dealer, &data, 0, 1, &err), &err);
    long counted = 0;
    for (size_t i = 0; i < data.count; i++)
        counted += data.documents[i].tokens - data.documents[i].first_count;
    double entropy = 4 * log(4) / (double)counted, loss = 0, first = 0;
    for (int step = 1; step <= 200; step++) {
        ok(pretrain_step(&b.p, step, &err), &err);
        loss = metrics_get(&b.p.metrics, "loss");
        first = step == 1 ? loss : first;
    }
    print_message("loss %.4f, then %.5f; entropy %.5f\n", first, loss, entropy);
    assert_true(first > 5);
    assert_true(loss > entropy * 0.98 && loss < entropy * 1.02);
    corpus_close(&data);
    bench_close(&b);
    temp_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(like_pytorch),
                                       cmocka_unit_test(learns_by_heart)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
