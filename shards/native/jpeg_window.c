// Tiles of a JPEG are found by their restart markers and joined to a small JPEG of their own; no bit is decoded.
#include "jpeg.h"

#include <stdlib.h>

// The first 0xFF in front of something that is not a zero; NULL where there is none.
const uint8_t *jpeg_find_marker(const uint8_t *at, const uint8_t *end)
{
#ifdef __SSE2__
    const __m128i ones = _mm_set1_epi8(-1), zeros = _mm_setzero_si128();
    for (; end - at > 16; at += 16) {
        __m128i here = _mm_loadu_si128((const __m128i *)at), next = _mm_loadu_si128((const __m128i *)(at + 1));
        int hits = _mm_movemask_epi8(_mm_andnot_si128(_mm_cmpeq_epi8(next, zeros), _mm_cmpeq_epi8(here, ones)));
        if (hits)
            return at + __builtin_ctz((unsigned)hits);
    }
#endif
    for (; end - at > 1; at++)
        if (at[0] == 0xFF && at[1] != 0)
            return at;
    return NULL;
}

static bool map_rows(source *jpeg, const scan *scan, tiled *result)
{
    const uint8_t *at = jpeg->data + jpeg->position, *end = jpeg->data + jpeg->size;
    int tiles = jpeg->mcus_per_row / scan->restart_mcus;
    size_t tile = 0, last = (size_t)tiles * (size_t)jpeg->mcu_rows - 1;
    for (int y = 0; y < jpeg->mcu_rows; y++) {
        result->row_offsets[y] = (uint32_t)(at - jpeg->data);
        for (int x = 0; x < tiles; x++, tile++) {
            const uint8_t *marker = jpeg_find_marker(at, end);
            if (!marker || marker[1] != (tile == last ? EOI : RST0 + (tile & 7)))
                return false;
            at = marker + 2;
        }
    }
    result->row_offsets[jpeg->mcu_rows] = (uint32_t)(at - jpeg->data) - 2;
    return true;
}

// Read everything before the entropy-coded data of the first scan.
bool jpeg_read_to_scan(source *jpeg, scan *scan)
{
    return jpeg_open(jpeg) && jpeg_next_scan_or_end(jpeg) == SOS && jpeg_read_scan(jpeg, scan);
}

static bool map_source(source *jpeg, scan *scan, tiled *result)
{
    if (!jpeg_read_to_scan(jpeg, scan) || jpeg->frame == SOF2 || scan->count != jpeg->count || scan->restart_mcus == 0 ||
        jpeg->mcus_per_row % scan->restart_mcus != 0 || !jpeg_choose_tiles(jpeg, result))
        return false;
    result->restart_mcus = scan->restart_mcus;
    result->header_size = (int32_t)jpeg->position;
    return map_rows(jpeg, scan, result);
}

// Find the tiles of a JPEG whose restart markers come at even steps of every row; a status other than GOOD says that
// it is none. The result must go to ehps_free_tiled.
EHPS_API tiled *ehps_map_tiles(const uint8_t *data, size_t size)
{
    tiled *result = calloc(1, sizeof *result);
    source *jpeg = calloc(1, sizeof *jpeg);
    scan *first = calloc(1, sizeof *first);
    if (result && jpeg && first) {
        jpeg->data = data;
        jpeg->size = jpeg->file_size = size;
        result->status = size < INT32_MAX && map_source(jpeg, first, result) ? GOOD : UNSUPPORTED;
        if (result->status == GOOD)
            jpeg_note_checksums(result, data);
        jpeg_close(jpeg);
    }
    free(jpeg);
    free(first);
    return result;
}

// A tile of blocks without coefficients, or nothing where the Huffman tables lack a code for it.
static void make_blank(const cut *c, writer *blank)
{
    source jpeg = {.data = c->header, .size = (size_t)c->header_size, .file_size = SIZE_MAX};
    scan *scan = calloc(1, sizeof *scan);
    bool is_read = scan && jpeg_read_to_scan(&jpeg, scan);
    for (int mcu = 0; is_read && mcu < c->restart_mcus; mcu++)
        for (int i = 0; is_read && i < scan->count; i++) {
            const component *part = &jpeg.components[scan->which[i]];
            int blocks = scan->count == 1 ? 1 : part->h * part->v;
            encoder dc, ac;
            encoder_build(&dc, &scan->dc[i]);
            encoder_build(&ac, &scan->ac[i]);
            is_read = dc.length[0] && ac.length[0] && writer_reserve(blank, 64);
            for (int block = 0; is_read && block < blocks; block++) {
                put_bits(blank, dc.code[0], dc.length[0]);
                put_bits(blank, ac.code[0], ac.length[0]);
            }
        }
    writer_align(blank);
    blank->size = is_read ? blank->size : 0;
    jpeg_close(&jpeg);
    free(scan);
}

static bool is_needed(const uint8_t *segment, size_t size)
{
    int marker = segment[1];
    if (marker == APP0)
        return size >= 9 && memcmp(segment + 4, "JFIF", 5) == 0;
    if (marker == APP0 + 14)
        return size >= 9 && memcmp(segment + 4, "Adobe", 5) == 0;
    return marker < APP0;
}

// Copy what a decoder needs of the header, with the size of the window; NULL where it is malformed.
static uint8_t *copy_header(const cut *c, uint8_t *out)
{
    const uint8_t *at = c->header + 2, *end = c->header + c->header_size;
    memcpy(out, c->header, 2);
    for (out += 2; end - at >= 4;) {
        size_t size = 2 + ((size_t)at[2] << 8 | at[3]);
        if (at[0] != 0xFF || size > (size_t)(end - at))
            return NULL;
        if (is_needed(at, size)) {
            memcpy(out, at, size);
            if ((at[1] == SOF0 || at[1] == SOF1) && size > 9) {
                uint8_t extent[4] = {(uint8_t)(c->height >> 8), (uint8_t)c->height, (uint8_t)(c->width >> 8),
                                     (uint8_t)c->width};
                memcpy(out + 5, extent, 4);
            }
            out += size;
        }
        at += size;
    }
    return at == end ? out : NULL;
}

// Copy the tiles of one row; `number` counts the markers written. NULL where a marker is missing.
static uint8_t *copy_row(const cut *c, int row, const writer *blank, int *number, uint8_t *out)
{
    const uint8_t *at = c->rows + (c->row_offsets[row] - c->row_offsets[0]);
    const uint8_t *end = c->rows + (c->row_offsets[row + 1] - c->row_offsets[0]);
    for (int tile = 0; tile < c->tile1; tile++) {
        const uint8_t *marker = jpeg_find_marker(at, end);
        if (!marker && tile + 1 < c->tiles_per_row)
            return NULL;
        size_t size = (size_t)((marker ? marker : end) - at);
        if (tile >= c->tile0) {
            bool is_blank = c->keep && !c->keep[row * (c->tile1 - c->tile0) + tile - c->tile0] && blank->size &&
                            blank->size < size;
            size_t length = is_blank ? blank->size : size;
            memcpy(out, is_blank ? blank->data : at, length);
            out += length;
            *out++ = 0xFF;
            *out++ = (uint8_t)(RST0 + (*number)++ % 8);
        }
        at = marker ? marker + 2 : end;
    }
    return out;
}

// Whether the numbers of a cut go together.
bool cut_is_sound(const cut *c)
{
    if (c->row_count < 1 || c->header_size < 2 || c->tile0 < 0 || c->tile1 <= c->tile0 || c->tile1 > c->tiles_per_row)
        return false;
    for (int row = 0; row < c->row_count; row++)
        if (c->row_offsets[row + 1] < c->row_offsets[row])
            return false;
    return c->rows_size == (int64_t)c->row_offsets[c->row_count] - c->row_offsets[0];
}

// Write the JPEG of a window and return its size; -1 where header or rows are not what they should be. `out` has room
// for header, rows, and two bytes a row and two more.
EHPS_API int64_t ehps_window_jpeg(const cut *c, uint8_t *out)
{
    writer blank = {0};
    int number = 0;
    uint8_t *at = cut_is_sound(c) ? copy_header(c, out) : NULL;
    if (c->keep && at)
        make_blank(c, &blank);
    for (int row = 0; at && row < c->row_count; row++)
        at = copy_row(c, row, &blank, &number, at);
    free(blank.data);
    if (!at)
        return -1;
    at[-1] = EOI;  // the last marker ends the picture
    return at - out;
}
