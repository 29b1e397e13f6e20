/* test_rows.c: datasets: what a row becomes, every refusal with its line, and the check that
 * evaluation rows are not training rows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/rows.h"

static char *folder;
static struct err err;

static int make_folder(void **state)
{
    (void)state;
    folder = temp_folder();
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    temp_folder_remove(folder);
    return 0;
}

static const char *at(const char *name)
{
    static char paths[4][600];
    static int next;
    next = (next + 1) % 4;
    snprintf(paths[next], sizeof paths[next], "%s/%s", folder, name);
    return paths[next];
}

static struct dataset opened(const char *name, const char *text)
{
    struct dataset d;
    assert_int_equal(file_write_atomic(at(name), text, strlen(text), &err), 0);
    if (dataset_open(&d, at(name), &err) != 0)
        fail_msg("%s: %s", err.where, err.message);
    return d;
}

/* The text is refused at this line (0: the file as a whole) with a message that holds `part`. */
static void refused(const char *text, int line, const char *part)
{
    struct dataset d;
    size_t blocks = mem_stats().live_blocks;
    memset(&err, 0, sizeof err);
    assert_int_equal(file_write_atomic(at("bad.jsonl"), text, strlen(text), &err), 0);
    if (dataset_open(&d, at("bad.jsonl"), &err) != ERR_INPUT)
        fail_msg("accepted: %s", text);
    char where[700];
    snprintf(where, sizeof where, line ? "%s, line %d" : "%s", at("bad.jsonl"), line);
    assert_string_equal(err.where, where);
    if (!strstr(err.message, part))
        fail_msg("\"%s\" does not say \"%s\"", err.message, part);
    assert_int_equal(mem_stats().live_blocks, blocks);
}

static void test_rows(void **state)
{
    (void)state;
    static const char text[] =
        "\xEF\xBB\xBF{\"id\": \"a\", \"task\": \"push\", \"prompt\": [{\"role\": \"system\", "
        "\"content\": \"S\"}, {\"role\": \"user\", \"content\": \"one\"}, {\"role\": \"user\", "
        "\"content\": \"two\"}], \"reference\": {\"x\": 1}}\r\n"
        "\r\n"
        "   \n"
        "{\"id\": 17, \"prompt\": \"plain\"}\r\n"
        "{\"id\": null, \"task\": null, \"prompt\": \"no id\"}\n"
        "{\"prompt_ids\": [1, 2]}";
    struct dataset d = opened("rows.jsonl", text);
    assert_int_equal(d.count, 4);
    assert_string_equal(d.rows[0].id, "a");
    assert_true(d.rows[0].key == rng_id("a", 1));
    assert_string_equal(d.rows[0].task, "push");
    assert_int_equal(d.rows[0].n_messages, 3);
    assert_string_equal(d.rows[0].messages[0].role, "system");
    assert_string_equal(d.rows[0].user_text, "one\ntwo");
    assert_non_null(json_object_get(d.rows[0].json, "reference"));
    assert_int_equal(d.rows[0].line, 1);
    assert_string_equal(d.rows[1].id, "17");
    assert_int_equal(d.rows[1].line, 4);
    assert_string_equal(d.rows[1].task, "");
    assert_string_equal(d.rows[1].messages[0].role, "user");
    assert_string_equal(d.rows[1].user_text, "plain");
    assert_string_equal(d.rows[2].id, "line-5");
    assert_string_equal(d.rows[3].id, "line-6");
    assert_null(d.rows[3].messages);
    assert_string_equal(d.rows[3].user_text, "");
    char sha256[65];
    sha256_hex(sha256, text, strlen(text));
    assert_string_equal(d.sha256, sha256);
    const char *names[4];
    assert_int_equal(dataset_tasks(&d, names, 4), 2);
    assert_string_equal(names[0], "push");
    assert_string_equal(names[1], "");
    assert_int_equal(dataset_tasks(&d, names, 1), 1);
    dataset_close(&d);
    dataset_close(&d);
}

static void test_refused(void **state)
{
    (void)state;
    refused("{\"prompt\": \"a\"}\n{\"prompt\": \n", 2, "not valid JSON");
    refused("{\"prompt\": \"a\"}\n\n[1]\n", 3, "is a list, expected an object");
    refused("hello\n", 1, "not valid JSON");
    refused("{\"prompt\": \"\xFF\"}\n", 1, "not valid JSON");
    refused("{\"prompt\": \"\\ud800\"}\n", 1, "not valid JSON");
    refused("{\"id\": 1}\n", 1, "\"prompt\" is nothing; expected a list of messages");
    refused("{\"prompt\": []}\n", 1, "\"prompt\" is a list; expected a list of messages");
    refused("{\"prompt\": 5}\n", 1, "\"prompt\" is an integer");
    refused("{\"prompt\": {}}\n", 1, "\"prompt\" is an object");
    refused("{\"prompt\": null, \"prompt_ids\": 3}\n", 1, "\"prompt\" is null");
    refused("{\"prompt\": [\"hi\"]}\n", 1, "a message of \"prompt\" is not");
    refused("{\"prompt\": [{\"role\": \"user\"}]}\n", 1, "a message of \"prompt\" is not");
    refused("{\"prompt\": [{\"role\": \"user\", \"content\": [\"a\"]}]}\n", 1,
            "a message of \"prompt\" is not");
    refused("{\"prompt\": \"a\", \"id\": 1.5}\n", 1,
            "\"id\" is a number, expected text or an integer");
    refused("{\"prompt\": \"a\", \"tools\": null}\n{\"prompt\": \"b\", \"tools\": [{}]}\n", 2,
            "has \"tools\", which is not passed to the chat template");
    refused("{\"prompt\": \"a\", \"task\": 1}\n", 1, "\"task\" is an integer, expected text");
    refused("{\"prompt\": \"a\", \"id\": \"x\"}\n{\"prompt\": \"b\", \"id\": \"y\"}\n"
            "{\"prompt\": \"c\", \"id\": \"x\"}\n",
            3, "the id \"x\" appears twice");
    refused("{\"prompt\": \"a\", \"id\": 7}\n{\"prompt\": \"b\", \"id\": \"7\"}\n", 2,
            "the id \"7\" appears twice");
    refused("", 0, "has no rows");
    refused("\n\r\n \n", 0, "has no rows");
    refused("\xEF\xBB\xBF", 0, "has no rows");
    struct dataset d;
    assert_int_equal(dataset_open(&d, at("missing.jsonl"), &err), ERR_INPUT);
    assert_string_equal(err.where, at("missing.jsonl"));
}

static void test_no_memory(void **state)
{
    (void)state;
    static const char text[] =
        "{\"id\": \"a\", \"prompt\": [{\"role\": \"user\", \"content\": \"one\"}]}\n"
        "{\"prompt\": \"two\"}\n";
    assert_int_equal(file_write_atomic(at("rows.jsonl"), text, strlen(text), &err), 0);
    size_t blocks = mem_stats().live_blocks;
    int status = ERR_MACHINE, failures = 0;
    for (long n = 0; status == ERR_MACHINE; n++) {
        struct dataset d;
        mem_fail_after(n);
        status = dataset_open(&d, at("rows.jsonl"), &err);
        mem_fail_after(-1);
        failures += status == ERR_MACHINE;
        dataset_close(&d);
        assert_int_equal(mem_stats().live_blocks, blocks);
    }
    assert_int_equal(status, 0);
    assert_true(failures > 5);
}

static void expect_same(const char *a, const char *b, bool same)
{
    char text[1000];
    struct str x = {0}, y = {0};
    snprintf(text, sizeof text, "%s\n%s\n", a, b);
    struct dataset d = opened("pair.jsonl", text);
    assert_int_equal(row_fingerprint(&x, &d.rows[0], &err), 0);
    assert_int_equal(row_fingerprint(&y, &d.rows[1], &err), 0);
    if ((x.length == y.length && memcmp(x.data, y.data, x.length) == 0) != same)
        fail_msg("%s the same: %s", same ? "not" : "", text);
    assert_true(x.length > 0);
    str_free(&x);
    str_free(&y);
    dataset_close(&d);
}

static void test_fingerprint(void **state)
{
    (void)state;
    expect_same("{\"prompt\": \"Um  push\\n curto \"}", "{\"prompt\": \"um push CURTO\"}", true);
    expect_same("{\"prompt\": \"caf\\u00e9\"}", "{\"prompt\": \"cafe\\u0301\"}", true);
    expect_same("{\"prompt\": \"stra\\u00dfe\"}", "{\"prompt\": \"STRASSE\"}", true);
    expect_same("{\"prompt\": \"a\\u00a0b\\u200b\"}", "{\"prompt\": \"a b\"}", true);
    expect_same("{\"prompt\": \"\\ufb01m\"}", "{\"prompt\": \"fim\"}", true);
    expect_same("{\"prompt\": \"ab\"}", "{\"prompt\": \"a b\"}", false);
    expect_same("{\"prompt\": \"cafe\"}", "{\"prompt\": \"caf\\u00e9\"}", false);
    /* Everything after a NUL counts, too. */
    expect_same("{\"prompt\": \"a\\u0000b\"}", "{\"prompt\": \"a\\u0000c\"}", false);
    /* The user's words decide, not the system's. */
    expect_same("{\"prompt\": [{\"role\": \"system\", \"content\": \"x\"}, {\"role\": \"user\", "
                "\"content\": \"q\"}]}",
                "{\"prompt\": \"Q\", \"task\": \"t\"}", true);
    /* Without a user's words the prompt itself is compared. */
    expect_same("{\"prompt_ids\": [1, 2], \"id\": 1}", "{\"prompt_ids\": [1,2], \"id\": 2}", true);
    expect_same("{\"prompt_ids\": [1, 2]}", "{\"prompt_ids\": [1, 3]}", false);
    expect_same("{\"prompt_ids\": [1]}", "{\"prompt\": \"[1]\"}", false);
    expect_same("{\"prompt\": [{\"role\": \"system\", \"content\": \"x\"}]}",
                "{\"prompt\": [{\"role\": \"system\", \"content\": \"y\"}]}", false);
}

static void test_disjoint(void **state)
{
    (void)state;
    struct dataset train = opened("train.jsonl", "{\"id\": \"t1\", \"prompt\": \"Um push\"}\n"
                                                 "{\"id\": \"t2\", \"prompt\": \"Outro  Push\"}\n"
                                                 "{\"id\": \"t3\", \"prompt_ids\": [4, 5]}\n");
    struct dataset good = opened("good.jsonl", "{\"id\": \"t1\", \"prompt\": \"um pulo\"}\n"
                                               "{\"id\": \"e2\", \"prompt_ids\": [4, 5, 6]}\n");
    assert_int_equal(dataset_disjoint(&train, &good, &err), 0);
    struct dataset bad = opened("bad.jsonl", "{\"id\": \"e1\", \"prompt\": \"um pulo\"}\n\n"
                                             "{\"id\": \"e2\", \"prompt\": \"outro push \"}\n");
    assert_int_equal(dataset_disjoint(&train, &bad, &err), ERR_GATE);
    assert_string_equal(err.where, bad.path);
    assert_non_null(strstr(err.message, "row \"e2\" (line 3) is also a training row: \"t2\""));
    assert_non_null(strstr(err.message, "line 2) has the same prompt"));
    struct dataset ids = opened("ids.jsonl", "{\"prompt_ids\": [4,5]}\n");
    assert_int_equal(dataset_disjoint(&train, &ids, &err), ERR_GATE);
    struct dataset none = {0};
    assert_int_equal(dataset_disjoint(&none, &good, &err), 0);
    assert_int_equal(dataset_disjoint(&train, &none, &err), 0);
    dataset_close(&train);
    dataset_close(&good);
    dataset_close(&bad);
    dataset_close(&ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_disjoint),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
