/* The one matrix product behind every linear, forward and backward: c[r][i] = sum over s of a[r][s] * b[s][i].

   The sum runs over s strictly in order, beginning with 0 (or with what c holds), each product and each addition rounded
   on its own: the order of the script. Lanes lie along i, and the tile of c that is being summed stays in registers.
   Steps along a's rows and sums and along b's sums are free, so transposed and backward orders need no copies. */
typedef struct {
    size_t rows, columns, depth;
    const double *a;
    ptrdiff_t a_row, a_step; /* from a[r][s] to a[r + 1][s], and to a[r][s + 1] */
    const double *b;
    ptrdiff_t b_step;        /* from b[s][i] to b[s + 1][i]; b[s][i + 1] is the neighbour. Read up to a whole register. */
    double *c;
    ptrdiff_t c_row;
    int accumulate;          /* begin with c */
    int exact_columns;       /* write no element of c beyond `columns`; otherwise whole registers are written */
} Product;

enum { TILE = LANES == 8 ? 16 : 8 }; /* registers of a tile */

INLINE void store_columns(double *to, Vec x, size_t columns)
{
    double part[LANES];
    if (columns >= LANES) {
        store(to, x);
        return;
    }
    memcpy(part, &x, sizeof part);
    for (size_t i = 0; i < columns; i++)
        to[i] = part[i];
}

/* R rows and C registers of c. With `masks`, step s adds only to the lanes of masks[s]. */
INLINE void tile(const size_t R, const size_t C, const Product *p, size_t row, size_t column, const Mask *masks)
{
    Vec sums[16];
    const double *a = p->a + (ptrdiff_t)row * p->a_row;
    const double *b = p->b + column;
    double *c = p->c + (ptrdiff_t)row * p->c_row + column;
    const ptrdiff_t a_row = p->a_row, a_step = p->a_step, b_step = p->b_step, c_row = p->c_row;
    const size_t depth = p->depth;

#define EACH_ROW _Pragma("GCC unroll 16") for (size_t r = 0; r < R; r++)
#define EACH_REGISTER _Pragma("GCC unroll 4") for (size_t i = 0; i < C; i++)
    if (p->accumulate)
        EACH_ROW EACH_REGISTER sums[r * C + i] = load(c + (ptrdiff_t)r * c_row + i * LANES);
    else
        EACH_ROW EACH_REGISTER sums[r * C + i] = broadcast(0.0);
    for (size_t s = 0; s < depth; s++, a += a_step, b += b_step) {
        Vec factors[4];
        EACH_REGISTER factors[i] = load(b + i * LANES);
        EACH_ROW {
            const Vec factor = broadcast(a[(ptrdiff_t)r * a_row]);
            if (masks)
                EACH_REGISTER sums[r * C + i] += zero_unless(factor * factors[i], masks[s]);
            else
                EACH_REGISTER sums[r * C + i] += factor * factors[i];
        }
    }
    if (p->exact_columns && p->columns - column < C * LANES)
        EACH_ROW EACH_REGISTER
            if (p->columns > column + i * LANES)
                store_columns(c + (ptrdiff_t)r * c_row + i * LANES, sums[r * C + i], p->columns - column - i * LANES);
            else
                break;
    else
        EACH_ROW EACH_REGISTER store(c + (ptrdiff_t)r * c_row + i * LANES, sums[r * C + i]);
#undef EACH_ROW
#undef EACH_REGISTER
}

#define TILE_ROWS(R, C) case R: tile(R, C, p, row, column, NULL); break
#define TILE_ROWS_MASKED(R) case R: tile(R, 1, p, row, column, masks); break

static void tiles1(const Product *p, size_t rows, size_t row, size_t column)
{
    switch (rows) {
        TILE_ROWS(1, 1); TILE_ROWS(2, 1); TILE_ROWS(3, 1); TILE_ROWS(4, 1);
        TILE_ROWS(5, 1); TILE_ROWS(6, 1); TILE_ROWS(7, 1); TILE_ROWS(8, 1);
#if LANES == 8
        TILE_ROWS(9, 1); TILE_ROWS(10, 1); TILE_ROWS(11, 1); TILE_ROWS(12, 1);
        TILE_ROWS(13, 1); TILE_ROWS(14, 1); TILE_ROWS(15, 1); TILE_ROWS(16, 1);
#endif
    }
}

static void tiles2(const Product *p, size_t rows, size_t row, size_t column)
{
    switch (rows) {
        TILE_ROWS(1, 2); TILE_ROWS(2, 2); TILE_ROWS(3, 2); TILE_ROWS(4, 2);
#if LANES == 8
        TILE_ROWS(5, 2); TILE_ROWS(6, 2); TILE_ROWS(7, 2); TILE_ROWS(8, 2);
#endif
    }
}

static void tiles4(const Product *p, size_t rows, size_t row, size_t column)
{
    switch (rows) {
        TILE_ROWS(1, 4); TILE_ROWS(2, 4);
#if LANES == 8
        TILE_ROWS(3, 4); TILE_ROWS(4, 4);
#endif
    }
}

static void masked_tiles(const Product *p, size_t rows, size_t row, size_t column, const Mask *masks)
{
    switch (rows) {
        TILE_ROWS_MASKED(1); TILE_ROWS_MASKED(2); TILE_ROWS_MASKED(3); TILE_ROWS_MASKED(4);
        TILE_ROWS_MASKED(5); TILE_ROWS_MASKED(6); TILE_ROWS_MASKED(7); TILE_ROWS_MASKED(8);
    }
}
#undef TILE_ROWS
#undef TILE_ROWS_MASKED

INLINE size_t min_size(size_t a, size_t b) { return a < b ? a : b; }

/* How many of the rows left the next tile takes: as evenly as can be, with as few tiles as can be. */
INLINE size_t balanced_part(size_t left, size_t max)
{
    const size_t parts = (left + max - 1) / max;
    return (left + parts - 1) / parts;
}

static void multiply_small(const Product *p)
{
    const size_t registers = (p->columns + LANES - 1) / LANES;
    size_t done = 0;
    while (done < registers) {
        const size_t wide = registers - done >= 4 ? 4 : registers - done >= 2 ? 2 : 1;
        size_t row = 0;
        while (row < p->rows) {
            const size_t rows = balanced_part(p->rows - row, TILE / wide);
            if (wide == 4)
                tiles4(p, rows, row, done * LANES);
            else if (wide == 2)
                tiles2(p, rows, row, done * LANES);
            else
                tiles1(p, rows, row, done * LANES);
            row += rows;
        }
        done += wide;
    }
}

/* A large product is taken in parts, whose factors fit the first-level cache. They are copied side by side: rows of a matrix
   may lie so far apart that they compete for the same cache lines. */
enum { DEPTH = 64, ROWS = 16, PANELS = 4, PANEL = 4 * LANES }; /* a panel: four registers of columns */

typedef struct {
    Vec b[PANELS][DEPTH * 4];
    double a[DEPTH * ROWS];
} Copies;

/* The columns from `column` on of depth steps of b. */
static void copy_panels(const Product *p, size_t column, size_t step, size_t depth, Copies *copies)
{
    for (size_t panel = 0; panel < PANELS && column < p->columns; panel++, column += PANEL) {
        const size_t left = (p->columns - column + LANES - 1) / LANES, registers = min_size(left, 4);
        const double *b = p->b + (ptrdiff_t)step * p->b_step + column;
        for (size_t s = 0; s < depth; s++, b += p->b_step)
            for (size_t i = 0; i < registers; i++)
                copies->b[panel][s * 4 + i] = load(b + i * LANES);
    }
}

/* Where sums step from row to row of a matrix, a's part is copied as well. */
static void copy_rows(Product *part, double *copy)
{
    const size_t n_bytes = part->rows * sizeof(double);
    if (part->a_row != 1)
        return;
    for (size_t s = 0; s < part->depth; s++)
        if (part->rows == ROWS)
            memcpy(copy + s * ROWS, part->a + (ptrdiff_t)s * part->a_step, ROWS * sizeof(double));
        else
            memcpy(copy + s * ROWS, part->a + (ptrdiff_t)s * part->a_step, n_bytes);
    part->a = copy;
    part->a_step = ROWS;
}

/* All rows of some panels, over `depth` steps of the sums. */
static void multiply_panels(const Product *p, size_t column, size_t step, size_t depth, Copies *copies)
{
    for (size_t row = 0; row < p->rows; row += ROWS) {
        Product part = *p;
        part.rows = min_size(p->rows - row, ROWS);
        part.depth = depth;
        part.accumulate = p->accumulate || step > 0;
        part.a = p->a + (ptrdiff_t)row * p->a_row + (ptrdiff_t)step * p->a_step;
        part.b_step = PANEL;
        copy_rows(&part, copies->a);
        for (size_t panel = 0; panel < PANELS && column + panel * PANEL < p->columns; panel++) {
            const size_t first = column + panel * PANEL;
            part.columns = min_size(p->columns - first, PANEL);
            part.b = (const double *)copies->b[panel];
            part.c = p->c + (ptrdiff_t)row * p->c_row + first;
            multiply_small(&part);
        }
    }
}

static void multiply_large(const Product *p)
{
    Copies copies;
    for (size_t column = 0; column < p->columns; column += PANELS * PANEL)
        for (size_t step = 0; step < p->depth; step += DEPTH) {
            const size_t depth = min_size(p->depth - step, DEPTH);
            copy_panels(p, column, step, depth, &copies);
            multiply_panels(p, column, step, depth, &copies);
        }
}

static void multiply(const Product *p)
{
    const int is_wide = p->columns >= 4 * LANES;
    const int steps_far = p->a_row == 1 && (p->a_step >= 128 || p->a_step <= -128);
    const int a_is_large = steps_far && (is_wide || p->rows * p->depth >= 128 * 1024); /* 1 MiB */
    const int b_is_large = is_wide && p->depth * p->columns >= 12 * 1024;              /* 96 KiB */
    const int c_is_large = p->rows * p->columns >= 64 * 1024;                          /* 512 KiB */
    if (p->rows >= 16 && (p->depth >= 64 ? a_is_large || b_is_large : c_is_large))
        multiply_large(p);
    else
        multiply_small(p);
}

/* Some products, none of which reads what another writes, each of them in parts of whole rows. */
typedef struct {
    const Product *products;
    size_t parts; /* of each */
} SharedProducts;

static void multiply_part(void *job, size_t part, size_t member)
{
    const SharedProducts *shared = job;
    Product p = shared->products[part / shared->parts];
    const size_t rows = ((p.rows - 1) / shared->parts + ROWS) / ROWS * ROWS, first = part % shared->parts * rows;
    (void)member;
    if (first >= p.rows)
        return;
    p.rows = min_size(p.rows - first, rows);
    p.a += (ptrdiff_t)first * p.a_row;
    p.c += (ptrdiff_t)first * p.c_row;
    multiply(&p);
}

/* What it costs to share a job is worth it from this many multiplications on: a few microseconds of work. */
enum { SHARED_WORK = 64 * 1024 };

static void multiply_all(Team *team, const Product *products, size_t count)
{
    const size_t work = products->rows * products->columns * products->depth;
    const int is_shared = team != NULL && work >= SHARED_WORK;
    SharedProducts shared = {products, is_shared ? 2 * team_size(team) : 1};
    if (is_shared)
        team_run(team, count * shared.parts, multiply_part, &shared);
    else
        for (size_t i = 0; i < count; i++)
            multiply(products + i);
}

/* One register of columns (p->columns is LANES), step s only in the lanes of masks[s]. */
static void multiply_masked(const Product *p, const Mask *masks)
{
    size_t row = 0;
    while (row < p->rows) {
        const size_t rows = balanced_part(p->rows - row, 8);
        masked_tiles(p, rows, row, 0, masks);
        row += rows;
    }
}

/* For benchmarks: one tile summed over the same few numbers `depth` times, as fast as this set multiplies and adds. Gives the
   number of its additions and multiplications. */
static double spin(size_t depth)
{
    double a[4] = {0}, b[4 * LANES] = {0}, c[4 * 4 * LANES];
    const Product product = {TILE / 4, 4 * LANES, depth, a, 1, 0, b, 0, c, 4 * LANES, 0, 0};
    multiply(&product);
    return 2.0 * (double)(product.rows * product.columns) * (double)depth;
}
