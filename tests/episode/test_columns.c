/* test_columns.c: what GDPO normalises one by one: components of weight of rewards of weight, under
 * the names that samples.jsonl has, with the product of the weights; and what is absent. */
#include <math.h>
#include <string.h>
#include "../support/support.h"
#include "base/json.h"
#include "episode/episode.h"

static struct reward_set make_set(const char *json)
{
    struct reward_set set;
    struct err err;
    json_t *list = json_read(json, strlen(json), JSON_PLAIN, "rewards", &err);
    assert_non_null(list);
    if (reward_set_create(&set, list, "rewards", &err))
        fail_msg("%s: %s", err.where, err.message);
    json_decref(list);
    return set;
}

static const char two_tasks[] =
    "{\"push\": [{\"name\": \"length\", \"weight\": 0.5, \"params\": {\"target\": 3}},"
    " {\"name\": \"regex\", \"label\": \"shadow\", \"weight\": 0, \"params\": {\"pattern\": "
    "\"a\"}},"
    " {\"name\": \"regex\", \"weight\": -2, \"params\": {\"pattern\": \"a\"}}],"
    " \"sql_qa\": [\"sql_valid\"]}";

static void names_and_weights(void **state)
{
    (void)state;
    struct reward_set set = make_set(two_tasks);
    int n = reward_set_columns(&set, NULL, 0), components, weighted = 0;
    const struct reward_component *list = reward_components(set.items[3].reward, &components);
    for (int c = 0; c < components; c++)
        weighted += list[c].weight != 0;
    assert_true(weighted > 0);
    assert_int_equal(n, 2 + weighted);
    struct reward_column columns[40];
    assert_int_equal(reward_set_columns(&set, columns, 1), n); /* counts on, writes one */
    assert_int_equal(reward_set_columns(&set, columns, 40), n);
    static const char *const names[] = {"length/length", "regex/match"};
    static const double weights[] = {0.5, -2};
    for (int k = 0; k < n; k++) {
        struct str name = {0};
        reward_column_name(&name, &set, &columns[k]);
        if (k < 2) {
            assert_string_equal(str_text(&name), names[k]);
            assert_true(columns[k].weight == weights[k]);
        } else {
            assert_int_equal(strncmp(str_text(&name), "sql_valid/", 10), 0);
            assert_true(columns[k].weight == list[columns[k].component].weight);
        }
        str_free(&name);
    }
    reward_set_free(&set);
}

/* A row has the columns of its own task; a failed reward and an absent component have none. */
static void what_is_absent(void **state)
{
    (void)state;
    struct reward_set set = make_set(two_tasks);
    struct reward_column columns[40], whole = {.item = 0, .component = -1, .weight = 1};
    int n = reward_set_columns(&set, columns, 40);
    double values[4];
    struct reward_result results[4];
    struct scored scored = {.values = values, .results = results};
    const struct row row = {.id = "1", .task = "push", .user_text = ""};
    const struct slice text = {"abc", 3};
    episode_score(&set, &row, &text, 1, 0, &scored);
    assert_true(scored.valid);
    for (int k = 0; k < n; k++)
        assert_int_equal(isnan(reward_column_value(&columns[k], &scored)), k >= 2);
    assert_true(reward_column_value(&columns[1], &scored) == 1);
    assert_true(reward_column_value(&whole, &scored) == results[0].score);
    results[0].components[0] = NAN;
    assert_true(isnan(reward_column_value(&columns[0], &scored)));
    results[2].status = REWARD_FAILED;
    assert_true(isnan(reward_column_value(&columns[1], &scored)));
    reward_set_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_weights),
        cmocka_unit_test(what_is_absent),
    };
    return cmocka_run_group_tests_name("columns", tests, NULL, NULL);
}
