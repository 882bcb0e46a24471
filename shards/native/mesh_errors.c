// Mean distances between the points of two meshes: once their roots are brought together, and once the first is moved
// onto the second by its best similarity (a proper rotation, Umeyama 1991).
//
// Everything is computed in double precision. A cloud is copied once into six rows of coordinates, relative to its
// first points so that sums of squares lose nothing far from the origin; the moved cloud itself is never written.
// The best rotation is the eigenvector of the largest eigenvalue of Horn's 4x4 matrix (Horn, JOSA A 1987). Sums run in
// four lanes whatever the processor, so that the numbers do not depend on it.

#include "cpu.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define EXPORT __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))

enum { LANES = 4, SWEEPS = 12 };

#pragma GCC diagnostic ignored "-Wpsabi"  // how vectors are passed is of no concern where every call is inlined

typedef double lanes __attribute__((vector_size(8 * LANES), aligned(8), may_alias));

// From the vertices of a mesh to points: some of them, or weighted sums of them.
typedef struct {
    const int32_t *columns;  // vertices; NULL: all of them in their order
    const double *weights;   // of the vertices; NULL: each is a point of its own
    const int64_t *starts;   // where the vertices of each point begin, and the end of the last
    int64_t count;           // points
} map;

// Points of one part on both meshes (predicted, true), and where the mean distances of each person go; NULL: unwanted.
typedef struct {
    map points[2], roots[2];
    double *rooted, *aligned;
} part;

typedef struct {
    const void *vertices;
    int64_t per_mesh;  // vertices
    int64_t is_double;
    uint8_t *is_finite;  // of each person
} meshes;

typedef struct {
    double *of[6];  // x, y, z of the predicted points, then of the true ones
    double origin[6];
    int64_t count;
} cloud;

typedef struct {
    double linear[3][3], shift[3];
} affine;

INLINE void vertex(const void *vertices, int is_double, int64_t i, double out[3])
{
    for (int axis = 0; axis < 3; axis++)
        out[axis] = is_double ? ((const double *)vertices)[3 * i + axis] : ((const float *)vertices)[3 * i + axis];
}

static void weighted(const void *vertices, int is_double, const map *m, int64_t point, double out[3])
{
    double v[3];
    out[0] = out[1] = out[2] = 0;
    for (int64_t k = m->starts[point]; k < m->starts[point + 1]; k++) {
        vertex(vertices, is_double, m->columns[k], v);
        for (int axis = 0; axis < 3; axis++)
            out[axis] += m->weights[k] * v[axis];
    }
}

INLINE void copy(const void *vertices, int is_double, const map *m, const double origin[3], double *const out[3])
{
    // Names of their own tell the compiler that the rows do not overlap, so that it may fill several places at once.
    double *restrict x = out[0], *restrict y = out[1], *restrict z = out[2];
    const double x0 = origin[0], y0 = origin[1], z0 = origin[2];
    for (int64_t i = 0; i < m->count; i++) {
        double v[3];
        vertex(vertices, is_double, m->columns ? m->columns[i] : i, v);
        x[i] = v[0] - x0;
        y[i] = v[1] - y0;
        z[i] = v[2] - z0;
    }
}

// Fill one side of a cloud, relative to its first point.
INLINE void fill(const void *vertices, int is_double, const map *m, double origin[3], double *const out[3])
{
    if (m->weights) {
        weighted(vertices, is_double, m, 0, origin);
        for (int64_t i = 0; i < m->count; i++) {
            double v[3];
            weighted(vertices, is_double, m, i, v);
            for (int axis = 0; axis < 3; axis++)
                out[axis][i] = v[axis] - origin[axis];
        }
        return;
    }
    vertex(vertices, is_double, m->columns ? m->columns[0] : 0, origin);
    if (is_double)
        copy(vertices, 1, m, origin, out);
    else if (m->columns)
        copy(vertices, 0, m, origin, out);
    else
        copy(vertices, 0, &(map){.count = m->count}, origin, out);
}

INLINE lanes at(const double *row, int64_t i)
{
    return *(const lanes *)(row + i);
}

INLINE double total(lanes v)
{
    return (v[0] + v[1]) + (v[2] + v[3]);
}

INLINE lanes roots_of(lanes v)
{
#if defined(__SSE2__)
    __m128d low = _mm_sqrt_pd((__m128d){v[0], v[1]}), high = _mm_sqrt_pd((__m128d){v[2], v[3]});
    return (lanes){low[0], low[1], high[0], high[1]};
#else
    return (lanes){sqrt(v[0]), sqrt(v[1]), sqrt(v[2]), sqrt(v[3])};
#endif
}

// Sums over a cloud whose rows are filled up with zeros to whole lanes: of each coordinate, of the predicted squares,
// and of each predicted coordinate times each true one.
INLINE void sum_products(const cloud *c, double sums[6], double *squares, double products[3][3])
{
    lanes first[6] = {0}, square = {0}, product[3][3] = {{{0}}};
    for (int64_t i = 0; i < c->count; i += LANES) {
        lanes v[6];
        for (int row = 0; row < 6; row++) {
            v[row] = at(c->of[row], i);
            first[row] += v[row];
        }
        square += v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++)
                product[a][b] += v[a] * v[3 + b];
    }
    *squares = total(square);
    for (int row = 0; row < 6; row++)
        sums[row] = total(first[row]);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++)
            products[a][b] = total(product[a][b]);
}

// The mean distance between the true points and the predicted ones plus a shift.
INLINE double mean_shifted(const cloud *c, const double shift[3])
{
    lanes sum = {0};
    int64_t i = 0;
    for (; i + LANES <= c->count; i += LANES) {
        const lanes x = at(c->of[0], i) - at(c->of[3], i) + shift[0], y = at(c->of[1], i) - at(c->of[4], i) + shift[1],
                    z = at(c->of[2], i) - at(c->of[5], i) + shift[2];
        sum += roots_of(x * x + y * y + z * z);
    }
    double out = total(sum);
    for (; i < c->count; i++) {
        const double x = c->of[0][i] - c->of[3][i] + shift[0], y = c->of[1][i] - c->of[4][i] + shift[1],
                     z = c->of[2][i] - c->of[5][i] + shift[2];
        out += sqrt(x * x + y * y + z * z);
    }
    return out / (double)c->count;
}

// The mean distance between the true points and the moved predicted ones.
INLINE double mean_moved(const cloud *c, const affine *m)
{
    lanes sum = {0};
    int64_t i = 0;
    for (; i + LANES <= c->count; i += LANES) {
        lanes square = {0};
        for (int a = 0; a < 3; a++) {
            const double *r = m->linear[a];
            const lanes step = r[0] * at(c->of[0], i) + r[1] * at(c->of[1], i) + r[2] * at(c->of[2], i) + m->shift[a] -
                               at(c->of[3 + a], i);
            square += step * step;
        }
        sum += roots_of(square);
    }
    double out = total(sum);
    for (; i < c->count; i++) {
        double square = 0;
        for (int a = 0; a < 3; a++) {
            const double *r = m->linear[a];
            const double step =
                r[0] * c->of[0][i] + r[1] * c->of[1][i] + r[2] * c->of[2][i] + m->shift[a] - c->of[3 + a][i];
            square += step * step;
        }
        out += sqrt(square);
    }
    return out / (double)c->count;
}

// Turn rows p and q of a symmetric matrix so that their common entry vanishes (Jacobi), and the vectors with them.
static void turn(double m[4][4], double vectors[4][4], int p, int q)
{
    const double theta = (m[q][q] - m[p][p]) / (2 * m[p][q]);
    const double t = copysign(1, theta) / (fabs(theta) + sqrt(theta * theta + 1));
    const double c = 1 / sqrt(t * t + 1), s = t * c;
    for (int k = 0; k < 4; k++) {
        const double kp = m[k][p], kq = m[k][q];
        m[k][p] = c * kp - s * kq;
        m[k][q] = s * kp + c * kq;
    }
    for (int k = 0; k < 4; k++) {
        const double pk = m[p][k], qk = m[q][k];
        m[p][k] = c * pk - s * qk;
        m[q][k] = s * pk + c * qk;
        const double kp = vectors[k][p], kq = vectors[k][q];
        vectors[k][p] = c * kp - s * kq;
        vectors[k][q] = s * kp + c * kq;
    }
}

// The largest eigenvalue of a symmetric matrix, and its vector.
static double largest(double m[4][4], double vector[4])
{
    double vectors[4][4] = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}};
    for (int sweep = 0, turned = 1; turned && sweep < SWEEPS; sweep++) {
        turned = 0;
        for (int p = 0; p < 3; p++)
            for (int q = p + 1; q < 4; q++)
                if (fabs(m[p][q]) > DBL_EPSILON / 16 * (fabs(m[p][p]) + fabs(m[q][q]))) {
                    turn(m, vectors, p, q);
                    turned = 1;
                }
    }
    int best = 0;
    for (int k = 1; k < 4; k++)
        if (m[k][k] > m[best][best])
            best = k;
    for (int k = 0; k < 4; k++)
        vector[k] = vectors[k][best];
    return m[best][best];
}

// The proper rotation that brings predicted points onto true ones, given the sums of their products about the centres.
// Returns the sum of products along it.
static double best_rotation(double s[3][3], double out[3][3])
{
    double m[4][4] = {
        {s[0][0] + s[1][1] + s[2][2], s[1][2] - s[2][1], s[2][0] - s[0][2], s[0][1] - s[1][0]},
        {s[1][2] - s[2][1], s[0][0] - s[1][1] - s[2][2], s[0][1] + s[1][0], s[2][0] + s[0][2]},
        {s[2][0] - s[0][2], s[0][1] + s[1][0], s[1][1] - s[0][0] - s[2][2], s[1][2] + s[2][1]},
        {s[0][1] - s[1][0], s[2][0] + s[0][2], s[1][2] + s[2][1], s[2][2] - s[0][0] - s[1][1]},
    };
    double q[4];
    const double strength = largest(m, q);
    const double w = q[0], x = q[1], y = q[2], z = q[3];
    const double rotation[3][3] = {
        {w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)},
        {2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)},
        {2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z},
    };
    memcpy(out, rotation, sizeof rotation);
    return strength;
}

// The best similarity of a cloud; its scale is zero where the predicted points coincide up to rounding.
INLINE affine best_similarity(const cloud *c)
{
    const double n = (double)c->count;
    double sums[6], squares, products[3][3], rotation[3][3];
    sum_products(c, sums, &squares, products);
    double extent = squares, far = 0;
    for (int a = 0; a < 3; a++) {
        extent -= sums[a] * sums[a] / n;
        far += fabs(c->origin[a] + sums[a] / n);
        for (int b = 0; b < 3; b++)
            products[a][b] -= sums[a] * sums[3 + b] / n;
    }
    const double strength = best_rotation(products, rotation), rounding = 8 * DBL_EPSILON * far;
    const double scale = extent <= rounding * rounding * n ? 0 : strength / extent;
    affine out;
    for (int a = 0; a < 3; a++) {
        out.shift[a] = sums[3 + a] / n;
        for (int b = 0; b < 3; b++) {
            out.linear[a][b] = scale * rotation[a][b];
            out.shift[a] -= out.linear[a][b] * sums[b] / n;
        }
    }
    return out;
}

// Whether no number is NaN or infinite: all bits of the exponent are set in those.
static uint8_t finite_floats(const void *numbers, int64_t count)
{
    const uint32_t *bits = numbers;
    uint32_t bad = 0;
    for (int64_t i = 0; i < count; i++)
        bad |= (bits[i] & 0x7F800000u) == 0x7F800000u;
    return !bad;
}

static uint8_t finite_doubles(const void *numbers, int64_t count)
{
    const uint64_t *bits = numbers, exponent = 0x7FF0000000000000u;
    uint64_t bad = 0;
    for (int64_t i = 0; i < count; i++)
        bad |= (bits[i] & exponent) == exponent;
    return !bad;
}

INLINE void measure(const part *p, const meshes sides[2], const void *const vertices[2], int64_t person, cloud *c)
{
    double shift[3];
    c->count = p->points[0].count;
    for (int side = 0; side < 2; side++)
        fill(vertices[side], (int)sides[side].is_double, &p->points[side], c->origin + 3 * side, c->of + 3 * side);
    if (p->rooted) {
        double roots[2][3];
        for (int side = 0; side < 2; side++)
            weighted(vertices[side], (int)sides[side].is_double, &p->roots[side], 0, roots[side]);
        for (int a = 0; a < 3; a++)
            shift[a] = (c->origin[a] - roots[0][a]) - (c->origin[3 + a] - roots[1][a]);
        p->rooted[person] = mean_shifted(c, shift);
    }
    if (p->aligned) {
        for (int row = 0; row < 6; row++)
            memset(c->of[row] + c->count, 0, sizeof(double[LANES]));
        const affine best = best_similarity(c);
        p->aligned[person] = mean_moved(c, &best);
    }
}

INLINE void measure_all(const part *parts, int64_t count, const meshes sides[2], int64_t people, cloud *c)
{
    for (int64_t person = 0; person < people; person++) {
        const void *vertices[2];
        for (int side = 0; side < 2; side++) {
            const meshes *m = &sides[side];
            const int64_t numbers = 3 * m->per_mesh;
            vertices[side] = (const char *)m->vertices + person * numbers * (m->is_double ? 8 : 4);
            m->is_finite[person] =
                m->is_double ? finite_doubles(vertices[side], numbers) : finite_floats(vertices[side], numbers);
        }
        for (int64_t i = 0; i < count; i++)
            measure(&parts[i], sides, vertices, person, c);
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void measure_avx2(const part *parts, int64_t count, const meshes sides[2],
                                                         int64_t people, cloud *c)
{
    measure_all(parts, count, sides, people, c);
}
#endif

static void measure_plain(const part *parts, int64_t count, const meshes sides[2], int64_t people, cloud *c)
{
    measure_all(parts, count, sides, people, c);
}

// Fill in the mean distances of each part of each person, in the unit of the vertices; every part has at least one
// point. Returns 1 when memory is short, else 0.
EXPORT int32_t ehps_mesh_errors(const part *parts, int64_t count, const meshes sides[2], int64_t people)
{
    int64_t most = 0;
    for (int64_t i = 0; i < count; i++)
        most = parts[i].points[0].count > most ? parts[i].points[0].count : most;
    const int64_t row = most + LANES;
    double *memory = malloc((size_t)row * 6 * sizeof(double));
    if (!memory)
        return 1;
    cloud c;
    for (int i = 0; i < 6; i++)
        c.of[i] = memory + i * row;
#if defined(__x86_64__)
    (this_cpu.has_avx2 ? measure_avx2 : measure_plain)(parts, count, sides, people, &c);
#else
    measure_plain(parts, count, sides, people, &c);
#endif
    free(memory);
    return 0;
}
