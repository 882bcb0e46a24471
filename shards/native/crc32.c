// The CRC-32 of zlib (IEEE 802.3, bits reversed) at many gigabytes a second, and a check of many pieces in one call.
#include "cpu.h"

#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define EXPORT __attribute__((visibility("default")))

enum { SLICES = 8 };
#define POLYNOMIAL 0xEDB88320u

// What a byte does to the remainder, and what is left of that after up to seven zero bytes more.
static uint32_t table[SLICES][256];

__attribute__((constructor)) static void fill_table(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t rest = byte;
        for (int bit = 0; bit < 8; bit++)
            rest = rest >> 1 ^ (rest & 1 ? POLYNOMIAL : 0);
        table[0][byte] = rest;
    }
    for (int slice = 1; slice < SLICES; slice++)
        for (int byte = 0; byte < 256; byte++) {
            uint32_t rest = table[slice - 1][byte];
            table[slice][byte] = rest >> 8 ^ table[0][rest & 255];
        }
}

static uint32_t update(uint32_t rest, const uint8_t *data, int64_t size)
{
    for (; size >= SLICES; data += SLICES, size -= SLICES) {
        uint32_t next = 0;
        for (int i = 0; i < SLICES; i++)
            next ^= table[SLICES - 1 - i][data[i] ^ (i < 4 ? rest >> 8 * i & 255 : 0)];
        rest = next;
    }
    for (; size > 0; data++, size--)
        rest = rest >> 8 ^ table[0][(rest ^ *data) & 255];
    return rest;
}

#if defined(__x86_64__)

#define FOLDS __attribute__((target("pclmul,sse4.1"))) static
enum { BLOCK = 16, STRIDE = 4 * BLOCK };

// Powers of x by which 16 bytes move on over 64 and over 16 bytes (Gopal et al., Fast CRC Computation for Generic
// Polynomials Using PCLMULQDQ, Intel 2009).
static const uint64_t OVER_STRIDE[2] = {0x154442BD4, 0x1C6E41596}, OVER_BLOCK[2] = {0x1751997D0, 0x0CCAA009E};

FOLDS inline __m128i load(const void *data)
{
    return _mm_loadu_si128((const __m128i *)data);
}

FOLDS inline __m128i folded(__m128i rest, __m128i powers, __m128i next)
{
    __m128i low = _mm_clmulepi64_si128(rest, powers, 0x00), high = _mm_clmulepi64_si128(rest, powers, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

// At least 64 bytes; what remains of all but the last few is 16 bytes with the same remainder.
FOLDS uint32_t update_folding(uint32_t rest, const uint8_t *data, int64_t size)
{
    const __m128i far = load(OVER_STRIDE), near = load(OVER_BLOCK);
    __m128i lanes[4];
    uint8_t remainder[BLOCK];
    for (int i = 0; i < 4; i++)
        lanes[i] = load(data + i * BLOCK);
    lanes[0] = _mm_xor_si128(lanes[0], _mm_cvtsi32_si128((int)rest));
    for (data += STRIDE, size -= STRIDE; size >= STRIDE; data += STRIDE, size -= STRIDE)
        for (int i = 0; i < 4; i++)
            lanes[i] = folded(lanes[i], far, load(data + i * BLOCK));
    for (int i = 1; i < 4; i++)
        lanes[0] = folded(lanes[0], near, lanes[i]);
    for (; size >= BLOCK; data += BLOCK, size -= BLOCK)
        lanes[0] = folded(lanes[0], near, load(data));
    _mm_storeu_si128((__m128i *)remainder, lanes[0]);
    return update(update(0, remainder, BLOCK), data, size);
}

#endif

// The CRC-32 of some bytes.
EXPORT uint32_t ehps_crc32(const uint8_t *data, int64_t size)
{
#if defined(__x86_64__)
    if (size >= STRIDE && this_cpu.has_clmul)
        return ~update_folding(~0u, data, size);
#endif
    return ~update(~0u, data, size);
}

// The first of `count` adjacent pieces that does not lie in the data or has not the CRC-32 given, or -1. Piece i reaches
// from starts[i] to starts[i + 1]; `data` begins at starts[0].
EXPORT int32_t ehps_first_damaged(const uint8_t *data, int64_t size, const uint32_t *starts, const uint32_t *crc32s,
                                  int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        const int64_t start = (int64_t)starts[i] - starts[0], end = (int64_t)starts[i + 1] - starts[0];
        if (start < 0 || end < start || end > size || ehps_crc32(data + start, end - start) != crc32s[i])
            return i;
    }
    return -1;
}
