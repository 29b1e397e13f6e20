/* The probes' tiles compute the product that their header says they compute, on every instruction
 * set of this machine, and AMX's also emulated; and what is measured with them is a number. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "../support/support.h"
#include "base/mem.h"
#include "bench/probe.h"

enum { K = 96, MAX_SIDE = 32, LDC = MAX_SIDE + 3 };
extern const struct probe_kernel emulated_probe_amx_bf16;

/* Small whole numbers: exact in bf16, and so are the sums in f32 in any order. */
static float left(int row, int k)
{
    return (float)((row * 7 + k * 3) % 11 - 5);
}

static float right(int k, int column)
{
    return (float)((k * 5 + column * 2) % 13 - 6);
}

/* Element (side, k) of an operand with `sides` rows or columns, where probe.h says it lies. */
static size_t place(const struct probe_kernel *p, bool is_b, int sides, int side, int k)
{
    int pack = p->precision == PRECISION_BF16 ? 2 : 1;
    if (!p->tiled)
        return ((size_t)(k / pack) * (size_t)sides + (size_t)side) * (size_t)pack +
               (size_t)(k % pack);
    size_t piece = ((size_t)(side / 16) * (K / 32) + (size_t)(k / 32)) * 512;
    return piece + (is_b ? (size_t)(k % 32 / 2 * 32 + side % 16 * 2 + k % 2)
                         : (size_t)(side % 16 * 32 + k % 32));
}

static void put(const struct probe_kernel *p, void *operand, size_t at, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (p->precision == PRECISION_BF16)
        ((uint16_t *)operand)[at] = (uint16_t)(bits >> 16);
    else
        ((float *)operand)[at] = value;
}

static void check_kernel(const struct probe_kernel *p, size_t ahead)
{
    void *a = mem_alloc_aligned(MAX_SIDE * K * sizeof(float));
    void *b = mem_alloc_aligned(MAX_SIDE * K * sizeof(float));
    float c[MAX_SIDE * LDC];
    assert_true(p->rows <= MAX_SIDE && p->columns <= MAX_SIDE && K % p->k_step == 0);
    for (int k = 0; k < K; k++) {
        for (int r = 0; r < p->rows; r++)
            put(p, a, place(p, false, p->rows, r, k), left(r, k));
        for (int n = 0; n < p->columns; n++)
            put(p, b, place(p, true, p->columns, n, k), right(k, n));
    }
    for (int i = 0; i < MAX_SIDE * LDC; i++)
        c[i] = -1e9f;
    if (p->begin)
        p->begin();
    p->tile(c, LDC, a, b, K, ahead);
    if (p->end)
        p->end();
    for (int r = 0; r < p->rows; r++)
        for (int n = 0; n < LDC; n++) {
            float want = n < p->columns ? 0 : -1e9f;
            for (int k = 0; k < K && n < p->columns; k++)
                want += left(r, k) * right(k, n);
            if (c[r * LDC + n] != want)
                fail_msg("%s: row %d, column %d is %g, not %g", p->isa, r, n,
                         (double)c[r * LDC + n], (double)want);
        }
    mem_free_aligned(a);
    mem_free_aligned(b);
}

static void tiles(void **state)
{
    (void)state;
    for (const char *const *isa = device_isa_names(); *isa; isa++) {
        if (!device_isa_available(*isa)) {
            print_message("probe: this machine has no %s\n", *isa);
            continue;
        }
        check_kernel(probe_find(*isa, PRECISION_F32), 0);
        check_kernel(probe_find(*isa, PRECISION_BF16), 0);
        check_kernel(probe_find(*isa, PRECISION_BF16), 256);
    }
    check_kernel(&emulated_probe_amx_bf16, 0);
}

static void names(void **state)
{
    (void)state;
    assert_null(probe_find("sse9", PRECISION_F32));
    for (const char *const *isa = device_isa_names(); *isa; isa++)
        assert_non_null(probe_find(*isa, PRECISION_BF16));
    assert_int_equal(probe_find("amx", PRECISION_F32)->precision, PRECISION_F32);
}

/* Sizes that are no whole tiles, more threads than panels, several matrices; the sums are checked
 * inside. */
static void products(void **state)
{
    (void)state;
    struct err err = {0};
    double seconds = 0;
    struct team *team;
    assert_int_equal(team_open(&team, 3, &err), 0);
    static const struct probe_shape shapes[] = {
        {1, 1, 32, 1, 0}, {31, 100, 64, 40, 0}, {64, 65, 96, 256, 512}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int status = probe_product(&seconds, probe_find("c", PRECISION_F32), shapes[i], 1 + (int)i,
                                   team, 1, &err);
        if (status)
            fail_msg("%s", err.message);
        assert_true(seconds > 0 && isfinite(seconds));
    }
    team_close(team);
}

static void wrong(float *c, int ldc, const void *a, const void *b, int k, size_t ahead)
{
    (void)ldc, (void)a, (void)b, (void)ahead;
    c[0] = (float)k;
}

/* A tile that does not do its work has no rate. */
static void wrong_sums(void **state)
{
    (void)state;
    struct err err = {0};
    double seconds;
    struct probe_kernel p = *probe_find("c", PRECISION_F32);
    p.tile = wrong;
    struct probe_shape shape = {8, 32, 32, 32, 0};
    assert_int_equal(probe_product(&seconds, &p, shape, 1, NULL, 1, &err), ERR_MACHINE);
    assert_non_null(strstr(err.message, "computes wrongly"));
}

static void reading(void **state)
{
    (void)state;
    struct err err = {0};
    double rate = 0;
    struct team *team;
    assert_int_equal(team_open(&team, 2, &err), 0);
    assert_int_equal(probe_best_read_rate(&rate, 1 << 22, team, 1, &err), 0);
    assert_true(rate > 1e6 && isfinite(rate));
    team_close(team);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiles),      cmocka_unit_test(names),   cmocka_unit_test(products),
        cmocka_unit_test(wrong_sums), cmocka_unit_test(reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
