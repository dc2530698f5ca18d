/* The replay loops with AVX2. */
#define KERNELS replay_avx2
#include "isa_avx2.h"
#include "replay_body.h"
#include "isa_end.h"
