// The pixels of a window of tiles, straight from the bytes of its rows: tiles that nobody looks at are passed over.
#include "jpeg_pixels.h"

#include <stdlib.h>

#include "cpu.h"

#if defined(__x86_64__)

enum { QUICK = 11, SLOW = 255, END = 64, AC_SIZES = 11, PARTS = 3, SLOTS = 3 * 64, KNOWN_BOOKS = 4 };

// What the next bits of a block say: so many coefficients are zero and one may be anything, and then once more. Where
// there is no second one, it is the first once more.
typedef struct {
    int16_t first, second;
    uint8_t zeros;  // before the first; END: the block ends; SLOW: the bits do not say it all
    uint8_t more;   // from the first to the second
    uint8_t bits;   // of both
    uint8_t alone;  // of the first: the last coefficient of a block is followed by another block
} step;

typedef struct {
    uint64_t asked;  // for the how manieth time; 0: never
    code_book book;
    decoder single;
    step steps[1 << QUICK];
} ac_decoder;

typedef struct {
    decoder dc;
    const ac_decoder *ac;
    int16_t factors[SLOTS];  // of dequantisation, in zigzag order; zero behind the last
    int across, down, side;  // blocks of an MCU, samples of a block
    plane plane;
} part;

typedef struct {
    const cut *cut;
    const uint8_t *end;  // of the entropy-coded bytes without stuffing
    uint8_t *entropy;
    part parts[PARTS];
    int mcu_width, mcu_height;  // samples of luma
    int reduce;
    uint8_t *samples, *rows;
    int16_t *sums;
} window;

// Places in the block, row by row; behind the last one, a place that does not count.
static const uint8_t NATURAL[64] = {0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
                                    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
                                    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};
static uint8_t place_of[SLOTS];

__attribute__((constructor)) static void fill_places(void)
{
    memset(place_of, 64, sizeof place_of);
    memcpy(place_of, NATURAL, sizeof NATURAL);
}

// The coefficient that begins `bits`, of which `known` count; false where they do not say it all.
static bool read_step(const decoder *single, unsigned bits, int known, int *zeros, int *value, int *used)
{
    int length = 0, symbol = decode_symbol(single, (uint64_t)bits << (64 - known), &length), size = symbol & 15;
    if (symbol < 0 || size >= AC_SIZES || length + size > known)
        return false;
    *zeros = size || symbol >> 4 == 15 ? symbol >> 4 : END;
    *value = size ? extend(bits >> (known - length - size) & ((1u << size) - 1), size) : 0;
    *used = length + size;
    return true;
}

static step step_of(const decoder *single, unsigned bits)
{
    int zeros = 0, value = 0, used = 0, next = 0;
    if (!read_step(single, bits, QUICK, &zeros, &value, &used))
        return (step){.zeros = SLOW};
    step found = {(int16_t)value, (int16_t)value, (uint8_t)zeros, 0, (uint8_t)used, (uint8_t)used};
    int left = QUICK - used;
    if (zeros != END && left && read_step(single, bits & ((1u << left) - 1), left, &next, &value, &used)) {
        found.second = (int16_t)value;
        found.more = (uint8_t)(next + 1);
        found.bits = (uint8_t)(found.bits + used);
    }
    return found;
}

// The tables of a code. Those that a thread asked for last are kept, because most pictures have the same; a picture asks
// for fewer than are kept.
static const ac_decoder *ac_decoder_of(const code_book *book)
{
    static _Thread_local ac_decoder known[KNOWN_BOOKS];
    static _Thread_local uint64_t now;
    ac_decoder *oldest = known;
    now++;
    for (ac_decoder *one = known; one < known + KNOWN_BOOKS; one++) {
        if (one->asked && memcmp(&one->book, book, sizeof *book) == 0) {
            one->asked = now;
            return one;
        }
        oldest = one->asked < oldest->asked ? one : oldest;
    }
    oldest->asked = now;
    oldest->book = *book;
    decoder_build(&oldest->single, book);
    for (unsigned bits = 0; bits < 1u << QUICK; bits++)
        oldest->steps[bits] = step_of(&oldest->single, bits);
    return oldest;
}

// Bits that are at hand: `bits` holds at least 56 of them after a look at the bytes, the next one highest.
typedef struct {
    const uint8_t *at;
    uint64_t bits;
    int count;
} reader;

INLINE void refill(reader *r)
{
    r->bits |= load64(r->at) >> r->count;
    r->at += (63 - r->count) >> 3;
    r->count |= 56;
}

INLINE void take(reader *r, int count)
{
    r->bits <<= count;
    r->count -= count;
}

// The number of `size` bits that stand behind `length` others.
INLINE int number_behind(uint64_t bits, int length, int size)
{
    return size ? extend((unsigned)(bits << length >> (64 - size)), size) : 0;
}

// A step that the table does not know.
static step long_step(const decoder *single, uint64_t bits)
{
    int length = 0, symbol = decode_symbol(single, bits, &length);
    symbol = symbol < 0 || (symbol & 15) >= AC_SIZES ? 0 : symbol;
    int size = symbol & 15, zeros = symbol >> 4;
    int16_t value = (int16_t)number_behind(bits, length, size);
    uint8_t used = (uint8_t)(length + size);
    return (step){value, value, (uint8_t)(size || zeros == 15 ? zeros : END), 0, used, used};
}

// Read one or two coefficients from place k on, at most 26 bits; the place behind them.
INLINE int read_coefficients(const part *part, reader *r, int k, int16_t *block)
{
    step next = part->ac->steps[r->bits >> (64 - QUICK)];
    if (UNLIKELY(next.zeros == SLOW))
        next = long_step(&part->ac->single, r->bits);
    k += next.zeros;
    block[place_of[k]] = (int16_t)(next.first * part->factors[k]);
    if (UNLIKELY(k == 63)) {
        take(r, next.alone);
        return 64;
    }
    take(r, next.bits);
    k += next.more;
    block[place_of[k]] = (int16_t)(next.second * part->factors[k]);
    return k + 1;
}

// Read one block into coefficients (zeros before); whether it holds more than its mean. At most TAIL bytes are looked at.
INLINE bool read_block(const part *part, reader *r, int *before, int16_t *block)
{
    refill(r);
    int length = 0, size = decode_symbol(&part->dc, r->bits, &length);
    size = size < 0 || size >= DC_SIZES ? 0 : size;
    *before += number_behind(r->bits, length, size);
    take(r, length + size);
    int k = read_coefficients(part, r, 1, block), first = k;  // behind 27 bits at most
    while (k < 64) {
        refill(r);
        k = read_coefficients(part, r, k, block);
        if (k >= 64)
            break;
        k = read_coefficients(part, r, k, block);
    }
    block[0] = (int16_t)((uint32_t)*before * (uint32_t)part->factors[0]);  // wraps, as in libjpeg
    return first != 1 + END + 1;
}

// Blocks of eight samples that wait for their transform.
typedef struct {
    _Alignas(32) int16_t block[2][BLOCK];
    uint8_t *out[2];
    ptrdiff_t stride[2];
    int count;
} pair;

static void finish_pair(pair *waiting)
{
    if (waiting->count == 1) {
        waiting->out[1] = waiting->out[0];
        waiting->stride[1] = waiting->stride[0];
        memcpy(waiting->block[1], waiting->block[0], sizeof waiting->block[0]);
    }
    if (waiting->count)
        idct_two_blocks((const int16_t(*)[BLOCK])waiting->block, waiting->out, waiting->stride);
    waiting->count = 0;
}

INLINE void add_block(const part *part, pair *waiting, bool has_detail, uint8_t *out)
{
    const ptrdiff_t stride = part->plane.stride;
    const int16_t *block = waiting->block[waiting->count];
    if (!has_detail) {
        idct_flat(block[0], part->side, out, stride);
    } else if (part->side < 8) {
        idct_block(block, part->side, out, stride);
    } else {
        waiting->out[waiting->count] = out;
        waiting->stride[waiting->count] = stride;
        if (++waiting->count == 2)
            finish_pair(waiting);
    }
}

// Read the tile whose bytes lie in `entropy`; false where it ends too early.
__attribute__((target("bmi2"))) static bool read_tile(window *w, int row, int tile)
{
    int before[PARTS] = {0};
    reader r = {.at = w->entropy};
    pair waiting = {.count = 0};
    for (int mcu = tile * w->cut->restart_mcus; mcu < (tile + 1) * w->cut->restart_mcus; mcu++)
        for (int i = 0; i < PARTS; i++) {
            const part *part = &w->parts[i];
            uint8_t *at = part->plane.samples + row * part->down * part->side * part->plane.stride +
                          mcu * part->across * part->side;
            for (int b = 0; b < part->across * part->down; b++) {
                int16_t *block = waiting.block[waiting.count];
                memset(block, 0, 64 * sizeof *block);
                bool has_detail = read_block(part, &r, &before[i], block);
                if (UNLIKELY(r.at - w->entropy > w->end - w->entropy + 8))
                    return false;
                add_block(part, &waiting, has_detail,
                          at + (b / part->across * part->plane.stride + b % part->across) * part->side);
            }
        }
    finish_pair(&waiting);
    return true;
}

// Copy the bytes from `at` to the next marker without stuffing; NULL where there is none before `end`, which counts as
// one for the last tile.
static const uint8_t *unstuff(window *w, const uint8_t *at, const uint8_t *end, bool is_last)
{
    uint8_t *out = w->entropy;
    for (;;) {
        const uint8_t *stop = memchr(at, 0xFF, (size_t)(end - at));
        if (!stop || stop + 1 == end) {
            if (!is_last)
                return NULL;
            stop = end;
        }
        bool is_stuffed = stop < end && stop[1] == 0;
        memcpy(out, at, (size_t)(stop - at) + is_stuffed);
        out += stop - at + is_stuffed;
        if (!is_stuffed) {
            memset(out, 0, TAIL);
            w->end = out;
            return stop;
        }
        at = stop + 2;
    }
}

// Make the luma of a tile gray that lies between others.
static void blank_luma(window *w, int row, int tile)
{
    const part *luma = &w->parts[0];
    const int width = w->mcu_width * w->cut->restart_mcus;
    uint8_t *at = luma->plane.samples + row * w->mcu_height * luma->plane.stride + tile * width;
    for (int y = 0; y < w->mcu_height; y++)
        memset(at + y * luma->plane.stride, 128, (size_t)width);
}

static bool is_kept(const cut *c, int row, int tile)
{
    return tile >= c->tile0 && tile < c->tile1 && (!c->keep || c->keep[row * (c->tile1 - c->tile0) + tile - c->tile0]);
}

static bool read_row(window *w, int row)
{
    const cut *c = w->cut;
    const uint8_t *at = c->rows + (c->row_offsets[row] - c->row_offsets[0]);
    const uint8_t *end = c->rows + (c->row_offsets[row + 1] - c->row_offsets[0]);
    for (int tile = 0; tile < c->tile1; tile++) {
        bool is_last = tile + 1 == c->tiles_per_row, is_wanted = is_kept(c, row, tile);
        const uint8_t *marker = is_wanted ? unstuff(w, at, end, is_last) : jpeg_find_marker(at, end);
        if (!marker && !is_last)
            return false;
        if (is_wanted && !read_tile(w, row, tile - c->tile0))
            return false;
        if (!is_wanted && tile >= c->tile0)
            blank_luma(w, row, tile - c->tile0);
        at = marker && marker < end ? marker + 2 : end;
        if (at > end)
            return false;
    }
    return true;
}

// Which columns of luma a row of MCUs shows, half-open.
static void seen_columns(const window *w, int row, int width, int *x0, int *x1)
{
    int tile_width = w->mcu_width * w->cut->restart_mcus, count = w->cut->tile1 - w->cut->tile0, first = 0, last = count;
    while (first < last && !is_kept(w->cut, row, w->cut->tile0 + first))
        first++;
    while (last > first && !is_kept(w->cut, row, w->cut->tile0 + last - 1))
        last--;
    *x0 = first * tile_width < width ? first * tile_width : width;
    *x1 = last * tile_width < width ? last * tile_width : width;
}

static void write_rows(const window *w, uint8_t *pixels)
{
    const int width = w->parts[0].plane.width, height = w->parts[0].plane.height;
    const int across = w->parts[0].across * w->parts[0].side / (w->parts[1].across * w->parts[1].side);
    const int down = w->parts[0].down * w->parts[0].side / (w->parts[1].down * w->parts[1].side);
    const plane planes[PARTS] = {w->parts[0].plane, w->parts[1].plane, w->parts[2].plane};
    for (int y = 0, x0 = 0, x1 = 0; y < height; y++) {
        uint8_t *out = pixels + (size_t)y * 3 * (size_t)width;
        if (y % w->mcu_height == 0)
            seen_columns(w, y / w->mcu_height, width, &x0, &x1);
        memset(out, 128, 3 * (size_t)x0);
        if (x1 > x0)
            colour_row(planes, across, down, y, x0, x1, w->reduce < 8, w->sums, w->rows, out);
        memset(out + 3 * x1, 128, 3 * (size_t)(width - x1));
    }
}

static int ceil_div(int a, int b) { return (a + b - 1) / b; }

// The blocks and samples of a component; libjpeg makes colours as large as luma by larger blocks where it can.
static void size_part(window *w, const source *jpeg, int index)
{
    part *part = &w->parts[index];
    const component *component = &jpeg->components[index];
    const int least = 8 / w->reduce;
    part->across = component->h;
    part->down = component->v;
    part->side = least;
    while (part->side < 8 && jpeg->hmax * least % (part->across * part->side * 2) == 0 &&
           jpeg->vmax * least % (part->down * part->side * 2) == 0)
        part->side *= 2;
    part->plane.width = ceil_div(w->cut->width * part->across * part->side, jpeg->hmax * 8);
    part->plane.height = ceil_div(w->cut->height * part->down * part->side, jpeg->vmax * 8);
}

static void make_decoders(window *w, const scan *scan, const source *jpeg)
{
    for (int i = 0; i < PARTS; i++) {
        part *part = &w->parts[i];
        decoder_build(&part->dc, &scan->dc[i]);
        part->ac = ac_decoder_of(&scan->ac[i]);
        memset(part->factors, 0, sizeof part->factors);
        for (int k = 0; k < 64; k++)
            part->factors[k] = (int16_t)jpeg->components[i].steps[k];
    }
}

static bool make_room(window *w)
{
    const int mcus = (w->cut->tile1 - w->cut->tile0) * w->cut->restart_mcus;
    ptrdiff_t sizes[PARTS], total = 0;
    for (int i = 0; i < PARTS; i++) {
        part *part = &w->parts[i];
        part->plane.stride = (mcus * part->across * part->side + 2 * ROOM) & -ROOM;
        sizes[i] = part->plane.stride * w->cut->row_count * part->down * part->side + ROOM;
        total += sizes[i];
    }
    const ptrdiff_t row = w->parts[0].plane.stride, sums = (row + 2 * ROOM) * (ptrdiff_t)sizeof *w->sums;
    w->samples = malloc((size_t)(total + 2 * row + sums) + (size_t)w->cut->rows_size + TAIL);
    if (!w->samples)
        return false;
    w->parts[0].plane.samples = w->samples;
    for (int i = 1; i < PARTS; i++) {
        w->parts[i].plane.samples = w->parts[i - 1].plane.samples + sizes[i - 1];
        if (w->cut->keep)  // colours of tiles that are passed over shine into their neighbours
            memset(w->parts[i].plane.samples, 128, (size_t)sizes[i]);
    }
    uint8_t *rest = w->samples + total;
    w->sums = (int16_t *)(rest + (-(uintptr_t)rest & 1)) + ROOM;
    w->rows = rest + sums;
    w->entropy = w->rows + 2 * row;
    return true;
}

// Baseline, luma and two colours in one scan, which are as large as luma, half as wide, or half as wide and high.
static bool is_plain(const source *jpeg, const scan *scan)
{
    const component *c = jpeg->components;
    return (jpeg->frame == SOF0 || jpeg->frame == SOF1) && jpeg->count == PARTS && scan->count == PARTS &&
           jpeg_is_ycc(jpeg) && c[0].h == jpeg->hmax && c[0].v == jpeg->vmax && c[1].h == 1 && c[1].v == 1 &&
           c[2].h == 1 && c[2].v == 1 && jpeg->hmax <= 2 && jpeg->vmax <= jpeg->hmax;
}

static int decode(window *w, source *jpeg, scan *scan, uint8_t *pixels)
{
    if (!jpeg_read_to_scan(jpeg, scan))
        return DAMAGED;
    if (!is_plain(jpeg, scan))
        return UNSUPPORTED;
    if (scan->restart_mcus != w->cut->restart_mcus || w->cut->tiles_per_row * scan->restart_mcus != jpeg->mcus_per_row ||
        w->cut->width > (w->cut->tile1 - w->cut->tile0) * scan->restart_mcus * jpeg->mcu_width ||
        w->cut->height > w->cut->row_count * jpeg->mcu_height)
        return DAMAGED;
    w->mcu_width = jpeg->mcu_width / w->reduce;
    w->mcu_height = jpeg->mcu_height / w->reduce;
    for (int i = 0; i < PARTS; i++)
        size_part(w, jpeg, i);
    if (!make_room(w))
        return NO_MEMORY;
    make_decoders(w, scan, jpeg);
    for (int row = 0; row < w->cut->row_count; row++)
        if (!read_row(w, row))
            return DAMAGED;
    write_rows(w, pixels);
    return GOOD;
}

#endif

// Decode a window at 1/reduce of its size (rounded up) to rows of RGB: the pixels of libjpeg for the JPEG that
// ehps_window_jpeg writes, and gray where a tile is not kept. UNSUPPORTED where this processor or this kind of JPEG is
// left to others.
EHPS_API int32_t ehps_decode_window(const cut *c, int32_t reduce, uint8_t *pixels)
{
    int status = UNSUPPORTED;
#if defined(__x86_64__)
    if (!this_cpu.has_avx2 || !this_cpu.has_bmi2)
        return UNSUPPORTED;
    if (!cut_is_sound(c) || c->restart_mcus < 1 || c->width < 1 || c->height < 1)
        return DAMAGED;
    window *w = calloc(1, sizeof *w);
    source *jpeg = calloc(1, sizeof *jpeg);
    scan *first = calloc(1, sizeof *first);
    status = NO_MEMORY;
    if (w && jpeg && first) {
        *jpeg = (source){.data = c->header, .size = (size_t)c->header_size, .file_size = SIZE_MAX};
        w->cut = c;
        w->reduce = reduce;
        status = decode(w, jpeg, first, pixels);
        jpeg_close(jpeg);
        free(w->samples);
    }
    free(w);
    free(jpeg);
    free(first);
#else
    (void)c, (void)reduce, (void)pixels;
#endif
    return status;
}
