// Which tiles of a picture lie under a convex quadrilateral: a turned crop does not look at the corners of its box.
#include <math.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

typedef struct {
    double x, y;
} Point;

typedef struct {
    double low, high;
} Range;

static double clipped(double value, double low, double high)
{
    return fmin(fmax(value, low), high);
}

static void take_in(Range *range, double x)
{
    range->low = fmin(range->low, x);
    range->high = fmax(range->high, x);
}

// Widen the range by the part of an edge that lies between two heights.
static void take_in_edge(Range *range, Point a, Point b, double top, double bottom)
{
    const double low = fmin(a.y, b.y), high = fmax(a.y, b.y);
    if (high < top || low > bottom)
        return;
    if (low == high) {
        take_in(range, a.x);
        take_in(range, b.x);
        return;
    }
    const double slope = (b.x - a.x) / (b.y - a.y);
    take_in(range, a.x + (clipped(top, low, high) - a.y) * slope);
    take_in(range, a.x + (clipped(bottom, low, high) - a.y) * slope);
}

// Set `seen` (rows x columns) to 1 for the tiles within `margin` px of the quadrilateral and to 0 elsewhere. The first
// tile begins at x0, y0; all in px of the picture.
EXPORT void ehps_seen_tiles(const Point corners[4], double margin, int32_t x0, int32_t y0, int32_t tile_width,
                            int32_t tile_height, int32_t rows, int32_t columns, uint8_t *seen)
{
    for (int32_t row = 0; row < rows; row++) {
        const double top = y0 + (double)row * tile_height - margin, bottom = top + tile_height + 2 * margin;
        Range range = {INFINITY, -INFINITY};
        for (int i = 0; i < 4; i++)
            take_in_edge(&range, corners[i], corners[(i + 1) % 4], top, bottom);
        for (int32_t column = 0; column < columns; column++) {
            const double left = x0 + (double)column * tile_width;
            *seen++ = left + tile_width > range.low - margin && left <= range.high + margin;
        }
    }
}
