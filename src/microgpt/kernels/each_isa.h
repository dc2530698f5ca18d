/* Compiles the file named by BODY once for each instruction set that may be chosen at run time.

   The including .c file defines FAMILY (a prefix) and BODY; in BODY, ISA(name) is this set's own name for a function or
   type, LANES the doubles in a vector register (1: no vector types), HAVE_FMA whether fma() is one instruction.
   No include guard: adam.c and fused.c each include it with a BODY of their own. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define MICROGPT_X86 1
#include <immintrin.h>
#endif

/* Is the error of this libm's pow and exp bounded as the shortcuts need it? Known for Linux (glibc, musl). */
#if defined(__linux__)
#define LIBM_IS_KNOWN 1
#else
#define LIBM_IS_KNOWN 0
#endif

#define JOIN_(family, name, set) family##_##name##_##set
#define JOIN(family, name, set) JOIN_(family, name, set)

/* What every CPU of the family can do: two doubles a register (SSE2, NEON). FMA is part of that on ARM, not on x86. */
#define ISA(name) JOIN(FAMILY, name, baseline)
#if defined(__FP_FAST_FMA)
#define HAVE_FMA 1
#else
#define HAVE_FMA 0
#endif
#if defined(__GNUC__)
#define LANES 2
#else
#define LANES 1
#endif
#include BODY
#undef ISA
#undef HAVE_FMA
#undef LANES

#ifdef MICROGPT_X86
#define HAVE_FMA 1

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define ISA(name) JOIN(FAMILY, name, avx2)
#define LANES 4
#include BODY
#undef ISA
#undef LANES
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,fma,prefer-vector-width=512"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,fma,prefer-vector-width=512")
#endif
#define ISA(name) JOIN(FAMILY, name, avx512)
#define LANES 8
#include BODY
#undef ISA
#undef LANES
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef HAVE_FMA
#endif
