/* test_schedule.c: learning rates against transformers' get_scheduler
 * (tests/oracle/train/make_schedule.py): every step of every schedule, each floor of the cosine,
 * and the warm-up's rounding.
 */
#include <math.h>
#include <string.h>
#include "../support/support.h"
#include "../support/json_fixture.h"
#include "train/options.h"

static int schedule_of(const char *name)
{
    for (int i = 0; schedule_names[i]; i++)
        if (!strcmp(schedule_names[i], name))
            return i;
    fail_msg("no schedule %s", name);
    return -1;
}

static double number_or_nan(const json_t *c, const char *key)
{
    const json_t *value = json_object_get(c, key);
    return value ? json_number_value(value) : NAN;
}

static void get_scheduler(void **state)
{
    (void)state;
    json_t *root = json_fixture("train/schedule.json"), *c;
    double base = json_fixture_number(root, "learning_rate");
    size_t i, cases = json_array_size(json_object_get(root, "cases"));
    assert_int_equal(cases, 56);
    json_array_foreach(json_object_get(root, "cases"), i, c)
    {
        const char *name = json_string_value(json_object_get(c, "schedule"));
        int steps = (int)json_integer_value(json_object_get(c, "max_steps"));
        double ratio = json_fixture_number(c, "warmup_ratio");
        struct optim_options o = {.learning_rate = base};
        o.lr_scheduler_kwargs.min_lr = number_or_nan(c, "min_lr");
        o.lr_scheduler_kwargs.min_lr_rate = number_or_nan(c, "min_lr_rate");
        int warmup = schedule_warmup_steps(steps, ratio);
        assert_int_equal(warmup, json_integer_value(json_object_get(c, "warmup_steps")));
        for (int step = 1; step <= steps; step++) {
            double want = json_number_value(json_array_get(json_object_get(c, "lr"), step - 1));
            double got = schedule_lr((enum schedule)schedule_of(name), base, step, warmup, steps,
                                     optim_min_lr_rate(&o));
            if (!(fabs(got - want) <= 1e-15 * base))
                fail_msg("%s, step %d of %d, warm-up %d: %.17g, transformers has %.17g", name, step,
                         steps, warmup, got, want);
        }
    }
    json_decref(root);
}

/* Past max_steps (a run extended on resume) the decaying schedules stay at 0. */
static void past_the_end(void **state)
{
    (void)state;
    assert_true(schedule_lr(SCHEDULE_LINEAR, 1, 15, 2, 10, 0) == 0);
    assert_true(schedule_lr(SCHEDULE_CONSTANT, 1, 15, 2, 10, 0) == 1);
    assert_true(schedule_lr(SCHEDULE_COSINE, 1, 11, 0, 10, 0) < 1e-15);
    assert_true(schedule_lr(SCHEDULE_COSINE_WITH_MIN_LR, 1, 11, 0, 10, 0.25) == 0.25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_scheduler),
        cmocka_unit_test(past_the_end),
    };
    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
