/* test_extraction.c: the reward `extraction`: its schema, each kind of field, consistency, what is
 * read of near misses, and errors. tests/reward/fixtures/extraction.jsonl says what beats what. */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>
#include "cases.h"
#include "base/file.h"
#include "reward/rewards.h"
#include "reward/schema.h"

static void test_compiled_in_schema(void **state)
{
    (void)state;
    struct str file = {0};
    struct err err = {0};
    assert_int_equal(file_read(&file, "schemas/review_extraction.json", &err), 0);
    if (strcmp(str_text(&file), schema_default_text) != 0)
        fail_msg("src/reward/schema_default.c is not schemas/review_extraction.json: run "
                 "tools/embed_schema.sh");
    struct schema s;
    assert_int_equal(schema_read(&s, str_text(&file), file.length, "schema", &err), 0);
    static const char *const names[] = {
        "sentimento",  "nota",      "produto",        "problema", "entrega_no_prazo",
        "dias_atraso", "recomenda", "quer_devolucao", "valor",    "resumo"};
    assert_int_equal(s.n_fields, 10);
    double weights = 0;
    for (int i = 0; i < 10; i++) {
        assert_string_equal(s.fields[i].name, names[i]);
        weights += s.fields[i].weight;
    }
    assert_true(fabs(weights - 1) < 1e-12 && s.n_rules >= 8);
    schema_free(&s);
    str_free(&file);
}

static void test_bad_schemas(void **state)
{
    (void)state;
#define FIELDS(text) "{\"fields\": [" text "]}"
#define RULE(test)                                                                                 \
    FIELDS(                                                                                        \
        "{\"name\": \"e\", \"type\": \"enum\", \"values\": [\"um\", \"dois\"], \"weight\": 1}, "   \
        "{\"name\": \"i\", \"type\": \"integer\", \"weight\": 1}, "                                \
        "{\"name\": \"t\", \"type\": \"string\", \"weight\": 1}], \"rules\": [{\"if\": " test      \
        ", \"then\": " test "}")
#define A "{\"name\": \"a\", \"type\": \"integer\", \"weight\": 1}"
    static const struct {
        const char *text, *says[2];
    } cases[] = {
        {"[]", {"\"[\"", NULL}},
        {"{}", {"\"fields\" is nothing", NULL}},
        {"{\"fields\": []}", {"of 0", NULL}},
        {"{\"fields\": [], \"feilds\": 1}", {"feilds", "did you mean \"fields\""}},
        {FIELDS("1"), {"field 0", "an integer, expected an object"}},
        {FIELDS("{\"name\": \"a\", \"type\": \"integer\"}"), {"field \"a\"", "weight"}},
        {FIELDS("{\"name\": \"a\", \"type\": \"int\", \"weight\": 1}"), {"\"int\"", "integer"}},
        {FIELDS("{\"name\": \"a\", \"type\": \"string\", \"weight\": 0}"), {"over 0", NULL}},
        {FIELDS("{\"name\": \"a\", \"type\": \"enum\", \"weight\": 1}"), {"values", "words"}},
        {FIELDS("{\"name\": \"a\", \"type\": \"string\", \"weight\": 1, \"minimum\": 1}"),
         {"\"minimum\" does not go with the type string", NULL}},
        {FIELDS("{\"name\": \"a\", \"type\": \"number\", \"weight\": 1, \"minimum\": 2, "
                "\"maximum\": 1}"),
         {"minimum is 2 but maximum is 1", NULL}},
        {FIELDS(A ", " A), {"twice", NULL}},
        {"{\"fields\": [" A "], \"rules\": [{\"if\": {\"field\": \"b\", \"in\": [1]}}]}",
         {"rule 0", "\"b\", which is no field"}},
        {"{\"fields\": [" A "], \"rules\": [{\"if\": {\"field\": \"a\"}}]}", {"rule 0", "needs"}},
        {FIELDS("{\"name\": \"\", \"type\": \"integer\", \"weight\": 1}"),
         {"field 0", "empty name"}},
        {FIELDS("{\"name\": \"a\", \"type\": \"integer\", \"weight\": 1e300}"),
         {"weight", "1000000"}},
        {FIELDS("{\"name\": \"a\", \"type\": \"enum\", \"values\": [\"x\", \"x\"], \"weight\": 1}"),
         {"\"x\" stands twice", NULL}},
        {FIELDS("{\"name\": \"a\", \"type\": \"enum\", \"values\": [\"x\", 1], \"weight\": 1}"),
         {"value 1 is an integer", NULL}},
        {FIELDS("{\"name\": \"a\", \"type\": \"enum\", \"values\": [\"\"], \"weight\": 1}"),
         {"value 0 is empty", NULL}},
        {FIELDS("{\"name\": \"a\", \"type\": \"enum\", \"values\": \"x\", \"weight\": 1}"),
         {"a string", "list of words"}},
        {RULE("{\"field\": \"e\", \"in\": [\"um\", \"dosi\"]}"), {"rule 0", "item 1 of \"in\""}},
        {RULE("{\"field\": \"e\", \"minimum\": 1}"), {"a range does not go with \"e\"", NULL}},
        {RULE("{\"field\": \"i\", \"in\": [\"muitos\"]}"), {"no value of \"i\"", NULL}},
        {RULE("{\"field\": \"i\", \"in\": [1], \"minimum\": 1}"), {"give one", NULL}},
        {RULE("{\"field\": \"i\", \"minimum\": 2, \"maximum\": 1}"), {"minimum is 2", NULL}},
        {RULE("{\"field\": \"t\", \"in\": [\"x\"]}"), {"no value of \"t\"", NULL}},
        {RULE("5"), {"rule 0", "an integer, expected an object"}},
    };
    char *folder = temp_folder(), path[300];
    snprintf(path, sizeof path, "%s/schema.json", folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        size_t live = mem_stats().live_blocks;
        assert_int_equal(file_write_atomic(path, cases[i].text, strlen(cases[i].text), &err), 0);
        json_t *params = json_pack("{s: s}", "schema", path);
        reward *r = NULL;
        int status = reward_create(&r, "extraction", params, &err);
        json_decref(params);
        assert_null(r);
        assert_int_equal(status, ERR_INPUT);
        assert_non_null(strstr(err.where, "schema.json"));
        for (int k = 0; k < 2 && cases[i].says[k] && i > 0; k++)
            if (!strstr(err.message, cases[i].says[k]) && !strstr(err.where, cases[i].says[k]))
                fail_msg("%s: \"%s: %s\" does not say \"%s\"", cases[i].text, err.where,
                         err.message, cases[i].says[k]);
        assert_int_equal(mem_stats().live_blocks, live);
    }
    struct err err = {0};
    reward *r = NULL;
    json_t *params = json_pack("{s: s}", "schema", "no/such/file.json");
    assert_int_equal(reward_create(&r, "extraction", params, &err), ERR_INPUT);
    json_decref(params);
    temp_folder_remove(folder);
}

/* One field at a time: the components `schema` and `fields` of {"a": VALUE}. */
static void check_field(const char *field, const char *value, const char *truth, double schema,
                        double fields)
{
    char *folder = temp_folder(), path[300];
    struct str text = {0};
    struct err err = {0};
    snprintf(path, sizeof path, "%s/schema.json", folder);
    str_printf(&text, "{\"fields\": [{\"name\": \"a\", \"weight\": 2, %s}]}", field);
    assert_int_equal(file_write_atomic(path, str_text(&text), text.length, &err), 0);
    json_t *params = json_pack("{s: s}", "schema", path);
    reward *r = NULL;
    if (reward_create(&r, "extraction", params, &err))
        fail_msg("%s: %s", err.where, err.message);
    json_decref(params);
    str_clear(&text);
    str_printf(&text, "{\"reference\": {\"a\": %s}}", truth);
    json_t *row = json_read(str_text(&text), text.length, 0, "row", &err);
    str_clear(&text);
    str_printf(&text, "{\"a\": %s}", value);
    struct reward_input in = {
        .prompt = "", .completion = str_text(&text), .completion_length = text.length, .row = row};
    struct reward_result out;
    reward_evaluate(r, &in, &out, NULL);
    if (fabs(out.components[EXTRACTION_SCHEMA] - schema) > 1e-9 ||
        fabs(out.components[EXTRACTION_FIELDS] - fields) > 1e-9)
        fail_msg("%s, %s for %s: schema %g, fields %g; expected %g, %g", field, value, truth,
                 out.components[EXTRACTION_SCHEMA], out.components[EXTRACTION_FIELDS], schema,
                 fields);
    json_decref(row);
    str_free(&text);
    reward_free(r);
    temp_folder_remove(folder);
}

static void test_fields(void **state)
{
    (void)state;
    static const char word[] = "\"type\": \"enum\", \"values\": [\"não entregue\", \"ok\"]";
    static const char whole[] = "\"type\": \"integer\", \"minimum\": 1, \"maximum\": 5, "
                                "\"tolerance\": 2, \"nullable\": true";
    static const char number[] = "\"type\": \"number\", \"relative_tolerance\": 0.01";
    static const char flag[] = "\"type\": \"boolean\"";
    static const char text[] = "\"type\": \"string\", \"max_length\": 12";
    check_field(word, "\"ok\"", "\"ok\"", 1, 1);
    check_field(word, "\"OK\"", "\"ok\"", 0.5, 1);
    check_field(word, "\"nao_entregue\"", "\"não entregue\"", 0.5, 1);
    check_field(word, "\"ok\"", "\"não entregue\"", 1, 0);
    check_field(word, "\"desconhecido\"", "\"ok\"", 0, 0);
    check_field(word, "null", "\"ok\"", 0, 0);
    check_field(whole, "4", "4", 1, 1);
    check_field(whole, "4", "5", 1, 0.5);
    check_field(whole, "3", "5", 1, 0);
    check_field(whole, "4.0", "4", 0.5, 1);
    check_field(whole, "\"4\"", "4", 0.5, 1);
    check_field(whole, "4,5", "4", 0, 0.75);
    check_field(whole, "6", "5", 0, 0.5);
    check_field(whole, "null", "null", 1, 1);
    check_field(whole, "\"null\"", "null", 0.5, 1);
    check_field(whole, "1", "null", 1, 0);
    check_field(whole, "null", "1", 1, 0);
    check_field(number, "10.05", "10", 1, 1);
    check_field(number, "10.2", "10", 1, 0);
    check_field(number, "\"R$ 1.234,56\"", "1234.56", 0.5, 1);
    check_field(number, "1.234,56", "1234.56", 1, 1);
    check_field(number, "\"caro\"", "1234.56", 0, 0);
    check_field(flag, "true", "true", 1, 1);
    check_field(flag, "False", "true", 1, 0);
    check_field(flag, "\"Sim\"", "true", 0.5, 1);
    check_field(flag, "\"não\"", "true", 0.5, 0);
    check_field(flag, "1", "true", 0, 0);
    check_field(text, "\"Ótimo, veio!\"", "\"otimo veio\"", 1, 1);
    check_field(text, "\"muito bom\"", "\"bom\"", 1, 2.0 / 3);
    check_field(text, "\"bom bom bom\"", "\"bom\"", 1, 0.5);
    check_field(text, "\"muito bom mesmo\"", "\"bom\"", 0.5, 0.5);
    check_field(text, "5", "\"bom\"", 0, 0);
    check_field(text, "[]", "\"bom\"", 0, 0);
    check_field(text, "\"👍\"", "\"👍\"", 1, 1);
    check_field(text, "\"👎\"", "\"👍\"", 1, 0);
    check_field(text, "\"None\"", "\"none\"", 1, 1); /* a text that says so: it is not nullable */
    check_field(text, "\"\"", "\"bom\"", 0, 0);
    /* Enums as users write them: words that mean nothing elsewhere, signs, case that counts. */
    static const char odd[] =
        "\"type\": \"enum\", \"nullable\": true, "
        "\"values\": [\"none\", \"<10\", \">10\", \"KB\", \"kb\", \"C\", \"C++\"]";
    check_field(odd, "\"none\"", "\"none\"", 1, 1);
    check_field(odd, "null", "\"none\"", 1, 0);
    check_field(odd, "\"null\"", "null", 0.5, 1);
    check_field(odd, "\"<10\"", "\"<10\"", 1, 1);
    check_field(odd, "\">10\"", "\"<10\"", 1, 0);
    check_field(odd, "\"10\"", "\"<10\"", 0, 0); /* either */
    check_field(odd, "\"kb\"", "\"kb\"", 1, 1);
    check_field(odd, "\"KB\"", "\"kb\"", 1, 0);
    check_field(odd, "\"C++\"", "\"C++\"", 1, 1);
    check_field(odd, "\"C\"", "\"C++\"", 1, 0);
    check_field(word, "\"ok|não entregue\"", "\"ok\"", 0, 0); /* all of them */
    check_field(word, "[\"ok\", \"não entregue\"]", "\"ok\"", 0, 0);
}

static struct reward_result score_row(const reward *r, const char *row_text, const char *completion)
{
    struct err err = {0};
    json_t *row = json_read(row_text, strlen(row_text), 0, "row", &err);
    struct reward_input in = {.prompt = "Comprei a mesa por R$ 99,90.",
                              .prompt_length = 28,
                              .completion = completion,
                              .completion_length = strlen(completion),
                              .row = row};
    struct reward_result out;
    reward_evaluate(r, &in, &out, NULL);
    json_decref(row);
    return out;
}

static void test_consistency(void **state)
{
    (void)state;
    reward *r = make_reward("extraction", NULL);
    static const char row[] = "{\"reference\": {}}";
#define REST                                                                                       \
    "\"problema\": \"nenhum\", \"entrega_no_prazo\": null, \"dias_atraso\": null, "                \
    "\"recomenda\": null, \"quer_devolucao\": false, \"resumo\": \"Comprei a mesa\"}"
    struct reward_result good =
        score_row(r, row,
                  "{\"sentimento\": \"positivo\", \"nota\": 5, \"produto\": \"mesa\", "
                  "\"valor\": 99.9, " REST);
    assert_true(isnan(good.components[EXTRACTION_FIELDS]));
    assert_true(good.components[EXTRACTION_CONSISTENCY] == 1 && good.score == 1);
    struct reward_result rule =
        score_row(r, row,
                  "{\"sentimento\": \"positivo\", \"nota\": 1, \"produto\": \"mesa\", "
                  "\"valor\": 99.9, " REST);
    assert_true(fabs(rule.components[EXTRACTION_CONSISTENCY] - 0.8) < 1e-9); /* 4 of 5 */
    struct reward_result invented =
        score_row(r, row,
                  "{\"sentimento\": \"positivo\", \"nota\": 5, \"produto\": \"fogão\", "
                  "\"valor\": 80, " REST);
    assert_true(fabs(invented.components[EXTRACTION_CONSISTENCY] - 0.6) < 1e-9);
    struct err err = {0};
    json_t *bare = json_read(row, strlen(row), 0, "row", &err);
    static const char names[] = "{\"sentimento\": \"positivo\", \"nota\": 5, \"produto\": "
                                "\"produto\", \"valor\": null, " REST;
    struct reward_input in = {.prompt = "Comprei a mesa. JSON com nota, produto, valor:",
                              .prompt_length = 46,
                              .completion = names,
                              .completion_length = sizeof names - 1,
                              .row = bare};
    struct reward_result out;
    reward_evaluate(r, &in, &out, NULL); /* 3 rules and the summary; a field's name is no product */
    assert_true(fabs(out.components[EXTRACTION_CONSISTENCY] - 0.75) < 1e-9);
    json_decref(bare);
    reward_free(r);
}

static void test_rows(void **state)
{
    (void)state;
    reward *r = make_reward("extraction", NULL);
    static const char good[] = "{\"reference\": {\"nota\": 5, \"sentimento\": \"positivo\"}}";
    struct reward_result out = score_row(r, good, "{\"sentimento\": \"positivo\", \"nota\": 5}");
    assert_true(out.components[EXTRACTION_FIELDS] ==
                1); /* what the reference lacks is not judged */
    out = score_row(r, good, "[{\"sentimento\": \"positivo\", \"nota\": 5}]");
    assert_true(out.components[EXTRACTION_FIELDS] == 1);
    out = score_row(r, good, "{\"Nota\": 5, \"SENTIMENTO\": \"positivo\"}");
    assert_true(out.components[EXTRACTION_FIELDS] == 1);
    assert_true(fabs(out.components[EXTRACTION_SCHEMA] - 0.1) < 1e-9);
    double before = out.components[EXTRACTION_NO_EXTRA];
    out = score_row(r, good, "{\"Nota\": 5, \"SENTIMENTO\": \"positivo\", \"x\": 1, \"y\": 2}");
    assert_true(fabs(out.components[EXTRACTION_NO_EXTRA] - before / 2) < 1e-9);
    out = score_row(r, good, "<think>{\"nota\": 5}</think>{\"nota\": 1}");
    assert_true(out.components[EXTRACTION_FIELDS] == 0);
    out = score_row(r, "{\"reference\": {\"nota\": \"muitas\"}}", "{\"nota\": 5}");
    assert_int_equal(out.status, REWARD_FAILED);
    assert_non_null(strstr(out.reason, "nota"));
    /* what is no object is not read as if there were none */
    static const char *const wrong[] = {"\"{}\"", "[{\"nota\": 5}]", "5", "true"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char row[60];
        snprintf(row, sizeof row, "{\"reference\": %s}", wrong[i]);
        out = score_row(r, row, "{\"nota\": 5}");
        assert_int_equal(out.status, REWARD_FAILED);
        assert_non_null(strstr(out.reason, "\"reference\" is "));
    }
    assert_int_equal(score_row(r, "{\"reference\": null}", "{\"nota\": 5}").status, REWARD_OK);
    reward_free(r);
}

/* More than was asked for, or several answers, is never worth more. */
static void test_one_answer(void **state)
{
    (void)state;
    reward *r = make_reward("extraction", NULL);
#define RIGHT                                                                                      \
    "\"sentimento\": \"positivo\", \"nota\": 5, \"produto\": null, \"problema\": \"nenhum\", "     \
    "\"entrega_no_prazo\": null, \"dias_atraso\": null, \"recomenda\": null, \"quer_devolucao\": " \
    "false, "                                                                                      \
    "\"valor\": null, \"resumo\": \"Comprei a mesa\""
    static const char row[] = "{\"reference\": {" RIGHT "}}";
    assert_true(score_row(r, row, "{" RIGHT "}").score == 1);
    static const struct {
        const char *text;
        double most;
    } cases[] = {
        {"{" RIGHT ", \"outro\": 1}", 0.96},
        {"{" RIGHT "} {" RIGHT "}", 0.96},
        {"{" RIGHT ", \"resposta\": {" RIGHT "}}", 0.96},
        {"{\"resposta\": {" RIGHT "}}", 0.2},
        {"{\"nota\": 1} {" RIGHT "}", 0.3}, /* the first counts */
        {"{" RIGHT ", \"nota\": 1}", 0.9},  /* the last of a key counts */
        {"[{" RIGHT "}, {" RIGHT "}]", 0.2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reward_result out = score_row(r, row, cases[i].text);
        assert_int_equal(out.status, REWARD_OK);
        if (out.score > cases[i].most)
            fail_msg("%.40s… scores %.3f", cases[i].text, out.score);
    }
    struct str text = {0};
    str_puts(&text, "{" RIGHT);
    for (int i = 0; i < 50; i++)
        str_printf(&text, ", \"campo%d\": %d", i, i);
    str_putc(&text, '}');
    assert_true(score_row(r, row, str_text(&text)).score < 0.8); /* 50 keys more */
    str_free(&text);
    reward_free(r);
}

static int count_file(void *user, const char *path, struct err *err)
{
    (void)err;
    assert_string_equal(path, "schemas/review_extraction.json");
    return ++*(int *)user, ERR_NONE;
}

/* A schema's file is one that scores depend on; the compiled-in one is none. */
static void test_files(void **state)
{
    (void)state;
    struct err err = {0};
    for (int named = 0; named < 2; named++) {
        reward *r = make_reward("extraction",
                                named ? "{\"schema\": \"schemas/review_extraction.json\"}" : NULL);
        int n = 0;
        assert_int_equal(reward_files(r, NULL, count_file, &n, &err), ERR_NONE);
        assert_int_equal(n, named);
        json_t *row = json_object();
        assert_int_equal(reward_files(r, row, count_file, &n, &err), ERR_NONE);
        assert_int_equal(n, named);
        json_decref(row);
        reward_free(r);
    }
}

static void test_explains(void **state)
{
    (void)state;
    reward *r = make_reward("extraction", NULL);
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"nada", "null"},    {"Diz: {'nota': 4,5}", "{\"nota\":4.5}"},
        {"[1, 2]", "[1,2]"}, {"42", "42"},
        {"\"x\"", "\"x\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *e = explanation(r, "", cases[i].text);
        const json_t *json = json_object_get(e, "json");
        assert_non_null(json);
        char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
        assert_string_equal(text, cases[i].json);
        mem_free(text);
        json_decref(e);
    }
    check_no_memory(r, "a mesa", "{'nota': 4,5, \"Produto\": \"a mesa\", \"resumo\": \"x y z\"}");
    reward_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compiled_in_schema),
        cmocka_unit_test(test_bad_schemas),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_consistency),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_explains),
        cmocka_unit_test(test_one_answer),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
