/* support.c: see support.h. */
#include "support.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

char *temp_folder(void)
{
    char template[] = "/tmp/grpo-test-XXXXXX";
    char *path = mkdtemp(template);
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
