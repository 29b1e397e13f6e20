/* test_dealer.c: the task mix. Counts by the document's rule and the systematic one, each task's
 * own deck without repeats within a pass whatever the weights do and whoever takes cards out of
 * turn, the mix in every stretch, and all of it a function of seed, cursor and weights. */
#include <stdio.h>
#include <string.h>
#include "../support/support.h"
#include "base/yaml.h"
#include "train/dealer.h"

/* rows of task i: sizes[i] */
static const char *const tasks[] = {"extraction", "sql_qa", "insights", "push"};
static const int sizes[] = {30, 17, 5, 8};
enum { TASKS = 4, ROWS = 60, STRETCH = 50 };

static struct row rows[ROWS];

static struct dataset make_data(void)
{
    int n = 0;
    for (int t = 0; t < TASKS; t++)
        for (int i = 0; i < sizes[t]; i++)
            rows[n++] = (struct row){.id = "r", .task = tasks[t]};
    /* The order of the file says nothing of the task. */
    for (int i = 0; i < ROWS; i++) {
        struct row kept = rows[i];
        rows[i] = rows[i * 37 % ROWS];
        rows[i * 37 % ROWS] = kept;
    }
    return (struct dataset){.rows = rows, .count = ROWS, .path = "data.jsonl"};
}

static int read_weights(struct task_weights *w, const char *yaml, struct yaml_node *root,
                        struct err *err)
{
    assert_int_equal(yaml_parse(root, yaml, strlen(yaml), "recipe", err), 0);
    return task_weights_read(w, root, "recipe: task_weights", err);
}

static void counts_by_the_document(void **state)
{
    (void)state;
    static const struct {
        double weight[TASKS];
        int n, count[TASKS], sum;
    } cases[] = {
        {{0.4, 0.4, 0.1, 0.1}, 50, {20, 20, 5, 5}, 50},
        {{0.25, 0.25, 0.25, 0.25}, 50, {13, 13, 12, 12}, 50}, /* 12 each, two left */
        {{0.6, 0.2, 0.1, 0.1}, 7, {4, 1, 1, 1}, 7},
        {{0.97, 0.01, 0.01, 0.01}, 10, {9, 1, 1, 1}, 12}, /* one each is more than there is */
        {{0.5, 0.5, 0, 0}, 5, {3, 2, 0, 0}, 5},
        {{0.34, 0.33, 0.33, 0}, 1, {1, 1, 1, 0}, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int count[TASKS];
        assert_int_equal(dealer_counts(count, cases[i].weight, TASKS, cases[i].n), cases[i].sum);
        assert_memory_equal(count, cases[i].count, sizeof count);
    }
}

static void the_mix_and_the_decks(void **state)
{
    (void)state;
    struct err err = {0};
    struct yaml_node root;
    struct task_weights w;
    struct dataset data = make_data();
    assert_int_equal(
        read_weights(&w, "{extraction: 4, sql_qa: 4, insights: 1, push: 1}", &root, &err), 0);
    struct dealer d;
    struct dealer_cursor at = {0}, foreseen;
    assert_int_equal(dealer_create(&d, &data, &w, STRETCH, 42, "where", &err), 0);
    int seen[ROWS] = {0}, total[TASKS] = {0}, order[2][STRETCH], same = 0;
    for (uint64_t p = 0; p < 40 * STRETCH; p++) {
        uint64_t epoch;
        int deck;
        size_t row = dealer_deal(&d, &at, &deck, &epoch);
        assert_true(row < ROWS);
        assert_string_equal(d.decks[deck].task, data.rows[row].task);
        int t = 0;
        while (strcmp(data.rows[row].task, tasks[t]) != 0)
            t++;
        /* A row's nth coming is in its deck's pass n. */
        assert_int_equal(epoch, seen[row]);
        seen[row]++;
        total[t]++;
        if (p < 2 * STRETCH)
            order[p / STRETCH][p % STRETCH] = t;
        assert_int_equal((uint64_t)(total[t] - 1) / (uint64_t)sizes[t], epoch);
        if ((p + 1) % STRETCH == 0) {
            int stretches = (int)((p + 1) / STRETCH);
            assert_int_equal(total[0], 20 * stretches);
            assert_int_equal(total[1], 20 * stretches);
            assert_int_equal(total[2], 5 * stretches);
        }
    }
    for (int p = 0; p < STRETCH; p++)
        same += order[0][p] == order[1][p];
    assert_true(same < STRETCH * 3 / 4); /* each stretch has an order of its own */
    assert_true(dealer_epochs(&d, &at, 2) == 40.0);
    assert_int_equal(dealer_cards(&d, &at), 40 * STRETCH);
    dealer_foresee(&d, &foreseen, 40 * STRETCH);
    assert_memory_equal(&foreseen, &at, sizeof at);
    dealer_foresee(&d, &foreseen, STRETCH);
    assert_true(dealer_epochs(&d, &foreseen, 0) == 20.0 / 30);
    dealer_free(&d);
    yaml_free(&root);
}

static void a_cursor_is_all_it_depends_on(void **state)
{
    (void)state;
    enum { POSITIONS = 700 };
    struct err err = {0};
    struct yaml_node root;
    struct task_weights w;
    struct dataset data = make_data();
    assert_int_equal(
        read_weights(&w, "{extraction: 0.7, sql_qa: 0.1, insights: 0.1, push: 0.1}", &root, &err),
        0);
    struct dealer forward, jumping, other;
    /* 7 positions a stretch: one each is more than the rule's shares, the plan is cut. */
    assert_int_equal(dealer_create(&forward, &data, &w, 7, 1, "where", &err), 0);
    assert_int_equal(dealer_create(&jumping, &data, &w, 7, 1, "where", &err), 0);
    assert_int_equal(dealer_create(&other, &data, &w, 7, 2, "where", &err), 0);
    size_t at[POSITIONS];
    uint64_t epochs[POSITIONS];
    static struct dealer_cursor cursors[POSITIONS + 1];
    struct dealer_cursor others = {0};
    int differs = 0;
    for (uint64_t p = 0; p < POSITIONS; p++) {
        cursors[p + 1] = cursors[p];
        at[p] = dealer_deal(&forward, &cursors[p + 1], NULL, &epochs[p]);
        differs += at[p] != dealer_deal(&other, &others, NULL, NULL);
    }
    assert_true(differs > POSITIONS / 2);
    for (uint64_t i = 0; i < POSITIONS; i++) {
        uint64_t p = i * 211 % POSITIONS, epoch;
        struct dealer_cursor cursor = cursors[p];
        assert_int_equal(dealer_deal(&jumping, &cursor, NULL, &epoch), at[p]);
        assert_int_equal(epoch, epochs[p]);
        assert_memory_equal(&cursor, &cursors[p + 1], sizeof cursor);
    }
    dealer_free(&forward);
    dealer_free(&jumping);
    dealer_free(&other);
    yaml_free(&root);
}

/* Without weights: the deck of all rows. */
static void one_deck_without_weights(void **state)
{
    (void)state;
    struct err err = {0};
    struct task_weights none = {0};
    struct dataset data = make_data();
    struct dealer d;
    struct deck deck;
    assert_int_equal(dealer_create(&d, &data, &none, STRETCH, 9, "where", &err), 0);
    assert_int_equal(deck_create(&deck, ROWS, 9, 0, &err), 0);
    struct dealer_cursor at = {0};
    for (uint64_t p = 0; p < 3 * ROWS; p++) {
        uint64_t epoch[2];
        assert_int_equal(dealer_deal(&d, &at, NULL, &epoch[0]), deck_row(&deck, p, &epoch[1]));
        assert_int_equal(epoch[0], epoch[1]);
    }
    dealer_free(&d);
    deck_free(&deck);
}

/* Weights that change at every stretch, and cards taken out of turn in between: no row comes twice
 * from a pass, none is left out, and each stretch has the counts of its weights. */
static void changing_weights_keep_the_decks(void **state)
{
    (void)state;
    struct err err = {0};
    struct yaml_node root;
    struct task_weights w;
    struct dataset data = make_data();
    assert_int_equal(
        read_weights(&w, "{extraction: 1, sql_qa: 1, insights: 1, push: 1}", &root, &err), 0);
    struct dealer d;
    struct dealer_cursor at = {0};
    assert_int_equal(dealer_create(&d, &data, &w, STRETCH, 7, "where", &err), 0);
    int seen[ROWS] = {0};
    for (int stretch = 0; stretch < 30; stretch++) {
        double weight[TASKS] = {0.1, 0.1, 0.1, 0.1};
        int count[TASKS] = {0}, want[TASKS];
        weight[stretch % TASKS] = 0.7;
        dealer_weights(&d, weight);
        dealer_counts(want, weight, TASKS, STRETCH);
        for (int p = 0; p < STRETCH; p++) {
            uint64_t epoch;
            int deck;
            size_t row = dealer_deal(&d, &at, &deck, &epoch);
            assert_int_equal(epoch, seen[row]++);
            count[deck]++;
            if (p % 3 == 0) {
                row = dealer_redeal(&d, &at, deck, &epoch);
                assert_int_equal(epoch, seen[row]++);
                assert_string_equal(data.rows[row].task, d.decks[deck].task);
            }
        }
        assert_memory_equal(count, want, sizeof count);
    }
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < ROWS; j++)
            if (strcmp(rows[i].task, rows[j].task) == 0)
                assert_true(seen[i] - seen[j] <= 1);
    assert_int_equal(at.position, 30 * STRETCH);
    assert_int_equal(dealer_cards(&d, &at), 30 * (STRETCH + 17));
    dealer_free(&d);
    yaml_free(&root);
}

/* Each count is floor or ceiling of its share, the sum is n, and over u the mean is the share. */
static void systematic_counts(void **state)
{
    (void)state;
    static const double weights[][TASKS] = {{0.25, 0.25, 0.25, 0.25},
                                            {0.6, 0.2, 0.1, 0.1},
                                            {0.1, 0.1, 0.1, 0.7},
                                            {0.97, 0.01, 0.01, 0.01}};
    enum { U = 1000 };
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) {
        for (int n = 1; n < 12; n++) {
            double mean[TASKS] = {0};
            for (int u = 0; u < U; u++) {
                int count[TASKS], sum = 0;
                dealer_systematic(count, weights[i], TASKS, n, (u + 0.5) / U);
                for (int t = 0; t < TASKS; t++) {
                    double share = n * weights[i][t];
                    sum += count[t];
                    mean[t] += (double)count[t] / U;
                    assert_true(count[t] > share - 1 && count[t] < share + 1);
                }
                assert_int_equal(sum, n);
            }
            for (int t = 0; t < TASKS; t++)
                assert_true(mean[t] > n * weights[i][t] - 2e-3 &&
                            mean[t] < n * weights[i][t] + 2e-3);
        }
    }
}

static void weights_of_the_data(void **state)
{
    (void)state;
    struct err err = {0};
    struct task_weights w;
    struct dataset data = make_data();
    assert_int_equal(task_weights_of_data(&w, &data, false, "task_sampler", &err), 0);
    assert_int_equal(w.n, TASKS);
    for (int t = 0; t < TASKS; t++)
        assert_true(w.weight[t] == 0.25);
    assert_int_equal(task_weights_of_data(&w, &data, true, "task_sampler", &err), 0);
    for (int t = 0; t < TASKS; t++)
        for (int k = 0; k < TASKS; k++)
            if (strcmp(w.task[t], tasks[k]) == 0)
                assert_true(w.weight[t] == (double)sizes[k] / ROWS);
    rows[17].task = "";
    assert_int_equal(task_weights_of_data(&w, &data, true, "task_sampler", &err), ERR_USAGE);
    assert_non_null(strstr(err.message, "has no \"task\""));
    data.count = 1;
    assert_int_equal(task_weights_of_data(&w, &data, true, "task_sampler", &err), ERR_USAGE);
    assert_non_null(strstr(err.message, "nothing to choose from"));
}

/* A cursor through a checkpoint; and what no checkpoint says. */
static void a_cursor_in_a_checkpoint(void **state)
{
    (void)state;
    struct err err = {0};
    struct yaml_node root;
    struct task_weights w;
    struct dataset data = make_data();
    assert_int_equal(
        read_weights(&w, "{extraction: 1, sql_qa: 1, insights: 1, push: 1}", &root, &err), 0);
    struct dealer d;
    struct dealer_cursor at = {.position = 123456789012, .cards = {5, 0, 9, 123456789013}},
                         got = {0};
    assert_int_equal(dealer_create(&d, &data, &w, STRETCH, 7, "where", &err), 0);
    struct str text = {0};
    struct json_writer writer;
    jw_begin(&writer, &text);
    dealer_cursor_write(&writer, &d, &at);
    json_t *saved = json_read(str_text(&text), text.length, JSON_PLAIN, "state", &err);
    assert_int_equal(dealer_cursor_read(&got, &d, saved, "state", &err), 0);
    assert_memory_equal(&got, &at, sizeof at);
    json_decref(saved);
    static const char *const bad[] = {"{\"position\": -1, \"cards\": {}}", "{\"cards\": {}}",
                                      "{\"position\": 1}",
                                      "{\"position\": 1, \"cards\": {\"push\": -4}}",
                                      "{\"position\": 1, \"cards\": {\"push\": 1.5}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        saved = json_read(bad[i], strlen(bad[i]), JSON_PLAIN, "state", &err);
        assert_int_equal(dealer_cursor_read(&got, &d, saved, "state", &err), ERR_INPUT);
        json_decref(saved);
    }
    str_free(&text);
    dealer_free(&d);
    yaml_free(&root);
}

static void what_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *says;
    } bad[] = {
        {"[1, 2]", "mapping"},
        {"{}", "mapping"},
        {"{push: -1}", "not a weight"},
        {"{push: many}", "\"many\""},
        {"{push: '1'}", "not a weight"},
        {"{push: .inf}", "not a weight"},
        {"{push: 0, sql_qa: 0}", "sum to 0"},
        {"{push: {a: 1}}", "\"push\""},
    };
    struct err err = {0};
    struct yaml_node root;
    struct task_weights w;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(read_weights(&w, bad[i].yaml, &root, &err), ERR_USAGE);
        if (!strstr(err.message, bad[i].says))
            fail_msg("%s: %s", bad[i].yaml, err.message);
        yaml_free(&root);
    }
    struct dataset data = make_data();
    struct dealer d;
    assert_int_equal(read_weights(&w, "{push: 1}", &root, &err), 0);
    assert_int_equal(dealer_create(&d, &data, &w, STRETCH, 1, "where", &err), ERR_USAGE);
    assert_non_null(strstr(err.message, "says nothing of task"));
    dealer_free(&d);
    yaml_free(&root);
    assert_int_equal(
        read_weights(&w, "{extraction: 1, sql_qa: 1, insights: 1, push: 1, exam: 1}", &root, &err),
        0);
    assert_int_equal(dealer_create(&d, &data, &w, STRETCH, 1, "where", &err), ERR_USAGE);
    assert_non_null(strstr(err.message, "\"exam\""));
    dealer_free(&d);
    yaml_free(&root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_by_the_document),
        cmocka_unit_test(the_mix_and_the_decks),
        cmocka_unit_test(a_cursor_is_all_it_depends_on),
        cmocka_unit_test(one_deck_without_weights),
        cmocka_unit_test(changing_weights_keep_the_decks),
        cmocka_unit_test(systematic_counts),
        cmocka_unit_test(weights_of_the_data),
        cmocka_unit_test(a_cursor_in_a_checkpoint),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
