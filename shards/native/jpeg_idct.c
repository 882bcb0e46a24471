// Inverse DCTs: the integers of libjpeg's accurate method (jidctint.c) and of its smaller blocks (jidctred.c), which
// every build of libjpeg-turbo shares. A pass is a product with whole multiples of 2^-13; each output is rounded once
// a pass, so the order of the sums changes nothing.
#include "jpeg_pixels.h"

#if defined(__x86_64__)

enum { FRACTION_BITS = 13, PASS_BITS = 2 };  // of the constants; kept from the first pass for the second

#define PAIR(a, b) _mm256_set1_epi32((int)((uint16_t)(int16_t)(a) | (uint32_t)(uint16_t)(int16_t)(b) << 16))

VECTORS __m256i sum_of(__m256i low, __m256i low_factors, __m256i high, __m256i high_factors)
{
    return _mm256_add_epi32(_mm256_madd_epi16(low, low_factors), _mm256_madd_epi16(high, high_factors));
}

// One half of the columns of two blocks, which lie side by side in each row; the outputs are not divided yet.
VECTORS void transform_half(__m256i p04, __m256i p26, __m256i p13, __m256i p57, int bits, __m256i out[8])
{
    const __m256i half = _mm256_set1_epi32(1 << (bits - 1));
    __m256i sum = _mm256_add_epi32(_mm256_madd_epi16(p04, PAIR(8192, 8192)), half);
    __m256i difference = _mm256_add_epi32(_mm256_madd_epi16(p04, PAIR(8192, -8192)), half);
    __m256i outer = _mm256_madd_epi16(p26, PAIR(10703, 4433)), inner = _mm256_madd_epi16(p26, PAIR(4433, -10704));
    __m256i even[4] = {_mm256_add_epi32(sum, outer), _mm256_add_epi32(difference, inner),
                       _mm256_sub_epi32(difference, inner), _mm256_sub_epi32(sum, outer)};
    __m256i odd[4] = {sum_of(p13, PAIR(11363, 9633), p57, PAIR(6437, 2260)),
                      sum_of(p13, PAIR(9633, -2259), p57, PAIR(-11362, -6436)),
                      sum_of(p13, PAIR(6437, -11362), p57, PAIR(2261, 9633)),
                      sum_of(p13, PAIR(2260, -6436), p57, PAIR(9633, -11363))};
    for (int i = 0; i < 4; i++) {
        out[i] = _mm256_srai_epi32(_mm256_add_epi32(even[i], odd[i]), bits);
        out[7 - i] = _mm256_srai_epi32(_mm256_sub_epi32(even[i], odd[i]), bits);
    }
}

// Sixteen transforms side by side, one a lane.
VECTORS void transform_eight(__m256i row[8], int bits)
{
    __m256i low[8], high[8];
    transform_half(_mm256_unpacklo_epi16(row[0], row[4]), _mm256_unpacklo_epi16(row[2], row[6]),
                   _mm256_unpacklo_epi16(row[1], row[3]), _mm256_unpacklo_epi16(row[5], row[7]), bits, low);
    transform_half(_mm256_unpackhi_epi16(row[0], row[4]), _mm256_unpackhi_epi16(row[2], row[6]),
                   _mm256_unpackhi_epi16(row[1], row[3]), _mm256_unpackhi_epi16(row[5], row[7]), bits, high);
    for (int i = 0; i < 8; i++)
        row[i] = _mm256_packs_epi32(low[i], high[i]);
}

// One of the three steps that transpose blocks of 8 x 8 words.
VECTORS void interleave(const __m256i from[8], __m256i to[8])
{
    for (int i = 0; i < 4; i++) {
        to[2 * i] = _mm256_unpacklo_epi16(from[i], from[i + 4]);
        to[2 * i + 1] = _mm256_unpackhi_epi16(from[i], from[i + 4]);
    }
}

VECTORS void transpose(__m256i row[8])
{
    __m256i other[8];
    interleave(row, other);
    interleave(other, row);
    interleave(row, other);
    memcpy(row, other, sizeof other);
}

VECTORS void store_rows(const __m256i row[8], uint8_t *const out[2], const ptrdiff_t stride[2])
{
    const __m256i middle = _mm256_set1_epi8(-128);
    for (int i = 0; i < 8; i += 2) {
        __m256i bytes = _mm256_add_epi8(_mm256_packs_epi16(row[i], row[i + 1]), middle);
        __m128i first = _mm256_castsi256_si128(bytes), second = _mm256_extracti128_si256(bytes, 1);
        _mm_storel_epi64((__m128i *)(out[0] + i * stride[0]), first);
        _mm_storeh_pi((__m64 *)(out[0] + (i + 1) * stride[0]), _mm_castsi128_ps(first));
        _mm_storel_epi64((__m128i *)(out[1] + i * stride[1]), second);
        _mm_storeh_pi((__m64 *)(out[1] + (i + 1) * stride[1]), _mm_castsi128_ps(second));
    }
}

AVX2 void two_blocks_of_eight(const int16_t block[2][BLOCK], uint8_t *const out[2], const ptrdiff_t stride[2])
{
    __m256i row[8];
    for (int i = 0; i < 8; i++) {
        __m256i first = _mm256_castsi128_si256(_mm_load_si128((const __m128i *)(block[0] + 8 * i)));
        row[i] = _mm256_inserti128_si256(first, _mm_load_si128((const __m128i *)(block[1] + 8 * i)), 1);
    }
    transform_eight(row, FRACTION_BITS - PASS_BITS);
    transpose(row);
    transform_eight(row, FRACTION_BITS + PASS_BITS + 3);
    transpose(row);
    store_rows(row, out, stride);
}

static int32_t descaled(int64_t value, int bits) { return (int32_t)((value + (1 << (bits - 1))) >> bits); }

static uint8_t as_byte(int64_t value)
{
    value += 128;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

// Four outputs from the eight inputs `step` apart; the fifth one has no part in them.
static void transform_four(const int64_t *in, int step, int64_t *out, int out_step, int bits)
{
    int64_t middle = in[0] * (1 << (FRACTION_BITS + 1)), even = in[2 * step] * 15137 - in[6 * step] * 6270;
    int64_t inner = -in[7 * step] * 1730 + in[5 * step] * 11893 - in[3 * step] * 17799 + in[step] * 8697;
    int64_t outer = -in[7 * step] * 4176 - in[5 * step] * 4926 + in[3 * step] * 7373 + in[step] * 20995;
    out[0] = descaled(middle + even + outer, bits);
    out[3 * out_step] = descaled(middle + even - outer, bits);
    out[out_step] = descaled(middle - even + inner, bits);
    out[2 * out_step] = descaled(middle - even - inner, bits);
}

static void block_of_four(const int16_t *block, uint8_t *out, ptrdiff_t stride)
{
    int64_t in[64], half[32], row[4];
    for (int i = 0; i < 64; i++)
        in[i] = block[i];
    for (int column = 0; column < 8; column++)
        if (column != 4)
            transform_four(in + column, 8, half + column, 8, FRACTION_BITS - PASS_BITS + 1);
    for (int y = 0; y < 4; y++) {
        transform_four(half + 8 * y, 1, row, 1, FRACTION_BITS + PASS_BITS + 4);
        for (int x = 0; x < 4; x++)
            out[y * stride + x] = as_byte(row[x]);
    }
}

static void transform_two(const int64_t *in, int step, int64_t *out, int out_step, int bits)
{
    int64_t even = in[0] * (1 << (FRACTION_BITS + 2));
    int64_t odd = -in[7 * step] * 5906 + in[5 * step] * 6967 - in[3 * step] * 10426 + in[step] * 29692;
    out[0] = descaled(even + odd, bits);
    out[out_step] = descaled(even - odd, bits);
}

static void block_of_two(const int16_t *block, uint8_t *out, ptrdiff_t stride)
{
    int64_t in[64], half[16], row[2];
    for (int i = 0; i < 64; i++)
        in[i] = block[i];
    for (int column = 0; column < 8; column++)
        if (column == 0 || column % 2)
            transform_two(in + column, 8, half + column, 8, FRACTION_BITS - PASS_BITS + 2);
    for (int y = 0; y < 2; y++) {
        transform_two(half + 8 * y, 1, row, 1, FRACTION_BITS + PASS_BITS + 5);
        out[y * stride] = as_byte(row[0]);
        out[y * stride + 1] = as_byte(row[1]);
    }
}

void idct_flat(int dc, int side, uint8_t *out, ptrdiff_t stride)
{
    for (int y = 0; y < side; y++)
        memset(out + y * stride, as_byte(descaled(dc, 3)), (size_t)side);
}

void idct_block(const int16_t block[BLOCK], int side, uint8_t *out, ptrdiff_t stride)
{
    if (side == 4)
        block_of_four(block, out, stride);
    else if (side == 2)
        block_of_two(block, out, stride);
    else
        out[0] = as_byte(descaled(block[0], 3));
}

void idct_two_blocks(const int16_t block[2][BLOCK], uint8_t *const out[2], const ptrdiff_t stride[2])
{
    two_blocks_of_eight(block, out, stride);
}

#endif
