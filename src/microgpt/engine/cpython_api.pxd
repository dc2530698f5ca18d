# cython: language_level=3
"""The parts of CPython's C interface that the engine needs and Cython's own declarations lack."""
from cpython.object cimport PyObject

ctypedef void *slot                     # a function pointer that is only compared

cdef extern from "Python.h":
    ctypedef void (*destructor)(PyObject *) noexcept
    ctypedef PyObject *(*allocfunc)(TypeObject *, Py_ssize_t)
    ctypedef PyObject *(*vectorcallfunc)(PyObject *, PyObject *const *, size_t, PyObject *)

    ctypedef struct NumberMethods "PyNumberMethods":
        slot nb_add
        slot nb_multiply
        slot nb_power
        slot nb_negative
        slot nb_float
        slot nb_index

    ctypedef struct SequenceMethods "PySequenceMethods":
        slot sq_length

    ctypedef struct MappingMethods "PyMappingMethods":
        slot mp_length

    ctypedef struct TypeObject "PyTypeObject":
        const char *tp_name
        Py_ssize_t tp_basicsize
        Py_ssize_t tp_dictoffset
        unsigned long tp_flags
        unsigned int tp_version_tag
        slot tp_new
        slot tp_init
        destructor tp_dealloc
        destructor tp_finalize
        allocfunc tp_alloc
        void (*tp_free)(void *) noexcept
        vectorcallfunc tp_vectorcall
        NumberMethods *tp_as_number
        SequenceMethods *tp_as_sequence
        MappingMethods *tp_as_mapping

    unsigned long Py_TPFLAGS_IMMUTABLETYPE
    TypeObject *type_of "Py_TYPE"(PyObject *) noexcept
    Py_ssize_t reference_count "Py_REFCNT"(PyObject *) noexcept
    bint PyType_IsSubtype(TypeObject *, TypeObject *) noexcept
    void PyType_Modified(TypeObject *)
    PyObject *PyObject_Init(PyObject *, TypeObject *) noexcept
    void *PyObject_Malloc(size_t) noexcept
    void PyObject_Free(void *) noexcept
    Py_ssize_t PyVectorcall_NARGS(size_t) noexcept
    object PyNumber_Power(object, object, object)
    long long PyLong_AsLongLongAndOverflow(object, int *) except? -1
    PyObject **sequence_items "PySequence_Fast_ITEMS"(PyObject *) noexcept      # of a list or tuple
    Py_ssize_t sequence_size "PySequence_Fast_GET_SIZE"(PyObject *) noexcept
    bint is_list "PyList_CheckExact"(PyObject *) noexcept
    bint is_tuple "PyTuple_CheckExact"(PyObject *) noexcept
    void list_set "PyList_SET_ITEM"(list, Py_ssize_t, PyObject *) noexcept      # takes over the reference

cdef extern from *:
    """
    #define microgpt_owned(reference) (reference)

    /* PyObject_Init for memory that was an object of this type before: in a release build all that is left to do. */
    static inline void microgpt_revive(PyObject *object, PyTypeObject *type) {
    #if defined(Py_REF_DEBUG) || defined(Py_TRACE_REFS) || defined(Py_GIL_DISABLED)
        PyObject_Init(object, type);
    #else
        (void)type;
        Py_SET_REFCNT(object, 1);
    #endif
    }

    typedef struct { PyObject *type, *value, *traceback; } microgpt_error;
    static inline void microgpt_error_take(microgpt_error *error) {
    #if PY_VERSION_HEX >= 0x030C0000
        error->value = PyErr_GetRaisedException();
    #else
        PyErr_Fetch(&error->type, &error->value, &error->traceback);
    #endif
    }
    static inline void microgpt_error_put_back(microgpt_error *error) {
    #if PY_VERSION_HEX >= 0x030C0000
        PyErr_SetRaisedException(error->value);
    #else
        PyErr_Restore(error->type, error->value, error->traceback);
    #endif
    }
    """
    ctypedef struct Error "microgpt_error":         # an exception on its way, kept safe while other code runs
        PyObject *value
    void error_take "microgpt_error_take"(Error *) noexcept
    void error_put_back "microgpt_error_put_back"(Error *) noexcept
    void revive "microgpt_revive"(PyObject *, TypeObject *) noexcept
    object owned "microgpt_owned"(PyObject *)        # hand a new reference, or NULL with an exception set, to Cython
