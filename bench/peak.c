/* What one core can do at most of the instructions the kernels are made of, on registers alone. Returns operations done. */
#include <immintrin.h>
#include <stdint.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,avx512vpopcntdq"), visibility("default")))
#define EACH(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11)

/* 16-bit products added in pairs: 32 multiplications an instruction. */
TARGET int64_t peak_products(int64_t rounds, int32_t *out) {
    __m512i x = _mm512_set1_epi32((int)rounds), y = _mm512_set1_epi32(3);
#define SUM(q) __m512i s##q = _mm512_set1_epi32(q);
    EACH(SUM)
    for (int64_t i = 0; i < rounds; i++) {
#define ADD(q) s##q = _mm512_dpwssd_epi32(s##q, x, y);
        EACH(ADD)
        __asm__ volatile("" : "+v"(x), "+v"(y));
    }
#define OUT(q) out[q] = _mm512_reduce_add_epi32(s##q);
    EACH(OUT)
    return rounds * 12 * 32;
}

/* Hamming distances of 128 bits with a running least: two xors, two counts, an addition and a minimum for 8 of them. */
TARGET int64_t peak_distances(int64_t rounds, int32_t *out) {
    __m512i a = _mm512_set1_epi64(rounds), b = _mm512_set1_epi64(5), x = _mm512_set1_epi64(9), y = _mm512_set1_epi64(17);
#define LEAST(q) __m512i l##q = _mm512_set1_epi64(1000 + q);
    EACH(LEAST)
    for (int64_t i = 0; i < rounds; i++) {
#define DISTANCE(q)                                                                                                                        \
    l##q = _mm512_min_epi64(                                                                                                               \
        l##q, _mm512_add_epi64(_mm512_popcnt_epi64(_mm512_xor_si512(a, x)), _mm512_popcnt_epi64(_mm512_xor_si512(b, y))));                 \
    __asm__ volatile("" : "+v"(a), "+v"(b), "+v"(x), "+v"(y));
        EACH(DISTANCE)
    }
#define LAST(q) out[q] = (int32_t)_mm512_reduce_min_epi64(l##q);
    EACH(LAST)
    return rounds * 12 * 8;
}
