/* The loops over rows with what every CPU has. */
#define KERNELS rows_baseline
#include "isa_baseline.h"
#include "rows_body.h"
#include "isa_end.h"
