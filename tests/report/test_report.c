/* test_report.c: run folders of numbers known by hand: tables, intervals, verdicts in all three
 * outcomes, the four questions, attribution, comparison. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "../support/run_folders.h"
#include "base/file.h"
#include "base/json.h"
#include "report/report.h"

static char *folder;
static struct err err;
static struct str md, html, json_text;
static json_t *json;

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
    str_free(&json_text);
    json_decref(json);
    json = NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    forget();
    temp_folder_remove(folder);
    return 0;
}

static int report_of(const struct report_request *q)
{
    forget();
    err = (struct err){0};
    int status = report_write(
        q, &(struct report_texts){.markdown = &md, .html = &html, .json = &json_text}, &err);
    if (status)
        return status;
    struct err why = {0};
    json = json_read(str_text(&json_text), json_text.length, 0, "report", &why);
    if (!json)
        fail_msg("%s: %s", why.where, why.message);
    return 0;
}

static void report_ok(const char *const *runs, int n)
{
    if (report_of(&(struct report_request){.runs = runs, .n_runs = n}))
        fail_msg("%s: %s", err.where, err.message);
}

/* "eval.tasks.sql_qa.gain" or "eval.overall.gain_t95.1" in the report's object. */
static const json_t *at(const char *path)
{
    const json_t *v = json;
    char copy[300], *rest = copy;
    snprintf(copy, sizeof copy, "%s", path);
    for (char *part; v && (part = strsep(&rest, "."));)
        v = json_is_array(v) ? json_array_get(v, (size_t)(*part - '0')) : json_object_get(v, part);
    if (!v)
        fail_msg("the report has no %s", path);
    return v;
}

static void expect_number(const char *path, double wanted, double within)
{
    double got = json_number_value(at(path));
    if (!json_is_number(at(path)) || fabs(got - wanted) > within)
        fail_msg("%s is %.17g, expected %.17g", path, got, wanted);
}

static void expect_null(const char *path)
{
    if (!json_is_null(at(path)))
        fail_msg("%s is not null", path);
}

static void expect_text(const char *path, const char *wanted)
{
    const char *got = json_string_value(at(path));
    if (!got || strcmp(got, wanted) != 0)
        fail_msg("%s is \"%s\", expected \"%s\"", path, got ? got : "(no text)", wanted);
}

static void expect_in(const struct str *text, const char *part)
{
    if (!strstr(str_text(text), part))
        fail_msg("not in the report: %s", part);
}

static void expect_warning(const char *part)
{
    size_t i;
    const json_t *w;
    json_array_foreach(at("warnings"), i, w)
    {
        if (strstr(json_string_value(w), part))
            return;
    }
    fail_msg("no warning says: %s", part);
}

static const char *write_run(const struct run_spec *s)
{
    return run_write(folder, s);
}

static void three_seeds(const char *runs[3], struct run_spec change)
{
    static const double shifts[] = {-0.01, 0, 0.01};
    static const int seeds[] = {42, 123, 456};
    static const char *const names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        struct run_spec s = change;
        s.name = names[i];
        s.seed = seeds[i];
        s.shift = shifts[i];
        runs[i] = write_run(&s);
    }
}

/* A file of a run; static buffer. */
static const char *file_text(const char *run, const char *name)
{
    static char text[20000];
    struct str bytes = {0}, path = {0};
    assert_int_equal(file_read(&bytes, path_join(&path, run, name), &err), 0);
    assert_true(bytes.length < sizeof text);
    memcpy(text, str_text(&bytes), bytes.length + 1);
    str_free(&bytes);
    str_free(&path);
    return text;
}

/* --- the table --- */

/* Gains alternate 0.3 and 0.5: mean 0.4, sd 0.1·√(8/7), se that over √8; t(7) = 2.364624, t(2) =
 * 4.302653. All 8 are above 0, so the exact p is 2/256, by Holm over two tasks 2/128. */
static void test_table(void **state)
{
    (void)state;
    const char *runs[3];
    three_seeds(runs, run_improved("", 0, 0));
    report_ok(runs, 3);
    expect_number("eval.tasks.sql_qa.n", 8, 0);
    expect_number("eval.tasks.sql_qa.before", 0.2, 1e-12);
    expect_number("eval.tasks.sql_qa.mean", 0.6, 1e-12);
    expect_number("eval.tasks.sql_qa.seeds.0", 0.59, 1e-12);
    expect_number("eval.tasks.sql_qa.seeds.2", 0.61, 1e-12);
    expect_number("eval.tasks.sql_qa.gain", 0.4, 1e-12);
    expect_number("eval.tasks.sql_qa.gain_t95.0", 0.4 - 0.08937439591, 1e-9);
    expect_number("eval.tasks.sql_qa.gain_t95.1", 0.4 + 0.08937439591, 1e-9);
    expect_number("eval.tasks.sql_qa.gain_seeds_t95.0", 0.4 - 0.02484137712, 1e-9);
    expect_number("eval.tasks.sql_qa.ci95.1", 0.6 + 1.96 * 0.1 / sqrt(7), 1e-9);
    expect_number("eval.tasks.sql_qa.p", 2.0 / 256, 1e-12);
    expect_number("eval.tasks.sql_qa.p_holm", 2.0 / 128, 1e-12);
    expect_number("eval.tasks.insights.gain", 0.25, 1e-12);
    expect_number("eval.tasks.insights.gain_t95.0", 0.25 - 0.04468719796, 1e-9);
    /* of the two tasks' mean: Welch-Satterthwaite 10.294 degrees of freedom */
    expect_number("eval.overall.gain", 0.325, 1e-12);
    expect_number("eval.overall.gain_t95.0", 0.325 - 0.04689633668, 1e-8);
    expect_number("eval.overall.seeds.1", 0.675, 1e-12);
    expect_text("eval.overall.verdict", "improved");
    expect_text("eval.tasks.sql_qa.verdict", "improved");
    expect_in(&md, "| sql_qa | 8 | 0.590 | 0.600 | 0.610 | 0.600 ± 0.025 | 0.200 | "
                   "+0.400 \\[+0.311, +0.489\\] | 0.0156 | improved |");
    expect_in(&md, "| Mean | 16 | 0.665 | 0.675 | 0.685 | 0.675 ± 0.025 | 0.350 | "
                   "+0.325 \\[+0.278, +0.372\\] |");
    expect_in(&html, "<td class=\"number\" data-label=\"Mean ± 95% CI (t over seeds)\">0.600 ± "
                     "0.025</td>");
}

static void test_selected_and_test_set(void **state)
{
    (void)state;
    struct run_spec s = run_improved("a", 42, 0);
    const char *run = write_run(&s);
    report_ok(&run, 1);
    expect_text("headline.set", "eval");
    assert_true(json_is_true(at("headline.selected_on_this_set")));
    expect_in(&md, "selected on this set");
    expect_warning("selected on this set");
    expect_warning("One seed");
    expect_null("headline.seeds_t95.0");
    expect_null("test");
    /* the protocol's validation of the eval set goes before step 0 and the best step */
    run_put(run, "eval/base.json", file_text(run, "eval/step-10.json"));
    run_put(run, "eval/best.json", file_text(run, "eval/step-10.json"));
    report_ok(&run, 1);
    expect_number("eval.overall.gain", 0, 0);
    expect_text("eval.overall.verdict", "cannot tell");
    s.test = true;
    run = write_run(&s);
    report_ok(&run, 1);
    expect_text("headline.set", "test");
    assert_true(json_is_false(at("headline.selected_on_this_set")));
    assert_null(strstr(str_text(&md), "**improved. Mean gain over base model +0.325 on the eval"));
    expect_number("test.overall.gain", 0.325, 1e-12);
    /* under the protocol's names */
    run_put(run, "eval/test-base.json", file_text(run, "eval/step-10.json"));
    run_put(run, "eval/test-best.json", file_text(run, "eval/step-0.json"));
    report_ok(&run, 1);
    expect_number("test.overall.gain", -0.325, 1e-12);
}

/* Tasks of one and of two rows: differences 0.2; 0.3 and -0.3. For the mean of task means they
 * weigh 0.2, 0.15 and -0.15; of the 4 pairs of opposite signs those with |sum| 0.2, 0.5, 0.2 count
 * and 0.1 does not. Without weights all would. */
static void test_tasks_of_unequal_size(void **state)
{
    (void)state;
    static const char rows[] =
        "{\"rows\": [{\"id\": \"a\", \"task\": \"sql_qa\", \"value\": %g}, {\"id\": \"b\", "
        "\"task\": \"push\", \"value\": %g}, {\"id\": \"c\", \"task\": \"push\", \"value\": %g}]}";
    struct run_spec s = run_improved("a", 42, 0);
    const char *run = write_run(&s);
    char text[400];
    snprintf(text, sizeof text, rows, 0.5, 0.5, 0.5);
    run_put(run, "eval/step-0.json", text);
    snprintf(text, sizeof text, rows, 0.7, 0.8, 0.2);
    run_put(run, "eval/step-10.json", text);
    report_ok(&run, 1);
    expect_number("eval.overall.gain", 0.1, 1e-12);
    expect_number("eval.overall.p", 0.75, 1e-12);
    expect_number("eval.tasks.push.gain", 0, 1e-12);
    expect_text("eval.overall.verdict", "cannot tell");
}

/* One seed: ± is the document's 1.96·s/√n. */
static void test_one_seed(void **state)
{
    (void)state;
    struct run_spec s = run_improved("a", 42, 0);
    const char *run = write_run(&s);
    report_ok(&run, 1);
    expect_in(&md, "| sql_qa | 8 | 0.600 ± 0.074 | 0.200 | +0.400 \\[+0.311, +0.489\\] |");
    expect_text("headline.verdict", "improved");
}

/* --- verdicts --- */

static void test_worse(void **state)
{
    (void)state;
    const char *runs[3];
    struct run_spec s = run_improved("", 0, 0);
    s.start[0] = s.start[1] = 0.9;
    s.steps[1] = (struct run_step){10, {{-0.3, -0.5}, {-0.2, -0.3}}};
    s.steps[2] = (struct run_step){20, {{-0.3, -0.5}, {-0.2, -0.3}}};
    s.n_steps = 3;
    s.about = ", \"gates\": {}";
    /* the best step is step 0: so that there is a fall, it is named as the test set's */
    s.test = true;
    three_seeds(runs, s);
    report_ok(runs, 3);
    expect_text("test.overall.verdict", "worse");
    expect_text("test.tasks.sql_qa.verdict", "worse");
    expect_number("test.overall.gain", -0.325, 1e-12);
    expect_text("eval.overall.verdict", "cannot tell"); /* the best step is the first */
    expect_number("runs.0.best_step", 0, 0);
}

static void test_cannot_tell(void **state)
{
    (void)state;
    const char *runs[3];
    struct run_spec s = run_improved("", 0, 0);
    s.steps[1] = (struct run_step){10, {{0.30, -0.20}, {0.2, 0.3}}};
    three_seeds(runs, s);
    report_ok(runs, 3);
    expect_text("eval.tasks.sql_qa.verdict", "cannot tell");
    expect_text("eval.tasks.sql_qa.why", "the interval over prompts holds 0");
    /* mean 0.05, sd 0.267261 (effective, from the interval): noncentral t, SciPy-checked elsewhere;
     * a normal approximation gives (1.96 + 0.8416)²·sd²/0.05² = 224.3, and t needs about 2 more */
    expect_number("eval.tasks.sql_qa.prompts_needed", 226, 2);
    expect_text("eval.tasks.insights.verdict", "improved");
    expect_in(&md, "cannot tell: the interval over prompts holds 0; about 22");
}

/* A spread that four prompts of sixteen make says nothing of what the sixteen find. */
static void test_few_changed(void **state)
{
    (void)state;
    struct run_spec s = run_improved("a", 42, 0);
    s.steps[1] = (struct run_step){10, {{0, 0.5}, {0, 0}}};
    const char *run = write_run(&s);
    report_ok(&run, 1);
    expect_text("headline.verdict", "cannot tell");
    expect_number("eval.overall.changed", 4, 0);
    expect_null("eval.overall.detectable");
    expect_null("eval.tasks.sql_qa.detectable");
    expect_null("eval.tasks.insights.detectable"); /* none: its interval has no width */
    expect_in(&md, "The score of 4 of 16 prompts changed: too few to say");
    expect_in(&md, "no change: the score of none of 8 prompts is another");
    s.steps[1] = (struct run_step){10, {{0, 0.5}, {0, 0.1}}};
    run = write_run(&s);
    report_ok(&run, 1);
    expect_number("eval.overall.changed", 8, 0);
    assert_true(json_number_value(at("eval.overall.detectable")) > 0.1);
    expect_null("eval.tasks.sql_qa.detectable");
    expect_in(&md, "would be found 4 times in 5");
}

/* Seeds that disagree: the interval over prompts is clear of 0, that over seeds is not. */
static void test_seeds_disagree(void **state)
{
    (void)state;
    const char *runs[2];
    struct run_spec a = run_improved("a", 1, 0.3), b = run_improved("b", 2, -0.3);
    runs[0] = write_run(&a);
    runs[1] = write_run(&b);
    report_ok(runs, 2);
    expect_text("headline.verdict", "cannot tell");
    expect_text("headline.why", "the interval over seeds holds 0");
    assert_true(json_number_value(at("headline.seeds_needed")) > 2);
    expect_null("headline.prompts_needed");
}

/* With 6 rows a task the exact p is 2/64 = 0.031 alone, and 0.0625 by Holm over two tasks: the
 * interval is clear of 0, and that is not enough. */
static void test_holm_keeps_back(void **state)
{
    (void)state;
    struct run_spec s = run_improved("a", 1, 0);
    s.rows = 6;
    const char *run = write_run(&s);
    report_ok(&run, 1);
    expect_number("eval.tasks.sql_qa.p", 2.0 / 64, 1e-12);
    expect_number("eval.tasks.sql_qa.p_holm", 2.0 / 32, 1e-12);
    assert_true(json_number_value(at("eval.tasks.sql_qa.gain_t95.0")) > 0);
    expect_text("eval.tasks.sql_qa.verdict", "cannot tell");
    expect_text("eval.tasks.sql_qa.why", "Holm's p is not below 0.05");
    expect_text("eval.overall.verdict", "improved");
    assert_true(json_number_value(at("eval.tasks.sql_qa.prompts_needed")) > 0);
}

/* --- questions --- */

static void test_q1(void **state)
{
    (void)state;
    struct run_spec s = run_improved("a", 1, 0);
    const char *run = write_run(&s);
    report_ok(&run, 1);
    /* 0.6 − 1.15·0.2 = 0.37 ± 0.0894 (the start is constant) */
    expect_text("questions.0.verdict", "yes");
    expect_number("questions.0.figures.after - 115% of start.value", 0.37, 1e-12);
    s.recipe = ", \"baseline\": {\"name\": \"V4.1\", \"eval/mean_reward\": 0.645, \"eval/sql_qa\": "
               "0.547}";
    run = write_run(&s);
    report_ok(&run, 1);
    /* 0.6 − 0.62905 = −0.02905 ± 0.0894 */
    expect_text("questions.0.verdict", "cannot tell");
    expect_number("questions.0.figures.after - 115% of baseline.value", -0.02905, 1e-12);
    expect_text("questions.0.needed_of", "prompts");
    expect_in(&md, "scored by the old reward");
    expect_in(&md, "no, flat: capacity limit: 0.600 at step 10 against 0.547 of V4.1, +9.7%");
    expect_in(&html, "V4.1");
    s.recipe = ", \"baseline\": {\"name\": \"V4.1\", \"eval/sql_qa\": 0.8}";
    run = write_run(&s);
    report_ok(&run, 1);
    expect_text("questions.0.verdict", "cannot tell"); /* ends before step 600 */
    s.steps[1].step = 600;
    run = write_run(&s);
    run_put(run, "eval/step-10.json", "{}"); /* of the run before */
    report_ok(&run, 1);
    expect_text("questions.0.verdict", "no");
}

static void insights_at(struct run_spec *s, double late)
{
    static const int steps[] = {0, 500, 700, 900, 1000};
    s->n_steps = 5;
    for (int k = 0; k < 5; k++) {
        double gain = k == 0 ? 0 : k < 3 ? 0.3 : 0.3 + late;
        s->steps[k] = (struct run_step){steps[k], {{gain, gain}, {gain - 0.01, gain + 0.01}}};
    }
}

static void test_q2(void **state)
{
    (void)state;
    struct run_spec s = run_improved("a", 1, 0);
    insights_at(&s, -0.2);
    const char *run = write_run(&s);
    report_ok(&run, 1);
    expect_text("questions.1.verdict", "yes");
    expect_number("questions.1.figures.after step 800 - steps 401 to 800.value", -0.2, 1e-12);
    expect_in(&md, "forgetting: after step 800 the mean lies under 0.75");
    insights_at(&s, 0);
    run = write_run(&s);
    report_ok(&run, 1);
    expect_text("questions.1.verdict", "no");
}

static void test_q3_q4(void **state)
{
    (void)state;
    const char *runs[3];
    struct run_spec s = run_improved("", 0, 0);
    three_seeds(runs, s);
    report_ok(runs, 3);
    /* mean 0.675: 0.70 lies within */
    expect_text("questions.2.verdict", "cannot tell");
    expect_text("questions.2.needed_of", "prompts");
    expect_number("questions.2.figures.mean reward of the best step.value", 0.675, 1e-12);
    /* sd over seeds 0.01; χ²(2): 0.520598 to 6.284747 times itself */
    expect_text("questions.3.verdict", "cannot tell");
    expect_number("questions.3.figures.sd over seeds of the mean reward.value", 0.01, 1e-12);
    expect_number("questions.3.figures.sd over seeds of the mean reward.ci95.1", 0.0628, 1e-4);
    expect_in(&md, "0.52 to 6.28 times itself");
    expect_in(&md, "robust (under 0.03): sd 0.0100 over 3 seeds");
    s.start[0] = s.start[1] = 0.6;
    three_seeds(runs, s);
    report_ok(runs, 3);
    expect_text("questions.2.verdict", "yes"); /* 0.925 */
    s.start[0] = s.start[1] = 0;
    three_seeds(runs, s);
    report_ok(runs, 3);
    expect_text("questions.2.verdict", "no"); /* 0.325 */
}

static void test_q4_sides(void **state)
{
    (void)state;
    const char *runs[3];
    static const char *const names[] = {"a", "b", "c"};
    for (int wide = 0; wide < 2; wide++) {
        for (int i = 0; i < 3; i++) {
            struct run_spec s = run_improved(names[i], i, wide ? 0.3 * i : 0.001 * i);
            runs[i] = write_run(&s);
        }
        report_ok(runs, 3);
        expect_text("questions.3.verdict", wide ? "no" : "yes");
    }
}

/* --- attribution, best step --- */

static void test_attribution(void **state)
{
    (void)state;
    struct run_spec s = run_improved("a", 1, 0);
    s.component = "old"; /* half of what pays */
    const char *run = write_run(&s);
    report_ok(&run, 1);
    expect_text("attribution.0.task", "sql_qa");
    expect_text("attribution.0.old_reward", "old");
    expect_text("attribution.0.new_reward", "new");
    expect_number("attribution.0.change_of_reward.value", 0.1, 1e-12);
    expect_number("attribution.0.learning.value", 0.4, 1e-12);
    expect_number("attribution.0.learning_by_old_reward.value", 0.2, 1e-12);
    expect_number("attribution.0.learning.ci95.0", 0.4 - 0.08937439591, 1e-9);
    assert_int_equal(json_array_size(at("attribution")), 1); /* insights has no such reward */
}

static void test_best_step(void **state)
{
    (void)state;
    struct run_spec s = run_improved("a", 1, 0);
    s.n_steps = 4;
    s.steps[2] = (struct run_step){20, {{0.5, 0.31}, {0.2, 0.3}}}; /* 0.0025 better than step 10 */
    s.steps[3] = (struct run_step){30, {{0.1, 0.2}, {0.1, 0.0}}};
    const char *run = write_run(&s);
    report_ok(&run, 1);
    expect_number("runs.0.best_step", 20, 0);
    s.steps[3] = s.steps[2]; /* of equals the first */
    s.steps[3].step = 30;
    run = write_run(&s);
    report_ok(&run, 1);
    expect_number("runs.0.best_step", 20, 0);
    expect_number("runs.0.indistinguishable_from_best", 2, 0);
    s.steps[3] = (struct run_step){30, {{0.1, 0.2}, {0.1, 0.0}}};
    run = write_run(&s);
    report_ok(&run, 1);
    expect_number("runs.0.evaluations", 4, 0);
    expect_number("runs.0.indistinguishable_from_best", 1, 0);
    /* sql 0.405 − 0.15, insights 0.25 − 0.05: their mean */
    expect_number("runs.0.best_minus_last", 0.2275, 1e-12);
    expect_in(&md, "the choice is within noise");
}

/* --- two runs compared; another baseline --- */

static void test_compare(void **state)
{
    (void)state;
    struct run_spec a = run_improved("a", 1, 0), b = run_improved("b", 1, 0);
    b.recipe = ", \"beta\": 0.1";
    b.steps[1] = (struct run_step){10, {{0.4, 0.7}, {0.3, 0.5}}};
    const char *runs[2] = {write_run(&a), write_run(&b)};
    struct report_request q = {.runs = runs, .n_runs = 2, .compare = true};
    assert_int_equal(report_of(&q), 0);
    expect_number("eval.tasks.sql_qa.gain", 0.15, 1e-12);
    expect_number("eval.tasks.insights.gain", 0.15, 1e-12);
    expect_text("eval.before", "a");
    expect_text("headline.verdict", "improved");
    expect_in(&md, "beta: 0.1");
    expect_warning("Another seed of either may turn the difference around");
    assert_int_equal(json_array_size(at("questions")), 0);
    expect_null("why_compare");
    q.n_runs = 1;
    assert_int_equal(report_of(&q), ERR_USAGE);
}

/* Nobody says --compare: the two can be nothing else, and the page says why it did. */
static void test_compare_unasked(void **state)
{
    (void)state;
    struct run_spec a = run_improved("a", 1, 0), b = run_improved("b", 2, 0);
    b.recipe = ", \"beta\": 0.1";
    b.steps[1] = (struct run_step){10, {{0.4, 0.7}, {0.3, 0.5}}};
    const char *runs[3] = {write_run(&a), write_run(&b)};
    report_ok(runs, 2);
    assert_true(json_is_true(at("compare")));
    expect_number("eval.tasks.sql_qa.gain", 0.15, 1e-12);
    expect_in(&md, "no two seeds of one recipe: their recipes differ in \"beta\"");
    expect_in(&md, "# Report: b against a");
    b.recipe = "";
    b.seed = 1;
    runs[1] = write_run(&b);
    report_ok(runs, 2);
    assert_true(json_is_true(at("compare")));
    expect_in(&md, "both have seed 1");
    /* of three it cannot be guessed who stands before */
    struct run_spec c = run_improved("c", 3, 0);
    runs[2] = write_run(&c);
    assert_int_equal(report_of(&(struct report_request){.runs = runs, .n_runs = 3}), ERR_USAGE);
    assert_non_null(strstr(err.message, "seed 1"));
    runs[1] = runs[0];
    assert_int_equal(report_of(&(struct report_request){.runs = runs, .n_runs = 2}), ERR_USAGE);
    assert_non_null(strstr(err.message, "again"));
}

/* --- experiments --- */

static const char *in_folder(const char *name)
{
    static char paths[4][700];
    static int next;
    next = (next + 1) % 4;
    snprintf(paths[next], sizeof paths[0], "%s/%s", folder, name);
    return paths[next];
}

/* Runs NAME/seed-N: step 10 gains these, and each seed is shifted. */
static const char *write_experiment(const char *name, const int seeds[3], const double shifts[3],
                                    struct run_spec change)
{
    for (int i = 0; i < 3; i++) {
        char run[80];
        snprintf(run, sizeof run, "%s/seed-%d", name, seeds[i]);
        change.name = run;
        change.seed = seeds[i];
        change.shift = shifts[i];
        write_run(&change);
    }
    return in_folder(name);
}

static void test_experiment_folder(void **state)
{
    (void)state;
    static const int seeds[] = {10, 9, 123};
    const char *x =
        write_experiment("x", seeds, (const double[]){0.01, 0, -0.01}, run_improved("", 0, 0));
    report_ok(&x, 1);
    assert_true(json_is_false(at("compare")));
    expect_in(&md, "# Report: x, 3 seeds");
    expect_in(&md, "| seed 9 | seed 10 | seed 123 |"); /* by number, not by letter */
    expect_number("eval.overall.seeds.2", 0.665, 1e-12);
    struct str first = {0};
    str_append(&first, str_text(&html), html.length);
    const char *runs[3] = {in_folder("x/seed-123"), in_folder("x/seed-9"), in_folder("x/seed-10")};
    report_ok(runs, 3);
    assert_string_equal(str_text(&first), str_text(&html)); /* the same runs, named one by one */
    str_free(&first);
    run_put(x, "seed-7/gates/env.json", "{\"stage\": \"env\", \"verdict\": \"fail\"}");
    report_ok(&x, 1);
    expect_warning("x holds 1 seed folders without a run in them");
    run_put(folder, "empty/recipe.json", "{}");
    x = in_folder("empty");
    assert_int_equal(report_of(&(struct report_request){.runs = &x, .n_runs = 1}), ERR_INPUT);
    assert_non_null(strstr(err.message, "seed-N folders of `grpo run`"));
}

/* Row by row and seed by seed: sql_qa gains 0.1 and 0.2 more, and the seeds differ by 0.02, 0 and
 * -0.02, whose t interval has half width 4.302653·0.02/√3. Paired any other way (by place, say, as
 * one list is given backwards) it is another. */
static void test_two_experiments(void **state)
{
    (void)state;
    static const int seeds[] = {1, 2, 3}, backwards[] = {3, 2, 1};
    const char *two[2];
    struct run_spec s = run_improved("", 0, 0);
    two[0] = write_experiment("x", seeds, (const double[]){-0.01, 0, 0.01}, s);
    s.recipe = ", \"beta\": 0.1";
    s.steps[1] = (struct run_step){10, {{0.4, 0.7}, {0.3, 0.5}}};
    two[1] = write_experiment("y", backwards, (const double[]){-0.01, 0, 0.01}, s);
    report_ok(two, 2);
    assert_true(json_is_true(at("compare")));
    expect_number("eval.tasks.sql_qa.gain", 0.15, 1e-12);
    expect_number("eval.tasks.sql_qa.before", 0.6, 1e-12);
    expect_number("eval.tasks.sql_qa.seeds_before.0", 0.59, 1e-12);
    expect_number("eval.tasks.sql_qa.seeds.0", 0.76, 1e-12);
    expect_number("eval.tasks.sql_qa.gain_seeds_t95.0", 0.15 - 0.04968275, 1e-7);
    expect_number("eval.tasks.sql_qa.gain_seeds_t95.1", 0.15 + 0.04968275, 1e-7);
    /* over prompts the seeds' differences cancel: 0.05·√(8/7)/√8·t(7) */
    expect_number("eval.tasks.sql_qa.gain_t95.0", 0.15 - 0.04468719796, 1e-9);
    expect_text("headline.verdict", "improved");
    expect_in(&md, "# Report: y against x");
    expect_in(&md,
              "| seed 1: gain | seed 2: gain | seed 3: gain | y ± 95% CI (t over seeds) | x |");
    expect_in(&md, "| sql_qa | 8 | +0.170 | +0.150 | +0.130 |");
    expect_in(&md, "y, seed 2");
    assert_null(strstr(str_text(&md), "One run of each recipe"));
    expect_well_formed(str_text(&html));
    two[1] = in_folder("y/seed-2");
    assert_int_equal(report_of(&(struct report_request){.runs = two, .n_runs = 2}), ERR_USAGE);
    assert_non_null(strstr(err.message, "has no run of seed 1"));
    assert_non_null(strstr(err.where, "y/seed-2"));
}

static void test_experiments_that_cannot_be_paired(void **state)
{
    (void)state;
    static const int seeds[] = {1, 2, 3}, others[] = {1, 2, 4};
    static const double none[3] = {0};
    struct run_spec s = run_improved("", 0, 0);
    const char *two[2] = {write_experiment("x", seeds, none, s),
                          write_experiment("y", others, none, s)};
    struct report_request q = {.runs = two, .n_runs = 2};
    assert_int_equal(report_of(&q), ERR_USAGE);
    assert_non_null(strstr(err.message, "has no run of seed 3"));
    assert_non_null(strstr(err.message, "seed by seed"));
    assert_non_null(strstr(err.where, "/y"));
    two[1] = write_experiment("z", seeds, none, s);
    report_ok(two, 2);
    expect_number("headline.gain", 0, 0); /* the same again */
    expect_text("headline.verdict", "cannot tell");
    /* another row, in one seed of one of them */
    run_put(two[1], "seed-2/eval/step-10.json",
            "{\"rows\": [{\"id\": \"x\", \"task\": \"t\", \"value\": 1}]}");
    assert_int_equal(report_of(&q), ERR_INPUT);
    assert_non_null(strstr(err.message, "cannot be compared with"));
    assert_non_null(strstr(err.message, "of 16 and 1 rows"));
    /* a side that is itself no set of seeds */
    s = run_improved("z/seed-2", 2, 0);
    s.recipe = ", \"beta\": 0.3";
    write_run(&s);
    assert_int_equal(report_of(&q), ERR_USAGE);
    assert_non_null(strstr(err.message, "\"beta\""));
}

/* sql_qa is paid by "old" in the one and by "new" in the other, where "old" is watched: no verdict
 * of the values, but one of what "old" says of both (half of each value). */
static void test_other_rewards(void **state)
{
    (void)state;
    struct run_spec a = run_improved("a", 1, 0), b = run_improved("b", 1, 0);
    a.component = b.component = "old";
    b.steps[1] = (struct run_step){10, {{0.4, 0.7}, {0.3, 0.5}}};
    const char *runs[2] = {write_run(&a), write_run(&b)};
    static const char about[] = "{\"seed\": 1, \"recipe\": {\"rewards\": {\"insights\": "
                                "[%s], \"sql_qa\": [%s]}}}";
    char text[600];
    snprintf(text, sizeof text, about, "\"ins\"", "\"old\"");
    run_put(runs[0], "run.json", text);
    snprintf(text, sizeof text, about, "{\"name\": \"ins\", \"weight\": 1.0}",
             "\"new\", {\"name\": \"old\", \"weight\": 0, \"known_gameable\": true}");
    run_put(runs[1], "run.json", text);
    report_ok(runs, 2);
    expect_text("eval.tasks.sql_qa.verdict", "cannot tell");
    expect_text("eval.tasks.sql_qa.why", "the two were scored by different rewards");
    expect_text("eval.overall.verdict", "cannot tell");
    expect_text("eval.tasks.insights.verdict", "improved");
    assert_int_equal(json_array_size(at("shared_rewards")), 1);
    expect_text("shared_rewards.0.reward", "old");
    expect_number("shared_rewards.0.before", 0.3, 1e-12);
    expect_number("shared_rewards.0.gain.value", 0.075, 1e-12);
    expect_number("shared_rewards.0.gain.ci95.0", 0.075 - 0.04468719796 / 2, 1e-9);
    expect_warning("Task sql_qa is paid by other rewards in b than in a");
    expect_in(&md,
              "**Cannot tell: the two were scored by different rewards. Gain over a on the eval "
              "set (1 seed), selected on this set, task by task: insights improved");
    expect_in(&md, "; sql_qa by old, which scored both, +0.075 \\[+0.053, +0.097\\] (n = 8).**");
    assert_null(strstr(str_text(&md), "Mean gain"));
}

/* 17 of 60 rows gain 0.15 and one loses 0.67: Student's t lies above 0 and the p is small, but the
 * BCa interval, which sees the long tail, holds 0. */
static void test_intervals_disagree(void **state)
{
    (void)state;
    struct run_spec s = run_improved("a", 1, 0);
    const char *run = write_run(&s);
    for (int after = 0; after < 2; after++) {
        struct str text = {0};
        str_puts(&text, "{\"rows\": [");
        for (int i = 0; i < 60; i++)
            str_printf(&text, "%s{\"id\": \"%d\", \"task\": \"t\", \"value\": %g}", i ? ", " : "",
                       i,
                       i == 0             ? (after ? 0.33 : 1)
                       : i < 18 && !after ? 0.85
                                          : 1);
        str_puts(&text, "]}");
        run_put(run, after ? "eval/step-10.json" : "eval/step-0.json", str_text(&text));
        str_free(&text);
    }
    report_ok(&run, 1);
    assert_true(json_number_value(at("eval.tasks.t.gain_t95.0")) > 0);
    assert_true(json_number_value(at("eval.tasks.t.gain_bca95.0")) < 0);
    assert_true(json_number_value(at("eval.tasks.t.p_holm")) < 0.05);
    expect_text("eval.tasks.t.verdict", "cannot tell");
    expect_text("eval.tasks.t.why", "the BCa interval over prompts holds 0");
    assert_true(json_number_value(at("eval.tasks.t.prompts_needed")) > 60);
}

static void test_other_rows_cannot_be_compared(void **state)
{
    (void)state;
    struct run_spec a = run_improved("a", 1, 0), b = run_improved("b", 2, 0);
    const char *runs[2] = {write_run(&a), write_run(&b)};
    run_put(
        runs[1], "eval/step-10.json",
        "{\"data_sha256\": \"other\", \"rows\": [{\"id\": \"x\", \"task\": \"t\", \"value\": 1}]}");
    struct report_request q = {.runs = runs, .n_runs = 2, .compare = true};
    assert_int_equal(report_of(&q), ERR_INPUT);
    assert_non_null(strstr(err.message, "different files of rows"));
    report_ok(runs, 2); /* as seeds: no results, and it says why */
    expect_null("headline");
    expect_warning("different files of rows");
    expect_in(&md, "Nothing can be said of a gain");
}

static void test_baseline_eval(void **state)
{
    (void)state;
    struct run_spec s = run_improved("a", 1, 0), other = run_improved("base", 2, 0);
    other.start[0] = 0.3;
    other.start[1] = 0.6;
    const char *run = write_run(&s), *base = write_run(&other);
    char file[700];
    snprintf(file, sizeof file, "%s/eval/step-0.json", base);
    struct report_request q = {.runs = &run, .n_runs = 1, .baseline_eval = file};
    assert_int_equal(report_of(&q), 0);
    expect_text("eval.before", "baseline");
    expect_number("eval.tasks.sql_qa.gain", 0.3, 1e-12);
    run_put(base, "eval/step-0.json",
            "{\"rows\": [{\"id\": \"x\", \"task\": \"t\", \"value\": 1}]}");
    assert_int_equal(report_of(&q), ERR_INPUT);
    assert_non_null(strstr(err.message, "holds the rows neither of"));
}

/* --- what is in plain sight --- */

static void test_plain_sight(void **state)
{
    (void)state;
    struct run_spec s = run_improved("a", 42, 0);
    s.recipe = ", \"task_sampler\": \"dynamic\", \"history\": [{\"version\": \"V1\", \"failure\": "
               "\"a | b\"}], \"other\": 1";
    s.about =
        ", \"stop_rules_fired\": [{\"rule\": \"flat\", \"metric\": \"eval/sql_qa\", \"step\": "
        "7, \"action\": \"warn\", \"why\": \"it is flat\"}], \"stopped\": {\"reason\": "
        "\"early_stopping\", \"step\": 8}, \"allowed\": \"max_steps: 5, now 10\", \"gates\": "
        "{\"rewards\": [{\"reward\": \"sql_qa_v2\", \"verdict\": \"known_gameable\", \"why\": "
        "\"a salad beats gold\"}]}, \"rewards\": [{\"label\": \"ext\", \"deterministic\": "
        "false}]";
    const char *run = write_run(&s);
    run_put(run, "gates/audit.json",
            "{\"stage\": \"audit\", \"verdict\": \"skipped\", \"text\": \"nobody scored\", "
            "\"figures\": "
            "{\"why\": \"--skip-audit\"}, \"seconds\": 0}");
    run_put(run, "gates/probe.json",
            "{\"stage\": \"probe\", \"verdict\": \"fail\", \"figures\": "
            "{\"simulated\": true}, \"seconds\": 12.5}");
    run_put(run, "gates/env.json", "{\"stage\": \"env\", \"verdict\": \"pass\", \"figures\": {}}");
    report_ok(&run, 1);
    expect_warning("seed 42: stop rule flat on eval/sql_qa fired at step 7 (warn): it is flat");
    expect_warning("stopped early, after step 8: early_stopping");
    expect_warning("--allow): max_steps: 5, now 10");
    expect_warning("sql_qa_v2 against its fixtures: known_gameable. a salad beats gold");
    expect_warning("reward ext is not deterministic");
    expect_warning("gate audit: skipped. nobody scored");
    expect_warning("gate probe: fail");
    expect_in(&md, "GATES FAILED: probe. Gates skipped: audit.**");
    expect_warning("judged by a simulated rater");
    expect_warning("The task sampler watches the eval set");
    expect_in(&md, "| audit | seed 42 | ! skipped | nobody scored |");
    expect_in(&md, "| audit | seed 42 | why --skip-audit |");
    expect_in(&md, "| V1 | a \\| b |");
    const char *env = strstr(str_text(&md), "| env |"), *audit = strstr(str_text(&md), "| audit |");
    assert_true(env && audit && env < audit); /* the protocol's order */
    run_put(run, "gates/report.json", "{\"stage\": \"report\", \"verdict\": \"pass\"}");
    report_ok(&run, 1);
    assert_int_equal(json_array_size(at("runs.0.gates")), 3); /* not the report's own */
    expect_in(&md, "- Stages of seed 42: audit 0.0 s, probe 12.5 s");
}

/* What fails stands first; seeds that fail alike are one warning; digests are cut; what the dataset
 * stage found odd is told, but not what the machine's clock says. */
static void test_gates_of_seeds(void **state)
{
    (void)state;
    const char *runs[3];
    three_seeds(runs, run_improved("", 0, 0));
    static const int seeds[] = {42, 123, 456};
    char hash[65], text[900];
    memset(hash, 'a', 64);
    hash[64] = 0;
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text,
                 "{\"stage\": \"train\", \"verdict\": \"fail\", \"text\": "
                 "\"x/seed-%d/checkpoints: made with %s\", \"error\": {\"status\": 2, "
                 "\"message\": \"made with %s\"}, \"figures\": {\"sha\": \"%s\", \"p\": "
                 "0.123456789}}",
                 seeds[i], hash, hash, hash);
        run_put(runs[i], "gates/train.json", text);
        run_put(runs[i], "gates/dataset.json",
                "{\"stage\": \"dataset\", \"verdict\": \"warn\", \"text\": \"odd\", "
                "\"measured\": {\"warnings\": [{\"id\": \"epochs\", \"text\": \"few of them\"}, "
                "{\"id\": \"memory\", \"text\": \"takes 3 GiB\"}]}}");
    }
    report_ok(runs, 3);
    assert_string_equal(json_string_value(json_array_get(at("warnings"), 0)),
                        "all runs: gate train: fail. x/seed-N/checkpoints: made with "
                        "aaaaaaaaaaaa…");
    expect_warning("all runs: gate dataset: epochs. few of them.");
    assert_null(strstr(str_text(&md), "takes 3 GiB"));
    assert_null(strstr(str_text(&md), hash));
    expect_in(&md, "GATES FAILED: train.**");
    expect_in(&md, "| sha aaaaaaaaaaaa…, p 0.1235 |");
    expect_in(&md, "| dataset | all | ! warn | odd |");
    run_put(runs[1], "gates/train.json", "{\"stage\": \"train\", \"verdict\": \"pass\"}");
    report_ok(runs, 3);
    expect_in(&md, "GATES FAILED: train (2 of 3 runs).**");
}

/* On a narrow screen each cell stands beside its head; a row that is two things is shown once. */
static void test_page(void **state)
{
    (void)state;
    struct run_spec s = run_improved("a", 42, 0);
    s.steps[1] = (struct run_step){10, {{0.3, -0.1}, {0.2, 0.3}}};
    const char *run = write_run(&s);
    report_ok(&run, 1);
    expect_in(&html, "<div class=\"scroll cards\" tabindex=\"0\">");
    expect_in(&html, "<td class=\"number\" data-label=\"n\">8</td>");
    expect_in(&md, "Worst (the first of 4 such) and most fallen (the first of 4 such): row "
                   "sql_qa-1, seed 42.");
    assert_null(strstr(str_text(&md), "Most fallen"));
    expect_in(&md, "| version of grpo | 0.1.0 |");
    expect_well_formed(str_text(&html));
}

static void test_known_gameable(void **state)
{
    (void)state;
    struct run_spec s = run_improved("a", 1, 0);
    const char *run = write_run(&s);
    run_put(run, "run.json",
            "{\"seed\": 1, \"recipe\": {\"rewards\": {\"sql_qa\": [{\"name\": "
            "\"sql_qa_v2\", \"known_gameable\": true}], \"push\": [\"push\"]}}}");
    report_ok(&run, 1);
    expect_warning("Reward sql_qa_v2 (task sql_qa) is known to be gameable");
    expect_warning("trained on all the same");
}

/* --- form --- */

static void test_same_bytes_and_well_formed(void **state)
{
    (void)state;
    const char *runs[3];
    three_seeds(runs, run_improved("", 0, 0));
    report_ok(runs, 3);
    struct str first = {0};
    str_append(&first, str_text(&html), html.length);
    report_ok(runs, 3);
    assert_int_equal(first.length, html.length);
    assert_memory_equal(first.data, html.data, first.length);
    str_free(&first);
    expect_well_formed(str_text(&html));
    expect_in(&html, "<svg xmlns=");
    expect_in(&html, "optimizer step");
    assert_null(strstr(str_text(&html), "<script"));
    assert_null(strstr(str_text(&html), "src="));
    assert_null(strstr(str_text(&html), "href="));
}

static void test_make(void **state)
{
    (void)state;
    struct run_spec s = run_improved("a", 1, 0);
    const char *run = write_run(&s);
    char out[700], path[800];
    snprintf(out, sizeof out, "%s/new/place", folder);
    assert_int_equal(report_make(&run, 1, out, &err), 0);
    report_ok(&run, 1);
    struct str text = {0};
    snprintf(path, sizeof path, "%s/report.html", out);
    assert_int_equal(file_read(&text, path, &err), 0);
    assert_string_equal(str_text(&text), str_text(&html));
    str_clear(&text);
    snprintf(path, sizeof path, "%s/report.md", out);
    assert_int_equal(file_read(&text, path, &err), 0);
    assert_string_equal(str_text(&text), str_text(&md));
    str_free(&text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_table),
        TEST(test_selected_and_test_set),
        TEST(test_one_seed),
        TEST(test_tasks_of_unequal_size),
        TEST(test_worse),
        TEST(test_cannot_tell),
        TEST(test_few_changed),
        TEST(test_seeds_disagree),
        TEST(test_holm_keeps_back),
        TEST(test_q1),
        TEST(test_q2),
        TEST(test_q3_q4),
        TEST(test_q4_sides),
        TEST(test_attribution),
        TEST(test_best_step),
        TEST(test_compare),
        TEST(test_compare_unasked),
        TEST(test_experiment_folder),
        TEST(test_two_experiments),
        TEST(test_experiments_that_cannot_be_paired),
        TEST(test_other_rewards),
        TEST(test_intervals_disagree),
        TEST(test_other_rows_cannot_be_compared),
        TEST(test_baseline_eval),
        TEST(test_plain_sight),
        TEST(test_gates_of_seeds),
        TEST(test_page),
        TEST(test_known_gameable),
        TEST(test_same_bytes_and_well_formed),
        TEST(test_make),
    };
    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
