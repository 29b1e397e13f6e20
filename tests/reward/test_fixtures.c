/* test_fixtures.c: tests/reward/fixtures/NAME.jsonl for every reward that has one: in each case
 * gold > near miss > empty, and no adversary reaches gold. */
#include <stdlib.h>
#include "cases.h"

enum { GOLD, NEAR_MISS, EMPTY, ADVERSARIAL, KINDS, MAX_LINES = 400, GROUP = 16 };
static const char *const kinds[KINDS] = {"gold", "near_miss", "empty", "adversarial"};

struct line {
    json_t *row;
    const char *group, *note;
    int kind;
    double score;
};

static int kind_of(const json_t *row)
{
    const char *name = json_string_value(json_object_get(row, "kind"));
    for (int i = 0; i < KINDS; i++)
        if (name && strcmp(name, kinds[i]) == 0)
            return i;
    fail_msg("no kind: %s", name ? name : "null");
    return -1;
}

/* The completion and the others of its group that the line has. */
static void read_group(struct reward_input *in, struct slice *room, const json_t *others)
{
    size_t n = json_array_size(others);
    assert_true(n < GROUP);
    room[0] = (struct slice){in->completion, in->completion_length};
    for (size_t i = 0; i < n; i++)
        room[i + 1] = (struct slice){json_string_value(json_array_get(others, i)),
                                     json_string_length(json_array_get(others, i))};
    in->group = room;
    in->n_group = n ? (int)n + 1 : 0;
}

static void score_line(struct line *l, const reward *r)
{
    struct slice group[GROUP];
    const json_t *prompt = json_array_get(json_object_get(l->row, "prompt"), 0),
                 *content = json_object_get(prompt, "content"),
                 *completion = json_object_get(l->row, "completion");
    struct reward_input in = {.prompt = json_string_value(content),
                              .prompt_length = json_string_length(content),
                              .completion = json_string_value(completion),
                              .completion_length = json_string_length(completion),
                              .row = l->row};
    struct reward_result out, again;
    struct str explain = {0};
    read_group(&in, group, json_object_get(l->row, "group"));
    reward_evaluate(r, &in, &out, NULL);
    reward_evaluate(r, &in, &again, &explain);
    json_t *json = json_read(str_text(&explain), explain.length,
                             JSON_UNIQUE_KEYS | JSON_NUL_ALLOWED, "explain", NULL);
    assert_true(json_is_object(json));
    json_decref(json);
    str_free(&explain);
    if (out.status != REWARD_OK)
        fail_msg("%s: %s", json_string_value(json_object_get(l->row, "id")), out.reason);
    assert_true(out.score == again.score && out.score >= 0 && out.score <= 1);
    l->kind = kind_of(l->row);
    l->score = out.score;
    l->group = json_string_value(json_object_get(l->row, "case"));
    l->note = json_string_value(json_object_get(l->row, "note"));
}

static int read_lines(struct line *lines, const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "tests/reward/fixtures/%s.jsonl", name);
    FILE *f = fopen(path, "r");
    if (!f)
        return 0;
    char *text = NULL;
    size_t capacity = 0;
    ssize_t length;
    int n = 0;
    struct err err = {0};
    while ((length = getline(&text, &capacity, f)) > 0) {
        assert_true(n < MAX_LINES);
        lines[n].row = json_read(text, (size_t)length, JSON_UNIQUE_KEYS, path, &err);
        if (!lines[n++].row)
            fail_msg("%s: %s", err.where, err.message);
    }
    free(text);
    fclose(f);
    return n;
}

/* Whether a scores as it must against b. A reward that knows right and wrong only has nothing for a
 * near miss: it must not be under an empty answer. */
static bool stands(const struct line *a, const struct line *b, bool all_or_nothing)
{
    if (a->kind == GOLD && b->kind != GOLD)
        return a->score > b->score;
    if (a->kind == NEAR_MISS && b->kind == EMPTY)
        return all_or_nothing ? a->score >= b->score : a->score > b->score;
    return true;
}

static int check_reward(const char *name)
{
    static struct line lines[MAX_LINES];
    int n = read_lines(lines, name), wrong = 0, seen = 0;
    if (n == 0)
        return 0;
    struct err err = {0};
    reward *r = NULL;
    if (reward_create(&r, name, json_object_get(lines[0].row, "params"), &err))
        fail_msg("%s: %s", err.where, err.message);
    double least = 1, most = 0;
    bool all_or_nothing = true;
    for (int i = 0; i < n; i++) {
        score_line(&lines[i], r);
        seen |= 1 << lines[i].kind;
        all_or_nothing = all_or_nothing && (lines[i].score == 0 || lines[i].score == 1);
        if (lines[i].kind == GOLD && lines[i].score < least)
            least = lines[i].score;
        if (lines[i].kind == ADVERSARIAL && lines[i].score > most)
            most = lines[i].score;
        if (getenv("GRPO_SHOW_FIXTURES"))
            print_message("%.3f %-12s %-10s %s\n", lines[i].score, kinds[lines[i].kind],
                          lines[i].group, lines[i].note ? lines[i].note : "");
    }
    assert_int_equal(seen, (1 << KINDS) - 1);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++)
            if (strcmp(lines[i].group, lines[k].group) == 0 &&
                !stands(&lines[i], &lines[k], all_or_nothing)) {
                print_message("%s, case %s: a %s has %.3f, a %s (%s) %.3f\n", name, lines[i].group,
                              kinds[lines[i].kind], lines[i].score, kinds[lines[k].kind],
                              lines[k].note ? lines[k].note : "", lines[k].score);
                wrong++;
            }
    print_message("%s: gold from %.3f, adversaries up to %.3f\n", name, least, most);
    for (int i = 0; i < n; i++)
        json_decref(lines[i].row);
    reward_free(r);
    assert_int_equal(wrong, 0);
    return 1;
}

static void test_fixtures(void **state)
{
    (void)state;
    int with = 0;
    const struct reward_definition *d;
    for (int i = 0; (d = reward_at(i)); i++)
        with += check_reward(d->name);
    assert_true(with >= 8); /* all but sql_qa_v2 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fixtures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
