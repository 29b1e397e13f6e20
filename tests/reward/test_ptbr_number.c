/* test_ptbr_number.c: Brazilian numbers, as whole texts and in running text. */
#include <math.h>
#include "cases.h"
#include "reward/ptbr_number.h"

enum { PERCENT = 1, MONEY = 2, INTEGER = 4 };

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value, unit;
        int flags;
    } cases[] = {
        {"4,5", 4.5, 0.1, 0},
        {"4.5", 4.5, 0.1, 0},
        {"1.234,56", 1234.56, 0.01, 0},
        {"1,234.56", 1234.56, 0.01, 0},
        {"1.234", 1234, 1, INTEGER},
        {"1,234", 1.234, 0.001, 0},
        {"0.125", 0.125, 0.001, 0},
        {"12.345.678", 12345678, 1, INTEGER},
        {"12,345,678", 12345678, 1, INTEGER},
        {"12.345.678,9", 12345678.9, 0.1, 0},
        {"1234.5", 1234.5, 0.1, 0},
        {"12.50", 12.5, 0.01, 0},
        {"007", 7, 1, INTEGER},
        {"R$ 10,00", 10, 0.01, MONEY},
        {"R$10", 10, 1, MONEY | INTEGER},
        {"r$ 1.299,90", 1299.9, 0.01, MONEY},
        {"R$\u00A010,00", 10, 0.01, MONEY},
        {"-R$ 5,00", -5, 0.01, MONEY},
        {"R$ -5,00", -5, 0.01, MONEY},
        {"US$ 3", 3, 1, MONEY | INTEGER},
        {"€ 3,50", 3.5, 0.01, MONEY},
        {"10 reais", 10, 1, MONEY | INTEGER},
        {"2 milhões de reais", 2e6, 1e6, MONEY | INTEGER},
        {"12%", 12, 1, PERCENT | INTEGER},
        {"12,5 %", 12.5, 0.1, PERCENT},
        {"-3,2%", -3.2, 0.1, PERCENT},
        {"7 por cento", 7, 1, PERCENT | INTEGER},
        {"2 mil", 2000, 1000, INTEGER},
        {"mil", 1000, 1000, INTEGER},
        {"1,5 milhão", 1.5e6, 1e5, 0},
        {"3 MILHÕES", 0, 0, -1}, /* capitals beyond ASCII are not folded here */
        {"R$ 2,5 mi", 2.5e6, 1e5, MONEY},
        {"10k", 10000, 1000, INTEGER},
        {"+3", 3, 1, INTEGER},
        {"\u22123", -3, 1, INTEGER},
        {" 4,5\n", 4.5, 0.1, 0},
        {"", 0, 0, -1},
        {"R$", 0, 0, -1},
        {"%", 0, 0, -1},
        {",5", 0, 0, -1},
        {"4,5,6", 0, 0, -1},
        {"1.23.456", 0, 0, -1},
        {"1.2345,6", 0, 0, -1},
        {"4,5 estrelas", 0, 0, -1},
        {"5 a 6", 0, 0, -1},
        {"2 milhas", 0, 0, -1},
        {"2024-01-05", 0, 0, -1},
        {"10:30", 0, 0, -1},
        {"milho", 0, 0, -1},
        {"4,", 0, 0, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ptbr_number n;
        bool is = ptbr_number_read(&n, cases[i].text, strlen(cases[i].text));
        if (is != (cases[i].flags >= 0))
            fail_msg("\"%s\" is %sa number", cases[i].text, is ? "" : "not ");
        if (!is)
            continue;
        int flags = n.percent * PERCENT + n.currency * MONEY + n.integer * INTEGER;
        if (fabs(n.value - cases[i].value) > 1e-9 * fabs(n.value) ||
            fabs(n.unit - cases[i].unit) > 1e-9 * n.unit || flags != cases[i].flags)
            fail_msg("\"%s\": %.9g, unit %g, flags %d", cases[i].text, n.value, n.unit, flags);
    }
    struct ptbr_number n;
    assert_false(ptbr_number_read(&n, "4\0", 2));
    assert_false(ptbr_number_read(&n, "\xFF", 1));
}

static void test_running_text(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double values[6];
        int n;
    } cases[] = {
        {"De R$ 1.234,56 a 4,5%, ou 10x.", {1234.56, 4.5, 10}, 3},
        {"Em 2017, 120 pedidos.", {2017, 120}, 2},
        {"O modelo A4 e o _5 não contam; 10-20 sim.", {10, 20}, 2},
        {"cresceu 2 mil, caiu -3%", {2000, -3}, 2},
        {"1,2,3", {1, 2.3}, 2},
        {"1º lugar, nota 5.", {1, 5}, 2},
        {"nada", {0}, 0},
        {"", {0}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ptbr_number n;
        size_t at = 0, start;
        int found = 0;
        while (ptbr_number_next(&n, cases[i].text, strlen(cases[i].text), &at, &start)) {
            if (found == cases[i].n || fabs(n.value - cases[i].values[found]) > 1e-9)
                fail_msg("\"%s\": number %d is %g", cases[i].text, found, n.value);
            assert_true(start < at);
            found++;
        }
        assert_int_equal(found, cases[i].n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_running_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
