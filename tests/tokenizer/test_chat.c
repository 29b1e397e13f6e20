/* test_chat.c: conversations as transformers renders and encodes them (tests/oracle/chat), by real
 * templates, by ones in the families' styles and by our own; where a template and its variables
 * come from, system prompts, and what goes wrong with a message. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "episode/episode.h"
#include "formats/jsonl.h"
#include "tokenizer/chat.h"
#include "tokenizer/tokenizer.h"

enum { MAX_MESSAGES = 8 };

static void ok(int status, const struct err *err)
{
    if (status)
        fail_msg("%s: %s", err->where, err->message);
}

static size_t read_messages(struct chat_message *out, const json_t *list)
{
    size_t n = json_array_size(list);
    assert_true(n <= MAX_MESSAGES);
    for (size_t i = 0; i < n; i++) {
        const json_t *m = json_array_get(list, i), *content = json_object_get(m, "content");
        out[i] = (struct chat_message){json_string_value(json_object_get(m, "role")),
                                       json_string_value(content), json_string_length(content), m};
    }
    return n;
}

static bool check_side(const chat_template *c, const tokenizer *t, const json_t *row, bool prompt)
{
    struct err err = {0};
    struct chat_message messages[MAX_MESSAGES];
    size_t n = read_messages(messages, json_object_get(row, "messages"));
    const json_t *text = json_object_get(row, prompt ? "text_prompt" : "text");
    const json_t *ids = json_object_get(row, prompt ? "ids_prompt" : "ids");
    struct str out = {0};
    struct ids got = {0};
    ok(chat_render(&out, c, messages, n, prompt, &err), &err);
    bool same = out.length == json_string_length(text) &&
                memcmp(str_text(&out), json_string_value(text), out.length) == 0;
    if (!same)
        print_message("got:\n%s\nexpected:\n%s\n", str_text(&out), json_string_value(text));
    ok(tokenizer_encode(t, &got, str_text(&out), out.length, false, &err), &err);
    bool same_ids = got.count == json_array_size(ids);
    for (size_t i = 0; same_ids && i < got.count; i++)
        same_ids = got.data[i] == json_integer_value(json_array_get(ids, i));
    str_free(&out);
    ids_free(&got);
    return same && same_ids;
}

static chat_template *open_named(const char *name, const json_t *kwargs)
{
    struct err err = {0};
    chat_template *c;
    struct chat_options options = {.template = name, .kwargs = kwargs};
    ok(chat_template_open(&c, "tests/no/such/folder", &options, &err), &err);
    return c;
}

static void check_family(const char *name, const char *tokenizer_file)
{
    struct err err = {0};
    tokenizer *t;
    struct jsonl_reader r;
    char path[64];
    json_t *row;
    ok(tokenizer_open(&t, tokenizer_file, &err), &err);
    snprintf(path, sizeof path, "chat/%s.jsonl", name);
    ok(jsonl_open(&r, fixture(path), &err), &err);
    chat_template *c = open_named(name, NULL);
    int rows = 0, bad = 0;
    while (jsonl_next(&r, &row, &err) == 1) {
        assert_non_null(row);
        if (json_object_get(row, "messages")) {
            for (int prompt = 0; prompt < 2; prompt++) {
                if (!check_side(c, t, row, prompt)) {
                    print_message("%s, line %ld, prompt %d\n", name, r.line, prompt);
                    bad++;
                }
            }
            rows++;
        }
        json_decref(row);
    }
    jsonl_close(&r);
    tokenizer_free(t);
    chat_template_free(c);
    assert_int_equal(rows, 29);
    assert_int_equal(bad, 0);
}

static void test_chatml(void **state)
{
    (void)state;
    check_family("chatml", "tests/demo/model/tokenizer.json");
}

static void test_smollm2(void **state)
{
    (void)state;
    check_family("smollm2", "tests/oracle/tokenizer/smollm.json");
}

static void test_qwen3(void **state)
{
    (void)state;
    check_family("qwen3", "tests/oracle/tokenizer/qwen.json");
}

/* --- families.jsonl --- */

/* The template a header line names; NULL: a real one that is not at hand. */
static chat_template *open_family(const json_t *head)
{
    struct err err = {0};
    const json_t *variables = json_object_get(head, "variables");
    const char *file = json_string_value(json_object_get(head, "file")),
               *asked = json_string_value(json_object_get(head, "asset")),
               *builtin = json_string_value(json_object_get(head, "builtin"));
    chat_template *c = NULL;
    if (builtin)
        return open_named(builtin, variables);
    if (file) {
        char path[256];
        struct str folder = {0};
        snprintf(path, sizeof path, "chat/templates/%s", file);
        str_puts(&folder, fixture(path));
        c = open_named(str_text(&folder), variables);
        str_free(&folder);
        return c;
    }
    const char *folder = asset(asked);
    struct chat_options options = {.kwargs = variables};
    if (folder)
        ok(chat_template_open(&c, folder, &options, &err), &err);
    return c;
}

static bool check_row(const chat_template *c, const json_t *row)
{
    struct err err = {0};
    struct chat_message messages[MAX_MESSAGES];
    size_t n = read_messages(messages, json_object_get(row, "messages"));
    const json_t *text = json_object_get(row, "text");
    struct str out = {0};
    int status = chat_render(&out, c, messages, n,
                             json_is_true(json_object_get(row, "add_generation_prompt")), &err);
    bool same = text ? !status && out.length == json_string_length(text) &&
                           memcmp(str_text(&out), json_string_value(text), out.length) == 0
                     : status == ERR_INPUT && err.message[0];
    if (!same)
        print_message("got:\n%s\n%s\nexpected:\n%s\n", str_text(&out), err.message,
                      text ? json_string_value(text) : "an error");
    str_free(&out);
    return same;
}

static void test_families(void **state)
{
    (void)state;
    struct err err = {0};
    struct jsonl_reader r;
    json_t *row;
    chat_template *c = NULL;
    char family[80] = "";
    int families = 0, absent = 0, rows = 0, bad = 0;
    ok(jsonl_open(&r, fixture("chat/families.jsonl"), &err), &err);
    while (jsonl_next(&r, &row, &err) == 1) {
        assert_non_null(row);
        if (json_object_get(row, "family")) {
            snprintf(family, sizeof family, "%s",
                     json_string_value(json_object_get(row, "family")));
            chat_template_free(c);
            c = open_family(row);
            families++;
            absent += !c;
            if (!c)
                print_message("%s: its template is not at hand, passed over\n", family);
        } else if (c) {
            rows++;
            if (!check_row(c, row)) {
                print_message("%s, line %ld\n", family, r.line);
                bad++;
            }
        }
        json_decref(row);
    }
    chat_template_free(c);
    jsonl_close(&r);
    assert_int_equal(bad, 0);
    assert_int_equal(families, 17);
    assert_int_equal(rows, (families - absent) * 20);
}

/* --- where things come from --- */

static void write_file(const char *folder, const char *name, const char *text)
{
    struct str path = {0};
    struct err err = {0};
    ok(file_write_atomic(path_join(&path, folder, name), text, strlen(text), &err), &err);
    str_free(&path);
}

/* What a template open on the folder writes for one user message "Oi". */
static void expect(const char *folder, const struct chat_options *options, const char *text)
{
    struct err err = {0};
    chat_template *c;
    struct str out = {0};
    struct chat_message message = {"user", "Oi", 2, NULL};
    ok(chat_template_open(&c, folder, options, &err), &err);
    ok(chat_render(&out, c, &message, 1, true, &err), &err);
    assert_string_equal(str_text(&out), text);
    str_free(&out);
    chat_template_free(c);
}

static void refused(const char *folder, const struct chat_options *options, int code,
                    const char *message)
{
    struct err err = {0};
    chat_template *c;
    assert_int_equal(chat_template_open(&c, folder, options, &err), code);
    assert_null(c);
    if (!strstr(err.message, message))
        fail_msg("%s: \"%s\" does not say \"%s\"", err.where, err.message, message);
}

/* chat_template.jinja before tokenizer_config.json; a name or a path given by hand beats both;
 * special tokens from the config (text or AddedToken), and from special_tokens_map.json where the
 * config does not list the added tokens: as transformers 5.23 renders these folders. */
static void test_open(void **state)
{
    (void)state;
    char *folder = temp_folder();
    refused(folder, NULL, ERR_INPUT, "has no chat template");
    refused(folder, NULL, ERR_INPUT, "chatml, smollm2, qwen2.5, qwen3, llama3, mistral, zephyr");
    write_file(folder, "tokenizer_config.json",
               "{\"chat_template\": \"{{ bos_token }}{{ eos_token }}{{ unk_token }}"
               "{{ pad_token is defined }}\", \"eos_token\": {\"content\": \"</s>\"}, "
               "\"bos_token\": \"<s>\", \"pad_token\": null, \"model_max_length\": 1e30}");
    write_file(folder, "special_tokens_map.json",
               "{\"bos_token\": \"<old>\", \"unk_token\": {\"content\": \"<unk>\"}}");
    expect(folder, NULL, "<old></s><unk>False");
    write_file(
        folder, "tokenizer_config.json",
        "{\"chat_template\": \"{{ bos_token }}{{ unk_token is defined }}{{ image_token }}"
        "{{ tool }}{{ call }}{{ add_bos_token is defined }}\", \"added_tokens_decoder\": {}, "
        "\"bos_token\": \"<s>\", \"image_token\": {\"content\": \"<img>\"}, "
        "\"extra_special_tokens\": {\"tool\": \"<tool>\"}, \"add_bos_token\": true, "
        "\"model_specific_special_tokens\": {\"call\": \"<call>\"}}");
    expect(folder, NULL, "<s>False<img><tool><call>False");
    write_file(folder, "tokenizer_config.json",
               "{\"chat_template\": \"{{ bos_token }}{{ eos_token }}{{ unk_token }}"
               "{{ pad_token is defined }}\", \"eos_token\": {\"content\": \"</s>\"}, "
               "\"bos_token\": \"<s>\", \"added_tokens_decoder\": {}, \"unk_token\": \"<unk>\"}");
    json_t *kwargs = json_pack("{s:s}", "eos_token", "<mine>");
    expect(folder, &(struct chat_options){.kwargs = kwargs}, "<s><mine><unk>False");
    json_decref(kwargs);

    write_file(folder, "chat_template.jinja", "file: {{ messages[0].content }}{{ tools }}\n");
    expect(folder, NULL, "file: OiNone");
    expect(folder, &(struct chat_options){.template = "chatml"},
           "<|im_start|>user\nOi<|im_end|>\n<|im_start|>assistant\n");
    struct str path = {0};
    write_file(folder, "other.jinja", "other{{ documents }}");
    path_join(&path, folder, "other.jinja");
    expect("nowhere", &(struct chat_options){.template = str_text(&path)}, "otherNone");
    str_free(&path);
    refused(folder, &(struct chat_options){.template = "qwen4"}, ERR_USAGE,
            "unknown template qwen4");
    write_file(folder, "chat_template.jinja", "line one\n{{ messages[0]. }}");
    refused(folder, NULL, ERR_INPUT, "line 2, column 17");
    temp_folder_remove(folder);
}

/* A tokenizer_config.json that is broken, or holds something else than one template. */
static void test_config(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"{", "not valid JSON"},
        {"[]", "expected an object"},
        {"{\"chat_template\": 3}", "neither text nor a list"},
        {"{\"chat_template\": [{\"name\": \"a\", \"template\": \"x\"}, {\"name\": \"b\"}]}",
         "named \"default\""},
        {"{\"chat_template\": null}", "has no chat template"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *folder = temp_folder();
        write_file(folder, "tokenizer_config.json", texts[i][0]);
        refused(folder, NULL, ERR_INPUT, texts[i][1]);
        temp_folder_remove(folder);
    }
    char *folder = temp_folder();
    write_file(folder, "tokenizer_config.json",
               "{\"chat_template\": [{\"name\": \"tool_use\", \"template\": \"no\"}, "
               "{\"name\": \"default\", \"template\": \"yes\"}]}");
    expect(folder, NULL, "yes");
    json_t *number = json_integer(3), *ours = json_pack("{s:[]}", "messages");
    refused(folder, &(struct chat_options){.kwargs = number}, ERR_USAGE, "expected a map");
    refused(folder, &(struct chat_options){.kwargs = ours}, ERR_USAGE, "set for each prompt");
    json_decref(number);
    json_decref(ours);
    temp_folder_remove(folder);
}

static void test_bad_messages(void **state)
{
    (void)state;
    struct err err = {0};
    struct str out = {0};
    chat_template *c = open_named("chatml", NULL);
    assert_int_equal(chat_render(&out, c, NULL, 0, true, &err), ERR_INPUT);
    assert_non_null(strstr(err.message, "empty list"));
    struct chat_message tool[2] = {{"user", "a", 1, NULL}, {"tool", "b", 1, NULL}};
    str_puts(&out, "before");
    assert_int_equal(chat_render(&out, c, tool, 2, true, &err), ERR_INPUT);
    assert_non_null(strstr(err.message, "role \"tool\" is not system, user or assistant"));
    assert_string_equal(str_text(&out), "before");
    struct chat_message broken = {"user", "\xff", 1, NULL};
    assert_int_equal(chat_render(&out, c, &broken, 1, true, &err), ERR_INPUT);
    chat_template_free(c);
    str_free(&out);
}

/* The template sees a message's own object: other keys, in their order, and its reasoning under
 * the names that transformers gives it (5.23: the expected text is its). */
static void test_other_keys(void **state)
{
    (void)state;
    static const char template[] =
        "{% for m in messages %}{{ m | tojson }}{{ m.reasoning_content }}"
        "{% for c in m.tool_calls %}<{{ c.function.name }}>{% endfor %}{% endfor %}";
    struct err err = {0};
    struct str out = {0};
    chat_template *c;
    json_t *m = json_pack("{s:s,s:n,s:s,s:s,s:[{s:{s:s}}]}", "reasoning", "hum", "thinking", "role",
                          "assistant", "content", "Oi", "tool_calls", "function", "name", "frete");
    json_t *user = json_pack("{s:s,s:s,s:s}", "name", "Ana", "role", "user", "content", "?");
    struct chat_message messages[] = {{"user", "?", 1, user}, {"assistant", "Oi", 2, m}};
    ok(chat_template_parse(&c, template, sizeof template - 1, "keys", NULL, &err), &err);
    ok(chat_render(&out, c, messages, 2, true, &err), &err);
    assert_string_equal(str_text(&out),
                        "{\"name\": \"Ana\", \"role\": \"user\", \"content\": \"?\"}{\"thinking\": "
                        "null, \"reasoning\": \"hum\", "
                        "\"role\": \"assistant\", \"content\": \"Oi\", \"tool_calls\": "
                        "[{\"function\": {\"name\": \"frete\"}}], \"reasoning_content\": \"hum\"}"
                        "hum<frete>");
    json_decref(m);
    json_decref(user);
    chat_template_free(c);
    str_free(&out);
}

/* What a row alone would put into its prompt is refused, not left out. */
static void test_row_check(void **state)
{
    (void)state;
    static const struct {
        const char *row;
        const char *named;
    } cases[] = {
        {"{\"tools\":[{\"name\":\"f\"}]}", "\"tools\""},
        {"{\"tools\":\"f\"}", "\"tools\""},
        {"{\"chat_template_kwargs\":{\"enable_thinking\":false}}", "\"chat_template_kwargs\""},
        {"{\"tools\":[],\"chat_template_kwargs\":null}", NULL},
        {"{\"chat_template_kwargs\":{},\"documents\":[1]}", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        json_t *row = json_loads(cases[i].row, 0, NULL);
        assert_non_null(row);
        int status = chat_row_check(row, "here", &err);
        assert_int_equal(status, cases[i].named ? ERR_INPUT : ERR_NONE);
        if (cases[i].named)
            assert_non_null(strstr(err.message, cases[i].named));
        json_decref(row);
    }
}

/* The clock is not read; a template that asks for it gets the date it is given. */
static void test_date(void **state)
{
    (void)state;
    struct err err = {0};
    struct str out = {0};
    struct chat_message message = {"user", "Oi", 2, NULL};
    chat_template *c = open_named("tests/oracle/chat/templates/llama31_style.jinja", NULL);
    assert_int_equal(chat_render(&out, c, &message, 1, true, &err), ERR_INPUT);
    assert_non_null(strstr(err.message, "date_string"));
    chat_template_free(c);
    str_free(&out);
}

/* --- the codec --- */

static void check_prompt(const struct text_codec *c, const char *task,
                         const struct chat_message *messages, size_t n, const char *text)
{
    struct err err = {0};
    struct str out = {0};
    struct ids ids = {0};
    ok(text_codec_prompt(c, &ids, &out, task, messages, n, &err), &err);
    assert_string_equal(str_text(&out), text);
    str_free(&out);
    ids_free(&ids);
}

/* A text for every task or one for each; a conversation keeps its own. */
static void test_system_prompt(void **state)
{
    (void)state;
    struct err err = {0};
    struct text_codec c;
    struct chat_message user = {"user", "Oi", 2, NULL},
                        own[] = {{"system", "minha", 5, NULL}, {"user", "Oi", 2, NULL}};
    const char *const plain = "<|im_start|>user\nOi<|im_end|>\n<|im_start|>assistant\n";
    json_t *text = json_string("Seja breve."), *map = json_pack("{s:s}", "push", "Um push.");
    struct chat_options options = {.system_prompt = text};
    ok(text_codec_open(&c, "tests/demo/model", &options, NULL, &err), &err);
    check_prompt(&c, NULL, &user, 1,
                 "<|im_start|>system\nSeja breve.<|im_end|>\n<|im_start|>user\nOi<|im_end|>\n"
                 "<|im_start|>assistant\n");
    check_prompt(&c, "push", own, 2,
                 "<|im_start|>system\nminha<|im_end|>\n<|im_start|>user\nOi<|im_end|>\n"
                 "<|im_start|>assistant\n");
    text_codec_close(&c);
    options.system_prompt = map;
    ok(text_codec_open(&c, "tests/demo/model", &options, NULL, &err), &err);
    check_prompt(&c, "push", &user, 1,
                 "<|im_start|>system\nUm push.<|im_end|>\n<|im_start|>user\nOi<|im_end|>\n"
                 "<|im_start|>assistant\n");
    check_prompt(&c, "insights", &user, 1, plain);
    check_prompt(&c, NULL, &user, 1, plain);
    text_codec_close(&c);
    json_object_set_new(map, "sql_qa", json_integer(1));
    assert_int_equal(text_codec_open(&c, "tests/demo/model", &options, NULL, &err), ERR_USAGE);
    assert_non_null(strstr(err.message, "sql_qa"));
    json_decref(text);
    json_decref(map);
}

/* What the template writes behind an answer ends a completion, whatever it is called. */
static void test_turn_end(void **state)
{
    (void)state;
    struct err err = {0};
    struct str out = {0};
    static const char *const ends[][2] = {{"chatml", "<|im_end|>\n"},
                                          {"llama3", "<|eot_id|>"},
                                          {"mistral", "</s>"},
                                          {"zephyr", "</s>\n"}};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        chat_template *c = open_named(ends[i][0], NULL);
        str_clear(&out);
        chat_turn_end(&out, c);
        assert_string_equal(str_text(&out), ends[i][1]);
        chat_template_free(c);
    }
    str_free(&out);
    struct text_codec c;
    ok(text_codec_open(&c, "tests/demo/model", NULL, NULL, &err), &err);
    int id = tokenizer_token_id(c.tokenizer, "<|im_end|>", 10);
    bool there = false;
    for (int i = 0; i < c.n_eos; i++)
        there = there || c.eos[i] == id;
    assert_true(there);
    text_codec_close(&c);
}

static void copy_file(const char *folder, const char *name)
{
    struct err err = {0};
    struct str text = {0}, from = {0};
    path_join(&from, "tests/demo/model", name);
    ok(file_read(&text, str_text(&from), &err), &err);
    write_file(folder, name, str_text(&text));
    str_free(&text);
    str_free(&from);
}

/* The tokenizer's EOS: of the file that transformers takes it from. */
static void test_tokenizer_eos(void **state)
{
    (void)state;
    static const struct {
        const char *config, *map, *token;
    } cases[] = {
        {NULL, "{\"eos_token\": {\"content\": \"<|im_end|>\"}}", "<|im_end|>"},
        {"{\"eos_token\": null}", "{\"eos_token\": \"<|im_end|>\"}", "<|im_end|>"},
        {"{\"eos_token\": \"<|im_start|>\"}", "{\"eos_token\": \"<|im_end|>\"}", "<|im_end|>"},
        {"{\"eos_token\": \"<|im_start|>\"}", "{\"pad_token\": \"x\"}", "<|im_start|>"},
        {"{\"eos_token\": \"<|im_start|>\", \"added_tokens_decoder\": {}}",
         "{\"eos_token\": \"<|im_end|>\"}", "<|im_start|>"},
        {NULL, NULL, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        struct text_codec c;
        char *folder = temp_folder();
        copy_file(folder, "tokenizer.json");
        if (cases[i].config)
            write_file(folder, "tokenizer_config.json", cases[i].config);
        if (cases[i].map)
            write_file(folder, "special_tokens_map.json", cases[i].map);
        ok(text_codec_open(&c, folder, NULL, NULL, &err), &err);
        assert_int_equal(c.n_eos, cases[i].token ? 1 : 0);
        if (cases[i].token)
            assert_int_equal(
                c.eos[0], tokenizer_token_id(c.tokenizer, cases[i].token, strlen(cases[i].token)));
        text_codec_close(&c);
        temp_folder_remove(folder);
    }
}

/* The n-th allocation fails: a clean error, nothing lost. */
static void test_no_memory(void **state)
{
    (void)state;
    struct chat_message messages[] = {{"system", "s", 1, NULL},
                                      {"user", "Oi  tudo", 8, NULL},
                                      {"assistant", "a\nb", 3, NULL},
                                      {"user", "x", 1, NULL}};
    size_t before = mem_stats().live_blocks;
    bool done = false;
    for (long n = 0; !done; n++) {
        struct err err = {0};
        struct str out = {0};
        chat_template *c = NULL;
        struct chat_options options = {.template = "tests/oracle/chat/templates/everything.jinja"};
        mem_fail_after(n);
        int status = chat_template_open(&c, "tests/demo/model", &options, &err);
        if (!status)
            status = chat_render(&out, c, messages, 4, true, &err);
        mem_fail_after(-1);
        done = !status;
        if (status)
            assert_int_equal(status, ERR_MACHINE);
        chat_template_free(c);
        str_free(&out);
        if (mem_stats().live_blocks != before)
            fail_msg("allocation %ld: %zu blocks are lost", n, mem_stats().live_blocks - before);
        assert_true(n < 100000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chatml),        cmocka_unit_test(test_smollm2),
        cmocka_unit_test(test_qwen3),         cmocka_unit_test(test_families),
        cmocka_unit_test(test_open),          cmocka_unit_test(test_config),
        cmocka_unit_test(test_bad_messages),  cmocka_unit_test(test_date),
        cmocka_unit_test(test_system_prompt), cmocka_unit_test(test_turn_end),
        cmocka_unit_test(test_no_memory),     cmocka_unit_test(test_other_keys),
        cmocka_unit_test(test_row_check),     cmocka_unit_test(test_tokenizer_eos),
    };
    json_decref(json_read("{}", 2, 0, "", NULL));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
