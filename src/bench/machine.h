/* machine.h: which machine this is and what it can do, measured by the probes. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H
#include "backend/backend.h"
#include "base/json.h"
#include "bench/counts.h"

struct machine {
    char cpu[128];     /* the processor's name; "" when the system does not tell */
    char vendor[32];   /* as cpuid has it: "AuthenticAMD"; "unknown" */
    int family, model; /* 0: not told */
    char isa[32];      /* instruction set that is measured: the device's */
    int threads;       /* */
    enum precision precision;
    double bf16, f32, read; /* operations a second; bytes a second: the better of two */
    /* How far the first and the last measurement of these are apart, at most: 0.2 is 20%. On a
     * machine of one's own they differ by a few percent. */
    double unsteady;
    /* What a stored run is filed under: vendor, family, instruction set, threads, e.g.
     * "AuthenticAMD-26-avx512bf16-2". Machines of one kind may still differ in memory. */
    char kind[128];
};

/* Names the machine and measures it. quick: in a second or so. */
int machine_measure(struct machine *out, const struct device *d, bool quick, struct err *err);
/* Measures the same machine once more and keeps the better rates. */
int machine_measure_again(struct machine *m, const struct device *d, bool quick, struct err *err);
/* The rates that floors are made with: of the device's precision. */
struct count_rates machine_rates(const struct machine *m);
void machine_write(struct json_writer *w, const struct machine *m); /* one object */
void machine_print(struct str *out, const struct machine *m);       /* lines for people */

#endif
