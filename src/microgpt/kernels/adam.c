/* Adam for each instruction set; what is computed stands in adam_body.h. */
#include "adam.h"
#include "isa.h"

#define FAMILY adam
#define BODY "adam_body.h"
#include "each_isa.h"

#define KERNELS(set) {adam_update_##set, adam_may_overflow_##set, adam_square_##set, adam_root_##set}

static const AdamKernels kernels[] = {
    [ISA_BASELINE] = KERNELS(baseline),
#ifdef MICROGPT_X86
    [ISA_AVX2] = KERNELS(avx2),
    [ISA_AVX512] = KERNELS(avx512),
#endif
};

const AdamKernels *adam_kernels(int isa) { return &kernels[isa]; }

int adam_check(const AdamKernels *kernels, const AdamStep *step, size_t n, const double *grad, const double *v)
{
    if (step->eps != 0.0 && !kernels->may_overflow(n, grad))
        return ADAM_OK;
    for (size_t i = 0; i < n; i++) {
        const double square = pow(fabs(grad[i]), 2.0);
        if (isinf(square) && isfinite(grad[i]))
            return ADAM_OVERFLOW;
        if (step->eps == 0.0 && step->beta2 * v[i] + step->rest2 * square == 0.0)
            return ADAM_ZERO_DIVISION;
    }
    return ADAM_OK;
}
