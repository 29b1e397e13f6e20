/* test_advantage.c: advantages and reward statistics against TRL (tests/oracle/trl/advantage.json):
 * every scale_rewards; groups with spread, without variance, with missing rewards. */
#include <math.h>
#include <string.h>
#include "../support/support.h"
#include "../support/json_fixture.h"
#include "train/advantage.h"

enum { GROUPS = 4, MAX_ROWS = 64 };

/* Groups without signal in each of the fixture's batches; TRL's own count leaves out the groups of
 * fewer than two valid rewards (their deviation is NaN) and depends on scale_rewards. */
static int zero_variance_of(const char *name)
{
    static const struct {
        const char *name;
        int groups;
    } known[] = {{"spread", 0}, {"zero_variance", 3}, {"all_zero_variance", 4}, {"missing", 3}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, name))
            return known[i].groups;
    fail_msg("no batch %s", name);
    return -1;
}

static enum scale_rewards scale_of(const char *name)
{
    for (int i = 0; scale_rewards_names[i]; i++)
        if (!strcmp(scale_rewards_names[i], name))
            return (enum scale_rewards)i;
    fail_msg("no scale_rewards %s", name);
    return SCALE_NONE;
}

static void check_case(const json_t *c, int per_group)
{
    const char *name = json_string_value(json_object_get(c, "name"));
    const char *scale = json_string_value(json_object_get(c, "scale_rewards"));
    json_t *rewards = json_object_get(c, "rewards"), *want = json_object_get(c, "advantages");
    double reward[MAX_ROWS] = {0};
    bool valid[MAX_ROWS];
    float got[MAX_ROWS];
    int n = (int)json_array_size(rewards), invalid = 0;
    assert_int_equal(n, GROUPS * per_group);
    for (int i = 0; i < n; i++) {
        valid[i] = json_is_number(json_array_get(rewards, i));
        reward[i] = valid[i] ? json_number_value(json_array_get(rewards, i)) : NAN;
        invalid += !valid[i];
    }
    struct advantage_stats stats;
    advantage_compute(got, reward, valid, GROUPS, per_group, scale_of(scale), &stats);
    for (int first = 0; first < n; first += per_group) {
        double largest = 0;
        for (int i = first; i < first + per_group; i++)
            largest = fmax(largest, fabs(json_number_value(json_array_get(want, i))));
        /* Relative to the group's largest: TRL's r − mean cancels in float32. */
        for (int i = first; i < first + per_group; i++) {
            double expected = json_number_value(json_array_get(want, i));
            if (!(fabs(got[i] - expected) <= 1e-5 * largest))
                fail_msg("%s/%s, row %d: %.9g, TRL has %.9g", scale, name, i, (double)got[i],
                         expected);
        }
    }
    double mean = json_fixture_number(c, "reward");
    double std = json_fixture_number(c, "reward_std");
    assert_true(fabs(stats.reward_mean - mean) <= 1e-6 * fabs(mean));
    assert_true(fabs(stats.reward_std - std) <= 1e-6 * std);
    assert_int_equal(stats.invalid, invalid);
    assert_int_equal(stats.zero_variance, zero_variance_of(name));
}

static void trl(void **state)
{
    (void)state;
    json_t *root = json_fixture("trl/advantage.json"), *c;
    int per_group = (int)json_integer_value(json_object_get(root, "per_group"));
    size_t i;
    assert_int_equal(json_array_size(json_object_get(root, "cases")), 12);
    json_array_foreach(json_object_get(root, "cases"), i, c) check_case(c, per_group);
    json_decref(root);
}

/* Equal rewards whose computed mean differs from them in the last bit: no signal, exactly. */
static void equal_rewards_give_zero(void **state)
{
    (void)state;
    for (int n = 2; n <= MAX_ROWS; n++) {
        double reward[MAX_ROWS];
        bool valid[MAX_ROWS];
        float got[MAX_ROWS];
        struct advantage_stats stats;
        for (int i = 0; i < n; i++) {
            reward[i] = 0.1;
            valid[i] = true;
        }
        for (int scale = SCALE_GROUP; scale <= SCALE_NONE; scale++) {
            advantage_compute(got, reward, valid, 1, n, (enum scale_rewards)scale, &stats);
            for (int i = 0; i < n; i++)
                assert_true(got[i] == 0);
            assert_int_equal(stats.zero_variance, 1);
        }
    }
}

static void nothing_valid(void **state)
{
    (void)state;
    double reward[4] = {NAN, NAN, INFINITY, 1};
    bool valid[4] = {false, false, false, false};
    float got[4] = {9, 9, 9, 9};
    struct advantage_stats stats;
    advantage_compute(got, reward, valid, 2, 2, SCALE_BATCH, &stats);
    for (int i = 0; i < 4; i++)
        assert_true(got[i] == 0);
    assert_true(isnan(stats.reward_mean) && isnan(stats.reward_std));
    assert_int_equal(stats.invalid, 4);
    assert_int_equal(stats.zero_variance, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trl),
        cmocka_unit_test(equal_rewards_give_zero),
        cmocka_unit_test(nothing_valid),
    };
    return cmocka_run_group_tests_name("advantage", tests, NULL, NULL);
}
