// From planes to RGB: colours are interpolated by libjpeg's triangle filters (jdsample.c) and turned with its rounding
// (jdcolor.c, BT.601 of JFIF).
#include "jpeg_pixels.h"

#if defined(__x86_64__)

static int clamped(int value, int most) { return value < 0 ? 0 : value > most ? most : value; }

// The colours of a row at full width, columns [x0, x1) of the narrow ones; `sums` points into a row with a neighbour on
// either side.
AVX2 void smooth_across(const int16_t *sums, int x0, int x1, int bits, uint8_t *out)
{
    const __m256i before = _mm256_set1_epi16(bits == 4 ? 8 : 1), after = _mm256_set1_epi16(bits == 4 ? 7 : 2);
    for (int x = x0; x < x1; x += 16) {  // what is too much lies in the room behind a row
        __m256i here = _mm256_loadu_si256((const __m256i *)(sums + x)), three = _mm256_add_epi16(here, _mm256_add_epi16(here, here));
        __m256i left = _mm256_add_epi16(_mm256_loadu_si256((const __m256i *)(sums + x - 1)), before);
        __m256i right = _mm256_add_epi16(_mm256_loadu_si256((const __m256i *)(sums + x + 1)), after);
        left = _mm256_srli_epi16(_mm256_add_epi16(three, left), bits);
        right = _mm256_srli_epi16(_mm256_add_epi16(three, right), bits);
        _mm256_storeu_si256((__m256i *)(out + 2 * x), _mm256_or_si256(left, _mm256_slli_epi16(right, 8)));
    }
}

// Sums of a row of colours and, where they are lower than luma, three times it and its neighbour, for columns [x0, x1)
// and one more on either side.
AVX2 void sum_down(const plane *colour, int y, int down, int x0, int x1, int16_t *sums)
{
    const int near = y / down, far = clamped(y % 2 ? near + 1 : near - 1, colour->height - 1);
    const uint8_t *this = colour->samples + near * colour->stride, *other = colour->samples + far * colour->stride;
    const int first = x0 > 0 ? x0 - 1 : 0, last = x1 < colour->width ? x1 + 1 : colour->width;
    if (down == 2)
        for (int x = first; x < last; x++)
            sums[x] = (int16_t)(3 * this[x] + other[x]);
    else
        for (int x = first; x < last; x++)
            sums[x] = this[x];
    if (first == 0)
        sums[-1] = sums[0];
    if (last == colour->width)
        sums[last] = sums[last - 1];
}

static void double_across(const uint8_t *from, int x0, int x1, uint8_t *out)
{
    for (int x = x0; x < x1; x++)
        out[2 * x] = out[2 * x + 1] = from[x];
}

// A row of colours as wide as luma.
static const uint8_t *widened(const plane *colour, int across, int down, int y, int x0, int x1, int is_smooth,
                              int16_t *sums, uint8_t *row)
{
    const int from = x0 / across, to = clamped((x1 + across - 1) / across, colour->width);
    if (across == 1)
        return colour->samples + y / down * colour->stride;
    if (!is_smooth || colour->width <= 2) {
        double_across(colour->samples + y / down * colour->stride, from, to, row);
    } else {
        sum_down(colour, y, down, from, to, sums);
        smooth_across(sums, from, to, down == 2 ? 4 : 2, row);
    }
    return row;
}

// Half-way numbers go up: (x * factor / 2^16 + 1/2), given twice x.
VECTORS __m256i scaled(__m256i twice, int factor)
{
    __m256i product = _mm256_mulhi_epi16(twice, _mm256_set1_epi16((int16_t)factor));
    return _mm256_srai_epi16(_mm256_add_epi16(product, _mm256_set1_epi16(1)), 1);
}

VECTORS __m256i green_part(__m256i blue, __m256i red)
{
    const __m256i factors = _mm256_set1_epi32((int)(0xFFFF & -22554u) | 18734 << 16), half = _mm256_set1_epi32(1 << 15);
    __m256i low = _mm256_madd_epi16(_mm256_unpacklo_epi16(blue, red), factors);
    __m256i high = _mm256_madd_epi16(_mm256_unpackhi_epi16(blue, red), factors);
    low = _mm256_srai_epi32(_mm256_add_epi32(low, half), 16);
    high = _mm256_srai_epi32(_mm256_add_epi32(high, half), 16);
    return _mm256_sub_epi16(_mm256_packs_epi32(low, high), red);
}

VECTORS __m256i widened_bytes(const uint8_t *at)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)at));
}

VECTORS __m128i clipped_bytes(__m256i values)
{
    __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(values, values), 0xD8);
    return _mm256_castsi256_si128(bytes);
}

VECTORS void store_triples(__m128i r, __m128i g, __m128i b, uint8_t *out)
{
    // Where each byte of a third of the triples comes from; -1: from another channel.
    static const int8_t places[3][3][16] = {
        {{0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1, 5},
         {-1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1},
         {-1, -1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1}},
        {{-1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10, -1},
         {5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10},
         {-1, 5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1}},
        {{-1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1, -1},
         {-1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1},
         {10, -1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15}}};
    for (int third = 0; third < 3; third++) {
        __m128i bytes = _mm_shuffle_epi8(r, _mm_loadu_si128((const __m128i *)places[third][0]));
        bytes = _mm_or_si128(bytes, _mm_shuffle_epi8(g, _mm_loadu_si128((const __m128i *)places[third][1])));
        bytes = _mm_or_si128(bytes, _mm_shuffle_epi8(b, _mm_loadu_si128((const __m128i *)places[third][2])));
        _mm_storeu_si128((__m128i *)(out + 16 * third), bytes);
    }
}

// Sixteen pixels; their inputs may reach beyond what counts.
VECTORS void colour_sixteen(const uint8_t *luma, const uint8_t *blue, const uint8_t *red, uint8_t *out)
{
    const __m256i middle = _mm256_set1_epi16(128);
    __m256i y = widened_bytes(luma);
    __m256i cb = _mm256_sub_epi16(widened_bytes(blue), middle), cr = _mm256_sub_epi16(widened_bytes(red), middle);
    __m256i twice_cb = _mm256_add_epi16(cb, cb), twice_cr = _mm256_add_epi16(cr, cr);
    __m256i r = _mm256_add_epi16(y, _mm256_add_epi16(cr, scaled(twice_cr, 26345)));
    __m256i b = _mm256_add_epi16(y, _mm256_add_epi16(twice_cb, scaled(twice_cb, -14942)));
    __m256i g = _mm256_add_epi16(y, green_part(cb, cr));
    store_triples(clipped_bytes(r), clipped_bytes(g), clipped_bytes(b), out);
}

AVX2 void turn_colours(const uint8_t *luma, const uint8_t *blue, const uint8_t *red, int x0, int x1, uint8_t *out)
{
    uint8_t last[48];
    int x = x0;
    for (; x + 16 <= x1; x += 16)
        colour_sixteen(luma + x, blue + x, red + x, out + 3 * x);
    if (x < x1) {
        colour_sixteen(luma + x, blue + x, red + x, last);
        memcpy(out + 3 * x, last, 3 * (size_t)(x1 - x));
    }
}

void colour_row(const plane planes[3], int across, int down, int y, int x0, int x1, int is_smooth, int16_t *sums,
                uint8_t *rows, uint8_t *out)
{
    const ptrdiff_t room = planes[0].stride;
    const uint8_t *blue = widened(&planes[1], across, down, y, x0, x1, is_smooth, sums, rows);
    const uint8_t *red = widened(&planes[2], across, down, y, x0, x1, is_smooth, sums, rows + room);
    turn_colours(planes[0].samples + y * planes[0].stride, blue, red, x0, x1, out);
}

#endif
