/* backend.c: choosing a device by name; see backend.h. */
#include "backend/backend.h"
#include <string.h>
#include "backend/cpu/cpu.h"

int device_open(struct device **out, const struct device_options *options, struct err *err)
{
    const char *name = options->device ? options->device : "cpu";
    if (strcmp(name, "cpu") == 0)
        return cpu_open(out, options, err);
    if (strncmp(name, "cuda", 4) == 0)
        return err_set(err, ERR_MACHINE, "--device",
                       "this build has no CUDA backend; use --device cpu");
    return err_set(err, ERR_USAGE, "--device", "\"%.40s\" is no device; known: cpu", name);
}

void device_close(struct device *d)
{
    if (d)
        cpu_close(d);
}
