/* support.c: see support.h. */
#include "support.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *fixture(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "tests/oracle/%s", name);
    return path;
}

const char *asset(const char *name)
{
    static char path[1024];
    const char *root = getenv("GRPO_ASSETS");
    snprintf(path, sizeof path, "%s/%s", root ? root : "../shared/assets", name);
    if (access(path, R_OK) == 0)
        return path;
    print_message("skip: asset %s is not here (GRPO_ASSETS)\n", name);
    return NULL;
}

/* Runs write every checkpoint through to the disk, and a busy disk makes that minutes: memory,
 * where there is a gigabyte of it. */
char *temp_folder(void)
{
    char in_memory[] = "/dev/shm/grpo-test-XXXXXX", on_disk[] = "/tmp/grpo-test-XXXXXX";
    struct statvfs fs;
    char *path = NULL;
    if (statvfs("/dev/shm", &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize >= 1u << 30)
        path = mkdtemp(in_memory);
    if (!path)
        path = mkdtemp(on_disk);
    assert_non_null(path);
    return strdup(path);
}

void temp_folder_remove(char *path)
{
    char command[1200];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
    free(path);
}

/* A millisecond; false when the child is no more. */
static bool wait_a_little(pid_t child)
{
    siginfo_t info = {0};
    nanosleep(&(struct timespec){0, 1000000}, NULL);
    return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

static int lines_of(const char *path)
{
    int lines = 0;
    FILE *file = fopen(path, "r");
    for (int c; file && (c = getc(file)) != EOF;)
        lines += c == '\n';
    if (file)
        fclose(file);
    return lines;
}

bool wait_for_lines(pid_t child, const char *path, int lines)
{
    while (lines_of(path) < lines)
        if (!wait_a_little(child))
            return false;
    return true;
}

/* Linux: "SigCgt:" in /proc/PID/status has a bit for each signal that is caught. */
static bool handles(pid_t child, int signal)
{
    char path[64], line[256];
    unsigned long long caught = 0;
    snprintf(path, sizeof path, "/proc/%ld/status", (long)child);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "SigCgt: %llx", &caught) == 1)
            break;
    if (file)
        fclose(file);
    return caught >> (signal - 1) & 1;
}

bool wait_for_handler(pid_t child, int signal)
{
    while (!handles(child, signal))
        if (!wait_a_little(child))
            return false;
    return true;
}

int sweep_step(int step)
{
    const char *text = getenv("GRPO_SWEEP");
    int times = text && *text ? atoi(text) : 1;
    if (times < 1)
        fail_msg("GRPO_SWEEP is %s, not a number from 1 on", text);
    return step * times;
}

double relative_l2(const float *a, const float *b, size_t n)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        double e = (double)a[i] - b[i];
        difference += e * e;
        norm += (double)b[i] * b[i];
    }
    if (difference == 0)
        return 0;
    return sqrt(difference / norm);
}

double max_abs_difference(const float *a, const float *b, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double e = fabs((double)a[i] - b[i]);
        if (!(e <= worst))
            worst = e;
    }
    return worst;
}
