/* doctor_machine.c: what the program runs on and what it was built with, as the system tells it. A
 * file that is not there (another system, a closed container) makes a null, never an error. */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/file.h"
#include "base/version.h"
#include "protocol/doctor.h"

/* The text behind "name ... : " of the first such line of a file of /proc. */
static bool proc_line(char *out, size_t size, const char *path, const char *name)
{
    char line[512];
    bool found = false;
    FILE *file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (!colon || strncmp(line, name, strlen(name)) != 0)
            continue;
        colon += 1 + strspn(colon + 1, " \t");
        colon[strcspn(colon, "\n")] = 0;
        snprintf(out, size, "%s", colon);
        found = true;
    }
    if (file)
        fclose(file);
    return found;
}

static json_t *meminfo(const char *name, double *bytes)
{
    char text[64];
    double kib;
    if (!proc_line(text, sizeof text, "/proc/meminfo", name) || sscanf(text, "%lf", &kib) != 1)
        return json_null();
    if (bytes)
        *bytes = kib * 1024;
    return json_integer((json_int_t)(kib * 1024));
}

static json_t *cgroup_limit(double *total)
{
    double limit;
    FILE *file = fopen("/sys/fs/cgroup/memory.max", "re");
    bool known = file && fscanf(file, "%lf", &limit) == 1;
    if (file)
        fclose(file);
    if (known && limit < *total)
        *total = limit;
    return known ? json_integer((json_int_t)limit) : json_null();
}

/* Free bytes where the run folder will be: of the nearest folder above it that exists. */
static double free_disk(const char *out)
{
    char path[4096];
    struct statvfs fs;
    snprintf(path, sizeof path, "%s", out);
    while (!dir_exists(path)) {
        char *slash = strrchr(path, '/');
        if (slash && slash != path)
            *slash = 0;
        else
            snprintf(path, sizeof path, "%s", slash ? "/" : ".");
        if (strcmp(path, "/") == 0 || strcmp(path, ".") == 0)
            break;
    }
    return statvfs(path, &fs) ? 0 : (double)fs.f_bavail * (double)fs.f_frsize;
}

static int cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) ? (int)sysconf(_SC_NPROCESSORS_ONLN)
                                                  : CPU_COUNT(&set);
}

void doctor_machine(struct doctor *d)
{
    char cpu[256];
    json_t *m = doctor_section(d, NULL, "machine"), *available = json_array();
    doctor_put(
        d, m, "cpu",
        doctor_string(proc_line(cpu, sizeof cpu, "/proc/cpuinfo", "model name") ? cpu : NULL));
    doctor_put(d, m, "cores", json_integer(cores()));
    doctor_put(d, m, "threads", json_integer(d->device->threads));
    doctor_put(d, m, "device", doctor_string(d->device->ops->name));
    doctor_put(d, m, "isa", doctor_string(d->device->isa));
    for (const char *const *isa = device_isa_names(); *isa; isa++)
        if (device_isa_available(*isa))
            doctor_push(d, available, json_string(*isa));
    doctor_put(d, m, "isa_available", available);
    doctor_put(d, m, "memory_bytes", meminfo("MemTotal", &d->memory_total));
    doctor_put(d, m, "memory_available_bytes", meminfo("MemAvailable", NULL));
    doctor_put(d, m, "cgroup_limit_bytes", cgroup_limit(&d->memory_total));
    d->disk_free = free_disk(d->out);
    doctor_put(d, m, "disk_free_bytes",
               d->disk_free > 0 ? json_integer((json_int_t)d->disk_free) : json_null());
    json_t *b = doctor_section(d, NULL, "build");
    doctor_put(d, b, "version", json_string(GRPO_VERSION));
    doctor_put(d, b, "compiler", doctor_string(GRPO_COMPILER));
    doctor_put(d, b, "cuda", json_false()); /* not built yet, as the device's error says too */
    doctor_put(d, b, "mpi", json_false());
}
