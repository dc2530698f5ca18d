/* The loops over rows with AVX2. */
#define KERNELS rows_avx2
#include "isa_avx2.h"
#include "rows_body.h"
#include "isa_end.h"
