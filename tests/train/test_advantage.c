/* test_advantage.c: advantages and reward statistics against TRL (tests/oracle/trl/advantage.json):
 * every scale_rewards; groups with spread, without variance, with missing rewards. Then GDPO,
 * leave-one-out and the reference experiment's flat function (gdpo.json), and what TRL's rounding
 * hides: no variance is no signal, to the last bit. */
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
    advantage_compute(got,
                      &(struct advantage_input){.scale = scale_of(scale),
                                                .groups = GROUPS,
                                                .per_group = per_group,
                                                .reward = reward,
                                                .valid = valid},
                      &stats);
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
            advantage_compute(got,
                              &(struct advantage_input){.scale = (enum scale_rewards)scale,
                                                        .groups = 1,
                                                        .per_group = n,
                                                        .reward = reward,
                                                        .valid = valid},
                              &stats);
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
    advantage_compute(
        got,
        &(struct advantage_input){
            .scale = SCALE_BATCH, .groups = 2, .per_group = 2, .reward = reward, .valid = valid},
        &stats);
    for (int i = 0; i < 4; i++)
        assert_true(got[i] == 0);
    assert_true(isnan(stats.reward_mean) && isnan(stats.reward_std));
    assert_int_equal(stats.invalid, 4);
    assert_int_equal(stats.zero_variance, 2);
}

/* --- several columns, and the other kinds --- */

enum { MAX_COLUMNS = 5 };

struct batch {
    struct advantage_input in;
    double reward[MAX_ROWS], column[MAX_COLUMNS * MAX_ROWS], weight[MAX_COLUMNS], scratch[MAX_ROWS];
    bool valid[MAX_ROWS];
    int task[MAX_ROWS];
    float got[MAX_ROWS];
    struct advantage_stats stats;
};

static void batch_compute(struct batch *b)
{
    b->in.reward = b->reward;
    b->in.valid = b->valid;
    b->in.column = b->column;
    b->in.weight = b->weight;
    b->in.task = b->task;
    b->in.scratch = b->scratch;
    b->in.stride = MAX_ROWS;
    advantage_compute(b->got, &b->in, &b->stats);
}

/* Against TRL, relative to `scale` (or the largest advantage): its float32 cancels where rewards
 * are large and differences small. */
static void same_advantages(const struct batch *b, const json_t *c, double scale)
{
    const json_t *want = json_object_get(c, "advantages");
    size_t n = json_array_size(want);
    assert_int_equal(n, b->in.groups * b->in.per_group);
    for (size_t i = 0; i < n; i++)
        scale = fmax(scale, fabs(json_number_value(json_array_get(want, i))));
    for (size_t i = 0; i < n; i++) {
        double expected = json_number_value(json_array_get(want, i));
        if (!(fabs(b->got[i] - expected) <= 1e-5 * scale))
            fail_msg("%s, row %zu: %.9g, expected %.9g",
                     json_string_value(json_object_get(c, "name")), i, (double)b->got[i], expected);
    }
}

static void read_sizes(struct batch *b, const json_t *c, enum advantage_kind kind)
{
    size_t n = json_array_size(json_object_get(c, "advantages"));
    b->in = (struct advantage_input){
        .kind = kind, .per_group = (int)json_integer_value(json_object_get(c, "per_group"))};
    b->in.groups = (int)n / b->in.per_group;
    assert_true(n > 0 && n <= MAX_ROWS && b->in.groups * b->in.per_group == (int)n);
}

/* Rewards with what is null left out. */
static double read_rewards(struct batch *b, const json_t *c)
{
    double largest = 0;
    size_t n = json_fixture_doubles(b->reward, MAX_ROWS, c, "rewards");
    for (size_t i = 0; i < n; i++) {
        b->valid[i] = !isnan(b->reward[i]);
        largest = b->valid[i] ? fmax(largest, fabs(b->reward[i])) : largest;
    }
    return largest;
}

static void read_columns(struct batch *b, const json_t *c)
{
    const json_t *row;
    size_t i;
    b->in.n_columns = (int)json_fixture_doubles(b->weight, MAX_COLUMNS, c, "weights");
    json_array_foreach(json_object_get(c, "rows"), i, row)
    {
        b->valid[i] = false;
        b->reward[i] = 0;
        for (int k = 0; k < b->in.n_columns; k++) {
            const json_t *value = json_array_get(row, (size_t)k);
            double x = json_is_number(value) ? json_number_value(value) : NAN;
            b->column[k * MAX_ROWS + (int)i] = x;
            b->valid[i] = b->valid[i] || !isnan(x);
            b->reward[i] += isnan(x) ? 0 : b->weight[k] * x;
        }
    }
}

static void trl_gdpo(void **state)
{
    (void)state;
    json_t *root = json_fixture("trl/gdpo.json"), *c;
    size_t i;
    json_array_foreach(json_object_get(root, "gdpo"), i, c)
    {
        struct batch b;
        read_sizes(&b, c, ADVANTAGE_GDPO);
        read_columns(&b, c);
        batch_compute(&b);
        same_advantages(&b, c, 0);
    }
    assert_int_equal(i, 11);
    json_decref(root);
}

static void trl_leave_one_out(void **state)
{
    (void)state;
    json_t *root = json_fixture("trl/gdpo.json"), *c;
    size_t i;
    json_array_foreach(json_object_get(root, "loo"), i, c)
    {
        struct batch b;
        read_sizes(&b, c, ADVANTAGE_LOO);
        double largest = read_rewards(&b, c);
        batch_compute(&b);
        same_advantages(&b, c, largest);
    }
    assert_int_equal(i, 3);
    json_decref(root);
}

static void the_documents_function(void **state)
{
    (void)state;
    json_t *root = json_fixture("trl/gdpo.json"), *c;
    size_t i;
    json_array_foreach(json_object_get(root, "flat"), i, c)
    {
        struct batch b;
        double task[MAX_ROWS];
        read_sizes(&b, c, ADVANTAGE_GDPO_FLAT);
        read_rewards(&b, c);
        for (int g = 0; g < (int)json_fixture_doubles(task, MAX_ROWS, c, "tasks"); g++)
            b.task[g] = (int)task[g];
        batch_compute(&b);
        same_advantages(&b, c, 0);
    }
    assert_int_equal(i, 6);
    json_decref(root);
}

/* Three groups of four rows and two columns: in the first both columns are flat, in the second one
 * is, in the third the columns vary and their sum does not. */
static struct batch three_groups(void)
{
    static const double rows[2][12] = {
        {0.1, 0.1, 0.1, 0.1, 0.7, 0.7, 0.7, 0.7, 0.2, 0.4, 0.2, 0.4},
        {0.3, 0.3, 0.3, 0.3, 0.1, 0.9, 0.1, 0.1, 0.4, 0.2, 0.4, 0.2},
    };
    struct batch b = {.in = {.kind = ADVANTAGE_GDPO, .groups = 3, .per_group = 4, .n_columns = 2},
                      .weight = {1, 1}};
    for (int i = 0; i < 12; i++) {
        b.valid[i] = true;
        b.column[i] = rows[0][i];
        b.column[MAX_ROWS + i] = rows[1][i];
        b.reward[i] = rows[0][i] + rows[1][i];
    }
    return b;
}

static void signal_is_counted_by_column(void **state)
{
    (void)state;
    struct batch b = three_groups();
    int present, flat;
    b.weight[1] = 0.5; /* else the third group's columns cancel */
    batch_compute(&b);
    assert_int_equal(b.stats.zero_variance, 1);
    for (int i = 0; i < 12; i++)
        assert_true(i < 4 ? b.got[i] == 0 : b.got[i] != 0);
    advantage_column_groups(&b.in, 0, &present, &flat);
    assert_true(present == 3 && flat == 2);
    advantage_column_groups(&b.in, 1, &present, &flat);
    assert_true(present == 3 && flat == 1);
    /* The same rewards as one sum: the third group looks equal, and GRPO learns nothing there. */
    b.in.kind = ADVANTAGE_GRPO;
    for (int i = 8; i < 12; i++)
        b.reward[i] = 0.6;
    batch_compute(&b);
    assert_int_equal(b.stats.zero_variance, 2);
    /* A column of weight 0 makes no signal. */
    b = three_groups();
    b.weight[1] = 0;
    batch_compute(&b);
    assert_int_equal(b.stats.zero_variance, 2);
    for (int i = 0; i < 8; i++)
        assert_true(b.got[i] == 0);
}

/* A failed row is in no mean: its values, whatever they are, change no advantage but its own. */
static void failed_rows_are_out(void **state)
{
    (void)state;
    for (int kind = ADVANTAGE_GRPO; kind <= ADVANTAGE_LOO; kind++) {
        struct batch a = three_groups(), b = three_groups();
        a.in.kind = b.in.kind = (enum advantage_kind)kind;
        a.valid[5] = b.valid[5] = false;
        b.column[5] = -1e6;
        b.column[MAX_ROWS + 5] = INFINITY;
        b.reward[5] = NAN;
        batch_compute(&a);
        batch_compute(&b);
        assert_memory_equal(a.got, b.got, 12 * sizeof *a.got);
        assert_true(b.got[5] == 0);
        assert_int_equal(b.stats.invalid, 1);
    }
}

/* Rewards whose squares no double holds: the same advantages as of small ones, not 0. */
static void huge_rewards(void **state)
{
    (void)state;
    struct batch small = three_groups(), huge = three_groups();
    for (int i = 0; i < 12; i++)
        huge.reward[i] = 1e200 * (small.reward[i] = 1e6 * (i % 4));
    for (int scale = SCALE_GROUP; scale <= SCALE_BATCH; scale++) {
        small.in.kind = huge.in.kind = ADVANTAGE_GRPO;
        small.in.scale = huge.in.scale = (enum scale_rewards)scale;
        batch_compute(&small);
        batch_compute(&huge);
        assert_true(small.got[0] < -1);
        for (int i = 0; i < 12; i++)
            assert_true(fabsf(huge.got[i] - small.got[i]) <= 1e-6f);
    }
    struct batch weighed = three_groups();
    small = three_groups();
    for (int k = 0; k < 2; k++) {
        small.weight[k] = 1e9 * (k + 1);
        weighed.weight[k] = 1e199 * (k + 1);
    }
    batch_compute(&small);
    batch_compute(&weighed);
    for (int i = 0; i < 12; i++)
        assert_true(fabsf(weighed.got[i] - small.got[i]) <= 1e-6f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trl),
        cmocka_unit_test(equal_rewards_give_zero),
        cmocka_unit_test(nothing_valid),
        cmocka_unit_test(huge_rewards),
        cmocka_unit_test(trl_gdpo),
        cmocka_unit_test(trl_leave_one_out),
        cmocka_unit_test(the_documents_function),
        cmocka_unit_test(signal_is_counted_by_column),
        cmocka_unit_test(failed_rows_are_out),
    };
    return cmocka_run_group_tests_name("advantage", tests, NULL, NULL);
}
