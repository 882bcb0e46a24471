// Coefficients in memory become one baseline scan with the best Huffman tables for this picture.
#include "jpeg.h"

#include <stdlib.h>

typedef struct {
    source *jpeg;
    tiled *result;
    writer *out;
    int before[MAX_COMPONENTS];
    uint32_t dc_frequency[2][256], ac_frequency[2][256];
    encoder dc[2], ac[2];
    scan scan;
} writing;

static const int16_t EMPTY[64];

INLINE int dc_difference(writing *w, int which, const int16_t *block)
{
    int difference = block == EMPTY ? 0 : block[0] - w->before[which];
    w->before[which] += difference;
    return difference;
}

static bool count_block(writing *w, int which, int table, const int16_t *block)
{
    int size = bit_size(dc_difference(w, which, block)), before = 0;
    if (UNLIKELY(size >= DC_SIZES))
        return jpeg_fail(w->jpeg, DAMAGED, "a brightness cannot be");
    w->dc_frequency[table][size]++;
    uint32_t *frequency = w->ac_frequency[table];
    for (uint64_t mask = nonzero_mask(block) & ~(uint64_t)1; mask; mask &= mask - 1) {
        int k = __builtin_ctzll(mask), run = k - before - 1;
        for (; run > 15; run -= 16)
            frequency[0xF0]++;
        int bits = bit_size(block[k]);
        if (UNLIKELY(bits > 10))
            return jpeg_fail(w->jpeg, DAMAGED, "a coefficient cannot be");
        frequency[run << 4 | bits]++;
        before = k;
    }
    frequency[0] += before != 63;
    return true;
}

INLINE void put_number(writer *out, const encoder *encoder, int symbol, int value, int size)
{
    unsigned bits = (unsigned)(value < 0 ? value - 1 : value) & ((1u << size) - 1);
    put_bits(out, (uint64_t)encoder->code[symbol] << size | bits, encoder->length[symbol] + size);
}

static bool write_block(writing *w, int which, int table, const int16_t *block)
{
    const encoder *ac = &w->ac[table];
    int difference = dc_difference(w, which, block), size = bit_size(difference), before = 0;
    if (!writer_reserve(w->out, 1024))
        return jpeg_fail(w->jpeg, NO_MEMORY, "no memory");
    put_number(w->out, &w->dc[table], size, difference, size);
    for (uint64_t mask = nonzero_mask(block) & ~(uint64_t)1; mask; mask &= mask - 1) {
        int k = __builtin_ctzll(mask), run = k - before - 1;
        for (; run > 15; run -= 16)
            put_bits(w->out, ac->code[0xF0], ac->length[0xF0]);
        size = bit_size(block[k]);
        put_number(w->out, ac, run << 4 | size, block[k], size);
        before = k;
    }
    if (before != 63)
        put_bits(w->out, ac->code[0], ac->length[0]);
    return true;
}

typedef bool block_writer(writing *, int, int, const int16_t *);

// Blocks beyond the picture's edge repeat the brightness before them.
INLINE bool each_block(writing *w, int x, int y, block_writer *write)
{
    source *jpeg = w->jpeg;
    for (int i = 0; i < jpeg->count; i++) {
        const component *part = &jpeg->components[i];
        int h = jpeg->count == 1 ? 1 : part->h, v = jpeg->count == 1 ? 1 : part->v;
        for (int by = y * v; by < y * v + v; by++)
            for (int bx = x * h; bx < x * h + h; bx++) {
                bool is_real = bx < part->width && by < part->height;
                size_t index = (size_t)by * (size_t)part->stride + (size_t)bx;
                if (!write(w, i, part->ac, is_real ? part->coefficients + 64 * index : EMPTY))
                    return false;
            }
    }
    return true;
}

INLINE bool each_tile(writing *w, block_writer *write, bool is_final)
{
    source *jpeg = w->jpeg;
    int restart_mcus = w->result->restart_mcus, tile = 0;
    for (int y = 0; y < jpeg->mcu_rows; y++) {
        if (is_final)
            w->result->row_offsets[y] = (uint32_t)w->out->size;
        for (int x = 0; x < jpeg->mcus_per_row; x++) {
            if (x % restart_mcus == 0)
                memset(w->before, 0, sizeof w->before);
            if (!each_block(w, x, y, write))
                return false;
            if (is_final && (x + 1) % restart_mcus == 0) {
                bool is_last = y + 1 == jpeg->mcu_rows && x + 1 == jpeg->mcus_per_row;
                uint8_t marker[2] = {0xFF, (uint8_t)(is_last ? EOI : RST0 + (tile++ & 7))};
                writer_align(w->out);
                writer_bytes(w->out, marker, 2);
            }
        }
    }
    return true;
}

static bool check_complete(source *jpeg)
{
    for (int i = 0; i < jpeg->count; i++) {
        const component *part = &jpeg->components[i];
        bool is_complete = part->low_bit[0] == 0;
        // Decoders smooth what lacks the bits of these (libjpeg: nine of them), so pixels would not stay the same.
        for (int k = 1; k < 10 && jpeg->frame == SOF2; k++)
            is_complete &= part->low_bit[k] == 0;
        if (!is_complete)
            return jpeg_fail(jpeg, DAMAGED, "scans are missing: component %d is not complete", i);
    }
    return true;
}

static void note_luma(const source *jpeg, tiled *result)
{
    const component *part = &jpeg->components[0];
    for (int y = 0; y < part->height; y++)
        for (int x = 0; x < part->width; x++) {
            int dc = part->coefficients[64 * ((size_t)y * (size_t)part->stride + (size_t)x)];
            result->luma[(size_t)y * (size_t)part->width + (size_t)x] = mean_of_block(dc, part->steps[0]);
        }
}

// Luma and black have the first pair of tables, the colours the second.
static int choose_tables(writing *w)
{
    source *jpeg = w->jpeg;
    int frame = SOF0;
    w->scan.count = jpeg->count;
    for (int i = 0; i < jpeg->count; i++) {
        component *part = &jpeg->components[i];
        w->scan.which[i] = i;
        part->dc = part->ac = i == 1 || i == 2;
        for (int k = 0; k < 64; k++)
            if (part->steps[k] > 255)
                frame = SOF1;
    }
    return frame;
}

static void make_books(writing *w)
{
    for (int i = 0; i < w->jpeg->count; i++) {
        int table = w->jpeg->components[i].ac;
        book_optimise(&w->scan.dc_written[i], w->dc_frequency[table]);
        book_add_dc_sizes(&w->scan.dc_written[i]);  // so that transcoding once more changes nothing
        book_optimise(&w->scan.ac[i], w->ac_frequency[table]);
        encoder_build(&w->dc[table], &w->scan.dc_written[i]);
        encoder_build(&w->ac[table], &w->scan.ac[i]);
    }
}

// Write the picture whose coefficients are complete.
bool jpeg_encode(source *jpeg, writer *out, tiled *result)
{
    writing *w = calloc(1, sizeof *w);
    if (!w)
        return jpeg_fail(jpeg, NO_MEMORY, "no memory");
    w->jpeg = jpeg, w->out = out, w->result = result;
    int frame = choose_tables(w);
    bool is_done = check_complete(jpeg) && each_tile(w, count_block, false);
    if (is_done) {
        make_books(w);
        jpeg_write_header(out, jpeg, &w->scan, frame, result->restart_mcus);
        result->header_size = (int32_t)out->size;
        note_luma(jpeg, result);
        is_done = each_tile(w, write_block, true);
        result->row_offsets[jpeg->mcu_rows] = (uint32_t)out->size - 2;
    }
    free(w);
    return is_done;
}
