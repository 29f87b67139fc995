/*
 * Loops of the guard that NumPy goes through some ten times over, each time through memory: here once.
 *
 * Each function does what the NumPy beside its caller does, operation by operation and in the same order, so that both
 * give the same numbers; but sums of products, which BLAS makes in an order of its own. Arrays are contiguous ones of
 * doubles; tables have a row for each column of the data.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Twice as wide where the machine can. Setup turns contraction off (a * b + c stays two operations): same numbers. */
#if defined(__x86_64__) && defined(__linux__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

/* Numbers beyond have no place in a grid; mlwild.stats.even_grids says why. */
#define FARTHEST 1e150
/* Rows that are worked on together: what is made of them on the way stays in the nearest cache. */
#define BLOCK 64
#define MOST_COLUMNS 64
#define MOST_ARRAYS 13

typedef struct {
    Py_buffer views[MOST_ARRAYS];
    int n;
} Held;

static void let_go(Held *held) {
    while (held->n > 0) PyBuffer_Release(&held->views[--held->n]);
}

/* Return an argument's doubles, NULL and an error where it is something else; a size of -1 is any. */
static double *taken(Held *held, PyObject *from, Py_ssize_t size, int written, Py_ssize_t *found) {
    Py_buffer *view = &held->views[held->n];
    if (PyObject_GetBuffer(from, view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (written ? PyBUF_WRITABLE : 0)) < 0) {
        return NULL;
    }
    held->n++;
    Py_ssize_t n = view->len / (Py_ssize_t)sizeof(double);
    if (view->format == NULL || strcmp(view->format, "d") != 0 || (size >= 0 && n != size)) {
        PyErr_Format(PyExc_ValueError, "array %d holds %zd items of kind %s, needs %zd of kind d.", held->n, n,
                     view->format ? view->format : "?", size);
        return NULL;
    }
    if (found) *found = n;
    return view->buf;
}

static int counted(const char *name, Py_ssize_t n, Py_ssize_t wanted) {
    if (n == wanted) return 1;
    PyErr_Format(PyExc_TypeError, "%s takes %zd arguments, got %zd.", name, wanted, n);
    return 0;
}

/* Return the place of t in an even grid, counted through all columns; 0 and a mark where it has none. */
static inline uint64_t place_of(double t, double first, uint64_t bits, uint64_t size, uint64_t *bad) {
    double at = t + first;
    uint64_t place;
    memcpy(&place, &at, sizeof place);
    place -= bits; /* what lies before the first place is beyond the last one too */
    *bad |= place >= size;
    return place < size ? place : 0;
}

WIDE static uint64_t near_all(const double *x, Py_ssize_t n) {
    uint64_t far = 0;
    for (Py_ssize_t i = 0; i < n; i++) far |= !(fabs(x[i]) <= FARTHEST); /* NaN is far too */
    return !far;
}

WIDE static uint64_t lined(const double *x, Py_ssize_t n, double scale, double shift, double first, uint64_t bits,
                          uint64_t size, const double *slope, const double *value, double *out) {
    uint64_t bad = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        double s = x[i] * scale + shift;
        double t = s / (fabs(s) + 1.0);
        uint64_t place = place_of(t, first, bits, size, &bad);
        out[i] = t * slope[place] + value[place];
    }
    return bad;
}

/* lines(x, scale, shift, first, bits, slope, value, out): whether every x has a place; only then out is filled. */
static PyObject *lines(PyObject *self, PyObject *const *args, Py_ssize_t n_args) {
    (void)self;
    if (!counted("lines", n_args, 8)) return NULL;
    uint64_t bits = PyLong_AsUnsignedLongLong(args[4]), bad = 0, near = 1;
    if (PyErr_Occurred()) return NULL;
    Held held = {.n = 0};
    Py_ssize_t columns = 0, cells = 0, size = 0;
    const double *x, *scale, *shift, *first, *slope, *value;
    double *out;
    PyObject *made = NULL;
    if ((scale = taken(&held, args[1], -1, 0, &columns)) && (shift = taken(&held, args[2], columns, 0, NULL)) &&
        (first = taken(&held, args[3], columns, 0, NULL)) && (x = taken(&held, args[0], -1, 0, &cells)) &&
        (slope = taken(&held, args[5], -1, 0, &size)) && (value = taken(&held, args[6], size, 0, NULL)) &&
        (out = taken(&held, args[7], cells, 1, NULL))) {
        Py_ssize_t n = columns ? cells / columns : 0;
        if (n * columns != cells) {
            PyErr_Format(PyExc_ValueError, "%zd cells are no table of %zd columns.", cells, columns);
        } else {
            near = near_all(x, cells);
            for (Py_ssize_t j = 0; near && j < columns; j++) {
                bad |= lined(x + j * n, n, scale[j], shift[j], first[j], bits, size, slope, value, out + j * n);
            }
            if (bad) PyErr_SetString(PyExc_ValueError, "a number has no place in its grid.");
            else made = PyBool_FromLong(near);
        }
    }
    let_go(&held);
    return made;
}

WIDE static void scored(const double *z, const double *apart, double by, Py_ssize_t n, double *distance,
                        double *mismatch, double *reach) {
    for (Py_ssize_t i = 0; i < n; i++) {
        double a = fabs(apart[i]), b = fabs(z[i]);
        distance[i] += by * (apart[i] * z[i]);
        mismatch[i] = a > mismatch[i] ? a : mismatch[i];
        reach[i] = b > reach[i] ? b : reach[i];
    }
}

/* Add four columns' shares at a time: each sum is read and written a quarter as often. */
WIDE static void summed(const double *z, const double *by, Py_ssize_t columns, Py_ssize_t n, double *out) {
    Py_ssize_t j = 0;
    for (Py_ssize_t i = 0; i < n; i++) out[i] = 0.0;
    for (; j + 4 <= columns; j += 4) {
        const double *a = z + j * BLOCK, *b = a + BLOCK, *c = b + BLOCK, *d = c + BLOCK;
        for (Py_ssize_t i = 0; i < n; i++) {
            out[i] = out[i] + by[j] * a[i] + by[j + 1] * b[i] + by[j + 2] * c[i] + by[j + 3] * d[i];
        }
    }
    for (; j < columns; j++) {
        for (Py_ssize_t i = 0; i < n; i++) out[i] += by[j] * z[j * BLOCK + i];
    }
}

WIDE static uint64_t lowered(const double *score, Py_ssize_t n, double scale, double shift, double first, uint64_t bits,
                            uint64_t size, const double *steps, double *p) {
    uint64_t bad = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        double s = score[i] * scale + shift;
        double found = steps[place_of(s / (fabs(s) + 1.0), first, bits, size, &bad)];
        p[i] = found < p[i] ? found : p[i];
    }
    return bad;
}

/* tails(x, scale, shift, first, bits, slope, value, residual, deviation, scale, shift, first, bits, steps, p): whether
   every x has a place; only then each p, as it is given, is lowered to the least of its row's scores. */
static PyObject *tails(PyObject *self, PyObject *const *args, Py_ssize_t n_args) {
    (void)self;
    if (!counted("tails", n_args, 15)) return NULL;
    uint64_t bits = PyLong_AsUnsignedLongLong(args[4]), bad = 0, near = 1;
    if (PyErr_Occurred()) return NULL;
    uint64_t step_bits = PyLong_AsUnsignedLongLong(args[12]);
    if (PyErr_Occurred()) return NULL;
    Held held = {.n = 0};
    Py_ssize_t k = 0, n = 0, size = 0, step_size = 0;
    const double *x, *scale, *shift, *first, *slope, *value, *residual, *deviation, *by, *from, *begin, *steps;
    double *p, z[MOST_COLUMNS * BLOCK], apart[BLOCK];
    PyObject *made = NULL;
    if ((scale = taken(&held, args[1], -1, 0, &k)) && (shift = taken(&held, args[2], k, 0, NULL)) &&
        (first = taken(&held, args[3], k, 0, NULL)) && (slope = taken(&held, args[5], -1, 0, &size)) &&
        (value = taken(&held, args[6], size, 0, NULL)) && (residual = taken(&held, args[7], k * k, 0, NULL)) &&
        (deviation = taken(&held, args[8], k, 0, NULL)) && (by = taken(&held, args[9], 3, 0, NULL)) &&
        (from = taken(&held, args[10], 3, 0, NULL)) && (begin = taken(&held, args[11], 3, 0, NULL)) &&
        (steps = taken(&held, args[13], -1, 0, &step_size)) && (p = taken(&held, args[14], -1, 1, &n)) &&
        (x = taken(&held, args[0], n * k, 0, NULL))) {
        if (k > MOST_COLUMNS) {
            PyErr_Format(PyExc_ValueError, "%zd columns, takes %d at most.", k, MOST_COLUMNS);
        } else {
            near = near_all(x, n * k);
            for (Py_ssize_t at = 0; near && at < n; at += BLOCK) {
                double scores[3][BLOCK] = {{0.0}};
                Py_ssize_t rows = n - at < BLOCK ? n - at : BLOCK;
                for (Py_ssize_t j = 0; j < k; j++) {
                    bad |= lined(x + j * n + at, rows, scale[j], shift[j], first[j], bits, size, slope, value,
                                 z + j * BLOCK);
                }
                for (Py_ssize_t j = 0; j < k; j++) {
                    summed(z, residual + j * k, k, rows, apart);
                    scored(z + j * BLOCK, apart, deviation[j], rows, scores[0], scores[1], scores[2]);
                }
                for (int s = 0; s < 3; s++) {
                    bad |= lowered(scores[s], rows, by[s], from[s], begin[s], step_bits, step_size, steps, p + at);
                }
            }
            if (bad) PyErr_SetString(PyExc_ValueError, "a number has no place in its grid.");
            else made = PyBool_FromLong(near);
        }
    }
    let_go(&held);
    return made;
}

WIDE static void weighed(const double *x, Py_ssize_t n, double centre, double far, double side, double *out) {
    for (Py_ssize_t i = 0; i < n; i++) {
        double off = x[i] - centre;
        out[i] += fabs(off) * far + off * side;
    }
}

/* added(x, centre, far, side, out): to each row's sum, |x - centre| far + (x - centre) side of each column in order. */
static PyObject *added(PyObject *self, PyObject *const *args, Py_ssize_t n_args) {
    (void)self;
    if (!counted("added", n_args, 5)) return NULL;
    Held held = {.n = 0};
    Py_ssize_t columns = 0, n = 0;
    const double *x, *centre, *far, *side;
    double *out;
    PyObject *made = NULL;
    if ((centre = taken(&held, args[1], -1, 0, &columns)) && (far = taken(&held, args[2], columns, 0, NULL)) &&
        (side = taken(&held, args[3], columns, 0, NULL)) && (out = taken(&held, args[4], -1, 1, &n)) &&
        (x = taken(&held, args[0], n * columns, 0, NULL))) {
        for (Py_ssize_t j = 0; j < columns; j++) weighed(x + j * n, n, centre[j], far[j], side[j], out);
        made = Py_NewRef(Py_None);
    }
    let_go(&held);
    return made;
}

/* recursed(bets, limit, value, best, began): feeds rows to each bet's detector, and moves the last three on; returns
   the row at which the values together reach the limit, or -1. */
static PyObject *recursed(PyObject *self, PyObject *const *args, Py_ssize_t n_args) {
    (void)self;
    if (!counted("recursed", n_args, 5)) return NULL;
    double limit = PyFloat_AsDouble(args[1]);
    if (PyErr_Occurred()) return NULL;
    Held held = {.n = 0};
    Py_ssize_t series = 0, cells = 0, over = -1;
    const double *bets;
    double *value, *best, *began;
    PyObject *made = NULL;
    if ((value = taken(&held, args[2], -1, 1, &series)) && (best = taken(&held, args[3], series, 1, NULL)) &&
        (began = taken(&held, args[4], series, 1, NULL)) && (bets = taken(&held, args[0], -1, 0, &cells))) {
        Py_ssize_t n = series ? cells / series : 0;
        for (Py_ssize_t i = 0; i < n && over < 0; i++) {
            double mixed = 0.0;
            for (Py_ssize_t k = 0; k < series; k++) {
                double bet = bets[k * n + i];
                int goes_on = best[k] > 1.0;
                value[k] = (value[k] + 1.0) * bet;
                mixed += value[k];
                began[k] = goes_on ? began[k] : (double)i;
                best[k] = (goes_on ? best[k] : 1.0) * bet;
            }
            if (!(mixed < limit)) over = i;
        }
        made = PyLong_FromSsize_t(over);
    }
    let_go(&held);
    return made;
}

WIDE static uint64_t kept(const double *x, Py_ssize_t n, double low, double high) {
    uint64_t out = 0;
    for (Py_ssize_t i = 0; i < n; i++) out |= !((x[i] >= low) & (x[i] <= high));
    return !out;
}

/* within(x, low, high): whether every number is there, and within its column's limits. */
static PyObject *within(PyObject *self, PyObject *const *args, Py_ssize_t n_args) {
    (void)self;
    if (!counted("within", n_args, 3)) return NULL;
    Held held = {.n = 0};
    Py_ssize_t columns = 0, cells = 0;
    const double *x, *low, *high;
    PyObject *made = NULL;
    if ((low = taken(&held, args[1], -1, 0, &columns)) && (high = taken(&held, args[2], columns, 0, NULL)) &&
        (x = taken(&held, args[0], -1, 0, &cells))) {
        Py_ssize_t n = columns ? cells / columns : 0;
        uint64_t all = n * columns == cells;
        for (Py_ssize_t j = 0; all && j < columns; j++) all = kept(x + j * n, n, low[j], high[j]);
        made = PyBool_FromLong(all);
    }
    let_go(&held);
    return made;
}

WIDE static uint64_t again(const double *x, Py_ssize_t n) {
    uint64_t same = 0;
    for (Py_ssize_t i = 1; i < n; i++) same |= x[i] == x[i - 1];
    return same;
}

/* repeats(x, last): whether any number is that of the row before; the first, that of `last`. */
static PyObject *repeats(PyObject *self, PyObject *const *args, Py_ssize_t n_args) {
    (void)self;
    if (!counted("repeats", n_args, 2)) return NULL;
    Held held = {.n = 0};
    Py_ssize_t columns = 0, cells = 0;
    const double *x, *last;
    PyObject *made = NULL;
    if ((last = taken(&held, args[1], -1, 0, &columns)) && (x = taken(&held, args[0], -1, 0, &cells))) {
        Py_ssize_t n = columns ? cells / columns : 0;
        uint64_t same = 0;
        for (Py_ssize_t j = 0; n && !same && j < columns; j++) same = x[j * n] == last[j] || again(x + j * n, n);
        made = PyBool_FromLong(same);
    }
    let_go(&held);
    return made;
}

#define AS_METHOD(name) {#name, (PyCFunction)(void (*)(void))name, METH_FASTCALL, NULL}

static PyMethodDef methods[] = {
    AS_METHOD(lines),  AS_METHOD(tails),   AS_METHOD(added), AS_METHOD(recursed),
    AS_METHOD(within), AS_METHOD(repeats), {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {.m_base = PyModuleDef_HEAD_INIT, .m_name = "_kernels", .m_size = 0,
                                    .m_methods = methods};

PyMODINIT_FUNC PyInit__kernels(void) { return PyModuleDef_Init(&module); }
