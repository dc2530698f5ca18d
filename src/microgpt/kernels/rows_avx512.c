/* The loops over rows with AVX-512. */
#define KERNELS rows_avx512
#include "isa_avx512.h"
#include "rows_body.h"
#include "isa_end.h"
