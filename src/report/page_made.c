/* page_made.c: what the numbers came from: gates, history, completions, recipe, machine, time; see
 * page.h. Clocks stand in the last section alone. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "report/page.h"

enum { FIGURES_SHOWN = 700, TEXT_SHOWN = 1500, CELL_SHOWN = 300 };

/* A parsed value in one line, texts without quotes. */
static void put_value(struct str *out, const json_t *value)
{
    struct json_writer w;
    if (json_is_string(value)) {
        str_append(out, json_string_value(value), json_string_length(value));
        return;
    }
    jw_begin(&w, out);
    jw_value(&w, value);
}

/* Cuts at a character's start. */
static void cut(struct str *text, size_t most)
{
    if (text->length <= most)
        return;
    while (most > 0 && ((unsigned char)text->data[most] & 0xC0) == 0x80)
        most--;
    text->length = most;
    text->data[most] = 0;
    str_puts(text, "…");
}

/* "rho 0.81, n 20": an object's members. */
static void put_figures(struct str *out, const json_t *figures)
{
    const char *key;
    json_t *value;
    if (!json_is_object(figures)) {
        if (figures && !json_is_null(figures))
            put_value(out, figures);
    } else {
        json_object_foreach((json_t *)figures, key, value)
        {
            str_printf(out, "%s%.60s ", out->length ? ", " : "", key);
            put_value(out, value);
        }
    }
    cut(out, FIGURES_SHOWN);
}

/* --- gates --- */

/* Absent in both is the same too. */
static bool same_member(const json_t *a, const json_t *b, const char *key)
{
    const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);
    return x && y ? json_equal(x, y) : x == y;
}

/* A gate as it was for some of the runs. */
static bool same_gate(const struct gate_file *a, const struct gate_file *b)
{
    return strcmp(a->stage, b->stage) == 0 && strcmp(a->verdict, b->verdict) == 0 &&
           same_member(a->json, b->json, "text") && same_member(a->json, b->json, "figures");
}

/* Whether an earlier run has the same; else the runs that have it, into *names. */
static bool told_before(const struct findings *f, int run, const struct gate_file *g,
                        struct str *names)
{
    for (int r = 0; r < f->n_runs; r++) {
        for (int i = 0; i < f->runs[r].n_gates; i++) {
            if (!same_gate(&f->runs[r].gates[i], g))
                continue;
            if (r < run)
                return true;
            str_printf(names, "%s%s", names->length ? ", " : "", f->runs[r].title);
            break;
        }
    }
    return false;
}

static void gate_rows(struct doc *d, const struct findings *f, int run, const char *stage)
{
    const struct run *r = &f->runs[run];
    for (int i = 0; i < r->n_gates; i++) {
        const struct gate_file *g = &r->gates[i];
        struct str names = {0}, figures = {0};
        bool known = false;
        for (int s = 0; run_stages[s]; s++)
            known = known || strcmp(run_stages[s], g->stage) == 0;
        bool ours = stage ? strcmp(stage, g->stage) == 0 : !known;
        if (ours && !told_before(f, run, g, &names)) {
            const char *text = run_text(g->json, "text");
            const json_t *error = json_object_get(g->json, "error");
            put_figures(&figures, json_is_object(error) ? error : NULL);
            put_figures(&figures, json_object_get(g->json, "figures"));
            doc_cell(d, "%.40s", g->stage);
            doc_cell(d, "%s", str_text(&names));
            doc_cell(d, "%.40s", g->verdict);
            doc_cell(d, "%s", text && *text ? text : "–");
            doc_cell(d, "%s", figures.length ? str_text(&figures) : "–");
        }
        d->text.failed = d->text.failed || names.failed || figures.failed;
        str_free(&names);
        str_free(&figures);
    }
}

static void reward_gates(struct doc *d, const struct findings *f)
{
    static const char *const heads[] = {
        "Reward", "Verdict", "Fixtures", "Wrong pairs", "Lowest gold", "Highest adversary", "Why"};
    const json_t *list = json_object_get(json_object_get(f->runs[0].about, "gates"), "rewards");
    const json_t *item;
    size_t i;
    if (!json_array_size(list))
        return;
    doc_heading(d, 3, "Rewards against their fixtures (%s)", f->runs[0].title);
    doc_table_begin(d, heads, 7);
    json_array_foreach(list, i, item)
    {
        static const char *const keys[] = {"reward",      "verdict",     "fixtures",
                                           "wrong_pairs", "lowest_gold", "highest_adversary",
                                           "why"};
        for (int k = 0; k < 7; k++) {
            struct str text = {0};
            const json_t *value = json_object_get(item, keys[k]);
            if (json_is_real(value))
                str_puts(&text, cell_number(json_real_value(value), 3).text);
            else if (value && !json_is_null(value))
                put_value(&text, value);
            cut(&text, CELL_SHOWN);
            doc_cell(d, "%s", text.length ? str_text(&text) : "–");
            d->text.failed = d->text.failed || text.failed;
            str_free(&text);
        }
    }
    doc_table_end(d);
    doc_text(d, "A reward holds when every good answer scores above every near miss of its case, "
                "that above an empty one, and no adversary beats a good answer.");
}

void page_gates(struct doc *d, const struct findings *f)
{
    static const char *const heads[] = {"Stage", "Runs", "Verdict", "Finding", "Figures"};
    doc_heading(d, 2, "Gates");
    int all = 0;
    for (int r = 0; r < f->n_runs; r++)
        all += f->runs[r].n_gates;
    if (!all) {
        doc_text(d, "The run folders hold no gates/: these runs were started one by one, not by "
                    "the protocol.");
    } else {
        doc_table_begin(d, heads, 5);
        for (int s = 0; run_stages[s]; s++)
            for (int r = 0; r < f->n_runs; r++)
                gate_rows(d, f, r, run_stages[s]);
        for (int r = 0; r < f->n_runs; r++)
            gate_rows(d, f, r, NULL);
        doc_table_end(d);
    }
    reward_gates(d, f);
}

/* --- history --- */

enum { MOST_COLUMNS = 8 };

/* The keys of a list of maps, in order of first appearance. */
static int column_keys(const json_t *list, const char *keys[MOST_COLUMNS])
{
    int n = 0;
    size_t i;
    const json_t *entry;
    json_array_foreach(list, i, entry)
    {
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)entry, key, value)
        {
            bool known = false;
            for (int k = 0; k < n; k++)
                known = known || strcmp(keys[k], key) == 0;
            if (!known && n < MOST_COLUMNS)
                keys[n++] = key;
        }
    }
    return n;
}

void page_history(struct doc *d, const struct findings *f)
{
    const json_t *list = json_object_get(f->runs[0].recipe, "history"), *entry;
    const json_t *baseline = json_object_get(f->runs[0].recipe, "baseline");
    const char *keys[MOST_COLUMNS];
    int n = json_is_array(list) ? column_keys(list, keys) : 0;
    size_t i;
    if (!n && !json_is_object(baseline))
        return;
    doc_heading(d, 2, "What came before");
    if (json_is_object(baseline)) {
        struct str text = {0};
        put_figures(&text, baseline);
        doc_text(d, "Baseline: %s", str_text(&text));
        d->text.failed = d->text.failed || text.failed;
        str_free(&text);
    }
    if (!n)
        return;
    doc_table_begin(d, keys, n);
    json_array_foreach(list, i, entry)
    {
        for (int k = 0; k < n; k++) {
            struct str text = {0};
            const json_t *value = json_object_get(entry, keys[k]);
            if (value)
                put_value(&text, value);
            cut(&text, FIGURES_SHOWN);
            doc_cell(d, "%s", str_text(&text));
            d->text.failed = d->text.failed || text.failed;
            str_free(&text);
        }
    }
    doc_table_end(d);
}

/* --- completions --- */

static void put_text(struct doc *d, const struct report_row *row)
{
    if (row->text)
        doc_block(d, row->text, row->text_length, TEXT_SHOWN);
    else
        doc_text(d, "(the evaluation holds no text)");
}

static void put_example(struct doc *d, const struct findings *f, const struct result_set *set,
                        const char *what, size_t at)
{
    const struct pairs *p = &set->pairs;
    const struct report_row *before = p->row_before[at], *after = p->row_after[at];
    const char *run = f->runs[(f->compare ? f->pairs : 0) + (int)(at / p->n)].title;
    doc_text(d, "%s: row %.80s%s%s. Before (%.60s), %.3f:", what, before->id, *run ? ", " : "", run,
             set->before, before->value);
    put_text(d, before);
    doc_text(d, "After, %.3f:", after->value);
    put_text(d, after);
}

/* Places [seed][prompt] of the task's worst, best, most risen and most fallen; the first of equals.
 */
static void find_examples(const struct pairs *p, int task, size_t at[4])
{
    double extreme[4] = {INFINITY, -INFINITY, 0, 0};
    size_t all = (size_t)p->seeds * p->n;
    for (int k = 0; k < 4; k++)
        at[k] = all;
    for (size_t i = 0; i < all; i++) {
        if (p->task[i % p->n] != task)
            continue;
        double gain = p->after[i] - p->before[i];
        const double value[4] = {p->after[i], -p->after[i], -gain, gain};
        for (int k = 0; k < 4; k++) {
            double bar = k == 1 ? -extreme[1] : extreme[k];
            if (value[k] < bar) {
                extreme[k] = k == 1 ? -value[k] : value[k];
                at[k] = i;
            }
        }
    }
}

void page_completions(struct doc *d, const struct findings *f)
{
    static const char *const what[4] = {"Worst", "Best", "Most risen", "Most fallen"};
    const struct result_set *set = f->headline;
    if (!set)
        return;
    doc_heading(d, 2, "Completions");
    doc_text(d, "From the %s set. Control characters are shown as codes; long texts are cut.",
             set->name);
    for (int t = 0; t < set->pairs.n_tasks && t < 16; t++) {
        size_t at[4];
        doc_heading(d, 3, "%.60s", set->pairs.tasks[t]);
        find_examples(&set->pairs, t, at);
        for (int k = 0; k < 4; k++)
            if (at[k] < (size_t)set->pairs.seeds * set->pairs.n)
                put_example(d, f, set, what[k], at[k]);
    }
}

/* --- recipe and machine --- */

static void put_made_by(struct doc *d, const struct findings *f)
{
    static const char *const keys[] = {"version",     "compiler",  "device",       "isa",
                                       "threads",     "build",     "recipe_hash",  "model",
                                       "data",        "eval_data", "reward_files", "init_adapter",
                                       "ref_adapter", "replay",    "max_steps"};
    const char *heads[1 + 64];
    heads[0] = "What";
    for (int r = 0; r < f->n_runs; r++)
        heads[1 + r] = f->runs[r].title;
    doc_table_begin(d, heads, 1 + f->n_runs);
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        doc_cell(d, "%s", keys[k]);
        for (int r = 0; r < f->n_runs; r++) {
            struct str text = {0};
            const json_t *value = json_object_get(f->runs[r].about, keys[k]);
            if (value)
                put_value(&text, value);
            cut(&text, 24);
            doc_cell(d, "%s", text.length ? str_text(&text) : "–");
            d->text.failed = d->text.failed || text.failed;
            str_free(&text);
        }
    }
    doc_table_end(d);
}

/* "key: value" lines of a recipe; only: keys in which it differs from another, NULL: all. */
static void recipe_lines(struct str *out, const json_t *recipe, const json_t *other)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)recipe, key, value)
    {
        if (other ? json_equal(value, json_object_get(other, key)) : json_is_null(value))
            continue;
        struct json_writer w;
        str_printf(out, "%s: ", key);
        jw_begin(&w, out);
        jw_value(&w, value);
        str_putc(out, '\n');
    }
}

static void put_recipe(struct doc *d, const json_t *recipe, const json_t *other)
{
    struct str text = {0};
    if (recipe)
        recipe_lines(&text, recipe, other);
    if (text.length)
        doc_block(d, str_text(&text), text.length - 1, 0);
    else
        doc_text(d, recipe ? "(no difference)" : "(run.json holds no recipe)");
    d->text.failed = d->text.failed || text.failed;
    str_free(&text);
}

void page_recipe(struct doc *d, const struct findings *f)
{
    doc_heading(d, 2, "What it was made with");
    put_made_by(d, f);
    doc_text(d, "Hashes are SHA-256, cut here; run.json has them whole.");
    if (f->compare) {
        for (int side = 0; side < 2; side++) {
            doc_heading(d, 3, "Recipe of %s, where it differs", f->side[side]);
            put_recipe(d, f->runs[side * f->pairs].recipe, f->runs[!side * f->pairs].recipe);
        }
        return;
    }
    doc_heading(d, 3, "Recipe (%s; the others differ in the seed alone)", f->runs[0].title);
    put_recipe(d, f->runs[0].recipe, NULL);
}

/* --- time --- */

static double total(const struct run *r, const char *name)
{
    const struct series *s = series_find(&r->timing, name);
    double sum = 0;
    for (size_t i = 0; s && i < s->n; i++)
        sum += s->value[i];
    return s ? sum : NAN;
}

static double largest(const struct run *r, const char *name)
{
    const struct series *s = series_find(&r->timing, name);
    double most = NAN;
    for (size_t i = 0; s && i < s->n; i++)
        most = fmax(most, s->value[i]);
    return most;
}

/* "1 h 12 min", "3 min 20 s", "4.1 s" */
static struct cell cell_time(double seconds)
{
    struct cell c;
    if (isnan(seconds) || seconds < 0 || seconds > 1e9)
        snprintf(c.text, sizeof c.text, "–");
    else if (seconds < 60)
        snprintf(c.text, sizeof c.text, "%.1f s", seconds);
    else if (seconds < 3600)
        snprintf(c.text, sizeof c.text, "%d min %d s", (int)seconds / 60, (int)seconds % 60);
    else
        snprintf(c.text, sizeof c.text, "%d h %d min", (int)(seconds / 3600),
                 (int)seconds / 60 % 60);
    return c;
}

/* A line a run. */
static void gate_times(struct doc *d, const struct findings *f)
{
    for (int r = 0; r < f->n_runs; r++) {
        struct str text = {0};
        for (int i = 0; i < f->runs[r].n_gates; i++) {
            const struct gate_file *g = &f->runs[r].gates[i];
            const json_t *seconds = json_object_get(g->json, "seconds");
            if (json_is_number(seconds))
                str_printf(&text, "%s%.40s %s", text.length ? ", " : "", g->stage,
                           cell_time(json_number_value(seconds)).text);
        }
        if (text.length)
            doc_item(d, "Stages of %s: %s", f->runs[r].title, str_text(&text));
        d->text.failed = d->text.failed || text.failed;
        str_free(&text);
    }
}

void page_time(struct doc *d, const struct findings *f)
{
    static const char *const heads[] = {"Run",        "Steps",   "All steps",
                                        "Rollout",    "Rewards", "Gradient",
                                        "Evaluation", "Tokens",  "Peak memory"};
    static const char *const keys[] = {"step_time", "rollout_time", "reward_time", "gradient_time",
                                       "eval_time"};
    double all = 0;
    doc_heading(d, 2, "Time and cost");
    doc_table_begin(d, heads, 9);
    for (int r = 0; r < f->n_runs; r++) {
        const struct run *run = &f->runs[r];
        double tokens = series_at(series_find(&run->metrics, "num_tokens"), (double)run->last_step);
        double peak = largest(run, "peak_resident_mib");
        doc_cell(d, "%s", run->title);
        doc_cell(d, "%ld", run->last_step);
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            doc_cell(d, "%s", cell_time(total(run, keys[k])).text);
        doc_cell(d, "%s", cell_number(tokens, 0).text);
        doc_cell(d, "%s%s", cell_number(peak, 0).text, isnan(peak) ? "" : " MiB");
        double evaluation = total(run, "eval_time");
        all += isnan(total(run, "step_time")) ? 0 : total(run, "step_time");
        all += isnan(evaluation) ? 0 : evaluation;
    }
    doc_table_end(d);
    doc_text(d,
             "Together %s of this machine for steps and evaluations; what an hour of it costs is "
             "not known here.",
             cell_time(all).text);
    doc_list_begin(d);
    gate_times(d, f);
    doc_list_end(d);
}
