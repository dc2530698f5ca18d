/* The fused GPT with AVX-512. */
#define KERNELS fused_avx512
#include "isa_avx512.h"
#include "fused_body.h"
#include "isa_end.h"
