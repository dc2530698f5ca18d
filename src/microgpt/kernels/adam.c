/* What the script would raise in a step of Adam. */
#include "adam.h"

#include <math.h>

int adam_check(const AdamKernels *kernels, const AdamStep *step, size_t n, const double *grad, const double *v)
{
    if (step->eps != 0.0 && !kernels->may_overflow(n, grad))
        return ADAM_OK;
    for (size_t i = 0; i < n; i++) {
        const double square = pow(fabs(grad[i]), 2.0);
        if (isinf(square) && isfinite(grad[i]))
            return ADAM_OVERFLOW;
        if (step->eps == 0.0 && step->beta2 * v[i] + step->one_minus_beta2 * square == 0.0)
            return ADAM_ZERO_DIVISION;
    }
    return ADAM_OK;
}
