/* test_jinja.c: the language of chat templates, construct by construct, beside the conversations of
 * test_chat.c. Expected texts are jinja2's (transformers' environment); what is refused is refused
 * with its name and place; every template ends. */
#include <stdio.h>
#include <string.h>
#include "../support/support.h"
#include "base/json.h"
#include "base/mem.h"
#include "tokenizer/jinja.h"

/* Renders with messages [{user, "Oi"}, {assistant, "a b"}]; the error's message on failure. */
static int render(struct str *out, const char *template, const struct jinja_limits *limits)
{
    struct err err = {0};
    jinja *t;
    json_t *values =
        json_pack("{s:[{s:s,s:s},{s:s,s:s}], s:{s:i,s:n}}", "messages", "role", "user", "content",
                  "Oi", "role", "assistant", "content", "a b", "d", "x", 1, "y");
    assert_non_null(values);
    str_clear(out);
    int status = jinja_parse(&t, template, strlen(template), "t", &err);
    if (!status) {
        status = jinja_render(out, t, values, limits, &err);
        jinja_free(t);
    }
    if (status) {
        str_clear(out);
        str_puts(out, err.message);
    }
    json_decref(values);
    return status;
}

static void check_all(const char *const (*cases)[2], size_t n, int status)
{
    struct str out = {0};
    int bad = 0;
    for (size_t i = 0; i < n; i++) {
        int got = render(&out, cases[i][0], NULL);
        bool same = status ? strstr(str_text(&out), cases[i][1]) != NULL
                           : strcmp(str_text(&out), cases[i][1]) == 0;
        if (got == status && same)
            continue;
        print_message("%s\n  gives    %s\n  expected %s\n", cases[i][0], str_text(&out),
                      cases[i][1]);
        bad++;
    }
    str_free(&out);
    assert_int_equal(bad, 0);
}

static void test_white_space(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a\n", "a"},
        {"a\n\n", "a\n"},
        {"a\r\nb\rc", "a\nb\nc"},
        {"{% if 1 %}\nx\n{% endif %}\ny", "x\ny"},
        {"  {% if 1 %}\n  x\n  {% endif %}\ny", "  x\ny"},
        {"a  {% if 1 %}b{% endif %}", "a  b"},
        {"a  {%- if 1 -%}  b  {%- endif %}", "ab"},
        {"  {%+ if 1 %}b{% endif +%}\nc", "  b\nc"},
        {"a {{- 1 -}} b", "a1b"},
        {"  {{ 1 }}\nb", "  1\nb"},
        {"  {# c #}\nb", "b"},
        {"a {#- c -#} b", "ab"},
        {"{% raw %} {{ x }} {% endraw %}", " {{ x }} "},
        {"  {%- raw -%}  {% if %}  {%- endraw -%}  b", "{% if %}b"},
        {"{{ {'a': {'b': 1}}['a'] }}", "{'b': 1}"},
        {"{{ '}}' }}{{ \"%}\" }}", "}}%}"},
    };
    check_all(cases, sizeof cases / sizeof *cases, 0);
}

static void test_values(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{{ 1 + 2 * 3 ** 2 - 7 // 2 }} {{ 7 / 2 }} {{ -7 // 2 }} {{ -7 % 3 }}", "16 3.5 -4 2"},
        {"{{ 1e22 }} {{ 0.1 + 0.2 }} {{ 1.0 }} {{ 1e16 }} {{ 1e-5 }} {{ 123456.789 }}",
         "1e+22 0.30000000000000004 1.0 1e+16 1e-05 123456.789"},
        {"{{ 'a' 'b' }}{{ \"\\n\\u00e9\\x41\\d\" }}", "ab\n\xc3\xa9"
                                                      "A\\d"},
        {"{{ [1, 'a', none, true, 2.5, (1,), {'k': \"it's\"}] }}",
         "[1, 'a', None, True, 2.5, (1,), {'k': \"it's\"}]"},
        {"{{ 1 < 2 < 3 }} {{ 1 == 1.0 }} {{ 'a' in 'cat' }} {{ 4 not in [1, 2] }} {{ not 1 }}",
         "True True True True False"},
        {"{{ 'abc'[::-1] }} {{ 'abc'[-2:] }} {{ [1,2,3,4][::2] }} {{ (1,2,3)[1:] }} {{ 'abc'[9] }}",
         "cba bc [1, 3] (2, 3) "},
        {"{{ 'x' if 0 }}|{{ 'x' if 0 else 'y' }}|{{ 1 ~ 'a' ~ none }}", "|y|1aNone"},
        {"{{ no }}|{{ no is defined }}|{{ no|default('z') }}|{{ d.zz|d('q') }}|{{ d.y is none }}",
         "|False|z|q|True"},
        {"{{ d.x }}{{ d['x'] }}{{ d.get('z', 5) }}{{ d.items()|list }}{{ d.keys() }}",
         "115[('x', 1), ('y', None)]dict_keys(['x', 'y'])"},
        {"{{ ' a,b '.strip().split(',') }}{{ 'a b  c'.split(none, 1) }}{{ 'a-b-c'.rsplit('-', 1) "
         "}}",
         "['a', 'b']['a', 'b  c']['a-b', 'c']"},
        {"{{ 'xaxbx'.replace('x', '', 2) }}{{ 'ab'.startswith(('x', 'a')) }}{{ '-'.join(['a', "
         "'b']) }}",
         "abxTruea-b"},
        {"{{ \"it's ok\"|title }} {{ \"it's ok\".title() }} {{ 'éA'|upper }} {{ 'ß'.upper() }}",
         "It's Ok It'S Ok \xc3\x89"
         "A SS"},
        {"{{ {'b': [1, none], 'a': 'é<'}|tojson }}", "{\"b\": [1, null], \"a\": \"é<\"}"},
        {"{{ [1, {}]|tojson(indent=2) }}", "[\n  1,\n  {}\n]"},
        {"{{ messages|map(attribute='role')|join('+') }} "
         "{{ messages|selectattr('role', '==', 'user')|list|length }} "
         "{{ ['b', 'A']|sort }} {{ {'b': 1, 'a': 2}|dictsort }} {{ [3, 1]|max }} {{ [1, 2]|sum }}",
         "user+assistant 1 ['A', 'b'] [('a', 2), ('b', 1)] 3 3"},
        {"{{ 2.5|round }} {{ 3.14159|round(2) }} {{ '12'|int }} {{ 'x'|int(7) }} {{ '1.5'|float }}",
         "2.0 3.14 12 7 1.5"},
        {"{{ '<a>'|e }} {{ '<a>'|safe + '<b>' }}", "&lt;a&gt; <a>&lt;b&gt;"},
    };
    check_all(cases, sizeof cases / sizeof *cases, 0);
}

static void test_statements(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{% for m in messages %}{{ loop.index }}{{ m.role[0] }}{% endfor %}", "1u2a"},
        {"{% for x in [1, 2, 3] if x != 2 %}{{ x }}{{ loop.length }}{% endfor %}", "1232"},
        {"{% for x in [] %}x{% else %}none{% endfor %}", "none"},
        {"{% for x in [1, 2] %}{% continue %}{% else %}none{% endfor %}", "none"},
        {"{% for x in [1, 2, 3] %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% endfor %}", "1"},
        {"{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "123"},
        {"{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}", "1"},
        {"{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}", "2"},
        {"{% set n = namespace(a=1) %}{% for i in [1, 2] %}{% set n.a = n.a + i %}{% endfor %}{{ "
         "n.a }}",
         "4"},
        {"{% set x %}a{{ 1 }}{% endset %}{{ x|length }}", "2"},
        {"{% set a, b = 1, 2 %}{{ a + b }}", "3"},
        {"{% macro f(a, b='B') %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}{{ f(1, b=2) }}{{ f() }}",
         "1B12B"},
        {"{% macro f(n) %}{{ n }}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
         "3210"},
        {"{% generation %}a{% endgeneration %}", "a"},
        {"{% set d %}{{ d }}{% endset %}[{{ d }}]", "[]"},
        {"{% if d %}{% set d %}{{ d.x }}{% endset %}{% endif %}{{ d }}", "1"},
        {"{% macro f() %}{{ d is defined }}{% endmacro %}{{ f() }}{% set d = 1 %}{{ f() }}",
         "FalseTrue"},
        {"{% if 0 %}a{% elif 1 %}b{% else %}c{% endif %}", "b"},
        {"{% for i in range(5, 0, -2) %}{{ i }}{{ loop.last }}{% endfor %}", "5False3False1True"},
    };
    check_all(cases, sizeof cases / sizeof *cases, 0);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a\n{% include 'x' %}", "line 2, column 4: the tag {% include %} is not supported"},
        {"{% foo %}", "there is no tag {% foo %}"},
        {"{{ x|batch(2) }}", "line 1, column 6: the filter \"batch\" is not supported"},
        {"{{ x is sameas 1 }}", "the test \"sameas\" is not supported"},
        {"{{ x.format(1) }}", "the method .format() is not supported"},
        {"{{ f(*x) }}", "arguments by * and ** are not supported"},
        {"{{ cycler(1) }}", "the function cycler is not supported"},
        {"{% for x in y recursive %}{% endfor %}", "recursive loops are not supported"},
        {"{% if x %}", "the template ends, expected {% endif %}"},
        {"{{ 1", "{{ is never closed"},
        {"{{ (1] }}", "no opening one of its kind"},
        {"{# a", "never closed"},
        {"{{ 'a }}", "never closed with its quote"},
        {"{{ '\\ud800' }}", "no character"},
        {"{% break %}", "outside a loop"},
        {"{{ raise_exception('no ' ~ 1) }}", "the chat template refuses the messages: no 1"},
        {"{{ no.x }}", "\"no\" is undefined, so it has no attribute \"x\""},
        {"{{ no + 'a' }}", "\"no\" is undefined"},
        {"{{ no() }}", "cannot be called"},
        {"{{ 'a' + 1 }}", "\"+\" cannot be applied to str and int"},
        {"{{ 1 // 0 }}", "division by zero"},
        {"{{ 9223372036854775807|int }}", "number is too long"},
        {"{{ 999999999999 * 999999999999 }}", "more than 64 bits"},
        {"{{ [].append(1) }}", "must not change a list"},
        {"{{ ''.__class__ }}", "unsafe"},
        {"{{ d.__class__ }}", "unsafe"},
        {"{% set d.x = 2 %}", "on a namespace only"},
        {"{{ strftime_now('%d') }}", "date_string"},
        {"{{ no|tojson }}", "no form in JSON"},
        {"{% for x in 3 %}{% endfor %}", "int cannot be walked through"},
        {"{{ 'a' < 1 }}", "cannot be compared"},
    };
    check_all(cases, sizeof cases / sizeof *cases, ERR_INPUT);
}

/* Templates that would not end, or would fill the memory or the stack. */
static void test_hostile(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
         "too much memory"},
        {"{% set n = namespace(s='ab') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}"
         "{% endfor %}",
         "too"},
        {"{{ 'a' * 99999999999 }}", "too much memory"},
        {"{{ [1] * 99999999 * 99 }}", "too much memory"},
        {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "nested too deeply"},
        {"{% set n = namespace(s=[]) %}{% for i in range(5000) %}{% set n.s = [n.s] %}{% endfor %}"
         "{{ n.s }}",
         "nested too deeply"},
        {"{% set n = namespace(s=()) %}{% for i in range(5000) %}{% set n.s = (n.s, n.s) %}"
         "{% endfor %}{{ {n.s: 1} }}",
         "nested too deeply"},
        {"{% set n = namespace(s=[]) %}{% for i in range(60) %}{% set n.s = [n.s, n.s] %}"
         "{% endfor %}{{ n.s == n.s }}",
         "too many steps"},
        {"{{ range(1, 1000000000) }}", "more than 100000 items"},
        {"{{ 2 ** 999999999999 }}", "more than 64 bits"},
    };
    check_all(cases, sizeof cases / sizeof *cases, ERR_INPUT);
    struct str deep = {0}, out = {0};
    str_puts(&deep, "{{ ");
    for (int i = 0; i < 5000; i++)
        str_puts(&deep, i % 2 ? "not " : "(");
    assert_int_equal(render(&out, str_text(&deep), NULL), ERR_INPUT);
    str_clear(&deep);
    for (int i = 0; i < 5000; i++)
        str_puts(&deep, "{% if 1 %}");
    assert_int_equal(render(&out, str_text(&deep), NULL), ERR_INPUT);
    str_clear(&deep);
    str_puts(&deep, "{{ 1");
    for (int i = 0; i < 5000; i++)
        str_puts(&deep, " + 1");
    str_puts(&deep, " }}");
    assert_int_equal(render(&out, str_text(&deep), NULL), ERR_INPUT);
    assert_non_null(strstr(str_text(&out), "nested too deeply"));
    struct jinja_limits small = {.output = 10};
    assert_int_equal(render(&out, "{{ 'abcdef' }}{{ 'abcdef' }}", &small), ERR_INPUT);
    assert_non_null(strstr(str_text(&out), "more than 10 bytes"));
    str_free(&deep);
    str_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_white_space), cmocka_unit_test(test_values),
        cmocka_unit_test(test_statements),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_hostile),
    };
    json_decref(json_read("{}", 2, 0, "", NULL));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
