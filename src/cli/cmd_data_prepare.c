/* cmd_data_prepare.c: `grpo data prepare --olist`: from options to data/olist.h, and what it made
 * in a table. */
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "cli/cmd_data_parts.h"
#include "cli/lines.h"
#include "data/olist.h"

static const char *const levels[OLIST_LEVELS] = {"easy", "medium", "hard"};

/* --- options --- */

static int read_counts(struct olist_options *o, const struct arg_texts *counts, struct err *err)
{
    int status = ERR_NONE;
    for (int i = 0; i < counts->count && !status; i++) {
        struct split_count entry;
        char *name = NULL;
        int task = 0;
        status = cmd_data_read_count(&entry, &name, counts->items[i], err);
        while (!status && task < OLIST_TASKS && strcmp(name, olist_task_names[task]) != 0)
            task++;
        if (!status && task == OLIST_TASKS)
            status = err_set(err, ERR_USAGE, "--count",
                             "there is no task \"%.60s\"; there are extraction, sql_qa, insights "
                             "and push",
                             name);
        if (!status) {
            o->rows[OLIST_EVAL][task] = entry.eval;
            o->rows[OLIST_TEST][task] = entry.test;
        }
        mem_free(name);
    }
    return status;
}

/* --- output --- */

static void put_list(struct json_writer *w, const char *key, const char *const *names,
                     const size_t *counts, size_t n)
{
    jw_key(w, key);
    jw_object_begin(w);
    for (size_t i = 0; i < n; i++) {
        jw_key(w, names[i]);
        jw_int(w, (long long)counts[i]);
    }
    jw_object_end(w);
}

static void put_json(struct str *out, const struct olist_result *r)
{
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    put_list(&w, "tables", olist_table_names, r->table_rows, OLIST_TABLES);
    jw_key(&w, "database_sha256");
    jw_text(&w, r->database_sha256);
    for (int set = 0; set < OLIST_SETS; set++) {
        jw_key(&w, olist_set_names[set]);
        jw_object_begin(&w);
        put_list(&w, "rows", olist_task_names, r->rows[set], OLIST_TASKS);
        put_list(&w, "sql_difficulty", levels, r->levels[set], OLIST_LEVELS);
        jw_key(&w, "sql_templates");
        jw_int(&w, (long long)r->templates[set]);
        jw_object_end(&w);
    }
    jw_key(&w, "sql_held_out");
    jw_int(&w, (long long)r->held_out);
    jw_key(&w, "sql_most_steps");
    jw_int(&w, r->most_steps);
    put_list(&w, "longest_prompt", olist_task_names, r->longest_prompt, OLIST_TASKS);
    jw_key(&w, "rejected");
    jw_object_begin(&w);
    for (int t = 0; t < OLIST_TASKS; t++)
        put_list(&w, olist_task_names[t], olist_reason_names, r->rejected[t], OLIST_REASONS);
    jw_object_end(&w);
    jw_object_end(&w);
    str_putc(out, '\n');
}

static void put_rows(struct str *out, const struct olist_result *r)
{
    str_printf(out, "%-12s %10s %7s %9s %6s %6s   %s\n", "", olist_task_names[0],
               olist_task_names[1], olist_task_names[2], olist_task_names[3], "all",
               "sql_qa: easy, medium, hard; templates");
    for (int i = 0; i < OLIST_SETS; i++) {
        static const int order[OLIST_SETS] = {OLIST_TRAIN, OLIST_EVAL, OLIST_TEST};
        int set = order[i];
        const size_t *n = r->rows[set], *l = r->levels[set];
        char name[16];
        snprintf(name, sizeof name, "%s.jsonl", olist_set_names[set]);
        str_printf(out, "%-12s %10zu %7zu %9zu %6zu %6zu   %zu, %zu, %zu; %zu\n", name, n[0], n[1],
                   n[2], n[3], n[0] + n[1] + n[2] + n[3], l[0], l[1], l[2], r->templates[set]);
    }
    str_printf(out, "%-12s", "longest");
    for (int t = 0; t < OLIST_TASKS; t++)
        str_printf(out, "%s%zu", t ? ", " : " ", r->longest_prompt[t]);
    str_printf(out,
               " characters of prompt\nsql_qa rows of templates that training never sees: %zu; "
               "costliest reference query: %lld steps\n",
               r->held_out, r->most_steps);
}

static void put_table(struct str *out, const struct olist_result *r, const char *folder)
{
    str_printf(out, "olist.db   sha256 %s\n          ", r->database_sha256);
    for (int i = 0; i < OLIST_TABLES; i++)
        str_printf(out, "%s%s %zu", i ? i == 5 ? ",\n           " : ", " : " ",
                   olist_table_names[i], r->table_rows[i]);
    str_puts(out, "\n\n");
    put_rows(out, r);
    str_puts(out, "\ncandidates that became no row:\n");
    for (int t = 0; t < OLIST_TASKS; t++)
        for (int k = 0; k < OLIST_REASONS; k++)
            if (r->rejected[t][k])
                str_printf(out, "  %-10s %6zu  %s\n", olist_task_names[t], r->rejected[t][k],
                           olist_reason_names[k]);
    str_printf(out, "\nall in %s\n", folder);
}

int cmd_data_prepare(const struct common *common, const struct prepare_arguments *a, uint64_t seed,
                     struct err *err)
{
    struct olist_options options = {
        .olist = a->olist,
        .out = a->out,
        .seed = seed,
        .rows = {[OLIST_EVAL] = {20, 15, 15, 15}, [OLIST_TEST] = {60, 60, 40, 40}}};
    if (!a->olist)
        return err_set(err, ERR_USAGE, "--olist",
                       "is required: the folder of Olist's CSV files (see docs/OLIST.md)");
    if (!a->out)
        return err_set(err, ERR_USAGE, "--out", "is required: the folder the rows are written to");
    if (common->input)
        return err_set(err, ERR_USAGE, "--input",
                       "`grpo data prepare` reads what --olist names; remove it");
    olist_mix(options.rows[OLIST_TRAIN], (size_t)a->train_rows);
    int status = read_counts(&options, a->counts, err);
    struct olist_result result;
    if (!status)
        status = olist_prepare(&options, &result, err);
    if (status)
        return status;
    struct str out = {0};
    if (common->json)
        put_json(&out, &result);
    else
        put_table(&out, &result, a->out);
    status = print_text(&out, err);
    str_free(&out);
    return status;
}
