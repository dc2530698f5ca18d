# Subclasses: nodes remember their class, and the attributes of a handle that is gone.
# A part of _engine.pyx, which includes it.

cdef enum:
    MAX_CLASSES = 1 << 16
    CO_VARARGS = 4                      # in a code object's flags: has *args

cdef PyObject *class_types[MAX_CLASSES]         # by class number, owned; NULL where free. 0 is Value
cdef uint32_t class_nodes[MAX_CLASSES]          # nodes alive of each
cdef destructor class_destructors[MAX_CLASSES]  # the __del__ of the class itself, or NULL
cdef uint32_t n_classes = 1
cdef uint32_t last_class = 0                    # the number given out last: kept even without nodes
cdef dict kept_attributes = {}                  # node id -> attributes of its dropped handle
cdef list deferred = []                         # references to drop later, since that may run Python code
cdef bint has_deferred = False


cdef void release_deferred() noexcept:
    global deferred, has_deferred
    cdef Error error
    error_take(&error)
    has_deferred = False
    old, deferred = deferred, []
    old = None
    error_put_back(&error)


cdef void defer_release(PyObject *thing) noexcept:
    """Take over a reference, and let it go when that may run Python code."""
    global has_deferred
    cdef Error error
    error_take(&error)
    deferred.append(<object>thing)
    Py_XDECREF(thing)
    has_deferred = True
    error_put_back(&error)


cdef void class_release(uint32_t number) noexcept:
    global has_deferred
    deferred.append(<object>class_types[number])
    has_deferred = True
    (<TypeObject *>class_types[number]).tp_finalize = class_destructors[number]
    Py_XDECREF(class_types[number])
    class_types[number] = NULL


cdef void on_node_freed(uint32_t node, uint32_t number) noexcept:
    """The arena calls this when a node of a subclass dies."""
    global has_deferred
    cdef Error error
    class_nodes[number] -= 1
    if class_nodes[number] == 0 and number != last_class or kept_attributes:
        error_take(&error)
        attributes = kept_attributes.pop(node, None)
        if attributes is not None:
            deferred.append(attributes)
            has_deferred = True
        if class_nodes[number] == 0 and number != last_class:
            class_release(number)
        error_put_back(&error)


cdef uint32_t class_number(TypeObject *cls) except 0:
    """The number under which nodes remember a subclass."""
    global n_classes, last_class
    cdef uint32_t number, free = 0
    if last_class != 0 and class_types[last_class] == <PyObject *>cls:
        return last_class
    for number in range(1, n_classes):
        if class_types[number] == <PyObject *>cls:
            break
        if class_types[number] == NULL:
            free = number
    else:
        number = free if free != 0 else n_classes
        if number == MAX_CLASSES:
            raise MemoryError("nodes of more than 65,535 classes are alive")
        n_classes = max(n_classes, number + 1)
        Py_INCREF(<object>cls)
        class_types[number] = <PyObject *>cls
        class_nodes[number] = 0
        class_destructors[number] = NULL if cls.tp_finalize == handle_finalize else cls.tp_finalize
        cls.tp_finalize = handle_finalize                   # it is not inherited from a static type
    if last_class != 0 and class_nodes[last_class] == 0:
        class_release(last_class)
    last_class = number
    return number


cdef bint constructor_takes(object cls, int n) except -1:
    """Whether results of this class are made by calling it with n arguments, as the script does: its __init__ is its own and
    takes so many. Otherwise instances are made without calling it."""
    if (<TypeObject *>cls).tp_init == built_init:
        return False
    code = getattr(cls.__init__, "__code__", None)
    if code is None:
        return True
    needed = code.co_argcount - len(cls.__init__.__defaults__ or ()) - 1
    has_needed_keywords = code.co_kwonlyargcount > len(cls.__init__.__kwdefaults__ or ())
    most = n if code.co_flags & CO_VARARGS else code.co_argcount - 1
    return needed <= n <= most and not has_needed_keywords


cdef object class_instance(object cls):
    """An instance of Value or of a subclass, without __init__; it points nowhere yet."""
    cdef TypeObject *kind = <TypeObject *>cls
    if kind == VALUE:
        if arena.spare == NULL:
            handles_add(1)
        made = owned(<PyObject *>handle_take(&arena))
    else:
        made = owned(kind.tp_alloc(kind, 0))
    (<Handle *>made).id = (<Handle *>made).data_int = (<Handle *>made).is_operand = 0
    (<Handle *>made).numbers = block_of(&arena, 0).numbers
    block_of(&arena, 0).handles_alive += 1
    return made


def get_attributes(value):
    """(the instance's __dict__ or None, its __slots__ by name or None)."""
    slots = {name: getattr(value, name) for name in copyreg._slotnames(type(value)) if hasattr(value, name)}
    return getattr(value, "__dict__", None) or None, slots or None


def set_attributes(value, attributes):
    """Give a Value the instance attributes that `get_attributes` took from another."""
    own, slots = attributes
    if own is not None:
        value.__dict__.update(own)
    if slots is not None:
        for name, attribute in slots.items():
            object.__setattr__(value, name, attribute)


cdef void handle_finalize(PyObject *self) noexcept:
    """tp_finalize of subclasses: a node that outlives its handle keeps the attributes for the next one. A __del__ of the
    class runs whenever a handle dies, even if the node lives on."""
    cdef Handle *handle = <Handle *>self
    cdef Block *block = block_of(&arena, handle.id)
    cdef uint32_t place = handle.id & PLACE_MASK
    cdef destructor destroy
    cdef Error error
    if handle.is_operand and reference_count(self) == 1:    # more than one: the garbage collector calls, the handle lives
        error_take(&error)
        attributes = get_attributes(<object>self)
        if attributes != (None, None):
            kept_attributes[handle.id] = attributes
        error_put_back(&error)
    if block.flags[place] & SUBCLASS:                       # not before __init__, nor where that ran out of memory
        destroy = class_destructors[block.classes[place]]
        if destroy != NULL:
            destroy(self)
