# What the model thinks of some tokens: the activations of one forward pass, for pictures and lessons.
# A part of _fused.pyx, which includes it.

class Inspection:
    """The activations of one forward pass over n tokens, as memoryviews of doubles, one row a position.

    tokens     the tokens, a list
    logits     n x vocab_size: of the token that follows each position
    probs      n x vocab_size: their softmax
    attention  attention[layer]: n_head x n x n; [head, p, t] is the weight with which position p looks at position t, 0
               where t > p
    residual   n x n_embd each: the residual stream as it enters the first layer, after the attention and after the MLP of
               each layer; 1 + 2 * n_layer of them
    """

    def __init__(self, tokens, logits, probs, attention, residual):
        self.tokens, self.logits, self.probs, self.attention, self.residual = tokens, logits, probs, attention, residual


cdef by_position(const double *activations, size_t features, size_t n, size_t ld):
    """A copy of features x positions, whose rows are ld apart, as positions x features."""
    cdef Doubles copy = Doubles(n * features)
    cdef size_t p, j
    for p in range(n):
        for j in range(features):
            copy.at[p * features + j] = activations[j * ld + p]
    return memoryview(copy).cast("d", (n, features))


cdef attention_weights(const Layer *layer, size_t heads, size_t n, size_t ld):
    """The weights of a layer's heads out of their panels (attention_body.h): exps divided by their totals."""
    cdef Doubles weights = Doubles(heads * n * n)
    cdef size_t h, p, t, lane, lanes = kernels.padded_to_lanes(1)
    cdef const double *exps
    for h in range(heads):
        for p in range(n):
            lane = p % lanes
            exps = layer.exps + h * ld * ld + (p - lane) * ld + lane
            for t in range(p + 1):
                weights.at[(h * n + p) * n + t] = exps[t * lanes] * layer.inverse[h * ld + p]
    return memoryview(weights).cast("d", (heads, n, n))
