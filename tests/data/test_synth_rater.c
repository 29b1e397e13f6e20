/* test_synth_rater.c: the simulated rater of the synthetic shop: what is right gets 10, what is not
 * gets less, in the order in which a person would put it; hostile queries end and change nothing;
 * rows of any other origin are refused. */
#include <stdio.h>
#include <string.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "data/rows.h"
#include "data/synth.h"
#include "data/synth_rater.h"

static char *folder;
static struct dataset rows;
static struct err err;

static int open_shop(void **state)
{
    (void)state;
    char path[600];
    folder = temp_folder();
    struct synth_options o = {folder, 3, 12, 1, 1, 0};
    struct synth_result made;
    if (synth_run(&o, &made, &err))
        fail_msg("%s: %s", err.where, err.message);
    snprintf(path, sizeof path, "%s/train.jsonl", folder);
    if (dataset_open(&rows, path, &err))
        fail_msg("%s: %s", err.where, err.message);
    return 0;
}

static int close_shop(void **state)
{
    (void)state;
    dataset_close(&rows);
    temp_folder_remove(folder);
    return 0;
}

static int grade(const struct row *row, const char *text)
{
    int points = -1;
    if (synth_rate(&points, row, text, strlen(text), folder, &err))
        fail_msg("%s: %s", err.where, err.message);
    assert_true(points >= 0 && points <= 10);
    return points;
}

static const char *reference(const struct row *row, const char *key)
{
    return json_string_value(json_object_get(json_object_get(row->json, "reference"), key));
}

#define EACH(it, name)                                                                             \
    for (const struct row *it = rows.rows; it < rows.rows + rows.count; it++)                      \
        if (strcmp(it->task, name) == 0)

/* The reference as an answer, with one field replaced where key is given. */
static char *as_json(const struct row *row, const char *key, json_t *value)
{
    json_t *copy = json_copy(json_object_get(row->json, "reference"));
    if (key)
        json_object_set_new(copy, key, value);
    char *text = json_dumps(copy, JSON_REAL_PRECISION(12));
    json_decref(copy);
    return text;
}

static void test_extraction(void **state)
{
    (void)state;
    int seen = 0;
    EACH(row, "extraction")
    {
        char *gold = as_json(row, NULL, NULL), text[1600];
        char *one_wrong = as_json(row, "sentimento", json_string("confuso"));
        assert_int_equal(grade(row, gold), 10);
        assert_int_equal(grade(row, one_wrong), 9);
        snprintf(text, sizeof text, "Aqui está:\n```json\n%s\n```", gold);
        assert_int_equal(grade(row, text), 10);
        snprintf(text, sizeof text, "<think>%s</think>", gold);
        assert_int_equal(grade(row, text), 0);
        snprintf(text, sizeof text, "<THINK>x</think>%s", gold); /* tags as models write them */
        assert_int_equal(grade(row, text), 10);
        snprintf(text, sizeof text, "%.*s", (int)strlen(gold) - 1, gold); /* no closing brace */
        assert_true(grade(row, text) == 8);
        assert_int_equal(grade(row, ""), 0);
        assert_int_equal(grade(row, "{}"), 0);
        assert_int_equal(grade(row, "Não entendi a avaliação."), 0);
        mem_free(gold);
        mem_free(one_wrong);
        seen++;
    }
    assert_int_equal(seen, 12);
}

static void test_sql(void **state)
{
    (void)state;
    static const char *const told = "A consulta responde ao que foi pedido sobre a loja.";
    EACH(row, "sql_qa")
    {
        const char *sql = reference(row, "sql");
        char text[2000];
        snprintf(text, sizeof text, "```sql\n%s;\n```\n%s", sql, told);
        int gold = grade(row, text);
        assert_int_equal(gold, 10);
        snprintf(text, sizeof text, "%s;", sql);
        assert_int_equal(grade(row, text), 8);
        snprintf(text, sizeof text, "```sql\nSELECT 987654321;\n```\n%s", told);
        int wrong = grade(row, text);
        assert_true(wrong > 3 && wrong < 8);
        snprintf(text, sizeof text, "```sql\nSELECT x FROM nada;\n```\n%s", told);
        assert_true(grade(row, text) < wrong);
        assert_int_equal(grade(row, told), 0);
    }
}

/* Each of these must be refused or run out, and the database must stay as it is. */
static void test_sql_hostile(void **state)
{
    (void)state;
    static const char *const hostile[] = {
        "SELECT 1 FROM pedidos a, pedidos b, pedidos c, pedidos d WHERE a.valor < 0;",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n;",
        "SELECT zeroblob(2000000000);",
        "SELECT load_extension('x');",
        "SELECT hex(randomblob(100000));",
        "SELECT name FROM pragma_table_info('pedidos');",
        "SELECT 1; ATTACH 'x.db' AS x;",
        "SELECT group_concat(nome) FROM clientes;",
        "SELECT a.nome || a.nome FROM produtos a, produtos b, produtos c, produtos d ORDER BY 1;",
        "WITH t AS (SELECT 1) DELETE FROM pedidos;",
        "select\x01\xff\xfe from",
        "SELECT ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((1;",
    };
    char path[600], before[65], after[65];
    snprintf(path, sizeof path, "%s/shop.sqlite", folder);
    assert_int_equal(sha256_file(before, path, &err), 0);
    EACH(row, "sql_qa")
    {
        for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
            int points = grade(row, hostile[i]);
            if (points > 5)
                fail_msg("%s: %d", hostile[i], points);
        }
        break;
    }
    assert_int_equal(sha256_file(after, path, &err), 0);
    assert_string_equal(before, after);
}

static void test_insights(void **state)
{
    (void)state;
    EACH(row, "insights")
    {
        double given[3];
        char right[600], wrong[600], told[600];
        const char *key;
        json_t *value,
            *numbers = json_object_get(json_object_get(row->json, "reference"), "numbers");
        int n = 0;
        json_object_foreach(numbers, key, value)
        {
            if (n < 3)
                given[n++] = json_number_value(value);
        }
        snprintf(right, sizeof right,
                 "1. Houve %g pedidos: crie campanhas.\n2. Com %.2f, ofereça kits.\n3. São %.2f: "
                 "reduza isso.",
                 given[0], given[1], given[2]);
        for (char *p = right; *p; p++) /* decimals as they are written here */
            if (*p == '.' && p > right && p[-1] >= '0' && p[-1] <= '9' && p[1] >= '0' &&
                p[1] <= '9')
                *p = ',';
        snprintf(wrong, sizeof wrong,
                 "- Houve 7123 pedidos: crie campanhas.\n- Com 99,17, ofereça kits.\n- São 81,3: "
                 "reduza isso.");
        snprintf(told, sizeof told, "Houve %g pedidos.", given[0]);
        assert_true(grade(row, right) >= 9);
        assert_int_equal(grade(row, wrong), 6);
        assert_true(grade(row, told) < grade(row, right));
        assert_true(grade(row, row->user_text) <= 1);
        assert_true(grade(row, "A loja vai bem.") == 0);
    }
}

static void test_push(void **state)
{
    (void)state;
    EACH(row, "push")
    {
        char good[300], formal[300], gaps[300];
        const char *product = reference(row, "product");
        snprintf(good, sizeof good, "Oba! Seu produto %s está mais perto de você. Vem ver!",
                 product);
        snprintf(formal, sizeof formal,
                 "Prezado cliente, informamos que o produto %s está na loja.", product);
        snprintf(gaps, sizeof gaps, "Olá, [nome]! Veja o produto %s para você.", product);
        assert_int_equal(grade(row, good), 10);
        assert_true(grade(row, formal) < grade(row, good) - 2);
        assert_true(grade(row, gaps) < grade(row, good) - 1);
        assert_true(grade(row, "Temos ofertas para você, venha ver!") < grade(row, good) - 1);
        assert_true(grade(row, row->user_text) <= 1);
        assert_int_equal(grade(row, "Oi!"), 0);
    }
}

/* Real rows have no truth that a program knows. */
static void test_other_rows(void **state)
{
    (void)state;
    struct row row = rows.rows[0];
    int points;
    assert_true(synth_made(&row));
    row.json = json_deep_copy(row.json);
    json_object_set_new(row.json, "source", json_string("olist"));
    assert_false(synth_made(&row));
    assert_int_equal(synth_rate(&points, &row, "x", 1, folder, &err), ERR_USAGE);
    assert_non_null(strstr(err.message, "a person has to score"));
    json_object_del(row.json, "source");
    assert_int_equal(synth_rate(&points, &row, "x", 1, folder, &err), ERR_USAGE);
    json_object_set_new(row.json, "source", json_string("synth"));
    json_object_del(row.json, "reference");
    assert_int_equal(synth_rate(&points, &row, "x", 1, folder, &err), ERR_INPUT);
    json_decref(row.json);
    EACH(sql, "sql_qa")
    {
        assert_int_equal(synth_rate(&points, sql, "SELECT 1", 8, "/nowhere", &err), ERR_INPUT);
        assert_non_null(strstr(err.message, "beside the rows"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extraction),  cmocka_unit_test(test_sql),
        cmocka_unit_test(test_sql_hostile), cmocka_unit_test(test_insights),
        cmocka_unit_test(test_push),        cmocka_unit_test(test_other_rows),
    };
    return cmocka_run_group_tests(tests, open_shop, close_shop);
}
