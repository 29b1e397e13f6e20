/* read_bandwidth.c: bytes a second of reading 1 GiB once, all threads side by side, huge pages
 * where the system gives them, by how far ahead is prefetched. The best line is what `grpo bench`
 * takes for the machine's read rate.
 *
 *   build/release/bench/limits/read_bandwidth [threads]
 */
#include "limit.h"
#include <string.h>
#include "base/mem.h"
#include "bench/probe.h"

int main(int argc, char **argv)
{
    static const size_t distances[] = {0, 512, 1024, 2048, 4096};
    struct team *team = limit_team(limit_threads(argc, argv));
    size_t bytes = (size_t)1 << 30;
    char *data = mem_alloc_aligned(bytes);
    if (!data) {
        fprintf(stderr, "read_bandwidth: no memory for %zu bytes\n", bytes);
        return ERR_MACHINE;
    }
    memset(data, 1, bytes);
    printf("reads of 1 GiB, %d threads\n", team_threads(team));
    for (size_t i = 0; i < sizeof distances / sizeof *distances; i++) {
        double rate = probe_read_rate(data, bytes, distances[i], team, 6, NULL);
        printf("  prefetch %4zu bytes ahead %8.1f GB/s\n", distances[i], rate * 1e-9);
    }
    mem_free_aligned(data);
    team_close(team);
    return 0;
}
