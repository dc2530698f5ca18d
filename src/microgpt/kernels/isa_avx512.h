/* From here to isa_end.h the compiler may use AVX-512: registers of eight doubles. GCC has to be told to prefer them to those of
   four, which is its choice for loops that it vectorises itself; clang takes the type that stands there. */
#include "isa.h"
#ifdef MICROGPT_X86
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,fma"))), apply_to = function)
#define TARGET_IS_PUSHED 1
#else
#pragma GCC target("avx512f,avx512dq,avx512vl,fma,prefer-vector-width=512")
#endif
#define LANES 8
#define HAVE_FMA 1
#endif
