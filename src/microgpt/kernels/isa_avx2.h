/* From here to isa_end.h the compiler may use AVX2 and FMA: registers of four doubles. */
#include "isa.h"
#ifdef MICROGPT_X86
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define TARGET_IS_PUSHED 1
#else
#pragma GCC target("avx2,fma")
#endif
#define LANES 4
#define HAVE_FMA 1
#endif
