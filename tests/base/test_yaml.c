/* test_yaml.c: a document as a tree with lines, and what a recipe may not hold. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/yaml.h"

static int parse(struct yaml_node *root, const char *text, struct err *err)
{
    return yaml_parse(root, text, strlen(text), "r.yaml", err);
}

static void test_tree(void **state)
{
    (void)state;
    struct yaml_node root;
    struct err err = {0};
    if (parse(
            &root,
            "# comment\nmodel: assets/demo\nlora:\n  r: 16\n  target_modules: [q_proj, 'v_proj']\n"
            "rewards:\n- push\n- name: sql\n  weight: 0.5\nempty:\ntext: |\n  a\n  b\nn: \"3\"\n",
            &err))
        fail_msg("%s: %s", err.where, err.message);
    assert_int_equal(root.kind, YAML_MAPPING);
    assert_int_equal(root.n_children, 6);
    const struct yaml_node *model = yaml_find(&root, "model"), *lora = yaml_find(&root, "lora");
    assert_string_equal(model->text, "assets/demo");
    assert_string_equal(model->key, "model");
    assert_int_equal(model->line, 2);
    assert_false(model->quoted);
    assert_int_equal(lora->kind, YAML_MAPPING);
    assert_int_equal(lora->line, 3);
    assert_int_equal(yaml_find(lora, "r")->line, 4);
    const struct yaml_node *targets = yaml_find(lora, "target_modules");
    assert_int_equal(targets->kind, YAML_LIST);
    assert_int_equal(targets->n_children, 2);
    assert_null(targets->children[0].key);
    assert_string_equal(targets->children[1].text, "v_proj");
    assert_true(targets->children[1].quoted);
    const struct yaml_node *rewards = yaml_find(&root, "rewards");
    assert_int_equal(rewards->n_children, 2);
    assert_int_equal(rewards->children[1].line, 8);
    assert_string_equal(yaml_find(&rewards->children[1], "weight")->text, "0.5");
    assert_string_equal(yaml_find(&root, "empty")->text, "");
    assert_false(yaml_find(&root, "empty")->quoted);
    assert_string_equal(yaml_find(&root, "text")->text, "a\nb\n");
    assert_true(yaml_find(&root, "n")->quoted);
    assert_null(yaml_find(&root, "none"));
    assert_null(yaml_find(model, "x"));
    yaml_free(&root);
    assert_int_equal(root.n_children, 0);
}

static void test_json_is_yaml(void **state)
{
    (void)state;
    struct yaml_node root;
    struct err err = {0};
    if (parse(&root, "{\"a\": [1, 2.5, true], \"b\": {\"c\": \"x \\u00e9\\n\"}}", &err))
        fail_msg("%s", err.message);
    assert_string_equal(yaml_find(&root, "a")->children[1].text, "2.5");
    assert_string_equal(yaml_find(yaml_find(&root, "b"), "c")->text, "x \xC3\xA9\n");
    yaml_free(&root);
}

static void test_empty(void **state)
{
    (void)state;
    static const char *const empty[] = {"", "\n", "# only a comment\n", "---\n", "---\n# c\n...\n"};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        struct yaml_node root;
        struct err err = {0};
        if (parse(&root, empty[i], &err))
            fail_msg("%s: %s", empty[i], err.message);
        assert_int_equal(root.kind, YAML_MAPPING);
        assert_int_equal(root.n_children, 0);
        yaml_free(&root);
    }
    struct yaml_node root;
    struct err err = {0};
    assert_int_equal(yaml_parse(&root, NULL, 0, "r.yaml", &err), 0);
    yaml_free(&root);
}

/* The root may be a list or a scalar: that is for the recipe to judge. */
static void test_other_roots(void **state)
{
    (void)state;
    struct yaml_node root;
    struct err err = {0};
    assert_int_equal(parse(&root, "- a\n- b\n", &err), 0);
    assert_int_equal(root.kind, YAML_LIST);
    yaml_free(&root);
    assert_int_equal(parse(&root, "word\n", &err), 0);
    assert_int_equal(root.kind, YAML_SCALAR);
    yaml_free(&root);
}

static void test_core_tags(void **state)
{
    (void)state;
    struct yaml_node root;
    struct err err = {0};
    assert_int_equal(parse(&root, "a: !!str 5\nb: !!int 5\nc: !!seq [1]\nd: !!map {e: 1}\n", &err),
                     0);
    assert_true(yaml_find(&root, "a")->quoted);
    assert_false(yaml_find(&root, "b")->quoted);
    yaml_free(&root);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *where, *message;
    } bad[] = {
        {"a: 1\nb: 2\na: 3\n", "r.yaml:3", "\"a\" appears twice"},
        {"x:\n  a: 1\n  a: 2\n", "r.yaml:3", "\"a\" appears twice"},
        {"a: &n 1\nb: *n\n", "r.yaml:2", "aliases"},
        {"<<: {a: 1}\n", "r.yaml:1", "merge keys"},
        {"a: !custom 1\n", "r.yaml:1", "tag !custom"},
        {"a: !!python/object:os.system x\n", "r.yaml:1", "python/object"},
        {"a: !!binary aGk=\n", "r.yaml:1", "binary"},
        {"a: !!set {x}\n", "r.yaml:1", "set"},
        {"a: 1\n---\nb: 2\n", "r.yaml:2", "more than one document"},
        {"? [a, b]\n: 1\n", "r.yaml:1", "a key must be plain text"},
        {"a: [1, 2\nb: 3\n", "r.yaml:2", ""},
        {"a: 1\n b: 2\n", "r.yaml:2", ""},
        {"a: \"x\n", "r.yaml:2", ""},
        {"a:\n\t- b\n", "r.yaml:2", ""},
        {"a: 1\nb: \xFF\n", "r.yaml:2", ""},
        {"a: 1\n\n\nb: \xC3(\n", "r.yaml:4", ""},
        {"a: \"\\0\"\n", "r.yaml:1", "NUL"},
        {"\"\\0\": 1\n", "r.yaml:1", "NUL"},
        {"a: b: c\n", "r.yaml:1", ""},
        {"a: @x\n", "r.yaml:1", ""},
        {"%YAML 9.9\n---\na: 1\n", "r.yaml:1", ""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct yaml_node root;
        struct err err = {0};
        int status = parse(&root, bad[i].text, &err);
        if (status != ERR_USAGE || strcmp(err.where, bad[i].where) != 0 ||
            !strstr(err.message, bad[i].message) || !err.message[0])
            fail_msg("%s: status %d, %s: \"%s\"", bad[i].text, status, err.where, err.message);
        assert_int_equal(root.n_children, 0); /* nothing to free */
        assert_int_equal(parse(&root, bad[i].text, NULL), ERR_USAGE);
    }
}

/* Depth and width have limits, reached long before the stack or the square of the keys hurts. */
static void test_limits(void **state)
{
    (void)state;
    struct yaml_node root;
    struct err err = {0};
    char deep[10001];
    memset(deep, '[', 10000);
    deep[10000] = 0;
    assert_int_equal(parse(&root, deep, &err), ERR_USAGE);
    assert_non_null(strstr(err.message, "nested too deeply"));
    struct str text = {0};
    for (int i = 0; i < 20000; i++)
        str_printf(&text, "k%d: 1\n", i);
    assert_int_equal(parse(&root, str_text(&text), &err), ERR_USAGE);
    assert_non_null(strstr(err.message, "more keys"));
    str_clear(&text);
    for (int i = 0; i < 30; i++)
        str_printf(&text, "%*sk:\n", i, "");
    assert_int_equal(parse(&root, str_text(&text), &err), 0);
    yaml_free(&root);
    str_free(&text);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    struct mem_stats before = mem_stats();
    int failures = 0;
    for (long n = 0;; n++) {
        struct yaml_node root;
        struct err err = {0};
        mem_fail_after(n);
        int status = parse(&root, "a: {b: [1, 2, {c: d}]}\ne: 'x'\n", &err);
        mem_fail_after(-1);
        if (!status)
            yaml_free(&root);
        assert_int_equal(mem_stats().live_blocks, before.live_blocks);
        if (!status)
            break;
        assert_int_equal(status, ERR_MACHINE);
        assert_int_equal(err.code, ERR_MACHINE);
        failures++;
    }
    assert_true(failures > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),      cmocka_unit_test(test_json_is_yaml),
        cmocka_unit_test(test_empty),     cmocka_unit_test(test_other_roots),
        cmocka_unit_test(test_core_tags), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),    cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
