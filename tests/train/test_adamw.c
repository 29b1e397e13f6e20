/* test_adamw.c: ten optimizer steps as the trainer takes them (norm by sum_squares, clip by scale,
 * adamw) on every instruction set, against torch.optim.AdamW and clip_grad_norm_
 * (tests/oracle/train/make_adamw.py). Within 1e-5, element by element, relative to the element and
 * the value it had before (a gradient may cancel a moment to nearly nothing). */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "../support/support.h"
#include "backend/backend.h"
#include "formats/safetensors.h"

enum { STEPS = 10, N = 37, CASES = 4 };

static const void *rows(const struct tensor_set *set, int c, const char *name, size_t bytes)
{
    char key[64];
    snprintf(key, sizeof key, "%d.%s", c, name);
    const struct tensor *t = tensor_find(set, key);
    assert_non_null(t);
    assert_int_equal(t->size, bytes);
    return t->data;
}

static void compare(struct device *d, const float *got_device, const float *want, const char *what,
                    int c, int step, const float *before)
{
    float got[N];
    d->ops->download(d, got, got_device, sizeof got);
    for (int i = 0; i < N; i++) {
        double scale = fabs((double)want[i]) + (before ? fabs((double)before[i]) : 0);
        if (!(fabs((double)got[i] - (double)want[i]) <= 1e-5 * scale))
            fail_msg("%s, case %d, step %d, element %d: %s is %.9g, PyTorch has %.9g", d->isa, c,
                     step, i, what, (double)got[i], (double)want[i]);
    }
}

static void check_case(struct device *d, const struct tensor_set *set, int c)
{
    const struct backend *ops = d->ops;
    const size_t bytes = N * sizeof(float), all = STEPS * bytes;
    const float *grads = rows(set, c, "grad", all), *params = rows(set, c, "param", all + bytes),
                *m = rows(set, c, "exp_avg", all), *v = rows(set, c, "exp_avg_sq", all),
                *norms = rows(set, c, "norm", STEPS * sizeof(float));
    double hyper[6];
    memcpy(hyper, rows(set, c, "hyper", sizeof hyper), sizeof hyper);
    float *block = ops->alloc(d, 4 * 64 * sizeof(float), NULL);
    float *param = block, *exp_avg = block + 64, *exp_avg_sq = block + 128, *grad = block + 192;
    assert_non_null(block);
    ops->zero(d, block, 4 * 64 * sizeof(float));
    ops->upload(d, param, params, bytes);
    int clipped = 0;
    for (int step = 1; step <= STEPS; step++) {
        ops->upload(d, grad, grads + (step - 1) * N, bytes);
        double norm = sqrt(ops->sum_squares(d, grad, N));
        assert_true(fabs(norm - (double)norms[step - 1]) <= 1e-6 * norm);
        double factor = fmin(1, hyper[5] / (norm + 1e-6));
        clipped += factor < 1;
        if (factor < 1)
            ops->scale(d, grad, (float)factor, N);
        struct adamw_params p = {hyper[0], hyper[1], hyper[2], hyper[3], hyper[4], step};
        ops->adamw(d, param, exp_avg, exp_avg_sq, grad, &p, N);
        compare(d, exp_avg, m + (step - 1) * N, "exp_avg", c, step,
                step > 1 ? m + (step - 2) * N : NULL);
        compare(d, exp_avg_sq, v + (step - 1) * N, "exp_avg_sq", c, step, NULL);
        compare(d, param, params + step * N, "param", c, step, params + (step - 1) * N);
    }
    assert_true(hyper[5] > 1e6 ? clipped == 0 : clipped > 0 && clipped < STEPS);
    ops->free(d, block);
}

static void torch_adamw(void **state)
{
    (void)state;
    struct err err = {0};
    struct tensor_set set = {0};
    assert_int_equal(safetensors_open(&set, fixture("train/adamw.safetensors"), &err), 0);
    for (const char *const *isa = device_isa_names(); *isa; isa++) {
        if (!device_isa_available(*isa)) {
            print_message("not run here: %s\n", *isa);
            continue;
        }
        struct device *d;
        struct device_options options = {.isa = *isa, .precision = PRECISION_F32, .threads = 2};
        assert_int_equal(device_open(&d, &options, &err), 0);
        for (int c = 0; c < CASES; c++)
            check_case(d, &set, c);
        device_close(d);
    }
    tensor_set_close(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(torch_adamw)};
    return cmocka_run_group_tests_name("adamw", tests, NULL, NULL);
}
