/* machine.c: the machine's name from the system, its rates from the probes; see machine.h. */
#include "bench/machine.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench/probe.h"

/* The text behind "name : " of the first such line of /proc/cpuinfo. */
static void cpuinfo(char *out, size_t size, const char *name)
{
    char line[512];
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        size_t length = strlen(name);
        if (!colon || strncmp(line, name, length) != 0 ||
            line[length + strspn(line + length, " \t")] != ':')
            continue;
        colon += 1 + strspn(colon + 1, " \t");
        colon[strcspn(colon, "\n")] = 0;
        snprintf(out, size, "%s", colon);
        break;
    }
    if (file)
        fclose(file);
}

static int cpuinfo_number(const char *name)
{
    char text[32] = "0";
    cpuinfo(text, sizeof text, name);
    return (int)strtol(text, NULL, 0);
}

static void name_machine(struct machine *m, const struct device *d)
{
    *m = (struct machine){.threads = d->threads, .precision = d->precision, .vendor = "unknown"};
    cpuinfo(m->cpu, sizeof m->cpu, "model name");
    cpuinfo(m->vendor, sizeof m->vendor, "vendor_id");
    m->family = cpuinfo_number("cpu family");
    m->model = cpuinfo_number("model");
    snprintf(m->isa, sizeof m->isa, "%s", d->isa);
    snprintf(m->kind, sizeof m->kind, "%s-%d-%s-%d", m->vendor, m->family, m->isa, m->threads);
}

static int matrix_rate(double *rate, const struct machine *m, enum precision precision,
                       struct team *team, bool quick, struct err *err)
{
    const struct probe_kernel *p = probe_find(m->isa, precision);
    if (!p)
        return err_set(err, ERR_MACHINE, "probe", "there is none for instruction set \"%s\"",
                       m->isa);
    return probe_matrix_rate(rate, p, team, quick ? 0.2 : 2, err);
}

int machine_measure(struct machine *m, const struct device *d, bool quick, struct err *err)
{
    size_t block = (size_t)(quick ? 1 : 4) << 28; /* above every cache */
    struct team *team;
    name_machine(m, d);
    int status = team_open(&team, m->threads, err);
    if (!status)
        status = matrix_rate(&m->f32, m, PRECISION_F32, team, quick, err);
    if (!status && probe_find(m->isa, PRECISION_BF16)->precision == PRECISION_F32)
        m->bf16 = m->f32; /* no bf16 products: they are widened and done in f32 */
    else if (!status)
        status = matrix_rate(&m->bf16, m, PRECISION_BF16, team, quick, err);
    if (!status)
        status = probe_best_read_rate(&m->read, block, team, quick ? 2 : 6, err);
    team_close(team);
    return status;
}

/* *best becomes the better of the two. */
static void keep_better(double *best, double *unsteady, double again)
{
    double low = again < *best ? again : *best, high = again < *best ? *best : again;
    *best = high;
    if (high / low - 1 > *unsteady)
        *unsteady = high / low - 1;
}

int machine_measure_again(struct machine *m, const struct device *d, bool quick, struct err *err)
{
    struct machine again;
    int status = machine_measure(&again, d, quick, err);
    if (status)
        return status;
    keep_better(&m->bf16, &m->unsteady, again.bf16);
    keep_better(&m->f32, &m->unsteady, again.f32);
    keep_better(&m->read, &m->unsteady, again.read);
    return ERR_NONE;
}

struct count_rates machine_rates(const struct machine *m)
{
    return (struct count_rates){m->precision == PRECISION_BF16 ? m->bf16 : m->f32, m->read};
}

void machine_write(struct json_writer *w, const struct machine *m)
{
    jw_object_begin(w);
    jw_key(w, "kind");
    jw_text(w, m->kind);
    jw_key(w, "cpu");
    jw_text(w, m->cpu);
    jw_key(w, "vendor");
    jw_text(w, m->vendor);
    jw_key(w, "family");
    jw_int(w, m->family);
    jw_key(w, "model");
    jw_int(w, m->model);
    jw_key(w, "isa");
    jw_text(w, m->isa);
    jw_key(w, "threads");
    jw_int(w, m->threads);
    jw_key(w, "precision");
    jw_text(w, m->precision == PRECISION_BF16 ? "bf16" : "f32");
    jw_key(w, "bf16_gflops");
    jw_double(w, m->bf16 * 1e-9);
    jw_key(w, "f32_gflops");
    jw_double(w, m->f32 * 1e-9);
    jw_key(w, "read_gbytes");
    jw_double(w, m->read * 1e-9);
    jw_key(w, "unsteady");
    jw_double(w, m->unsteady);
    jw_object_end(w);
}

void machine_print(struct str *out, const struct machine *m)
{
    str_printf(out, "machine %s: %s\n", m->kind, m->cpu[0] ? m->cpu : "unknown processor");
    str_printf(
        out,
        "can do, by probes of this run: %.0f GFLOP/s in bf16, %.0f in f32 (packed products); "
        "%.1f GB/s of reading\n",
        m->bf16 * 1e-9, m->f32 * 1e-9, m->read * 1e-9);
}
