// Bilinear affine warp of 8-bit RGB: the bits of OpenCV 4's warpAffine(INTER_LINEAR, BORDER_CONSTANT 0).
//
// OpenCV steps through the picture in fixed point: the shares of a crop's column and row in a coordinate are each
// rounded to 1/1024 pixel, their sum is cut to 1/32 pixel, and four neighbours are weighted by products of whole 32nds.
// All sums are exact integers, so neither their order nor the instructions change a bit. Coordinates are those of the
// full picture also where only a window of it is at hand, because a shift by whole pixels is exact.
//
// Compile without contraction of floating-point expressions (-ffp-contract=off): a fused multiply-add rounds once less.

#include "cpu.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

enum { STEP_BITS = 10, WEIGHT_BITS = 5, ONE = 1 << WEIGHT_BITS, ROWS_AHEAD = 16 };

// The part of a picture that is at hand.
typedef struct {
    const uint8_t *pixels;
    int64_t stride;  // bytes from one row to the next
    int32_t rows, columns;
} Window;

// Pixels side by side (RGBRGB...), or three planes.
typedef struct {
    uint8_t *pixels;
    int32_t width, height;
    int is_planar;
} Crop;

// A row of the crop in the window: where it starts and how far each column lies from there, in 1/1024 pixel.
typedef struct {
    int32_t row, x, y;
    const int32_t *dx, *dy;
    int64_t ahead;  // bytes of the window from what this row looks at to what a later one does
} Line;

typedef void FillLine(const Window *window, const Crop *crop, const Line *line);

// Rounds half to even; what does not fit becomes the smallest integer, as in the instruction that OpenCV uses.
static int32_t rounded(double value)
{
#if defined(__x86_64__)
    return _mm_cvtsd_si32(_mm_set_sd(value));
#else
    if (!(value >= -2147483648.5 && value < 2147483647.5))
        return INT32_MIN;
    return (int32_t)nearbyint(value);
#endif
}

// Sums wrap as OpenCV's do; signed overflow would be undefined.
static int32_t wrapped(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

// The map from crop to picture; without an inverse, every pixel is taken from the picture's first.
static void invert(const double m[6], double inverse[6])
{
    double determinant = m[0] * m[4] - m[1] * m[3];
    double scale = determinant != 0 ? 1 / determinant : 0;
    inverse[0] = m[4] * scale;
    inverse[4] = m[0] * scale;
    inverse[1] = m[1] * -scale;
    inverse[3] = m[3] * -scale;
    inverse[2] = -inverse[0] * m[2] - inverse[1] * m[5];
    inverse[5] = -inverse[3] * m[2] - inverse[4] * m[5];
}

static uint8_t blend(int upper_left, int upper_right, int lower_left, int lower_right, int right, int below)
{
    int upper = upper_left * (ONE - right) + upper_right * right;
    int lower = lower_left * (ONE - right) + lower_right * right;
    return (uint8_t)((upper * (ONE - below) + lower * below + ONE * ONE / 2) >> 2 * WEIGHT_BITS);
}

static int value(const Window *window, int32_t x, int32_t y, int channel)
{
    if (x < 0 || y < 0 || x >= window->columns || y >= window->rows)
        return 0;
    return window->pixels[y * window->stride + x * 3 + channel];
}

static void sample(const Window *window, int32_t x_step, int32_t y_step, uint8_t *out, int64_t plane)
{
    const int32_t x = x_step >> STEP_BITS, y = y_step >> STEP_BITS;
    const int right = x_step >> (STEP_BITS - WEIGHT_BITS) & (ONE - 1);
    const int below = y_step >> (STEP_BITS - WEIGHT_BITS) & (ONE - 1);
    if (x >= 0 && y >= 0 && x < window->columns - 1 && y < window->rows - 1) {
        const uint8_t *upper = window->pixels + y * window->stride + x * 3, *lower = upper + window->stride;
        for (int i = 0; i < 3; i++)
            out[i * plane] = blend(upper[i], upper[i + 3], lower[i], lower[i + 3], right, below);
    } else if (x < -1 || y < -1 || x >= window->columns || y >= window->rows) {
        for (int i = 0; i < 3; i++)
            out[i * plane] = 0;
    } else {
        for (int i = 0; i < 3; i++)
            out[i * plane] = blend(value(window, x, y, i), value(window, x + 1, y, i), value(window, x, y + 1, i),
                                   value(window, x + 1, y + 1, i), right, below);
    }
}

static int64_t plane_size(const Crop *crop)
{
    return crop->is_planar ? (int64_t)crop->width * crop->height : 1;
}

static uint8_t *pixel_at(const Crop *crop, int32_t row, int32_t column)
{
    int64_t pixel = (int64_t)row * crop->width + column;
    return crop->pixels + (crop->is_planar ? pixel : 3 * pixel);
}

static void fill_columns(const Window *window, const Crop *crop, const Line *line, int32_t start, int32_t end)
{
    for (int32_t column = start; column < end; column++)
        sample(window, wrapped(line->x, line->dx[column]), wrapped(line->y, line->dy[column]),
               pixel_at(crop, line->row, column), plane_size(crop));
}

static void fill_line(const Window *window, const Crop *crop, const Line *line)
{
    fill_columns(window, crop, line, 0, crop->width);
}

#if defined(__x86_64__)

#define INLINE __attribute__((target("avx2"), always_inline)) static inline
#define AVX2 __attribute__((target("avx2"))) static

enum { LANES = 8, ONE_PIXEL = 1 << STEP_BITS, SCALE_BITS = 16 - 2 * WEIGHT_BITS };

// Hides that a vector is constant: the compiler would build it anew in every turn of the loop.
#define KEEP(vector) __asm__("" : "+x"(vector))

// A pixel's upper and lower two neighbours, eight bytes each, of which six count.
INLINE __m128i neighbours(const uint8_t *upper, const uint8_t *lower)
{
    __m128i pixels = _mm_loadl_epi64((const __m128i *)upper);
    return _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(pixels), (const __m64 *)lower));
}

// Two pixels, one in each half; a 32-bit lane holds the four neighbours of one channel, the fourth lane nothing.
INLINE __m256i two_pixels(const uint8_t *upper, const uint8_t *lower, uint32_t first, uint32_t second)
{
    const __m256i by_channel = _mm256_setr_epi8(
        0, 3, 8, 11, 1, 4, 9, 12, 2, 5, 10, 13, -1, -1, -1, -1, 0, 3, 8, 11, 1, 4, 9, 12, 2, 5, 10, 13, -1, -1, -1, -1);
    __m256i low = _mm256_castsi128_si256(neighbours(upper + first, lower + first));
    return _mm256_shuffle_epi8(_mm256_inserti128_si256(low, neighbours(upper + second, lower + second), 1), by_channel);
}

// Weights as pairs (ONE - fraction, fraction): of neighbours side by side, bytes twice in a lane ...
INLINE __m256i weights_across(__m256i x)
{
    const __m256i spread = _mm256_setr_epi8(
        0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12, 0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
    __m256i mask = _mm256_set1_epi32(ONE - 1), sign = _mm256_set1_epi16(0x01FF), one = _mm256_set1_epi16(ONE);
    KEEP(mask); KEEP(sign); KEEP(one);
    __m256i fraction = _mm256_and_si256(_mm256_srli_epi32(x, STEP_BITS - WEIGHT_BITS), mask);
    return _mm256_add_epi8(_mm256_sign_epi8(_mm256_shuffle_epi8(fraction, spread), sign), one);
}

// ... and of neighbours on top of each other, 16-bit words, scaled so that the result fills the upper half of a lane.
INLINE __m256i weights_down(__m256i y)
{
    const __m256i spread = _mm256_setr_epi8(
        0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13, 0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13);
    __m256i mask = _mm256_set1_epi32((ONE - 1) << SCALE_BITS), sign = _mm256_set1_epi32(0x0001FFFF);
    __m256i one = _mm256_set1_epi32(ONE << SCALE_BITS);
    KEEP(mask); KEEP(sign); KEEP(one);
    __m256i fraction = _mm256_and_si256(_mm256_slli_epi32(y, SCALE_BITS + WEIGHT_BITS - STEP_BITS), mask);
    return _mm256_add_epi16(_mm256_sign_epi16(_mm256_shuffle_epi8(fraction, spread), sign), one);
}

INLINE __m256i blend_eight(__m256i corners, __m256i across, __m256i down)
{
    __m256i half = _mm256_set1_epi32(1 << 15);
    KEEP(half);
    return _mm256_add_epi32(_mm256_madd_epi16(_mm256_maddubs_epi16(corners, across), down), half);
}

INLINE void store_eight(uint8_t *out, int64_t plane, int is_planar, __m256i r, __m256i g, __m256i b)
{
    const __m256i planes = _mm256_setr_epi8(
        0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, -1, -1, -1, -1, 0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, -1, -1, -1, -1);
    const __m256i triples = _mm256_setr_epi8(
        0, 1, 8, 2, 3, 10, 4, 5, 12, 6, 7, 14, -1, -1, -1, -1, 0, 1, 8, 2, 3, 10, 4, 5, 12, 6, 7, 14, -1, -1, -1, -1);
    __m256i red_green = _mm256_blend_epi16(_mm256_srli_epi32(r, 16), g, 0xAA);
    __m256i bytes = _mm256_packus_epi16(red_green, _mm256_srli_epi32(b, 16));
    bytes = _mm256_shuffle_epi8(bytes, is_planar ? planes : triples);
    if (is_planar) {
        bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
        _mm_storeh_pi((__m64 *)(out + plane), _mm_castsi128_ps(_mm256_castsi256_si128(bytes)));
        _mm_storel_epi64((__m128i *)out, _mm256_castsi256_si128(bytes));
        _mm_storel_epi64((__m128i *)(out + 2 * plane), _mm256_extracti128_si256(bytes, 1));
    } else {
        bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7));
        _mm_storeu_si128((__m128i *)out, _mm256_castsi256_si128(bytes));
        _mm_storel_epi64((__m128i *)(out + 16), _mm256_extracti128_si256(bytes, 1));
    }
}

// A turned crop steps through the rows of a picture, which no processor foresees.
INLINE void fetch(const uint8_t *pixels, int64_t offset)
{
    _mm_prefetch((const char *)((uintptr_t)pixels + (uintptr_t)offset), _MM_HINT_T0);
}

// Eight pixels whose neighbours all lie in the window; `factors` holds the bytes of a step right and of a step down.
INLINE void fill_eight(const uint8_t *upper, const uint8_t *lower, __m256i factors, __m256i x, __m256i y, int64_t ahead,
                       uint8_t *out, int64_t plane, int is_planar)
{
    __m256i column = _mm256_srli_epi32(x, STEP_BITS), row = _mm256_slli_epi32(y, 16 - STEP_BITS);
    uint32_t at[LANES];
    _mm256_storeu_si256((__m256i *)at, _mm256_madd_epi16(_mm256_blend_epi16(column, row, 0xAA), factors));
    __asm__("" : "+m"(at));  // eight loads: to take the register apart is slower, but compilers do it
    fetch(upper, at[0] + ahead);
    fetch(upper, at[4] + ahead);
    __m256i p04 = two_pixels(upper, lower, at[0], at[4]), p15 = two_pixels(upper, lower, at[1], at[5]);
    __m256i p26 = two_pixels(upper, lower, at[2], at[6]), p37 = two_pixels(upper, lower, at[3], at[7]);
    __m256i low = _mm256_unpacklo_epi32(p04, p15), high = _mm256_unpacklo_epi32(p26, p37);
    __m256i blue = _mm256_unpacklo_epi64(_mm256_unpackhi_epi32(p04, p15), _mm256_unpackhi_epi32(p26, p37));
    __m256i across = weights_across(x), down = weights_down(y);
    __m256i r = blend_eight(_mm256_unpacklo_epi64(low, high), across, down);
    __m256i g = blend_eight(_mm256_unpackhi_epi64(low, high), across, down);
    store_eight(out, plane, is_planar, r, g, blend_eight(blue, across, down));
}

// Which lanes of two values lie below limits; a negative value counts as a huge one.
INLINE int both_below(__m256i x, __m256i y, int32_t x_limit, int32_t y_limit)
{
    __m256i x_low = _mm256_min_epu32(x, _mm256_set1_epi32(x_limit * ONE_PIXEL - 1));
    __m256i y_low = _mm256_min_epu32(y, _mm256_set1_epi32(y_limit * ONE_PIXEL - 1));
    return _mm256_movemask_epi8(_mm256_and_si256(_mm256_cmpeq_epi32(x_low, x), _mm256_cmpeq_epi32(y_low, y)));
}

INLINE int are_outside(__m256i x, __m256i y, const Window *window)
{
    const __m256i pixel = _mm256_set1_epi32(ONE_PIXEL);
    return !both_below(_mm256_add_epi32(x, pixel), _mm256_add_epi32(y, pixel), window->columns + 1, window->rows + 1);
}

INLINE void store_black(uint8_t *out, int64_t plane, int is_planar)
{
    for (int i = 0; i < 3; i++)
        memset(out + (is_planar ? i * plane : i * LANES), 0, LANES);
}

// The last column but one counts as outside, since eight bytes are read where six are needed.
static int has_neighbours(const Window *window, int32_t x, int32_t y)
{
    return x >= 0 && y >= 0 && x >> STEP_BITS < window->columns - 2 && y >> STEP_BITS < window->rows - 1;
}

INLINE void fill_line_avx2(const Window *window, const Crop *crop, const Line *line, int is_planar, int is_inside)
{
    const __m256i x_start = _mm256_set1_epi32(line->x), y_start = _mm256_set1_epi32(line->y);
    const __m256i factors = _mm256_set1_epi32(3 + (int32_t)window->stride * 65536);
    const uint8_t *upper = window->pixels, *lower = upper + window->stride;
    const int32_t *dx = line->dx, *dy = line->dy, width = crop->width, end = width - width % LANES;
    const int64_t plane = plane_size(crop);
    uint8_t *out = pixel_at(crop, line->row, 0);
    for (int32_t column = 0; column < end; column += LANES, out += is_planar ? LANES : 3 * LANES) {
        __m256i x = _mm256_add_epi32(x_start, _mm256_loadu_si256((const __m256i *)(dx + column)));
        __m256i y = _mm256_add_epi32(y_start, _mm256_loadu_si256((const __m256i *)(dy + column)));
        if (is_inside || both_below(x, y, window->columns - 2, window->rows - 1) == -1)
            fill_eight(upper, lower, factors, x, y, line->ahead, out, plane, is_planar);
        else if (are_outside(x, y, window))
            store_black(out, plane, is_planar);
        else
            fill_columns(window, crop, line, column, column + LANES);
    }
    _mm256_zeroupper();  // compilers leave it out before inlined calls, and code without AVX would then crawl
    fill_columns(window, crop, line, end, width);
}

// Steps of one sign: a line lies inside where its ends do.
static int lies_inside(const Window *window, const Crop *crop, const Line *line)
{
    int32_t last = crop->width - 1;
    return has_neighbours(window, wrapped(line->x, line->dx[0]), wrapped(line->y, line->dy[0])) &&
           has_neighbours(window, wrapped(line->x, line->dx[last]), wrapped(line->y, line->dy[last]));
}

AVX2 void fill_triples(const Window *window, const Crop *crop, const Line *line)
{
    if (lies_inside(window, crop, line))
        fill_line_avx2(window, crop, line, 0, 1);
    else
        fill_line_avx2(window, crop, line, 0, 0);
}

AVX2 void fill_planes(const Window *window, const Crop *crop, const Line *line)
{
    if (lies_inside(window, crop, line))
        fill_line_avx2(window, crop, line, 1, 1);
    else
        fill_line_avx2(window, crop, line, 1, 0);
}

#endif

// The fast path holds places in signed 16-bit words and reads two rows of three pixels at least.
static FillLine *fastest(const Window *window, const Crop *crop)
{
#if defined(__x86_64__)
    int fits = window->rows > 1 && window->rows <= INT16_MAX && window->columns > 2 && window->stride <= INT16_MAX;
    if (fits && this_cpu.has_avx2)
        return crop->is_planar ? fill_planes : fill_triples;
#else
    (void)window, (void)crop;
#endif
    return fill_line;
}

// Fill a crop from a window of a picture of contiguous pixels. `affine` maps pixels of the whole picture to pixels of
// the crop; what lies outside the window is black. `is_portable` takes the path of a processor without AVX2.
// Returns 0, or -1 without memory.
EXPORT int ehps_warp(const uint8_t *pixels, int32_t rows, int32_t columns, int32_t x0, int32_t y0,
                     const double affine[6], uint8_t *out, int32_t width, int32_t height, int is_planar,
                     int is_portable)
{
    const Window window = {pixels, 3 * (int64_t)columns, rows, columns};
    const Crop crop = {out, width, height, is_planar};
    const double unit = 1 << STEP_BITS;
    const int32_t half = 1 << (STEP_BITS - WEIGHT_BITS - 1);
    const int32_t x_shift = half - x0 * (1 << STEP_BITS), y_shift = half - y0 * (1 << STEP_BITS);
    int32_t *steps = malloc(2 * sizeof *steps * (size_t)width);
    if (steps == NULL)
        return -1;
    double inverse[6];
    invert(affine, inverse);
    for (int32_t column = 0; column < width; column++) {
        steps[column] = rounded(inverse[0] * column * unit);
        steps[width + column] = rounded(inverse[3] * column * unit);
    }
    const int64_t right = rounded(inverse[1] * ROWS_AHEAD), down = rounded(inverse[4] * ROWS_AHEAD);
    const int64_t ahead = down * window.stride + 3 * right;
    FillLine *fill = is_portable ? fill_line : fastest(&window, &crop);
    for (int32_t row = 0; row < height; row++) {
        int32_t x = rounded((inverse[1] * row + inverse[2]) * unit);
        int32_t y = rounded((inverse[4] * row + inverse[5]) * unit);
        Line line = {row, wrapped(x, x_shift), wrapped(y, y_shift), steps, steps + width, ahead};
        fill(&window, &crop, &line);
    }
    free(steps);
    return 0;
}
