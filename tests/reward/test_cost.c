/* test_cost.c: what a hostile completion may cost: 1 MiB of many shapes, as completion, and as
 * prompt too, for each of the rewards that judge text. Quadratic work would take minutes; the bound
 * of an optimized build is 0.1 s of processor time, of others more. GRPO_SHOW_COST prints all. */
#include <math.h>
#include <stdlib.h>
#include <time.h>
#include "base/sanitizer.h"
#include "cases.h"

enum { SIZE = 1 << 20 };

#if defined __OPTIMIZE__ && !SANITIZED
static const double bound = 0.1;
#else
static const double bound = 6;
#endif

static const char *const units[] = {
    "a",
    "a ",
    "1",
    "1 ",
    "1.",
    "1,",
    "1/",
    "-1 ",
    "R$ 1,00 ",
    "10% de 20% ",
    "crie 5% ",
    "de ",
    ". ",
    "\n",
    "- a b c d\n",
    "1. a b c d\n",
    "{",
    "[",
    "{\"a\":",
    "{\"nota\":1,",
    "\"",
    "\\\"",
    "\\",
    "\\boxed{",
    "\\boxed{1}",
    "\\frac{",
    "\\frac11",
    "#### 1\n",
    "####",
    "resposta: 1\n",
    "resposta ",
    "answer",
    "<think>",
    "</think>",
    "<think>a</think>",
    "😀",
    "👨‍👩‍👧‍👦",
    "🇧🇷",
    "a\xCC\x81",
    "\xCC\x81",
    "\xFF",
    "\xE2\x80\x8D",
    "日",
    "(nome ",
    "%s",
    "$ X",
    "_a",
    "crie ",
    "\"resumo\": \"bom bom bom ",
    "vinte e cinco por cento ",
    " por cento",
    "cerca de 1 ",
    "2024-01-02 ",
};

static double slowest, total;

static void measure(const reward *r, const char *name, const char *prompt, size_t prompt_length,
                    const char *text, size_t length, const json_t *row, const char *shape)
{
    struct reward_input in = {.prompt = prompt,
                              .prompt_length = prompt_length,
                              .completion = text,
                              .completion_length = length,
                              .row = row};
    struct reward_result out;
    double seconds = HUGE_VAL;
    for (int tries = 0; tries < 3 && seconds >= bound; tries++) { /* a busy machine */
        clock_t start = clock();
        reward_evaluate(r, &in, &out, NULL);
        seconds = fmin(seconds, (double)(clock() - start) / CLOCKS_PER_SEC);
    }
    total += seconds;
    slowest = fmax(slowest, seconds);
    if (getenv("GRPO_SHOW_COST") && seconds > 0.02)
        print_message("%.3f s  %s  %.20s\n", seconds, name, shape);
    if (seconds >= bound && !getenv("GRPO_SHOW_COST"))
        fail_msg("%s takes %.3f s for 1 MiB of \"%.20s\"", name, seconds, shape);
    if (out.status == REWARD_OK && !(out.score >= 0 && out.score <= 1))
        fail_msg("%s scores %g for \"%.20s\"", name, out.score, shape);
}

static void measure_all(const char *text, const char *shape)
{
    static const struct {
        const char *name, *params, *row;
    } rewards[] = {
        {"extraction", NULL, "{\"reference\": {\"nota\": 5, \"resumo\": \"bom produto\"}}"},
        {"extraction", NULL, "{}"},
        {"insights", NULL, "{\"reference\": {\"numbers\": {\"a\": 5}}}"},
        {"push", NULL, "{}"},
        {"exact_answer", NULL, "{\"answer\": \"5\"}"},
        {"exact_answer", NULL, "{\"answer\": \"bom\"}"},
        {"repetition", NULL, "{}"},
        {"repetition", "{\"n\": 32}", "{}"},
        {"length", "{\"max\": 100}", "{}"},
        {"length", "{\"max\": 100, \"unit\": \"words\"}", "{}"},
        {"regex", "{\"pattern\": \"(a|b)*c\\\\d+$\"}", "{}"},
    };
    for (size_t i = 0; i < sizeof rewards / sizeof *rewards; i++) {
        struct err err = {0};
        json_t *row = json_read(rewards[i].row, strlen(rewards[i].row), 0, "row", &err);
        reward *r = make_reward(rewards[i].name, rewards[i].params);
        measure(r, rewards[i].name, "Dados: 5 a 7", 12, text, SIZE, row, shape);
        if (i < 4) /* they read the prompt */
            measure(r, rewards[i].name, text, SIZE, "{\"resumo\": \"bom\", \"valor\": 7}", 28, row,
                    shape);
        json_decref(row);
        reward_free(r);
    }
}

static void test_one_megabyte(void **state)
{
    (void)state;
    char *text = malloc(SIZE + 1);
    text[SIZE] = 0;
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        size_t n = strlen(units[u]);
        for (size_t i = 0; i < SIZE; i++)
            text[i] = units[u][i % n];
        measure_all(text, units[u]);
    }
    /* One JSON object around the whole: a long value, and many different words in it. */
    static const char head[] = "{\"nota\": 5, \"resumo\": \"";
    unsigned seed = 1;
    for (size_t i = 0; i < SIZE; i++) {
        seed = seed * 1664525u + 1013904223u;
        text[i] = seed >> 29 == 0 ? ' ' : (char)('a' + (seed >> 24) % 26);
    }
    memcpy(text, head, sizeof head - 1);
    memcpy(text + SIZE - 2, "\"}", 2);
    measure_all(text, "a long value");
    print_message("slowest %.3f s, all %.1f s\n", slowest, total);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_megabyte)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
