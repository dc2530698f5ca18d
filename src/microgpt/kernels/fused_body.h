/* All of the fused GPT for one instruction set, from the registers up. */
#include "fused.h"

#ifdef LANES
#include "vectors_body.h"

#include "product_body.h"

#include "powers_body.h"

#include "transpose_body.h"

#include "norm_body.h"

#include "attention_body.h"

/* Rows of this set's activations, unlike padded_to_widest() of fused.h. */
static size_t padded_to_lanes(size_t n) { return (n + LANES - 1) / LANES * LANES; }

#include "forward_body.h"

#include "backward_body.h"

#include "generate_body.h"

const FusedKernels KERNELS = {
    logits, padded_to_lanes, loss, backward, generate_start, generate_step, generate_weights,
    {power_m05_each, power_m1_each, power_m15_each, power_m2_each, exp_each, one_power_m05_each, one_power_m1_each}, spin,
};
#endif
