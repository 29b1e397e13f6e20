/* test_deck.c: every row comes once an epoch, each epoch in an order of its own, and what comes at
 * a position depends on seed and position alone. */
#include <string.h>
#include "../support/support.h"
#include "train/deck.h"

enum { ROWS = 37, EPOCHS = 6 };

static void every_row_once_an_epoch(void **state)
{
    (void)state;
    struct deck d;
    struct err err;
    assert_int_equal(deck_create(&d, ROWS, 42, 0, &err), 0);
    size_t order[EPOCHS][ROWS];
    for (int e = 0; e < EPOCHS; e++) {
        int seen[ROWS] = {0};
        for (int i = 0; i < ROWS; i++) {
            uint64_t epoch;
            order[e][i] = deck_row(&d, (uint64_t)(e * ROWS + i), &epoch);
            assert_int_equal(epoch, e);
            assert_true(order[e][i] < ROWS);
            seen[order[e][i]]++;
        }
        for (int i = 0; i < ROWS; i++)
            assert_int_equal(seen[i], 1);
        /* Another order than each epoch before, and not the same one turned. */
        for (int f = 0; f < e; f++) {
            int follow = 0;
            for (int i = 0; i + 1 < ROWS; i++)
                for (int j = 0; j + 1 < ROWS; j++)
                    follow += order[e][i] == order[f][j] && order[e][i + 1] == order[f][j + 1];
            assert_true(follow < ROWS / 3);
        }
    }
    deck_free(&d);
}

static void a_position_is_all_it_depends_on(void **state)
{
    (void)state;
    struct deck forward, jumping, other;
    struct err err;
    assert_int_equal(deck_create(&forward, ROWS, 7, 0, &err), 0);
    assert_int_equal(deck_create(&jumping, ROWS, 7, 0, &err), 0);
    assert_int_equal(deck_create(&other, ROWS, 8, 0, &err), 0);
    size_t at[ROWS * EPOCHS];
    int differs = 0;
    for (size_t p = 0; p < ROWS * EPOCHS; p++) {
        at[p] = deck_row(&forward, p, NULL);
        differs += at[p] != deck_row(&other, p, NULL);
    }
    assert_true(differs > ROWS * EPOCHS / 2);
    for (size_t i = 0; i < ROWS * EPOCHS; i++) {
        size_t p = i * 101 % (ROWS * EPOCHS);
        assert_int_equal(deck_row(&jumping, p, NULL), at[p]);
    }
    deck_free(&forward);
    deck_free(&jumping);
    deck_free(&other);
}

static void one_row(void **state)
{
    (void)state;
    struct deck d;
    struct err err;
    assert_int_equal(deck_create(&d, 1, 1, 0, &err), 0);
    for (uint64_t p = 0; p < 5; p++) {
        uint64_t epoch;
        assert_int_equal(deck_row(&d, p, &epoch), 0);
        assert_int_equal(epoch, p);
    }
    deck_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_once_an_epoch),
        cmocka_unit_test(a_position_is_all_it_depends_on),
        cmocka_unit_test(one_row),
    };
    return cmocka_run_group_tests_name("deck", tests, NULL, NULL);
}
