/* The floor's formulas against numbers added up by hand for a tiny shape, and against the figure
 * that is known for a V4.2 step. */
#include "../support/support.h"
#include "bench/counts.h"
#include "model/model.h"

/* Matrices: q 8×8, k 8×4, v 8×4, o 8×8, gate 8×12, up 8×12, down 12×8: 480 elements a layer, of
 * which k and v 64. Branches of rank 2: 2·(16+12+12+16+20+20+20) = 232 a layer, k and v 48. Head
 * 80. A query and a key: 2 heads of 4, so 32 forward and 80 backward. */
static const struct hf_config tiny = {.vocab_size = 10,
                                      .hidden_size = 8,
                                      .intermediate_size = 12,
                                      .layers = 2,
                                      .heads = 2,
                                      .kv_heads = 1,
                                      .head_dim = 4};
static const struct peft_config seven = {.r = 2,
                                         .targets = {true, true, true, true, true, true, true}};
static const struct count_batch batch = {.groups = 1, .prompt = 4, .per_group = 2, .length = 2};

static void expect_work(struct work got, double operations, double bytes)
{
    if (got.operations != operations || got.bytes != bytes)
        fail_msg("%.0f operations and %.0f bytes; by hand %.0f and %.0f", got.operations, got.bytes,
                 operations, bytes);
}

/* 3 rows: a whole layer and k, v of the last; pairs 1+2+3 in one layer. */
static void prefill(void **state)
{
    (void)state;
    struct count_model m = count_model(&tiny, &seven, PRECISION_BF16);
    double elements = 480 + 232 + 64 + 48;
    expect_work(count_prefill(&m, &batch), 2 * 3 * elements + 6 * 32, 2 * elements);
    m = count_model(&tiny, NULL, PRECISION_F32);
    expect_work(count_prefill(&m, &batch), 2 * 3 * 544 + 6 * 32, 4 * 544);
}

/* Two rows a pass through 2·(480+232) + 80 elements; keys 4, then 5. A token's keys and values: 2
 * layers × 2 × 4 × 2 bytes; pass 0 reads the prefix's 3, pass 1 also one of each sequence. */
static void decode(void **state)
{
    (void)state;
    struct count_model m = count_model(&tiny, &seven, PRECISION_BF16);
    double elements = 2 * 712 + 80;
    assert_true(count_pass_bytes(&m) == 2 * elements);
    assert_true(count_kv_bytes(&m) == 32);
    expect_work(count_decode(&m, &batch, 0, 1), 2 * 2 * elements + 2 * 2 * 4 * 32,
                2 * elements + 32 * 3);
    expect_work(count_decode(&m, &batch, 1, 2), 2 * 2 * elements + 2 * 2 * 5 * 32,
                2 * elements + 32 * (3 + 2));
}

/* With a prompt each, the prefix is read by each. */
static void prompts_of_their_own(void **state)
{
    (void)state;
    struct count_model m = count_model(&tiny, &seven, PRECISION_BF16);
    struct count_batch own = {.groups = 2, .prompt = 4, .per_group = 1, .length = 2};
    double shared = count_decode(&m, &batch, 1, 2).bytes;
    assert_true(count_decode(&m, &own, 1, 2).bytes == shared + 32 * 3);
    assert_true(count_decode(&m, &own, 1, 2).operations ==
                count_decode(&m, &batch, 1, 2).operations);
    assert_true(count_prefill(&m, &own).operations == 2 * count_prefill(&m, &batch).operations);
    assert_true(count_prefill(&m, &own).bytes == count_prefill(&m, &batch).bytes);
}

/* Forward: the prefix as above (824 elements, 6 pairs in one layer) and 4 rows through 1504, pairs
 * 2·(4+5) in two layers.
 * Backward, a row of a completion: layer 1 all: frozen 480, A 104, B 128 → 2·(480 + 104 + 128 +
 * 104 + 128); in layer 0 q, k, v (128 frozen, A of 8 each: 48) need no input: 2·(480 − 128 + 104 −
 * 48 + 128 + 232). The head twice: 2·2·80.
 * A row of the prefix: layer 0 the same; of layer 1 k and v (64, A 32, B 16): 2·(64+32+16+48). */
static void gradient(void **state)
{
    (void)state;
    struct count_model m = count_model(&tiny, &seven, PRECISION_BF16);
    double forward = 2 * 3 * 824 + 6 * 32 + 2 * 4 * 1504 + 2 * 18 * 32;
    double top = 2 * (480 + 104 + 128 + 232), bottom = 2 * (352 + 56 + 128 + 232);
    double completions = 4 * (top + bottom + 320) + 2 * 18 * 80;
    double prefix = 3 * (bottom + 2 * (64 + 32 + 16 + 48)) + 6 * 80;
    expect_work(count_score(&m, &batch), forward, 3008);
    expect_work(count_gradient(&m, &batch), forward + completions + prefix, 2 * 3008);
}

static void update(void **state)
{
    (void)state;
    struct count_model m = count_model(&tiny, &seven, PRECISION_BF16);
    assert_true(count_adapter_floats(&m) == 464);
    assert_true(count_adapter_floats(&m) == (double)adapter_floats(&tiny, &seven));
    expect_work(count_optimizer(&m), 0, 464 * (4 + 16 + 12 + 2));
    expect_work(count_checkpoint(&m), 0, 464 * 24);
}

static void floors(void **state)
{
    (void)state;
    struct count_rates r = {.matrix = 100, .read = 10};
    assert_true(count_floor(&(struct work){500, 20}, &r) == 5);
    assert_true(count_floor(&(struct work){500, 80}, &r) == 8);
    assert_false(count_memory_bound(&(struct work){500, 20}, &r));
    assert_true(count_memory_bound(&(struct work){500, 80}, &r));
}

/* One prompt of 256 tokens × 16 × 512, Tucano2-0.5B: 2.53 GFLOP a token when the prompt's rows and
 * the first layer are counted like the others; 981.6 MB of weights and 112 KiB of keys and values.
 */
static void a_step_of_v4_2(void **state)
{
    (void)state;
    struct hf_config c = {.vocab_size = 49152,
                          .hidden_size = 1024,
                          .intermediate_size = 3072,
                          .layers = 28,
                          .heads = 16,
                          .kv_heads = 8,
                          .head_dim = 128};
    struct peft_config lora = seven;
    struct count_batch b = {1, 256, 16, 512};
    lora.r = 16;
    struct count_model m = count_model(&c, &lora, PRECISION_BF16);
    double a_token = count_gradient(&m, &b).operations / (16 * 512 + 255);
    assert_true(a_token > 2.49e9 && a_token < 2.54e9);
    assert_true(count_kv_bytes(&m) == 112 * 1024);
    assert_true(count_adapter_floats(&m) == 10092544);
    struct count_model bare = count_model(&c, NULL, PRECISION_BF16);
    assert_true(count_pass_bytes(&bare) == 2.0 * (440401920 + 50331648));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefill),
        cmocka_unit_test(decode),
        cmocka_unit_test(prompts_of_their_own),
        cmocka_unit_test(gradient),
        cmocka_unit_test(update),
        cmocka_unit_test(floors),
        cmocka_unit_test(a_step_of_v4_2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
