/* test_repetition.c: the reward `repetition`: shares counted by hand, what cannot hide a
 * repetition, and parameters. */
#include <math.h>
#include <stdlib.h>
#include "cases.h"

static void check(const char *params, const char *text, double expected)
{
    reward *r = make_reward("repetition", params);
    double got = score_of(r, "", text);
    if (fabs(got - expected) > 1e-12)
        fail_msg("\"%s\" with %s: %.6f, expected %.6f", text, params ? params : "{}", got,
                 expected);
    reward_free(r);
}

static void test_shares(void **state)
{
    (void)state;
    check(NULL, "A loja vende livros e canetas para toda a cidade", 1);
    check("{\"n\": 1}", "bom bom bom ruim", 0.5);
    check("{\"n\": 2}", "a b a b a", 0.5); /* ab ba ab ba */
    check("{\"n\": 2}", "A b\na  B\ta", 0.5);
    check("{\"n\": 2, \"threshold\": 0.5}", "a b a b a", 1);
    check("{\"n\": 2, \"threshold\": 0.2}", "a b a b a", 1 - 0.3 / 0.8);
    check("{\"n\": 3}", "sim sim", 0.5); /* under three words: one by one */
    check(NULL, "", 0);
    check(NULL, " \n\t", 0);
    check(NULL, "<think>oi</think>", 0);
    check(NULL, "Oi", 1);
    check("{\"n\": 1, \"strip_think\": false}", "<think>oi</think>", 1 - 3.0 / 8);
    check("{\"n\": 1}", "é É e\xCC\x81 \xFF", 0.75);
}

static void test_nothing_hides(void **state)
{
    (void)state;
    static const char *const units[] = {"😀",
                                        "!",
                                        "ha",
                                        "kkkk",
                                        "a",
                                        "bom ",
                                        "日本",
                                        "muito bom, ",
                                        "abcdefghi",
                                        "\xFF",
                                        "á",
                                        "= ",
                                        "1 2 3 4 5 6 7 8 9 10 "};
    reward *r = make_reward("repetition", NULL);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        struct str text = {0};
        for (int k = 0; k < 300; k++)
            str_puts(&text, units[i]);
        double score = score_of(r, "", str_text(&text));
        if (score > 0.1)
            fail_msg("300 times \"%s\" scores %.3f", units[i], score);
        str_free(&text);
    }
    /* A text three times: two thirds are repeated. */
    static const char once[] = "O pedido chegou cedo e o produto é ótimo, recomendo a loja. ";
    struct str text = {0};
    for (int k = 0; k < 3; k++)
        str_puts(&text, once);
    double score = score_of(r, "", str_text(&text));
    assert_true(score > 0.3 && score < 0.45);
    str_free(&text);
    check_no_memory(r, "", once);
    reward_free(r);
}

static void test_parameters(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"n\": 0}",     "{\"n\": 33}", "{\"threshold\": 1}", "{\"threshold\": -1}", "{\"m\": 3}",
        "{\"n\": \"3\"}", "[3]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {0};
        json_t *params = json_read(bad[i], strlen(bad[i]), 0, "", &err);
        reward *r = NULL;
        assert_int_not_equal(reward_create(&r, "repetition", params, &err), ERR_NONE);
        assert_null(r);
        assert_non_null(strstr(err.where, "repetition"));
        json_decref(params);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shares),
                                       cmocka_unit_test(test_nothing_hides),
                                       cmocka_unit_test(test_parameters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
