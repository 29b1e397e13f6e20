/* isa.c: the instruction sets, best first: how each is recognised, and its kernels. The one place
 * that knows which processor family this build is for: elsewhere than on x86-64 only plain C is
 * left.
 *
 * A set counts as available only if the processor has every extension its kernel file is compiled
 * with (Makefile, ISA_*) and the operating system saves its registers. The compiler's
 * __builtin_cpu_supports answers both questions for AVX2 and AVX-512, but neither gcc 12 nor
 * clang 14 knows names for all of AVX512_BF16 and AMX, so those two ask cpuid (Intel SDM volume 2A,
 * leaf 7). AMX needs one thing more: Linux hands out the 8 KiB of tile registers only to a process
 * that asked for them (Documentation/arch/x86/xstate.rst), which is asked here; the permission
 * holds for all threads of the process and asking twice is harmless. */
#include "backend/cpu/isa.h"
#include <string.h>
#include "backend/backend.h"

static bool has_c(void)
{
    return true;
}

#ifdef __x86_64__
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux's names are in asm/prctl.h only in newer headers than Debian 12's. */
enum { REQUEST_STATE_PERMISSION = 0x1023, STATE_TILE_DATA = 18 };

static bool has_avx2(void)
{
    /* F16C has no name in gcc 12; every processor with AVX2 has it, cpuid leaf 1 confirms. */
    unsigned eax, ebx, ecx, edx;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
}

/* The AVX-512 kernels borrow the AVX2 file's transposition, hence the first condition. */
static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

static bool has_avx512bf16(void)
{
    unsigned eax, ebx, ecx, edx;
    return has_avx512() && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax >> 5 & 1);
}

static bool has_amx(void)
{
    unsigned eax, ebx, ecx, edx;
    if (!has_avx512bf16() || !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
        return false;
    if (!(edx >> 22 & 1) || !(edx >> 24 & 1)) /* AMX-BF16, AMX-TILE */
        return false;
    /* XCR0 bits 17 and 18: the kernel saves tile configuration and tile data. (OSXSAVE is implied:
     * AVX is usable.) Inline assembly because _xgetbv wants -mxsave. */
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low >> 17 & 3) != 3)
        return false;
    return syscall(SYS_arch_prctl, REQUEST_STATE_PERMISSION, STATE_TILE_DATA) == 0;
}

#endif

/* Best first; the two lists share their order. f32 has no dot-product instruction: it takes
 * AVX-512's kernel on all of those machines. */
static const char *const names[] = {
#ifdef __x86_64__
    "amx", "avx512bf16", "avx512", "avx2",
#endif
    "c",   NULL};
static const struct isa table[] = {
#ifdef __x86_64__
    {has_amx, &gemm_amx_bf16, &gemm_avx512_f32, &ops_avx512},
    {has_avx512bf16, &gemm_avx512bf16_bf16, &gemm_avx512_f32, &ops_avx512},
    {has_avx512, &gemm_avx512_bf16, &gemm_avx512_f32, &ops_avx512},
    {has_avx2, &gemm_avx2_bf16, &gemm_avx2_f32, &ops_avx2},
#endif
    {has_c, &gemm_c_bf16, &gemm_c_f32, &ops_c},
};

const char *const *device_isa_names(void)
{
    return names;
}

const struct isa *isa_find(const char *name)
{
    for (size_t i = 0; names[i]; i++) {
        if (strcmp(names[i], name) == 0)
            return &table[i];
    }
    return NULL;
}

bool device_isa_available(const char *name)
{
    const struct isa *isa = isa_find(name);
    return isa && isa->available();
}

const char *isa_best(void)
{
    size_t i = 0;
    while (!table[i].available())
        i++;
    return names[i];
}
