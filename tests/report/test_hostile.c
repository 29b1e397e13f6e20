/* test_hostile.c: damaged and hostile run folders: a message or a report, never a crash, and
 * nothing of theirs is markup. */
#include <stdio.h>
#include <string.h>
#include "../support/run_folders.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "report/report.h"

static char *folder;
static struct err err;
static struct str md, html, json;

static int make_folder(void **state)
{
    (void)state;
    folder = temp_folder();
    return 0;
}

static void forget(void)
{
    str_free(&md);
    str_free(&html);
    str_free(&json);
}

static int remove_folder(void **state)
{
    (void)state;
    forget();
    temp_folder_remove(folder);
    return 0;
}

static int report_of(const char *const *runs, int n)
{
    forget();
    err = (struct err){0};
    struct report_request q = {.runs = runs, .n_runs = n};
    struct report_texts texts = {.markdown = &md, .html = &html, .json = &json};
    return report_write(&q, &texts, &err);
}

/* The report is made, is well-formed, and its object is JSON. */
static void expect_report(const char *run)
{
    if (report_of(&run, 1))
        fail_msg("%s: %s", err.where, err.message);
    expect_well_formed(str_text(&html));
    struct err why = {0};
    json_t *object = json_read(str_text(&json), json.length, 0, "report", &why);
    if (!object)
        fail_msg("%s: %s", why.where, why.message);
    json_decref(object);
    assert_true(utf8_valid(str_text(&md), md.length));
}

static void expect_in(const struct str *text, const char *part)
{
    if (!strstr(str_text(text), part))
        fail_msg("not in the report: %s", part);
}

static const char *good_run(const char *name)
{
    struct run_spec s = run_improved(name, 1, 0);
    return run_write(folder, &s);
}

static void test_no_run_folder(void **state)
{
    (void)state;
    const char *run = folder;
    assert_int_equal(report_of(&run, 1), ERR_INPUT);
    assert_non_null(strstr(err.message, "neither run.json nor metrics.jsonl"));
    run = "/nowhere/at/all";
    assert_int_equal(report_of(&run, 1), ERR_INPUT);
    assert_non_null(strstr(err.message, "is no folder"));
    assert_int_equal(report_of(&run, 0), ERR_USAGE);
}

static void test_same_seed_twice(void **state)
{
    (void)state;
    const char *runs[3] = {good_run("a"), good_run("b"), good_run("c")};
    assert_int_equal(report_of(runs, 3), ERR_USAGE);
    assert_non_null(strstr(err.message, "seed 1"));
}

/* An experiment folder of what is no seed, and too many. */
static void test_odd_experiments(void **state)
{
    (void)state;
    static const char *const odd[] = {"seed-007", "seed-7.old", "seed-99999999999",
                                      "seed-",    "seed- 3",    "Seed-4"};
    char path[800], file[80];
    snprintf(path, sizeof path, "%s/x", folder);
    const char *x = path;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        snprintf(file, sizeof file, "%s/metrics.jsonl", odd[i]);
        run_put(x, file, "");
    }
    assert_int_equal(report_of(&x, 1), ERR_INPUT);
    assert_non_null(strstr(err.message, "no experiment"));
    run_put(x, "seed-5", "a file");
    run_put(x, "seed-6/metrics.jsonl", "");
    expect_report(x);
    expect_in(&md, "x holds 1 seed folders without a run");
    for (int i = 0; i < 70; i++) {
        snprintf(file, sizeof file, "seed-%d/metrics.jsonl", 100 + i);
        run_put(x, file, "");
    }
    assert_int_equal(report_of(&x, 1), ERR_USAGE);
    assert_non_null(strstr(err.message, "at most 64"));
}

/* Rewards of any shape, on both sides of a comparison. The first three pay nothing, however they
 * are written, so that values under them are alike. */
static void test_odd_rewards_compared(void **state)
{
    (void)state;
    enum { PAY_NOTHING = 3 };
    static const char *const rewards[] = {
        "null",
        "[]",
        "{\"name\": \"<b>\", \"weight\": 0}",
        "7",
        "[null, 1, [[]], {\"name\": 5}, {\"weight\": \"x\"}]",
        "{\"sql_qa\": 3, \"insights\": [{\"name\": \"a\", \"weight\": 0}]}",
        "\"push\"",
    };
    static const char about[] = "{\"seed\": 1, \"recipe\": {\"rewards\": %s}}";
    const char *runs[2] = {good_run("a"), good_run("b")};
    const size_t n = sizeof rewards / sizeof *rewards;
    for (size_t i = 0; i < n * n; i++) {
        size_t a = i / n, b = i % n;
        bool alike = a == b || (a < PAY_NOTHING && b < PAY_NOTHING);
        char text[300];
        snprintf(text, sizeof text, about, rewards[a]);
        run_put(runs[0], "run.json", text);
        snprintf(text, sizeof text, about, rewards[b]);
        run_put(runs[1], "run.json", text);
        if (report_of(runs, 2))
            fail_msg("%s: %s", err.where, err.message);
        expect_well_formed(str_text(&html));
        assert_int_equal(!strstr(str_text(&md), "scored by different rewards"), alike);
    }
}

static void test_missing_files(void **state)
{
    (void)state;
    static const char *const files[] = {"run.json", "metrics.jsonl",    "timing.jsonl",
                                        "eval",     "eval/step-0.json", "eval/step-10.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *run = good_run("a");
        char path[800];
        snprintf(path, sizeof path, "%s/%s", run, files[i]);
        assert_int_equal(dir_remove(path, &err), 0);
        expect_report(run);
        if (i < 3)
            expect_in(&md, files[i]); /* it says what is missing */
        else
            expect_in(&md, "Nothing can be said of a gain");
        temp_folder_remove(folder);
        folder = temp_folder();
    }
}

static void test_only_metrics(void **state)
{
    (void)state;
    char run[700];
    snprintf(run, sizeof run, "%s/bare", folder);
    run_put(run, "metrics.jsonl", "");
    expect_report(run);
    expect_in(&md, "Nothing can be said of a gain");
}

static void test_damaged_lines(void **state)
{
    (void)state;
    const char *run = good_run("a");
    run_put(run, "metrics.jsonl",
            "{\"step\": 0, \"eval/mean_reward\": 0.35}\n"
            "{\"step\": 1, \"reward\": NaN}\n"
            "{\"step\": 2, \"reward\": null, \"x\": \"text\"}\n"
            "[1, 2]\n"
            "{\"step\": -4, \"reward\": 1}\n"
            "{\"step\": 1e300, \"reward\": 1}\n"
            "{\"step\": 2.5, \"reward\": 1}\n"
            "{\"reward\": 1}\n"
            "{\"step\": 10, \"eval/mean_reward\": 0.675, \"reward\": 1e308, \"entropy\": -1e308}\n"
            "{\"step\": 3, \"reward\": 0.5}\n"
            "\xff\xfe\n"
            "{\"step\": 11, \"reward\": 0.5");
    expect_report(run);
    expect_in(&md, "metrics.jsonl, line 2: cannot be read and is left out");
    expect_in(&md, "line 10: step 3 comes after step 10 and is left out");
    expect_in(&md, "metrics.jsonl, line 12: cannot be read");
    expect_in(&md, "+0.400 \\[+0.311, +0.489\\]"); /* the rest is there */
}

static void test_damaged_evaluations(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{\"rows\": []}",
        "{\"rows\": [1]}",
        "{\"rows\": [{\"id\": 5, \"task\": \"a\"}]}",
        "{\"rows\": [{\"id\": \"a\", \"task\": \"a\", \"value\": \"x\"}]}",
        "{\"rows\": [{\"id\": \"a\", \"value\": 1}, {\"id\": \"a\", \"value\": 1}]}",
        "{\"rows\": [{\"id\": \"a\", \"task\": \"a\", \"value\": null}]}",
        "{\"step\": \"x\", \"rows\": [{\"id\": \"a\", \"task\": \"a\", \"value\": 1}]}",
        "{\"rows\": [{\"id\": \"a\", \"value\": 1, \"components\": [3], \"samples\": 7}]}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *run = good_run("a");
        run_put(run, "eval/step-10.json", texts[i]);
        run_put(run, "eval/step-99999999999999999999.json", "{}");
        run_put(run, "eval/step-x.json", "{}");
        expect_report(run);
        expect_in(&md, "Nothing can be said of a gain");
    }
}

/* Values that are missing on one side are left out and counted. */
static void test_rows_without_value(void **state)
{
    (void)state;
    const char *run = good_run("a");
    struct str text = {0};
    char path[800];
    snprintf(path, sizeof path, "%s/eval/step-10.json", run);
    assert_int_equal(file_read(&text, path, &err), 0);
    char *value = strstr(text.data, "\"value\": 0.5"); /* the first row's */
    assert_non_null(value);
    char *end = strchr(value, ',');
    memset(value, ' ', (size_t)(end - value));
    memcpy(value, "\"value\":null", 12);
    run_put(run, "eval/step-10.json", str_text(&text));
    str_free(&text);
    expect_report(run);
    expect_in(&md, "1 rows of the eval set have no value in some evaluation");
    expect_in(&md, "| sql_qa | 7 |");
}

static void test_gates(void **state)
{
    (void)state;
    const char *run = good_run("a");
    run_put(run, "gates/a.json", "[1]");
    run_put(run, "gates/b.json", "{\"stage\": 7, \"verdict\": null, \"figures\": \"text\"}");
    run_put(run, "gates/c.json",
            "{\"stage\": \"<i>x</i>|y\", \"verdict\": \"<b>\", \"figures\": "
            "{\"<u>\": [1, {\"a\": 1e300}], \"k\": \"\\u202e\"}}");
    run_put(run, "gates/d.json", "{\"stage\": \"kv\"");
    run_put(run, "gates/e.json",
            "{\"stage\": \"probe\", \"verdict\": \"pass\", \"seconds\": -1e99, "
            "\"figures\": {\"n\": 123456789012345678901234567890}}");
    expect_report(run);
    assert_null(strstr(str_text(&html), "<i>"));
    assert_null(strstr(str_text(&html), "<u>"));
    assert_null(strstr(str_text(&html), "\u202e"));
    expect_in(&html, "&lt;i&gt;x&lt;/i&gt;|y");
}

/* --- texts --- */

static void test_markup_in_completions(void **state)
{
    (void)state;
    struct run_spec s = run_improved("a", 1, 0);
    s.text =
        "\"<script>alert('1')</script>\\u001b[31m & \\\"q\\\" ```\\n<img src=x onerror=y>\\n\\n"
        "# no heading\\u0000\\u202e\\u0007 </pre><svg onload=z>\"";
    expect_report(run_write(folder, &s));
    assert_null(strstr(str_text(&html), "<script"));
    assert_null(strstr(str_text(&html), "<img"));
    assert_null(strstr(str_text(&html), "<svg onload"));
    assert_null(strchr(str_text(&html), 0x1b));
    assert_null(strchr(str_text(&md), 0x1b));
    assert_null(strstr(str_text(&html), "\u202e"));
    assert_int_equal(strlen(str_text(&html)), html.length); /* no NUL */
    expect_in(&html,
              "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;\\u001b[31m &amp; &quot;q&quot;");
    expect_in(&html, "# no heading\\u0000\\u202e\\u0007 &lt;/pre&gt;");
    /* in Markdown each line of it is indented: nothing there is markup */
    expect_in(&md, "\n    <script>alert('1')</script>\\u001b[31m & \"q\" ```\n    <img src=x");
    expect_in(&md, "\n    # no heading");
}

static void test_huge_names(void **state)
{
    (void)state;
    struct run_spec s = run_improved("a", 1, 0);
    const char *run = run_write(folder, &s);
    struct str text = {0}, name = {0};
    for (int i = 0; i < 50000; i++)
        str_puts(&name, i % 7 ? "x" : "<&|");
    str_printf(&text, "{\"rows\": [");
    for (int i = 0; i < 6; i++)
        str_printf(&text,
                   "%s{\"id\": \"%s%d\", \"task\": \"%s\", \"value\": 0.%d, \"text\": \"%s\"}",
                   i ? ", " : "", str_text(&name), i, str_text(&name), i, str_text(&name));
    str_puts(&text, "]}");
    run_put(run, "eval/step-0.json", str_text(&text));
    run_put(run, "eval/step-10.json", str_text(&text));
    str_clear(&text);
    str_printf(&text,
               "{\"step\": 10, \"eval/mean_reward\": 0.9, \"sampler/%s_weight\": 1, "
               "\"eval/%s_se\": 1}\n",
               str_text(&name), str_text(&name));
    run_put(run, "metrics.jsonl", str_text(&text));
    str_clear(&text);
    str_printf(&text,
               "{\"seed\": 1, \"version\": \"%s\", \"recipe\": {\"%s\": 1, \"history\": "
               "[{\"%s\": \"%s\"}], \"baseline\": {\"name\": \"%s\", \"eval/sql_qa\": 1}}}",
               str_text(&name), str_text(&name), str_text(&name), str_text(&name), str_text(&name));
    run_put(run, "run.json", str_text(&text));
    str_free(&text);
    str_free(&name);
    expect_report(run);
}

/* A task of one row, tasks by the hundred, values beyond all measure. */
static void test_odd_rows(void **state)
{
    (void)state;
    const char *run = good_run("a");
    struct str text = {0};
    for (int kind = 0; kind < 3; kind++) {
        str_clear(&text);
        str_puts(&text, "{\"rows\": [");
        int n = kind == 0 ? 1 : kind == 1 ? 300 : 4;
        for (int i = 0; i < n; i++)
            str_printf(&text, "%s{\"id\": \"r%d\", \"task\": \"t%d\", \"value\": %s}",
                       i ? ", " : "", i, kind == 2 ? 0 : i,
                       kind == 2 ? (i % 2 ? "1e308" : "-1e308") : "0.5");
        str_puts(&text, "]}");
        run_put(run, "eval/step-0.json", str_text(&text));
        run_put(run, "eval/step-10.json", str_text(&text));
        expect_report(run);
    }
    str_free(&text);
    /* two rows that differ: an interval of one row's task cannot be stated */
    run_put(
        run, "eval/step-0.json",
        "{\"rows\": [{\"id\": \"a\", \"task\": \"t\", \"value\": 0.1}, {\"id\": \"b\", \"task\": "
        "\"u\", \"value\": 0.1}]}");
    run_put(
        run, "eval/step-10.json",
        "{\"rows\": [{\"id\": \"a\", \"task\": \"t\", \"value\": 0.9}, {\"id\": \"b\", \"task\": "
        "\"u\", \"value\": 0.9}]}");
    expect_report(run);
    expect_in(&md, "too few prompts for an interval");
    if (strstr(str_text(&md), "nan"))
        fail_msg("a NaN: %.200s", strstr(str_text(&md), "nan") - 100);
}

static void test_hostile_recipe(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"recipe\": 5, \"seed\": \"x\", \"max_steps\": -1}",
        "{\"recipe\": {\"rewards\": [[[[[{\"known_gameable\": true}]]]]], \"baseline\": [1], "
        "\"history\": {\"a\": 1}, \"metric_for_best_model\": 7}, \"gates\": [1], \"rewards\": 3, "
        "\"stop_rules_fired\": {\"a\": 1}, \"stopped\": 1}",
        "{\"recipe\": {\"rewards\": \"push\", \"history\": [1, \"x\", {\"v\": [1, {\"b\": "
        "null}]}], "
        "\"metric_for_best_model\": \"eval/none\", \"sampler_signal\": 3, \"task_sampler\": []}, "
        "\"gates\": {\"rewards\": [1, {\"reward\": 3, \"verdict\": \"no\", \"why\": []}]}, "
        "\"stop_rules_fired\": [1, {}], \"stopped\": {}, \"allowed\": 3}",
        "{\"seed\": 99999999999999999999999}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *run = good_run("a");
        run_put(run, "run.json", texts[i]);
        expect_report(run);
    }
}

/* Every allocation fails once: a message and nothing left, and no report that is only nearly so. */
static void fail_each_allocation(const char *const *runs, int n_runs)
{
    size_t before = mem_stats().total_calls;
    assert_int_equal(report_of(runs, n_runs), 0);
    struct str whole = {0};
    str_append(&whole, str_text(&html), html.length);
    long calls = (long)(mem_stats().total_calls - before);
    forget();
    size_t blocks = mem_stats().live_blocks;
    int failed = 0;
    for (long n = 0; n < calls; n += 1 + n / 40) {
        mem_fail_after(n);
        int status = report_of(runs, n_runs);
        mem_fail_after(-1);
        const char *a = str_text(&whole), *b = str_text(&html);
        while (!status && *a && *a == *b)
            a++, b++;
        if (!status && *a != *b)
            fail_msg("allocation %ld: the report differs: %.80s, expected %.80s", n, b, a);
        if (status && status != ERR_MACHINE)
            fail_msg("allocation %ld: %d, %s: %s", n, status, err.where, err.message);
        failed += status == ERR_MACHINE;
        forget();
        if (mem_stats().live_blocks != blocks)
            fail_msg("allocation %ld: %zu blocks left", n, mem_stats().live_blocks - blocks);
    }
    str_free(&whole);
    assert_true(failed > 50);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct run_spec s = run_improved("a", 1, 0);
    s.component = "old";
    const char *runs[2] = {run_write(folder, &s)};
    run_put(runs[0], "gates/env.json",
            "{\"stage\": \"env\", \"verdict\": \"pass\", \"figures\": {}}");
    fail_each_allocation(runs, 1);
    s.name = "b";
    runs[1] = run_write(folder, &s);
    run_put(runs[1], "run.json",
            "{\"seed\": 1, \"recipe\": {\"rewards\": {\"sql_qa\": [\"old\"]}}}");
    fail_each_allocation(runs, 2); /* compared, with other rewards */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_odd_experiments), TEST(test_odd_rewards_compared),  TEST(test_no_run_folder),
        TEST(test_same_seed_twice), TEST(test_missing_files),         TEST(test_only_metrics),
        TEST(test_damaged_lines),   TEST(test_damaged_evaluations),   TEST(test_rows_without_value),
        TEST(test_gates),           TEST(test_markup_in_completions), TEST(test_huge_names),
        TEST(test_odd_rows),        TEST(test_hostile_recipe),        TEST(test_no_memory),
    };
    return cmocka_run_group_tests_name("hostile run folders", tests, NULL, NULL);
}
