/* sql_worker.c: queries in processes of their own; see sql_worker.h.
 *
 * Starting: posix_spawn, which copies neither gigabytes of page tables nor locks that other
 * threads hold, of /proc/self/exe, which is the program that runs even if its file was replaced.
 * The child has a socket as descriptor 3, /dev/null as its input and output, and an empty
 * environment but for UTC. Its first act is to take from itself what it does not need (confine).
 *
 * Talking: one request, one answer, each a length and bytes, on a socket pair. When the caller is
 * gone, by whatever death, the child reads the end of the socket and leaves. (Not
 * PR_SET_PDEATHSIG: that is about the thread that started it, and threads come and go.)
 *
 * Whose fault it is:
 *
 *   a signal of the child's own (SIGSEGV, SIGABRT, SIGBUS, SIGSYS, …), an exit, a broken answer:
 *   the query's, when it happens twice.
 *
 *   SIGPROF: the query took more time of the processor (not of the clock: a busy machine is no
 *   matter) than 0.3 s and 200 ns for each step of its budget. Steps take 10 to 50 ns, under a
 *   sanitizer, which gets five times as much, up to 400; only steps that are long by design get
 *   there. The query's, at once: the time is its own.
 *
 *   SIGKILL: nothing in the child sends it, so the machine did (memory): the machine's.
 *
 *   silence for WALL_SECONDS beyond that: the machine's. */
#include "reward/sql_worker.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sanitizer.h"

static const char command[] = "sql-worker";

enum {
    CHILD_SOCKET = 3,
    MAX_FRAME = 64 << 20,
    OPEN_DATABASES = 6, /* a child keeps so many open */
    WALL_SECONDS = 120
};

/* What stands before the path and the query in a request. */
struct request_header {
    struct sql_budget budget;
    double processor_seconds;
    uint32_t variant, path_length, sql_length, zero;
};

/* --- frames --- */

static bool send_all(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

/* The frame's length stands in its first four bytes, to be filled in. */
static void frame_begin(struct str *frame)
{
    str_clear(frame);
    str_append(frame, "\0\0\0", 4);
}

static bool frame_send(int fd, struct str *frame)
{
    if (frame->failed || frame->length > MAX_FRAME)
        return false;
    uint32_t size = (uint32_t)(frame->length - 4);
    memcpy(frame->data, &size, sizeof size);
    return send_all(fd, frame->data, frame->length);
}

enum received { RECEIVED, CLOSED, SILENT, NO_MEMORY };

/* deadline: milliseconds of the monotonic clock; 0: none. */
static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static enum received receive_all(int fd, char *at, size_t size, int64_t deadline)
{
    while (size) {
        ssize_t n = recv(fd, at, size, deadline ? MSG_DONTWAIT : 0);
        if (n > 0) {
            at += n;
            size -= (size_t)n;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            int64_t left = deadline - now_ms();
            struct pollfd ready = {.fd = fd, .events = POLLIN};
            if (left <= 0)
                return SILENT;
            poll(&ready, 1, (int)(left < 1000 ? left : 1000));
        } else if (!(n < 0 && errno == EINTR)) {
            return CLOSED;
        }
    }
    return RECEIVED;
}

static enum received frame_receive(int fd, struct str *frame, int64_t deadline)
{
    uint32_t size = 0;
    enum received got = receive_all(fd, (char *)&size, sizeof size, deadline);
    if (got != RECEIVED)
        return got;
    if (size > MAX_FRAME)
        return CLOSED;
    str_clear(frame);
    char chunk[4096] = {0};
    for (size_t left = size; left && got == RECEIVED;) {
        size_t n = left < sizeof chunk ? left : sizeof chunk;
        got = receive_all(fd, chunk, n, deadline);
        str_append(frame, chunk, n);
        left -= n;
    }
    return frame->failed ? NO_MEMORY : got;
}

/* --- the child --- */

struct open_database {
    char *path;
    enum sql_variant variant;
    struct stat identity;
    sql_db *db;
    unsigned long used; /* when it was last asked for */
};

struct child {
    struct open_database databases[OPEN_DATABASES];
    unsigned long requests;
    struct str frame;
};

/* Takes away what a child has no use for; a failure of any leaves the others. */
static void confine(void)
{
    static const struct {
        int resource;
        rlim_t limit;
    } limits[] = {{RLIMIT_CORE, 0}, {RLIMIT_FSIZE, 0}, {RLIMIT_NOFILE, 16}};
    for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
        struct rlimit limit = {limits[i].limit, limits[i].limit};
        setrlimit((__rlimit_resource_t)limits[i].resource, &limit);
    }
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    /* What a terminal or a supervisor sends to the whole group is for the caller to answer. */
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXFSZ};
    for (size_t i = 0; i < ARRAY_LENGTH(ignored); i++)
        signal(ignored[i], SIG_IGN);
    signal(SIGPROF, SIG_DFL);
    setenv("TZ", "UTC", 1); /* the modifier 'localtime' means the same everywhere */
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void forget(struct open_database *d)
{
    sql_db_close(d->db);
    mem_free(d->path);
    *d = (struct open_database){0};
}

static int open_variant(sql_db **out, const char *path, enum sql_variant variant, struct err *err)
{
    return variant == SQL_WHOLE ? sql_db_open(out, path, err)
                                : sql_db_half(out, path, variant == SQL_HALF_1, err);
}

/* The database, from the open ones or in the place of the one that was longest unused. */
static int find_database(sql_db **out, struct child *c, const char *path, enum sql_variant variant,
                         struct err *err)
{
    struct open_database *place = &c->databases[0];
    struct stat identity = {0};
    if (stat(path, &identity) != 0)
        return err_set(err, ERR_INPUT, path, "no such database file");
    for (int i = 0; i < OPEN_DATABASES; i++) {
        struct open_database *d = &c->databases[i];
        if (d->db && d->variant == variant && strcmp(d->path, path) == 0) {
            place = d;
            break;
        }
        if (d->used < place->used)
            place = d;
    }
    bool same = place->db && place->variant == variant && strcmp(place->path, path) == 0 &&
                same_file(&place->identity, &identity);
    if (!same) {
        forget(place);
        place->path = mem_strdup(path);
        place->variant = variant;
        place->identity = identity;
        int status = place->path ? open_variant(&place->db, path, variant, err)
                                 : err_no_memory(err, path, strlen(path));
        if (status) {
            forget(place);
            return status;
        }
    }
    place->used = ++c->requests;
    *out = place->db;
    return ERR_NONE;
}

static void allow_seconds(double seconds)
{
    struct itimerval timer = {0};
    timer.it_value.tv_sec = (time_t)seconds;
    timer.it_value.tv_usec = (suseconds_t)((seconds - (double)timer.it_value.tv_sec) * 1e6);
    setitimer(ITIMER_PROF, &timer, NULL);
}

/* false: the request is no request. */
static bool serve(struct child *c)
{
    struct request_header h;
    struct err err = {0};
    struct sql_result result = {0};
    sql_db *db = NULL;
    if (c->frame.length < sizeof h)
        return false;
    memcpy(&h, c->frame.data, sizeof h);
    const char *path = c->frame.data + sizeof h, *sql = path + h.path_length + 1;
    if (h.variant >= SQL_VARIANTS ||
        c->frame.length != sizeof h + (size_t)h.path_length + (size_t)h.sql_length + 2)
        return false;
    if (find_database(&db, c, path, (enum sql_variant)h.variant, &err)) {
        sql_result_set(&result, SQL_MACHINE, "%s: %s", err.where, err.message);
    } else {
        allow_seconds(h.processor_seconds);
        sql_run(db, sql, h.sql_length, &h.budget, &result);
        allow_seconds(0);
    }
    frame_begin(&c->frame); /* path and sql are gone from here on */
    sql_result_put(&c->frame, &result);
    if (c->frame.failed) {
        str_free(&c->frame);
        sql_result_set(&result, SQL_MACHINE, "memory is out");
        frame_begin(&c->frame);
        sql_result_put(&c->frame, &result);
    }
    sql_result_free(&result);
    return frame_send(CHILD_SOCKET, &c->frame);
}

bool sql_worker_asked(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], command) == 0;
}

int sql_worker_main(void)
{
    struct child c = {0};
    int type;
    socklen_t size = sizeof type;
    if (getsockopt(CHILD_SOCKET, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
        fprintf(stderr, "%s: is started by grpo itself, not by hand\n", command);
        return ERR_USAGE;
    }
    confine();
    while (frame_receive(CHILD_SOCKET, &c.frame, 0) == RECEIVED && serve(&c))
        ;
    for (int i = 0; i < OPEN_DATABASES; i++)
        forget(&c.databases[i]);
    str_free(&c.frame);
    return 0;
}

/* --- the pool --- */

struct worker {
    pid_t pid; /* 0: not started */
    int fd;
    bool busy;
    struct str frame;
};

struct sql_pool {
    pthread_mutex_t lock; /* guards `busy`, and pid and fd while not busy */
    pthread_cond_t idle;
    int n;
    struct worker workers[SQL_MAX_WORKERS];
};

int sql_pool_create(sql_pool **out, int workers, struct err *err)
{
    sql_pool *pool = mem_calloc(1, sizeof *pool);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    *out = pool;
    if (!pool)
        return err_no_memory(err, "the SQL workers", sizeof *pool);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->idle, NULL);
    pool->n = workers > 0 ? workers : cores < 1 ? 1 : cores > 4 ? 4 : (int)cores;
    pool->n = pool->n > SQL_MAX_WORKERS ? SQL_MAX_WORKERS : pool->n;
    return ERR_NONE;
}

/* Ends a process if it has not ended, and says how it did. */
static int end_worker(struct worker *w, bool kill_it)
{
    int status = 0;
    if (!w->pid)
        return 0;
    close(w->fd);
    if (kill_it)
        kill(w->pid, SIGKILL);
    while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR)
        ;
    w->pid = 0;
    w->fd = -1;
    return status;
}

void sql_pool_free(sql_pool *pool)
{
    if (!pool)
        return;
    for (int i = 0; i < pool->n; i++) {
        end_worker(&pool->workers[i], true);
        str_free(&pool->workers[i].frame);
    }
    pthread_cond_destroy(&pool->idle);
    pthread_mutex_destroy(&pool->lock);
    mem_free(pool);
}

int sql_pool_workers(const sql_pool *pool)
{
    return pool->n;
}

int sql_pool_processes(sql_pool *pool, pid_t *out, int n)
{
    int count = 0;
    pthread_mutex_lock(&pool->lock);
    for (int i = 0; i < pool->n; i++)
        if (pool->workers[i].pid && count < n)
            out[count++] = pool->workers[i].pid;
    pthread_mutex_unlock(&pool->lock);
    return count;
}

/* A program that has a pool and does not know the hidden command would run as itself, and start
 * others in turn. */
static bool is_worker_itself(void)
{
    char text[4096];
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return false;
    text[n] = 0;
    size_t first = strlen(text) + 1;
    return (ssize_t)first < n && strcmp(text + first, command) == 0;
}

/* The child's descriptors: /dev/null, /dev/null, our standard error, the socket. Those of ours that
 * are not close-on-exec are none of its business, so all from 4 on are closed. */
static int spawn(pid_t *pid, int child_end)
{
    char name[] = "grpo-sql-worker";
    char asked[sizeof command];
    memcpy(asked, command, sizeof command);
    char *const argv[] = {name, asked, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, child_end, CHILD_SOCKET);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, CHILD_SOCKET + 1);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    int status = posix_spawn(pid, "/proc/self/exe", &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return status;
}

/* false: no process; *why says what failed. */
static bool start(struct worker *w, const char **why)
{
    int ends[2];
    if (is_worker_itself()) {
        *why = "this program does not know the command of its own workers";
        return false;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) {
        *why = strerror(errno);
        return false;
    }
    /* dup2 onto itself would leave close-on-exec set */
    int status = 0, child_end = ends[1];
    if (child_end == CHILD_SOCKET)
        child_end = fcntl(child_end, F_DUPFD_CLOEXEC, CHILD_SOCKET + 1);
    status = child_end < 0 ? errno : spawn(&w->pid, child_end);
    if (child_end >= 0 && child_end != ends[1])
        close(child_end);
    close(ends[1]);
    if (status) {
        close(ends[0]);
        w->pid = 0;
        *why = strerror(status);
        return false;
    }
    w->fd = ends[0];
    return true;
}

/* Prefers one that runs. */
static struct worker *take(sql_pool *pool)
{
    struct worker *found = NULL;
    pthread_mutex_lock(&pool->lock);
    while (!found) {
        for (int i = 0; i < pool->n; i++) {
            struct worker *w = &pool->workers[i];
            if (!w->busy && (!found || (w->pid && !found->pid)))
                found = w;
        }
        if (!found)
            pthread_cond_wait(&pool->idle, &pool->lock);
    }
    found->busy = true;
    pthread_mutex_unlock(&pool->lock);
    return found;
}

static void give_back(sql_pool *pool, struct worker *w)
{
    pthread_mutex_lock(&pool->lock);
    w->busy = false;
    pthread_cond_signal(&pool->idle);
    pthread_mutex_unlock(&pool->lock);
}

static double processor_seconds(const struct sql_budget *budget)
{
    double seconds = (0.3 + (double)budget->steps * 200e-9) * (SANITIZED ? 5 : 1);
    return seconds > 60 ? 60 : seconds;
}

static bool put_request(struct str *frame, const struct sql_request *r)
{
    struct request_header h;
    memset(&h, 0, sizeof h);
    h.budget = r->budget;
    h.processor_seconds = processor_seconds(&r->budget);
    h.variant = (uint32_t)r->variant;
    h.path_length = (uint32_t)strlen(r->database);
    h.sql_length = (uint32_t)r->length;
    frame_begin(frame);
    str_append(frame, &h, sizeof h);
    str_append(frame, r->database, h.path_length + 1);
    str_append(frame, r->sql, r->length + 1);
    return !frame->failed;
}

static void describe_end(struct sql_result *out, int status)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        sql_result_set(out, SQL_MACHINE,
                       "the worker process was killed from outside (SIGKILL): "
                       "is memory short?");
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF)
        sql_result_set(out, SQL_CRASHED, "more processor time than its budget of steps allows");
    else if (WIFSIGNALED(status))
        sql_result_set(out, SQL_CRASHED, "the worker process died of signal %d (%s)",
                       WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        sql_result_set(out, SQL_CRASHED, "the worker process left with status %d",
                       WEXITSTATUS(status));
}

/* One attempt. false: deserves another in a fresh process. `stale`: the process had died idle, and
 * the query was not what ended it. */
static bool ask(struct worker *w, const struct sql_request *r, struct sql_result *out, bool *stale)
{
    const char *why = "";
    bool no_memory = false;
    *stale = false;
    if (!w->pid && !start(w, &why)) {
        sql_result_set(out, SQL_MACHINE, "no worker process could be started: %s", why);
        return true;
    }
    if (!put_request(&w->frame, r)) {
        sql_result_set(out, SQL_MACHINE, "out of memory for a request");
        return true;
    }
    if (!frame_send(w->fd, &w->frame)) {
        *stale = true;
        describe_end(out, end_worker(w, true));
        return false;
    }
    int64_t wall = (int64_t)((WALL_SECONDS + processor_seconds(&r->budget)) * 1000);
    enum received got = frame_receive(w->fd, &w->frame, now_ms() + wall);
    if (got == RECEIVED && sql_result_get(out, str_text(&w->frame), w->frame.length, &no_memory))
        return true;
    int status = end_worker(w, got != CLOSED);
    bool slow = WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF;
    if (got == NO_MEMORY || no_memory)
        sql_result_set(out, SQL_MACHINE, "out of memory for a result");
    else if (got == SILENT)
        sql_result_set(out, SQL_MACHINE, "the worker process was silent for %d s",
                       (int)(wall / 1000));
    else if (got == RECEIVED)
        sql_result_set(out, SQL_CRASHED, "the worker process gave a broken answer");
    else
        describe_end(out, status);
    return got == NO_MEMORY || no_memory || slow;
}

void sql_pool_run(sql_pool *pool, const struct sql_request *request, struct sql_result *out)
{
    *out = (struct sql_result){0};
    if (request->length > SQL_MAX_LENGTH) {
        sql_result_set(out, SQL_OVER_BUDGET, "longer than %d bytes", SQL_MAX_LENGTH);
        return;
    }
    struct worker *w = take(pool);
    int crashes = 0, others = 0;
    bool stale = false;
    while (!ask(w, request, out, &stale)) {
        if (stale) /* had ended before it read anything: never the query's doing */
            sql_result_set(out, SQL_MACHINE, "worker processes end at once");
        *(out->outcome == SQL_CRASHED ? &crashes : &others) += 1;
        if (crashes == 2 || others == 2)
            break;
    }
    give_back(pool, w);
}
