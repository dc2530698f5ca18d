/* Rows into columns. */

/* A square of LANES rows and columns; of the turned rows only the first `rows` are written. */
#if defined(MICROGPT_X86) && LANES == 8
INLINE void ISA(transpose_square)(const double *from, size_t from_row, double *to, size_t to_row, size_t rows)
{
    Vec pairs[8], quads[8], turned[8]; /* of neighbouring rows, in pairs and then fours, interleaved */
    for (size_t i = 0; i < 8; i += 2) {
        const Vec first = ISA(load)(from + i * from_row), second = ISA(load)(from + (i + 1) * from_row);
        pairs[i] = _mm512_unpacklo_pd(first, second);
        pairs[i + 1] = _mm512_unpackhi_pd(first, second);
    }
    for (size_t i = 0; i < 8; i += 4)
        for (size_t k = 0; k < 2; k++) {
            quads[i + k] = _mm512_shuffle_f64x2(pairs[i + k], pairs[i + k + 2], 0x88);     /* columns k, k + 4 */
            quads[i + k + 2] = _mm512_shuffle_f64x2(pairs[i + k], pairs[i + k + 2], 0xdd); /* columns k + 2, k + 6 */
        }
    for (size_t k = 0; k < 4; k++) {
        turned[k] = _mm512_shuffle_f64x2(quads[k], quads[k + 4], 0x88);
        turned[k + 4] = _mm512_shuffle_f64x2(quads[k], quads[k + 4], 0xdd);
    }
    for (size_t i = 0; i < rows; i++)
        ISA(store)(to + i * to_row, turned[i]);
}
#elif defined(MICROGPT_X86) && LANES == 4
INLINE void ISA(transpose_square)(const double *from, size_t from_row, double *to, size_t to_row, size_t rows)
{
    Vec pairs[4], turned[4]; /* neighbouring rows interleaved */
    for (size_t i = 0; i < 4; i += 2) {
        const Vec first = ISA(load)(from + i * from_row), second = ISA(load)(from + (i + 1) * from_row);
        pairs[i] = _mm256_unpacklo_pd(first, second);
        pairs[i + 1] = _mm256_unpackhi_pd(first, second);
    }
    for (size_t k = 0; k < 2; k++) {
        turned[k] = _mm256_permute2f128_pd(pairs[k], pairs[k + 2], 0x20);
        turned[k + 2] = _mm256_permute2f128_pd(pairs[k], pairs[k + 2], 0x31);
    }
    for (size_t i = 0; i < rows; i++)
        ISA(store)(to + i * to_row, turned[i]);
}
#else
INLINE void ISA(transpose_square)(const double *from, size_t from_row, double *to, size_t to_row, size_t rows)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < LANES; k++)
            to[i * to_row + k] = from[k * from_row + i];
}
#endif

/* to[c][r] = from[r][c]. Rows of `from` are read up to a whole register. */
static void ISA(transpose)(size_t rows, size_t columns, const double *from, size_t from_row, double *to, size_t to_row)
{
    const size_t squares = rows / LANES * LANES;
    for (size_t c = 0; c < columns; c += LANES) {
        const size_t some = columns - c < LANES ? columns - c : LANES;
        for (size_t r = 0; r < squares; r += LANES)
            ISA(transpose_square)(from + r * from_row + c, from_row, to + c * to_row + r, to_row, some);
    }
    for (size_t r = squares; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            to[c * to_row + r] = from[r * from_row + c];
}
