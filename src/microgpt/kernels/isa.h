/* Which of the instruction sets of each_isa.h this CPU runs. */
#ifndef MICROGPT_ISA_H
#define MICROGPT_ISA_H

#include <stddef.h>
#include <string.h>

enum { ISA_BASELINE, ISA_AVX2, ISA_AVX512, ISA_COUNT };

static const char *const isa_names[ISA_COUNT] = {"baseline", "avx2", "avx512"};

/* As in MICROGPT_ISA. */
static inline const char *isa_name(int isa) { return isa_names[isa]; }

static inline int isa_runs(int isa)
{
#if defined(__x86_64__) && defined(__GNUC__)
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

#endif
