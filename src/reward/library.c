/* library.c: `library`, a reward of the user's own as a shared object with the C interface of
 * include/grpo_reward.h.
 *
 *   params {"library": "./file.so", "params": {…}}   the second is the library's own
 *
 * It is trusted as our own code is: it runs in this process. What can be checked is checked, once
 * when it is opened (symbol, version, table) and after each evaluation (status, finite numbers). */
#include <grpo_reward.h>
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "reward/rewards.h"

enum { THREADS = 4 }; /* that ask a slow, thread-safe library side by side */

static const char where[] = "params of reward library";

struct library {
    char *path;
    void *handle;
    const struct grpo_reward_library *table;
    struct reward_component components[REWARD_MAX_COMPONENTS];
    void *state;
    bool created;
    pthread_mutex_t lock; /* of evaluate, where it is not thread-safe */
};

_Static_assert((int)GRPO_REWARD_MAX_COMPONENTS == (int)REWARD_MAX_COMPONENTS,
               "the header promises as many components as there are");

/* --- opening --- */

static int load(struct library *l, const char *path, struct err *err)
{
    /* Without a '/' dlopen would search the system's folders instead of the working one. */
    struct str full = {0};
    str_printf(&full, "%s%s", strchr(path, '/') ? "" : "./", path);
    l->path = full.failed ? NULL : mem_strdup(str_text(&full));
    str_free(&full);
    if (!l->path)
        return err_no_memory(err, where, strlen(path));
    if (!file_exists(l->path))
        return err_set(err, ERR_USAGE, where, "library: there is no file %.200s", l->path);
    l->handle = dlopen(l->path, RTLD_NOW | RTLD_LOCAL);
    if (!l->handle)
        return err_set(err, ERR_USAGE, where, "library: cannot be loaded: %.400s", dlerror());
    void *symbol = dlsym(l->handle, "grpo_reward_library");
    if (!symbol)
        return err_set(err, ERR_USAGE, where,
                       "library: %.200s has no symbol grpo_reward_library; it must define the "
                       "function that grpo_reward.h declares",
                       l->path);
    const struct grpo_reward_library *(*get)(void);
    memcpy(&get, &symbol, sizeof get); /* ISO C has no cast from an object to a function */
    l->table = get();
    if (!l->table)
        return err_set(err, ERR_USAGE, where, "library: grpo_reward_library() of %.200s gave NULL",
                       l->path);
    return ERR_NONE;
}

static int check_components(struct library *l, struct err *err)
{
    const struct grpo_reward_library *t = l->table;
    if (t->n_components < 1 || t->n_components > REWARD_MAX_COMPONENTS)
        return err_set(err, ERR_USAGE, where, "library: %.200s has %d components; expected 1 to %d",
                       l->path, t->n_components, REWARD_MAX_COMPONENTS);
    for (int i = 0; i < t->n_components; i++) {
        const char *name = t->component_names[i];
        if (!name || !name[0] || !utf8_valid(name, strlen(name)))
            return err_set(err, ERR_USAGE, where,
                           "library: component %d of %.200s has no name, or one that is no UTF-8",
                           i, l->path);
        if (!isfinite(t->component_weights[i]))
            return err_set(err, ERR_USAGE, where,
                           "library: the weight of component \"%.60s\" of %.200s is not finite",
                           name, l->path);
        for (int k = 0; k < i; k++)
            if (strcmp(name, t->component_names[k]) == 0)
                return err_set(err, ERR_USAGE, where,
                               "library: %.200s has two components called \"%.60s\"", l->path,
                               name);
        l->components[i] = (struct reward_component){name, t->component_weights[i]};
    }
    return ERR_NONE;
}

static int check_table(struct library *l, struct err *err)
{
    const unsigned known = GRPO_REWARD_THREAD_SAFE | GRPO_REWARD_DETERMINISTIC | GRPO_REWARD_SLOW |
                           GRPO_REWARD_WANTS_ROW;
    const struct grpo_reward_library *t = l->table;
    if (t->abi != GRPO_REWARD_ABI)
        return err_set(err, ERR_USAGE, where,
                       "library: %.200s was built for version %d of grpo_reward.h, this program "
                       "has version %d: build it again",
                       l->path, t->abi, GRPO_REWARD_ABI);
    if (t->flags & ~known)
        return err_set(err, ERR_USAGE, where, "library: %.200s sets the unknown flags 0x%x",
                       l->path, t->flags & ~known);
    if (!t->evaluate)
        return err_set(err, ERR_USAGE, where, "library: %.200s has no function evaluate", l->path);
    return check_components(l, err);
}

static int create(struct library *l, const json_t *own, struct err *err)
{
    if (!l->table->create && json_object_size(own) == 0)
        return ERR_NONE;
    if (!l->table->create)
        return err_set(err, ERR_USAGE, where, "library: %.200s takes no params", l->path);
    char *text = own ? json_dumps(own, JSON_COMPACT) : NULL;
    char error[200] = "";
    if (own && !text)
        return err_no_memory(err, where, 0);
    int failed = l->table->create(&l->state, text ? text : "{}", error, sizeof error);
    mem_free(text); /* jansson allocates through base/mem */
    error[sizeof error - 1] = 0;
    l->created = failed == 0;
    if (!failed)
        return ERR_NONE;
    struct str shown = {0};
    log_printable(&shown, error, strlen(error), 0);
    int status = err_set(err, ERR_USAGE, where, "library: %.200s says no: %s", l->path,
                         shown.length ? str_text(&shown) : "(it gave no reason)");
    str_free(&shown);
    return status;
}

int library_configure(void **state, const json_t *params, struct err *err)
{
    static const char *const known[] = {"library", "params"};
    const char *path = NULL;
    const json_t *own = json_object_get(params, "params");
    int status = reward_params_check(params, known, 2, "library", err);
    if (!status)
        status = json_get_string(&path, params, "library", false, where, err);
    if (!status && (!path || !path[0]))
        status = err_set(err, ERR_USAGE, where,
                         "library is missing; expected the path of a shared object");
    if (!status && own && !json_is_null(own) && !json_is_object(own))
        status = err_set(err, ERR_USAGE, where,
                         "the library's own params are %s; expected an "
                         "object",
                         json_type_name(own));
    if (status)
        return status;
    struct library *l = mem_calloc(1, sizeof *l);
    if (!l)
        return err_no_memory(err, where, sizeof *l);
    pthread_mutex_init(&l->lock, NULL);
    status = load(l, path, err);
    if (!status)
        status = check_table(l, err);
    if (!status)
        status = create(l, json_is_object(own) ? own : NULL, err);
    if (status)
        library_release(l);
    else
        *state = l;
    return status;
}

void library_release(void *state)
{
    struct library *l = state;
    if (!l)
        return;
    if (l->created && l->table->destroy)
        l->table->destroy(l->state);
    if (l->handle)
        dlclose(l->handle);
    pthread_mutex_destroy(&l->lock);
    mem_free(l->path);
    mem_free(l);
}

const struct reward_component *library_list(const void *state, int *n)
{
    const struct library *l = state;
    *n = l->table->n_components;
    return l->components;
}

struct reward_manner library_manner(const void *state)
{
    const struct library *l = state;
    unsigned flags = l->table->flags;
    return (struct reward_manner){.needs =
                                      flags & GRPO_REWARD_SLOW ? (unsigned)REWARD_NEEDS_PROCESS : 0,
                                  .side_by_side = flags & GRPO_REWARD_THREAD_SAFE ? THREADS : 1,
                                  .repeatable = flags & GRPO_REWARD_DETERMINISTIC};
}

int library_files(const void *state, const json_t *row, reward_file_visit *visit, void *user,
                  struct err *err)
{
    const struct library *l = state;
    return row ? ERR_NONE : visit(user, l->path, err);
}

/* --- evaluating --- */

/* A text with a NUL behind it; slices of others do not have one. */
static struct grpo_reward_text text_of(struct str *copy, const char *data, size_t length)
{
    str_append(copy, data, length);
    return (struct grpo_reward_text){str_text(copy), copy->length};
}

static void take_verdict(const struct library *l, int verdict, struct grpo_reward_output *from,
                         struct reward_result *out)
{
    from->reason[sizeof from->reason - 1] = 0;
    if (verdict == GRPO_REWARD_OK) {
        out->score = from->score;
        memcpy(out->components, from->components,
               (size_t)l->table->n_components * sizeof *out->components);
        return;
    }
    struct str shown = {0};
    log_printable(&shown, from->reason, strlen(from->reason), 60);
    const char *why = shown.length ? str_text(&shown) : "the library gave no reason";
    if (verdict == GRPO_REWARD_NOT_APPLICABLE) {
        out->status = REWARD_NOT_APPLICABLE;
        snprintf(out->reason, sizeof out->reason, "%s", why);
        reward_end_text(out->reason);
    } else if (verdict == GRPO_REWARD_FAILED) {
        reward_set_failed(out, "library: %s", why);
    } else {
        reward_set_failed(out, "library: evaluate returned %d, which is no status", verdict);
    }
    str_free(&shown);
}

void library_evaluate(const void *state, const struct reward_input *in, struct reward_result *out,
                      struct str *explain_json)
{
    struct library *l = (struct library *)(uintptr_t)state; /* its lock and the library's state */
    struct str completion = {0}, prompt = {0}, row = {0};
    struct grpo_reward_output result = {.score = NAN};
    bool one_at_a_time = !(l->table->flags & GRPO_REWARD_THREAD_SAFE);
    (void)explain_json;
    for (int i = 0; i < GRPO_REWARD_MAX_COMPONENTS; i++)
        result.components[i] = NAN;
    if (in->row && l->table->flags & GRPO_REWARD_WANTS_ROW) {
        struct json_writer w;
        jw_begin(&w, &row);
        jw_value(&w, in->row);
    }
    struct grpo_reward_input theirs = {
        .completion = text_of(&completion, in->completion, in->completion_length),
        .prompt = text_of(&prompt, in->prompt, in->prompt_length),
        .row = {str_text(&row), row.length}};
    if (completion.failed || prompt.failed || row.failed) {
        reward_set_failed(out, "library: the request found no memory");
    } else {
        if (one_at_a_time)
            pthread_mutex_lock(&l->lock);
        int verdict = l->table->evaluate(l->state, &theirs, &result);
        if (one_at_a_time)
            pthread_mutex_unlock(&l->lock);
        take_verdict(l, verdict, &result, out);
    }
    str_free(&completion);
    str_free(&prompt);
    str_free(&row);
}
