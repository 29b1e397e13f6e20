/* test_loss.c: the loss and its derivative against TRL (tests/oracle/trl/loss.json): every
 * loss_type, ratios on each side of both bounds under advantages of each sign and zero, with and
 * without KL, KL corrected or not, symmetric and wider upper bound, on- and off-policy; and the
 * options of loss_options.json: two-sided clipping, cispo, ratios of sequences, the policy term of
 * only the most uncertain tokens. */
#include <math.h>
#include <string.h>
#include "../support/support.h"
#include "../support/json_fixture.h"
#include "train/entropy.h"
#include "train/loss.h"

enum { MAX_LENGTH = 16 };

/* One completion without the choice of tokens; the rest of the arguments as they were named. */
static void completion(const struct loss_params *p, double weight, float advantage,
                       const float *logp, const float *old, const float *ref, int n, float *dlogp,
                       struct loss_sums *sums)
{
    struct loss_tokens in = {.length = n, .logp = logp, .old = old, .ref = ref, .dlogp = dlogp};
    loss_completion(p, weight, advantage, &in, sums);
}

static int read_floats(float *out, const json_t *rows, size_t row)
{
    const json_t *values = json_array_get(rows, row);
    int n = (int)json_array_size(values);
    assert_in_range(n, 1, MAX_LENGTH);
    for (int i = 0; i < n; i++)
        out[i] = (float)json_number_value(json_array_get(values, i));
    return n;
}

static struct loss_params params_of(const json_t *root, const json_t *c)
{
    struct loss_params p = {
        .epsilon = json_fixture_number(c, "epsilon"),
        .epsilon_high = json_fixture_number(c, "epsilon_high"),
        .beta = json_fixture_number(c, "beta"),
        .bias_correction_kl = json_is_true(json_object_get(c, "use_bias_correction_kl")),
        .max_completion_length =
            (int)json_integer_value(json_object_get(root, "max_completion_length")),
        .delta = json_number_value(json_object_get(c, "delta")), /* 0 where there is none */
    };
    const char *name = json_string_value(json_object_get(c, "loss_type"));
    int type = 0;
    while (loss_type_names[type] && strcmp(loss_type_names[type], name))
        type++;
    assert_non_null(loss_type_names[type]);
    p.type = (enum loss_type)type;
    const char *level = json_string_value(json_object_get(c, "importance_sampling_level"));
    p.level = level && !strcmp(level, "sequence") ? LEVEL_SEQUENCE : LEVEL_TOKEN;
    return p;
}

static void close_to(double got, double want, const char *what, size_t c, size_t row, int t)
{
    /* The fixture is float64; ours is rounded to float32 once. */
    if (!(fabs(got - want) <= 1e-6 * fabs(want)))
        fail_msg("case %zu, completion %zu, token %d: %s is %.9g, TRL has %.9g", c, row, t, what,
                 got, want);
}

static bool masked(const json_t *c, size_t row)
{
    size_t i;
    json_t *value;
    json_array_foreach(json_object_get(c, "masked"), i, value)
    {
        if ((size_t)json_integer_value(value) == row)
            return true;
    }
    return false;
}

static void check_clipped(const json_t *c, const struct loss_sums *sums, size_t index)
{
    double low = (double)sums->clipped_low / (double)sums->ratios,
           high = (double)sums->clipped_high / (double)sums->ratios;
    if (json_object_get(c, "cispo_clip")) {
        assert_int_equal(sums->clipped_low, 0);
        close_to(high, json_fixture_number(c, "cispo_clip"), "cispo_clip", index, 0, 0);
        return;
    }
    close_to(low, json_fixture_number(c, "clip_low"), "clip_low", index, 0, 0);
    close_to(high, json_fixture_number(c, "clip_high"), "clip_high", index, 0, 0);
    close_to(sums->clipped_low_min, json_fixture_number(c, "clip_low_min"), "low_min", index, 0, 0);
    close_to(sums->clipped_high_max, json_fixture_number(c, "clip_high_max"), "high_max", index, 0,
             0);
}

/* Over the tokens of completions that are not masked, as the trainer does over a step. */
static float threshold(const json_t *root, const json_t *c, double quantile)
{
    const json_t *rows = json_object_get(root, "entropy");
    float all[8 * MAX_LENGTH];
    size_t n = 0;
    assert_in_range(json_array_size(rows), 1, 8);
    for (size_t i = 0; i < json_array_size(rows); i++)
        if (!masked(c, i))
            n += (size_t)read_floats(all + n, rows, i);
    return entropy_threshold(all, n, quantile);
}

static void check_case(const json_t *root, const json_t *c, size_t index)
{
    const json_t *logps = json_object_get(root, "logp");
    struct loss_params p = params_of(root, c);
    struct loss_denominator d = {.completions = (long)json_array_size(logps)};
    struct loss_sums sums = {0};
    for (size_t i = 0; i < json_array_size(logps); i++)
        if (!masked(c, i))
            d.tokens += (long)json_array_size(json_array_get(logps, i));
    json_t *chosen = json_object_get(c, "top_entropy_quantile");
    double quantile = chosen ? json_number_value(chosen) : 1;
    float min_entropy = quantile < 1 ? threshold(root, c, quantile) : 0;
    for (size_t i = 0; i < json_array_size(logps); i++) {
        float logp[MAX_LENGTH], old[MAX_LENGTH], ref[MAX_LENGTH], want[MAX_LENGTH], got[MAX_LENGTH],
            entropy[MAX_LENGTH];
        if (quantile < 1)
            read_floats(entropy, json_object_get(root, "entropy"), i);
        int n = read_floats(logp, logps, i);
        read_floats(old, json_object_get(root, "old"), i);
        read_floats(ref, json_object_get(root, "ref"), i);
        read_floats(want, json_object_get(c, "dlogp"), i);
        const float *before = json_is_true(json_object_get(c, "on_policy")) ? logp : old;
        json_t *advantage = json_array_get(json_object_get(root, "advantages"), i);
        if (masked(c, i)) {
            loss_masked_completion(&p, (float)json_number_value(advantage), &sums);
            continue;
        }
        struct loss_tokens in = {.length = n,
                                 .logp = logp,
                                 .old = before,
                                 .ref = p.beta != 0 ? ref : NULL,
                                 .entropy = quantile < 1 ? entropy : NULL,
                                 .min_entropy = min_entropy,
                                 .dlogp = got};
        loss_completion(&p, loss_token_weight(&p, &d, n), (float)json_number_value(advantage), &in,
                        &sums);
        for (int t = 0; t < n; t++) {
            close_to((double)got[t], (double)want[t], "dlogp", index, i, t);
            assert_true(want[t] != 0 || got[t] == 0);
        }
    }
    double tokens = (double)sums.tokens;
    assert_int_equal(sums.tokens, d.tokens);
    close_to(sums.loss, json_fixture_number(c, "loss"), "loss", index, 0, 0);
    close_to(sums.kl / tokens, json_fixture_number(c, "kl"), "kl", index, 0, 0);
    check_clipped(c, &sums, index);
}

static void check_file(const char *path, size_t cases)
{
    json_t *root = json_fixture(path), *c;
    size_t i;
    assert_int_equal(json_array_size(json_object_get(root, "cases")), cases);
    json_array_foreach(json_object_get(root, "cases"), i, c) check_case(root, c, i);
    json_decref(root);
}

static void trl(void **state)
{
    (void)state;
    check_file("trl/loss.json", 48);
}

static void trl_options(void **state)
{
    (void)state;
    check_file("trl/loss_options.json", 280);
}

/* dlogp against a central difference of the loss, far from the kinks. */
static void finite_difference(void **state)
{
    (void)state;
    for (int bias = 0; bias < 2; bias++) {
        struct loss_params p = {.type = LOSS_GRPO,
                                .epsilon = 0.2,
                                .epsilon_high = 0.28,
                                .beta = 0.3,
                                .bias_correction_kl = bias};
        const float old = -1, ref = -1.3f, h = 1.0f / 1024;
        for (float logp = -1.5f; logp < -0.5f; logp += 0.0625f) {
            struct loss_sums up = {0}, down = {0}, at = {0};
            float high = logp + h, low = logp - h, d, unused;
            completion(&p, 1, 0.7f, &high, &old, &ref, 1, &unused, &up);
            completion(&p, 1, 0.7f, &low, &old, &ref, 1, &unused, &down);
            completion(&p, 1, 0.7f, &logp, &old, &ref, 1, &d, &at);
            if (up.clipped_high != down.clipped_high)
                continue;
            double slope = (up.loss - down.loss) / ((double)high - (double)low);
            assert_true(fabs(slope - (double)d) <= 1e-5);
        }
    }
}

/* The corrected KL on-policy is logp − ref to the last bit, however far the reference is. */
static void on_policy_kl_is_direct(void **state)
{
    (void)state;
    struct loss_params p = {.type = LOSS_DAPO,
                            .epsilon = 0.2,
                            .epsilon_high = 0.2,
                            .beta = 1,
                            .bias_correction_kl = true};
    const float ref[4] = {-1e-6f, -20, -3, -1.0000001f}, logp[4] = {-1, -1, -30, -1};
    float d[4];
    struct loss_sums sums = {0};
    completion(&p, 1, 0, logp, logp, ref, 4, d, &sums);
    for (int t = 0; t < 4; t++)
        assert_true(d[t] == (float)((double)logp[t] - (double)ref[t]));
}

/* Shares of clipped tokens are a completion's own; smallest and largest over completions. */
static void clip_shares(void **state)
{
    (void)state;
    struct loss_params p = {.type = LOSS_DAPO, .epsilon = 0.2, .epsilon_high = 0.2};
    const float old[4] = {-2, -2, -2, -2}, half[4] = {-3, -2, -3, -2}, few[4] = {-2, -2, -2, -3},
                up[4] = {-1, -1, -1, -2};
    float d[4];
    struct loss_sums sums = {0};
    completion(&p, 1, -1, half, old, NULL, 4, d, &sums);
    completion(&p, 1, -1, few, old, NULL, 4, d, &sums);
    assert_true(sums.clipped_low_min == 0.25 && sums.clipped_high_max == 0);
    completion(&p, 1, 1, up, old, NULL, 4, d, &sums);
    assert_true(sums.clipped_low_min == 0 && sums.clipped_high_max == 0.75);
    assert_true(sums.completions == 3 && sums.clipped_low == 3 && sums.clipped_high == 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trl),
        cmocka_unit_test(trl_options),
        cmocka_unit_test(finite_difference),
        cmocka_unit_test(on_policy_kl_is_direct),
        cmocka_unit_test(clip_shares),
    };
    return cmocka_run_group_tests_name("loss", tests, NULL, NULL);
}
