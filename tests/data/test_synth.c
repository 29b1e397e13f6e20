/* test_synth.c: the synthetic shop. What its rows claim is checked from outside: queries are run on
 * the file that was written, facts of a review are looked up in its text, figures in their prompt.
 */
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "data/rows.h"
#include "data/synth.h"
#include "data/synth_parts.h"

enum { TRAIN = 60, EVAL = 10, TEST = 20, CORPUS = 1200, N_FILES = 4 };
static const char *const files[N_FILES] = {"train.jsonl", "eval.jsonl", "test.jsonl",
                                           "corpus.jsonl"};
static const size_t expected_rows[3] = {TRAIN, EVAL, TEST};

/* The shop most tests read, made once. */
static char *folder;
static struct dataset sets[N_FILES];
static struct synth_result made;
static struct err err;

static const char *at(const char *where, const char *name)
{
    static char path[4][600];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", where, name);
    return p;
}

static struct synth_result make(const char *where, uint64_t seed, size_t train, size_t corpus)
{
    struct synth_options o = {where, seed, train, EVAL, TEST, corpus};
    struct synth_result r;
    int status = synth_run(&o, &r, &err);
    if (status)
        fail_msg("%s: %s", err.where, err.message);
    return r;
}

static int open_shop(void **state)
{
    (void)state;
    folder = temp_folder();
    made = make(folder, 7, TRAIN, CORPUS);
    for (int i = 0; i < N_FILES; i++)
        if (dataset_open(&sets[i], at(folder, files[i]), &err))
            fail_msg("%s: %s", err.where, err.message);
    return 0;
}

static int close_shop(void **state)
{
    (void)state;
    for (int i = 0; i < N_FILES; i++)
        dataset_close(&sets[i]);
    temp_folder_remove(folder);
    return 0;
}

static void same_file(const char *a, const char *b, const char *name, bool same)
{
    char x[65], y[65];
    assert_int_equal(sha256_file(x, at(a, name), &err), 0);
    assert_int_equal(sha256_file(y, at(b, name), &err), 0);
    if ((strcmp(x, y) == 0) != same)
        fail_msg("%s: %s", name, same ? "differs" : "is the same");
}

static const json_t *reference(const struct row *row, const char *key)
{
    const json_t *r = json_object_get(row->json, "reference");
    return key ? json_object_get(r, key) : r;
}

static const char *reference_text(const struct row *row, const char *key)
{
    const char *text = json_string_value(reference(row, key));
    if (!text)
        fail_msg("%s: no text \"%s\"", row->id, key);
    return text;
}

/* --- files --- */

static void test_seeds(void **state)
{
    (void)state;
    char *again = temp_folder(), *other = temp_folder();
    make(again, 7, TRAIN, CORPUS);
    make(other, 8, TRAIN, CORPUS);
    for (int i = 0; i < N_FILES; i++) {
        same_file(folder, again, files[i], true);
        same_file(folder, other, files[i], false);
    }
    same_file(folder, again, "shop.sqlite", true);
    same_file(folder, other, "shop.sqlite", false);
    same_file(folder, other, "schema.sql", true);
    /* Other sizes of what is drawn later change nothing of what is drawn earlier. */
    make(again, 7, TRAIN + 5, 40);
    same_file(folder, again, "eval.jsonl", true);
    same_file(folder, again, "test.jsonl", true);
    same_file(folder, again, "train.jsonl", false);
    make(again, 7, TRAIN, 40);
    same_file(folder, again, "train.jsonl", true);
    temp_folder_remove(again);
    temp_folder_remove(other);
}

static void test_counts(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        size_t counts[SYNTH_TASKS] = {0};
        assert_int_equal(sets[i].count, SYNTH_TASKS * expected_rows[i]);
        assert_int_equal(made.rows[i], sets[i].count);
        for (size_t k = 0; k < sets[i].count; k++)
            for (int t = 0; t < SYNTH_TASKS; t++)
                counts[t] += strcmp(sets[i].rows[k].task, synth_task_names[t]) == 0;
        for (int t = 0; t < SYNTH_TASKS; t++)
            assert_int_equal(counts[t], expected_rows[i]);
    }
    assert_int_equal(sets[3].count, CORPUS);
    assert_int_equal(made.corpus, CORPUS);
}

static void test_prompt_lengths(void **state)
{
    (void)state;
    size_t longest[SYNTH_TASKS] = {0};
    for (int i = 0; i < N_FILES; i++)
        for (size_t k = 0; k < sets[i].count; k++) {
            const struct row *row = &sets[i].rows[k];
            int task = (int)(k % SYNTH_TASKS);
            for (int t = 0; t < SYNTH_TASKS && i < 3; t++)
                task = strcmp(row->task, synth_task_names[t]) == 0 ? t : task;
            size_t n = 0;
            for (const char *c = row->user_text; *c; c++)
                n += ((unsigned char)*c & 0xC0) != 0x80;
            longest[task] = n > longest[task] ? n : longest[task];
        }
    for (int t = 0; t < SYNTH_TASKS; t++) {
        print_message("%s: longest prompt %zu characters\n", synth_task_names[t], longest[t]);
        assert_int_equal(longest[t], made.longest_prompt[t]);
        assert_true(longest[t] <= 400); /* about 120 tokens of the built-in tokenizer */
    }
}

/* --- nothing shared --- */

/* What a row is about, without its wording. */
static void content(struct str *out, const struct row *row, int task)
{
    if (task == 0) { /* the review, its digits equal, without the instruction */
        for (const char *c = row->user_text; *c; c++)
            str_putc(out, *c >= '0' && *c <= '9' ? '0' : *c);
    } else if (task == 1) {
        str_puts(out, reference_text(row, "sql"));
    } else if (task == 2) {
        char *numbers = json_dumps(reference(row, "numbers"), JSON_COMPACT);
        str_puts(out, numbers);
        mem_free(numbers);
    } else {
        str_printf(out, "%s|%s", reference_text(row, "product"), reference_text(row, "reason"));
    }
}

static int task_of(const struct row *row)
{
    for (int t = 0; t < SYNTH_TASKS; t++)
        if (strcmp(row->task, synth_task_names[t]) == 0)
            return t;
    fail_msg("%s: task %s", row->id, row->task);
    return -1;
}

static void test_disjoint(void **state)
{
    (void)state;
    for (int i = 0; i < N_FILES; i++)
        for (int k = 0; k < i; k++)
            if (dataset_disjoint(&sets[i], &sets[k], &err))
                fail_msg("%s", err.message);
    struct map prompts = {0}, contents = {0};
    struct str text = {0};
    for (int i = 0; i < 3; i++)
        for (size_t k = 0; k < sets[i].count; k++) {
            const struct row *row = &sets[i].rows[k];
            int32_t owner;
            str_clear(&text);
            assert_int_equal(row_fingerprint(&text, row, &err), 0);
            if (map_get(&prompts, str_text(&text), text.length, NULL))
                fail_msg("%s: its prompt is another row's", row->id);
            map_put(&prompts, str_text(&text), text.length, i);
            str_clear(&text);
            str_printf(&text, "%s ", row->task);
            content(&text, row, task_of(row));
            if (map_get(&contents, str_text(&text), text.length, &owner) && owner != i)
                fail_msg("%s: \"%s\" is in two sets", row->id, str_text(&text));
            map_put(&contents, str_text(&text), text.length, i);
        }
    map_free(&prompts);
    map_free(&contents);
    str_free(&text);
}

/* Neither a pair of product and reason nor a slice of the shop of a row is in the corpus. */
static void test_corpus_disjoint(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < sets[i].count; k++) {
            const struct row *row = &sets[i].rows[k];
            if (task_of(row) != 3)
                continue;
            char pair[2][200];
            snprintf(pair[0], sizeof pair[0], "Produto: %s. Motivo: %s.",
                     reference_text(row, "product"), reference_text(row, "reason"));
            snprintf(pair[1], sizeof pair[1], "Produto: %s\nMotivo: %s\n",
                     reference_text(row, "product"), reference_text(row, "reason"));
            for (size_t c = 3; c < sets[3].count; c += SYNTH_TASKS)
                if (strstr(sets[3].rows[c].user_text, pair[0]) ||
                    strstr(sets[3].rows[c].user_text, pair[1]))
                    fail_msg("%s: its product and reason are in the corpus", row->id);
        }
}

/* --- references --- */

static void put_result(struct str *out, sqlite3_stmt *q)
{
    for (int rows = 0; sqlite3_step(q) == SQLITE_ROW; rows++)
        for (int i = 0; i < sqlite3_column_count(q); i++) {
            str_puts(out, i ? ", " : rows ? "; " : "");
            if (sqlite3_column_type(q, i) == SQLITE_FLOAT)
                str_printf(out, "%.10g", sqlite3_column_double(q, i));
            else
                str_puts(out, (const char *)sqlite3_column_text(q, i));
        }
}

static void test_sql(void **state)
{
    (void)state;
    sqlite3 *db;
    struct map answers = {0};
    struct str text = {0};
    size_t n = 0;
    int levels[4] = {0};
    assert_int_equal(sqlite3_open_v2(at(folder, "shop.sqlite"), &db, SQLITE_OPEN_READONLY, NULL),
                     SQLITE_OK);
    for (int i = 0; i < 3; i++)
        for (size_t k = 0; k < sets[i].count; k++) {
            const struct row *row = &sets[i].rows[k];
            if (task_of(row) != 1)
                continue;
            sqlite3_stmt *q;
            assert_string_equal(reference_text(row, "database"), "shop.sqlite");
            if (sqlite3_prepare_v2(db, reference_text(row, "sql"), -1, &q, NULL) != SQLITE_OK)
                fail_msg("%s: %s", row->id, sqlite3_errmsg(db));
            assert_true(sqlite3_stmt_readonly(q));
            str_clear(&text);
            put_result(&text, q);
            sqlite3_finalize(q);
            assert_string_equal(str_text(&text), reference_text(row, "answer"));
            assert_true(text.length > 0);
            map_put(&answers, str_text(&text), text.length, 0);
            levels[json_integer_value(reference(row, "level"))]++;
            n++;
        }
    print_message("%zu queries, %zu different answers, by level %d %d %d\n", n, answers.count,
                  levels[1], levels[2], levels[3]);
    assert_true(answers.count > n / 2);
    for (int level = 1; level <= 3; level++)
        assert_true(levels[level] > 0);
    map_free(&answers);
    str_free(&text);
    sqlite3_close(db);
}

static void test_database(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        int least, most;
    } checks[] = {
        {"SELECT COUNT(*) FROM clientes", SHOP_CLIENTS, SHOP_CLIENTS},
        {"SELECT COUNT(*) FROM produtos", SYNTH_PRODUCTS, SYNTH_PRODUCTS},
        {"SELECT COUNT(*) FROM pedidos", SHOP_ORDERS, SHOP_ORDERS},
        {"SELECT COUNT(*) FROM pedidos WHERE data NOT BETWEEN '2023-01-01' AND '2024-12-31'", 0, 0},
        {"SELECT COUNT(*) FROM pedidos WHERE DATE(data) IS NOT data OR DATE(prazo) IS NOT prazo", 0,
         0},
        {"SELECT COUNT(*) FROM pedidos WHERE entrega < data OR prazo < data", 0, 0},
        {"SELECT COUNT(*) FROM pedidos WHERE (status = 'entregue') <> (entrega IS NOT NULL)", 0, 0},
        {"SELECT COUNT(*) FROM pedidos WHERE entrega > prazo", 100, 400},
        {"SELECT COUNT(*) FROM pedidos WHERE ABS(valor - (SELECT SUM(quantidade * preco) FROM "
         "itens "
         "WHERE pedido_id = pedidos.id)) > 0.001",
         0, 0},
        {"SELECT COUNT(*) FROM avaliacoes WHERE nota NOT BETWEEN 1 AND 5", 0, 0},
        {"SELECT COUNT(*) FROM pragma_foreign_key_check", 0, 0},
    };
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(at(folder, "shop.sqlite"), &db, SQLITE_OPEN_READONLY, NULL),
                     SQLITE_OK);
    for (size_t i = 0; i < ARRAY_LENGTH(checks); i++) {
        sqlite3_stmt *q;
        assert_int_equal(sqlite3_prepare_v2(db, checks[i].sql, -1, &q, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(q), SQLITE_ROW);
        int n = sqlite3_column_int(q, 0);
        if (n < checks[i].least || n > checks[i].most)
            fail_msg("%s: %d", checks[i].sql, n);
        sqlite3_finalize(q);
    }
    sqlite3_close(db);
    struct str schema = {0};
    assert_int_equal(file_read(&schema, at(folder, "schema.sql"), &err), 0);
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, str_text(&schema), NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    str_free(&schema);
}

static bool says(const char *prompt, const char *words)
{
    return strstr(prompt, words) != NULL;
}

static void check_review(const struct row *row)
{
    static const char *const keys[10] = {
        "sentimento",  "nota",      "produto",        "problema", "entrega_no_prazo",
        "dias_atraso", "recomenda", "quer_devolucao", "valor",    "resumo"};
    static const char *const moods[] = {"negativo", "negativo", "neutro", "positivo", "positivo"};
    const json_t *r = reference(row, NULL);
    const char *text = row->user_text;
    assert_int_equal(json_object_size(r), 10);
    for (int i = 0; i < 10; i++)
        if (!json_object_get(r, keys[i]))
            fail_msg("%s has no \"%s\"", row->id, keys[i]);
    long long mark = json_integer_value(json_object_get(r, "nota"));
    assert_in_range(mark, 1, 5);
    assert_string_equal(reference_text(row, "sentimento"), moods[mark - 1]);
    assert_true(strlen(reference_text(row, "resumo")) <= 120);
    assert_true(json_is_boolean(json_object_get(r, "quer_devolucao")));
    const json_t *days = json_object_get(r, "dias_atraso"), *in_time = json_object_get(r, keys[4]),
                 *value = json_object_get(r, "valor"), *product = json_object_get(r, "produto");
    struct str wanted = {0}, plain = {0};
    if (json_is_integer(days) && json_integer_value(days) > 0) {
        long long n = json_integer_value(days);
        assert_true(json_is_false(in_time));
        str_printf(&wanted, "%lld dia", n);
        str_printf(&plain, "%s dia", n < SYNTH_NUMBERS ? synth_numbers[n] : "?");
        struct str flat = {0};
        str_puts(&flat, str_text(&plain));
        strip_accents(&flat);
        if (!says(text, str_text(&wanted)) && !says(text, str_text(&plain)) &&
            !says(text, str_text(&flat)))
            fail_msg("%s does not say %lld days: %s", row->id, n, text);
        str_free(&flat);
    } else {
        assert_true(json_is_null(days) ? !json_is_true(in_time) : json_is_true(in_time));
    }
    str_clear(&wanted);
    if (json_is_number(value)) {
        put_money(&wanted, lround(100 * json_number_value(value)));
        if (!says(text, str_text(&wanted)))
            fail_msg("%s does not say %s: %s", row->id, str_text(&wanted), text);
    } else {
        assert_true(json_is_null(value) && !says(text, "R$"));
        assert_false(says(text, "r$"));
    }
    if (json_is_true(json_object_get(r, "recomenda")))
        assert_true(strcasestr(text, "recomendo") || strcasestr(text, "indico") ||
                    strcasestr(text, "pode comprar"));
    if (json_is_string(product))
        assert_true(strlen(json_string_value(product)) > 3);
    str_free(&wanted);
    str_free(&plain);
}

static void check_insights(const struct row *row)
{
    const char *name;
    json_t *value, *numbers = json_object_get(json_object_get(row->json, "reference"), "numbers");
    assert_in_range(json_object_size(numbers), 4, 6);
    assert_true(json_array_size(reference(row, "domain")) >= 4);
    json_object_foreach(numbers, name, value)
    {
        struct str wanted = {0};
        double v = json_number_value(value);
        if (json_is_integer(value))
            str_printf(&wanted, "%lld pedidos", json_integer_value(value));
        else if (strcmp(name, "receita") == 0 || strcmp(name, "ticket_medio") == 0)
            put_money(&wanted, lround(100 * v));
        else
            put_tenths(&wanted, lround(10 * v));
        if (!says(row->user_text, str_text(&wanted)))
            fail_msg("%s: %s = %s is not in: %s", row->id, name, str_text(&wanted), row->user_text);
        str_free(&wanted);
    }
}

static void test_references(void **state)
{
    (void)state;
    size_t unnamed = 0, late = 0, priced = 0;
    for (int i = 0; i < 3; i++)
        for (size_t k = 0; k < sets[i].count; k++) {
            const struct row *row = &sets[i].rows[k];
            int task = task_of(row);
            if (task == 0) {
                check_review(row);
                unnamed += json_is_null(reference(row, "produto"));
                late += json_integer_value(reference(row, "dias_atraso")) > 0;
                priced += json_is_number(reference(row, "valor"));
            } else if (task == 2) {
                check_insights(row);
            } else if (task == 3) {
                assert_true(says(row->user_text, reference_text(row, "product")));
                assert_true(says(row->user_text, reference_text(row, "reason")));
            }
        }
    size_t all = TRAIN + EVAL + TEST;
    assert_true(unnamed > 0 && unnamed < all / 2);
    assert_true(late > 0 && late < all / 2);
    assert_true(priced > all / 5 && priced < all);
}

/* The figures of whole months, computed again by SQL from the file. */
static void test_insights_are_true(void **state)
{
    (void)state;
    static const char sql[] =
        "SELECT COUNT(*), AVG(valor), 100.0 * SUM(entrega > prazo) / COUNT(entrega) "
        "FROM pedidos WHERE data LIKE ?1 || '%'";
    sqlite3 *db;
    sqlite3_stmt *q;
    size_t checked = 0;
    assert_int_equal(sqlite3_open_v2(at(folder, "shop.sqlite"), &db, SQLITE_OPEN_READONLY, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
    for (size_t k = 0; k < sets[0].count; k++)
        for (int month = 0; month < 24; month++) {
            const struct row *row = &sets[0].rows[k];
            char want[80], start[16];
            snprintf(want, sizeof want, "da loja em %s de %d", synth_months[month % 12],
                     2023 + month / 12);
            if (task_of(row) != 2 || !says(row->user_text, want))
                continue;
            snprintf(start, sizeof start, "%d-%02d", 2023 + month / 12, month % 12 + 1);
            sqlite3_bind_text(q, 1, start, -1, SQLITE_TRANSIENT);
            assert_int_equal(sqlite3_step(q), SQLITE_ROW);
            const json_t *numbers = reference(row, "numbers"),
                         *late = json_object_get(numbers, "atraso_pct");
            double ticket = json_number_value(json_object_get(numbers, "ticket_medio"));
            assert_int_equal(sqlite3_column_int(q, 0),
                             json_integer_value(json_object_get(numbers, "pedidos")));
            assert_true(fabs(sqlite3_column_double(q, 1) - ticket) < 0.0051);
            if (late)
                assert_true(fabs(sqlite3_column_double(q, 2) - json_number_value(late)) < 0.051);
            sqlite3_reset(q);
            checked++;
        }
    print_message("%zu rows computed again\n", checked);
    assert_true(checked > 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
}

/* --- the corpus --- */

static bool strict_json(const char *text)
{
    json_t *v = json_read(text, strlen(text), 0, "completion", NULL);
    bool good = v && json_is_object(v) && json_object_size(v) == 10;
    json_decref(v);
    return good;
}

/* Good answers are in it and so are bad ones, of every task. */
static void test_corpus_mix(void **state)
{
    (void)state;
    sqlite3 *db;
    size_t good[SYNTH_TASKS] = {0}, n = CORPUS / SYNTH_TASKS;
    assert_int_equal(sqlite3_open_v2(at(folder, "shop.sqlite"), &db, SQLITE_OPEN_READONLY, NULL),
                     SQLITE_OK);
    for (size_t k = 0; k < sets[3].count; k++) {
        const char *text = json_string_value(json_object_get(sets[3].rows[k].json, "completion"));
        assert_non_null(text);
        assert_true(utf8_valid(text, strlen(text)) && *text);
        assert_true(strlen(text) < 900);
        size_t task = k % SYNTH_TASKS, characters = 0;
        for (const char *c = text; *c; c++)
            characters += ((unsigned char)*c & 0xC0) != 0x80;
        if (task == 0) {
            good[0] += strict_json(text);
        } else if (task == 1) {
            const char *sql = strstr(text, "SELECT");
            char query[900];
            snprintf(query, sizeof query, "%.*s", (int)(sql ? strcspn(sql, ";") : 0),
                     sql ? sql : "");
            sqlite3_stmt *q = NULL;
            good[1] += sqlite3_prepare_v2(db, query, -1, &q, NULL) == SQLITE_OK && q;
            sqlite3_finalize(q);
        } else if (task == 2) {
            good[2] += strncmp(text, "- ", 2) == 0 || strncmp(text, "1. ", 3) == 0;
        } else {
            good[3] += characters <= 120 && !strchr(text, '\n') && !strchr(text, '[');
        }
    }
    for (int t = 0; t < SYNTH_TASKS; t++) {
        print_message("%s: %zu of %zu answers well formed\n", synth_task_names[t], good[t], n);
        assert_true(good[t] > n / 4 && good[t] < n - n / 10);
    }
    sqlite3_close(db);
}

/* --- limits, memory, parts --- */

static void test_bad_folder(void **state)
{
    (void)state;
    struct synth_options o = {"/dev/null/shop", 7, 1, 1, 1, 0};
    struct synth_result r;
    assert_int_equal(synth_run(&o, &r, &err), ERR_MACHINE);
    assert_non_null(strstr(err.where, "/dev/null/shop"));
}

/* A failure that is met is an error, wherever it strikes, and nothing leaks. */
static void test_no_memory(void **state)
{
    (void)state;
    char *where = temp_folder();
    size_t blocks = mem_stats().live_blocks;
    struct synth_options o = {where, 7, 1, 1, 1, 4};
    struct synth_result r;
    int failures = 0;
    for (long n = 0;; n += 1 + n / 40) {
        size_t before = mem_stats().failed_calls;
        mem_fail_after(n);
        int status = synth_run(&o, &r, &err);
        mem_fail_after(-1);
        assert_int_equal(mem_stats().live_blocks, blocks);
        if (mem_stats().failed_calls == before) {
            assert_int_equal(status, 0);
            break;
        }
        if (status != ERR_MACHINE)
            fail_msg("allocation %ld fails: status %d", n, status);
        failures++;
    }
    assert_true(failures > 50);
    temp_folder_remove(where);
}

static void test_words(void **state)
{
    (void)state;
    struct str s = {0};
    struct fill f = {0};
    struct synth_product lamp = {"luminária", true, true, 1, 39, 289},
                         book = {"livro infantil", false, false, 7, 19, 79};
    fill_product(&f, &lamp);
    fill_slot(&f, 'v', "12,50");
    fill_put(&s, "{O} {p} é {B}: {U} del@s, {S}. {P} R$ {v}", &f);
    assert_string_equal(str_text(&s), "A luminária é boa: uma delas, sua. Luminária R$ 12,50");
    str_clear(&s);
    fill_product(&f, &book);
    fill_put(&s, "{O} {p} é {B}, d@ {p}, {E}, {S}", &f);
    assert_string_equal(str_text(&s), "O livro infantil é bom, do livro infantil, ele, seu");
    static const struct {
        long cents;
        const char *text;
    } money[] = {{5, "0,05"}, {99999, "999,99"}, {100000, "1.000,00"}, {123456789, "1.234.567,89"}};
    for (size_t i = 0; i < ARRAY_LENGTH(money); i++) {
        str_clear(&s);
        put_money(&s, money[i].cents);
        assert_string_equal(str_text(&s), money[i].text);
    }
    str_clear(&s);
    put_tenths(&s, 125);
    put_tenths(&s, 40);
    assert_string_equal(str_text(&s), "12,54");
    str_clear(&s);
    str_puts(&s, "Não é ÀÇÕú: às avós");
    strip_accents(&s);
    assert_string_equal(str_text(&s), "Nao e ACOu: as avos");
    char date[16];
    shop_date(date, 0);
    assert_string_equal(date, "2023-01-01");
    shop_date(date, 365 + 59);
    assert_string_equal(date, "2024-02-29");
    shop_date(date, 730);
    assert_string_equal(date, "2024-12-31");
    assert_int_equal(shop_month(730), 23);
    for (int i = 0; i < SYNTH_PRODUCTS; i++) { /* eight a category, in order, plain first letters */
        assert_int_equal(synth_products[i].category, i / 8);
        assert_in_range(synth_products[i].name[0], 'a', 'z');
    }
    str_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),      cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_counts),     cmocka_unit_test(test_prompt_lengths),
        cmocka_unit_test(test_disjoint),   cmocka_unit_test(test_corpus_disjoint),
        cmocka_unit_test(test_sql),        cmocka_unit_test(test_database),
        cmocka_unit_test(test_references), cmocka_unit_test(test_insights_are_true),
        cmocka_unit_test(test_corpus_mix), cmocka_unit_test(test_bad_folder),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, open_shop, close_shop);
}
