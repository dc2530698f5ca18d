/* One source, several instruction sets: adam_body.h is compiled for each, and the CPU chooses at run time. */
#include "adam.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Is the error of this libm's pow bounded as adam_body.h needs it? Known for Linux (glibc, musl); elsewhere always call it. */
#if defined(__linux__)
#define POW_IS_KNOWN 1
#else
#define POW_IS_KNOWN 0
#endif

#define JOIN_(name, set) adam_##name##_##set
#define JOIN(name, set) JOIN_(name, set)

/* What every CPU of the family can do; FMA is part of that on ARM, not on x86. */
#define ISA(name) JOIN(name, baseline)
#if defined(__FP_FAST_FMA)
#define HAVE_FMA 1
#else
#define HAVE_FMA 0
#endif
#include "adam_body.h"
static const AdamKernels baseline = {"baseline", ISA(update), ISA(square), ISA(root)};
#undef ISA
#undef HAVE_FMA

#if defined(__x86_64__) && defined(__GNUC__)
#define MICROGPT_X86 1
#define HAVE_FMA 1

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define ISA(name) JOIN(name, avx2)
#include "adam_body.h"
static const AdamKernels avx2 = {"avx2", ISA(update), ISA(square), ISA(root)};
#undef ISA
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,fma,prefer-vector-width=512"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,fma,prefer-vector-width=512")
#endif
#define ISA(name) JOIN(name, avx512)
#include "adam_body.h"
static const AdamKernels avx512 = {"avx512", ISA(update), ISA(square), ISA(root)};
#undef ISA
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

const AdamKernels *adam_kernels(const char *name)
{
    const AdamKernels *found[3];
    size_t n = 0, i;
#ifdef MICROGPT_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        found[n++] = &avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        found[n++] = &avx2;
#endif
    found[n++] = &baseline;
    for (i = 0; i < n; i++)
        if (name == NULL || strcmp(name, found[i]->name) == 0)
            return found[i];
    return NULL;
}
