/* test_cli.c: the built program from outside: its contracts field by field, bad lines, exit
 * statuses. The binary is the one of this configuration: build/<config>/grpo. */
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "train/stopping.h"

#define MODEL "tests/demo/model"

static char binary[1024]; /* set in main */

struct output {
    int status;
    struct str out, err;
    json_t *lines[64]; /* of out, where it is JSON lines */
    int n;
};

static void slurp(struct str *s, const char *path)
{
    struct err err = {0};
    str_clear(s);
    assert_int_equal(file_read(s, path, &err), 0);
}

/* Runs `grpo ARGUMENTS` in a shell with `input` on standard input. */
static struct output run(const char *input, size_t length, const char *arguments)
{
    char *folder = temp_folder(), path[3][600], command[4096];
    static const char *const names[] = {"in", "out", "err"};
    for (int i = 0; i < 3; i++)
        snprintf(path[i], sizeof path[i], "%s/%s", folder, names[i]);
    assert_int_equal(file_write_atomic(path[0], input, length, NULL), 0);
    snprintf(command, sizeof command, "%s %s <%s >%s 2>%s", binary, arguments, path[0], path[1],
             path[2]);
    struct output o = {0};
    int code = system(command);
    assert_true(WIFEXITED(code));
    o.status = WEXITSTATUS(code);
    slurp(&o.out, path[1]);
    slurp(&o.err, path[2]);
    temp_folder_remove(folder);
    return o;
}

/* The same, with every line of the output parsed. */
static struct output run_lines(const char *input, const char *arguments)
{
    struct output o = run(input, strlen(input), arguments);
    const char *at = str_text(&o.out);
    while (*at) {
        const char *end = strchr(at, '\n');
        assert_non_null(end); /* the last line too has its end */
        struct err err = {0};
        json_t *v = json_read(at, (size_t)(end - at), JSON_NUL_ALLOWED, "output", &err);
        if (!v)
            fail_msg("output line %d: %s", o.n + 1, err.message);
        assert_true(o.n < 64);
        o.lines[o.n++] = v;
        at = end + 1;
    }
    return o;
}

static void release(struct output *o)
{
    for (int i = 0; i < o->n; i++)
        json_decref(o->lines[i]);
    str_free(&o->out);
    str_free(&o->err);
}

static void assert_has(const struct str *s, const char *part)
{
    if (!strstr(str_text(s), part))
        fail_msg("\"%s\" is not in: %s", part, str_text(s));
}

/* Runs without input and checks status and a part of standard error. */
static void expect(const char *arguments, int status, const char *in_err)
{
    struct output o = run("", 0, arguments);
    if (o.status != status)
        fail_msg("grpo %s: exit %d, expected %d: %s", arguments, o.status, status,
                 str_text(&o.err));
    assert_has(&o.err, in_err);
    if (status) /* one line, and nothing on standard output */
        assert_ptr_equal(strchr(str_text(&o.err), '\n'), o.err.data + o.err.length - 1);
    release(&o);
}

static const json_t *field(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    if (!v)
        fail_msg("no field \"%s\"", key);
    return v;
}

static const char *text_of(const json_t *o, const char *key)
{
    const json_t *v = field(o, key);
    assert_true(json_is_string(v));
    return json_string_value(v);
}

static long long int_of(const json_t *o, const char *key)
{
    const json_t *v = field(o, key);
    assert_true(json_is_integer(v));
    return json_integer_value(v);
}

static double number_of(const json_t *o, const char *key)
{
    const json_t *v = field(o, key);
    assert_true(json_is_number(v));
    return json_number_value(v);
}

static void assert_ids(const json_t *o, const char *key, int n, const int *ids)
{
    const json_t *list = field(o, key);
    assert_int_equal(json_array_size(list), n);
    for (int i = 0; i < n; i++)
        assert_int_equal(json_integer_value(json_array_get(list, (size_t)i)), ids[i]);
}

static void assert_line_error(const json_t *o, int line, const char *part)
{
    assert_int_equal(int_of(o, "line"), line);
    if (!strstr(text_of(o, "error"), part))
        fail_msg("\"%s\" is not in: %s", part, text_of(o, "error"));
    assert_int_equal(json_object_size(o), 2);
}

/* --- options, help, exit statuses --- */

static void test_help(void **state)
{
    (void)state;
    static const char *const built[] = {"train",   "eval",     "generate", "score",
                                        "logprob", "tokenize", "data"};
    struct output all = run("", 0, "--help");
    assert_int_equal(all.status, 0);
    for (size_t i = 0; i < sizeof built / sizeof *built; i++) {
        char arguments[64], usage[64];
        snprintf(arguments, sizeof arguments, "%s --help", built[i]);
        snprintf(usage, sizeof usage, "usage: grpo %s", built[i]);
        struct output o = run("", 0, arguments);
        assert_int_equal(o.status, 0);
        assert_has(&o.out, usage);
        static const char *const common[] = {"--threads", "--device", "--precision", "--isa",
                                             "--quiet",   "--json",   "--help"};
        for (size_t k = 0; k < sizeof common / sizeof *common; k++)
            assert_has(&o.out, common[k]);
        bool reads = strcmp(built[i], "train") != 0 && strcmp(built[i], "eval") != 0;
        assert_int_equal(strstr(str_text(&o.out), "--input FILE") != NULL, reads);
        assert_has(&all.out, built[i]);
        release(&o);
    }
    release(&all);
    struct output version = run("", 0, "--version");
    assert_int_equal(version.status, 0);
    assert_memory_equal(str_text(&version.out), "grpo ", 5);
    release(&version);
}

static void test_usage_errors(void **state)
{
    (void)state;
    expect("", 2, "grpo --help");
    expect("generat", 2, "did you mean \"generate\"?");
    expect("run folder/.yaml", 2, "--out"); /* whose name would be the folder's */
    expect("serve runs/x", 2, "not built yet");
    expect("exam", 2, "not built yet");
    expect("generate --model " MODEL " --temprature 1", 2, "did you mean \"--temperature\"?");
    expect("generate --model " MODEL " --max-tokens", 2, "--max-tokens needs a value");
    expect("generate --model --n 3", 2, "--model needs a value");
    expect("generate --model " MODEL " --max-tokens 0", 2, "expected a whole number from 1");
    expect("generate --model " MODEL " --n=2x", 2, "expected a whole number");
    expect("generate --model " MODEL " --temperature nan", 2, "expected a number");
    expect("generate --model " MODEL " --seed -1", 2, "expected a whole number from 0");
    expect("generate --model " MODEL " --precision f16", 2, "one of: bf16, f32");
    expect("generate --quiet=yes", 2, "it is a switch");
    expect("generate extra", 2, "what is \"extra\"?");
    expect("generate -n 3", 2, "two dashes");
    expect("generate", 2, "--model");
    expect("tokenize", 2, "--model DIR");
    expect("score", 2, "--reward");
    expect("score --reward no_such", 2, "no_such");
    expect("score --reward sql_qa_v2 --params [1]", 2, "--params");
    expect("data", 2, "split");
    expect("eval --model " MODEL, 2, "--data");
}

/* No option is taken and passed over. */
static void test_options_without_use(void **state)
{
    (void)state;
    expect("train recipes/demo.yaml --input rows.jsonl", 2, "--input");
    expect("eval --model " MODEL " --input rows.jsonl", 2, "--input");
    expect("eval --compare a.json b.json --seed 3", 2, "--seed: has no use with --compare");
    expect("eval --compare a.json b.json --json --examples 1", 2, "--examples");
    expect("eval --model " MODEL " --examples 1", 2, "--examples");
    expect("eval --model " MODEL " --rows", 2, "--rows");
    expect("data split --data a.jsonl --input b.jsonl --eval-out c.jsonl --count push=1", 2,
           "--data");
}

/* metric_for_best_model is checked before the first step against names that the trainer has to know
 * beforehand: every number a real evaluation logs must be among them. */
static void test_evaluation_names(void **state)
{
    (void)state;
    char *folder = temp_folder(), path[600], arguments[2000];
    struct dataset rows;
    struct reward_set rewards;
    struct err err;
    static const char *const list = "[{\"name\": \"length\", \"params\": {\"target\": 20}},"
                                    "{\"name\": \"push\", \"weight\": 0}]";
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    snprintf(arguments, sizeof arguments,
             "model: " MODEL "\ndata: tests/demo/train.jsonl\neval_data: tests/demo/eval.jsonl\n"
             "rewards: %s\nmax_steps: 1\nnum_generations: 2\nmax_completion_length: 2\n"
             "lora: {r: 1}\n",
             list);
    assert_int_equal(file_write_atomic(path, arguments, strlen(arguments), NULL), 0);
    snprintf(arguments, sizeof arguments, "train %s --out %s/run --quiet", path, folder);
    struct output o = run("", 0, arguments);
    if (o.status)
        fail_msg("%s", str_text(&o.err));
    release(&o);
    json_t *json = json_read(list, strlen(list), JSON_PLAIN, "rewards", &err);
    assert_int_equal(reward_set_create(&rewards, json, "rewards", &err), 0);
    assert_int_equal(dataset_open(&rows, "tests/demo/eval.jsonl", &err), 0);
    json_decref(json);
    struct str text = {0};
    snprintf(path, sizeof path, "%s/run/metrics.jsonl", folder);
    slurp(&text, path);
    json = json_read(str_text(&text), strcspn(str_text(&text), "\n"), JSON_PLAIN, path, &err);
    const char *key;
    json_t *value;
    int seen = 0;
    json_object_foreach(json, key, value)
    {
        if (strncmp(key, "eval/", 5) != 0)
            continue;
        seen++;
        if (!eval_metric_exists(key, &rows, &rewards))
            fail_msg("%s is logged but refused as metric_for_best_model", key);
    }
    assert_true(seen >= 8);
    assert_non_null(json_object_get(json, "eval/rewards/push"));
    assert_false(eval_metric_exists("eval/rewards/other", &rows, &rewards));
    json_decref(json);
    str_free(&text);
    dataset_close(&rows);
    reward_set_free(&rewards);
    temp_folder_remove(folder);
}

static void test_allow(void **state)
{
    (void)state;
    expect("train r.yaml --out o --resume --allow foo", 2,
           "\"foo\" is nothing that a resume compares");
    expect("train r.yaml --out o --resume --allow lora.x", 2, "build, isa, and the recipe's keys");
    expect("train r.yaml --out o --resume --allow xlora.r", 2, "xlora.r");
    expect("pretrain r.yaml --out o --resume --allow foo", 2, "grpo pretrain --help");
    expect("pretrain r.yaml --out o --resume --allow lora.r", 2, "nothing that a resume compares");
    expect("pretrain no/such.yaml --out o --resume --allow max_steps", 2, "no/such.yaml");
    static const char *const known[] = {"max_steps", "lora.r",      "lora",
                                        "build",     "ref_adapter", "lr_scheduler_kwargs.min_lr",
                                        "rewards"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) { /* comes to the recipe */
        char command[200];
        snprintf(command, sizeof command, "train no/such.yaml --out o --resume --allow %s",
                 known[i]);
        expect(command, 2, "no/such.yaml");
    }
}

static void test_bad_files(void **state)
{
    (void)state;
    expect("generate --model no/such/folder", 3, "no/such/folder");
    expect("generate --model tests/oracle", 3, "config.json");
    expect("generate --model " MODEL " --adapter tests/oracle/model/llama_tied/adapter", 3,
           "adapter");
    expect("tokenize --tokenizer no/such.json", 3, "no/such.json");
    expect("tokenize --model " MODEL " --input no/such.jsonl", 3, "no/such.jsonl");
    expect("eval --model " MODEL " --data no/such.jsonl", 3, "no/such.jsonl");
    expect("generate --model " MODEL " --isa avx99", 2, "avx99");
    expect("generate --model " MODEL " --device cuda", 4, "CUDA");
}

static void test_failed_writes(void **state)
{
    (void)state;
    char command[2048];
    snprintf(command, sizeof command,
             "echo '{\"text\": \"a\"}' | %s tokenize --model " MODEL " >/dev/full 2>/dev/null",
             binary);
    assert_int_equal(WEXITSTATUS(system(command)), 4);
    snprintf(command, sizeof command, "%s --help >/dev/full 2>/dev/null", binary);
    assert_int_equal(WEXITSTATUS(system(command)), 4);
}

/* --- tokenize --- */

static void test_tokenize(void **state)
{
    (void)state;
    struct output o = run_lines("{\"text\": \"olá mundo\"}\n"
                                "{\"messages\": [{\"role\": \"user\", \"content\": \"oi\"}]}\n",
                                "tokenize --model " MODEL);
    assert_int_equal(o.status, 0);
    assert_int_equal(o.n, 2);
    assert_int_equal(json_object_size(o.lines[0]), 1);
    assert_int_equal(json_object_size(o.lines[1]), 2);
    assert_string_equal(text_of(o.lines[1], "text"),
                        "<|im_start|>user\noi<|im_end|>\n<|im_start|>assistant\n");
    /* Ids back to text: special tokens are kept. */
    char *back = json_dumps(o.lines[1], JSON_COMPACT);
    struct output d = run_lines(back, "tokenize --tokenizer " MODEL "/tokenizer.json --decode");
    mem_free(back);
    assert_int_equal(d.status, 0);
    assert_int_equal(d.n, 1);
    assert_string_equal(text_of(d.lines[0], "text"), text_of(o.lines[1], "text"));
    release(&d);
    release(&o);
}

/* A byte-order mark, CRLF, blank lines, a NUL escape and no final newline are fine; the rest is
 * answered in its place. */
static void test_lines(void **state)
{
    (void)state;
    static const char input[] = "\xEF\xBB\xBF{\"text\": \"a\"}\r\n"
                                "\r\n"
                                "{\"text\": \"a\\u0000b\"}\n"
                                "not json\n"
                                "[1]\n"
                                "{\"text\": \"\xFF\"}\n"
                                "{\"text\": \"\\ud800\"}\n"
                                "{\"text\": 5}\n"
                                "{\"messages\": []}\n"
                                "{\"text\": \"a\"}";
    struct output o = run_lines(input, "tokenize --model " MODEL);
    assert_int_equal(o.status, 3);
    assert_has(&o.err, "6 of 10 lines");
    assert_has(&o.err, "the first is line 4");
    assert_int_equal(o.n, 9);
    assert_true(json_equal(o.lines[0], o.lines[8]));
    assert_int_equal(json_array_size(field(o.lines[1], "ids")), 3);
    assert_line_error(o.lines[2], 4, "not valid JSON");
    assert_line_error(o.lines[3], 5, "expected an object");
    assert_line_error(o.lines[4], 6, "decode byte 0xff");
    assert_line_error(o.lines[5], 7, "Unicode");
    assert_line_error(o.lines[6], 8, "\"text\" is an integer");
    assert_line_error(o.lines[7], 9, "empty list");
    release(&o);
    o = run_lines("{\"ids\": [5, 1024]}\n{\"ids\": [-1]}\n{\"ids\": [1.5]}\n{\"text\": \"a\"}\n"
                  "{\"ids\": []}\n",
                  "tokenize --decode --model " MODEL);
    assert_int_equal(o.status, 3);
    assert_line_error(o.lines[0], 1, "the id 1024 at position 1, expected 0 to 1023");
    assert_line_error(o.lines[1], 2, "the id -1");
    assert_line_error(o.lines[2], 3, "a number at position 0");
    assert_line_error(o.lines[3], 4, "\"ids\" is nothing");
    assert_string_equal(text_of(o.lines[4], "text"), "");
    release(&o);
}

/* What else a message holds reaches the template; what a line alone would set is refused. */
static void test_message_keys(void **state)
{
    (void)state;
    static const char input[] =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"oi\", \"name\": \"Ana\"}]}\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": \"oi\"}], \"tools\": [{\"name\": "
        "\"f\"}]}\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": \"oi\"}], \"tools\": []}\n";
    struct output o = run_lines(input, "tokenize --model " MODEL
                                       " --chat-template tests/oracle/chat/templates/keys.jinja");
    assert_int_equal(o.status, 3);
    assert_string_equal(text_of(o.lines[0], "text"), "Ana: oi");
    assert_line_error(o.lines[1], 2, "\"tools\", which is not passed to the chat template");
    assert_string_equal(text_of(o.lines[2], "text"), ": oi");
    release(&o);
    o = run_lines(
        "{\"prompt\": [{\"role\": \"user\", \"content\": \"oi\"}], \"completion\": \"a\", "
        "\"chat_template_kwargs\": {\"enable_thinking\": false}}\n",
        "logprob --model " MODEL);
    assert_int_equal(o.status, 3);
    assert_line_error(o.lines[0], 1, "\"chat_template_kwargs\", which is not passed");
    release(&o);
}

/* What a terminal would act on is escaped in the output. */
static void test_controls(void **state)
{
    (void)state;
    struct output o = run_lines("{\"messages\": [{\"role\": \"user\", \"content\": "
                                "\"a\\u001b[2J\\u009b\\u202e\"}]}\n",
                                "tokenize --model " MODEL);
    assert_int_equal(o.status, 0);
    assert_has(&o.out, "\\u001b[2J\\u009b\\u202e");
    assert_non_null(strstr(text_of(o.lines[0], "text"), "a\x1B[2J\xC2\x9B\xE2\x80\xAE"));
    release(&o);
}

/* Each line is answered before the next one is asked for. */
static void test_interactive(void **state)
{
    (void)state;
    int in[2], out[2];
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        execl(binary, binary, "tokenize", "--model", MODEL, (char *)NULL);
        _exit(99);
    }
    close(in[0]);
    close(out[1]);
    alarm(600); /* a program that waits for more would hang here */
    for (int i = 0; i < 3; i++) {
        char answer[200];
        assert_int_equal(write(in[1], "{\"text\": \"a\"}\n", 14), 14);
        ssize_t n = read(out[0], answer, sizeof answer);
        assert_true(n > 0);
        assert_memory_equal(answer, "{\"ids\": [", 9);
    }
    close(in[1]);
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    alarm(0);
    assert_int_equal(code, 0);
    close(out[0]);
}

/* --- generate and logprob --- */

static const char two_prompts[] =
    "{\"id\": \"x\", \"prompt\": [{\"role\": \"user\", \"content\": \"Escreva um push curto.\"}]}\n"
    "{\"id\": 7, \"prompt\": \"Oba!\"}\n";
static const char two_swapped[] = "{\"id\": 7, \"prompt\": \"Oba!\"}\n"
                                  "{\"id\": \"x\", \"prompt\": [{\"role\": \"user\", \"content\": "
                                  "\"Escreva um push curto.\"}]}\n";

static void test_generate(void **state)
{
    (void)state;
    struct output o = run_lines(two_prompts, "generate --model " MODEL
                                             " --n 3 --max-tokens 12 --temperature 1 --seed 5");
    assert_int_equal(o.status, 0);
    assert_int_equal(o.n, 6);
    for (int i = 0; i < 6; i++) {
        const json_t *s = o.lines[i];
        size_t length = json_array_size(field(s, "ids"));
        assert_int_equal(json_object_size(s), 6);
        assert_int_equal(int_of(s, "prompt"), i / 3);
        assert_int_equal(int_of(s, "sample"), i % 3);
        assert_true(length >= 1 && length <= 12);
        assert_int_equal(json_array_size(field(s, "logprobs")), length);
        assert_null(strstr(text_of(s, "text"), "<|im_end|>"));
        long long last =
            json_integer_value(json_array_get(field(s, "ids"), length - 1)); /* EOS is 2 */
        assert_string_equal(text_of(s, "stop_reason"), last == 2 ? "eos" : "length");
        assert_true(last == 2 || length == 12);
    }
    /* Three samples of one prompt are three draws. */
    assert_false(json_equal(field(o.lines[0], "ids"), field(o.lines[1], "ids")) &&
                 json_equal(field(o.lines[0], "ids"), field(o.lines[2], "ids")));
    /* Draws belong to the id: other order, other batch, other threads, the same samples. */
    struct output p =
        run_lines(two_swapped, "generate --model " MODEL " --n 3 --max-tokens 12 --temperature 1 "
                               "--seed 5 --batch 1 --threads 1");
    for (int i = 0; i < 6; i++)
        assert_true(
            json_equal(field(o.lines[i], "logprobs"), field(p.lines[(i + 3) % 6], "logprobs")));
    struct output q = run_lines(two_prompts, "generate --model " MODEL
                                             " --n 3 --max-tokens 12 --temperature 1 --seed 6");
    assert_string_not_equal(str_text(&o.out), str_text(&q.out));
    release(&o);
    release(&p);
    release(&q);
}

static double number_at(const json_t *list, size_t i)
{
    return json_number_value(json_array_get(list, i));
}

/* Warpers: a second list of log-probabilities; the greedy choice has nothing to cut. */
static void test_generate_truncated(void **state)
{
    (void)state;
    struct output o = run_lines(two_prompts, "generate --model " MODEL " --n 2 --max-tokens 12 "
                                             "--top-k 20 --top-p 0.9 --min-p 0.001"),
                  one = run_lines(two_prompts, "generate --model " MODEL " --max-tokens 12 "
                                               "--precision f32 --top-k 1"),
                  greedy = run_lines(two_prompts, "generate --model " MODEL " --max-tokens 12 "
                                                  "--precision f32 --temperature 0"),
                  penalty = run_lines(two_prompts, "generate --model " MODEL " --max-tokens 12 "
                                                   "--temperature 0 --repetition-penalty 1.8"),
                  neutral = run_lines(two_prompts, "generate --model " MODEL " --max-tokens 12 "
                                                   "--top-k 0 --top-p 1 --min-p 0"),
                  plain = run_lines(two_prompts, "generate --model " MODEL " --max-tokens 12");
    assert_true(o.status == 0 && o.n == 4);
    for (int i = 0; i < 4; i++) {
        const json_t *all = field(o.lines[i], "logprobs"),
                     *drawn = field(o.lines[i], "sampling_logprobs");
        assert_int_equal(json_object_size(o.lines[i]), 7);
        assert_int_equal(json_array_size(all), json_array_size(drawn));
        for (size_t t = 0; t < json_array_size(all); t++)
            assert_true(number_at(drawn, t) >= number_at(all, t) && number_at(drawn, t) <= 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_true(json_equal(field(one.lines[i], "ids"), field(greedy.lines[i], "ids")));
        assert_true(number_at(field(one.lines[i], "sampling_logprobs"), 0) == 0);
        assert_int_equal(json_object_size(penalty.lines[i]), 7);
    }
    assert_string_equal(str_text(&neutral.out), str_text(&plain.out));
    expect("generate --model " MODEL " --temperature 0 --top-k 5", 2, "--top-k");
    expect("generate --model " MODEL " --temperature 0 --top-p 0.5", 2, "--temperature 0");
    expect("generate --model " MODEL " --temperature 0 --min-p 0", 2, "--min-p");
    expect("generate --model " MODEL " --top-p 1.5", 2, "--top-p");
    release(&o);
    release(&one);
    release(&greedy);
    release(&penalty);
    release(&neutral);
    release(&plain);
}

/* --stop: the completion up to the token that completes the text, which stays; what is before is
 * as without it. */
static void test_stop(void **state)
{
    (void)state;
    struct output o = run_lines(two_prompts, "generate --model " MODEL " --n 8 --max-tokens 40"),
                  s = run_lines(two_prompts, "generate --model " MODEL " --n 8 --max-tokens 40 "
                                             "--stop 'to:' --stop ão --batch 3");
    int stopped = 0, others = 0;
    assert_true(s.status == 0 && s.n == 16);
    for (int i = 0; i < 16; i++) {
        const char *whole = text_of(o.lines[i], "text"), *text = text_of(s.lines[i], "text");
        bool holds = strstr(whole, "to:") || strstr(whole, "ão");
        const json_t *a = field(o.lines[i], "logprobs"), *b = field(s.lines[i], "logprobs");
        if (!holds) {
            assert_true(json_equal(o.lines[i], s.lines[i]));
            others++;
            continue;
        }
        assert_string_equal(text_of(s.lines[i], "stop_reason"), "stop");
        assert_true(strstr(text, "to:") || strstr(text, "ão"));
        assert_memory_equal(text, whole, strlen(text));
        assert_true(json_array_size(b) <= json_array_size(a));
        for (size_t t = 0; t < json_array_size(b); t++)
            assert_true(number_at(a, t) == number_at(b, t));
        stopped++;
    }
    assert_true(stopped > 0 && others > 0);
    expect("generate --model " MODEL " --stop ''", 2, "--stop: is empty");
    expect("eval --model " MODEL " --data tests/demo/test.jsonl --stop ''", 2, "--stop: is empty");
    struct output e = run_lines("", "eval --model " MODEL " --data tests/demo/test.jsonl --json "
                                    "--rows --max-tokens 40 --stop a");
    assert_int_equal(e.status, 0);
    assert_has(&e.out, "\"stop_reason\":");
    assert_has(&e.out, "\"stop\"");
    release(&o);
    release(&s);
    release(&e);
}

/* A stop string does not reach from one completion into the next that takes its place. */
static void test_stop_between_completions(void **state)
{
    (void)state;
#define ONE "{\"prompt\": [{\"role\": \"user\", \"content\": \"oi\"}]}\n"
    static const char twice[] = ONE ONE;
    char arguments[300];
    const char *how = "generate --model " MODEL " --temperature 0 --max-tokens 12 --batch 1";
    struct output o = run_lines(twice, how);
    assert_int_equal(o.n, 2);
    const char *text = text_of(o.lines[0], "text");
    char seam[3] = {text[strlen(text) - 1], text[0], 0};
    assert_true(seam[0] > ' ' && seam[1] > ' ' && seam[0] != '\'' && seam[1] != '\'');
    assert_null(strstr(text, seam));
    snprintf(arguments, sizeof arguments, "%s --stop '%s'", how, seam);
    struct output s = run_lines(twice, arguments);
    assert_string_equal(str_text(&o.out), str_text(&s.out));
    release(&o);
    release(&s);
}

/* Starts `grpo ARGUMENTS` with a pipe that stays open as its input and the file as its output,
 * sends SIGINT once it answered the input, or without one once it listens for signals and has had
 * time to begin, and returns the exit status. */
static int interrupt_program(const char *input, char *const *words, const char *out)
{
    int in[2], code;
    assert_int_equal(pipe(in), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(in[0], 0);
        dup2(fd, 1);
        dup2(fd, 2);
        close(in[1]);
        execv(binary, words);
        _exit(99);
    }
    close(in[0]);
    assert_int_equal(write(in[1], input, strlen(input)), (ssize_t)strlen(input));
    struct str text = {0};
    assert_true(wait_for_handler(pid, SIGINT));
    assert_true(wait_for_lines(pid, out, *input != 0));
    usleep(*input ? 0 : 200000);
    kill(pid, SIGINT);
    assert_int_equal(waitpid(pid, &code, 0), pid);
    close(in[1]);
    slurp(&text, out);
    assert_has(&text, "interrupted");
    str_free(&text);
    return WIFEXITED(code) ? WEXITSTATUS(code) : -1;
}

/* Ctrl-C while it samples, while it waits for a line, and in an evaluation. */
static void test_interrupt(void **state)
{
    (void)state;
    char *folder = temp_folder(), out[600];
    snprintf(out, sizeof out, "%s/out", folder);
    char *waits[] = {binary, "generate", "--model", MODEL, "--max-tokens", "4", NULL};
    char *samples[] = {binary, "generate", "--model", MODEL, "--prompt",
                       "oi",   "--n",      "60000",   NULL};
    char *evaluates[] = {binary, "eval", "--model",       MODEL, "--data",  "tests/demo/test.jsonl",
                         "--n",  "4000", "--temperature", "1",   "--batch", "2",
                         NULL};
    assert_int_equal(interrupt_program("{\"prompt\": \"oi\"}\n", waits, out), 130);
    struct str text = {0};
    slurp(&text, out);
    assert_has(&text, "\"stop_reason\""); /* what was answered is there */
    str_free(&text);
    assert_int_equal(interrupt_program("", evaluates, out), 130);
    assert_int_equal(interrupt_program("", samples, out), 130);
    temp_folder_remove(folder);
}

static void test_draws_by_line_number(void **state)
{
    (void)state;
    const char *how = "generate --model " MODEL " --max-tokens 8 --temperature 1";
    struct output a = run_lines("{\"prompt\": \"Oba!\"}\n\n{\"prompt\": \"Oba!\"}\n", how),
                  b = run_lines("{\"id\": \"line-1\", \"prompt\": \"Oba!\"}\n"
                                "{\"prompt\": \"sem id\"}\n"
                                "{\"id\": \"line-3\", \"prompt\": \"Oba!\"}\n",
                                how);
    assert_int_equal(a.n, 2);
    assert_int_equal(int_of(a.lines[0], "prompt"), 0);
    assert_int_equal(int_of(a.lines[1], "prompt"), 2); /* the blank line counts */
    assert_true(json_equal(a.lines[0], b.lines[0]));
    assert_true(json_equal(a.lines[1], b.lines[2]));
    assert_false(json_equal(field(a.lines[0], "ids"), field(a.lines[1], "ids")) &&
                 json_equal(field(a.lines[0], "logprobs"), field(a.lines[1], "logprobs")));
    release(&a);
    release(&b);
}

/* The sampler's log-probabilities are logprob's, to the last bit; texts are encoded apart. */
static void test_logprob(void **state)
{
    (void)state;
    struct output g = run_lines("{\"prompt_ids\": [1, 308, 201, 77, 2]}\n",
                                "generate --model " MODEL " --max-tokens 10 --temperature 0.7");
    assert_int_equal(g.status, 0);
    struct str line = {0};
    str_puts(&line, "{\"prompt_ids\": [1, 308, 201, 77, 2], \"completion_ids\": ");
    char *ids = json_dumps(field(g.lines[0], "ids"), JSON_COMPACT);
    str_printf(&line, "%s}\n{\"prompt\": \"Oba!\", \"completion\": \" frete\"}\n", ids);
    str_puts(&line, "{\"prompt\": \"Oba!\", \"completion\": \"\"}\n");
    struct output o = run_lines(str_text(&line), "logprob --model " MODEL " --temperature 0.7");
    assert_int_equal(o.status, 0);
    assert_int_equal(o.n, 3);
    assert_true(json_equal(field(o.lines[0], "completion_ids"), field(g.lines[0], "ids")));
    assert_true(json_equal(field(o.lines[0], "logprobs"), field(g.lines[0], "logprobs")));
    for (int i = 0; i < 3; i++) {
        size_t n = json_array_size(field(o.lines[i], "completion_ids"));
        assert_int_equal(json_object_size(o.lines[i]), 3);
        assert_int_equal(json_array_size(field(o.lines[i], "logprobs")), n);
        assert_int_equal(json_array_size(field(o.lines[i], "entropies")), n);
        for (size_t k = 0; k < n; k++) {
            assert_true(json_number_value(json_array_get(field(o.lines[i], "logprobs"), k)) <= 0);
            double entropy = json_number_value(json_array_get(field(o.lines[i], "entropies"), k));
            assert_true(entropy >= 0 && entropy <= log(1024));
        }
    }
    struct output t = run_lines("{\"text\": \" frete\"}\n", "tokenize --model " MODEL);
    assert_true(json_equal(field(t.lines[0], "ids"), field(o.lines[1], "completion_ids")));
    assert_int_equal(json_array_size(field(o.lines[2], "completion_ids")), 0);
    mem_free(ids);
    str_free(&line);
    release(&g);
    release(&o);
    release(&t);
}

static void test_bad_prompts(void **state)
{
    (void)state;
    struct output o = run_lines("{\"prompt_ids\": [5]}\n{\"prompt_ids\": []}\n"
                                "{\"prompt_ids\": [5, 1024]}\n{\"prompt\": 3}\n{}\n"
                                "{\"prompt\": [{\"role\": \"user\"}]}\n"
                                "{\"prompt_ids\": [5], \"id\": 1.5}\n{\"prompt_ids\": [6]}\n",
                                "generate --model " MODEL " --max-tokens 512 --temperature 0");
    assert_int_equal(o.status, 3);
    assert_int_equal(o.n, 8);
    assert_int_equal(int_of(o.lines[0], "prompt"), 0);
    assert_line_error(o.lines[1], 2, "no tokens");
    assert_line_error(o.lines[2], 3, "the id 1024 at position 1");
    assert_line_error(o.lines[3], 4, "\"prompt\" is an integer");
    assert_line_error(o.lines[4], 5, "neither \"prompt_ids\" nor \"prompt\"");
    assert_line_error(o.lines[5], 6, "message 0");
    assert_line_error(o.lines[6], 7, "\"id\"");
    assert_int_equal(int_of(o.lines[7], "prompt"), 7);
    release(&o);
    /* One token more than the context of 512 holds. */
    o = run_lines("{\"prompt_ids\": [5, 6]}\n", "generate --model " MODEL " --max-tokens 512");
    assert_int_equal(o.status, 3);
    assert_line_error(o.lines[0], 1, "context of 512");
    release(&o);
    struct str line = {0};
    str_puts(&line, "{\"prompt_ids\": [5], \"completion_ids\": [5");
    for (int i = 1; i < 513; i++)
        str_puts(&line, ", 5");
    str_puts(&line, "]}\n{\"prompt_ids\": [5], \"completion_ids\": [5]}\n");
    o = run_lines(str_text(&line), "logprob --model " MODEL);
    assert_int_equal(o.status, 3);
    assert_line_error(o.lines[0], 1, "context of 512");
    assert_int_equal(json_array_size(field(o.lines[1], "logprobs")), 1);
    release(&o);
    str_free(&line);
}

/* Ids need no tokenizer in the folder; text does. */
static void test_without_tokenizer(void **state)
{
    (void)state;
#define TINY "tests/oracle/model/qwen3_tied"
    struct output o = run_lines("{\"prompt_ids\": [1, 5]}\n{\"prompt\": \"a\"}\n",
                                "generate --model " TINY " --adapter " TINY
                                "/adapter --max-tokens 4 --temperature 0 --precision f32");
    assert_int_equal(o.status, 3);
    assert_true(json_is_null(field(o.lines[0], "text")));
    assert_line_error(o.lines[1], 2, "no tokenizer.json");
    release(&o);
    o = run_lines("{\"prompt_ids\": [1, 5], \"completion_ids\": [7]}\n",
                  "logprob --model " TINY " --precision f32");
    assert_int_equal(o.status, 0);
    static const int seven[] = {7};
    assert_ids(o.lines[0], "completion_ids", 1, seven);
    release(&o);
}

/* --- score --- */

static void test_score(void **state)
{
    (void)state;
    struct output o = run_lines("{\"completion\": \"SELECT COUNT(*) FROM pedidos: total 12\"}\n"
                                "{\"prompt\": [{\"role\": \"user\", \"content\": \"q\"}], "
                                "\"completion\": \"\"}\n"
                                "{\"text\": \"x\"}\n",
                                "score --reward sql_qa_v2 --explain");
    assert_int_equal(o.status, 3);
    assert_int_equal(o.n, 3);
    /* 3 keywords 0.30, query and answer word 0.25, one number 0.05, one domain word 0.04 */
    assert_string_equal(text_of(o.lines[0], "status"), "ok");
    assert_true(fabs(number_of(o.lines[0], "score") - 0.64) < 1e-12);
    assert_int_equal(json_object_size(field(o.lines[0], "components")), 4);
    assert_true(json_is_object(field(o.lines[0], "explain")));
    assert_true(number_of(o.lines[1], "score") == 0);
    assert_line_error(o.lines[2], 3, "\"completion\" is nothing");
    release(&o);
    o = run_lines("{\"completion\": \"abc\"}\n{\"completion\": \"xyz\"}\n",
                  "score --reward regex --params '{\"pattern\": \"b\"}'");
    assert_int_equal(o.status, 0);
    assert_true(number_of(o.lines[0], "score") == 1);
    assert_true(number_of(o.lines[1], "score") == 0);
    assert_null(json_object_get(o.lines[0], "explain"));
    release(&o);
}

/* A list under "group" holds the other completions; anything else there is the row's own. */
static void test_score_group(void **state)
{
    (void)state;
    struct output o =
        run_lines("{\"completion\": \"Oi, sua mesa nova chegou!\", \"group\": [\"Oi, sua mesa nova "
                  "chegou!\", "
                  "\"Bom dia, tudo certo por aí?\"]}\n"
                  "{\"completion\": \"Oi, sua mesa nova chegou!\", \"group\": \"A\"}\n"
                  "{\"completion\": \"x\", \"group\": [\"a\", 5]}\n",
                  "score --reward push");
    assert_int_equal(o.status, 3);
    const json_t *with = field(o.lines[0], "components"), *alone = field(o.lines[1], "components");
    double variety = number_of(with, "group_variety"), fits = number_of(with, "no_placeholder");
    assert_true(fabs(variety - 0.5 * fits) < 1e-12 && fits > 0);
    assert_true(json_is_null(field(alone, "group_variety")));
    assert_line_error(o.lines[2], 3, "item 1 of \"group\" is an integer");
    release(&o);
}

/* Lines of samples.jsonl find their row by prompt_id: the push reward sees that row's prompt. */
static void test_score_joined(void **state)
{
    (void)state;
    struct output o = run_lines("{\"prompt_id\": \"push-eval-0\", \"sample\": 0, \"text\": \"x\"}\n"
                                "{\"prompt_id\": \"nobody\", \"text\": \"x\"}\n{\"text\": \"x\"}\n",
                                "score --reward push --data tests/demo/eval.jsonl");
    assert_int_equal(o.status, 3);
    assert_string_equal(text_of(o.lines[0], "status"), "ok");
    number_of(o.lines[0], "score");
    assert_line_error(o.lines[1], 2, "has the id \"nobody\"");
    assert_line_error(o.lines[2], 3, "\"prompt_id\" is nothing");
    release(&o);
}

/* --- eval --- */

static void check_summary(const json_t *s, int n)
{
    assert_int_equal(int_of(s, "n"), n);
    double mean = number_of(s, "mean"), se = number_of(s, "se");
    assert_true(mean >= 0 && mean <= 1 && number_of(s, "sd") >= 0);
    const json_t *ci = field(s, "ci95");
    assert_int_equal(json_array_size(ci), 2);
    assert_true(fabs(json_number_value(json_array_get(ci, 0)) - (mean - 1.96 * se)) < 1e-12);
    assert_true(fabs(json_number_value(json_array_get(ci, 1)) - (mean + 1.96 * se)) < 1e-12);
}

static void test_eval(void **state)
{
    (void)state;
    char *folder = temp_folder(), arguments[2048];
    static const char *const how[] = {"--batch 1 --threads 1", "--batch 7"};
    struct output o[2];
    for (int i = 0; i < 2; i++) {
        snprintf(arguments, sizeof arguments,
                 "eval --model " MODEL " --data tests/demo/eval.jsonl --json --max-tokens 24 "
                 "--out %s/%d.json --quiet %s",
                 folder, i, how[i]);
        o[i] = run_lines("", arguments);
        assert_int_equal(o[i].status, 0);
        assert_int_equal(o[i].n, 1);
        assert_int_equal(o[i].err.length, 0);
    }
    assert_string_equal(str_text(&o[0].out), str_text(&o[1].out));
    const json_t *root = o[0].lines[0], *tasks = field(root, "tasks");
    assert_int_equal(json_object_size(tasks), 2);
    check_summary(field(tasks, "push"), 30);
    check_summary(field(tasks, "sql_qa"), 30);
    check_summary(field(root, "overall"), 60);
    assert_true(
        fabs(number_of(field(root, "overall"), "mean") -
             (number_of(field(tasks, "push"), "mean") + number_of(field(tasks, "sql_qa"), "mean")) /
                 2) < 1e-12);
    assert_string_equal(text_of(root, "model"), MODEL);
    assert_true(json_is_null(field(root, "adapter")));
    char sha[65];
    assert_int_equal(sha256_file(sha, "tests/demo/eval.jsonl", NULL), 0);
    assert_string_equal(text_of(root, "data_sha256"), sha);
    assert_null(json_object_get(root, "rows"));
    /* A file against itself: no row gains. */
    snprintf(arguments, sizeof arguments, "eval --compare %s/0.json %s/1.json --json", folder,
             folder);
    struct output c = run_lines("", arguments);
    assert_int_equal(c.status, 0);
    const json_t *gain = field(field(c.lines[0], "overall"), "gain");
    assert_int_equal(int_of(gain, "n"), 60);
    assert_true(number_of(gain, "mean") == 0 && number_of(gain, "sd") == 0);
    release(&c);
    snprintf(arguments, sizeof arguments, "eval --compare %s/0.json", folder);
    expect(arguments, 2, "wants two files");
    snprintf(arguments, sizeof arguments, "eval --compare %s/0.json " MODEL "/config.json", folder);
    expect(arguments, 3, "has no \"rows\"");
    for (int i = 0; i < 2; i++)
        release(&o[i]);
    temp_folder_remove(folder);
}

/* A recipe's precision holds for its evaluation, unless the command line names another. */
static void test_eval_recipe(void **state)
{
    (void)state;
    char *folder = temp_folder(), path[600], arguments[2048];
    static const char recipe[] = "model: " MODEL "\ndata: tests/demo/train.jsonl\n"
                                 "eval_data: tests/demo/eval.jsonl\nmax_steps: 1\n"
                                 "rewards: {push: [push], sql_qa: [sql_qa_v2]}\n"
                                 "max_completion_length: 20\nprecision: f32\n";
    static const char *const precision[] = {"", "--precision f32", "--precision bf16"};
    struct output o[3];
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    assert_int_equal(file_write_atomic(path, recipe, strlen(recipe), NULL), 0);
    for (int i = 0; i < 3; i++) {
        snprintf(arguments, sizeof arguments,
                 "eval --recipe %s --temperature 1 --n 4 --json --rows %s", path, precision[i]);
        o[i] = run_lines("", arguments);
        assert_int_equal(o[i].status, 0);
    }
    assert_string_equal(str_text(&o[0].out), str_text(&o[1].out));
    assert_string_not_equal(str_text(&o[0].out), str_text(&o[2].out));
    for (int i = 0; i < 3; i++)
        release(&o[i]);
    temp_folder_remove(folder);
}

static void test_eval_rewards(void **state)
{
    (void)state;
    char *folder = temp_folder(), path[600], arguments[2048];
    static const char rows[] = "{\"id\": \"a\", \"task\": \"poem\", \"prompt\": \"oi\"}\n"
                               "{\"id\": \"b\", \"task\": \"poem\", \"prompt\": \"ok\"}\n";
    snprintf(path, sizeof path, "%s/rows.jsonl", folder);
    assert_int_equal(file_write_atomic(path, rows, strlen(rows), NULL), 0);
    snprintf(arguments, sizeof arguments, "eval --model " MODEL " --data %s", path);
    expect(arguments, 2, "no reward is named like the task \"poem\"");
    snprintf(arguments, sizeof arguments,
             "eval --model " MODEL " --data %s --json --max-tokens 8 --rewards "
             "'{\"poem\": [{\"name\": \"regex\", \"params\": {\"pattern\": \".\"}}]}'",
             path);
    struct output o = run_lines("", arguments);
    assert_int_equal(o.status, 0);
    assert_int_equal(int_of(field(field(o.lines[0], "tasks"), "poem"), "n"), 2);
    release(&o);
    snprintf(arguments, sizeof arguments,
             "eval --model " MODEL " --data %s --max-tokens 512 "
             "--rewards sql_qa_v2",
             path);
    expect(arguments, 3, "context of 512");
    snprintf(arguments, sizeof arguments,
             "eval --model " MODEL " --data %s --n 2 "
             "--rewards sql_qa_v2",
             path);
    expect(arguments, 2, "--temperature");
    temp_folder_remove(folder);
}

/* --- data split --- */

static void test_split(void **state)
{
    (void)state;
    char *folder = temp_folder(), arguments[2048];
    snprintf(arguments, sizeof arguments,
             "data split --data tests/demo/train.jsonl --count push=9:4 --count sql_qa=5 --json "
             "--eval-out %s/e.jsonl --test-out %s/t.jsonl --train-out %s/r.jsonl",
             folder, folder, folder);
    struct output o = run_lines("", arguments), again = run_lines("", arguments);
    assert_int_equal(o.status, 0);
    assert_int_equal(int_of(field(o.lines[0], "eval"), "rows"), 14);
    assert_int_equal(int_of(field(o.lines[0], "test"), "rows"), 4);
    assert_true(json_is_true(field(field(o.lines[0], "eval"), "written")));
    assert_int_equal(again.status, 0);
    assert_true(json_is_false(field(field(again.lines[0], "eval"), "written")));
    char sha[65], path[600];
    snprintf(path, sizeof path, "%s/e.jsonl", folder);
    assert_int_equal(sha256_file(sha, path, NULL), 0);
    assert_string_equal(text_of(field(o.lines[0], "eval"), "sha256"), sha);
    release(&o);
    release(&again);
    snprintf(arguments, sizeof arguments,
             "data split --data tests/demo/train.jsonl --count push=8 --eval-out %s/e.jsonl",
             folder);
    expect(arguments, 1, "never resampled");
    expect("data split --data tests/demo/train.jsonl --eval-out x --count push", 2, "TASK=EVAL");
    expect("data split --data tests/demo/train.jsonl --eval-out x", 2, "--count");
    temp_folder_remove(folder);
}

int main(int argc, char **argv)
{
    (void)argc;
    snprintf(binary, sizeof binary, "%s", argv[0]);
    char *end = strstr(binary, "/tests/cli/");
    if (!end) {
        fprintf(stderr, "run as build/<config>/tests/cli/test_cli\n");
        return 1;
    }
    snprintf(end, sizeof binary - (size_t)(end - binary), "/grpo");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_usage_errors),
        cmocka_unit_test(test_options_without_use),
        cmocka_unit_test(test_allow),
        cmocka_unit_test(test_evaluation_names),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_failed_writes),
        cmocka_unit_test(test_tokenize),
        cmocka_unit_test(test_message_keys),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_controls),
        cmocka_unit_test(test_interactive),
        cmocka_unit_test(test_generate),
        cmocka_unit_test(test_generate_truncated),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_stop_between_completions),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_draws_by_line_number),
        cmocka_unit_test(test_logprob),
        cmocka_unit_test(test_bad_prompts),
        cmocka_unit_test(test_without_tokenizer),
        cmocka_unit_test(test_score),
        cmocka_unit_test(test_score_group),
        cmocka_unit_test(test_score_joined),
        cmocka_unit_test(test_eval),
        cmocka_unit_test(test_eval_recipe),
        cmocka_unit_test(test_eval_rewards),
        cmocka_unit_test(test_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
