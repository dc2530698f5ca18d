/* rows x columns into columns x rows, a square of registers at a time. */

/* A square of LANES rows and columns; of the transposed rows only the first `rows` are written. */
#if defined(MICROGPT_X86) && LANES == 8
INLINE void transpose_square(const double *from, size_t from_row, double *to, size_t to_row, size_t rows)
{
    Vec pairs[8], quads[8], transposed[8]; /* of neighbouring rows, in pairs and then fours, interleaved */
    for (size_t i = 0; i < 8; i += 2) {
        const Vec first = load(from + i * from_row), second = load(from + (i + 1) * from_row);
        pairs[i] = _mm512_unpacklo_pd(first, second);
        pairs[i + 1] = _mm512_unpackhi_pd(first, second);
    }
    for (size_t i = 0; i < 8; i += 4)
        for (size_t k = 0; k < 2; k++) {
            quads[i + k] = _mm512_shuffle_f64x2(pairs[i + k], pairs[i + k + 2], 0x88);     /* columns k, k + 4 */
            quads[i + k + 2] = _mm512_shuffle_f64x2(pairs[i + k], pairs[i + k + 2], 0xdd); /* columns k + 2, k + 6 */
        }
    for (size_t k = 0; k < 4; k++) {
        transposed[k] = _mm512_shuffle_f64x2(quads[k], quads[k + 4], 0x88);
        transposed[k + 4] = _mm512_shuffle_f64x2(quads[k], quads[k + 4], 0xdd);
    }
    for (size_t i = 0; i < rows; i++)
        store(to + i * to_row, transposed[i]);
}
#elif defined(MICROGPT_X86) && LANES == 4
INLINE void transpose_square(const double *from, size_t from_row, double *to, size_t to_row, size_t rows)
{
    Vec pairs[4], transposed[4]; /* neighbouring rows interleaved */
    for (size_t i = 0; i < 4; i += 2) {
        const Vec first = load(from + i * from_row), second = load(from + (i + 1) * from_row);
        pairs[i] = _mm256_unpacklo_pd(first, second);
        pairs[i + 1] = _mm256_unpackhi_pd(first, second);
    }
    for (size_t k = 0; k < 2; k++) {
        transposed[k] = _mm256_permute2f128_pd(pairs[k], pairs[k + 2], 0x20);
        transposed[k + 2] = _mm256_permute2f128_pd(pairs[k], pairs[k + 2], 0x31);
    }
    for (size_t i = 0; i < rows; i++)
        store(to + i * to_row, transposed[i]);
}
#else
INLINE void transpose_square(const double *from, size_t from_row, double *to, size_t to_row, size_t rows)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < LANES; k++)
            to[i * to_row + k] = from[k * from_row + i];
}
#endif

/* to[c][r] = from[r][c]. Rows of `from` are read up to a whole register. */
OUT_OF_LINE void transpose(size_t rows, size_t columns, const double *from, size_t from_row, double *to, size_t to_row)
{
    const size_t squares = rows / LANES * LANES;
    for (size_t c = 0; c < columns; c += LANES) {
        const size_t some = columns - c < LANES ? columns - c : LANES;
        for (size_t r = 0; r < squares; r += LANES)
            transpose_square(from + r * from_row + c, from_row, to + c * to_row + r, to_row, some);
    }
    for (size_t r = squares; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            to[c * to_row + r] = from[r * from_row + c];
}
