/* test_eval.c: numbers of an evaluation against values worked out by hand, paired comparison, the
 * file and its reading back, and an evaluation of the demo model whose result depends on nothing
 * but rows and weights. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "eval/compare.h"
#include "eval/eval.h"

#define CLOSE(a, b) assert_true(fabs((a) - (b)) < 1e-12)

/* --- numbers --- */

static void test_numbers(void **state)
{
    (void)state;
    const double x[] = {0.2, 0.4, 0.9};
    struct eval_numbers s;
    assert_int_equal(eval_numbers_of(&s, x, 3, NULL), 0);
    CLOSE(s.mean, 0.5);
    CLOSE(s.sd, sqrt(0.13)); /* (0.09 + 0.01 + 0.16) / 2 */
    CLOSE(s.se, sqrt(0.13 / 3));
    CLOSE(s.ci95.low, 0.5 - 1.96 * sqrt(0.13 / 3));
    CLOSE(s.ci95.high, 0.5 + 1.96 * sqrt(0.13 / 3));
    /* t(0.975, 2) = 4.302652729696144 (scipy.stats.t.ppf) */
    assert_true(fabs(s.t95.high - (0.5 + 4.302652729696144 * sqrt(0.13 / 3))) < 1e-9);
    assert_true(s.bca95.low >= 0.2 && s.bca95.low < 0.5 && s.bca95.high > 0.5 &&
                s.bca95.high <= 0.9);
    assert_int_equal(eval_numbers_of(&s, x, 1, NULL), 0);
    assert_true(s.n == 1 && s.mean == 0.2 && isnan(s.sd) && isnan(s.ci95.low) && isnan(s.t95.low) &&
                isnan(s.bca95.low));
    assert_int_equal(eval_numbers_of(&s, x, 0, NULL), 0);
    assert_true(s.n == 0 && isnan(s.mean));
}

static void test_strata(void **state)
{
    (void)state;
    /* Two tasks of unlike size: means 0.3 and 0.9, s²/n = 0.02/2 and 0.01/3. */
    const double x[] = {0.2, 0.8, 0.4, 0.9, 1.0};
    const int task[] = {0, 1, 0, 1, 1};
    struct eval_numbers s, one, same;
    assert_int_equal(eval_numbers_strata(&s, x, task, 5, 2, NULL), 0);
    CLOSE(s.mean, 0.6);
    CLOSE(s.se, sqrt(0.02 / 2 + 0.01 / 3) / 2);
    CLOSE(s.ci95.low, 0.6 - 1.96 * s.se);
    assert_true(s.t95.low < s.ci95.low && s.t95.high > s.ci95.high);
    assert_true(s.bca95.low >= 0.5 && s.bca95.low < 0.6 && s.bca95.high > 0.6 &&
                s.bca95.high <= 0.7);
    /* One stratum is no stratification: every number is that of the plain sample. */
    const int none[] = {0, 0, 0, 0, 0};
    assert_int_equal(eval_numbers_strata(&one, x, none, 5, 1, NULL), 0);
    assert_int_equal(eval_numbers_of(&same, x, 5, NULL), 0);
    CLOSE(one.mean, same.mean);
    CLOSE(one.se, same.se);
    assert_true(fabs(one.t95.low - same.t95.low) < 1e-9);
    CLOSE(one.bca95.low, same.bca95.low);
    CLOSE(one.bca95.high, same.bca95.high);
    /* A task of one row has no spread to speak of, so the whole has no interval. */
    const int lonely[] = {0, 0, 0, 0, 1};
    assert_int_equal(eval_numbers_strata(&s, x, lonely, 5, 2, NULL), 0);
    assert_true(isfinite(s.mean) && isnan(s.se) && isnan(s.ci95.low) && isnan(s.bca95.low));
}

/* The stratified bootstrap covers what the standard error says, not what task sizes would add. */
static void test_stratified_bootstrap(void **state)
{
    (void)state;
    double x[60];
    int task[60];
    for (int i = 0; i < 60; i++) {
        task[i] = i % 2;
        x[i] =
            task[i] + 0.01 * (i / 2 % 10); /* tasks a whole unit apart, each with little spread */
    }
    struct eval_numbers s, plain;
    assert_int_equal(eval_numbers_strata(&s, x, task, 60, 2, NULL), 0);
    assert_int_equal(eval_numbers_of(&plain, x, 60, NULL), 0);
    double width = s.bca95.high - s.bca95.low;
    assert_true(fabs(width / (2 * 1.96 * s.se) - 1) < 0.1);
    assert_true(plain.bca95.high - plain.bca95.low > 10 * width); /* expected: 17 */
}

/* --- files and comparison --- */

static void read_text(struct eval_result *r, const char *text)
{
    char *folder = temp_folder(), path[600];
    snprintf(path, sizeof path, "%s/e.json", folder);
    struct err err = {0};
    assert_int_equal(file_write_atomic(path, text, strlen(text), &err), 0);
    if (eval_read(r, path, &err))
        fail_msg("%s: %s", err.where, err.message);
    temp_folder_remove(folder);
}

static int read_bad(const char *text, const char *part)
{
    char *folder = temp_folder(), path[600];
    snprintf(path, sizeof path, "%s/e.json", folder);
    struct err err = {0};
    struct eval_result r;
    assert_int_equal(file_write_atomic(path, text, strlen(text), &err), 0);
    int status = eval_read(&r, path, &err);
    if (!strstr(err.message, part))
        fail_msg("\"%s\" is not in: %s", part, err.message);
    temp_folder_remove(folder);
    return status;
}

#define FILE_OF(rows) "{\"data_sha256\": \"d\", \"rows\": [" rows "]}"
#define ROW(id, task, value) "{\"id\": \"" id "\", \"task\": \"" task "\", \"value\": " #value "}"

static void test_compare(void **state)
{
    (void)state;
    struct eval_result before, after;
    read_text(&before, FILE_OF(ROW("a", "p", 0.1) "," ROW("b", "p", 0.5) "," ROW(
                           "c", "q", 0.4) "," ROW("d", "q", 0.6) "," ROW("e", "q", null)));
    /* The same rows in another order. */
    read_text(&after, FILE_OF(ROW("e", "q", 0.9) "," ROW("d", "q", 0.8) "," ROW(
                          "c", "q", 0.4) "," ROW("b", "p", 0.7) "," ROW("a", "p", 0.4)));
    assert_int_equal(before.n_tasks, 2);
    assert_int_equal(before.overall.invalid_rows, 1);
    assert_int_equal(eval_task(&before, "q")->numbers.n, 2); /* not 3 with a zero among them */
    CLOSE(eval_task(&before, "q")->numbers.mean, 0.5);
    assert_null(eval_task(&before, "r"));
    struct eval_comparison c;
    struct err err = {0};
    assert_int_equal(eval_compare(&c, &before, &after, &err), 0);
    assert_int_equal(c.excluded, 1);
    assert_int_equal(c.n_tasks, 2);
    assert_string_equal(c.tasks[0].name, "p");
    assert_int_equal(c.tasks[0].gain.n, 2);
    CLOSE(c.tasks[0].before.mean, 0.3);
    CLOSE(c.tasks[0].after.mean, 0.55);
    CLOSE(c.tasks[0].gain.mean, 0.25);
    CLOSE(c.tasks[0].gain.sd, sqrt(0.005)); /* gains 0.3 and 0.2, not the spread of either side */
    CLOSE(c.tasks[1].gain.mean, 0.1);
    CLOSE(c.tasks[1].after.mean, 0.6); /* row e is out on both sides */
    CLOSE(c.overall.gain.mean, 0.175);
    CLOSE(c.overall.gain.se, sqrt(0.005 / 2 + 0.02 / 2) / 2);
    struct str table = {0}, json = {0};
    eval_comparison_table(&table, &c);
    assert_non_null(strstr(str_text(&table), "+0.250 ["));
    assert_non_null(strstr(str_text(&table), "overall"));
    assert_non_null(strstr(str_text(&table), "1 rows have no value"));
    eval_comparison_json(&json, &c);
    json_t *root = json_read(str_text(&json), json.length, 0, "comparison", &err);
    assert_non_null(root);
    const json_t *p = json_object_get(json_object_get(root, "tasks"), "p");
    CLOSE(json_number_value(json_object_get(json_object_get(p, "gain"), "mean")), 0.25);
    json_decref(root);
    str_free(&table);
    str_free(&json);
    eval_comparison_free(&c);
    eval_free(&before);
    eval_free(&after);
}

/* Components are paired row by row as well, a row without one left out; a component of one side
 * alone is no pair. */
static void test_compare_components(void **state)
{
    (void)state;
#define WITH(id, task, value, components)                                                          \
    "{\"id\": \"" id "\", \"task\": \"" task "\", \"value\": " #value                              \
    ", \"components\": {" components "}}"
    struct eval_result before, after;
    read_text(&before, FILE_OF(WITH("a", "p", 0.1, "\"r\": 0.1, \"r/x\": 1, \"old\": 0") "," WITH(
                           "b", "p", 0.5, "\"r\": 0.5") "," WITH("c", "q", 0.5, "\"s\": 0.5")));
    read_text(&after, FILE_OF(WITH("c", "q", 0.5, "\"s\": 0.25") "," WITH(
                          "b", "p", 0.7, "\"r\": 0.75") "," WITH("a", "p", 0.2,
                                                                 "\"r/x\": 0.5, \"r\": 0.2")));
    struct eval_comparison c;
    struct err err = {0};
    assert_int_equal(eval_compare(&c, &before, &after, &err), 0);
    assert_int_equal(c.n_components, 3); /* p: r, r/x; q: s */
    assert_string_equal(c.components[0].gain.name, "r");
    assert_int_equal(c.components[0].gain.gain.n, 2);
    CLOSE(c.components[0].gain.gain.mean, (0.1 + 0.25) / 2);
    assert_string_equal(c.components[1].gain.name, "r/x");
    assert_int_equal(c.components[1].gain.gain.n, 1);
    CLOSE(c.components[1].gain.gain.mean, -0.5);
    assert_string_equal(c.components[2].task, "q");
    CLOSE(c.components[2].gain.before.mean, 0.5);
    CLOSE(c.components[2].gain.after.mean, 0.25);
    struct str json = {0}, table = {0};
    eval_comparison_json(&json, &c);
    json_t *root = json_read(str_text(&json), json.length, 0, "comparison", &err);
    const json_t *p = json_object_get(json_object_get(root, "components"), "p");
    const json_t *x = json_object_get(json_object_get(p, "r/x"), "gain");
    CLOSE(json_number_value(json_object_get(x, "mean")), -0.5);
    eval_comparison_components(&table, &c);
    assert_non_null(strstr(str_text(&table), "r/x"));
    json_decref(root);
    str_free(&json);
    str_free(&table);
    eval_comparison_free(&c);
    eval_free(&before);
    eval_free(&after);
}

static void test_not_comparable(void **state)
{
    (void)state;
    static const struct {
        const char *after, *part;
    } cases[] = {
        {FILE_OF(ROW("a", "p", 0.1)), "is only in the first"},
        {FILE_OF(ROW("a", "p", 1) "," ROW("b", "p", 1) "," ROW("c", "p", 1)), "3"},
        {FILE_OF(ROW("a", "p", 1) "," ROW("b", "q", 1)), "two different tasks"},
        {FILE_OF(ROW("a", "p", 1) "," ROW("a", "p", 1)), "appears twice"},
        {"{\"data_sha256\": \"e\", \"rows\": [" ROW("a", "p", 1) "]}", "SHA-256"},
    };
    struct eval_result before;
    read_text(&before, FILE_OF(ROW("a", "p", 0.1) "," ROW("b", "p", 0.5)));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct eval_result after;
        struct eval_comparison c;
        struct err err = {0};
        read_text(&after, cases[i].after);
        assert_int_equal(eval_compare(&c, &before, &after, &err), ERR_INPUT);
        if (!strstr(err.message, cases[i].part))
            fail_msg("\"%s\" is not in: %s", cases[i].part, err.message);
        eval_free(&after);
    }
    eval_free(&before);
    assert_int_equal(read_bad("{}", "has no \"rows\""), ERR_INPUT);
    assert_int_equal(read_bad("[", "not valid JSON"), ERR_INPUT);
    assert_int_equal(read_bad("{\"rows\": [{}]}", "data_sha256"), ERR_INPUT);
    assert_int_equal(read_bad(FILE_OF("{\"id\": 1}"), "\"id\" is an integer"), ERR_INPUT);
    assert_int_equal(read_bad(FILE_OF("3"), "\"id\" is missing"), ERR_INPUT);
    assert_int_equal(read_bad(FILE_OF(ROW("a", "p", "x")), "\"value\" is a string"), ERR_INPUT);
}

/* --- the demo model --- */

struct demo {
    struct device *device;
    model *model;
    struct text_codec codec;
    struct dataset data;
    struct reward_set rewards;
    rollout *rollout;
};

static void demo_open(struct demo *d, const char *rewards)
{
    *d = (struct demo){0};
    struct err err = {0};
    struct device_options options = {.threads = 2};
    json_t *wanted = json_read(rewards, strlen(rewards), 0, "rewards", &err);
    assert_non_null(wanted);
    if (device_open(&d->device, &options, &err) ||
        model_open(&d->model, d->device, "tests/demo/model", 0, &err) ||
        text_codec_open(&d->codec, "tests/demo/model", NULL, model_config(d->model), &err) ||
        dataset_open(&d->data, "tests/demo/eval.jsonl", &err) ||
        reward_set_create(&d->rewards, wanted, "rewards", &err) ||
        rollout_create(&d->rollout, d->model, NULL, 8, 400, 24, &err))
        fail_msg("%s: %s", err.where, err.message);
    json_decref(wanted);
}

static void demo_close(struct demo *d)
{
    rollout_free(d->rollout);
    reward_set_free(&d->rewards);
    dataset_close(&d->data);
    text_codec_close(&d->codec);
    model_close(d->model);
    device_close(d->device);
}

static void evaluate(struct demo *d, struct eval_result *r, int completions, double temperature,
                     int batch)
{
    struct episode e = {.codec = &d->codec, .rewards = &d->rewards, .rollout = d->rollout};
    struct eval_request q = {.episode = &e,
                             .data = &d->data,
                             .max_prompt_tokens = 400,
                             .max_new_tokens = 24,
                             .temperature = temperature,
                             .completions = completions,
                             .seed = 3,
                             .batch = batch};
    struct err err = {0};
    if (eval_run(&q, r, &err))
        fail_msg("%s: %s", err.where, err.message);
}

static const struct eval_about about = {"m", NULL, "d", 20};

static void test_run(void **state)
{
    (void)state;
    struct demo d;
    demo_open(&d, "{\"push\": [{\"name\": \"length\", \"params\": {\"min\": 1, \"max\": 20}}, "
                  "{\"name\": \"push\", \"weight\": 0}], \"sql_qa\": [\"sql_qa_v2\"]}");
    struct eval_result a, b;
    struct str ja = {0}, jb = {0};
    for (int n = 1; n <= 2; n++) {
        evaluate(&d, &a, n, n - 1, 1);
        evaluate(&d, &b, n, n - 1, 7);
        str_clear(&ja);
        str_clear(&jb);
        eval_json(&ja, &a, &about, true);
        eval_json(&jb, &b, &about, true);
        assert_string_equal(str_text(&ja), str_text(&jb)); /* the batch changes nothing */
        assert_int_equal(a.overall.numbers.n, 60);
        const struct eval_row *row = &a.rows[0];
        double sum = 0;
        for (int k = 0; k < n; k++)
            sum += row->samples[k].value;
        CLOSE(row->value, sum / n);
        assert_true(row->samples[0].tokens > 0 && row->samples[0].text);
        if (n == 1) {
            eval_free(&a);
            eval_free(&b);
        }
    }
    /* A shadow reward is reported and does not count. */
    int shadow = -1;
    for (int c = 0; c < a.n_components; c++)
        if (strcmp(a.components[c], "push") == 0)
            shadow = c;
    assert_true(shadow >= 0);
    assert_true(isfinite(a.rows[0].components[shadow]));
    CLOSE(a.rows[0].value, a.rows[0].components[0]); /* length, the only weighted one */
    assert_true(isnan(eval_task(&a, "sql_qa")->components[shadow]));
    /* Read back: the same values, so the same numbers. */
    struct eval_result back;
    read_text(&back, str_text(&ja));
    assert_int_equal(back.n_rows, a.n_rows);
    for (size_t i = 0; i < a.n_rows; i++)
        assert_true(back.rows[i].value == a.rows[i].value);
    assert_true(back.overall.numbers.mean == a.overall.numbers.mean &&
                back.overall.numbers.bca95.low == a.overall.numbers.bca95.low);
    eval_free(&back);
    eval_free(&a);
    eval_free(&b);
    str_free(&ja);
    str_free(&jb);
    demo_close(&d);
}

/* Rows to which no reward applies have no value: they are counted, and are not zeros. */
static void test_rows_without_value(void **state)
{
    (void)state;
    struct demo d;
    demo_open(&d, "{\"sql_qa\": [\"sql_qa_v2\"]}");
    struct eval_result r;
    evaluate(&d, &r, 1, 0, 8);
    const struct eval_summary *push = eval_task(&r, "push"), *sql = eval_task(&r, "sql_qa");
    assert_int_equal(push->rows, 30);
    assert_int_equal(push->invalid_rows, 30);
    assert_int_equal(push->numbers.n, 0);
    assert_true(isnan(push->numbers.mean));
    assert_true(push->mean_length > 0); /* what was said is still described */
    assert_int_equal(r.overall.numbers.n, 30);
    CLOSE(r.overall.numbers.mean, sql->numbers.mean);
    eval_free(&r);
    demo_close(&d);
}

/* Whichever allocation fails, the evaluation says so and keeps nothing. */
static void test_no_memory(void **state)
{
    (void)state;
    struct eval_result r;
    char *folder = temp_folder(), path[600];
    static const char text[] = FILE_OF(ROW("a", "p", 0.1) "," ROW("b", "p", 0.5));
    snprintf(path, sizeof path, "%s/e.json", folder);
    assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), 0);
    size_t before = mem_stats().live_blocks;
    int status = 1, failures = 0;
    for (long n = 0; status && n < 2000; n++) {
        struct err err = {0};
        mem_fail_after(n);
        status = eval_read(&r, path, &err);
        mem_fail_after(-1);
        if (status) {
            assert_int_equal(status, ERR_MACHINE);
            assert_int_equal(mem_stats().live_blocks, before);
            failures++;
        }
    }
    assert_int_equal(status, 0);
    assert_true(failures > 5);
    eval_free(&r);
    temp_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_strata),
        cmocka_unit_test(test_stratified_bootstrap),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_compare_components),
        cmocka_unit_test(test_not_comparable),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_rows_without_value),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
