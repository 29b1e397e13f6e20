/* seeds.c: seeds as processes of this program, `jobs` at a time. A process of its own keeps a crash
 * to its seed, and gives each its share of the cores.
 *
 * A child is its own process group, so that ^C reaches this process alone, which hands it on once:
 * a second signal would end the child without saving. When this process is killed the system kills
 * the child (PR_SET_PDEATHSIG): a run that is started again finds no one in the seed's folder. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/interrupt.h"
#include "base/log.h"
#include "base/mem.h"
#include "protocol/parts.h"

/* The words of the child's command line; the texts of numbers are in *room. */
static const char **make_words(const struct protocol *p, int seed, int jobs, struct str *room,
                               struct err *err)
{
    const struct protocol_spec *spec = p->spec;
    int from = spec->from > STAGE_SMOKE ? spec->from : STAGE_SMOKE;
    int to = spec->to < STAGE_SAVE ? spec->to : STAGE_SAVE;
    int threads = p->d.device->threads / (jobs > 1 ? jobs : 1);
    const char **words = mem_alloc((spec->n_words + 12) * sizeof *words);
    str_printf(room, "%d%c%d", seed, 0, threads > 0 ? threads : 1);
    if (!words || room->failed) {
        mem_free(words);
        err_no_memory(err, "a seed's command line", spec->n_words);
        return NULL;
    }
    size_t n = 0;
    for (; n < spec->n_words; n++)
        words[n] = spec->words[n];
    const char *number = str_text(room);
    const char *const own[] = {"--seeds",   number,
                               "--threads", number + strlen(number) + 1,
                               "--from",    stage_name((enum stage)from),
                               "--to",      stage_name((enum stage)to)};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        words[n++] = own[i];
    if (jobs > 1 && !spec->quiet)
        words[n++] = "--quiet"; /* several progresses would write over each other */
    words[n] = NULL;
    return words;
}

static void become(const char *const *words, pid_t parent)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before the line above */
        _exit(ERR_INTERRUPTED);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    execv("/proc/self/exe", (char *const *)words);
    _exit(ERR_MACHINE);
}

static int start(struct protocol *p, struct seed_state *s, int jobs, struct err *err)
{
    struct str room = {0};
    const char **words = make_words(p, s->seed, jobs, &room, err);
    int status = words ? ERR_NONE : ERR_MACHINE;
    if (!status) {
        pid_t parent = getpid();
        fflush(NULL);
        s->pid = fork();
        if (s->pid == 0)
            become(words, parent);
        if (s->pid < 0)
            status = err_set(err, ERR_MACHINE, "seeds", "no process for seed %d: %s", s->seed,
                             strerror(errno));
    }
    mem_free(words);
    str_free(&room);
    return status;
}

/* Whether it has ended, and how. */
static bool has_ended(struct seed_state *s)
{
    int code;
    pid_t found = waitpid((pid_t)s->pid, &code, WNOHANG);
    if (found == 0 || (found < 0 && errno == EINTR))
        return false;
    s->pid = 0;
    s->signal = found > 0 && WIFSIGNALED(code) ? WTERMSIG(code) : 0;
    s->status = found > 0 && WIFEXITED(code) ? WEXITSTATUS(code) : ERR_MACHINE;
    if (s->signal)
        log_warn("seed %d was ended by signal %d (%s); what it saved stays, and the same command "
                 "goes on from there",
                 s->seed, s->signal, strsignal(s->signal));
    return true;
}

static void stop_all(const struct seed_state *seeds, int n)
{
    for (int i = 0; i < n; i++)
        if (seeds[i].pid > 0)
            kill((pid_t)seeds[i].pid, SIGTERM);
}

int seeds_run(struct protocol *p, struct seed_state *seeds, int n, struct err *err)
{
    int due = 0, live = 0, next = 0, status = ERR_NONE;
    bool stopping = false;
    for (int i = 0; i < n; i++)
        due += seeds[i].due;
    int jobs = p->spec->jobs < due ? p->spec->jobs : due;
    bool watched = jobs > 1 && !p->spec->quiet;
    struct watch watch;
    if (!due)
        return ERR_NONE;
    if (watched)
        watch_begin(&watch, p, seeds, n);
    while (live || (next < n && !stopping && !status)) {
        for (; next < n && live < jobs && !stopping && !status; next++) {
            if (!seeds[next].due)
                continue;
            status = start(p, &seeds[next], jobs, err);
            live += !status;
        }
        if (interrupt_requested() && !stopping) {
            stopping = true;
            stop_all(seeds, n);
        }
        for (int i = 0; i < n; i++)
            if (seeds[i].pid > 0 && has_ended(&seeds[i]))
                live--;
        if (watched)
            watch_look(&watch);
        poll(NULL, 0, live ? 20 : 0);
    }
    if (watched)
        watch_end(&watch);
    if (!status && stopping)
        status = err_set(err, ERR_INTERRUPTED, p->dir,
                         "interrupted; the same command goes on from what is saved");
    return status;
}
