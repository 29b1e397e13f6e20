/* test_insights.c: the reward `insights`: what is grounded, what is a point, crowds, and errors.
 * tests/reward/fixtures/insights.jsonl says what beats what. */
#include <math.h>
#include "cases.h"
#include "reward/insights_words.h"
#include "reward/rewards.h"

static const char prompt[] =
    "Dados da loja: 200 pedidos; receita de R$ 36.540,00; ticket de R$ 182,70; "
    "15,3% de atrasos; 150 clientes. Escreva insights com ações.";

/* The ground of the first claim of a sentence. */
static void check_ground(const char *claim, const char *ground)
{
    reward *r = make_reward("insights", NULL);
    char text[200];
    snprintf(text, sizeof text, "A loja teve %s no período, o que é muito bom.", claim);
    json_t *e = explanation(r, prompt, text);
    const json_t *first = json_array_get(json_object_get(e, "claims"), 0);
    const char *found = json_string_value(json_object_get(first, "ground"));
    if (strcmp(found ? found : "no claim", ground) != 0)
        fail_msg("%s: %s, expected %s", claim, found ? found : "no claim", ground);
    json_decref(e);
    reward_free(r);
}

static void test_grounds(void **state)
{
    (void)state;
    check_ground("200 pedidos", "given");
    check_ground("15% de atrasos", "given"); /* rounded as shown */
    check_ground("15,3% de atrasos", "given");
    check_ground("15,4% de atrasos", "none");
    check_ground("R$ 36,5 mil de receita", "given");
    check_ground("R$ 37 mil de receita", "given");
    check_ground("R$ 40 mil de receita", "none");
    check_ground("350 registros", "derived");     /* sum */
    check_ground("50 pedidos a mais", "derived"); /* difference */
    check_ground("75% de clientes", "derived");   /* share */
    check_ground("33,3% a mais", "derived");      /* change, of 150 to 200 */
    check_ground("1,33 pedido por cliente", "derived");
    check_ground("243,60 por cliente", "derived"); /* 36540 / 150 */
    check_ground("201 pedidos", "none");
    check_ground("76% de clientes", "none");
    check_ground("3 problemas", "excused");
    check_ground("3% de problemas", "none");
    check_ground("o 1º lugar", "excused");
    check_ground("7 problemas", "none");
    /* A share is no count and no price; a number without a sign may be either. */
    check_ground("200% de clientes", "none");
    check_ground("R$ 150,00 de receita", "none");
    check_ground("182,70 de ticket", "given");
    /* 15,3 of 182,70 are 8,4, but a share of a price is nothing. */
    check_ground("8% de clientes", "none");
    check_ground("8,4% de clientes", "none");
    check_ground("R$ 382,70 de receita", "none");      /* 200 + 182,70 */
    check_ground("84,7% no prazo", "derived");         /* what is left of 100 */
    check_ground("31 pedidos atrasados", "derived");   /* 15,3% of 200 */
    check_ground("R$ 27.405,00 de vendas", "derived"); /* 150 · 182,70 */
    check_ground("175 por período", "derived");        /* mean */
    check_ground("0,153 de atrasos", "given");
    check_ground("15,3 por cento de atrasos", "given");
    check_ground("34,7 pontos percentuais", "none");
    /* Rounded, and said to be. */
    check_ground("R$ 36.500 de receita", "none");
    check_ground("cerca de R$ 36.500 de receita", "given");
    check_ground("mais de R$ 36 mil de receita", "given");
    check_ground("quase 40 mil reais de receita", "none");
    /* What claims nothing. */
    check_ground("4 ações", "excused");
    check_ground("4 pedidos", "none");
    check_ground("em 2024 uma alta", "excused");
    check_ground("2024 pedidos", "none");
    check_ground("até 12/03 uma alta", "excused");
    check_ground("de 2024-03-12 em diante uma alta", "no claim");
    /* What somebody is told to reach. */
    check_ground("de reduzir os atrasos para 5%", "target");
    check_ground("que oferecer um desconto de 10%", "target");
    check_ground("que oferecer 10%", "target");
    check_ground("que reduzir os atrasos para 7,3%", "none"); /* not round: read off something */
    check_ground("que reduzir os 40% de atrasos", "none");
    check_ground("atrasos, que chegam a 40%", "none");
    check_ground("de reduzir para 200", "target"); /* of the data, but nothing is said of it */
    check_ground("de criar 150", "target");
    /* In words. */
    check_ground("trinta e cinco por cento de atrasos", "none");
    check_ground("setenta e cinco por cento de atrasos", "derived");
    check_ground("quinze por cento de atrasos", "given");
    check_ground("vinte por cento de atrasos", "none");
}

/* With many figures nearly every short number can be derived of two of them, and says nothing. */
static void test_chance(void **state)
{
    (void)state;
    struct str many = {0};
    for (int i = 0; i < 40; i++)
        str_printf(&many, "Loja %c: %d pedidos; ", 'A' + i % 26, 211 + 37 * i);
    reward *r = make_reward("insights", NULL);
    char text[300];
    int grounded[2] = {0};
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "As lojas tiveram %d%% de alta e %d,%d%% de queda no ano.",
                 11 + i * 7 % 80, 11 + i * 13 % 80, 1 + i % 9);
        json_t *e = explanation(r, str_text(&many), text);
        const json_t *claims = json_object_get(e, "claims");
        for (size_t k = 0; k < json_array_size(claims); k++) {
            const json_t *c = json_array_get(claims, k);
            const char *ground = json_string_value(json_object_get(c, "ground"));
            double value = json_number_value(json_object_get(c, "value"));
            grounded[value != floor(value)] += strcmp(ground, "derived") == 0;
        }
        json_decref(e);
    }
    /* By chance alone nearly all 400 would be hit. */
    if (grounded[0] > 0 || grounded[1] > 40)
        fail_msg("%d of 200 whole and %d of 200 decimal shares are grounded", grounded[0],
                 grounded[1]);
    /* The same figure among few data stands. */
    json_t *e =
        explanation(r, "Foram 480 pedidos contra 600 antes.", "Caíram 20% e 5% e 7% no ano.");
    const json_t *claims = json_object_get(e, "claims");
    static const char *const expected[] = {"derived", "none", "none"};
    for (size_t k = 0; k < 3; k++)
        assert_string_equal(json_string_value(json_object_get(json_array_get(claims, k), "ground")),
                            expected[k]);
    json_decref(e);
    str_free(&many);
    reward_free(r);
}

/* Only two numbers a text are excused as targets. */
static void test_targets_are_few(void **state)
{
    (void)state;
    reward *r = make_reward("insights", NULL);
    json_t *e =
        explanation(r, prompt,
                    "Reduza os atrasos para 5%. Aumente as vendas em 20%. Eleve o ticket em "
                    "30%. Amplie a base em 40%.");
    const json_t *claims = json_object_get(e, "claims");
    static const char *const expected[] = {"target", "target", "none", "none"};
    assert_int_equal(json_array_size(claims), 4);
    for (size_t k = 0; k < 4; k++)
        assert_string_equal(json_string_value(json_object_get(json_array_get(claims, k), "ground")),
                            expected[k]);
    json_decref(e);
    reward_free(r);
}

static double component(const char *text, int which)
{
    reward *r = make_reward("insights", NULL);
    struct reward_result out = evaluate(r, prompt, text, strlen(text));
    assert_int_equal(out.status, REWARD_OK);
    reward_free(r);
    return out.components[which];
}

static void check_near(double value, double expected)
{
    if (fabs(value - expected) > 1e-9)
        fail_msg("%.6f, expected %.6f", value, expected);
}

static void test_components(void **state)
{
    (void)state;
#define TWO "Foram 200 pedidos e 150 clientes, um bom resultado para a equipe da loja. "
    check_near(component(TWO "Crie campanhas para os clientes que não voltaram e ofereça frete.",
                         INSIGHTS_STRUCTURE),
               1);
    check_near(component(TWO, INSIGHTS_STRUCTURE), 0.4);
    check_near(component("- " TWO "\n1. Crie campanhas para os clientes antigos. Depois veja o que "
                         "mudou com elas.",
                         INSIGHTS_STRUCTURE),
               1); /* two marked lines */
    check_near(component(TWO, INSIGHTS_ACTIONS), 0);
    check_near(
        component(TWO "Crie campanhas para os clientes que não voltaram mais.", INSIGHTS_ACTIONS),
        0.5);
    check_near(component(TWO "Crie campanhas para os clientes que não voltaram. É preciso também "
                             "reduzir o prazo das entregas em todo o país.",
                         INSIGHTS_ACTIONS),
               1);
    check_near(component(TWO "Crie campanhas para os clientes que não voltaram. É bom criar mais "
                             "ofertas no site para eles também.",
                         INSIGHTS_ACTIONS),
               0.5);
    check_near(component(TWO, INSIGHTS_GROUNDING), 1);
    check_near(
        component("Foram 200 pedidos e 151 clientes, um bom resultado para a equipe da loja.",
                  INSIGHTS_GROUNDING),
        0.125); /* half of them, squared; one of two */
    /* The same sentences once more earn less on every component. */
    assert_true(component(TWO TWO TWO, INSIGHTS_GROUNDING) < 0.1);
    check_near(component("", INSIGHTS_LENGTH), 0);
    assert_true(component("a a a a a a a a a a a a a a a a a", INSIGHTS_REPETITION) == 0);
}

static void test_no_data(void **state)
{
    (void)state;
    reward *r = make_reward("insights", NULL);
    static const char text[] =
        "A loja precisa ouvir os clientes com mais atenção. Crie um canal de "
        "atendimento e reduza o prazo das entregas.";
    struct reward_result out = evaluate(r, "Dê conselhos.", text, strlen(text));
    assert_true(isnan(out.components[INSIGHTS_GROUNDING]) && out.score > 0.9);
    reward_free(r);
}

static void test_reference(void **state)
{
    (void)state;
    struct err err = {0};
    reward *r = make_reward("insights", NULL);
    static const struct {
        const char *row, *says;
    } rows[] = {
        {"{\"reference\": {\"numbers\": {\"x\": 77}}}", NULL},
        {"{\"reference\": {\"numbers\": [77]}}", "a list"},
        {"{\"reference\": {\"numbers\": {\"x\": \"77\"}}}", "\"x\""},
        {"{\"reference\": null}", NULL},
        {"{\"reference\": [77]}", "\"reference\" is a list"},
        {"{\"reference\": {\"domain\": \"frete\"}}", "reference.domain is a string"},
        {"{\"reference\": {\"domain\": [\"frete\", 7]}}", "an integer as item 1"},
    };
    static const char text[] = "São 77 casos que a equipe precisa revisar com calma.";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *row = json_read(rows[i].row, strlen(rows[i].row), 0, "", &err);
        struct reward_input in = {
            .prompt = "", .completion = text, .completion_length = strlen(text), .row = row};
        struct reward_result out;
        reward_evaluate(r, &in, &out, NULL);
        assert_int_equal(out.status, rows[i].says ? REWARD_FAILED : REWARD_OK);
        if (rows[i].says)
            assert_non_null(strstr(out.reason, rows[i].says));
        else
            assert_true((out.components[INSIGHTS_GROUNDING] > 0) == (i == 0));
        json_decref(row);
    }
    check_no_memory(r, prompt, text);
    reward_free(r);
}

static void test_words(void **state)
{
    (void)state;
    int a = -1, b = -2;
    assert_true(insights_action(slice_of("criar"), &a) && insights_action(slice_of("criem"), &b));
    assert_int_equal(a, b);
    assert_true(insights_action(slice_of("mantenha"), &a));
    assert_false(insights_action(slice_of("de"), &a) || insights_action(slice_of("loja"), &a) ||
                 insights_action(slice_of("m"), &a) || insights_action(slice_of(""), &a));
    assert_string_equal(insights_domain_word(0), "atendimento");
    assert_null(insights_domain_word(100000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grounds),         cmocka_unit_test(test_components),
        cmocka_unit_test(test_no_data),         cmocka_unit_test(test_reference),
        cmocka_unit_test(test_words),           cmocka_unit_test(test_chance),
        cmocka_unit_test(test_targets_are_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
