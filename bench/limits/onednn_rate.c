/* onednn_rate.c: what oneDNN reaches for the matrices of a 0.5B model with its own packing of the
 * weights: the yardstick that is not ours. Built only where its header is (Debian: libdnnl-dev);
 * nothing else of grpo knows it. Written for the C interface of oneDNN 2 (Debian 12) and 3.
 *
 *   build/release/bench/limits/onednn_rate [threads]
 */
#include "limit.h"
#include <dnnl.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

void omp_set_num_threads(int threads); /* of libgomp, whose threads Debian's oneDNN uses */

static void must(dnnl_status_t status, const char *what)
{
    if (status == dnnl_success)
        return;
    fprintf(stderr, "onednn_rate: %s failed with status %d\n", what, (int)status);
    exit(ERR_MACHINE);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Y (M, N) f32 = X (M, K) · Wᵀ, W (N, K) in whatever layout the library wants. */
struct product {
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    dnnl_memory_t x, w, y;
};

#if DNNL_VERSION_MAJOR >= 3
static void describe(struct product *p, dnnl_engine_t engine, dnnl_data_type_t type,
                     const int64_t *mnk)
{
    dnnl_memory_desc_t x, w, y;
    dnnl_dims_t xd = {mnk[0], mnk[2]}, wd = {mnk[2], mnk[1]}, yd = {mnk[0], mnk[1]};
    must(dnnl_memory_desc_create_with_tag(&x, 2, xd, type, dnnl_ab), "x");
    must(dnnl_memory_desc_create_with_tag(&w, 2, wd, type, dnnl_format_tag_any), "w");
    must(dnnl_memory_desc_create_with_tag(&y, 2, yd, dnnl_f32, dnnl_ab), "y");
    must(dnnl_matmul_primitive_desc_create(&p->desc, engine, x, w, NULL, y, NULL), "matmul");
    const_dnnl_memory_desc_t packed =
        dnnl_primitive_desc_query_md(p->desc, dnnl_query_weights_md, 0);
    must(dnnl_memory_create(&p->x, x, engine, DNNL_MEMORY_ALLOCATE), "x");
    must(dnnl_memory_create(&p->w, packed, engine, DNNL_MEMORY_ALLOCATE), "w");
    must(dnnl_memory_create(&p->y, y, engine, DNNL_MEMORY_ALLOCATE), "y");
    dnnl_memory_desc_destroy(x);
    dnnl_memory_desc_destroy(w);
    dnnl_memory_desc_destroy(y);
}

static size_t size_of(dnnl_memory_t memory)
{
    const_dnnl_memory_desc_t desc;
    must(dnnl_memory_get_memory_desc(memory, &desc), "a size");
    return dnnl_memory_desc_get_size(desc);
}
#else
static void describe(struct product *p, dnnl_engine_t engine, dnnl_data_type_t type,
                     const int64_t *mnk)
{
    dnnl_memory_desc_t x, w, y;
    dnnl_dims_t xd = {mnk[0], mnk[2]}, wd = {mnk[2], mnk[1]}, yd = {mnk[0], mnk[1]};
    must(dnnl_memory_desc_init_by_tag(&x, 2, xd, type, dnnl_ab), "x");
    must(dnnl_memory_desc_init_by_tag(&w, 2, wd, type, dnnl_format_tag_any), "w");
    must(dnnl_memory_desc_init_by_tag(&y, 2, yd, dnnl_f32, dnnl_ab), "y");
    dnnl_matmul_desc_t op;
    must(dnnl_matmul_desc_init(&op, &x, &w, NULL, &y), "matmul");
    must(dnnl_primitive_desc_create(&p->desc, &op, NULL, engine, NULL), "matmul");
    const dnnl_memory_desc_t *packed =
        dnnl_primitive_desc_query_md(p->desc, dnnl_query_weights_md, 0);
    must(dnnl_memory_create(&p->x, &x, engine, DNNL_MEMORY_ALLOCATE), "x");
    must(dnnl_memory_create(&p->w, packed, engine, DNNL_MEMORY_ALLOCATE), "w");
    must(dnnl_memory_create(&p->y, &y, engine, DNNL_MEMORY_ALLOCATE), "y");
}

static size_t size_of(dnnl_memory_t memory)
{
    const dnnl_memory_desc_t *desc;
    must(dnnl_memory_get_memory_desc(memory, &desc), "a size");
    return dnnl_memory_desc_get_size(desc);
}
#endif

static void fill(dnnl_memory_t memory)
{
    void *data;
    must(dnnl_memory_get_data_handle(memory, &data), "an operand");
    memset(data, 0x3c, size_of(memory)); /* 0x3c3c: about 0.0115 in bf16 and in f32 */
}

static double rate(dnnl_engine_t engine, dnnl_stream_t stream, dnnl_data_type_t type,
                   const int64_t *mnk)
{
    struct product p;
    describe(&p, engine, type, mnk);
    must(dnnl_primitive_create(&p.primitive, p.desc), "matmul");
    fill(p.x);
    fill(p.w);
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, p.x}, {DNNL_ARG_WEIGHTS, p.w}, {DNNL_ARG_DST, p.y}};
    double best = 1e30, started = seconds();
    for (int i = 0; i < 4 || seconds() - started < 0.3; i++) {
        double from = seconds();
        must(dnnl_primitive_execute(p.primitive, stream, 3, args), "a product");
        must(dnnl_stream_wait(stream), "a product");
        double took = seconds() - from;
        best = i && took < best ? took : best;
    }
    dnnl_primitive_destroy(p.primitive);
    dnnl_primitive_desc_destroy(p.desc);
    dnnl_memory_destroy(p.x);
    dnnl_memory_destroy(p.w);
    dnnl_memory_destroy(p.y);
    return 2.0 * (double)mnk[0] * (double)mnk[1] * (double)mnk[2] / best;
}

int main(int argc, char **argv)
{
    static const int64_t shapes[][3] = {{1, 3072, 1024},    {16, 3072, 1024},   {32, 3072, 1024},
                                        {16, 32768, 1024},  {512, 32768, 1024}, {1024, 3072, 1024},
                                        {4096, 3072, 1024}, {4096, 1024, 3072}};
    int threads = limit_threads(argc, argv);
    omp_set_num_threads(threads);
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    must(dnnl_engine_create(&engine, dnnl_cpu, 0), "the engine");
    must(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "the stream");
    for (int f32 = 0; f32 < 2; f32++) {
        double best = 0;
        printf("oneDNN %d.%d %s, %d threads\n", DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR,
               f32 ? "f32" : "bf16", threads);
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            double got = rate(engine, stream, f32 ? dnnl_f32 : dnnl_bf16, shapes[i]);
            printf("  M %-5d N %-6d K %-5d %8.0f GFLOP/s\n", (int)shapes[i][0], (int)shapes[i][1],
                   (int)shapes[i][2], got * 1e-9);
            fflush(stdout);
            best = got > best ? got : best;
        }
        printf("  best %.0f GFLOP/s\n", best * 1e-9);
    }
    dnnl_stream_destroy(stream);
    dnnl_engine_destroy(engine);
    return 0;
}
