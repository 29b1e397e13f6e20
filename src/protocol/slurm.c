/* slurm.c: the seeds as an array of a cluster's tasks: a script that reads the seed from its task's
 * number. Shared stages are done by whoever comes first, the others wait for them (protocol.c). */
#include <limits.h>
#include <unistd.h>
#include "base/check.h"
#include "protocol/parts.h"

/* A word as the shell reads it back. */
static void put_word(struct str *out, const char *word)
{
    str_putc(out, '\'');
    for (; *word; word++)
        *word == '\'' ? str_puts(out, "'\\''") : str_putc(out, *word);
    str_putc(out, '\'');
}

int protocol_slurm(struct str *out, const struct protocol_spec *spec, const char *program,
                   struct err *err)
{
    char here[PATH_MAX];
    struct protocol p;
    int status = protocol_open(&p, spec, err);
    if (!status && !getcwd(here, sizeof here))
        status = err_set(err, ERR_MACHINE, ".", "the working folder has no name");
    if (!status) {
        str_printf(out,
                   "#!/bin/sh\n"
                   "# One seed a task; then, when all are done, the report: the same `grpo run` "
                   "without --array.\n"
                   "#SBATCH --job-name=grpo\n"
                   "#SBATCH --array=0-%d\n"
                   "#SBATCH --ntasks=1\n"
                   "#SBATCH --signal=B:TERM@120\n"
                   "#SBATCH --requeue\n"
                   "set -eu\n"
                   "cd ",
                   p.n_seeds - 1);
        put_word(out, here);
        str_puts(out, "\nset --");
        for (int i = 0; i < p.n_seeds; i++)
            str_printf(out, " %d", p.seeds[i]);
        str_puts(out, "\nshift \"$SLURM_ARRAY_TASK_ID\"\nexec ");
        put_word(out, program);
        for (size_t i = 1; i < spec->n_words; i++) {
            str_putc(out, ' ');
            put_word(out, spec->words[i]);
        }
        str_puts(out, " --seeds \"$1\" --to save\n");
        if (out->failed)
            status = err_no_memory(err, "the script", out->capacity);
    }
    protocol_close(&p);
    return status;
}
