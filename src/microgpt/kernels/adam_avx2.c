/* Adam with AVX2. */
#define KERNELS adam_avx2
#include "isa_avx2.h"
#include "adam_body.h"
#include "isa_end.h"
