// Progressive scans, and sequential ones that hold some components only, are read into memory. The coefficients of a
// block stay in zigzag order, which is the order in which they are written again.
#include "jpeg.h"

#include <stdlib.h>

enum { MOST_BYTES = 1 << 30 };

typedef struct {
    source *jpeg;
    const scan *scan;
    decoder dc[MAX_COMPONENTS], ac[MAX_COMPONENTS];
    size_t position, end;  // bits of `entropy`
    int before[MAX_COMPONENTS];
    unsigned blocks_to_skip;  // EOBRUN
} reading;

// Ask for the coefficients of all components. Zeroed pages cost nothing before they are used.
bool jpeg_allocate_coefficients(source *jpeg)
{
    size_t total = 0;
    for (int i = 0; i < jpeg->count; i++)
        total += (size_t)jpeg->components[i].stride * (size_t)jpeg->components[i].rows * 128;
    if (total > MOST_BYTES)
        return jpeg_fail(jpeg, UNSUPPORTED, "%d x %d px in several scans would need %zu MiB of memory, more than %d",
                         jpeg->width, jpeg->height, total >> 20, MOST_BYTES >> 20);
    for (int i = 0; i < jpeg->count; i++) {
        component *part = &jpeg->components[i];
        part->coefficients = calloc((size_t)part->stride * (size_t)part->rows, 128);
        if (!part->coefficients)
            return jpeg_fail(jpeg, NO_MEMORY, "no memory");
    }
    return true;
}

INLINE unsigned take_bits(reading *r, int count)
{
    unsigned bits = count ? (unsigned)(peek_bits(r->jpeg->entropy, r->position) >> (64 - count)) : 0;
    r->position += (size_t)count;
    return bits;
}

// The next symbol, and in `bits` the number of up to 15 bits behind it, as many as its lower half says; -1: damage.
INLINE int take_symbol(reading *r, const decoder *decoder, unsigned *bits)
{
    int length = 0;
    uint64_t window = peek_bits(r->jpeg->entropy, r->position);
    int symbol = decode_symbol(decoder, window, &length);
    if (UNLIKELY(symbol < 0))
        return -1;
    int size = symbol & 15;
    *bits = size ? (unsigned)(window << length >> (64 - size)) : 0;
    r->position += (size_t)(length + size);
    return symbol;
}

INLINE bool read_dc(reading *r, int index, int16_t *block)
{
    unsigned bits;
    int size = take_symbol(r, &r->dc[index], &bits);
    if (UNLIKELY(size < 0 || size >= DC_SIZES))
        return false;
    int value = r->before[index] += size ? extend(bits, size) : 0;
    value *= 1 << r->scan->low;
    if (UNLIKELY(value > MAX_DC + 1 || value < -MAX_DC - 1))
        return false;
    block[0] = (int16_t)value;
    return true;
}

INLINE bool read_dc_again(reading *r, int index, int16_t *block)
{
    (void)index;
    block[0] = (int16_t)(block[0] | (int16_t)(take_bits(r, 1) << r->scan->low));
    return true;
}

// AC coefficients of a sequential block or of a first progressive scan: they differ in what ends a block.
INLINE bool read_ac(reading *r, int index, int16_t *block, int first, bool has_runs)
{
    int last = r->scan->last, low = r->scan->low;
    for (int k = first; k <= last; k++) {
        unsigned bits;
        int symbol = take_symbol(r, &r->ac[index], &bits);
        if (UNLIKELY(symbol < 0))
            return false;
        int size = symbol & 15, run = symbol >> 4;
        if (size == 0 && run < 15) {
            if (has_runs)
                r->blocks_to_skip = (1u << run) - 1 + take_bits(r, run);
            return has_runs || run == 0;
        }
        k += run;
        if (UNLIKELY(k > last || size > 10))
            return false;
        if (size) {
            int value = extend(bits, size) * (1 << low);
            if (UNLIKELY(value > MAX_AC || value < -MAX_AC))
                return false;
            block[k] = (int16_t)value;
        }
    }
    return true;
}

INLINE bool read_ac_first(reading *r, int index, int16_t *block)
{
    if (r->blocks_to_skip) {
        r->blocks_to_skip--;
        return true;
    }
    return read_ac(r, index, block, r->scan->first, true);
}

INLINE bool read_whole(reading *r, int index, int16_t *block)
{
    return read_dc(r, index, block) && read_ac(r, index, block, 1, false);
}

// One more bit of each coefficient in `known`, which holds one bit for each of them (T.81, G.1.2.3); the bits begin
// `used` bits behind the position that `window` shows. Returns the position behind them.
INLINE size_t correct(const uint8_t *data, size_t position, uint64_t window, int used, int low, int16_t *block,
                      uint64_t known)
{
    for (; known; known &= known - 1) {
        int16_t *coefficient = block + __builtin_ctzll(known);
        int sign = *coefficient >> 15, step = (int)(window >> 63) << low;
        *coefficient = (int16_t)(*coefficient + ((step ^ sign) - sign));
        window <<= 1;
        if (UNLIKELY(++used == 57)) {
            position += 57;
            window = peek_bits(data, position);
            used = 0;
        }
    }
    return position + (size_t)used;
}

INLINE bool read_ac_again(reading *r, int index, int16_t *block)
{
    const uint8_t *data = r->jpeg->entropy;
    const decoder *decoder = &r->ac[index];
    size_t position = r->position;
    int low = r->scan->low;
    uint64_t band = ~(uint64_t)0 >> (63 - r->scan->last) & ~(uint64_t)0 << r->scan->first;  // what is still to be read
    uint64_t known = nonzero_mask(block);
    while (r->blocks_to_skip == 0 && band) {
        int length = 0;
        uint64_t window = peek_bits(data, position);
        int symbol = decode_symbol(decoder, window, &length), size = symbol & 15, run = symbol >> 4;
        window <<= length;
        if (UNLIKELY(symbol < 0 || size > 1))
            return false;
        if (size == 0 && run < 15) {
            r->blocks_to_skip = (1u << run) + (run ? (unsigned)(window >> (64 - run)) : 0);
            position += (size_t)(length + run);
            break;
        }
        uint64_t unknown = band & ~known;
        for (; run; run--)
            unknown &= unknown - 1;
        if (UNLIKELY(!unknown && size))
            return false;
        uint64_t behind = unknown ? ~(uint64_t)1 << __builtin_ctzll(unknown) : 0;  // the new coefficient
        if (size)
            block[__builtin_ctzll(unknown)] = (int16_t)(window >> 63 ? 1 << low : -(1 << low));
        position = correct(data, position, window << size, length + size, low, block, band & known & ~behind);
        band &= behind;
    }
    if (r->blocks_to_skip) {
        position = correct(data, position, peek_bits(data, position), 0, low, block, band & known);
        r->blocks_to_skip--;
    }
    r->position = position;
    return true;
}

typedef bool block_reader(reading *, int, int16_t *);

static bool next_stretch(reading *r, size_t index)
{
    const span *stretch = &r->jpeg->stretches[index];
    if (index > 0 && !jpeg_check_rest(r->jpeg, r->position, r->end))
        return false;
    r->position = 8 * stretch->start;
    r->end = 8 * stretch->end;
    r->blocks_to_skip = 0;
    memset(r->before, 0, sizeof r->before);
    return true;
}

INLINE bool read_mcu(reading *r, int x, int y, block_reader *read)
{
    const scan *scan = r->scan;
    for (int i = 0; i < scan->count; i++) {
        const component *part = &r->jpeg->components[scan->which[i]];
        int h = scan->count == 1 ? 1 : part->h, v = scan->count == 1 ? 1 : part->v;
        for (int by = y * v; by < y * v + v; by++)
            for (int bx = x * h; bx < x * h + h; bx++)
                if (UNLIKELY(!read(r, i, part->coefficients + 64 * ((size_t)by * (size_t)part->stride + (size_t)bx))))
                    return jpeg_fail(r->jpeg, DAMAGED, "a code or coefficient in row %d of a scan cannot be", y);
                else if (UNLIKELY(r->position > r->end))
                    return jpeg_fail(r->jpeg, DAMAGED, "a scan ends early, in row %d", y);
    }
    return true;
}

// Read every MCU of the scan; a scan of one component goes over its own blocks alone (T.81, A.2).
INLINE bool read_mcus(reading *r, block_reader *read)
{
    const source *jpeg = r->jpeg;
    const component *only = r->scan->count == 1 ? &jpeg->components[r->scan->which[0]] : NULL;
    int width = only ? only->width : jpeg->mcus_per_row, height = only ? only->height : jpeg->mcu_rows;
    size_t stretch = 0;
    int left = 0;
    if (!jpeg_check_stretches(r->jpeg, r->scan, width * height))
        return false;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            if (left-- == 0) {
                if (!next_stretch(r, stretch++))
                    return false;
                left = r->scan->restart_mcus ? r->scan->restart_mcus - 1 : INT32_MAX;
            }
            if (UNLIKELY(!read_mcu(r, x, y, read)))
                return false;
        }
    return jpeg_check_rest(r->jpeg, r->position, r->end);
}

static bool note_progress(source *jpeg, const scan *scan)
{
    for (int i = 0; i < scan->count; i++) {
        int8_t *low_bit = jpeg->components[scan->which[i]].low_bit;
        for (int k = scan->first; k <= scan->last; k++) {
            if ((scan->high == 0) != (low_bit[k] < 0) || (scan->high > 0 && low_bit[k] != scan->high))
                return jpeg_fail(jpeg, DAMAGED, "a scan repeats or skips bits of coefficient %d", k);
            low_bit[k] = (int8_t)scan->low;
        }
    }
    return true;
}

// Read the unstuffed scan into the coefficients.
bool jpeg_decode_scan(source *jpeg, const scan *scan)
{
    reading *r = calloc(1, sizeof *r);
    bool is_done;
    if (!r)
        return jpeg_fail(jpeg, NO_MEMORY, "no memory");
    r->jpeg = jpeg, r->scan = scan;
    for (int i = 0; i < scan->count; i++) {
        decoder_build(&r->dc[i], &scan->dc[i]);
        decoder_build(&r->ac[i], &scan->ac[i]);
    }
    if (!note_progress(jpeg, scan))
        is_done = false;
    else if (jpeg->frame != SOF2)
        is_done = read_mcus(r, read_whole);
    else if (scan->first == 0)
        is_done = scan->high ? read_mcus(r, read_dc_again) : read_mcus(r, read_dc);
    else
        is_done = scan->high ? read_mcus(r, read_ac_again) : read_mcus(r, read_ac_first);
    free(r);
    return is_done;
}
