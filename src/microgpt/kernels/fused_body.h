/* All of the fused GPT for one instruction set, from the registers up. */
#include "vectors_body.h"

#include "product_body.h"

#include "powers_body.h"

#include "transpose_body.h"

#include "norm_body.h"

#include "attention_body.h"

static size_t ISA(padded)(size_t n) { return (n + LANES - 1) / LANES * LANES; }

#include "forward_body.h"

#include "backward_body.h"

#include "generate_body.h"
