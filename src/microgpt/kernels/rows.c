/* The row kernels for each instruction set; what is computed stands in rows_body.h. */
#include "rows.h"
#include "isa.h"

#define FAMILY rows
#define BODY "rows_body.h"
#include "each_isa.h"

#define KERNELS(set) {rows_products_##set, rows_receive_##set, rows_receive_both_##set}

static const RowKernels kernels[] = {
    [ISA_BASELINE] = KERNELS(baseline),
#ifdef MICROGPT_X86
    [ISA_AVX2] = KERNELS(avx2),
    [ISA_AVX512] = KERNELS(avx512),
#endif
};

const RowKernels *row_kernels(int isa) { return &kernels[isa]; }
