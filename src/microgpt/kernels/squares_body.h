/* Dot products of SIDE rows of a matrix with one vector, by squares of the rows. */
#include "transpose_body.h"

enum { SIDE = 8 }; /* sums at once, enough to hide the latency of an addition */

/* Adds to the sums of SIDE rows, each in a lane of its own, the terms of a whole number of registers: squares of them are
   transposed on the way. Gives how many terms that were. */
INLINE size_t add_squares(size_t n, const double *rows, const double *shared, double *sums)
{
#if LANES >= 4
    size_t i, k, r;
    for (r = 0; r < SIDE && n >= LANES; r += LANES) {
        double columns[LANES * LANES];
        Vec sum = load(sums + r);
        for (i = 0; i + LANES <= n; i += LANES) {
            transpose_square(rows + r * n + i, n, columns, LANES, LANES);
            for (k = 0; k < LANES; k++)
                sum += load(columns + k * LANES) * broadcast(shared[i + k]);
        }
        store(sums + r, sum);
    }
    return n / LANES * LANES;
#else
    (void)n, (void)rows, (void)shared, (void)sums;
    return 0;
#endif
}
