/* What every CPU of the family can do: registers of two doubles (SSE2, NEON), or plain doubles where the compiler has no vector
   types. FMA is part of the baseline on ARM, not on x86-64. */
#include "isa.h"
#if defined(__GNUC__)
#define LANES 2
#else
#define LANES 1
#endif
#if defined(__FP_FAST_FMA)
#define HAVE_FMA 1
#else
#define HAVE_FMA 0
#endif
