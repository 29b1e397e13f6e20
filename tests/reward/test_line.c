/* test_line.c: what a reward is asked, from a line of JSON: prompt, completion, group. */
#include "cases.h"
#include "reward/line.h"

static json_t *parse(const char *text)
{
    struct err err = {0};
    json_t *json = json_read(text, strlen(text), JSON_NUL_ALLOWED, "test", &err);
    if (!json)
        fail_msg("%s", err.message);
    return json;
}

static void prompt_and_completion(void **state)
{
    (void)state;
    static const struct {
        const char *line, *prompt, *completion;
    } cases[] = {
        {"{\"completion\": \"c\"}", "", "c"},
        {"{\"completion\": \"c\", \"prompt\": null}", "", "c"},
        {"{\"completion\": \"\", \"prompt\": \"p\"}", "p", ""},
        {"{\"completion\": \"c\", \"prompt\": [{\"role\": \"system\", \"content\": \"s\"}, "
         "{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}, "
         "{\"role\": \"user\", \"content\": \"d\"}]}",
         "a\nd", "c"},
    };
    struct reward_line l = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *json = parse(cases[i].line);
        assert_int_equal(reward_line_read(&l, json, json, NULL), 0);
        assert_int_equal(l.in.prompt_length, strlen(cases[i].prompt));
        assert_memory_equal(l.in.prompt, cases[i].prompt, l.in.prompt_length);
        assert_int_equal(l.in.completion_length, strlen(cases[i].completion));
        assert_memory_equal(l.in.completion, cases[i].completion, l.in.completion_length);
        assert_ptr_equal(l.in.row, json);
        assert_int_equal(l.in.n_group, 0);
        json_decref(json);
    }
    reward_line_free(&l);
}

/* A line of samples.jsonl and the row it is about. */
static void two_objects(void **state)
{
    (void)state;
    json_t *line = parse("{\"text\": \"t\\u0000x\", \"prompt\": \"not this\"}"),
           *row = parse("{\"prompt\": \"this\", \"completion\": \"nor this\"}");
    struct reward_line l = {0};
    struct err err = {0};
    assert_int_equal(reward_line_read(&l, line, row, &err), 0);
    assert_int_equal(l.in.completion_length, 3);
    assert_memory_equal(l.in.completion, "t\0x", 3);
    assert_string_equal(l.in.prompt, "this");
    assert_int_equal(reward_line_read(&l, line, line, &err), ERR_INPUT);
    assert_string_equal(err.message, "\"completion\" is nothing, expected text");
    json_decref(line);
    json_decref(row);
    reward_line_free(&l);
}

static void group(void **state)
{
    (void)state;
    json_t *three = parse("{\"completion\": \"c\", \"group\": [\"a\", \"\", \"c\"]}"),
           *none = parse("{\"completion\": \"c\", \"group\": []}"),
           *bad = parse("{\"completion\": \"c\", \"group\": [\"a\", 3]}");
    struct reward_line l = {0};
    struct err err = {0};
    assert_int_equal(reward_line_read(&l, three, three, &err), 0);
    assert_int_equal(l.in.n_group, 4);
    assert_int_equal(l.in.sample, 0);
    static const char *const texts[] = {"c", "a", "", "c"};
    for (int i = 0; i < 4; i++)
        assert_true(slice_equals(l.in.group[i], texts[i]));
    assert_int_equal(reward_line_read(&l, none, none, &err), 0);
    assert_int_equal(l.in.n_group, 1); /* known to be alone */
    assert_int_equal(reward_line_read(&l, bad, bad, &err), ERR_INPUT);
    assert_string_equal(err.message, "item 1 of \"group\" is an integer, expected text");
    json_decref(three);
    json_decref(none);
    json_decref(bad);
    reward_line_free(&l);
}

static void wrong_lines(void **state)
{
    (void)state;
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"{\"completion\": 3}", "\"completion\" is an integer, expected text"},
        {"{\"completion\": \"\", \"prompt\": 3}", "expected messages or text"},
        {"{\"completion\": \"\", \"prompt\": [{\"role\": \"user\"}]}", "message 0"},
    };
    struct reward_line l = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        json_t *json = parse(cases[i].line);
        assert_int_equal(reward_line_read(&l, json, json, &err), ERR_INPUT);
        if (!strstr(err.message, cases[i].message))
            fail_msg("%s: %s", cases[i].line, err.message);
        json_decref(json);
    }
    reward_line_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompt_and_completion),
        cmocka_unit_test(two_objects),
        cmocka_unit_test(group),
        cmocka_unit_test(wrong_lines),
    };
    return cmocka_run_group_tests_name("line", tests, NULL, NULL);
}
