/* test_same_bits.c: the hazard "contraction of a·b + c differing between compilers". What the
 * operations give depends on the instruction set alone, and there only on whether it has a fused
 * multiply-add: the bits are committed here as a checksum, so that gcc and clang, every
 * optimisation level and the sanitizers' builds must agree with each other and with yesterday.
 *
 * A change of the arithmetic (another order of a sum) changes these numbers and says so in
 * docs/LOG.md: old runs cannot be reproduced after it. Operations whose results pass through the C
 * library's logarithm are left out, other libraries may round it otherwise. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/rig.h"

enum { R = 13, H = 75, I = 50, HEADS = 3, D = 20, V = 67 };

/* FNV-1a over the bytes of everything downloaded. */
static uint64_t digest(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

static uint64_t add(struct rig *g, uint64_t hash, const float *device, size_t n)
{
    const float *host = rig_get(g, device, n);
    for (size_t i = 0; i < n; i++)
        assert_true(host[i] == host[i]);
    return digest(hash, host, n * sizeof *host);
}

static float *put(struct rig *g, size_t n, uint32_t seed, float scale)
{
    return rig_put(g, rig_random(g, n, seed, scale), n);
}

static uint64_t of_rows(struct rig *g, uint64_t hash)
{
    float *x = put(g, R * H, 1, 1), *gain = put(g, H, 2, 1), *y = rig_room(g, R * H);
    float *inv = rig_room(g, R), *gate = put(g, R * I, 3, 3), *up = put(g, R * I, 4, 1);
    float *z = rig_room(g, R * I), *m = put(g, R * I, 5, 1), *v = rig_room(g, R * I);
    g->ops->rmsnorm(g->d, y, inv, x, gain, 1e-5f, R, H);
    hash = add(g, add(g, hash, y, R * H), inv, R);
    g->ops->rmsnorm_backward(g->d, y, x, x, inv, gain, R, H);
    hash = add(g, hash, y, R * H);
    g->ops->swiglu(g->d, z, gate, up, R, I);
    hash = add(g, hash, z, R * I);
    g->ops->swiglu_backward(g->d, gate, up, z, gate, up, R, I);
    hash = add(g, add(g, hash, gate, R * I), up, R * I);
    const struct adamw_params p = {1e-2, 0.9, 0.999, 1e-8, 0.1, 3};
    g->ops->zero(g->d, v, R * I * sizeof *v);
    g->ops->adamw(g->d, z, m, v, up, &p, R * I);
    hash = add(g, add(g, add(g, hash, z, R * I), m, R * I), v, R * I);
    double squares = g->ops->sum_squares(g->d, z, R * I);
    return digest(hash, &squares, sizeof squares);
}

static uint64_t of_products(struct rig *g, uint64_t hash)
{
    enum { RANK = 7 };
    struct linear l = {.w = rig_weight(g, rig_random(g, I * H, 10, 1), I, H),
                       .bias = put(g, I, 11, 1),
                       .lora_a = rig_weight(g, rig_random(g, RANK * H, 12, 1), RANK, H),
                       .lora_b = rig_weight(g, rig_random(g, I * RANK, 13, 1), I, RANK),
                       .lora_scale = 1.7f,
                       .n = I,
                       .k = H,
                       .rank = RANK};
    float *x = put(g, R * H, 14, 1), *y = put(g, R * I, 15, 1), *u = rig_room(g, R * RANK);
    float *dx = rig_room(g, R * H), *du = rig_room(g, R * RANK), *da = rig_room(g, RANK * H);
    float *db = rig_room(g, I * RANK), *logits = rig_room(g, R * V);
    g->ops->linear(g->d, y, u, x, &l, R, y);
    hash = add(g, add(g, hash, y, R * I), u, R * RANK);
    g->ops->linear_backward(g->d, dx, du, y, &l, R, false);
    hash = add(g, add(g, hash, dx, R * H), du, R * RANK);
    g->ops->linear_backward(g->d, dx, du, y, &l, R, true);
    hash = add(g, hash, dx, R * H);
    g->ops->lora_gradient(g->d, da, db, y, du, x, u, 1.7f, I, H, RANK, R);
    hash = add(g, add(g, hash, da, RANK * H), db, I * RANK);
    g->ops->logits(g->d, logits, x, rig_weight(g, rig_random(g, V * H, 16, 1), V, H), R);
    return add(g, hash, logits, R * V);
}

static uint64_t of_heads(struct rig *g, uint64_t hash)
{
    enum { CACHE = 48 };
    const struct attn_dims dims = {HEADS, 1, D, CACHE};
    const struct attn_span spans[] = {{.n_q = 8},
                                      {.q_row = 8, .n_q = 5, .prefix_len = 3, .own_row = 35}};
    enum { Q = HEADS * D };
    float *q = put(g, R * Q, 20, 2), *k = put(g, R * D, 21, 2), *v = put(g, R * D, 22, 2);
    float *gain = put(g, D, 23, 1), *angles = put(g, R * D / 2, 24, 0.4f);
    float *q_out = rig_room(g, R * Q), *out = rig_room(g, R * Q);
    void *k_cache = rig_keys(g, rig_random(g, CACHE * D, 25, 1), dims);
    void *v_cache = rig_values(g, rig_random(g, CACHE * D, 25, 1), dims);
    int rows[R], kv_rows[R];
    for (int i = 0; i < R; i++) {
        rows[i] = i;
        kv_rows[i] = i < 8 ? i : 35 + i - 8;
    }
    g->ops->qk_rope(g->d, q_out, k_cache, v_cache, q, k, v, gain, gain, 1e-6f, angles, angles, rows,
                    kv_rows, dims, R);
    g->ops->attention(g->d, out, NULL, q_out, k_cache, v_cache, spans, 2, dims, R);
    hash = add(g, add(g, hash, q_out, R * Q), out, R * Q);
    hash = digest(hash, rig_get_keys(g, k_cache, dims), CACHE * D * sizeof(float));
    hash = digest(hash, rig_get_values(g, v_cache, dims), CACHE * D * sizeof(float));
    g->ops->qk_rope_backward(g->d, q_out, k, q, v, gain, gain, 1e-6f, angles, angles, rows, dims,
                             R);
    return add(g, add(g, hash, q_out, R * Q), k, R * D);
}

/* avx2 and avx512 do the same with different registers; avx512bf16 and amx differ from them in the
 * products of bf16 mode alone, where the instruction orders the sums. (amx in bf16 has no line: no
 * machine with it has run this yet.) */
static const struct {
    const char *isa;
    enum precision precision;
    uint64_t want;
} sets[] = {
    {"c", PRECISION_F32, 0x5a941694fe80bd74},
    {"c", PRECISION_BF16, 0xd3fb0980ce35b7d9},
    {"avx2", PRECISION_F32, 0x3d41ff0f437d4f80},
    {"avx2", PRECISION_BF16, 0xc3b31c2df88f1ab9},
    {"avx512", PRECISION_F32, 0x3d41ff0f437d4f80},
    {"avx512", PRECISION_BF16, 0xc3b31c2df88f1ab9},
    {"avx512bf16", PRECISION_F32, 0x3d41ff0f437d4f80},
    {"avx512bf16", PRECISION_BF16, 0xdce6388337b1ea16},
    {"amx", PRECISION_F32, 0x3d41ff0f437d4f80},
};

static void test_bits(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        static struct rig g;
        if (!device_isa_available(sets[i].isa)) {
            print_message("not run here: %s\n", sets[i].isa);
            continue;
        }
        rig_open(&g, sets[i].isa, sets[i].precision, 2);
        uint64_t start = 0xcbf29ce484222325u;
        uint64_t parts[3] = {of_rows(&g, start), of_products(&g, start), of_heads(&g, start)};
        uint64_t got = digest(start, parts, sizeof parts);
        if (got != sets[i].want)
            print_error("%s %s: bits 0x%016llx, expected 0x%016llx (rows %016llx, products "
                        "%016llx, heads %016llx)\n",
                        sets[i].isa, g.bf16 ? "bf16" : "f32", (unsigned long long)got,
                        (unsigned long long)sets[i].want, (unsigned long long)parts[0],
                        (unsigned long long)parts[1], (unsigned long long)parts[2]);
        wrong += got != sets[i].want;
        rig_close(&g);
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
