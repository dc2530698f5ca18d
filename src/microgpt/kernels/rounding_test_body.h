/* When a result that was rounded correctly is certainly the one that libm gives: Ziv's rounding test.

   What libm returns is not always correctly rounded, but its error is bounded. glibc and musl compute exp with an error below
   0.511 units in the last place, and pow below 0.511 + 1.5 * 2**-15 * |y * log(x)| (less where they use FMA; older glibc
   rounded correctly in nearly all cases). So a result in higher precision, rounded, is libm's as well unless the exact value
   lies close to the midpoint of two doubles: within 0.0138 units if |y * log(x)| < 60, within 0.0212 if it is below 222.

   Let `high` be the rounded result and `low` what the rounding cut off. Somewhat more of it, `low` times a margin, is added: if
   the sum rounds to `high` again, the result is certain. If not, the rounding is uncertain, and the sum is the other double that
   libm may give, the other candidate. The margin is half a unit over half a unit less that distance. Just below a power of two
   the unit is half as large, and the test goes by that; so does libm's error, which there is nearly all the logarithm's. */
#define MARGIN 1.03         /* for results between 2**-86 and 2**86 */
#define SQUARE_MARGIN 1.046 /* for squares between 2**-320 and 2**320 */
#define SQRT_MARGIN 1.067   /* for roots between 2**-100 and 2**100: 1.03, and 3.5 % for the estimate of the root's inverse */

INLINE Flags rounding_uncertain(Vec high, Vec low) { return differ(high, multiply_add(low, broadcast(MARGIN), high)); }

/* For a result that is not between 2**-exponent and 2**exponent: the sign bit of its lane is set. */
INLINE Mask out_of_range(Vec result, int exponent)
{
    const Mask bits = as_integers(result);
    return (bits - ((int64_t)(1023 - exponent) << 52)) | (((int64_t)(1023 + exponent) << 52) - bits);
}
