// Asks the processor once, when the library is loaded: __builtin_cpu_supports says no to everything where zig compiles.
#include "cpu.h"

cpu this_cpu;

#if defined(__x86_64__)
#include <cpuid.h>

// Whether the system saves the upper halves of the vector registers.
static bool keeps_vectors(void)
{
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & 6) == 6;
}

__attribute__((constructor)) static void ask(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return;
    this_cpu.has_clmul = (c & bit_PCLMUL) && (c & bit_SSE4_1);
    if ((c & bit_OSXSAVE) && keeps_vectors() && __get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        this_cpu.has_avx2 = (b & bit_AVX2) != 0;
        this_cpu.has_bmi2 = (b & bit_BMI2) != 0;
    }
}

#endif
