/* Late interaction over codes: Hamming scan of sign planes, second look at two planes, int8 MaxSim, dot products of dense codes; and the
 * checksums of what is read.
 *
 * Every function does what kernels/plain.py does, in whole numbers, so that the answers are the same to the last bit. `level` is the path:
 * 0 portable, 1 AVX2, 2 AVX-512 (VNNI, VPOPCNTDQ); unitower_level() tells the highest that this processor has. Nothing is kept between
 * calls; a query is laid out anew on the heap. Functions return 0, or 1 where there is no memory for that.
 *
 * The layout of a packed page stands in codes.py: t float scales, then blocks of 16 tokens in which four columns of each token stand side by
 * side. A dword of a block is therefore four columns of one token, and a register of 16 dwords is 16 tokens.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define API __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))
#define BLOCK 16
#define UNROLL _Pragma("GCC unroll 16")
/* Eight query tokens whose sums are named variables: of an array, compilers keep a copy in memory. */
#define GROUP 8
#define EACH(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7)
#define MAX_WIDTH 4096

#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#define X86 1
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2,popcnt,pclmul")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vpopcntdq,popcnt")))
#endif

API int unitower_level(void) {
#ifdef X86
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("pclmul"))
        return 0;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vpopcntdq"))
        return 2;
    if (__builtin_cpu_supports("avx2"))
        return 1;
#endif
    return 0;
}

/* ---- Hamming: sum over query tokens of the least distance to a token of the page.
 * query [words][T], plane [words][stride]; page i has `parts` runs of tokens, starts[i * parts + r] .. + lengths[i * parts + r]. */

/* Pages that lie apart: the first cache lines of the next one are fetched while this one is looked at; the processor goes on by itself. */
INLINE void announce(const uint64_t *plane, int64_t words, int64_t stride, int64_t parts, const int64_t *starts, const int64_t *lengths) {
    for (int64_t r = 0; r < parts; r++)
        if (starts[r] + lengths[r] != starts[parts + r])
            for (int64_t w = 0; w < words; w++)
                for (int64_t s = starts[parts + r]; s < starts[parts + r] + lengths[parts + r] && s < starts[parts + r] + 32; s += 8)
                    __builtin_prefetch(plane + w * stride + s);
}

#define HAMMING_ARGUMENTS                                                                                                                  \
    const uint64_t *query, int64_t T, const uint64_t *plane, int64_t words, int64_t stride, int64_t n, int64_t parts,                       \
        const int64_t *starts, const int64_t *lengths, int32_t *out

INLINE void hamming_plain(HAMMING_ARGUMENTS) {
    for (int64_t i = 0; i < n; i++) {
        int64_t sum = 0;
        for (int64_t t = 0; t < T; t++) {
            int64_t least = INT64_MAX;
            for (int64_t r = i * parts; r < (i + 1) * parts; r++)
                for (int64_t s = starts[r]; s < starts[r] + lengths[r]; s++) {
                    int64_t distance = 0;
                    for (int64_t w = 0; w < words; w++)
                        distance += __builtin_popcountll(plane[w * stride + s] ^ query[w * T + t]);
                    if (distance < least)
                        least = distance;
                }
            sum += least;
        }
        out[i] = (int32_t)sum;
    }
}

static void hamming_portable(HAMMING_ARGUMENTS) { hamming_plain(query, T, plane, words, stride, n, parts, starts, lengths, out); }

#ifdef X86
/* Four tokens in a register; bytes are counted by a table of nibbles (Mula), summed by sad. */
AVX2 INLINE void hamming_avx2_words(const int64_t words, const uint64_t *query, int64_t T, const uint64_t *plane, int64_t stride,
                                    int64_t n, int64_t parts, const int64_t *starts, const int64_t *lengths, int32_t *out) {
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(15), zero = _mm256_setzero_si256();
    for (int64_t i = 0; i < n; i++) {
        int64_t sum = 0;
        for (int64_t t = 0; t < T; t++) {
            __m256i least = _mm256_set1_epi32(INT32_MAX); /* the upper halves are 0 in count: only the lower are read below */
            int32_t lanes[8], best = INT32_MAX;
            for (int64_t r = i * parts; r < (i + 1) * parts; r++) {
                const int64_t first = starts[r], whole = lengths[r] & ~(int64_t)3;
                for (int64_t s = first; s < first + whole; s += 4) {
                    __m256i count = zero;
                    for (int64_t w = 0; w < words; w++) {
                        __m256i x = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(plane + w * stride + s)),
                                                     _mm256_set1_epi64x((int64_t)query[w * T + t]));
                        __m256i bytes = _mm256_add_epi8(_mm256_shuffle_epi8(table, _mm256_and_si256(x, low)),
                                                        _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi32(x, 4), low)));
                        count = _mm256_add_epi64(count, _mm256_sad_epu8(bytes, zero));
                    }
                    least = _mm256_min_epi32(least, count);
                }
                for (int64_t s = first + whole; s < first + lengths[r]; s++) {
                    int32_t distance = 0;
                    for (int64_t w = 0; w < words; w++)
                        distance += (int32_t)__builtin_popcountll(plane[w * stride + s] ^ query[w * T + t]);
                    best = distance < best ? distance : best;
                }
            }
            _mm256_storeu_si256((__m256i *)lanes, least);
            for (int k = 0; k < 8; k += 2)
                best = lanes[k] < best ? lanes[k] : best;
            sum += best;
        }
        out[i] = (int32_t)sum;
    }
}

AVX2 static void hamming_avx2(HAMMING_ARGUMENTS) {
    if (words == 2)
        hamming_avx2_words(2, query, T, plane, stride, n, parts, starts, lengths, out);
    else
        hamming_avx2_words(words, query, T, plane, stride, n, parts, starts, lengths, out);
}

/* Eight tokens in a register, eight query tokens at a time; `grouped` has the words of each eight side by side: [T / 8][words][8]. */
#define AT(w, q) _mm512_set1_epi64((int64_t)group[(w) * GROUP + q])
#define LEAST(q) __m512i least##q = _mm512_set1_epi64(INT32_MAX);

/* The least of each of eight registers, side by side: pairs of registers are merged lane by lane, eight, four, two at a time. */
AVX512 INLINE __m512i least_of_each(__m512i a, __m512i b, __m512i c, __m512i d, __m512i e, __m512i f, __m512i g, __m512i h) {
#define BY_ONE(x, y) _mm512_min_epi64(_mm512_unpacklo_epi64(x, y), _mm512_unpackhi_epi64(x, y))
#define BY_TWO(x, y) _mm512_min_epi64(_mm512_shuffle_i64x2(x, y, 0x88), _mm512_shuffle_i64x2(x, y, 0xdd))
    return BY_TWO(BY_TWO(BY_ONE(a, b), BY_ONE(c, d)), BY_TWO(BY_ONE(e, f), BY_ONE(g, h)));
}

AVX512 INLINE void hamming_avx512_words(const int64_t words, const uint64_t *grouped, int64_t T, const uint64_t *plane, int64_t stride,
                                        int64_t n, int64_t parts, const int64_t *starts, const int64_t *lengths, int32_t *out) {
    for (int64_t i = 0; i < n; i++) {
        __m512i sums = _mm512_setzero_si512();
        if (i + 1 < n)
            announce(plane, words, stride, parts, starts + i * parts, lengths + i * parts);
        for (int64_t t = 0; t < T; t += GROUP) {
            const uint64_t *group = grouped + t * words;
            const __mmask8 asked = T - t < GROUP ? (__mmask8)((1u << (T - t)) - 1) : 255;
            EACH(LEAST)
            for (int64_t r = i * parts; r < (i + 1) * parts; r++) {
                const int64_t end = starts[r] + lengths[r];
                int64_t s = starts[r];
                if (words == 2)
                    for (; s + 8 <= end; s += 8) {
                        const __m512i a = _mm512_loadu_si512(plane + s), b = _mm512_loadu_si512(plane + stride + s);
#define PAIR(q)                                                                                                                            \
    least##q = _mm512_min_epi64(least##q, _mm512_add_epi64(_mm512_popcnt_epi64(_mm512_xor_si512(a, AT(0, q))),                             \
                                                           _mm512_popcnt_epi64(_mm512_xor_si512(b, AT(1, q)))));
                        EACH(PAIR)
                    }
                for (; s < end; s += 8) {
                    const __mmask8 there = end - s < 8 ? (__mmask8)((1u << (end - s)) - 1) : 255;
#define ZERO(q) __m512i count##q = _mm512_setzero_si512();
                    EACH(ZERO)
                    for (int64_t w = 0; w < words; w++) {
                        const __m512i a = _mm512_maskz_loadu_epi64(there, plane + w * stride + s);
#define COUNT(q) count##q = _mm512_add_epi64(count##q, _mm512_popcnt_epi64(_mm512_xor_si512(a, AT(w, q))));
                        EACH(COUNT)
                    }
#define KEEP(q) least##q = _mm512_mask_min_epi64(least##q, there, least##q, count##q);
                    EACH(KEEP)
                }
            }
            sums = _mm512_mask_add_epi64(sums, asked, sums, least_of_each(least0, least1, least2, least3, least4, least5, least6, least7));
        }
        out[i] = (int32_t)_mm512_reduce_add_epi64(sums);
    }
}

AVX512 static int hamming_avx512(HAMMING_ARGUMENTS) {
    const int64_t groups = (T + GROUP - 1) / GROUP;
    uint64_t *grouped = malloc((size_t)(groups * GROUP * words) * sizeof(uint64_t));
    if (!grouped)
        return 1;
    for (int64_t t = 0; t < groups * GROUP; t++)
        for (int64_t w = 0; w < words; w++)
            grouped[(t / GROUP * words + w) * GROUP + t % GROUP] = query[w * T + (t < T ? t : T - 1)];
    if (words == 2)
        hamming_avx512_words(2, grouped, T, plane, stride, n, parts, starts, lengths, out);
    else
        hamming_avx512_words(words, grouped, T, plane, stride, n, parts, starts, lengths, out);
    free(grouped);
    return 0;
}
#endif

API int unitower_hamming(int level, HAMMING_ARGUMENTS) {
#ifdef X86
    if (level >= 2)
        return hamming_avx512(query, T, plane, words, stride, n, parts, starts, lengths, out);
    if (level == 1)
        hamming_avx2(query, T, plane, words, stride, n, parts, starts, lengths, out);
    else
#endif
        hamming_portable(query, T, plane, words, stride, n, parts, starts, lengths, out);
    return 0;
}

/* ---- Blocks: largest product of each query token with 16 tokens at a time.
 * A query is laid out as pairs of 16-bit numbers: for columns c .. c+3 of token q, (c, c+2) and (c+1, c+3), which are the lower and the
 * upper bytes of the words of a block's dword. */

static int32_t *paired(const int16_t *query, int64_t T, int64_t columns) {
    int32_t *pairs = malloc((size_t)(columns / 4 * T * 2) * sizeof(int32_t));
    if (pairs)
        for (int64_t j = 0; j < columns / 4; j++)
            for (int64_t t = 0; t < T; t++) {
                const int16_t *c = query + t * columns + 4 * j;
                pairs[(j * T + t) * 2] = (int32_t)((uint16_t)c[0] | (uint32_t)(uint16_t)c[2] << 16);
                pairs[(j * T + t) * 2 + 1] = (int32_t)((uint16_t)c[1] | (uint32_t)(uint16_t)c[3] << 16);
            }
    return pairs;
}

/* One block against query tokens t .. t+count: best[q] = max(best[q], scale * product) over its 16 tokens. */
typedef void (*block_function)(const int32_t *pairs, int64_t T, int64_t t, int64_t count, int64_t columns, const int8_t *block,
                               const float *scales, float *best);

static void block_portable(const int32_t *pairs, int64_t T, int64_t t, int64_t count, int64_t columns, const int8_t *block,
                           const float *scales, float *best) {
    for (int64_t q = 0; q < count; q++) {
        int32_t sums[BLOCK] = {0};
        for (int64_t j = 0; j < columns / 4; j++) {
            const int32_t *pair = pairs + (j * T + t + q) * 2;
            const int32_t c0 = (int16_t)pair[0], c2 = pair[0] >> 16, c1 = (int16_t)pair[1], c3 = pair[1] >> 16;
            const int8_t *d = block + j * 4 * BLOCK;
            for (int k = 0; k < BLOCK; k++)
                sums[k] += c0 * d[4 * k] + c1 * d[4 * k + 1] + c2 * d[4 * k + 2] + c3 * d[4 * k + 3];
        }
        for (int k = 0; k < BLOCK; k++) {
            const float score = (float)sums[k] * scales[k];
            best[q] = score > best[q] ? score : best[q];
        }
    }
}

#ifdef X86
#define AQ 3
AVX2 INLINE void block_avx2_queries(const int count, const int32_t *pairs, int64_t T, int64_t t, int64_t columns, const int8_t *block,
                                    const float *scales, float *best) {
    __m256i sums[AQ][2];
    UNROLL for (int q = 0; q < count; q++)
        sums[q][0] = sums[q][1] = _mm256_setzero_si256();
    for (int64_t j = 0; j < columns / 4; j++) {
        const int32_t *pair = pairs + (j * T + t) * 2;
        const __m256i a = _mm256_loadu_si256((const __m256i *)(block + j * 64)), b = _mm256_loadu_si256((const __m256i *)(block + j * 64 + 32));
        const __m256i upper_a = _mm256_srai_epi16(a, 8), lower_a = _mm256_srai_epi16(_mm256_slli_epi16(a, 8), 8);
        const __m256i upper_b = _mm256_srai_epi16(b, 8), lower_b = _mm256_srai_epi16(_mm256_slli_epi16(b, 8), 8);
        UNROLL for (int q = 0; q < count; q++) {
            const __m256i even = _mm256_set1_epi32(pair[2 * q]), odd = _mm256_set1_epi32(pair[2 * q + 1]);
            sums[q][0] = _mm256_add_epi32(sums[q][0], _mm256_add_epi32(_mm256_madd_epi16(lower_a, even), _mm256_madd_epi16(upper_a, odd)));
            sums[q][1] = _mm256_add_epi32(sums[q][1], _mm256_add_epi32(_mm256_madd_epi16(lower_b, even), _mm256_madd_epi16(upper_b, odd)));
        }
    }
    UNROLL for (int q = 0; q < count; q++) {
        const __m256 scores = _mm256_max_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sums[q][0]), _mm256_loadu_ps(scales)),
                                            _mm256_mul_ps(_mm256_cvtepi32_ps(sums[q][1]), _mm256_loadu_ps(scales + 8)));
        __m128 four = _mm_max_ps(_mm256_castps256_ps128(scores), _mm256_extractf128_ps(scores, 1));
        four = _mm_max_ps(four, _mm_movehl_ps(four, four));
        four = _mm_max_ss(four, _mm_movehdup_ps(four));
        const float score = _mm_cvtss_f32(four);
        best[q] = score > best[q] ? score : best[q];
    }
}

AVX2 static void block_avx2(const int32_t *pairs, int64_t T, int64_t t, int64_t count, int64_t columns, const int8_t *block,
                            const float *scales, float *best) {
    int64_t q = 0;
    for (; q + AQ <= count; q += AQ)
        block_avx2_queries(AQ, pairs, T, t + q, columns, block, scales, best + q);
    for (; q < count; q++)
        block_avx2_queries(1, pairs, T, t + q, columns, block, scales, best + q);
}
#endif

/* The last block of a page, filled up with copies of its first token: they change no maximum. */
static const int8_t *filled(const int8_t *rest, int64_t rows, int64_t columns, const float *scales, int8_t *room, float *scale_room) {
    for (int64_t j = 0; j < columns / 4; j++)
        for (int64_t k = 0; k < BLOCK; k++)
            memcpy(room + j * 64 + k * 4, rest + (j * rows + (k < rows ? k : 0)) * 4, 4);
    for (int64_t k = 0; k < BLOCK; k++)
        scale_room[k] = scales[k < rows ? k : 0];
    return room;
}

/* The fastest way without AVX-512. */
static block_function block_of(int level) {
#ifdef X86
    if (level == 1)
        return block_avx2;
#endif
    (void)level;
    return block_portable;
}

static void best_by_blocks(block_function by_block, const int32_t *pairs, int64_t T, int64_t columns, const uint8_t *pages, int64_t n,
                           const int64_t *starts, const int64_t *lengths, float *out) {
    int8_t room[MAX_WIDTH * BLOCK];
    float scale_room[BLOCK];
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *page = pages + starts[i];
        const int8_t *codes = (const int8_t *)page + 4 * lengths[i];
        float *best = out + i * T;
        for (int64_t t = 0; t < T; t++)
            best[t] = -3.4e38f;
        for (int64_t s = 0; s < lengths[i]; s += BLOCK) {
            const int64_t rows = lengths[i] - s < BLOCK ? lengths[i] - s : BLOCK;
            memcpy(scale_room, page + 4 * s, 4 * (size_t)rows);
            const int8_t *block = codes + s * columns;
            if (rows < BLOCK)
                block = filled(block, rows, columns, scale_room, room, scale_room);
            by_block(pairs, T, 0, T, columns, block, scale_room, best);
        }
    }
}

#ifdef X86
/* Eight query tokens against two blocks of 16 tokens: 16 sums stay in registers. `pair` has the pairs of the eight side by side. */
AVX512 INLINE void blocks_avx512(const int32_t *pair, int64_t columns, const int8_t *a, const int8_t *b, __m512 scale_a, __m512 scale_b,
                                 const uint8_t *next, __m512 *best) {
#define SUMS(q) __m512i a##q = _mm512_setzero_si512(), b##q = a##q;
    EACH(SUMS)
    for (int64_t j = 0; j < columns / 4; j++, pair += 2 * GROUP) {
        if (next) { /* pages lie apart: the next one is fetched along with this one */
            _mm_prefetch((const char *)next + 128 * j, _MM_HINT_T1);
            _mm_prefetch((const char *)next + 128 * j + 64, _MM_HINT_T1);
        }
        const __m512i x = _mm512_loadu_si512(a + j * 64), y = _mm512_loadu_si512(b + j * 64);
        const __m512i upper_x = _mm512_srai_epi16(x, 8), lower_x = _mm512_srai_epi16(_mm512_slli_epi16(x, 8), 8);
        const __m512i upper_y = _mm512_srai_epi16(y, 8), lower_y = _mm512_srai_epi16(_mm512_slli_epi16(y, 8), 8);
        __m512i columns_of;
#define EVEN(q)                                                                                                                            \
    columns_of = _mm512_set1_epi32(pair[2 * q]);                                                                                           \
    a##q = _mm512_dpwssd_epi32(a##q, lower_x, columns_of);                                                                                 \
    b##q = _mm512_dpwssd_epi32(b##q, lower_y, columns_of);
        EACH(EVEN)
#define ODD(q)                                                                                                                             \
    columns_of = _mm512_set1_epi32(pair[2 * q + 1]);                                                                                       \
    a##q = _mm512_dpwssd_epi32(a##q, upper_x, columns_of);                                                                                 \
    b##q = _mm512_dpwssd_epi32(b##q, upper_y, columns_of);
        EACH(ODD)
    }
#define BEST(q)                                                                                                                            \
    best[q] = _mm512_max_ps(best[q], _mm512_max_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(a##q), scale_a),                                       \
                                                   _mm512_mul_ps(_mm512_cvtepi32_ps(b##q), scale_b)));
    EACH(BEST)
}

/* All query tokens look at two blocks before the next two are read, so that a page comes through the cache once. */
AVX512 static int best_avx512(const int16_t *query, int64_t T, int64_t columns, const uint8_t *pages, int64_t n, const int64_t *starts,
                              const int64_t *lengths, float *out) {
    const int64_t padded = (T + GROUP - 1) / GROUP * GROUP;
    const size_t for_best = (size_t)padded * 64;
    uint8_t *memory = malloc(for_best + (size_t)(padded * columns) * 2 + 64);
    if (!memory)
        return 1;
    __m512 *best = (__m512 *)(((uintptr_t)memory + 63) & ~(uintptr_t)63);
    int16_t *grouped = (int16_t *)((uint8_t *)best + for_best);
    for (int64_t t = 0; t < padded; t++)
        for (int64_t j = 0; j < columns / 4; j++) {
            const int16_t *c = query + (t < T ? t : T - 1) * columns + 4 * j;
            int16_t *pair = grouped + t / GROUP * GROUP * columns + (j * GROUP + t % GROUP) * 4;
            pair[0] = c[0], pair[1] = c[2], pair[2] = c[1], pair[3] = c[3];
        }
    int8_t room[MAX_WIDTH * BLOCK];
    float scale_room[BLOCK];
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *page = pages + starts[i], *next = pages + starts[i + 1 < n ? i + 1 : i];
        const int8_t *codes = (const int8_t *)page + 4 * lengths[i];
        for (int64_t t = 0; t < padded; t++)
            best[t] = _mm512_set1_ps(-3.4e38f);
        for (int64_t s = 0; s < lengths[i]; s += 2 * BLOCK) {
            const int8_t *block[2];
            __m512 scales[2];
            for (int k = 0; k < 2; k++) {
                const int64_t rows = lengths[i] - s - k * BLOCK;
                block[k] = codes + (s + k * BLOCK) * columns;
                if (rows >= BLOCK)
                    scales[k] = _mm512_loadu_ps(page + 4 * (s + k * BLOCK));
                else if (rows > 0) {
                    memcpy(scale_room, page + 4 * (s + k * BLOCK), 4 * (size_t)rows);
                    block[k] = filled(block[k], rows, columns, scale_room, room, scale_room);
                    scales[k] = _mm512_loadu_ps(scale_room);
                } else /* an odd block is looked at twice */
                    block[k] = block[0], scales[k] = scales[0];
            }
            for (int64_t t = 0; t < padded; t += GROUP)
                blocks_avx512((const int32_t *)grouped + t * columns / 2, columns, block[0], block[1], scales[0], scales[1],
                              t ? NULL : next + s * columns, best + t);
        }
        for (int64_t t = 0; t < T; t++)
            out[i * T + t] = _mm512_reduce_max_ps(best[t]);
    }
    free(memory);
    return 0;
}
#endif

/* out [n][T]: for each page and query token the largest scale * product. */
API int unitower_best(int level, const int16_t *query, int64_t T, int64_t columns, const uint8_t *pages, int64_t n, const int64_t *starts,
                      const int64_t *lengths, float *out) {
#ifdef X86
    if (level >= 2)
        return best_avx512(query, T, columns, pages, n, starts, lengths, out);
#endif
    int32_t *pairs = paired(query, T, columns);
    if (!pairs)
        return 1;
    best_by_blocks(block_of(level), pairs, T, columns, pages, n, starts, lengths, out);
    free(pairs);
    return 0;
}

/* ---- Two planes: sum over query tokens of the largest product with the levels -10, -3, 3, 10 of a page's tokens.
 * query int8 [T][columns]; planes [words][stride]; pages as above. */

#define COARSE_ARGUMENTS                                                                                                                   \
    const uint64_t *signs, const uint64_t *large, int64_t words, int64_t stride, int64_t n, int64_t parts, const int64_t *starts,          \
        const int64_t *lengths, int32_t *out

/* Four columns of a token from four bits of each plane. */
static uint32_t four_levels(unsigned sign, unsigned large) {
    uint32_t packed = 0;
    for (int k = 0; k < 4; k++) {
        const int size = large >> k & 1 ? 10 : 3;
        packed |= (uint32_t)(uint8_t)(int8_t)(sign >> k & 1 ? size : -size) << 8 * k;
    }
    return packed;
}

static void coarse_by_blocks(block_function by_block, const int32_t *pairs, int64_t T, int64_t columns, COARSE_ARGUMENTS) {
    (void)words;
    static const float ones[BLOCK] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    uint32_t table[256];
    int8_t room[MAX_WIDTH * BLOCK];
    float best[64];
    for (unsigned each = 0; each < 256; each++)
        table[each] = four_levels(each & 15, each >> 4);
    for (int64_t i = 0; i < n; i++)
        out[i] = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t t = 0; t < T; t += 64) {
            const int64_t count = T - t < 64 ? T - t : 64;
            for (int64_t q = 0; q < count; q++)
                best[q] = -3.4e38f;
            for (int64_t r = i * parts; r < (i + 1) * parts; r++)
                for (int64_t s = starts[r]; s < starts[r] + lengths[r]; s += BLOCK) {
                    for (int64_t k = 0; k < BLOCK; k++) {
                        const int64_t at = s + k < starts[r] + lengths[r] ? s + k : s;
                        for (int64_t j = 0; j < columns / 4; j++) {
                            const int64_t word = j / 16 * stride + at;
                            const int shift = (int)(j % 16 * 4);
                            memcpy(room + j * 64 + k * 4, table + ((signs[word] >> shift & 15) | (large[word] >> shift & 15) << 4), 4);
                        }
                    }
                    by_block(pairs, T, t, count, columns, room, ones, best);
                }
            for (int64_t q = 0; q < count; q++)
                out[i] += (int32_t)best[q];
        }
}

#ifdef X86
/* Levels are raised by 10 to 0, 7, 13, 20, so that vpdpbusd can take them. A block is unpacked once, for all query tokens. */
AVX512 static void unpacked_avx512(const uint64_t *signs, const uint64_t *large, int64_t stride, int64_t s, __mmask16 there, int64_t dwords,
                                   uint8_t *room) {
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    const __m512i copy = _mm512_set4_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0x00000000); /* a byte of each dword, four times */
    const __m512i lower = _mm512_set1_epi32(0x08040201), upper = _mm512_set1_epi32((int)0x80402010);
    const __m512i small_below = _mm512_set1_epi8(7), small_above = _mm512_set1_epi8(13), large_above = _mm512_set1_epi8(20);
    const __mmask8 first = (__mmask8)(there & 255), second = (__mmask8)(there >> 8);
    for (int64_t half = 0; half * 8 < dwords; half++) { /* 32 columns */
        const int64_t place = half / 2 * stride + s;
        const __m512i order = half % 2 ? odd : even;
        const __m512i sign = _mm512_permutex2var_epi32(_mm512_maskz_loadu_epi64(first, signs + place), order,
                                                       _mm512_maskz_loadu_epi64(second, signs + place + 8));
        const __m512i big = _mm512_permutex2var_epi32(_mm512_maskz_loadu_epi64(first, large + place), order,
                                                      _mm512_maskz_loadu_epi64(second, large + place + 8));
        const int64_t parts = dwords - half * 8 < 8 ? dwords - half * 8 : 8;
        for (int64_t part = 0; part < parts; part++) {
            const __m512i bytes = _mm512_add_epi8(copy, _mm512_set1_epi8((char)(part / 2))), bit = part % 2 ? upper : lower;
            const __mmask64 above = _mm512_test_epi8_mask(_mm512_shuffle_epi8(sign, bytes), bit);
            const __mmask64 is_large = _mm512_test_epi8_mask(_mm512_shuffle_epi8(big, bytes), bit);
            const __m512i levels = _mm512_mask_blend_epi8(above, _mm512_maskz_mov_epi8(~is_large, small_below),
                                                          _mm512_mask_blend_epi8(is_large, small_above, large_above));
            _mm512_storeu_si512(room + (half * 8 + part) * 64, levels);
        }
    }
}

/* Eight query tokens against two unpacked blocks: best[q] = max(best[q], products). */
AVX512 static void coarse_group(const int32_t *query, int64_t dwords, const uint8_t *a, const uint8_t *b, __mmask16 in_a, __mmask16 in_b,
                                __m512i *best) {
#define NONE(q) __m512i a##q = _mm512_setzero_si512(), b##q = a##q;
    EACH(NONE)
    for (int64_t j = 0; j < dwords; j++) {
        const __m512i x = _mm512_loadu_si512(a + j * 64), y = _mm512_loadu_si512(b + j * 64);
        __m512i four;
#define LOOK(q)                                                                                                                            \
    four = _mm512_set1_epi32(query[j * GROUP + q]);                                                                                        \
    a##q = _mm512_dpbusd_epi32(a##q, x, four);                                                                                             \
    b##q = _mm512_dpbusd_epi32(b##q, y, four);
        EACH(LOOK)
    }
#define HIGHER(q)                                                                                                                          \
    best[q] = _mm512_mask_max_epi32(best[q], in_a, best[q], a##q);                                                                         \
    best[q] = _mm512_mask_max_epi32(best[q], in_b, best[q], b##q);
    EACH(HIGHER)
}

AVX512 static int coarse_avx512(const int8_t *query, int64_t T, int64_t columns, COARSE_ARGUMENTS) {
    const int64_t padded = (T + GROUP - 1) / GROUP * GROUP, dwords = columns / 4;
    const size_t for_query = (size_t)(padded * dwords) * 4, for_raised = (size_t)padded * 4, for_best = (size_t)padded * 64;
    uint8_t *room = malloc(for_best + for_query + for_raised + 64);
    if (!room)
        return 1;
    __m512i *best = (__m512i *)(((uintptr_t)room + 63) & ~(uintptr_t)63);
    int32_t *grouped = (int32_t *)((uint8_t *)best + for_best), *raised = grouped + padded * dwords;
    uint8_t blocks[2][MAX_WIDTH * BLOCK];
    for (int64_t t = 0; t < padded; t++) {
        const int8_t *token = query + (t < T ? t : T - 1) * columns;
        raised[t] = 0; /* what raising the levels adds */
        for (int64_t c = 0; c < columns; c++)
            raised[t] += 10 * token[c];
        for (int64_t j = 0; j < dwords; j++)
            memcpy(grouped + (t / GROUP * dwords + j) * GROUP + t % GROUP, token + 4 * j, 4);
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t t = 0; t < padded; t++)
            best[t] = _mm512_set1_epi32(INT32_MIN);
        if (i + 1 < n) {
            announce(signs, words, stride, parts, starts + i * parts, lengths + i * parts);
            announce(large, words, stride, parts, starts + i * parts, lengths + i * parts);
        }
        for (int64_t r = i * parts; r < (i + 1) * parts; r++) {
            const int64_t end = starts[r] + lengths[r];
            for (int64_t s = starts[r]; s < end; s += 2 * BLOCK) {
                __mmask16 there[2];
                for (int k = 0; k < 2; k++) {
                    const int64_t left = end - s - k * BLOCK;
                    there[k] = left >= BLOCK ? 0xffff : left > 0 ? (__mmask16)((1u << left) - 1) : 0;
                    if (there[k])
                        unpacked_avx512(signs, large, stride, s + k * BLOCK, there[k], dwords, blocks[k]);
                }
                for (int64_t t = 0; t < padded; t += GROUP)
                    coarse_group(grouped + t * dwords, dwords, blocks[0], there[1] ? blocks[1] : blocks[0], there[0], there[1], best + t);
            }
        }
        int32_t sum = 0;
        for (int64_t t = 0; t < T; t++)
            sum += _mm512_reduce_max_epi32(best[t]) - raised[t];
        out[i] = sum;
    }
    free(room);
    return 0;
}
#endif

API int unitower_coarse(int level, const int8_t *query, int64_t T, int64_t columns, COARSE_ARGUMENTS) {
#ifdef X86
    if (level >= 2)
        return coarse_avx512(query, T, columns, signs, large, words, stride, n, parts, starts, lengths, out);
#endif
    int16_t *wide = malloc((size_t)(T * columns) * sizeof(int16_t));
    int32_t *pairs = NULL;
    if (wide) {
        for (int64_t each = 0; each < T * columns; each++)
            wide[each] = query[each];
        pairs = paired(wide, T, columns);
        free(wide);
    }
    if (!pairs)
        return 1;
    coarse_by_blocks(block_of(level), pairs, T, columns, signs, large, words, stride, n, parts, starts, lengths, out);
    free(pairs);
    return 0;
}

/* ---- Heads: tokens of a page that stand for all of them, one after the other the one that brings the others nearest to a head.
 * plane [words][stride]; tokens 0 .. t, t <= STRETCH; distances above half of the bits count as that. */

#define STRETCH 256

INLINE void heads_plain(const uint64_t *plane, int64_t words, int64_t stride, int64_t t, int64_t number, int32_t *out) {
    uint16_t between[STRETCH][STRETCH], nearest[STRETCH];
    uint8_t taken[STRETCH] = {0};
    for (int64_t i = 0; i < t; i++) {
        nearest[i] = (uint16_t)(32 * words);
        for (int64_t j = 0; j < t; j++) {
            int64_t distance = 0;
            for (int64_t w = 0; w < words; w++)
                distance += __builtin_popcountll(plane[w * stride + i] ^ plane[w * stride + j]);
            between[i][j] = (uint16_t)distance;
        }
    }
    for (int64_t each = 0; each < number; each++) {
        int32_t most = -1, chosen = 0;
        for (int64_t i = 0; i < t; i++) {
            int32_t gain = 0;
            for (int64_t j = 0; j < t; j++)
                gain += nearest[j] > between[i][j] ? nearest[j] - between[i][j] : 0;
            if (!taken[i] && gain > most)
                most = gain, chosen = (int32_t)i;
        }
        taken[chosen] = 1;
        out[each] = chosen;
        for (int64_t j = 0; j < t; j++)
            nearest[j] = between[chosen][j] < nearest[j] ? between[chosen][j] : nearest[j];
    }
}

#ifdef X86
AVX512 static void heads_avx512(const uint64_t *plane, int64_t words, int64_t stride, int64_t t, int64_t number, int32_t *out) {
    heads_plain(plane, words, stride, t, number, out);
}

AVX2 static void heads_avx2(const uint64_t *plane, int64_t words, int64_t stride, int64_t t, int64_t number, int32_t *out) {
    heads_plain(plane, words, stride, t, number, out);
}
#endif

API int unitower_heads(int level, const uint64_t *plane, int64_t words, int64_t stride, int64_t t, int64_t number, int32_t *out) {
#ifdef X86
    if (level >= 2)
        heads_avx512(plane, words, stride, t, number, out);
    else if (level == 1)
        heads_avx2(plane, words, stride, t, number, out);
    else
#endif
        heads_plain(plane, words, stride, t, number, out);
    return 0;
}

/* ---- Dense: products of one query with rows[i] of int8 codes [.][columns]; columns is a multiple of 4. */

static void dots_portable(const int16_t *query, int64_t columns, const int8_t *codes, int64_t n, int32_t *out) {
    for (int64_t i = 0; i < n; i++) {
        const int8_t *row = codes + i * columns;
        int32_t sum = 0;
        for (int64_t c = 0; c < columns; c++)
            sum += (int32_t)query[c] * row[c];
        out[i] = sum;
    }
}

#ifdef X86
AVX2 static void dots_avx2(const int16_t *query, int64_t columns, const int8_t *codes, int64_t n, int32_t *out) {
    for (int64_t i = 0; i < n; i++) {
        const int8_t *row = codes + i * columns;
        __m256i sums = _mm256_setzero_si256();
        int64_t c = 0;
        for (; c + 16 <= columns; c += 16) {
            const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(row + c)));
            sums = _mm256_add_epi32(sums, _mm256_madd_epi16(wide, _mm256_loadu_si256((const __m256i *)(query + c))));
        }
        int32_t lanes[8], sum = 0;
        _mm256_storeu_si256((__m256i *)lanes, sums);
        for (int k = 0; k < 8; k++)
            sum += lanes[k];
        for (; c < columns; c++)
            sum += (int32_t)query[c] * row[c];
        out[i] = sum;
    }
}

AVX512 static void dots_avx512(const int16_t *query, int64_t columns, const int8_t *codes, int64_t n, int32_t *out) {
    for (int64_t i = 0; i < n; i++) {
        const int8_t *row = codes + i * columns;
        __m512i sums = _mm512_setzero_si512();
        int64_t c = 0;
        for (; c + 32 <= columns; c += 32) {
            const __m512i wide = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(row + c)));
            sums = _mm512_dpwssd_epi32(sums, wide, _mm512_loadu_si512(query + c));
        }
        int32_t sum = _mm512_reduce_add_epi32(sums);
        for (; c < columns; c++)
            sum += (int32_t)query[c] * row[c];
        out[i] = sum;
    }
}
#endif

API int unitower_dots(int level, const int16_t *query, int64_t columns, const int8_t *codes, int64_t n, int32_t *out) {
#ifdef X86
    if (level >= 2)
        dots_avx512(query, columns, codes, n, out);
    else if (level == 1)
        dots_avx2(query, columns, codes, n, out);
    else
#endif
        dots_portable(query, columns, codes, n, out);
    return 0;
}

/* ---- CRC-32 of zip and zlib, four times as fast as zlib's: 64 bytes at a time are folded by carry-less products.
 * Gopal et al. 2009, Fast CRC computation using PCLMULQDQ, with its constants for this polynomial. data[starts[i]] .. + sizes[i]. */

#ifdef X86
static uint32_t crc_bytes(uint32_t crc, const uint8_t *data, int64_t size) {
    for (int64_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (0xedb88320u & -(crc & 1));
    }
    return crc;
}

#define FOLD(x, by, with) _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(x, by, 0x00), _mm_clmulepi64_si128(x, by, 0x11)), with)
#define LOAD(at) _mm_loadu_si128((const __m128i *)(at))

AVX2 static uint32_t crc_folded(uint32_t crc, const uint8_t *data, int64_t size) { /* size is at least 64 */
    const __m128i by_four = _mm_set_epi64x(0x1c6e41596, 0x154442bd4), by_one = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
    const __m128i by_half = _mm_set_epi64x(0, 0x163cd6124), barrett = _mm_set_epi64x(0x1f7011641, 0x1db710641);
    const __m128i lower = _mm_setr_epi32(-1, 0, -1, 0);
    __m128i a = _mm_xor_si128(LOAD(data), _mm_cvtsi32_si128((int)crc)), b = LOAD(data + 16), c = LOAD(data + 32), d = LOAD(data + 48);
    for (data += 64, size -= 64; size >= 64; data += 64, size -= 64) {
        a = FOLD(a, by_four, LOAD(data));
        b = FOLD(b, by_four, LOAD(data + 16));
        c = FOLD(c, by_four, LOAD(data + 32));
        d = FOLD(d, by_four, LOAD(data + 48));
    }
    a = FOLD(a, by_one, b);
    a = FOLD(a, by_one, c);
    a = FOLD(a, by_one, d);
    for (; size >= 16; data += 16, size -= 16)
        a = FOLD(a, by_one, LOAD(data));
    a = _mm_xor_si128(_mm_srli_si128(a, 8), _mm_clmulepi64_si128(a, by_one, 0x10));
    a = _mm_xor_si128(_mm_srli_si128(a, 4), _mm_clmulepi64_si128(_mm_and_si128(a, lower), by_half, 0x00));
    b = _mm_and_si128(_mm_clmulepi64_si128(_mm_and_si128(a, lower), barrett, 0x10), lower);
    a = _mm_xor_si128(a, _mm_clmulepi64_si128(b, barrett, 0x00));
    return crc_bytes((uint32_t)_mm_extract_epi32(a, 1), data, size);
}

API int unitower_crcs(int level, const uint8_t *data, int64_t n, const int64_t *starts, const int64_t *sizes, int64_t *out) {
    (void)level; /* 1 or more */
    for (int64_t i = 0; i < n; i++)
        out[i] = ~(sizes[i] < 64 ? crc_bytes : crc_folded)(0xffffffffu, data + starts[i], sizes[i]) & 0xffffffffu;
    return 0;
}
#endif
