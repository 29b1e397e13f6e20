/* worker.c: one child process, its pipes and its end; see worker.h.
 *
 * Starting: posix_spawn, which does not copy the page tables of a process that holds gigabytes and
 * may be called beside other threads. Limits cannot be given to it, so what is spawned is
 * `/bin/sh -c 'ulimit …; exec "$@"'`: set before the program runs, inherited by all it starts. All
 * descriptors of ours are close-on-exec; closefrom catches those of libraries that are not.
 *
 * Waiting: one poll over the three pipes, so a child that fills its standard error, or writes
 * before it has read, blocks neither itself nor us. Between questions nobody reads: a child that
 * writes then waits for the next question. poll wakes up ten times a second to look for what no
 * pipe tells: a signal to us, and the end of a child whose own children hold the pipes open.
 *
 * Ending: the process group is killed before its leader is reaped. Until then the leader's number,
 * which is the group's, cannot be given to another process. (A descendant that leaves the group,
 * by setsid, is out of reach.) */
#include "reward/worker.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/interrupt.h"
#include "base/log.h"
#include "reward/rewards.h"

enum { SLICE_MS = 100, CHUNK = 4096, DRAIN = 64 * 1024 };
#define REAP_SECONDS 5.0 /* a killed process that is still there then cannot be reaped at all */
#define END_SECONDS 0.2  /* how long a closed pipe may come before the end that explains it */

/* --- starting --- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* The child's ends in fds[0 … 3) as its 0, 1, 2; what is open besides is closed. */
static int spawn(pid_t *pid, const int fds[3], char *const argv[])
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    static const int reset[] = {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD};
    for (size_t i = 0; i < sizeof reset / sizeof *reset; i++)
        sigaddset(&defaults, reset[i]);
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (failed) {
        posix_spawn_file_actions_destroy(&actions);
        return failed;
    }
    for (int i = 0; i < 3 && !failed; i++)
        failed = posix_spawn_file_actions_adddup2(&actions, fds[i], i);
    if (!failed)
        failed = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    if (!failed)
        failed = posix_spawnattr_setflags(
            &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    if (!failed)
        failed = posix_spawnattr_setpgroup(&attributes, 0);
    if (!failed)
        failed = posix_spawnattr_setsigdefault(&attributes, &defaults);
    if (!failed)
        failed = posix_spawnattr_setsigmask(&attributes, &none);
    if (!failed)
        failed = posix_spawn(pid, "/bin/sh", &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static bool cannot_start(char why[WORKER_REASON], int error)
{
    snprintf(why, WORKER_REASON, "cannot be started: %s", strerror(error));
    return false;
}

bool worker_exists(const char *program, char why[WORKER_REASON])
{
    char copy[1024];
    if ((size_t)snprintf(copy, sizeof copy, "%s", program) >= sizeof copy) {
        snprintf(why, WORKER_REASON, "its name is longer than %zu bytes", sizeof copy - 1);
        return false;
    }
    char *const argv[] = {"/bin/sh", "-c", "command -v \"$1\"", "grpo", copy, NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), status = 0;
    int fds[3] = {null, null, null};
    pid_t pid = 0;
    int failed = null < 0 ? errno : spawn(&pid, fds, argv);
    while (!failed && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    close_fd(&null);
    if (failed)
        return cannot_start(why, failed);
    if (status == 0)
        return true;
    snprintf(why, WORKER_REASON, "%s",
             strchr(program, '/') ? "there is no such program" : "no such program is in PATH");
    return false;
}

/* theirs[i] is what the child gets as descriptor i, ours[i] the other end. */
static int open_pipes(int ours[3], int theirs[3])
{
    for (int i = 0; i < 3; i++)
        ours[i] = theirs[i] = -1;
    for (int i = 0; i < 3; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC))
            return errno;
        theirs[i] = ends[i == 0 ? 0 : 1];
        ours[i] = ends[i == 0 ? 1 : 0];
        if (fcntl(ours[i], F_SETFL, O_NONBLOCK))
            return errno;
    }
    return 0;
}

/* $1: KiB of address space, or 0; then the program and its arguments. */
static const char launcher[] =
    "ulimit -c 0; [ \"$1\" = 0 ] || ulimit -v \"$1\" || exit 126; shift; exec \"$@\"";

bool worker_start(struct worker *w, const struct worker_spec *spec, char why[WORKER_REASON])
{
    char limit[32], *argv[WORKER_MAX_ARGUMENTS + 6] = {"/bin/sh", "-c", (char *)(uintptr_t)launcher,
                                                       "grpo", limit};
    if (spec->argc > WORKER_MAX_ARGUMENTS)
        return cannot_start(why, E2BIG);
    snprintf(limit, sizeof limit, "%lld", spec->memory_mib * 1024);
    for (int i = 0; i < spec->argc; i++)
        argv[5 + i] = spec->argv[i];
    int ours[3], theirs[3];
    pid_t pid = 0;
    int failed = open_pipes(ours, theirs);
    if (!failed)
        failed = spawn(&pid, theirs, argv);
    for (int i = 0; i < 3; i++) {
        close_fd(&theirs[i]);
        if (failed)
            close_fd(&ours[i]);
    }
    if (failed)
        return cannot_start(why, failed);
    w->pid = pid;
    w->in = ours[0];
    w->out = ours[1];
    w->err = ours[2];
    w->log = spec->log;
    str_clear(&w->line);
    w->tail_length = 0;
    return true;
}

/* --- its standard error --- */

static void keep_tail(struct worker *w, const char *bytes, size_t n)
{
    if (n > WORKER_TAIL) {
        bytes += n - WORKER_TAIL;
        n = WORKER_TAIL;
    }
    size_t kept = w->tail_length + n > WORKER_TAIL ? WORKER_TAIL - n : w->tail_length;
    memmove(w->tail, w->tail + w->tail_length - kept, kept);
    memcpy(w->tail + kept, bytes, n);
    w->tail_length = kept + n;
}

static void copy_to_log(const struct worker *w, const char *bytes, size_t n)
{
    while (w->log >= 0 && n) { /* a log that cannot be written is no reason to stop */
        ssize_t done = write(w->log, bytes, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return;
        bytes += done;
        n -= (size_t)done;
    }
}

/* What is there now, and no more than DRAIN: one that never stops must not hold us here. */
static void drain_errors(struct worker *w)
{
    char bytes[CHUNK];
    for (size_t total = 0; w->err >= 0 && total < DRAIN;) {
        ssize_t n = read(w->err, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            close_fd(&w->err);
            return;
        }
        keep_tail(w, bytes, (size_t)n);
        copy_to_log(w, bytes, (size_t)n);
        total += (size_t)n;
    }
}

/* Adds the last line that is not blank: of a traceback it is the one that tells. */
static void add_last_line(const struct worker *w, char why[WORKER_REASON])
{
    size_t end = w->tail_length;
    while (end && strchr(" \t\r\n", w->tail[end - 1]) && w->tail[end - 1])
        end--;
    size_t start = end, used = strlen(why);
    while (start && w->tail[start - 1] != '\n')
        start--;
    struct str text = {0};
    log_printable(&text, w->tail + start, end - start, 100);
    if (end > start && !text.failed && used < WORKER_REASON)
        snprintf(why + used, WORKER_REASON - used, "; its standard error ends: %s",
                 str_text(&text));
    reward_end_text(why);
    str_free(&text);
}

/* --- its end --- */

/* It stays a zombie, and the number its own. info->si_code is 0 when someone else has reaped it. */
static bool has_ended(const struct worker *w, siginfo_t *info)
{
    *info = (siginfo_t){0};
    int status = waitid(P_PID, (id_t)w->pid, info, WEXITED | WNOHANG | WNOWAIT);
    return status ? errno == ECHILD : info->si_pid == w->pid;
}

bool worker_alive(const struct worker *w)
{
    siginfo_t info;
    return w->pid && !has_ended(w, &info);
}

static bool ends_within(struct worker *w, double seconds, siginfo_t *info)
{
    double until = clock_seconds() + seconds;
    bool ended;
    while (!(ended = has_ended(w, info)) && clock_seconds() < until) {
        struct pollfd p = {.fd = w->err, .events = POLLIN};
        poll(&p, 1, 1);
        drain_errors(w);
    }
    return ended;
}

void worker_end_input(struct worker *w)
{
    if (w->pid)
        close_fd(&w->in);
}

void worker_stop(struct worker *w, double patience)
{
    siginfo_t info;
    if (w->pid) {
        worker_end_input(w);
        if (patience > 0)
            ends_within(w, patience, &info);
        kill(-w->pid, SIGKILL);
        if (ends_within(w, REAP_SECONDS, &info))
            waitpid(w->pid, NULL, WNOHANG);
        close_fd(&w->out);
        close_fd(&w->err);
    }
    str_free(&w->line);
    *w = (struct worker){0};
}

/* A pipe closed, or it is gone: says what happened. */
static enum worker_outcome ended(struct worker *w, const char *pipe, char why[WORKER_REASON])
{
    siginfo_t info;
    if (!ends_within(w, END_SECONDS, &info))
        snprintf(why, WORKER_REASON, "closed its standard %s", pipe);
    else if (info.si_code == CLD_EXITED)
        snprintf(why, WORKER_REASON, "ended with exit status %d", info.si_status);
    else if (info.si_code)
        snprintf(why, WORKER_REASON, "was ended by signal %d (%s)", info.si_status,
                 strsignal(info.si_status));
    else
        snprintf(why, WORKER_REASON, "ended");
    drain_errors(w);
    add_last_line(w, why);
    return WORKER_BROKEN;
}

/* --- asking --- */

/* Without SIGPIPE, whatever the program does about that signal: it is held back for this thread,
 * and one that came is taken away again. */
static ssize_t write_quietly(int fd, const char *bytes, size_t n)
{
    sigset_t pipe_only, before, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    ssize_t done = write(fd, bytes, n);
    int error = errno;
    if (done < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE)) {
        const struct timespec now = {0};
        while (sigtimedwait(&pipe_only, NULL, &now) < 0 && errno == EINTR) {
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return done;
}

enum progress_kind { GOES_ON, CLOSED, LINE_DONE, TOO_LONG, TOO_MANY, NO_MEMORY };

static enum progress_kind send_more(struct worker *w, const struct str *request, size_t *sent)
{
    ssize_t n = write_quietly(w->in, request->data + *sent, request->length - *sent);
    if (n >= 0)
        *sent += (size_t)n;
    else if (errno != EAGAIN && errno != EINTR)
        return CLOSED;
    return GOES_ON;
}

static enum progress_kind receive_more(struct worker *w)
{
    char bytes[CHUNK];
    ssize_t n;
    while ((n = read(w->out, bytes, sizeof bytes)) > 0) {
        const char *end = memchr(bytes, '\n', (size_t)n);
        str_append(&w->line, bytes, end ? (size_t)(end - bytes) : (size_t)n);
        if (w->line.failed)
            return NO_MEMORY;
        if (w->line.length > WORKER_MAX_ANSWER)
            return TOO_LONG;
        if (end)
            return end + 1 == bytes + n ? LINE_DONE : TOO_MANY;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return GOES_ON;
    return CLOSED;
}

/* One round of the three pipes. */
static enum progress_kind turn(struct worker *w, const struct str *request, size_t *sent,
                               double seconds_left)
{
    bool sending = *sent < request->length;
    struct pollfd p[3] = {{.fd = sending ? w->in : -1, .events = POLLOUT},
                          {.fd = w->out, .events = POLLIN},
                          {.fd = w->err, .events = POLLIN}};
    double ms = seconds_left * 1000;
    int n = poll(p, 3, ms < SLICE_MS ? (int)ms + 1 : SLICE_MS);
    if (n > 0 && p[2].revents)
        drain_errors(w);
    if (n > 0 && p[1].revents)
        return receive_more(w);
    if (n > 0 && p[0].revents)
        return send_more(w, request, sent);
    siginfo_t info;
    if (n == 0 && has_ended(w, &info)) { /* what it wrote last may have come since the poll */
        enum progress_kind last = receive_more(w);
        return last == GOES_ON ? CLOSED : last;
    }
    return GOES_ON;
}

enum worker_outcome worker_ask(struct worker *w, const struct str *request, double seconds,
                               char why[WORKER_REASON])
{
    double until = clock_seconds() + seconds;
    size_t sent = 0;
    str_clear(&w->line);
    while (true) {
        double left = until - clock_seconds();
        if (interrupt_requested()) {
            snprintf(why, WORKER_REASON, "was interrupted");
            return WORKER_INTERRUPTED;
        }
        if (left <= 0) {
            snprintf(why, WORKER_REASON, "gave no answer within %g s", seconds);
            drain_errors(w);
            add_last_line(w, why);
            return WORKER_BROKEN;
        }
        switch (turn(w, request, &sent, left)) {
        case GOES_ON:
            break;
        case LINE_DONE:
            if (sent == request->length)
                return WORKER_ANSWERED;
            snprintf(why, WORKER_REASON, "answered before it had read the request");
            return WORKER_BROKEN;
        case CLOSED:
            return ended(w, sent < request->length ? "input" : "output", why);
        case TOO_LONG:
            snprintf(why, WORKER_REASON, "wrote a line of more than %d bytes; expected one answer",
                     WORKER_MAX_ANSWER);
            return WORKER_BROKEN;
        case TOO_MANY:
            snprintf(why, WORKER_REASON,
                     "wrote more than one line for one request (notes belong on standard error)");
            return WORKER_BROKEN;
        case NO_MEMORY:
            snprintf(why, WORKER_REASON, "its answer found no memory");
            return WORKER_BROKEN;
        }
    }
}
