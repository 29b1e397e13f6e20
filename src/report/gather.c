/* gather.c: see gather.h. Seeds are taken by number, so that the order in which a file system lists
 * them, or a person types them, changes nothing. */
#include "report/gather.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/str.h"

enum { MOST_SEEDS_LISTED = 4096 };

static bool holds(const char *folder, const char *name)
{
    struct str path = {0};
    path_join(&path, folder, name);
    bool there = !path.failed && file_exists(str_text(&path));
    str_free(&path);
    return there;
}

static bool is_run(const char *folder)
{
    return holds(folder, "run.json") || holds(folder, "metrics.jsonl");
}

static bool same_folder(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

const char *path_part(struct arena *arena, const char *path, bool up)
{
    size_t n = strlen(path), from = n;
    for (int parts = 0; parts < (up ? 2 : 1); parts++) {
        n = from;
        while (n > 1 && path[n - 1] == '/')
            n--;
        for (from = n; from > 0 && path[from - 1] != '/';)
            from--;
    }
    return arena_strndup(arena, path + from, n - from);
}

static int by_number(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;
    return x < y ? -1 : x > y;
}

/* Numbers N of entries seed-N, ascending. */
static int list_seeds(const char *folder, long *seeds)
{
    DIR *dir = opendir(folder);
    int n = 0;
    for (struct dirent *entry; dir && n < MOST_SEEDS_LISTED && (entry = readdir(dir));) {
        char name[32];
        if (sscanf(entry->d_name, "seed-%9ld", &seeds[n]) != 1)
            continue;
        snprintf(name, sizeof name, "seed-%ld", seeds[n]);
        n += strcmp(name, entry->d_name) == 0; /* no "seed-007", no "seed-7.old" */
    }
    if (dir)
        closedir(dir);
    qsort(seeds, (size_t)n, sizeof *seeds, by_number);
    return n;
}

static int add_run(struct gathered *g, struct source *s, const char *path, int most,
                   struct err *err)
{
    if (g->n == most)
        return err_set(err, ERR_USAGE, s->path, "is one too many: at most %d runs make one report",
                       most);
    g->paths[g->n] = arena_strndup(&g->arena, path, strlen(path));
    if (!g->paths[g->n])
        return err_no_memory(err, path, strlen(path));
    g->n++;
    s->n++;
    return ERR_NONE;
}

static int add_seeds(struct gathered *g, struct source *s, int most, struct err *err)
{
    long *seeds = mem_calloc(MOST_SEEDS_LISTED, sizeof *seeds);
    if (!seeds)
        return err_no_memory(err, s->path, MOST_SEEDS_LISTED * sizeof *seeds);
    int n = list_seeds(s->path, seeds), status = ERR_NONE;
    for (int i = 0; i < n && !status; i++) {
        struct str path = {0};
        char name[32];
        snprintf(name, sizeof name, "seed-%ld", seeds[i]);
        path_join(&path, s->path, name);
        if (path.failed)
            status = err_no_memory(err, s->path, path.capacity);
        else if (is_run(str_text(&path)))
            status = add_run(g, s, str_text(&path), most, err);
        else
            s->empty++;
        str_free(&path);
    }
    mem_free(seeds);
    return status;
}

static int add_source(struct gathered *g, const char *path, int most, struct err *err)
{
    struct source *s = &g->sources[g->n_sources];
    *s = (struct source){.path = path, .name = path_part(&g->arena, path, false), .first = g->n};
    for (int i = 0; i < g->n_sources; i++)
        if (same_folder(g->sources[i].path, path))
            return err_set(err, ERR_USAGE, path, "is the folder %s again: give each once",
                           g->sources[i].path);
    if (!s->name)
        return err_no_memory(err, path, strlen(path));
    g->n_sources++;
    if (!dir_exists(path) || is_run(path))
        return add_run(g, s, path, most, err);
    int status = add_seeds(g, s, most, err);
    s->experiment = s->n + s->empty > 0;
    if (!status && !s->n)
        status = err_set(err, ERR_INPUT, path,
                         "is no run folder and no experiment: it holds neither run.json nor "
                         "metrics.jsonl, nor %s",
                         s->empty ? "a seed-N folder with either" : "seed-N folders of `grpo run`");
    return status;
}

int gather(struct gathered *g, const char *const *given, int n, int most, struct err *err)
{
    *g = (struct gathered){0};
    g->paths = mem_calloc((size_t)most, sizeof *g->paths);
    g->sources = mem_calloc((size_t)n, sizeof *g->sources);
    if (!g->paths || !g->sources)
        return err_no_memory(err, "the runs", (size_t)most * sizeof *g->paths);
    int status = ERR_NONE;
    for (int i = 0; i < n && !status; i++)
        status = add_source(g, given[i], most, err);
    return status;
}

void gathered_free(struct gathered *g)
{
    mem_free(g->paths);
    mem_free(g->sources);
    arena_free(&g->arena);
    *g = (struct gathered){0};
}
