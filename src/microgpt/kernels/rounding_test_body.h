/* When a result that was rounded correctly is certainly the one that libm gives: Ziv's rounding test.

   What libm returns is not always correctly rounded, but its error is bounded. glibc and musl compute exp with an error below
   0.511 units in the last place, and pow below 0.511 + 1.5 * 2**-15 * |y * log(x)| (less where they use FMA; older glibc
   rounded correctly in nearly all cases). So a result in higher precision, rounded, is libm's as well unless the exact value
   lies close to the midpoint of two doubles: within 0.0138 units if |y * log(x)| < 60, within 0.0212 if it is below 222.
   For the others, a few in a hundred, libm is asked, as it is for results that are not finite, or powers of two, where the
   unit changes. The tests here leave their answer in the sign bit of each lane: set where the result is uncertain. */

#define ERROR_BOUND 0.486     /* in units: up to this residual a result between 2**-86 and 2**86 is certain */
#define ERROR_BOUND_FAR 0.478 /* and one between 2**-320 and 2**320 */

/* Where the residual of a correctly rounded square or root, times its margin, rounds to the double next to it, the rounding is
   uncertain, and that double is the other candidate: half a unit over 0.478 for squares between 2**-320 and 2**320. For roots
   between 2**-100 and 2**100 it is half a unit over 0.4858, and 3.5 % for the estimate of the root's inverse. The unit is right
   below a power of two, too: a result that close to one has nearly no error but that of the logarithm. */
#define SQUARE_MARGIN 1.046
#define SQRT_MARGIN 1.067

/* For a result with an error (exact minus result) of residual / scale. */
INLINE Mask rounding_uncertain(Vec residual, Vec scale, Vec result, double bound)
{
    const Mask bits = as_integers(result);
    const Vec unit = as_doubles(bits & broadcast_int(0x7ff0000000000000));
    const Vec room = unit * broadcast(bound * 0x1p-52) * scale - vec_abs(residual);
    return as_integers(room) | ((bits & broadcast_int(0x000fffffffffffff)) - 1);
}

/* For a result that is not between 2**-exponent and 2**exponent, or not a number. */
INLINE Mask out_of_range(Vec result, int exponent)
{
    const Mask bits = as_integers(result);
    return (bits - ((int64_t)(1023 - exponent) << 52)) | (((int64_t)(1023 + exponent) << 52) - bits);
}
