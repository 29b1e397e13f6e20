/* command.c: `command`, a reward of the user's own in any language: a program that answers a line
 * of JSON for each line of JSON (protocol.h). docs/REWARDS_PROTOCOL.md is its manual.
 *
 *   params {"command": [program, argument…],
 *           "workers": n            processes side by side (1)
 *           "timeout_seconds": s    a far net (30)
 *           "memory_mib": n         address space of each process (2048; 0: no limit)
 *           "components": {name: weight}   (none: the score alone)
 *           "deterministic": true   the same request always gets the same answer (false)
 *           "group": true           it looks at the group's other completions (false)
 *           "files": [path…]        more files that scores depend on
 *           "stderr": path}         where all of its standard error is appended
 *
 * Everything that goes wrong between the two is the machinery's fault: `failed`, never 0. That
 * holds for a timeout too, whose clock would make a score depend on the machine's load. So a
 * policy whose text stops its judge gains nothing by it: the completion leaves the baseline and
 * carries no gradient, and above max_reward_failure_rate the run stops. A judge that wants to
 * punish what is expensive counts its own steps and answers a score.
 *
 * A broken worker is stopped and the request asked once more, of a fresh one: one that crashes
 * now and then (a leak that reached its limit) costs time and no score. Failures in a row, of any
 * worker, delay the next start, and after GIVE_UP of them requests fail at once but for one try
 * every RETRY_SECONDS: a program that cannot work costs neither a spinning machine nor a day. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/mem.h"
#include "reward/protocol.h"
#include "reward/rewards.h"
#include "reward/worker.h"

enum { MAX_WORKERS = 64, TRIES = 2, GIVE_UP = 6, WARNINGS = 5 };
#define FIRST_DELAY 0.02
#define RETRY_SECONDS 5.0
#define PATIENCE 0.5 /* for the end of workers that are no longer needed */

static const char where[] = "params of reward command";

struct command {
    struct arena texts;
    struct worker_spec spec;
    long long n; /* workers */
    double timeout;
    bool deterministic, group;
    struct reward_component components[REWARD_MAX_COMPONENTS];
    int n_components;
    const char **files;
    size_t n_files;
    int log;
    struct worker *workers; /* (n); a worker is its taker's while busy */
    pthread_mutex_t lock;   /* of all that follows */
    pthread_cond_t given_back;
    bool busy[MAX_WORKERS];
    long long last_id;
    int failures;      /* in a row */
    double not_before; /* of clock_seconds: the next start */
    long restarts;
    char last_why[WORKER_REASON];
};

/* --- parameters --- */

static int add_text(struct command *c, const char **out, const json_t *value, const char *key,
                    struct err *err)
{
    if (!json_is_string(value))
        return err_set(err, ERR_USAGE, where, "%s holds %s; expected texts only (quote it)", key,
                       json_type_name(value));
    if (json_string_length(value) != strlen(json_string_value(value)))
        return err_set(err, ERR_USAGE, where, "%s holds a text with a NUL in it", key);
    *out = arena_strndup(&c->texts, json_string_value(value), json_string_length(value));
    return *out ? ERR_NONE : err_no_memory(err, where, json_string_length(value));
}

/* A list of texts, NULL at its end. */
static int read_texts(struct command *c, const char ***out, size_t *n, const json_t *params,
                      const char *key, struct err *err)
{
    const json_t *list = json_object_get(params, key);
    *n = json_array_size(list);
    if (!list || json_is_null(list))
        return ERR_NONE;
    if (!json_is_array(list))
        return err_set(err, ERR_USAGE, where, "%s is %s; expected a list of texts, such as %s", key,
                       json_type_name(list), "[\"python3\", \"reward.py\"]");
    *out = arena_alloc(&c->texts, (*n + 1) * sizeof **out);
    if (!*out)
        return err_no_memory(err, where, *n);
    int status = ERR_NONE;
    for (size_t i = 0; i < *n && !status; i++)
        status = add_text(c, &(*out)[i], json_array_get(list, i), key, err);
    (*out)[*n] = NULL;
    return status;
}

static int read_command(struct command *c, const json_t *params, struct err *err)
{
    const char **argv = NULL;
    char why[WORKER_REASON];
    size_t n;
    int status = read_texts(c, &argv, &n, params, "command", err);
    if (status)
        return status;
    if (!argv || !argv[0] || !argv[0][0])
        return err_set(err, ERR_USAGE, where,
                       "command is %s; expected a program and its arguments, such as "
                       "[\"python3\", \"reward.py\"]",
                       argv ? "empty" : "missing");
    if (n > WORKER_MAX_ARGUMENTS)
        return err_set(err, ERR_USAGE, where, "command has %zu texts; at most %d are possible", n,
                       WORKER_MAX_ARGUMENTS);
    c->spec.argv = (char *const *)(uintptr_t)argv;
    c->spec.argc = (int)n;
    if (!worker_exists(argv[0], why))
        return err_set(err, ERR_USAGE, where, "the command \"%.200s\" cannot be run: %s", argv[0],
                       why);
    return ERR_NONE;
}

static int read_count(long long *out, const json_t *params, const char *key, long long min,
                      long long max, struct err *err)
{
    int status = json_get_int(out, params, key, false, where, err);
    if (!status && (*out < min || *out > max))
        status = err_set(err, ERR_USAGE, where, "%s is %lld; expected %lld to %lld", key, *out, min,
                         max);
    return status;
}

static int read_components(struct command *c, const json_t *params, struct err *err)
{
    const json_t *map = json_object_get(params, "components");
    if (!map || json_is_null(map)) {
        c->components[c->n_components++] = (struct reward_component){"score", 1};
        return ERR_NONE;
    }
    if (!json_is_object(map) || json_object_size(map) == 0)
        return err_set(err, ERR_USAGE, where, "components is %s; expected {name: weight}",
                       json_is_object(map) ? "empty" : json_type_name(map));
    if (json_object_size(map) > REWARD_MAX_COMPONENTS)
        return err_set(err, ERR_USAGE, where, "there are %zu components; at most %d are possible",
                       json_object_size(map), REWARD_MAX_COMPONENTS);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)map, key, value)
    {
        if (!key[0] || strlen(key) > 60)
            return err_set(err, ERR_USAGE, where,
                           "a component is called \"%.60s\"; expected 1 to 60 bytes", key);
        if (!json_is_number(value) || !isfinite(json_number_value(value)))
            return err_set(err, ERR_USAGE, where,
                           "the weight of component \"%.60s\" is %s; expected a number", key,
                           json_type_name(value));
        const char *name = arena_strndup(&c->texts, key, strlen(key));
        if (!name)
            return err_no_memory(err, where, strlen(key));
        c->components[c->n_components++] =
            (struct reward_component){name, json_number_value(value)};
    }
    return ERR_NONE;
}

static int read_files(struct command *c, const json_t *params, struct err *err)
{
    int status = read_texts(c, &c->files, &c->n_files, params, "files", err);
    for (size_t i = 0; i < c->n_files && !status; i++)
        if (!file_exists(c->files[i]))
            status = err_set(err, ERR_USAGE, where, "files names \"%.200s\", which is no file",
                             c->files[i]);
    return status;
}

static int open_log(struct command *c, const json_t *params, struct err *err)
{
    const char *path = NULL;
    int status = json_get_string(&path, params, "stderr", false, where, err);
    if (status || !path)
        return status;
    c->log = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    c->spec.log = c->log;
    return c->log >= 0 ? ERR_NONE
                       : err_set(err, ERR_USAGE, where, "stderr: %.200s cannot be opened: %s", path,
                                 strerror(errno));
}

static int read_params(struct command *c, const json_t *params, struct err *err)
{
    static const char *const known[] = {"command",    "workers",    "timeout_seconds",
                                        "memory_mib", "components", "deterministic",
                                        "group",      "files",      "stderr"};
    int status = reward_params_check(params, known, 9, "command", err);
    if (!status)
        status = read_command(c, params, err);
    if (!status)
        status = read_count(&c->n, params, "workers", 1, MAX_WORKERS, err);
    if (!status)
        status = read_count(&c->spec.memory_mib, params, "memory_mib", 0, 1 << 24, err);
    if (!status)
        status = json_get_double(&c->timeout, params, "timeout_seconds", false, where, err);
    if (!status && !(c->timeout > 0 && c->timeout <= 86400))
        status =
            err_set(err, ERR_USAGE, where,
                    "timeout_seconds is %g; expected more than 0 and at most 86400", c->timeout);
    if (!status)
        status = json_get_bool(&c->deterministic, params, "deterministic", false, where, err);
    if (!status)
        status = json_get_bool(&c->group, params, "group", false, where, err);
    if (!status)
        status = read_components(c, params, err);
    if (!status)
        status = read_files(c, params, err);
    return status ? status : open_log(c, params, err);
}

int command_configure(void **state, const json_t *params, struct err *err)
{
    struct command *c = mem_calloc(1, sizeof *c);
    if (!c)
        return err_no_memory(err, where, sizeof *c);
    c->n = 1;
    c->timeout = 30;
    c->spec.memory_mib = 2048;
    c->spec.log = c->log = -1;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->given_back, NULL);
    int status = read_params(c, params, err);
    if (!status && !(c->workers = mem_calloc((size_t)c->n, sizeof *c->workers)))
        status = err_no_memory(err, where, (size_t)c->n * sizeof *c->workers);
    if (status)
        command_release(c);
    else
        *state = c;
    return status;
}

void command_release(void *state)
{
    struct command *c = state;
    if (!c)
        return;
    for (int i = 0; c->workers && i < c->n; i++) /* first all are told, then each is waited for */
        worker_end_input(&c->workers[i]);
    for (int i = 0; c->workers && i < c->n; i++)
        worker_stop(&c->workers[i], PATIENCE);
    if (c->log >= 0)
        close(c->log);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->given_back);
    mem_free(c->workers);
    arena_free(&c->texts);
    mem_free(c);
}

const struct reward_component *command_list(const void *state, int *n)
{
    const struct command *c = state;
    *n = c->n_components;
    return c->components;
}

struct reward_manner command_manner(const void *state)
{
    const struct command *c = state;
    return (struct reward_manner){.needs = REWARD_NEEDS_PROCESS |
                                           (c->group ? (unsigned)REWARD_NEEDS_GROUP : 0),
                                  .side_by_side = (int)c->n,
                                  .repeatable = c->deterministic};
}

/* The files among the words of the command: scripts, data, --data=FILE. The program itself only
 * where its path is given: which `python3` PATH finds is the machine's business. */
int command_files(const void *state, const json_t *row, reward_file_visit *visit, void *user,
                  struct err *err)
{
    const struct command *c = state;
    int status = ERR_NONE;
    for (int i = 0; !row && i < c->spec.argc && !status; i++) {
        const char *word = c->spec.argv[i], *value = strchr(word, '=');
        if (i == 0 && !strchr(word, '/'))
            continue;
        if (file_exists(word))
            status = visit(user, word, err);
        else if (word[0] == '-' && value && file_exists(value + 1))
            status = visit(user, value + 1, err);
    }
    for (size_t i = 0; !row && i < c->n_files && !status; i++)
        status = visit(user, c->files[i], err);
    return status;
}

/* --- workers --- */

static int take_worker(struct command *c)
{
    int i;
    pthread_mutex_lock(&c->lock);
    while (true) {
        for (i = 0; i < c->n && c->busy[i]; i++) {
        }
        if (i < c->n)
            break;
        pthread_cond_wait(&c->given_back, &c->lock);
    }
    c->busy[i] = true;
    pthread_mutex_unlock(&c->lock);
    return i;
}

static void give_back(struct command *c, int i)
{
    pthread_mutex_lock(&c->lock);
    c->busy[i] = false;
    pthread_cond_signal(&c->given_back);
    pthread_mutex_unlock(&c->lock);
}

/* One that the worker cannot know beforehand: a line that it writes too many would else be taken
 * for the answer to the next request. JSON readers keep integers up to 2^53. */
static long long next_id(struct command *c)
{
    uint64_t bits;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) == (ssize_t)sizeof bits)
        return (long long)(bits >> 11) + 1;
    pthread_mutex_lock(&c->lock); /* no entropy yet, early in the machine's life */
    long long id = ++c->last_id;
    pthread_mutex_unlock(&c->lock);
    return id;
}

static void note_success(struct command *c)
{
    pthread_mutex_lock(&c->lock);
    c->failures = 0;
    pthread_mutex_unlock(&c->lock);
}

static void note_failure(struct command *c, const char *why)
{
    pthread_mutex_lock(&c->lock);
    int doublings = c->failures < GIVE_UP ? c->failures : GIVE_UP;
    c->failures++;
    c->not_before =
        clock_seconds() + (c->failures >= GIVE_UP ? RETRY_SECONDS : FIRST_DELAY * (1 << doublings));
    snprintf(c->last_why, sizeof c->last_why, "%s", why);
    long n = ++c->restarts;
    pthread_mutex_unlock(&c->lock);
    if (n <= WARNINGS || (n & (n - 1)) == 0) /* then only each power of two */
        log_warn("reward command %s: a worker %s; it is started anew (restart %ld)",
                 c->spec.argv[0], why, n);
}

enum readiness { READY, NOT_STARTED, GIVEN_UP, STOPPED };

/* Waits for the moment from which a worker may be started. */
static enum readiness wait_for_start(struct command *c, char why[WORKER_REASON])
{
    while (true) {
        pthread_mutex_lock(&c->lock);
        double left = c->failures ? c->not_before - clock_seconds() : 0;
        bool given_up = left > 0 && c->failures >= GIVE_UP;
        if (given_up)
            snprintf(why, WORKER_REASON,
                     "failed %d times in a row and is not asked for %.0f s: %.120s", c->failures,
                     ceil(left), c->last_why);
        else if (left <= 0 && c->failures >= GIVE_UP)
            c->not_before = clock_seconds() + RETRY_SECONDS; /* one try, not one of each thread */
        pthread_mutex_unlock(&c->lock);
        if (given_up)
            return GIVEN_UP;
        if (left <= 0)
            return READY;
        if (interrupt_requested())
            return STOPPED;
        poll(NULL, 0, left < 0.1 ? (int)(left * 1000) + 1 : 100);
    }
}

static enum readiness make_ready(struct command *c, struct worker *w, char why[WORKER_REASON])
{
    if (worker_alive(w))
        return READY;
    worker_stop(w, 0); /* one that ended between two questions: nobody is worse off */
    enum readiness ready = wait_for_start(c, why);
    if (ready != READY)
        return ready;
    return worker_start(w, &c->spec, why) ? READY : NOT_STARTED;
}

enum attempt { ANSWERED, AGAIN, NO_MORE };

static enum attempt attempt(struct command *c, struct worker *w, const struct reward_input *in,
                            struct reward_result *out, struct str *explain, char why[WORKER_REASON])
{
    enum readiness ready = make_ready(c, w, why);
    if (ready == NOT_STARTED) {
        note_failure(c, why);
        return AGAIN;
    }
    if (ready == STOPPED)
        snprintf(why, WORKER_REASON, "was interrupted");
    if (ready != READY)
        return NO_MORE;
    struct str request = {0};
    long long id = next_id(c);
    protocol_request(&request, id, in, c->group);
    if (request.failed) {
        snprintf(why, WORKER_REASON, "the request found no memory");
        str_free(&request);
        return NO_MORE;
    }
    enum worker_outcome outcome = worker_ask(w, &request, c->timeout, why);
    str_free(&request);
    if (outcome == WORKER_ANSWERED &&
        protocol_answer(out, why, str_text(&w->line), w->line.length, id, c->components,
                        c->n_components, explain)) {
        note_success(c);
        return ANSWERED;
    }
    worker_stop(w, 0);
    if (outcome == WORKER_INTERRUPTED)
        return NO_MORE;
    note_failure(c, why);
    return AGAIN;
}

void command_evaluate(const void *state, const struct reward_input *in, struct reward_result *out,
                      struct str *explain_json)
{
    struct command *c = (struct command *)(uintptr_t)state; /* its workers are what changes */
    char why[WORKER_REASON] = "";
    int worker = take_worker(c), tries = 0;
    enum attempt result = AGAIN;
    while (result == AGAIN && tries < TRIES) {
        tries++;
        result = attempt(c, &c->workers[worker], in, out, explain_json, why);
    }
    give_back(c, worker);
    if (result != ANSWERED)
        reward_set_failed(out, "command: the worker %s%s", why,
                          result == AGAIN ? " (asked twice)" : "");
}
