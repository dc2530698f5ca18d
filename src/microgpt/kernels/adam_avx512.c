/* Adam with AVX-512. */
#define KERNELS adam_avx512
#include "isa_avx512.h"
#include "adam_body.h"
#include "isa_end.h"
