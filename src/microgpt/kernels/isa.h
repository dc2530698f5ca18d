/* The instruction sets that the kernels are compiled for, and which of them this CPU runs.

   Each family of kernels (rows, adam, fused) has a file for each set, FAMILY_SET.c. It includes isa_SET.h, which tells the
   compiler what it may use, and FAMILY_body.h, the code. There everything is static but one table of functions, KERNELS.
   isa_SET.h defines LANES, the doubles in a vector register (1: no vector types), and HAVE_FMA, whether fma() is one
   instruction; for a CPU of another family it defines neither, and the file compiles to nothing. */
#ifndef MICROGPT_ISA_H
#define MICROGPT_ISA_H

#include <stddef.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define MICROGPT_X86 1
#endif

enum { ISA_BASELINE, ISA_AVX2, ISA_AVX512, ISA_COUNT };

static const char *const isa_names[ISA_COUNT] = {"baseline", "avx2", "avx512"};

/* As in MICROGPT_ISA. */
static inline const char *isa_name(int isa) { return isa_names[isa]; }

static inline int isa_runs(int isa)
{
#ifdef MICROGPT_X86
    __builtin_cpu_init();
    if (isa == ISA_AVX512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (isa == ISA_AVX2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return isa == ISA_BASELINE;
}

/* The instruction set of this name, the best one for NULL; -1 if there is none of it or this CPU cannot run it. */
static inline int isa_find(const char *name)
{
    int isa;
    for (isa = ISA_COUNT - 1; isa >= 0; isa--)
        if (isa_runs(isa) && (name == NULL || strcmp(name, isa_names[isa]) == 0))
            return isa;
    return -1;
}

/* Declares the tables of a family, and a function that gives the one of an instruction set, NULL where there is none. */
#ifdef MICROGPT_X86
#define KERNEL_TABLES(Kernels, function, family)                                                                         \
    extern const Kernels family##_baseline, family##_avx2, family##_avx512;                                             \
    static inline const Kernels *function(int isa)                                                                      \
    {                                                                                                                   \
        return isa == ISA_AVX512 ? &family##_avx512 : isa == ISA_AVX2 ? &family##_avx2                                  \
             : isa == ISA_BASELINE ? &family##_baseline : NULL;                                                         \
    }
#else
#define KERNEL_TABLES(Kernels, function, family)                                                                         \
    extern const Kernels family##_baseline;                                                                             \
    static inline const Kernels *function(int isa) { return isa == ISA_BASELINE ? &family##_baseline : NULL; }
#endif

#endif
