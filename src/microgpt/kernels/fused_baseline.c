/* The fused GPT with what every CPU has. */
#define KERNELS fused_baseline
#include "isa_baseline.h"
#include "fused_body.h"
#include "isa_end.h"
