/* cmd_data_synth.c: `grpo data synth`: from options to data/synth.h, and what it did in a table. */
#include "base/json.h"
#include "cli/cmd_data_parts.h"
#include "cli/lines.h"
#include "data/synth.h"

static void put_json(struct str *out, const struct synth_result *r)
{
    const char *names[] = {"clientes", "produtos", "pedidos", "itens", "avaliacoes",
                           "train",    "eval",     "test",    "corpus"};
    size_t counts[] = {r->clients, r->products, r->orders,  r->items, r->ratings,
                       r->rows[0], r->rows[1],  r->rows[2], r->corpus};
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        jw_key(&w, names[i]);
        jw_int(&w, (long long)counts[i]);
    }
    jw_key(&w, "longest_prompt");
    jw_object_begin(&w);
    for (int t = 0; t < SYNTH_TASKS; t++) {
        jw_key(&w, synth_task_names[t]);
        jw_int(&w, (long long)r->longest_prompt[t]);
    }
    jw_object_end(&w);
    jw_object_end(&w);
    str_putc(out, '\n');
}

static void put_table(struct str *out, const struct synth_result *r, const char *folder)
{
    str_printf(out,
               "shop.sqlite   %zu clientes, %zu produtos, %zu pedidos, %zu itens, %zu avaliacoes\n",
               r->clients, r->products, r->orders, r->items, r->ratings);
    str_printf(out, "train.jsonl   %zu rows\neval.jsonl    %zu rows\ntest.jsonl    %zu rows\n",
               r->rows[0], r->rows[1], r->rows[2]);
    if (r->corpus)
        str_printf(out, "corpus.jsonl  %zu lines\n", r->corpus);
    str_puts(out, "longest prompt, in characters: ");
    for (int t = 0; t < SYNTH_TASKS; t++)
        str_printf(out, "%s%s %zu", t ? ", " : "", synth_task_names[t], r->longest_prompt[t]);
    str_printf(out, "\nall in %s\n", folder);
}

int cmd_data_synth(const struct common *common, const struct synth_arguments *a, uint64_t seed,
                   struct err *err)
{
    if (!a->out)
        return err_set(err, ERR_USAGE, "--out", "is required: the folder the shop is written to");
    if (common->input)
        return err_set(err, ERR_USAGE, "--input", "`grpo data synth` reads nothing; remove it");
    struct synth_options options = {.out = a->out,
                                    .seed = seed,
                                    .train = (size_t)a->train,
                                    .eval = (size_t)a->eval,
                                    .test = (size_t)a->test,
                                    .corpus = (size_t)a->corpus};
    struct synth_result result;
    int status = synth_run(&options, &result, err);
    if (status)
        return status;
    struct str out = {0};
    if (common->json)
        put_json(&out, &result);
    else
        put_table(&out, &result, a->out);
    status = out.failed ? err_no_memory(err, "the table", out.length) : print_text(&out, err);
    str_free(&out);
    return status;
}
