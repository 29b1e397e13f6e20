/* watch.c: what is shown while seeds train side by side. Each is a process that keeps quiet,
 * because several progresses would write over each other; this one looks at their run folders now
 * and then and shows one progress of them all, and every evaluation as it comes. It only reads, and
 * what cannot be read just now is looked at again later. */
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "protocol/parts.h"

static const double seconds_between = 1.0;
enum { TAIL = 1 << 16 }; /* bytes, longer than a line of metrics.jsonl */

/* The step of the last whole line of a file that grows; 0: none. */
static long last_step(const char *path)
{
    char text[TAIL + 1];
    FILE *file = fopen(path, "rbe");
    long step = 0;
    if (!file)
        return 0;
    if (fseek(file, -TAIL, SEEK_END))
        rewind(file);
    size_t n = fread(text, 1, TAIL, file);
    fclose(file);
    while (n && text[n - 1] != '\n')
        n--;
    text[n ? n - 1 : 0] = 0;
    const char *line = strrchr(text, '\n');
    return sscanf(line ? line + 1 : text, "{\"step\": %ld,", &step) == 1 ? step : 0;
}

static void say_evaluation(int seed, long step, const json_t *evaluation)
{
    const json_t *overall = json_object_get(evaluation, "overall");
    const json_t *interval = json_object_get(overall, "t95");
    struct str text = {0};
    const char *task;
    json_t *of;
    str_printf(&text, "seed %d, step %ld: eval/mean_reward %.3f [%.3f, %.3f]", seed, step,
               json_number_value(json_object_get(overall, "mean")),
               json_number_value(json_array_get(interval, 0)),
               json_number_value(json_array_get(interval, 1)));
    json_object_foreach(json_object_get(evaluation, "tasks"), task, of)
    {
        str_puts(&text, "  ");
        log_printable(&text, task, strlen(task), 40);
        str_printf(&text, " %.3f", json_number_value(json_object_get(of, "mean")));
    }
    if (!text.failed)
        log_info("%s", str_text(&text));
    str_free(&text);
}

/* Evaluations up to `step` that have not been shown yet, in their order. */
static void show_evaluations(const struct protocol *p, struct seed_state *s, long step)
{
    int every = p->d.o.eval_steps;
    for (long at = s->shown + 1; every > 0 && at <= step; at++) {
        struct str path = {0}, text = {0};
        if (at % every && at != s->total)
            continue;
        str_printf(&path, "%s/seed-%d/eval/step-%ld.json", p->dir, s->seed, at);
        json_t *evaluation = NULL;
        if (!path.failed && file_exists(str_text(&path)) &&
            !file_read(&text, str_text(&path), NULL))
            evaluation = json_read(str_text(&text), text.length, 0, str_text(&path), NULL);
        if (evaluation)
            say_evaluation(s->seed, at, evaluation);
        json_decref(evaluation);
        str_free(&path);
        str_free(&text);
    }
    s->shown = step;
}

static long total_steps(const struct protocol *p)
{
    json_t *plan = NULL;
    long total = 0;
    if (!gate_read(&plan, p->dir, stage_name(STAGE_DATASET), NULL))
        total = (long)json_integer_value(
            json_object_get(json_object_get(json_object_get(plan, "figures"), "plan"), "steps"));
    json_decref(plan);
    return total;
}

void watch_begin(struct watch *w, const struct protocol *p, struct seed_state *seeds, int n)
{
    struct str path = {0};
    long total = total_steps(p);
    *w = (struct watch){.p = p, .seeds = seeds, .n = n, .next = clock_seconds()};
    for (int i = 0; i < n; i++) {
        str_clear(&path);
        str_printf(&path, "%s/seed-%d/metrics.jsonl", p->dir, seeds[i].seed);
        seeds[i].total = total;
        seeds[i].shown = path.failed ? 0 : last_step(str_text(&path)); /* of an earlier command */
        w->total += seeds[i].due ? total : 0;
        w->before += seeds[i].due ? seeds[i].shown : 0;
    }
    str_free(&path);
}

void watch_look(struct watch *w)
{
    struct str path = {0}, detail = {0};
    long done = 0;
    if (clock_seconds() < w->next)
        return;
    w->next = clock_seconds() + seconds_between;
    for (int i = 0; i < w->n; i++) {
        struct seed_state *s = &w->seeds[i];
        if (!s->due)
            continue;
        str_clear(&path);
        str_printf(&path, "%s/seed-%d/metrics.jsonl", w->p->dir, s->seed);
        long step = path.failed ? 0 : last_step(str_text(&path));
        if (step < s->shown) /* it goes on from a checkpoint, or begins anew */
            s->shown = step;
        if (step > s->shown)
            show_evaluations(w->p, s, step);
        done += step;
        str_printf(&detail, "%sseed %d: %ld/%ld", detail.length ? "  " : "", s->seed, step,
                   s->total);
    }
    if (done > w->before && !w->begun) { /* the rate is that of training, not of smoke and probe */
        progress_begin(&w->progress, "train", w->total);
        w->begun = true;
    }
    if (w->begun && done < w->total && !detail.failed)
        progress_step(&w->progress, done, str_text(&detail));
    str_free(&path);
    str_free(&detail);
}

void watch_end(struct watch *w)
{
    w->next = 0; /* what came since the last look */
    watch_look(w);
    if (w->begun)
        progress_end(&w->progress);
}
