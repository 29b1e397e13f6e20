/* test_chat.c: conversations as transformers renders and encodes them with the real templates
 * (tests/oracle/chat), how a template is found, and what an unknown one says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
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
                                       json_string_value(content), json_string_length(content)};
    }
    return n;
}

static bool check_side(const struct chat_template *c, const tokenizer *t, const json_t *row,
                       bool prompt)
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
    const struct chat_template *c = chat_template_find(name);
    assert_non_null(c);
    assert_string_equal(chat_template_name(c), name);
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
    assert_int_equal(rows, 29);
    assert_int_equal(bad, 0);
}

static void test_chatml(void **state)
{
    (void)state;
    check_family("chatml", "assets/demo/model/tokenizer.json");
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

static void write_file(const char *folder, const char *name, const char *text)
{
    struct str path = {0};
    struct err err = {0};
    ok(file_write_atomic(path_join(&path, folder, name), text, strlen(text), &err), &err);
    str_free(&path);
}

/* chat_template.jinja is read before tokenizer_config.json; a name given by hand beats both. */
static void test_open(void **state)
{
    (void)state;
    struct err err = {0};
    const struct chat_template *c;
    char *folder = temp_folder();
    struct str known = {0};
    ok(file_read(&known, "assets/demo/model/chat_template.jinja", &err), &err);
    assert_ptr_equal(chat_template_recognise(str_text(&known), known.length),
                     chat_template_find("chatml"));
    assert_null(chat_template_recognise(str_text(&known), known.length - 1));
    assert_null(chat_template_find("none"));

    assert_int_equal(chat_template_open(&c, folder, NULL, &err), ERR_INPUT);
    assert_non_null(strstr(err.message, "no chat template"));
    assert_non_null(strstr(err.message, "chat_template: NAME"));
    assert_non_null(strstr(err.message, "chatml, smollm2, qwen3"));
    assert_string_equal(err.where, folder);
    assert_null(c);

    json_t *config = json_pack("{s:s}", "chat_template", str_text(&known));
    char *text = json_dumps(config, 0);
    write_file(folder, "tokenizer_config.json", text);
    ok(chat_template_open(&c, folder, NULL, &err), &err);
    assert_string_equal(chat_template_name(c), "chatml");
    mem_free(text); /* jansson allocates by mem_alloc once json.c has been used */
    json_decref(config);

    write_file(folder, "chat_template.jinja", "{{ messages[0].content }}");
    assert_int_equal(chat_template_open(&c, folder, NULL, &err), ERR_INPUT);
    /* sha256 of the text above, so that a user can report it */
    assert_non_null(strstr(err.message, "not known, SHA-256 "));
    char hash[65];
    sha256_hex(hash, "{{ messages[0].content }}", 25);
    assert_non_null(strstr(err.message, hash));
    assert_non_null(strstr(err.message, "chat_template: NAME"));
    assert_non_null(strstr(err.message, "chatml, smollm2, qwen3"));

    ok(chat_template_open(&c, folder, "qwen3", &err), &err);
    assert_string_equal(chat_template_name(c), "qwen3");
    assert_int_equal(chat_template_open(&c, folder, "qwen4", &err), ERR_INPUT);
    assert_non_null(strstr(err.message, "unknown template qwen4"));
    assert_non_null(strstr(err.message, "chatml, smollm2, qwen3"));
    str_free(&known);
    temp_folder_remove(folder);
}

/* A tokenizer_config.json that is broken, or holds something else than one template. */
static void test_bad_config(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"{", "not valid JSON"},
        {"[]", "expected an object"},
        {"{\"chat_template\": 3}", "\"chat_template\" is an integer"},
        {"{\"chat_template\": [{\"name\": \"default\", \"template\": \"x\"}]}",
         "\"chat_template\" is a list"},
        {"{\"chat_template\": null}", "no chat template"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct err err = {0};
        const struct chat_template *c;
        char *folder = temp_folder();
        write_file(folder, "tokenizer_config.json", texts[i][0]);
        assert_int_equal(chat_template_open(&c, folder, NULL, &err), ERR_INPUT);
        if (!strstr(err.message, texts[i][1]))
            fail_msg("%s: \"%s\"", texts[i][0], err.message);
        temp_folder_remove(folder);
    }
}

static void test_bad_messages(void **state)
{
    (void)state;
    struct err err = {0};
    struct str out = {0};
    const struct chat_template *c = chat_template_find("chatml");
    assert_int_equal(chat_render(&out, c, NULL, 0, true, &err), ERR_INPUT);
    assert_non_null(strstr(err.message, "empty list"));
    struct chat_message tool[2] = {{"user", "a", 1}, {"tool", "b", 1}};
    assert_int_equal(chat_render(&out, c, tool, 2, true, &err), ERR_INPUT);
    assert_non_null(strstr(err.message, "message 1 has role \"tool\""));
    str_free(&out);
}

/* The real templates, where they are at hand. */
static void test_real_qwen3(void **state)
{
    (void)state;
    const char *folder = asset("tokenizers/qwen3");
    if (!folder)
        skip();
    struct err err = {0};
    const struct chat_template *c;
    ok(chat_template_open(&c, folder, NULL, &err), &err);
    assert_string_equal(chat_template_name(c), "qwen3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chatml),     cmocka_unit_test(test_smollm2),
        cmocka_unit_test(test_qwen3),      cmocka_unit_test(test_open),
        cmocka_unit_test(test_bad_config), cmocka_unit_test(test_bad_messages),
        cmocka_unit_test(test_real_qwen3),
    };
    json_decref(json_read("{}", 2, 0, "", NULL));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
