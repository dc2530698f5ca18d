/* Adam with what every CPU has. */
#define KERNELS adam_baseline
#include "isa_baseline.h"
#include "adam_body.h"
#include "isa_end.h"
