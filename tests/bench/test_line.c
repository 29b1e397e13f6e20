/* Medians, spreads and floors of lines, and the comparison with a stored run, by hand. */
#include <math.h>
#include <string.h>
#include "../support/support.h"
#include "bench/line.h"

static const struct count_rates rates = {.matrix = 100, .read = 10};

static void lines_of(struct bench_lines *l, double step_seconds)
{
    *l = (struct bench_lines){0};
    double decode[] = {6, 4, 5}, step[] = {step_seconds, step_seconds};
    struct bench_work a = {{{200, 40}}, 1, 10, "tokens"};
    struct bench_work b = {{{200, 40}, {300, 10}}, 2, 20, "tokens"};
    bench_add(l, "tiny", "decode", decode, 3, &a);
    bench_add(l, "tiny", "step", step, 2, &b);
    bench_floors(l, &rates);
}

/* decode: 4 s of memory. step: that, then 3 s of products: not overlapped. */
static void by_hand(void **state)
{
    (void)state;
    struct bench_lines l;
    lines_of(&l, 14);
    assert_int_equal(l.n, 2);
    assert_true(l.line[0].seconds == 5);
    assert_true(l.line[0].spread == 2.0 / 5);
    assert_true(l.line[0].floor == 4 && l.line[0].memory_share == 1);
    assert_true(bench_share(&l.line[0]) == 4.0 / 5);
    assert_true(l.line[1].seconds == 14 && l.line[1].spread == 0);
    assert_true(l.line[1].operations == 500 && l.line[1].bytes == 50);
    assert_true(l.line[1].floor == 7 && l.line[1].memory_share == 4.0 / 7);
    assert_true(bench_share(&l.line[1]) == 0.5);
}

static json_t *stored_run(const struct bench_lines *l, const char *kind)
{
    struct str text = {0};
    struct json_writer w;
    struct err err = {0};
    jw_begin(&w, &text);
    jw_object_begin(&w);
    jw_key(&w, "machine");
    jw_object_begin(&w);
    jw_key(&w, "kind");
    jw_text(&w, kind);
    jw_object_end(&w);
    jw_key(&w, "phases");
    jw_array_begin(&w);
    for (int i = 0; i < l->n; i++)
        bench_line_write(&w, &l->line[i]);
    jw_array_end(&w);
    jw_object_end(&w);
    json_t *run = json_read(text.data, text.length, JSON_UNIQUE_KEYS, "run", &err);
    if (!run)
        fail_msg("%s", err.message);
    str_free(&text);
    return run;
}

/* 14 s then, `now` seconds now, with these spreads: the outcome at a tolerance of 10%. */
static int outcome(double now, double spread_then, double spread_now, struct err *err)
{
    struct bench_lines then, l;
    lines_of(&then, 14);
    lines_of(&l, now);
    then.line[1].spread = spread_then;
    l.line[1].spread = spread_now;
    json_t *run = stored_run(&then, "m");
    struct bench_comparison c = {.stored = run, .path = "f", .tolerance = 0.1};
    int status = bench_compare(&c, &l, "m", err);
    assert_int_equal(status, 0);
    assert_true(c.ratio[0] == 1 && fabs(c.ratio[1] - now / 14) < 1e-12);
    status = bench_comparison_verdict(&c, &l, err);
    json_decref(run);
    return status;
}

static void tolerance(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(outcome(14, 0, 0, &err), ERR_NONE);
    assert_int_equal(outcome(15.3, 0, 0, &err), ERR_NONE);
    assert_int_equal(outcome(7, 0, 0, &err), ERR_NONE); /* faster is fine */
    assert_int_equal(outcome(15.5, 0.1, 0.05, &err), ERR_GATE);
    assert_non_null(strstr(err.message, "\"step\" of tiny"));
    /* 10.7% is no news where either run spread by 12%, 14% is */
    assert_int_equal(outcome(15.5, 0.12, 0, &err), ERR_NONE);
    assert_int_equal(outcome(15.5, 0, 0.12, &err), ERR_NONE);
    assert_int_equal(outcome(16, 0.12, 0.12, &err), ERR_GATE);
}

static void expect_refused(json_t *run, const char *kind, const char *why)
{
    struct err err = {0};
    struct bench_lines l;
    lines_of(&l, 14);
    struct bench_comparison c = {.stored = run, .path = "f", .tolerance = 0.1};
    assert_int_equal(bench_compare(&c, &l, kind, &err), ERR_INPUT);
    if (!strstr(err.message, why))
        fail_msg("\"%s\" does not say \"%s\"", err.message, why);
    json_decref(run);
}

static void refused(void **state)
{
    (void)state;
    struct bench_lines l;
    lines_of(&l, 14);
    expect_refused(stored_run(&l, "m"), "n", "kind");
    expect_refused(json_pack("{s:[]}", "phases"), "m", "no stored run");
    expect_refused(json_pack("[]"), "m", "no stored run");
    l.line[1].operations++; /* other work under the same name */
    expect_refused(stored_run(&l, "m"), "m", "other work");
    lines_of(&l, 14);
    l.line[1].seconds = 0;
    expect_refused(stored_run(&l, "m"), "m", "more than 0");
    lines_of(&l, 14);
    l.line[1].spread = -1;
    expect_refused(stored_run(&l, "m"), "m", "0 or more");
    l.n = 0;
    expect_refused(stored_run(&l, "m"), "m", "no line in common");
}

/* A line that the stored run lacks has no ratio and no part in the verdict. */
static void new_line(void **state)
{
    (void)state;
    struct err err = {0};
    struct bench_lines l;
    lines_of(&l, 14);
    l.n = 1;
    json_t *run = stored_run(&l, "m");
    lines_of(&l, 1000);
    struct bench_comparison c = {.stored = run, .path = "f", .tolerance = 0.1};
    assert_int_equal(bench_compare(&c, &l, "m", &err), 0);
    assert_true(isnan(c.ratio[1]) && c.slower == 0);
    assert_int_equal(bench_comparison_verdict(&c, &l, &err), 0);
    json_decref(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_hand), cmocka_unit_test(tolerance),
                                       cmocka_unit_test(refused), cmocka_unit_test(new_line)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
