/* page_made.c: what the numbers came from: gates, history, completions, recipe, machine, time; see
 * page.h. Clocks stand in the last section alone. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "report/page.h"

enum { FIGURES_SHOWN = 500, MEMBER_SHOWN = 240, TEXT_SHOWN = 1500, CELL_SHOWN = 300 };

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

/* A value for a table's cell: numbers of four digits, digests cut, no quotes or braces. */
static void put_compact(struct str *out, const json_t *value)
{
    const char *key, *text = json_string_value(value);
    json_t *member;
    size_t i;
    if (json_is_object(value)) {
        bool first = true;
        json_object_foreach((json_t *)value, key, member)
        {
            if (json_is_null(member))
                continue;
            str_printf(out, "%s%.60s ", first ? "" : ", ", key);
            put_compact(out, member);
            first = false;
        }
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, member)
        {
            str_puts(out, i ? ", " : "[");
            put_compact(out, member);
        }
        str_puts(out, json_array_size(value) ? "]" : "[]");
    } else if (text && strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64) {
        str_append(out, text, 12);
        str_puts(out, "…");
    } else if (json_is_real(value)) {
        str_printf(out, "%.4g", json_real_value(value));
    } else {
        put_value(out, value);
    }
}

/* "rho 0.81, n 20": an object's members. file: where those are that are too long to be read here;
 * NULL: all are put. */
static void put_figures(struct str *out, const json_t *figures, const char *file)
{
    const char *key;
    json_t *value;
    bool more = false;
    if (!json_is_object(figures)) {
        if (figures && !json_is_null(figures))
            put_value(out, figures);
    } else {
        json_object_foreach((json_t *)figures, key, value)
        {
            struct str one = {0};
            put_compact(&one, value);
            if (file && one.length > MEMBER_SHOWN)
                more = true; /* a list of steps or an example is no figure for a table */
            else if (!json_is_null(value))
                str_printf(out, "%s%.60s %s", out->length ? ", " : "", key, str_text(&one));
            out->failed = out->failed || one.failed;
            str_free(&one);
        }
    }
    cut(out, FIGURES_SHOWN);
    if (more)
        str_printf(out, "%smore in %.80s", out->length ? "; " : "", file);
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

/* Whether an earlier run has the same; else the runs that have it, into *names, and how many. */
static bool told_before(const struct findings *f, int run, const struct gate_file *g,
                        struct str *names, int *count)
{
    for (int r = 0; r < f->n_runs; r++) {
        for (int i = 0; i < f->runs[r].n_gates; i++) {
            if (!same_gate(&f->runs[r].gates[i], g))
                continue;
            if (r < run)
                return true;
            str_printf(names, "%s%s", names->length ? ", " : "", f->runs[r].title);
            ++*count;
            break;
        }
    }
    return false;
}

static void finding_cells(struct doc *d, const struct gate_file *g)
{
    struct str finding = {0};
    const char *text = run_text(g->json, "text");
    const char *message = run_text(json_object_get(g->json, "error"), "message");
    bool more = message && !(text && strstr(text, message));
    cell_cut_digests(&finding, text ? text : "");
    str_puts(&finding, more && finding.length ? " " : "");
    cell_cut_digests(&finding, more ? message : "");
    doc_cell(d, "%s%.40s", strcmp(g->verdict, "pass") ? "! " : "", g->verdict);
    doc_cell(d, "%s", finding.length ? str_text(&finding) : "–");
    d->failed = d->failed || finding.failed;
    str_free(&finding);
}

static bool has_figures(const struct gate_file *g)
{
    const json_t *figures = json_object_get(g->json, "figures");
    return figures && !json_is_null(figures) &&
           (!json_is_object(figures) || json_object_size(figures));
}

static void figure_cell(struct doc *d, const struct gate_file *g)
{
    struct str figures = {0};
    char file[64];
    snprintf(file, sizeof file, "gates/%.40s.json", g->stage);
    put_figures(&figures, json_object_get(g->json, "figures"), file);
    doc_cell(d, "%s", str_text(&figures));
    d->failed = d->failed || figures.failed;
    str_free(&figures);
}

/* A run's gates of one stage (NULL: of those that are none of the protocol's) that no run before it
 * has alike: what they found, or the figures behind it. */
static void gate_rows(struct doc *d, const struct findings *f, int run, const char *stage,
                      bool figures)
{
    const struct run *r = &f->runs[run];
    for (int i = 0; i < r->n_gates; i++) {
        const struct gate_file *g = &r->gates[i];
        struct str names = {0};
        bool known = false;
        int has = 0;
        for (int s = 0; run_stages[s]; s++)
            known = known || strcmp(run_stages[s], g->stage) == 0;
        bool ours = (stage ? strcmp(stage, g->stage) == 0 : !known) && (!figures || has_figures(g));
        if (ours && !told_before(f, run, g, &names, &has)) {
            doc_cell(d, "%.40s", g->stage);
            doc_cell(d, "%s", f->n_runs > 1 && has == f->n_runs ? "all" : str_text(&names));
            if (figures)
                figure_cell(d, g);
            else
                finding_cells(d, g);
        }
        d->failed = d->failed || names.failed;
        str_free(&names);
    }
}

static void gate_table(struct doc *d, const struct findings *f, bool figures)
{
    static const char *const found[] = {"Stage", "Runs", "Verdict", "Finding"};
    static const char *const behind[] = {"Stage", "Runs", "Figures"};
    doc_table_begin(d, figures ? behind : found, figures ? 3 : 4);
    for (int s = 0; run_stages[s]; s++)
        for (int r = 0; r < f->n_runs; r++)
            gate_rows(d, f, r, run_stages[s], figures);
    for (int r = 0; r < f->n_runs; r++)
        gate_rows(d, f, r, NULL, figures);
    doc_table_end(d);
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
            d->failed = d->failed || text.failed;
            str_free(&text);
        }
    }
    doc_table_end(d);
    doc_text(d, "A reward holds when every good answer scores above every near miss of its case, "
                "that above an empty one, and no adversary beats a good answer.");
}

void page_gates(struct doc *d, const struct findings *f)
{
    doc_heading(d, 2, "Gates");
    int all = 0;
    for (int r = 0; r < f->n_runs; r++)
        all += f->runs[r].n_gates;
    if (!all) {
        doc_text(d, "The run folders hold no gates/: these runs were started one by one, not by "
                    "the protocol.");
    } else {
        gate_table(d, f, false);
        doc_fold_begin(d, "The figures behind them");
        gate_table(d, f, true);
        doc_fold_end(d);
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
        put_figures(&text, baseline, NULL);
        doc_text(d, "Baseline: %s", str_text(&text));
        d->failed = d->failed || text.failed;
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
            d->failed = d->failed || text.failed;
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

/* The worst, best, most risen and most fallen of a task. */
enum { EXAMPLES = 4 };
struct examples {
    size_t at[EXAMPLES];   /* places [seed][prompt]; the first of equals */
    size_t like[EXAMPLES]; /* places with the same value: 1 if there is no other */
};

static void put_example(struct doc *d, const struct findings *f, const struct result_set *set,
                        const char *what, size_t at)
{
    const struct pairs *p = &set->pairs;
    const struct report_row *before = p->row_before[at], *after = p->row_after[at];
    const char *run = f->runs[(f->compare ? f->pairs : 0) + (int)(at / p->n)].title;
    doc_text(d, "%s: row %.80s, %s. Before (%.60s), reward %.3f:", what, before->id, run,
             set->before, before->value);
    put_text(d, before);
    doc_text(d, "After%s%.60s%s, reward %.3f:", f->compare ? " (" : "",
             f->compare ? f->side[1] : "", f->compare ? ")" : "", after->value);
    put_text(d, after);
}

static void find_examples(const struct pairs *p, int task, struct examples *e)
{
    size_t all = (size_t)p->seeds * p->n;
    double least[EXAMPLES] = {INFINITY, INFINITY, 0, 0}; /* a rise and a fall are none at 0 */
    for (int k = 0; k < EXAMPLES; k++)
        e->at[k] = all;
    for (size_t i = 0; i < all; i++) {
        if (p->task[i % p->n] != task)
            continue;
        double gain = p->after[i] - p->before[i];
        const double value[EXAMPLES] = {p->after[i], -p->after[i], -gain, gain};
        for (int k = 0; k < EXAMPLES; k++) {
            bool first = value[k] < least[k];
            e->like[k] = first ? 1 : e->like[k] + (value[k] == least[k]);
            if (first) {
                least[k] = value[k];
                e->at[k] = i;
            }
        }
    }
}

/* Each place once, under all that it is: "Worst and most fallen". */
static void put_examples(struct doc *d, const struct findings *f, const struct result_set *set,
                         const struct examples *e)
{
    static const char *const names[EXAMPLES] = {"worst", "best", "most risen", "most fallen"};
    size_t all = (size_t)set->pairs.seeds * set->pairs.n;
    for (int k = 0; k < EXAMPLES; k++) {
        struct str what = {0};
        bool told = e->at[k] >= all;
        for (int j = 0; j < k; j++)
            told = told || e->at[j] == e->at[k];
        for (int j = k; j < EXAMPLES && !told; j++) {
            if (e->at[j] != e->at[k])
                continue;
            str_printf(&what, "%s%s", what.length ? " and " : "", names[j]);
            if (e->like[j] > 1)
                str_printf(&what, " (the first of %zu such)", e->like[j]);
        }
        if (!told && !what.failed) {
            what.data[0] = (char)(what.data[0] - 'a' + 'A');
            put_example(d, f, set, str_text(&what), e->at[k]);
        }
        d->failed = d->failed || what.failed;
        str_free(&what);
    }
}

void page_completions(struct doc *d, const struct findings *f)
{
    const struct result_set *set = f->headline;
    if (!set)
        return;
    doc_heading(d, 2, "Completions");
    doc_text(d,
             "From the %s set, %d %s a prompt. Control characters are shown as codes; long texts "
             "are cut.",
             set->name, set->gains.seeds, set->gains.seeds == 1 ? "completion" : "seeds");
    for (int t = 0; t < set->pairs.n_tasks && t < 16; t++) {
        struct examples e;
        doc_heading(d, 3, "%.60s", set->pairs.tasks[t]);
        find_examples(&set->pairs, t, &e);
        put_examples(d, f, set, &e);
    }
}

/* --- recipe and machine --- */

static const struct made_by {
    const char *key, *shown;
} made_by[] = {
    {"version", "version of grpo"},
    {"compiler", "compiler"},
    {"device", "device"},
    {"isa", "instruction set"},
    {"threads", "threads"},
    {"build", "program (hash)"},
    {"recipe_hash", "recipe (hash)"},
    {"model", "model (hash)"},
    {"data", "training rows (hash)"},
    {"eval_data", "eval rows (hash)"},
    {"reward_files", "files of the rewards (hash)"},
    {"init_adapter", "adapter it began with"},
    {"ref_adapter", "adapter of the reference"},
    {"replay", "replayed completions"},
    {"max_steps", "steps asked for"},
};
enum { MADE_BY = sizeof made_by / sizeof *made_by };

/* Whether any run says it, and whether all say the same. */
static void compare_member(const struct findings *f, const char *key, bool *any, bool *same)
{
    const json_t *first = json_object_get(f->runs[0].about, key);
    *any = false;
    *same = true;
    for (int r = 0; r < f->n_runs; r++) {
        const json_t *value = json_object_get(f->runs[r].about, key);
        bool empty =
            !value || json_is_null(value) || (json_is_string(value) && !json_string_length(value));
        *any = *any || !empty;
        *same = *same && (value && first ? json_equal(value, first) : value == first);
    }
}

static void made_cell(struct doc *d, const struct run *r, const char *key)
{
    struct str text = {0};
    const json_t *value = json_object_get(r->about, key);
    if (value && !json_is_null(value))
        put_value(&text, value);
    cut(&text, 24);
    doc_cell(d, "%s", text.length ? str_text(&text) : "–");
    d->failed = d->failed || text.failed;
    str_free(&text);
}

/* The processor, of the env gate; run.json names only its instruction set. */
static void put_processor(struct doc *d, const struct findings *f)
{
    for (int r = 0; r < f->n_runs; r++)
        for (int i = 0; i < f->runs[r].n_gates; i++) {
            const struct gate_file *g = &f->runs[r].gates[i];
            const json_t *machine = json_object_get(json_object_get(g->json, "figures"), "machine");
            const char *cpu = run_text(machine, "cpu");
            if (strcmp(g->stage, "env") != 0 || !cpu)
                continue;
            doc_cell(d, "processor");
            doc_cell(d, "%.60s, %lld cores", cpu,
                     (long long)json_integer_value(json_object_get(machine, "cores")));
            return;
        }
}

/* What all runs share once, then what differs, a column a run. */
static void put_made_by(struct doc *d, const struct findings *f)
{
    const char *heads[1 + 64] = {"What", f->n_runs > 1 ? "The same in all runs" : "Value"};
    bool any, same;
    int different = 0;
    doc_table_begin(d, heads, 2);
    put_processor(d, f);
    for (int k = 0; k < MADE_BY; k++) {
        compare_member(f, made_by[k].key, &any, &same);
        different += any && !same;
        if (!any || !same)
            continue;
        doc_cell(d, "%s", made_by[k].shown);
        made_cell(d, &f->runs[0], made_by[k].key);
    }
    doc_table_end(d);
    if (!different)
        return;
    for (int r = 0; r < f->n_runs; r++)
        heads[1 + r] = f->runs[r].title;
    doc_table_begin(d, heads, 1 + f->n_runs);
    for (int k = 0; k < MADE_BY; k++) {
        compare_member(f, made_by[k].key, &any, &same);
        if (!any || same)
            continue;
        doc_cell(d, "%s", made_by[k].shown);
        for (int r = 0; r < f->n_runs; r++)
            made_cell(d, &f->runs[r], made_by[k].key);
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
    d->failed = d->failed || text.failed;
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
    doc_heading(d, 3,
                f->n_runs > 1 ? "Recipe (%s; the others differ in the seed alone)" : "Recipe (%s)",
                f->runs[0].title);
    doc_fold_begin(d, "Every key, as resolved");
    put_recipe(d, f->runs[0].recipe, NULL);
    doc_fold_end(d);
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
    doc_fold_begin(d, "Time of each stage, when it last ran (what went on from saved work: of the "
                      "rest; before smoke: once for all seeds)");
    doc_list_begin(d);
    for (int r = 0; r < f->n_runs; r++) {
        struct str text = {0};
        for (int i = 0; i < f->runs[r].n_gates; i++) {
            const struct gate_file *g = &f->runs[r].gates[i];
            const json_t *seconds = json_object_get(g->json, "seconds");
            if (json_is_number(seconds))
                str_printf(&text, "%s%.40s %s", text.length ? ", " : "", g->stage,
                           cell_time(json_number_value(seconds)).text);
        }
        doc_item(d, "Stages of %s: %s", f->runs[r].title,
                 text.length ? str_text(&text) : "none is recorded");
        d->failed = d->failed || text.failed;
        str_free(&text);
    }
    doc_list_end(d);
    doc_fold_end(d);
}

/* "1,354,642" */
static void put_thousands(struct doc *d, double x)
{
    char digits[40];
    struct str text = {0};
    snprintf(digits, sizeof digits, "%.0f", x);
    size_t n = strlen(digits);
    bool plain = !(x >= 0 && x < 1e15);
    for (size_t i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0 && !plain)
            str_putc(&text, ',');
        str_putc(&text, digits[i]);
    }
    doc_cell(d, "%s", isfinite(x) ? str_text(&text) : "–");
    d->failed = d->failed || text.failed;
    str_free(&text);
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
        put_thousands(d, tokens);
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
    gate_times(d, f);
}
