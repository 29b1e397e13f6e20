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
        {"- 10", -10, 1, INTEGER},
        {"- R$ 5,00", -5, 0.01, MONEY},
        {"\u2212 3", -3, 1, INTEGER},
        {"\uFF14", 4, 1, INTEGER},
        {"R$ \uFF11\uFF10,\uFF10\uFF10", 10, 0.01, MONEY},
        {"\uFF0D\uFF11\uFF0E\uFF12\uFF13\uFF14\uFF0C\uFF15\uFF05", -1234.5, 0.1, PERCENT},
        {"1,5 milhão", 1.5e6, 1e5, 0},
        {"3 MILHÕES", 3e6, 1e6, INTEGER},
        {"1,2 Bilhão", 1.2e9, 1e8, 0},
        {"3 bilhões", 3e9, 1e9, INTEGER},
        {"2 trilhões", 2e12, 1e12, INTEGER},
        {"2,5 mil", 2500, 100, 0},
        {"R$ 1,2 milhão", 1.2e6, 1e5, MONEY},
        {"R$ 5 mil", 5000, 1000, MONEY | INTEGER},
        {"5 mil reais", 5000, 1000, MONEY | INTEGER},
        {"-2 mil", -2000, 1000, INTEGER},
        {"1.5 mil", 1500, 100, 0},
        {"12 mil", 12000, 1000, INTEGER},
        {"Mil", 1000, 1000, INTEGER},
        {"MIL", 1000, 1000, INTEGER},
        {"3 bi", 3e9, 1e9, INTEGER},
        {"15K", 15000, 1000, INTEGER},
        {"0", 0, 1, INTEGER},
        {"-0,5", -0.5, 0.1, 0},
        {"0,05", 0.05, 0.01, 0},
        {"00,5", 0.5, 0.1, 0},
        {"10,00", 10, 0.01, 0},
        {"100.000", 100000, 1, INTEGER},
        {"1.000.000,00", 1e6, 0.01, 0},
        {"999.999", 999999, 1, INTEGER},
        {"1234", 1234, 1, INTEGER},
        {"1234,56", 1234.56, 0.01, 0},
        {"1234.567", 1234.567, 0.001, 0},
        {"0.500", 0.5, 0.001, 0},
        {"3.14159", 3.14159, 1e-5, 0},
        {"3,14159", 3.14159, 1e-5, 0},
        {"1,234,567.89", 1234567.89, 0.01, 0},
        {"1 000", 1000, 1, INTEGER},
        {"1 234,50", 1234.5, 0.01, 0},
        {"12 345 678", 12345678, 1, INTEGER},
        {"R$ 1\u00A0234,50", 1234.5, 0.01, MONEY},
        {"1\u202F234", 1234, 1, INTEGER},
        {"R$1.234,56", 1234.56, 0.01, MONEY},
        {"R$0,99", 0.99, 0.01, MONEY},
        {"R$ 1.234", 1234, 1, MONEY | INTEGER},
        {"+R$ 3", 3, 1, MONEY | INTEGER},
        {"BRL 12,50", 12.5, 0.01, MONEY},
        {"12,50 BRL", 12.5, 0.01, MONEY},
        {"$ 4", 4, 1, MONEY | INTEGER},
        {"us$ 1.5", 1.5, 0.1, MONEY},
        {"1 real", 1, 1, MONEY | INTEGER},
        {"5,90 reais", 5.9, 0.01, MONEY},
        {"3 Reais", 3, 1, MONEY | INTEGER},
        {"100%", 100, 1, PERCENT | INTEGER},
        {"0,5%", 0.5, 0.1, PERCENT},
        {"-12%", -12, 1, PERCENT | INTEGER},
        {"+5,5 %", 5.5, 0.1, PERCENT},
        {"12,5 por cento", 12.5, 0.1, PERCENT},
        {"20 POR CENTO", 20, 1, PERCENT | INTEGER},
        {"1.000%", 1000, 1, PERCENT | INTEGER},
        {"\t12\r\n", 12, 1, INTEGER},
        {"1  000", 0, 0, -1},
        {"1 00", 0, 0, -1},
        {"2017 120", 0, 0, -1},
        {"1 2 3", 0, 0, -1},
        {"1.234 567", 0, 0, -1},
        {"--5", 0, 0, -1},
        {"-R$ -5", 0, 0, -1},
        {"5-", 0, 0, -1},
        {"R$ R$ 5", 0, 0, -1},
        {"5%%", 0, 0, -1},
        {"12 por centro", 0, 0, -1},
        {"3 milhas", 0, 0, -1},
        {"mil e quinhentos", 0, 0, -1},
        {"milhão", 0, 0, -1},
        {"4,5/5", 0, 0, -1},
        {"10-20", 0, 0, -1},
        {"1º", 0, 0, -1},
        {"01310-100", 0, 0, -1},
        {"(11) 98765-4321", 0, 0, -1},
        {"123.456.789-09", 0, 0, -1},
        {"05/01/2024", 0, 0, -1},
        {"14h30", 0, 0, -1},
        {"192.168.0.1", 0, 0, -1},
        {"1.2.3", 0, 0, -1},
        {"1,2,3", 0, 0, -1},
        {"#12", 0, 0, -1},
        {"2,5 kg", 0, 0, -1},
        {"15 dias", 0, 0, -1},
        {"~5", 0, 0, -1},
        {"1e3", 0, 0, -1},
        {"0x1F", 0, 0, -1},
        {"NaN", 0, 0, -1},
        {"cinco", 0, 0, -1},
        {"1,234,56", 0, 0, -1},
        {"1.234,56,78", 0, 0, -1},
        {"12,", 0, 0, -1},
        {"12.", 0, 0, -1},
        {".5", 0, 0, -1},
        {"1..2", 0, 0, -1},
        {"1,,2", 0, 0, -1},
        {"1.,2", 0, 0, -1},
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
        {"1,2,3", {1, 2, 3}, 3},
        {"1,2,3,4,5", {1, 2, 3, 4, 5}, 5},
        {"notas 4,5,3 e 4,5", {4, 5, 3, 4.5}, 4},
        {"1, 2, 3", {1, 2, 3}, 3},
        {"1,5, 2,5", {1.5, 2.5}, 2},
        {"1,5 e 2,5; 3,5", {1.5, 2.5, 3.5}, 3},
        {"1,5. 2,5, 3", {1.5, 2.5, 3}, 3},
        {"1º lugar, nota 5.", {1, 5}, 2},
        {"A 2ª compra custou R$ 30.", {2, 30}, 2},
        {"De 05/01/2024 a 31/12/2024 foram 12 vendas.", {12}, 1},
        {"Em 2024-01-05, 3 pedidos.", {3}, 1},
        {"Em 05/2024, 3 pedidos.", {3}, 1},
        {"Às 14:30 chegaram 2; às 9:05:10 mais 3.", {2, 3}, 2},
        {"Das 14h30 às 18h.", {18}, 1},
        {"Entrega em 48h", {48}, 1},
        {"CEP 01310-100, 2 caixas", {2}, 1},
        {"CEP 01.310-100, 2 caixas", {2}, 1},
        {"Ligue (11) 98765-4321 ou 3333-4444 em 5 dias.", {5}, 1},
        {"Ligue 11 98765-4321.", {0}, 0},
        {"CPF 123.456.789-09 e CNPJ 12.345.678/0001-95: 4.", {4}, 1},
        {"Entre 2016-2018 subiu 10%", {2016, 2018, 10}, 3},
        {"versão 1.2.3, nota 4", {4}, 1},
        {"no IP 192.168.0.1 há 2", {2}, 1},
        {"pedido #123 com 2 itens", {2}, 1},
        {"nota 4/5", {4, 5}, 2},
        {"nota 4,5/5", {4.5, 5}, 2},
        {"R$ 1.234,56.", {1234.56}, 1},
        {"Custou R$ 10,00, não R$ 12.", {10, 12}, 2},
        {"12,5% das 1.200 vendas", {12.5, 1200}, 2},
        {"subiu de 2,5 mil para 1,2 milhão", {2500, 1.2e6}, 2},
        {"3 MILHÕES de clientes", {3e6}, 1},
        {"(3,5)", {3.5}, 1},
        {"\"4,5\"", {4.5}, 1},
        {"4,5.", {4.5}, 1},
        {"Total: 4.", {4}, 1},
        {"10x de R$ 9,90", {10, 9.9}, 2},
        {"temperatura de -3,5°", {-3.5}, 1},
        {"um a 3-0", {3, 0}, 2},
        {"A4, B12 e X-1", {1}, 1},
        {"Nota 10!!! 20?", {10, 20}, 2},
        {"1.234.567 pessoas", {1234567}, 1},
        {"5km em 20min", {5, 20}, 2},
        {"mil pedidos", {0}, 0},
        {"99999999999999999999", {1e20}, 1},
        {"nada", {0}, 0},
        {"", {0}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ptbr_number n;
        size_t at = 0, start;
        int found = 0;
        while (ptbr_number_next(&n, cases[i].text, strlen(cases[i].text), &at, &start)) {
            if (found == cases[i].n ||
                fabs(n.value - cases[i].values[found]) > 1e-9 * (1 + fabs(n.value)))
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
