/* The replay loops with AVX-512. */
#define KERNELS replay_avx512
#include "isa_avx512.h"
#include "replay_body.h"
#include "isa_end.h"
