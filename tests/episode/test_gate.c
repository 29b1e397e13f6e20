/* test_gate.c: the gate of a recipe's rewards: which it judges, by whose fixtures, and what a
 * recipe can say of them. */
#include <math.h>
#include <string.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "episode/gate.h"

static void make_set(struct reward_set *set, const char *rewards)
{
    struct err err = {0};
    json_t *json = json_read(rewards, strlen(rewards), JSON_UNIQUE_KEYS, "rewards", &err);
    assert_non_null(json);
    if (reward_set_create(set, json, "rewards", &err))
        fail_msg("%s: %s", err.where, err.message);
    json_decref(json);
}

static void open_gate(struct reward_gate *g, struct reward_set *set, const char *rewards)
{
    struct err err = {0};
    make_set(set, rewards);
    if (reward_gate_open(g, set, &err))
        fail_msg("%s: %s", err.where, err.message);
}

static void close_gate(struct reward_gate *g, struct reward_set *set)
{
    reward_gate_close(g);
    reward_set_free(set);
}

static void verdicts(void **state)
{
    (void)state;
    static const struct {
        const char *rewards;
        int count;
        enum gate_verdict first, worst;
    } cases[] = {
        {"[\"insights\"]", 1, GATE_HOLDS, GATE_HOLDS},
        {"[\"sql_qa_v2\"]", 1, GATE_FAILS, GATE_FAILS},
        {"[{\"name\": \"sql_qa_v2\", \"known_gameable\": true}]", 1, GATE_KNOWN_GAMEABLE,
         GATE_KNOWN_GAMEABLE},
        {"[{\"name\": \"sql_qa_v2\", \"known_gameable\": false}]", 1, GATE_FAILS, GATE_FAILS},
        /* it is what the fixtures say that counts, not what the recipe fears */
        {"[{\"name\": \"insights\", \"known_gameable\": true}]", 1, GATE_HOLDS, GATE_HOLDS},
        {"[{\"name\": \"sql_qa_v2\", \"weight\": 0}]", 0, GATE_HOLDS, GATE_HOLDS},
        {"[\"insights\", \"sql_qa_v2\"]", 2, GATE_HOLDS, GATE_FAILS},
        /* one reward of two tasks is judged once; said differently of, twice */
        {"{\"a\": [\"insights\"], \"b\": [\"insights\"]}", 1, GATE_HOLDS, GATE_HOLDS},
        {"{\"a\": [{\"name\": \"sql_qa_v2\", \"known_gameable\": true}], \"b\": [\"sql_qa_v2\"]}",
         2, GATE_KNOWN_GAMEABLE, GATE_FAILS},
        /* parameters of the recipe's own do not touch the program's fixtures */
        {"[{\"name\": \"sql_valid\", \"params\": {\"schema\": "
         "\"tests/reward/fixtures/shop.sql\"}}]",
         1, GATE_HOLDS, GATE_HOLDS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reward_set set;
        struct reward_gate g;
        open_gate(&g, &set, cases[i].rewards);
        if (g.count != cases[i].count || g.worst != cases[i].worst ||
            (g.count && g.items[0].verdict != cases[i].first))
            fail_msg("%s: %d items, worst %s", cases[i].rewards, g.count,
                     gate_verdict_name(g.worst));
        for (int k = 0; k < g.count; k++)
            assert_int_equal(g.items[k].why[0] == 0, g.items[k].verdict <= GATE_NO_FIXTURES);
        close_gate(&g, &set);
    }
}

/* The recipe's own file, scored by the reward as the recipe configures it. */
static void own_fixtures(void **state)
{
    (void)state;
#define LINE(kind, text) "{\"kind\": \"" kind "\", \"case\": \"a\", \"completion\": \"" text "\"}\n"
    static const char text[] = LINE("gold", "12345") LINE("near_miss", "1234") LINE("empty", "")
        LINE("adversarial", "1234567890");
    char *folder = temp_folder(), path[600], rewards[1500];
    struct reward_set set;
    struct reward_gate g;
    struct err err = {0};
    snprintf(path, sizeof path, "%s/mine.jsonl", folder);
    assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), 0);
    snprintf(rewards, sizeof rewards,
             "[{\"name\": \"length\", \"params\": {\"target\": 5}, \"fixtures\": \"%s\"}, "
             "{\"name\": \"length\", \"label\": \"long\", \"params\": {\"target\": 10}, "
             "\"fixtures\": \"%s\"}]",
             path, path);
    open_gate(&g, &set, rewards);
    assert_int_equal(g.count, 2);
    assert_int_equal(g.items[0].verdict, GATE_HOLDS);
    assert_int_equal(g.items[0].fixtures, 4);
    assert_int_equal(g.items[1].verdict, GATE_FAILS);
    assert_true(g.items[1].lowest_gold == 0.5 && g.items[1].highest_adversary == 1);
    assert_non_null(strstr(g.items[1].why, "an adversarial has 1.000, a gold has 0.500"));
    struct str said = {0};
    reward_gate_say(&said, &g.items[1]);
    assert_memory_equal(str_text(&said), "long does not hold", 18);
    struct str json = {0};
    struct json_writer w;
    jw_begin(&w, &json);
    reward_gate_write(&w, &g);
    json_t *read = json_read(str_text(&json), json.length, JSON_ANY_VALUE, "gate", &err);
    assert_string_equal(json_string_value(json_object_get(json_array_get(read, 1), "verdict")),
                        "fails");
    json_decref(read);
    str_free(&json);
    str_free(&said);
    close_gate(&g, &set);
    make_set(&set, "[{\"name\": \"insights\", \"fixtures\": \"no/such.jsonl\"}]");
    assert_int_equal(reward_gate_open(&g, &set, &err), ERR_INPUT);
    assert_non_null(strstr(err.where, "no/such.jsonl"));
    close_gate(&g, &set);
    temp_folder_remove(folder);
}

static void wrong_keys(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"[{\"name\": \"push\", \"known_gameable\": \"yes\"}]", "\"known_gameable\" is a string"},
        {"[{\"name\": \"push\", \"fixtures\": true}]", "\"fixtures\" is a boolean"},
        {"[{\"name\": \"push\", \"know_gameable\": true}]", "fixtures, known_gameable"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct reward_set set;
        struct err err = {0};
        json_t *json = json_read(bad[i][0], strlen(bad[i][0]), 0, "rewards", &err);
        assert_int_equal(reward_set_create(&set, json, "rewards", &err), ERR_USAGE);
        if (!strstr(err.message, bad[i][1]))
            fail_msg("%s: %s", bad[i][0], err.message);
        json_decref(json);
    }
}

static void no_memory(void **state)
{
    (void)state;
    struct reward_set set;
    make_set(&set, "[\"insights\", {\"name\": \"length\", \"params\": {\"min\": 1}}]");
    size_t live = mem_stats().live_blocks;
    for (int n = 0; n < 60; n++) {
        struct reward_gate g;
        struct err err = {0};
        mem_fail_after(n);
        int status = reward_gate_open(&g, &set, &err);
        mem_fail_after(-1);
        if (status)
            assert_int_equal(status, ERR_MACHINE);
        else
            assert_int_equal(g.items[0].verdict, GATE_FAILS); /* a line without a score */
        reward_gate_close(&g);
        assert_int_equal(mem_stats().live_blocks, live);
    }
    reward_set_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),
        cmocka_unit_test(own_fixtures),
        cmocka_unit_test(wrong_keys),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
