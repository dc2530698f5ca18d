# cython: language_level=3
"""Step 3: backward in a loop. The stack holds what the recursion held: a node, and how many of its children are done."""

from libc.math cimport exp, log, pow


cdef class Value:
    cdef public double data, grad
    cdef public tuple _children, _local_grads

    def __init__(self, double data, children=(), local_grads=()):
        self.data = data
        self.grad = 0
        self._children = tuple(children)
        self._local_grads = tuple(local_grads)

    def __add__(self, other):
        cdef Value b = other if isinstance(other, Value) else Value(other)
        return node(self.data + b.data, (self, b), (1.0, 1.0))

    def __mul__(self, other):
        cdef Value b = other if isinstance(other, Value) else Value(other)
        return node(self.data * b.data, (self, b), (b.data, self.data))

    def __pow__(self, other, modulus=None):
        cdef double n = other, y = pow(self.data, n), dy = n * pow(self.data, n - 1)
        if self.data <= 0 or y - y or dy - dy:  # not finite; or 0 ** -1, (-8) ** 0.5: Python's own answer or error
            return Value((<object> self.data) ** other, (self,), (other * (<object> self.data) ** (other - 1),))
        return node(y, (self,), (dy,))

    def log(self):
        if not self.data > 0:
            raise ValueError("math domain error")
        return node(log(self.data), (self,), (1 / self.data,))

    def exp(self):
        cdef double y = exp(self.data)
        if y == float("inf") and self.data < y:
            raise OverflowError("math range error")
        return node(y, (self,), (y,))

    def relu(self): return node(self.data if self.data > 0 else 0, (self,), (1.0 if self.data > 0 else 0.0,))
    def __neg__(self): return self * -1
    def __radd__(self, other): return self + other
    def __sub__(self, other): return self + (-other)
    def __rsub__(self, other): return other + (-self)
    def __rmul__(self, other): return self * other
    def __truediv__(self, other): return self * other**-1
    def __rtruediv__(self, other): return other * self**-1

    def backward(self):
        cdef Value v, child
        cdef Py_ssize_t k
        cdef list topo = [], stack = [self], places = [0]
        cdef set visited = {self}
        while stack:
            v, k = stack[-1], places[-1]
            if k == len(v._children):
                topo.append(stack.pop())
                places.pop()
                continue
            places[-1] = k + 1
            child = v._children[k]
            if child not in visited:
                visited.add(child)
                stack.append(child)
                places.append(0)
        self.grad = 1
        for v in reversed(topo):
            for k in range(min(len(v._children), len(v._local_grads))):
                child = v._children[k]
                child.grad += <double> v._local_grads[k] * v.grad


cdef inline Value node(double data, tuple children, tuple local_grads):
    """A result, made without a call of __init__ and its arguments."""
    cdef Value v = Value.__new__(Value)
    v.data = data
    v._children = children
    v._local_grads = local_grads
    return v
