/* test_exact_answer.c: the reward `exact_answer` and the numbers it reads (answer_number.h): what
 * is right and what is not, where an answer is looked for, references, parameters, and the gold
 * answers of 12,474 exercises in many forms. */
#include <math.h>
#include <stdlib.h>
#include "cases.h"
#include "reward/answer_number.h"
#include "reward/rewards.h"

static struct reward_result score(const reward *r, const char *row_text, const char *completion)
{
    struct err err = {0};
    json_t *row = json_read(row_text, strlen(row_text), 0, "row", &err);
    if (!row)
        fail_msg("%s: %s", row_text, err.message);
    struct reward_input in = {.prompt = "",
                              .completion = completion,
                              .completion_length = strlen(completion),
                              .row = row};
    struct reward_result out;
    reward_evaluate(r, &in, &out, NULL);
    json_decref(row);
    return out;
}

struct case_of {
    const char *answer; /* as JSON */
    const char *completion;
    int right;
};

static void check_cases(const char *params, const struct case_of *cases, size_t n)
{
    reward *r = make_reward("exact_answer", params);
    for (size_t i = 0; i < n; i++) {
        char row[400];
        snprintf(row, sizeof row, "{\"reference\": {\"answer\": %s}}", cases[i].answer);
        struct reward_result out = score(r, row, cases[i].completion);
        if (out.status != REWARD_OK || out.score != cases[i].right)
            fail_msg("%s for %s: %g %s, expected %d", cases[i].completion, cases[i].answer,
                     out.score, out.reason, cases[i].right);
    }
    reward_free(r);
}
#define CHECK(params, cases) check_cases(params, cases, sizeof cases / sizeof *cases)

static void test_numbers(void **state)
{
    (void)state;
    static const struct case_of cases[] = {
        {"\"1234.5\"", "1.234,5", 1},
        {"\"1234.5\"", "1,234.5", 1},
        {"\"1234.5\"", "1 234,5", 1},
        {"\"1234.5\"", "12345", 0},
        {"\"1234567\"", "São 1.234.567 pessoas.", 1},
        {"1234567", "$1{,}234{,}567$", 1},
        {"\"1,5\"", "1.5", 1},
        {"\"1.5\"", "15", 0},
        {"0.5", "\\frac{1}{2}", 1},
        {"\"copo d'água\"", "Resposta: copo d\u2019água", 1},
        {"0.5", "\\boxed{\\dfrac{1}{2}}", 1},
        {"\"1/2\"", "0,5", 1},
        {"\"1/2\"", "2/1", 0},
        {"\"1/3\"", "0,333333", 1},
        {"\"1/3\"", "0,33", 0},
        {"1.5", "1\\frac{1}{2}", 1},
        {"1.5", "Resposta: 1 1/2 xícara", 1},
        {"1.5", "1 ½", 1},
        {"50", "50%", 1},
        {"0.5", "50 por cento", 1},
        {"\"50%\"", "\\boxed{50\\%}", 1},
        {"\"50%\"", "0,5", 1},
        {"50", "5%", 0},
        {"-3",
         "Resposta: \xE2\x88\x92"
         "3",
         1},
        {"-3", "3", 0},
        {"3", "- 3 maçãs", 1},
        {"3", "10-3", 1},
        {"1500", "1,5 × 10^3", 1},
        {"0.015", "1.5 \\times 10^{-2}", 1},
        {"1500", "1.5e3", 1},
        {"1000000", "Resposta: 10^6", 1},
        {"10", "Resposta: 10^x", 1},
        {"\"x = 2\"", "\\boxed{2}", 1},
        {"\"x = 2\"", "Resposta: x=2", 1},
        {"\"x = 2\"", "Resposta: x=3", 0},
        {"3000", "3 mil reais", 1},
        {"2500000", "R$ 2,5 milhões", 1},
        {"10", "R$ 10,00", 1},
        {"10", "custa US$ 10.00.", 1},
        {"-10", "-R$ 10", 1},
        {"\"133_8\"", "133_{8}", 1},
        {"\"133_8\"", "133\xE2\x82\x88", 1},
        {"\"133_8\"", "Resposta: 133 na base 8", 1},
        {"\"133_8\"", "133_9", 0},
        {"\"133_8\"", "91", 0},
        {"\"12345678901234567890\"", "12345678901234567891", 0},
        {"\"12345678901234567890\"", "12.345.678.901.234.567.890", 1},
        {"1000000000001", "1000000000000", 0},
        {"7", "007", 1},
        {"0", "-0", 1},
        {"42", "42 km/h", 1},
        {"\"42 km\"", "\\boxed{42\\text{ km}}", 1},
        {"42", "quarenta e dois", 0},
        {"42", "", 0},
        {"42", "H42O", 0},
        {"5", "1/0 5", 1},
    };
    CHECK(NULL, cases);
}

static void test_places(void **state)
{
    (void)state;
    static const struct case_of cases[] = {
        {"42", "10 + 32 = 42, e 5 dias.\nResposta: 42", 1},
        {"42", "Resposta: 41. Não, espere.\nResposta: 42", 1},
        {"42", "Resposta: 42\nResposta: 41", 0},
        {"42", "\\boxed{41} ou \\boxed{42}", 1},
        {"42", "\\boxed{42} Resposta: 41", 1}, /* a box before a line */
        {"42", "\\boxed{41} Resposta: 42", 0},
        {"42", "\\boxed{x = 42}", 1},
        {"42", "\\boxed{42", 1}, /* truncated */
        {"42", "\\boxed 42", 1},
        {"42", "\\boxed{\\text{R\\$ } 42,00}", 1},
        {"42", "#### 42", 1},
        {"42", "#### 42\n#### 41", 0},
        {"42", "**Resposta:** 42 maçãs em 3 dias", 1},
        {"42", "A resposta final é, portanto, 42.", 1},
        {"42", "The answer is 42.", 1},
        {"42", "### Resposta\n\n**42**", 1},
        {"42", "RESPOSTA FINAL: 6 × 7 = 42", 1},
        {"42", "Minha resposta: x ≈ 42", 1},
        {"42", "São 42", 1},
        {"42", "São 42 em 3 dias", 0}, /* the last number */
        {"42", "<think>42</think>41", 0},
        {"42", "<think>41</think>42", 1},
        /* guesses */
        {"42", "Resposta: 41, 42, 43", 0},
        {"42", "\\boxed{41, 42, 43}", 0},
        {"42", "\\boxed{42 \\text{ ou } 43}", 0},
        {"42", "1 2 3 42 4 5", 0},
        {"42", "\\boxed{}", 0},
        {"42", "Resposta:", 0},
        {"42", "A resposta 42 foi 41", 0},
    };
    CHECK(NULL, cases);
    reward *r = make_reward("exact_answer", NULL);
    static const char row[] = "{\"answer\": 42}";
    assert_true(score(r, row, "\\boxed{42}").components[EXACT_ANSWER_MARKED] == 1);
    assert_true(score(r, row, "Resposta: 1").components[EXACT_ANSWER_MARKED] == 1);
    assert_true(score(r, row, "42").components[EXACT_ANSWER_MARKED] == 0);
    reward_free(r);
}

static void test_text(void **state)
{
    (void)state;
    static const struct case_of cases[] = {
        {"\"Brasília\"", "Resposta: brasilia.", 1},
        {"\"Brasília\"", "A capital não é o Rio.\n\nBrasília", 1},
        {"\"Brasília\"", "A resposta é **Brasília**.", 1},
        {"\"Brasília\"", "Resposta: Brasília ou Rio", 0},
        {"\"x+1\"", "\\boxed{x + 1}", 1},
        {"\"x+1\"", "\\boxed{x - 1}", 0},
        {"\"x < 3\"", "Resposta: x<3", 1},
        {"\"x < 3\"", "Resposta: x > 3", 0},
        {"\"2\\\\pi\"", "\\boxed{2\\pi}", 1},
        {"\"B\"", "Resposta: B", 1},
        {"\"B\"", "Resposta: (b) 42", 1},
        {"\"B\"", "Alternativa correta.\nResposta: letra B.", 1},
        {"\"B\"", "Resposta: bola", 0},
        {"\"B\"", "Resposta: A ou B", 0},
        {"true", "Resposta: Sim", 1},
        {"[\"sim\", \"claro\"]", "Claro!", 1},
        {"[\"sim\", \"claro\"]", "Não", 0},
        {"[4, 5]", "5", 1},
        {"\"🙂\"", "🙂", 1},
        {"\"🙂\"", "🙁", 0},
        {"\"3:2\"", "Resposta: 3 : 2", 1},
        {"\"(1,2)\"", "\\boxed{(1, 2)}", 1},
        {"\"(1,2)\"", "\\boxed{(2, 1)}", 0},
        {"\"[1, 5]\"", "Resposta: [1,5]", 1},
        {"\"12\"", "doze", 0},
        {"\"Fiz 3 + 4.\\n#### 7\"", "Resposta: 7", 1},
    };
    CHECK(NULL, cases);
    static const struct case_of as_text[] = {
        {"\"007\"", "Resposta: 007", 1},
        {"\"007\"", "Resposta: 7", 0},
        {"\"12\"", "12", 1},
    };
    CHECK("{\"kind\": \"text\"}", as_text);
    static const struct case_of near[] = {{"100", "101", 1}, {"100", "102", 0}, {"0", "0,1", 0}};
    CHECK("{\"tolerance\": 0.015}", near);
}

static void test_rows_and_parameters(void **state)
{
    (void)state;
    reward *r = make_reward("exact_answer", NULL);
    assert_int_equal(score(r, "{}", "42").status, REWARD_NOT_APPLICABLE);
    assert_int_equal(score(r, "{\"answer\": null}", "42").status, REWARD_NOT_APPLICABLE);
    assert_int_equal(score(r, "{\"answer\": \"\"}", "42").status, REWARD_FAILED);
    assert_int_equal(score(r, "{\"answer\": {}}", "42").status, REWARD_FAILED);
    assert_int_equal(score(r, "{\"answer\": []}", "42").status, REWARD_FAILED);
    /* The reference goes before the row. */
    assert_true(score(r, "{\"answer\": 1, \"reference\": {\"answer\": 42}}", "42").score == 1);
    reward_free(r);
    r = make_reward("exact_answer", "{\"kind\": \"number\", \"field\": \"gold\"}");
    assert_true(score(r, "{\"gold\": \"42\"}", "42").score == 1);
    struct reward_result out = score(r, "{\"gold\": \"muitas\"}", "42");
    assert_int_equal(out.status, REWARD_FAILED);
    assert_non_null(strstr(out.reason, "muitas"));
    reward_free(r);
    static const char *const bad[] = {"{\"kind\": \"word\"}", "{\"tolerance\": -1}",
                                      "{\"tolerance\": 1}",   "{\"tolerance\": \"a\"}",
                                      "{\"field\": \"\"}",    "{\"feild\": \"x\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {0};
        size_t live = mem_stats().live_blocks;
        json_t *params = json_read(bad[i], strlen(bad[i]), 0, "", &err);
        r = NULL;
        assert_int_not_equal(reward_create(&r, "exact_answer", params, &err), ERR_NONE);
        assert_null(r);
        json_decref(params);
        assert_int_equal(mem_stats().live_blocks, live);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    struct err err = {0};
    static const char text[] = "{\"answer\": \"x + 1\"}";
    static const char completion[] = "<think>a</think>Resposta: $x+1$";
    json_t *row = json_read(text, strlen(text), 0, "", &err);
    reward *r = make_reward("exact_answer", NULL);
    struct reward_input in = {.prompt = "",
                              .completion = completion,
                              .completion_length = sizeof completion - 1,
                              .row = row};
    bool finished = false;
    size_t live = mem_stats().live_blocks;
    for (int n = 0; !finished; n++) {
        struct reward_result out;
        assert_true(n < 100);
        mem_fail_after(n);
        reward_evaluate(r, &in, &out, NULL);
        mem_fail_after(-1);
        finished = out.status == REWARD_OK;
        assert_true(finished ? out.score == 1 && n > 0 : out.status == REWARD_FAILED);
        assert_int_equal(mem_stats().live_blocks, live);
    }
    reward_free(r);
    json_decref(row);
}

/* "1234.5" with a point or comma for thousands and the other one for decimals. */
static void write_grouped(char *out, const char *plain, char thousands, char decimal)
{
    size_t sign = plain[0] == '-', whole = strcspn(plain, "._"), n = 0;
    for (size_t i = 0; plain[i]; i++) {
        if (i > sign && i < whole && (whole - i) % 3 == 0 && !strchr(plain, '_'))
            out[n++] = thousands;
        out[n++] = plain[i] == '.' ? decimal : plain[i];
    }
    out[n] = 0;
}

static void check_forms(const reward *r, const json_t *row, const char *answer, size_t *n)
{
    static const char *const forms[] = {
        "%s",
        "A resposta é %s.",
        "Primeiro, 3 vezes 7 = 21.\n**Resposta final:** %s",
        "#### %s",
        "Temos 21 e 9, logo $x = \\boxed{%s}$.",
        "Resposta: R$ %s",
        "Então o total é %s reais.",
        "## Resposta\n\n%s maçãs",
        "The final answer is $%s$.",
    };
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        char text[300];
        int length = snprintf(text, sizeof text, forms[f], answer);
        struct reward_input in = {
            .prompt = "", .completion = text, .completion_length = (size_t)length, .row = row};
        struct reward_result out;
        reward_evaluate(r, &in, &out, NULL);
        if (out.status != REWARD_OK || out.score != 1)
            fail_msg("%s: %g %s", text, out.score, out.reason);
        (*n)++;
    }
}

static void test_exercises(void **state)
{
    (void)state;
    const char *path = asset("text/math-problems.jsonl");
    if (!path)
        skip();
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t capacity = 0, rows = 0, texts = 0;
    ssize_t length;
    reward *r = make_reward("exact_answer", "{\"field\": \"expected_answer\"}");
    while ((length = getline(&line, &capacity, f)) > 0) {
        json_t *row = json_read(line, (size_t)length, 0, path, NULL);
        const char *answer = json_string_value(json_object_get(row, "expected_answer"));
        char other[100];
        assert_non_null(answer);
        assert_true(strlen(answer) < 60);
        check_forms(r, row, answer, &texts);
        if (answer[0] != '0') { /* "0001" with a mark would be 0,001 */
            write_grouped(other, answer, '.', ',');
            check_forms(r, row, other, &texts);
            write_grouped(other, answer, ',', '.');
            check_forms(r, row, other, &texts);
        }
        char wrong[120];
        snprintf(wrong, sizeof wrong, "Resposta: 9%s", answer);
        struct reward_input in = {
            .prompt = "", .completion = wrong, .completion_length = strlen(wrong), .row = row};
        struct reward_result out;
        reward_evaluate(r, &in, &out, NULL);
        assert_true(out.status == REWARD_OK && out.score == 0);
        json_decref(row);
        rows++;
    }
    print_message("%zu answers in %zu texts\n", rows, texts);
    assert_true(rows > 12000);
    free(line);
    fclose(f);
    reward_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),   cmocka_unit_test(test_places),
        cmocka_unit_test(test_text),      cmocka_unit_test(test_rows_and_parameters),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_exercises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
