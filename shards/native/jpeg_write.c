// The header of the tiled JPEG: the owner's application data, then one frame and one scan of ours.
#include "jpeg.h"

#include <stdlib.h>

enum { TILE_PIXELS = 128, LEAST_MCUS = 4 };

// MCUs a tile: of the divisors of the row the one nearest to 128 px in ratio, and at least four, because each tile
// costs about six bytes.
static int choose_restart(int mcus_per_row, int mcu_width)
{
    int best = mcus_per_row;
    for (int mcus = mcus_per_row; mcus >= LEAST_MCUS; mcus--) {
        int64_t pixels = (int64_t)mcus * mcu_width, others = (int64_t)best * mcu_width;
        // |log(a / t)| < |log(b / t)| for a < b is t * t < a * b when a <= t.
        if (mcus_per_row % mcus == 0 && (pixels >= TILE_PIXELS || TILE_PIXELS * TILE_PIXELS < pixels * others))
            best = mcus;
    }
    return best;
}

// Fill in the layout and ask for the arrays of the result.
bool jpeg_choose_tiles(const source *jpeg, tiled *result)
{
    const component *luma = &jpeg->components[0];
    result->width = jpeg->width;
    result->height = jpeg->height;
    result->mcu_width = jpeg->mcu_width;
    result->mcu_height = jpeg->mcu_height;
    result->restart_mcus = choose_restart(jpeg->mcus_per_row, jpeg->mcu_width);
    result->rows = jpeg->mcu_rows;
    result->luma_width = luma->width;
    result->luma_height = luma->height;
    result->luma_is_y = jpeg_is_ycc(jpeg);
    result->row_offsets = malloc(((size_t)jpeg->mcu_rows + 1) * sizeof *result->row_offsets);
    result->row_crc32 = malloc((size_t)jpeg->mcu_rows * sizeof *result->row_crc32);
    result->luma = calloc((size_t)luma->width, (size_t)luma->height);
    return result->row_offsets && result->row_crc32 && result->luma;
}

// Note the checksums of the header and of every row of the finished file.
void jpeg_note_checksums(tiled *result, const uint8_t *data)
{
    const uint32_t *offsets = result->row_offsets;
    result->header_crc32 = ehps_crc32(data, result->header_size);
    for (int y = 0; y < result->rows; y++)
        result->row_crc32[y] = ehps_crc32(data + offsets[y], (int64_t)(offsets[y + 1] - offsets[y]));
}

static void write_segment(writer *out, int marker, const uint8_t *body, size_t size)
{
    uint8_t head[4] = {0xFF, (uint8_t)marker, (uint8_t)((size + 2) >> 8), (uint8_t)(size + 2)};
    writer_bytes(out, head, 4);
    writer_bytes(out, body, size);
}

static uint32_t read_number(const uint8_t *data, int bytes, bool is_little)
{
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | data[is_little ? bytes - 1 - i : i];
    return value;
}

// Set the orientation of an EXIF segment to 1, upright (TIFF 6.0; EXIF 2.3, tag 0x0112). What is malformed stays.
static void make_upright(uint8_t *segment, size_t size)
{
    if (size < 18 || memcmp(segment + 4, "Exif\0", 6) != 0)
        return;
    uint8_t *tiff = segment + 10;
    size_t left = size - 10;
    bool is_little = tiff[0] == 'I';
    uint32_t first = read_number(tiff + 4, 4, is_little);
    if (first > left || left - first < 2)
        return;
    uint32_t entries = read_number(tiff + first, 2, is_little);
    for (uint8_t *entry = tiff + first + 2; entries-- && tiff + left - entry >= 12; entry += 12)
        if (read_number(entry, 2, is_little) == 0x0112 && read_number(entry + 2, 2, is_little) == 3) {
            entry[8] = !!is_little;
            entry[9] = !is_little;
        }
}

static void write_kept(writer *out, const source *jpeg)
{
    for (size_t i = 0; i < jpeg->kept_count; i++) {
        span segment = jpeg->kept[i];
        size_t start = out->size, size = segment.end - segment.start;
        writer_bytes(out, jpeg->data + segment.start, size);
        if (!out->failed && out->data[start + 1] == APP0 + 1)
            make_upright(out->data + start, size);
    }
}

static void write_steps(writer *out, const source *jpeg)
{
    bool is_written[4] = {false};
    for (int i = 0; i < jpeg->count; i++) {
        const component *part = &jpeg->components[i];
        uint8_t body[129];
        bool is_wide = false;
        if (is_written[part->quant])
            continue;
        is_written[part->quant] = true;
        for (int k = 0; k < 64; k++)
            is_wide |= part->steps[k] > 255;
        body[0] = (uint8_t)(is_wide << 4 | part->quant);
        for (int k = 0; k < 64; k++) {
            if (is_wide)
                body[1 + 2 * k] = (uint8_t)(part->steps[k] >> 8), body[2 + 2 * k] = (uint8_t)part->steps[k];
            else
                body[1 + k] = (uint8_t)part->steps[k];
        }
        write_segment(out, DQT, body, is_wide ? 129 : 65);
    }
}

static void write_frame(writer *out, const source *jpeg, int frame)
{
    uint8_t body[6 + 3 * MAX_COMPONENTS] = {8, (uint8_t)(jpeg->height >> 8), (uint8_t)jpeg->height,
                                            (uint8_t)(jpeg->width >> 8), (uint8_t)jpeg->width, (uint8_t)jpeg->count};
    for (int i = 0; i < jpeg->count; i++) {
        const component *part = &jpeg->components[i];
        body[6 + 3 * i] = part->id;
        body[7 + 3 * i] = (uint8_t)(part->h << 4 | part->v);
        body[8 + 3 * i] = part->quant;
    }
    write_segment(out, frame, body, 6 + 3 * (size_t)jpeg->count);
}

static void write_book(writer *out, int kind, int id, const code_book *book)
{
    uint8_t body[17 + 256] = {(uint8_t)(kind << 4 | id)};
    memcpy(body + 1, book->counts + 1, 16);
    memcpy(body + 17, book->values, (size_t)book->count);
    write_segment(out, DHT, body, 17 + (size_t)book->count);
}

static void write_books(writer *out, const source *jpeg, const scan *scan)
{
    bool is_written[2][4] = {{false}};
    for (int i = 0; i < scan->count; i++) {
        const component *part = &jpeg->components[scan->which[i]];
        if (!is_written[0][part->dc])
            write_book(out, 0, part->dc, &scan->dc_written[i]);
        if (!is_written[1][part->ac])
            write_book(out, 1, part->ac, &scan->ac[i]);
        is_written[0][part->dc] = is_written[1][part->ac] = true;
    }
}

// Write everything before the entropy-coded data.
void jpeg_write_header(writer *out, const source *jpeg, const scan *scan, int frame, int restart_mcus)
{
    uint8_t interval[2] = {(uint8_t)(restart_mcus >> 8), (uint8_t)restart_mcus};
    uint8_t body[4 + 2 * MAX_COMPONENTS] = {(uint8_t)scan->count};
    writer_bytes(out, "\xFF\xD8", 2);
    write_kept(out, jpeg);
    write_steps(out, jpeg);
    write_frame(out, jpeg, frame);
    write_books(out, jpeg, scan);
    write_segment(out, DRI, interval, 2);
    for (int i = 0; i < scan->count; i++) {
        const component *part = &jpeg->components[scan->which[i]];
        body[1 + 2 * i] = part->id;
        body[2 + 2 * i] = (uint8_t)(part->dc << 4 | part->ac);
    }
    body[2 + 2 * scan->count] = 63;
    write_segment(out, SOS, body, 4 + 2 * (size_t)scan->count);
}
