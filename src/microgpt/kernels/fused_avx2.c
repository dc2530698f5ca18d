/* The fused GPT with AVX2. */
#define KERNELS fused_avx2
#include "isa_avx2.h"
#include "fused_body.h"
#include "isa_end.h"
