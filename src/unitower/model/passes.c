/* The elementwise steps of a training step over bfloat16, each in one pass over memory; torch takes three to eight for them.
 *
 * The arithmetic is float32 and every result is rounded once, to the nearest, ties to even. The formulas are those of gradients.py, which runs
 * without this file, slower. Loops are plain and left to the compiler to vectorise; the widest path that the processor has is taken.
 * D is even, rows are contiguous, nothing overlaps. Names: n rows, C columns, A heads, D head width.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define API __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))
#define SIMD _Pragma("omp simd")

#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#define X86 1
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma,prefer-vector-width=512")))
#endif

#ifndef HIGHEST /* path taken at most: 0 portable, 1 AVX2, 2 AVX-512 */
#define HIGHEST 2
#endif

static int level(void) {
#ifdef X86
    __builtin_cpu_init();
    if (HIGHEST >= 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        return 2;
    if (HIGHEST >= 1 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return 1;
#endif
    return 0;
}

typedef uint16_t half; /* bfloat16: the upper half of a float32 */

INLINE float wide(half h) {
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

INLINE half rounded(float f) {
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return (half)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/* e^x to 4e-6 of it: 2^n times a polynomial on [-1/2, 1/2]. Beyond -87 and 88 it is that of the bound. */
INLINE float exponential(float x) {
    float t = (x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x) * 1.44269504f, n = rintf(t), f = t - n;
    float p = 9.6181291e-3f;
    p = p * f + 5.5504109e-2f;
    p = p * f + 2.4022651e-1f;
    p = p * f + 6.9314718e-1f;
    p = p * f + 1.0f;
    uint32_t bits = (uint32_t)((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, 4);
    return p * power;
}

/* ---- y = x / sqrt(mean(x^2) + eps), rounded, times weight; scale [n] is kept for the way back */
#define NORM (const half *x, const half *weight, half *y, float *scale, int64_t n, int64_t C, float eps)
INLINE void norm_body NORM {
    for (int64_t i = 0; i < n; i++, x += C, y += C) {
        float squares = 0;
        _Pragma("omp simd reduction(+ : squares)") for (int64_t c = 0; c < C; c++) squares += wide(x[c]) * wide(x[c]);
        const float s = scale[i] = 1.0f / sqrtf(squares / (float)C + eps);
        SIMD for (int64_t c = 0; c < C; c++) y[c] = rounded(wide(rounded(wide(x[c]) * s)) * wide(weight[c]));
    }
}

/* for_x [n, C]; for_weight float32 [C] is added to */
#define NORM_BACK                                                                                                                          \
    (const half *x, const half *weight, const float *scale, const half *gradient, half *for_x, float *for_weight, int64_t n, int64_t C)
INLINE void norm_back_body NORM_BACK {
    for (int64_t i = 0; i < n; i++, x += C, gradient += C, for_x += C) {
        const float s = scale[i];
        float along = 0;
        _Pragma("omp simd reduction(+ : along)") for (int64_t c = 0; c < C; c++) {
            const float each = wide(x[c]) * s * wide(gradient[c]);
            for_weight[c] += each;
            along += each * wide(weight[c]);
        }
        along /= (float)C;
        SIMD for (int64_t c = 0; c < C; c++) for_x[c] = rounded((wide(gradient[c]) * wide(weight[c]) - wide(x[c]) * s * along) * s);
    }
}

/* ---- out [n, C] = silu(gate) * up of rows [n, 2 C]: gate, then up */
#define GATE (const half *gate_up, half *out, int64_t n, int64_t C)
INLINE void gate_body GATE {
    for (int64_t i = 0; i < n; i++, gate_up += 2 * C, out += C) {
        const half *up = gate_up + C;
        SIMD for (int64_t c = 0; c < C; c++) {
            const float g = wide(gate_up[c]);
            out[c] = rounded(g / (1.0f + exponential(-g)) * wide(up[c]));
        }
    }
}

#define GATE_BACK (const half *gate_up, const half *gradient, half *back, int64_t n, int64_t C)
INLINE void gate_back_body GATE_BACK {
    for (int64_t i = 0; i < n; i++, gate_up += 2 * C, gradient += C, back += 2 * C) {
        const half *up = gate_up + C;
        half *for_up = back + C;
        SIMD for (int64_t c = 0; c < C; c++) {
            const float g = wide(gate_up[c]), d = wide(gradient[c]), open = 1.0f / (1.0f + exponential(-g)), silu = g * open;
            back[c] = rounded(d * wide(up[c]) * (open + silu * (1.0f - open)));
            for_up[c] = rounded(d * silu);
        }
    }
}

/* ---- softmax over rows [n, C], in place; C is at most 1024 */
#define SOFTMAX (half *x, int64_t n, int64_t C)
INLINE void softmax_body SOFTMAX {
    for (int64_t i = 0; i < n; i++, x += C) {
        float most = -INFINITY, sum = 0, room[1024];
        _Pragma("omp simd reduction(max : most)") for (int64_t c = 0; c < C; c++) most = wide(x[c]) > most ? wide(x[c]) : most;
        _Pragma("omp simd reduction(+ : sum)") for (int64_t c = 0; c < C; c++) sum += room[c] = exponential(wide(x[c]) - most);
        const float share = 1.0f / sum;
        SIMD for (int64_t c = 0; c < C; c++) x[c] = rounded(room[c] * share);
    }
}

/* ---- rows of heads from patches to windows and back. An image has `patches` rows; its windows of this size begin at row `first`.
 * Patch side: row p of image b at rows + (b * patches + p) * stride. Window side: [images, count, A, size, D]. */
#define EACH_ROW(body)                                                                                                                     \
    for (int64_t b = 0; b < images; b++)                                                                                                   \
        for (int64_t w = 0; w < count; w++)                                                                                                \
            for (int64_t a = 0; a < A; a++)                                                                                                \
                for (int64_t s = 0; s < size; s++) {                                                                                       \
                    const int64_t patch = first + w * size + s, at = (((b * count + w) * A + a) * size + s) * D;                           \
                    const int64_t from = (b * patches + patch) * stride + a * D;                                                           \
                    body                                                                                                                   \
                }

/* pairs (i, i + D / 2) turned by the angle of the patch, cos and sin float32 [patches, D / 2], times a factor */
INLINE void turned(const half *x, half *y, const float *cos, const float *sin, float sign, float factor, int64_t D) {
    const int64_t middle = D / 2;
    SIMD for (int64_t d = 0; d < middle; d++) {
        const float c = cos[d] * factor, s = sin[d] * sign * factor, left = wide(x[d]), right = wide(x[d + middle]);
        y[d] = rounded(left * c - right * s);
        y[d + middle] = rounded(right * c + left * s);
    }
}

/* queries (turned, times factor), keys (turned) and values of rows [.., 3, A, D] */
#define SPLIT                                                                                                                              \
    (const half *rows, const float *cos, const float *sin, half *q, half *k, half *v, int64_t images, int64_t patches, int64_t first,      \
     int64_t count, int64_t size, int64_t A, int64_t D, float factor)
INLINE void split_body SPLIT {
    const int64_t stride = 3 * A * D;
    EACH_ROW({
        turned(rows + from, q + at, cos + patch * (D / 2), sin + patch * (D / 2), 1, factor, D);
        turned(rows + from + A * D, k + at, cos + patch * (D / 2), sin + patch * (D / 2), 1, 1, D);
        memcpy(v + at, rows + from + 2 * A * D, (size_t)D * sizeof(half));
    })
}

#define JOIN                                                                                                                               \
    (half * rows, const float *cos, const float *sin, const half *q, const half *k, const half *v, int64_t images, int64_t patches,        \
     int64_t first, int64_t count, int64_t size, int64_t A, int64_t D, float factor)
INLINE void join_body JOIN {
    const int64_t stride = 3 * A * D;
    EACH_ROW({
        turned(q + at, rows + from, cos + patch * (D / 2), sin + patch * (D / 2), -1, factor, D);
        turned(k + at, rows + from + A * D, cos + patch * (D / 2), sin + patch * (D / 2), -1, 1, D);
        memcpy(rows + from + 2 * A * D, v + at, (size_t)D * sizeof(half));
    })
}

/* rows [.., A, D] to windows (back = 0), or windows to rows */
#define MOVE                                                                                                                               \
    (half * rows, half * windows, int64_t images, int64_t patches, int64_t first, int64_t count, int64_t size, int64_t A, int64_t D,       \
     int64_t back)
INLINE void move_body MOVE {
    const int64_t stride = A * D;
    EACH_ROW({
        if (back)
            memcpy(rows + from, windows + at, (size_t)D * sizeof(half));
        else
            memcpy(windows + at, rows + from, (size_t)D * sizeof(half));
    })
}

/* ---- the paths */
#ifdef X86
#define PATHS(name, PARAMETERS, ...)                                                                                                       \
    AVX512 static void name##_avx512 PARAMETERS { name##_body(__VA_ARGS__); }                                                              \
    AVX2 static void name##_avx2 PARAMETERS { name##_body(__VA_ARGS__); }                                                                  \
    static void name##_portable PARAMETERS { name##_body(__VA_ARGS__); }                                                                   \
    API void unitower_##name PARAMETERS {                                                                                                  \
        static int path = -1;                                                                                                              \
        if (path < 0)                                                                                                                      \
            path = level();                                                                                                                \
        (path == 2 ? name##_avx512 : path == 1 ? name##_avx2 : name##_portable)(__VA_ARGS__);                                              \
    }
#else
#define PATHS(name, PARAMETERS, ...)                                                                                                       \
    API void unitower_##name PARAMETERS { name##_body(__VA_ARGS__); }
#endif

PATHS(norm, NORM, x, weight, y, scale, n, C, eps)
PATHS(norm_back, NORM_BACK, x, weight, scale, gradient, for_x, for_weight, n, C)
PATHS(gate, GATE, gate_up, out, n, C)
PATHS(gate_back, GATE_BACK, gate_up, gradient, back, n, C)
PATHS(softmax, SOFTMAX, x, n, C)
PATHS(split, SPLIT, rows, cos, sin, q, k, v, images, patches, first, count, size, A, D, factor)
PATHS(join, JOIN, rows, cos, sin, q, k, v, images, patches, first, count, size, A, D, factor)
PATHS(move, MOVE, rows, windows, images, patches, first, count, size, A, D, back)
