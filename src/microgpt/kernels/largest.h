/* The k largest of some numbers. */
#ifndef MICROGPT_LARGEST_H
#define MICROGPT_LARGEST_H

#include <stddef.h>
#include <string.h>

/* Restores a heap, smallest number first, whose element i may be too large for its place. */
static void heap_sink(double *heap, size_t n, size_t i)
{
    const double x = heap[i];
    size_t child;
    while ((child = 2 * i + 1) < n) {
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (!(heap[child] < x))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = x;
}

/* Sets all but the k largest of the n numbers to 0; of equal ones those that come first stay. heap: room for k. */
static void keep_largest(size_t n, size_t k, double *x, double *heap)
{
    size_t equal = 0;
    memcpy(heap, x, k * sizeof(double));
    for (size_t i = k / 2; i-- > 0;)
        heap_sink(heap, k, i);
    for (size_t i = k; i < n; i++)
        if (x[i] > heap[0]) {
            heap[0] = x[i];
            heap_sink(heap, k, 0);
        }
    for (size_t i = 0; i < k; i++)
        equal += heap[i] == heap[0];
    for (size_t i = 0; i < n; i++) {
        const int stays = x[i] > heap[0] || (x[i] == heap[0] && equal > 0);
        equal -= x[i] == heap[0] && stays;
        if (!stays)
            x[i] = 0.0;
    }
}

#endif
