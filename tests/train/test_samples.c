/* test_samples.c: samples.jsonl out and in: every field is there and reads back as it was; what is
 * wrong with a line is said with file, line and field; a run replayed from its own samples leaves
 * the same adapters, with log-probabilities and without. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "../support/train_run.h"
#include "base/json.h"
#include "base/log.h"
#include "train/samples.h"

/* --- a generation by hand: two groups of two, of a model without a tokenizer --- */

enum { GROUPS = 2, PER_GROUP = 2, MAX_NEW = 4, VOCAB = 50, MAX_PROMPT = 6 };

static const struct row rows[GROUPS] = {{.id = "first \"one\"", .task = "push", .user_text = ""},
                                        {.id = "second", .task = "", .user_text = ""}};

static void make_generation(struct generation *gen, struct reward_set *rewards)
{
    struct err err;
    json_t *list = json_pack("[s, {s:s, s:s, s:f, s:{s:i}}]", "push", "name", "length", "label",
                             "long", "weight", 0.5, "params", "target", 9);
    assert_int_equal(reward_set_create(rewards, list, "test", &err), 0);
    json_decref(list);
    assert_int_equal(generation_create(gen, GROUPS, PER_GROUP, MAX_NEW, rewards, &err), 0);
    gen->batch.count = GROUPS;
    gen->first_step = 3;
    for (int g = 0; g < GROUPS; g++) {
        struct episode_group *group = &gen->batch.groups[g];
        group->row = &rows[g];
        group->n = PER_GROUP;
        for (int i = 0; i <= 2 + g; i++)
            assert_int_equal(ids_push(&group->prompt, 10 * g + i), 0);
    }
    for (int i = 0; i < GROUPS * PER_GROUP; i++) {
        struct episode_sample *s = generation_sample(gen, i);
        s->completion.length = 1 + i % MAX_NEW;
        s->completion.stop = i == 1 ? STOP_EOS : STOP_LENGTH;
        for (int t = 0; t < s->completion.length; t++) {
            s->completion.ids[t] = (7 * i + t) % VOCAB;
            gen->old[generation_token(gen, i) + (size_t)t] = -1.0f / (float)(3 + i + t);
        }
        str_puts(&s->text, "Olá! \"Oferta\"\nem 50% de desconto");
        struct slice alone = {str_text(&s->text), s->text.length};
        episode_score(rewards, &rows[i / PER_GROUP], &alone, 1, 0, &s->scored);
        gen->reward[i] = 0.1 * (i + 1);
        gen->valid[i] = i != 2;
        gen->failed[i] = i == 2;
        gen->advantage[i] = 0.3f * (float)(i - 1);
    }
}

static void write_generation(const char *path, const struct generation *gen,
                             const struct reward_set *rewards)
{
    struct str text = {0};
    for (int i = 0; i < GROUPS * PER_GROUP; i++) {
        samples_write(&text, gen, i, rewards);
        str_putc(&text, '\n');
    }
    assert_false(text.failed);
    write_text(path, str_text(&text));
    str_free(&text);
}

static void every_field_is_written(void **state)
{
    (void)state;
    static const char *const fields[] = {
        "step",     "task",        "prompt_id",  "sample", "prompt_ids", "ids",           "text",
        "logprobs", "stop_reason", "components", "reward", "advantage",  "policy_version"};
    enum { FIELDS = sizeof fields / sizeof *fields };
    char *folder = temp_folder();
    const char *path = in_folder(folder, "samples.jsonl");
    struct generation gen;
    struct reward_set rewards;
    make_generation(&gen, &rewards);
    write_generation(path, &gen, &rewards);
    for (int i = 0; i < GROUPS * PER_GROUP; i++) {
        json_t *line = json_line(path, i), *value;
        const char *key;
        size_t n = 0;
        json_object_foreach(line, key, value)
        {
            (void)value;
            assert_true(n < FIELDS);
            assert_string_equal(key, fields[n++]);
        }
        assert_int_equal(n, FIELDS);
        assert_int_equal(json_integer_value(json_object_get(line, "step")), 3);
        assert_int_equal(json_integer_value(json_object_get(line, "policy_version")), 2);
        assert_int_equal(json_integer_value(json_object_get(line, "sample")), i % PER_GROUP);
        assert_string_equal(json_string_value(json_object_get(line, "prompt_id")),
                            rows[i / PER_GROUP].id);
        assert_string_equal(json_string_value(json_object_get(line, "task")),
                            rows[i / PER_GROUP].task);
        assert_string_equal(json_string_value(json_object_get(line, "stop_reason")),
                            i == 1 ? "eos" : "length");
        assert_string_equal(json_string_value(json_object_get(line, "text")),
                            "Olá! \"Oferta\"\nem 50% de desconto");
        value = json_object_get(line, "reward");
        assert_true(i == 2 ? json_is_null(value) : json_number_value(value) == 0.1 * (i + 1));
        assert_true((float)json_number_value(json_object_get(line, "advantage")) ==
                    0.3f * (float)(i - 1));
        value = json_object_get(line, "components");
        assert_true(json_is_number(json_object_get(value, "push")));
        assert_true(json_is_number(json_object_get(value, "long")));
        assert_true(json_is_number(json_object_get(value, "long/length")));
        json_decref(line);
    }
    generation_free(&gen);
    reward_set_free(&rewards);
    temp_folder_remove(folder);
}

/* What the console shows: all of it on one line, with what a model may write made harmless. */
static void a_sample_for_people(void **state)
{
    (void)state;
    struct generation gen;
    struct reward_set rewards;
    struct str text = {0};
    make_generation(&gen, &rewards);
    struct episode_sample *s = generation_sample(&gen, 0);
    str_clear(&s->text);
    str_puts(&s->text, "one\x1b[31m\ntwo\x07 \xe2\x80\xae");
    for (int i = 0; i < 400; i++)
        str_putc(&s->text, 'z');
    s->scored.values[0] = 0.25;
    s->scored.values[1] = NAN;
    gen.overlong_cache = 4;
    samples_show(&text, &gen, 0, &rewards);
    static const char *const parts[] = {"sample (step 3, push, first \"one\"): reward 0.100 = ",
                                        "push 0.250 (",
                                        "length 0.75, one_line 0.38, ",
                                        " + 0.5 × long failed",
                                        " + soft_overlong -0.250: one",
                                        "zzz"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(str_text(&text), parts[i]))
            fail_msg("\"%s\" is not in: %s", parts[i], str_text(&text));
    for (size_t i = 0; i < text.length; i++)
        assert_true((unsigned char)text.data[i] >= 0x20 && text.data[i] != 0x7f);
    assert_null(strstr(str_text(&text), "\xe2\x80\xae"));
    assert_true(text.length < 700); /* cut */
    str_clear(&text);
    samples_show(&text, &gen, 2, NULL); /* no task, no rewards, a failed reward */
    assert_non_null(strstr(str_text(&text), "sample (step 3, second): reward failed: Olá!"));
    str_free(&text);
    generation_free(&gen);
    reward_set_free(&rewards);
}

/* Reads and loads one step; the limits are those of the generation above. */
static int load(const char *path, long step, struct generation *gen, struct err *err)
{
    struct replay r;
    struct text_codec codec = {.eos = {8}, .n_eos = 1};
    struct episode e = {.codec = &codec};
    struct replay_limits limits = {.vocab_size = VOCAB, .max_prompt_tokens = MAX_PROMPT};
    int status = replay_open(&r, path, 0, err);
    if (status)
        return status;
    status = replay_load(&r, step, &e, NULL, &limits, gen, err);
    for (int g = 0; !status && g < gen->batch.count; g++)
        assert_non_null(gen->batch.groups[g].row);
    replay_close(&r);
    return status;
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    char *folder = temp_folder();
    const char *path = in_folder(folder, "samples.jsonl");
    struct generation gen, back;
    struct reward_set rewards;
    struct err err;
    make_generation(&gen, &rewards);
    write_generation(path, &gen, &rewards);
    assert_int_equal(generation_create(&back, GROUPS, PER_GROUP, MAX_NEW, NULL, &err), 0);
    assert_int_equal(load(path, 3, &back, &err), 0);
    assert_int_equal(back.batch.count, GROUPS);
    assert_int_equal(back.first_step, 3);
    assert_true(back.has_old);
    for (int g = 0; g < GROUPS; g++) {
        const struct ids *a = &gen.batch.groups[g].prompt, *b = &back.batch.groups[g].prompt;
        assert_int_equal(a->count, b->count);
        assert_memory_equal(a->data, b->data, a->count * sizeof *a->data);
    }
    for (int i = 0; i < GROUPS * PER_GROUP; i++) {
        const struct completion *a = &generation_sample(&gen, i)->completion,
                                *b = &generation_sample(&back, i)->completion;
        size_t at = generation_token(&gen, i), n = (size_t)a->length;
        assert_int_equal(a->length, b->length);
        assert_memory_equal(a->ids, b->ids, n * sizeof *a->ids);
        assert_memory_equal(gen.old + at, back.old + at, n * sizeof *gen.old);
        assert_int_equal(b->stop, b->ids[n - 1] == 8 ? STOP_EOS : STOP_LENGTH);
        assert_int_equal(back.valid[i], gen.valid[i]);
        assert_true(!gen.valid[i] || back.reward[i] == gen.reward[i]);
    }
    generation_free(&gen);
    generation_free(&back);
    reward_set_free(&rewards);
    temp_folder_remove(folder);
}

/* Under truncated sampling the second log-probabilities stand beside the first; a stop string is
 * read back, anything else is seen from the ids. */
static void truncation_and_stop_strings(void **state)
{
    (void)state;
    char *folder = temp_folder();
    const char *path = in_folder(folder, "samples.jsonl");
    struct generation gen, back;
    struct reward_set rewards;
    struct err err;
    make_generation(&gen, &rewards);
    gen.batch.warped = true;
    for (int i = 0; i < GROUPS * PER_GROUP; i++) {
        struct completion *c = &generation_sample(&gen, i)->completion;
        c->stop = i == 0 ? STOP_LENGTH : STOP_STRING; /* that of 1 is an EOS by its id */
        for (int t = 0; t < c->length; t++)
            c->sampling_logprobs[t] = -1.0f / (float)(7 + i + t);
    }
    write_generation(path, &gen, &rewards);
    for (int i = 0; i < GROUPS * PER_GROUP; i++) {
        json_t *line = json_line(path, i);
        const json_t *list = json_object_get(line, "sampling_logprobs");
        const struct completion *c = &generation_sample(&gen, i)->completion;
        assert_int_equal(json_array_size(list), c->length);
        for (int t = 0; t < c->length; t++)
            assert_true((float)json_number_value(json_array_get(list, (size_t)t)) ==
                        c->sampling_logprobs[t]);
        assert_string_equal(json_string_value(json_object_get(line, "stop_reason")),
                            i ? "stop" : "length");
        json_decref(line);
    }
    assert_int_equal(generation_create(&back, GROUPS, PER_GROUP, MAX_NEW, NULL, &err), 0);
    back.batch.warped = true;
    assert_int_equal(load(path, 3, &back, &err), 0);
    assert_false(back.batch.warped);
    for (int i = 0; i < GROUPS * PER_GROUP; i++) {
        const struct completion *c = &generation_sample(&back, i)->completion;
        assert_int_equal(c->stop, c->ids[c->length - 1] == 8 ? STOP_EOS
                                  : i                        ? STOP_STRING
                                                             : STOP_LENGTH);
    }
    generation_free(&gen);
    generation_free(&back);
    reward_set_free(&rewards);
    temp_folder_remove(folder);
}

/* --- lines --- */

static int load_text(const char *text, long step, struct generation *gen, struct err *err)
{
    char *folder = temp_folder();
    int status = load(write_text(in_folder(folder, "file.jsonl"), text), step, gen, err);
    temp_folder_remove(folder);
    return status;
}

#define GOOD                                                                                       \
    "{\"step\": 1, \"prompt_id\": \"a\", \"prompt_ids\": [1, 2], \"ids\": [3], \"reward\": 1}\n"
#define PAIR GOOD GOOD

static void lines_are_lenient_where_they_may_be(void **state)
{
    (void)state;
    struct generation gen;
    struct err err;
    assert_int_equal(generation_create(&gen, GROUPS, PER_GROUP, MAX_NEW, NULL, &err), 0);
    /* Numbers as names; a failed reward; no log-probabilities, and null ones; the same prompt twice
     * in a step; lines of other steps between. */
    static const char text[] =
        "{\"step\": 1, \"prompt_id\": 17, \"task\": 4, \"prompt_ids\": [1], \"ids\": [3], "
        "\"reward\": null}\n\n"
        "{\"step\": 2, \"prompt_id\": 17, \"prompt_ids\": [1], \"ids\": [3], \"reward\": 0}\r\n"
        "{\"step\": 1, \"prompt_id\": \"17\", \"prompt_ids\": [1], \"ids\": [3, 4], \"reward\": "
        "-2.5, \"logprobs\": null}\n"
        "{\"step\": 1, \"prompt_id\": 17, \"prompt_ids\": [1], \"ids\": [8], \"reward\": 7}\n"
        "{\"step\": 1, \"prompt_id\": 17, \"prompt_ids\": [1], \"ids\": [3], \"reward\": 1}";
    if (load_text(text, 1, &gen, &err))
        fail_msg("%s: %s", err.where, err.message);
    assert_int_equal(gen.batch.count, 2);
    assert_false(gen.has_old);
    assert_false(gen.valid[0]);
    assert_true(gen.valid[1] && gen.reward[1] == -2.5);
    assert_int_equal(generation_sample(&gen, 2)->completion.stop, STOP_EOS);
    /* Log-probabilities of some completions are not those of the step. */
    static const char with[] =
        "{\"step\": 1, \"prompt_id\": \"a\", \"prompt_ids\": [1, 2], \"ids\": [3], \"reward\": 1, "
        "\"logprobs\": [-0.5]}\n";
    char mixed[600];
    snprintf(mixed, sizeof mixed, "%s%s", GOOD, with);
    assert_int_equal(load_text(mixed, 1, &gen, &err), 0);
    assert_false(gen.has_old);
    snprintf(mixed, sizeof mixed, "%s%s", with, with);
    assert_int_equal(load_text(mixed, 1, &gen, &err), 0);
    assert_true(gen.has_old);
    assert_true(gen.old[0] == -0.5f);
    generation_free(&gen);
}

static void every_bad_line_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place, *what;
    } cases[] = {
        {PAIR "{\"step\": 1,\n", "file.jsonl", "line 3"},
        {PAIR "[1]\n", "file.jsonl", "line 3"},
        {PAIR "{\"prompt_id\": \"a\", \"ids\": [3], \"reward\": 1}\n", "line 3", "\"step\""},
        {PAIR "{\"step\": 0, \"prompt_id\": \"a\", \"ids\": [3], \"reward\": 1}\n", "line 3",
         "count from 1"},
        {PAIR "{\"step\": \"1\", \"prompt_id\": \"a\", \"ids\": [3], \"reward\": 1}\n", "line 3",
         "\"step\" is a string"},
        {PAIR "{\"step\": 1, \"ids\": [3], \"reward\": 1}\n", "line 3", "\"prompt_id\""},
        {PAIR "{\"step\": 1, \"prompt_id\": [], \"ids\": [3], \"reward\": 1}\n", "line 3",
         "\"prompt_id\""},
        {PAIR "{\"step\": 1, \"prompt_id\": \"a\", \"reward\": 1}\n", "line 3", "\"ids\""},
        {PAIR "{\"step\": 1, \"prompt_id\": \"a\", \"ids\": [], \"reward\": 1}\n", "line 3",
         "\"ids\""},
        {PAIR "{\"step\": 1, \"prompt_id\": \"a\", \"ids\": [3, -1], \"reward\": 1}\n", "line 3",
         "position 1"},
        {PAIR "{\"step\": 1, \"prompt_id\": \"a\", \"ids\": [3.5], \"reward\": 1}\n", "line 3",
         "\"ids\""},
        {PAIR "{\"step\": 1, \"prompt_id\": \"a\", \"ids\": [3]}\n", "line 3", "\"reward\""},
        {PAIR "{\"step\": 1, \"prompt_id\": \"a\", \"ids\": [3], \"reward\": \"1\"}\n", "line 3",
         "\"reward\" is a string"},
        {PAIR "{\"step\": 1, \"prompt_id\": \"a\", \"ids\": [3], \"reward\": 1, \"logprobs\": "
              "[-1, -1]}\n",
         "line 3", "\"logprobs\""},
        {PAIR "{\"step\": 1, \"prompt_id\": \"a\", \"ids\": [3], \"reward\": 1, \"logprobs\": "
              "[0.5]}\n",
         "line 3", "\"logprobs\""},
        {PAIR "{\"step\": 1, \"prompt_id\": \"a\", \"ids\": [3], \"reward\": 1, \"prompt_ids\": "
              "[\"x\"]}\n",
         "line 3", "\"prompt_ids\""},
        {"", "file.jsonl", "no completion"},
        {"\n\n", "file.jsonl", "no completion"},
        /* what one line alone cannot say */
        {"{\"step\": 2, \"prompt_id\": \"a\", \"ids\": [3], \"reward\": 1}\n", "file.jsonl",
         "no completions of step 1"},
        {PAIR GOOD, "line 3", "1 completions of its prompt, num_generations is 2"},
        {GOOD "{\"step\": 1, \"prompt_id\": \"b\", \"prompt_ids\": [1], \"ids\": [3], \"reward\": "
              "1}\n",
         "line 1", "1 completions"},
        {PAIR PAIR GOOD, "line 5", "group 3 of its step, prompts_per_step is 2"},
        {GOOD "{\"step\": 1, \"prompt_id\": \"a\", \"ids\": [50], \"reward\": 1}\n", "line 2",
         "\"ids\" has id 50, the model's vocabulary ends at 49"},
        {"{\"step\": 1, \"prompt_id\": \"a\", \"prompt_ids\": [1, 50], \"ids\": [3], \"reward\": "
         "1}\n",
         "line 1", "\"prompt_ids\" has id 50, the model's vocabulary ends at 49"},
        {GOOD "{\"step\": 1, \"prompt_id\": \"a\", \"ids\": [1,1,1,1,1], \"reward\": 1}\n",
         "line 2", "5 ids, max_completion_length is 4"},
        {"{\"step\": 1, \"prompt_id\": \"a\", \"prompt_ids\": [1,1,1,1,1,1,1], \"ids\": [3], "
         "\"reward\": 1}\n",
         "line 1", "prompt of 7 tokens, room was made for 6"},
        {"{\"step\": 1, \"prompt_id\": \"a\", \"ids\": [3], \"reward\": 1}\n", "line 1",
         "no \"prompt_ids\""},
    };
    struct generation gen;
    struct err err;
    assert_int_equal(generation_create(&gen, GROUPS, PER_GROUP, MAX_NEW, NULL, &err), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_error(load_text(cases[i].text, 1, &gen, &err), ERR_INPUT, &err, cases[i].place,
                     cases[i].what, "file.jsonl", NULL);
    assert_int_equal(load_text(PAIR, 1, &gen, &err), 0);
    generation_free(&gen);
}

/* --- a run from its own samples --- */

static void replay_of(const char *folder, const char *path, const char *run, const char *samples,
                      const char *name)
{
    char again[600], label[100];
    snprintf(again, sizeof again, "%s/%s", folder, name);
    train_ok(&(struct train_run){.recipe = path, .run = again, .replay = samples});
    for (int step = 1; step <= 4; step++) {
        snprintf(label, sizeof label, "replay %s, step %d", name, step);
        same_bytes(in_folder(run, "checkpoints/step-%d/adapter_model.safetensors", step),
                   in_folder(again, "checkpoints/step-%d/adapter_model.safetensors", step), label);
        same_bytes(in_folder(run, "checkpoints/step-%d/optimizer.safetensors", step),
                   in_folder(again, "checkpoints/step-%d/optimizer.safetensors", step), label);
        static const char *const metrics[] = {"reward", "loss", "grad_norm", "entropy",
                                              "completions/mean_length"};
        for (size_t m = 0; m < sizeof metrics / sizeof *metrics; m++)
            if (metric_at(run, step, metrics[m]) != metric_at(again, step, metrics[m]))
                fail_msg("%s: %s differs", label, metrics[m]);
    }
}

static void a_run_replays_itself(void **state)
{
    (void)state;
    char *folder = temp_folder(), path[600], run[600], samples[700], bare[700];
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    snprintf(run, sizeof run, "%s/run", folder);
    snprintf(samples, sizeof samples, "%s/samples.jsonl", run);
    snprintf(bare, sizeof bare, "%s/bare.jsonl", folder);
    write_text(path, TRAIN_RECIPE "max_steps: 4\nsave_steps: 1\nbeta: 0.05\n");
    train_ok(&(struct train_run){.recipe = path, .run = run});
    replay_of(folder, path, run, samples, "with-logprobs");
    /* On-policy, the first step's own log-probabilities are the old ones. */
    shell("sed 's/\"logprobs\": \\[[^]]*\\], //' '%s' > '%s'", samples, bare);
    shell("! grep -q logprobs '%s'", bare);
    replay_of(folder, path, run, bare, "without-logprobs");
    /* Prompts by their row's name alone. */
    shell("sed 's/\"prompt_ids\": \\[[^]]*\\], //' '%s' > '%s'", samples, bare);
    shell("! grep -q prompt_ids '%s'", bare);
    replay_of(folder, path, run, bare, "by-name");
    temp_folder_remove(folder);
}

/* Sizes come from the file where the recipe is silent. */
static void a_replay_brings_its_sizes(void **state)
{
    (void)state;
    char *folder = temp_folder(), path[600], small[600], run[600], samples[700];
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    snprintf(small, sizeof small, "%s/small.yaml", folder);
    snprintf(run, sizeof run, "%s/run", folder);
    snprintf(samples, sizeof samples, "%s/samples.jsonl", run);
    write_text(path, TRAIN_RECIPE "max_steps: 3\nnum_iterations: 2\nlr_scheduler_type: constant\n");
    write_text(small, "model: tests/demo/model\nlora: {r: 4, lora_alpha: 8}\n"
                      "learning_rate: 2e-3\nprecision: f32\nnum_iterations: 2\n"
                      "lr_scheduler_type: constant\nmax_completion_length: 5\nsave_steps: 1\n");
    train_ok(&(struct train_run){.recipe = path, .run = run});
    /* Steps 1 and 3 are in the file, the last counts twice. */
    struct trainer_result result = train_ok(
        &(struct train_run){.recipe = small, .run = in_folder(folder, "again"), .replay = samples});
    assert_int_equal(result.steps, 4);
    same_bytes(in_folder(run, "checkpoints/step-3/adapter_model.safetensors"),
               in_folder(folder, "again/checkpoints/step-3/adapter_model.safetensors"), "sizes");
    temp_folder_remove(folder);
}

int main(void)
{
    log_set_quiet(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_written),
        cmocka_unit_test(a_sample_for_people),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(truncation_and_stop_strings),
        cmocka_unit_test(lines_are_lenient_where_they_may_be),
        cmocka_unit_test(every_bad_line_is_named),
        cmocka_unit_test(a_run_replays_itself),
        cmocka_unit_test(a_replay_brings_its_sizes),
    };
    return cmocka_run_group_tests_name("samples", tests, NULL, NULL);
}
