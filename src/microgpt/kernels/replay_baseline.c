/* The replay loops with what every CPU of the family has. */
#define KERNELS replay_baseline
#include "isa_baseline.h"
#include "replay_body.h"
#include "isa_end.h"
