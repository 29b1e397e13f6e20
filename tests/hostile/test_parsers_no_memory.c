/* test_parsers_no_memory.c: every parser of a file from outside, in one table: its n-th allocation
 * fails, for each n below EACH and then for some: ERR_MACHINE that speaks of memory, nothing given
 * back, nothing left. What jansson cannot bear to lose it gets all the same (base/json.h), so a
 * failure may be survived, but only by giving the whole result.
 *
 * Rooms test theirs besides, with what they do with it: base (json, yaml, map, file), jsonl, rows,
 * splits, the evaluation's file, rewards (json_repair, SQL), schemas' rewards, the trainer's own
 * files (train/test_no_memory: run.json, state.json, samples.jsonl). */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "../support/train_run.h"
#include "base/json.h"
#include "base/mem.h"
#include "data/rows.h"
#include "episode/episode.h"
#include "eval/eval.h"
#include "formats/hf_config.h"
#include "formats/jsonl.h"
#include "formats/peft.h"
#include "formats/safetensors.h"
#include "reward/reward.h"
#include "reward/schema.h"
#include "tokenizer/jinja.h"
#include "tokenizer/tokenizer.h"
#include "train/stop_rules.h"
#include "train/dealer.h"
#include "train/pretrain_corpus.h"
#include "train/pretrain_export.h"
#include "train/pretrain_options.h"
#include "train/samples.h"

enum { EACH = 300 };
#define TINY "tests/oracle/train/pretrain"
#define CHATS "tests/oracle/chat/templates/"
#define SEEDS "tests/fuzz/seeds/"

static char *folder; /* of files made here */
static struct text_codec codec;
static struct str bytes; /* of the file, for parsers that take bytes */
/* What a parser that may survive made of it, and what it should be. */
static struct str told, expected;

static void tell(struct str *text)
{
    str_free(&told);
    told = *text;
}

static int give_json(const char *path, struct err *err)
{
    json_t *value = json_read(str_text(&bytes), bytes.length, JSON_UNIQUE_KEYS, path, err);
    json_decref(value);
    return value ? ERR_NONE : (int)err->code;
}

static int give_yaml(const char *path, struct err *err)
{
    struct yaml_node root = {0};
    int status = yaml_parse(&root, str_text(&bytes), bytes.length, path, err);
    if (!status)
        yaml_free(&root);
    return status;
}

static int give_lines(const char *path, struct err *err)
{
    struct jsonl_reader r;
    json_t *value = NULL;
    int got = 1, status = jsonl_open(&r, path, err);
    if (status)
        return status;
    while (got == 1) {
        got = jsonl_next(&r, &value, err);
        json_decref(value);
        value = NULL;
    }
    jsonl_close(&r);
    return got == 0 ? ERR_NONE : (int)err->code;
}

static int give_tensors(const char *path, struct err *err)
{
    struct tensor_set set = {0};
    int status = safetensors_open(&set, path, err);
    tensor_set_close(&set);
    return status;
}

static int give_tensor_folder(const char *path, struct err *err)
{
    struct tensor_set set = {0};
    int status = safetensors_open_folder(&set, path, err);
    tensor_set_close(&set);
    return status;
}

static int give_config(const char *path, struct err *err)
{
    struct hf_config config;
    char ignored[400];
    return hf_config_open(&config, path, ignored, sizeof ignored, err);
}

static int give_peft(const char *path, struct err *err)
{
    struct peft_config config;
    struct tensor_set set = {0};
    int status = peft_open(&config, &set, path, err);
    tensor_set_close(&set);
    return status;
}

static int give_tokenizer(const char *path, struct err *err)
{
    tokenizer *t;
    static const char text[] = " Olá <x>\n12";
    struct ids ids = {0};
    struct str back = {0};
    int status = tokenizer_open(&t, path, err);
    if (status)
        assert_null(t);
    if (!status)
        status = tokenizer_encode(t, &ids, text, sizeof text - 1, true, err);
    if (!status)
        status = tokenizer_decode(t, &back, ids.data, ids.count, false, err);
    ids_free(&ids);
    str_free(&back);
    tokenizer_free(t);
    return status;
}

static int give_template(const char *path, struct err *err)
{
    jinja *t = NULL;
    int status = jinja_parse(&t, str_text(&bytes), bytes.length, path, err);
    if (status)
        assert_null(t);
    jinja_free(t);
    return status;
}

static int give_chat(const char *path, struct err *err)
{
    chat_template *t = NULL;
    struct str out = {0};
    struct chat_message m[] = {
        {"user", "Oi  tudo", 8, NULL}, {"assistant", "a\nb", 3, NULL}, {"user", "x", 1, NULL}};
    struct chat_options options = {.template = strchr(path, '/') ? NULL : path};
    int status = chat_template_open(&t, strchr(path, '/') ? path : TINY, &options, err);
    if (!status)
        status = chat_render(&out, t, m, 3, true, err);
    chat_template_free(t);
    tell(&out);
    return status;
}

static int give_codec(const char *path, struct err *err)
{
    struct text_codec c = {0};
    struct hf_config config;
    int status = hf_config_open(&config, path, NULL, 0, err);
    if (!status)
        status = text_codec_open(&c, path, NULL, &config, err);
    if (!status)
        text_codec_close(&c);
    return status;
}

static int give_recipe(const char *path, struct err *err)
{
    recipe *r = NULL;
    struct train_options o;
    struct train_chat chat = {0};
    struct task_weights weights;
    struct stop_rules rules = {0};
    struct peft_config lora;
    const char *const set[] = {"lora.r=3", "stop_strings=[a, b]"};
    int status = train_recipe_load(&r, &o, path, set, 2, false, err);
    if (!status)
        status = train_chat_options(&chat, r, &o, err);
    if (!status)
        status = task_weights_read(&weights, o.task_weights, "task_weights", err);
    if (!status)
        status = stop_rules_read(&rules, o.stop_rules, "stop_rules", err);
    stop_rules_free(&rules);
    if (!status)
        status = train_peft_config(&lora, &o, err);
    train_chat_free(&chat);
    recipe_free(r);
    return status;
}

static int give_pretrain_recipe(const char *path, struct err *err)
{
    recipe *r = NULL;
    struct pretrain_options o;
    const char *const set[] = {"packing=true"};
    int status = pretrain_recipe_load(&r, &o, path, set, 1, err);
    recipe_free(r);
    return status;
}

static int give_schema(const char *path, struct err *err)
{
    struct schema s = {0};
    int status = schema_read_file(&s, path, err);
    schema_free(&s);
    return status;
}

static int give_reward(const char *name, struct err *err)
{
    reward *r = NULL;
    int status = reward_create(&r, name, NULL, err);
    reward_free(r);
    return status;
}

static int give_rows(const char *path, struct err *err)
{
    struct dataset d = {0};
    int status = dataset_open(&d, path, err);
    if (!status)
        dataset_close(&d);
    return status;
}

static int give_corpus(const char *path, struct err *err)
{
    struct corpus c = {0};
    struct corpus_rules rules = {
        .codec = &codec, .folder = TINY, .vocab_size = 320, .completion_only = true};
    int status = corpus_open(&c, path, &rules, err);
    if (!status) {
        struct str ids = {0};
        str_append(&ids, c.ids.data, c.ids.count * sizeof *c.ids.data);
        tell(&ids);
        corpus_close(&c);
    }
    return status;
}

static int give_replay(const char *path, struct err *err)
{
    struct replay r = {0};
    int status = replay_open(&r, path, 0, err);
    if (!status)
        replay_close(&r);
    return status;
}

static int give_curve(const char *path, struct err *err)
{
    struct curve c = {0};
    int status = curve_read(&c, path, err);
    if (!status)
        curve_free(&c);
    return status;
}

/* A path without a "/" that is no name lies in the folder made here. */
static const struct parser {
    const char *name, *from;
    int (*give)(const char *path, struct err *err);
    bool made, survives; /* survives: some failures, see above */
} parsers[] = {
    {"JSON", TINY "/expected.json", give_json, false, false},
    {"YAML", "recipes/demo.yaml", give_yaml, false, false},
    {"JSONL", TINY "/pairs.jsonl", give_lines, false, false},
    {"safetensors", TINY "/model.safetensors", give_tensors, false, false},
    {"safetensors in shards", "shards", give_tensor_folder, true, false},
    {"config.json", "tests/oracle/model/qwen3_tied", give_config, false, false},
    {"config.json with rope scaling", "tests/oracle/model/llama3_rslora", give_config, false,
     false},
    {"PEFT", "tests/oracle/model/llama3_rslora/adapter", give_peft, false, false},
    {"tokenizer.json, tiny", TINY "/tokenizer.json", give_tokenizer, false, false},
    {"tokenizer.json, gpt2", "tests/oracle/tokenizer/gpt2.json", give_tokenizer, false, false},
    {"tokenizer.json, qwen", "tests/oracle/tokenizer/qwen.json", give_tokenizer, false, false},
    {"tokenizer.json, llama3", "tests/oracle/tokenizer/llama3.json", give_tokenizer, false, false},
    {"tokenizer.json, stripping", "tests/oracle/tokenizer/stripping.json", give_tokenizer, false,
     false},
    {"tokenizer.json, unknown", "tests/oracle/tokenizer/unknown.json", give_tokenizer, false,
     false},
    {"tokenizer.json, bert", SEEDS "tokenizer/bert", give_tokenizer, false, false},
    {"tokenizer.json, llama", SEEDS "tokenizer/llama", give_tokenizer, false, false},
    {"tokenizer.json, metaspace", SEEDS "tokenizer/metaspace", give_tokenizer, false, false},
    {"tokenizer.json, small", SEEDS "tokenizer/small", give_tokenizer, false, false},
    {"tokenizer.json, digits", SEEDS "tokenizer/digits", give_tokenizer, false, false},
    {"jinja, everything", CHATS "everything.jinja", give_template, false, false},
    {"jinja, deepseek", CHATS "deepseek_style.jinja", give_template, false, false},
    {"jinja, gemma", CHATS "gemma_style.jinja", give_template, false, false},
    {"jinja, llama 3.1", CHATS "llama31_style.jinja", give_template, false, false},
    {"jinja, mistral", CHATS "mistral_style.jinja", give_template, false, false},
    {"jinja, qwen 2.5", CHATS "qwen25_style.jinja", give_template, false, false},
    {"jinja, zephyr", CHATS "zephyr_style.jinja", give_template, false, false},
    {"chat template of a folder", TINY, give_chat, false, true},
    {"chat template by name", "llama3", give_chat, false, true},
    {"tokenizer, template and EOS", TINY, give_codec, false, true},
    {"recipe", "recipe.yaml", give_recipe, true, true},
    {"recipe of pretraining", "pretrain.yaml", give_pretrain_recipe, true, false},
    {"schema", "schemas/review_extraction.json", give_schema, false, false},
    {"reward extraction", "extraction", give_reward, false, false},
    {"reward insights", "insights", give_reward, false, false},
    {"reward sql_valid", "sql_valid", give_reward, false, false},
    {"reward push", "push", give_reward, false, false},
    {"rows", "rows.jsonl", give_rows, true, false},
    {"corpus", TINY "/pairs.jsonl", give_corpus, false, true},
    {"samples.jsonl", "samples.jsonl", give_replay, true, false},
    {"learning curve", "run", give_curve, true, false},
};

static void make_files(void)
{
    write_text(in_folder(folder, "recipe.yaml"),
               "model: m\ndata: d\neval_data: e\neval_steps: 2\nmax_steps: 10\n"
               "rewards: [{name: length, params: {target: 3}}, push]\n"
               "lora: {r: 2, target_modules: [q_proj, down_proj]}\n"
               "task_weights: {a: 1, b: 2.5}\nsystem_prompt: {a: Oi, b: Olá}\n"
               "chat_template_kwargs: {enable_thinking: false, n: [1, {x: y}]}\n"
               "lr_scheduler_type: cosine_with_min_lr\nlr_scheduler_kwargs: {min_lr_rate: 0.1}\n"
               "advantage: gdpo\ntask_sampler: mtgrpo\ntask_sampler_kwargs: {lambda: 1}\n"
               "stop_rules: [{rule: below, metric: reward, value: 0.1}, {rule: overfitting}]\n");
    write_text(in_folder(folder, "pretrain.yaml"),
               "config: c\ntokenizer: t\ndata: d\nmax_steps: 3\n"
               "lr_scheduler_type: cosine_with_min_lr\nlr_scheduler_kwargs: {min_lr_rate: 0.1}\n");
    write_text(in_folder(folder, "rows.jsonl"),
               "{\"id\": \"1\", \"task\": \"a\", \"prompt\": [{\"role\": \"system\", \"content\": "
               "\"s\"}, {\"role\": \"user\", \"content\": \"Olá\"}], \"reference\": {\"x\": [1]}}\n"
               "{\"prompt\": \"texto\"}\n{\"id\": \"3\", \"prompt\": [{\"role\": \"user\", "
               "\"content\": \"b\"}]}\n");
    write_text(in_folder(folder, "samples.jsonl"),
               "{\"step\": 1, \"prompt_id\": \"p\", \"prompt_ids\": [1, 2], \"ids\": [3, 4], "
               "\"logprobs\": [-0.5, -1], \"reward\": 1, \"task\": \"a\", \"slice\": 0, "
               "\"components\": {\"x\": 1, \"x/y\": 0.5, \"z\": null}}\n"
               "{\"step\": 1, \"prompt_id\": \"p\", \"prompt_ids\": [1, 2], \"ids\": [5], "
               "\"logprobs\": [-2], \"reward\": 0.5, \"task\": \"a\", \"slice\": 0}\n");
    shell("mkdir '%s/run' '%s/shards'", folder, folder);
    write_text(in_folder(folder, "run/metrics.jsonl"),
               "{\"step\": 0, \"eval_loss\": 3}\n{\"step\": 1, \"loss\": 2}\n"
               "{\"step\": 2, \"loss\": 1.5, \"eval_loss\": 2}\n");
    write_text(in_folder(folder, "shards/model.safetensors.index.json"),
               "{\"metadata\": {}, \"weight_map\": {\"a\": \"one.safetensors\", "
               "\"b\": \"one.safetensors\"}}");
    shell("cp " SEEDS "safetensors/two '%s/shards/one.safetensors'", folder);
}

/* Whether there was an n-th allocation. */
static bool try_without(const struct parser *p, const char *path, long n)
{
    struct err err = {0};
    struct mem_stats before = mem_stats();
    mem_fail_after(n);
    int status = p->give(path, &err);
    mem_fail_after(-1);
    if (!status && (told.length != expected.length ||
                    memcmp(str_text(&told), str_text(&expected), told.length) != 0))
        fail_msg("%s, allocation %ld: another result: %s", p->name, n, str_text(&told));
    str_free(&told);
    struct mem_stats after = mem_stats();
    bool failed = after.failed_calls != before.failed_calls;
    if (after.live_blocks != before.live_blocks || after.live_bytes != before.live_bytes)
        fail_msg("%s, allocation %ld (status %d, %s: %s): %zd blocks are left", p->name, n, status,
                 err.where, err.message, (ssize_t)(after.live_blocks - before.live_blocks));
    if (status &&
        (status != ERR_MACHINE || err.code != ERR_MACHINE || !strstr(err.message, "memory")))
        fail_msg("%s, allocation %ld: status %d, %s: %s", p->name, n, status, err.where,
                 err.message);
    if (!status && failed && !p->survives)
        fail_msg("%s: the failure of allocation %ld was overlooked", p->name, n);
    return failed;
}

static void each_parser(void **state)
{
    (void)state;
    folder = temp_folder();
    make_files();
    for (size_t i = 0; i < sizeof parsers / sizeof *parsers; i++) {
        const struct parser *p = &parsers[i];
        char path[700];
        snprintf(path, sizeof path, "%s", p->made ? in_folder(folder, "%s", p->from) : p->from);
        struct err err = {0};
        struct stat about;
        if (stat(path, &about) == 0 && S_ISREG(about.st_mode))
            bytes = read_bytes(path);
        if (p->give(path, &err)) /* it can be read at all */
            fail_msg("%s: %s: %s", p->name, err.where, err.message);
        expected = told;
        told = (struct str){0};
        long n = 0, failures = 0;
        while (try_without(p, path, n)) {
            failures++;
            n += n < EACH ? 1 : 1 + n / 40;
        }
        print_message("%-32s %5ld tries of about %ld allocations\n", p->name, failures, n);
        assert_true(failures > 0);
        str_free(&bytes);
        str_free(&expected);
    }
    temp_folder_remove(folder);
}

int main(void)
{
    struct err err;
    struct hf_config config;
    if (hf_config_open(&config, TINY, NULL, 0, &err) ||
        text_codec_open(&codec, TINY, NULL, &config, &err)) {
        fprintf(stderr, "%s: %s\n", err.where, err.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_parser),
    };
    int failed = cmocka_run_group_tests_name("parsers without memory", tests, NULL, NULL);
    text_codec_close(&codec);
    return failed;
}
