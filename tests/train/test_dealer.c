/* test_dealer.c: the task mix. Counts by the document's rule, each task's own deck without repeats
 * within a pass, the mix in every stretch, and all of it a function of seed and position. */
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
    assert_int_equal(dealer_create(&d, &data, &w, STRETCH, 42, "where", &err), 0);
    int seen[ROWS] = {0}, total[TASKS] = {0}, order[2][STRETCH], same = 0;
    for (uint64_t p = 0; p < 40 * STRETCH; p++) {
        uint64_t epoch;
        size_t row = dealer_row(&d, p, &epoch);
        assert_true(row < ROWS);
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
    /* dealt before a position over the deck's size */
    assert_true(dealer_epochs(&d, 2, 40 * STRETCH) == 40.0);
    assert_true(dealer_epochs(&d, 0, STRETCH) == 20.0 / 30);
    dealer_free(&d);
    yaml_free(&root);
}

static void a_position_is_all_it_depends_on(void **state)
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
    int differs = 0;
    for (uint64_t p = 0; p < POSITIONS; p++) {
        at[p] = dealer_row(&forward, p, &epochs[p]);
        differs += at[p] != dealer_row(&other, p, NULL);
    }
    assert_true(differs > POSITIONS / 2);
    for (uint64_t i = 0; i < POSITIONS; i++) {
        uint64_t p = i * 211 % POSITIONS, epoch;
        assert_int_equal(dealer_row(&jumping, p, &epoch), at[p]);
        assert_int_equal(epoch, epochs[p]);
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
    for (uint64_t p = 0; p < 3 * ROWS; p++) {
        uint64_t epoch[2];
        assert_int_equal(dealer_row(&d, p, &epoch[0]), deck_row(&deck, p, &epoch[1]));
        assert_int_equal(epoch[0], epoch[1]);
    }
    dealer_free(&d);
    deck_free(&deck);
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
        cmocka_unit_test(a_position_is_all_it_depends_on),
        cmocka_unit_test(one_deck_without_weights),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
