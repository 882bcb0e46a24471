// From any JPEG to one with tiles: the entry point, and what decides between streaming and coefficients in memory.
#include "jpeg.h"

#include <stdlib.h>

static bool check_tables(source *jpeg)
{
    for (int i = 0; i < jpeg->count; i++)
        for (int j = 0; j < i; j++) {
            const component *a = &jpeg->components[i], *b = &jpeg->components[j];
            if (a->quant == b->quant && memcmp(a->steps, b->steps, sizeof a->steps) != 0)
                return jpeg_fail(jpeg, UNSUPPORTED, "a quantisation table that changes between scans is not supported");
        }
    return true;
}

static bool can_stream(const source *jpeg, scan *scan)
{
    if (jpeg->frame == SOF2 || scan->count != jpeg->count)
        return false;
    for (int i = 0; i < scan->count; i++) {
        scan->dc_written[i] = scan->dc[i];
        if (!book_add_dc_sizes(&scan->dc_written[i]))
            return false;
    }
    return true;
}

static bool transcode_scans(source *jpeg, scan *scan, writer *out, tiled *result)
{
    for (int scans = 1;; scans++) {
        if (scans > MAX_SCANS)
            return jpeg_fail(jpeg, UNSUPPORTED, "more than %d scans are not supported", MAX_SCANS);
        if (!jpeg_unstuff(jpeg) || !jpeg_decode_scan(jpeg, scan))
            return false;
        int marker = jpeg_next_scan_or_end(jpeg);
        if (marker == EOI)
            return check_tables(jpeg) && jpeg_encode(jpeg, out, result);
        if (marker != SOS || !jpeg_read_scan(jpeg, scan))
            return false;
    }
}

static bool transcode_one_scan(source *jpeg, scan *scan, writer *out, tiled *result)
{
    if (!jpeg_unstuff(jpeg))
        return false;
    int marker = jpeg_next_scan_or_end(jpeg);
    if (marker == SOS)
        return jpeg_fail(jpeg, DAMAGED, "a second scan follows one that holds every component");
    return marker == EOI && check_tables(jpeg) && jpeg_stream(jpeg, scan, out, result);
}

static bool transcode(source *jpeg, scan *scan, writer *out, tiled *result)
{
    if (!jpeg_open(jpeg))
        return false;
    int marker = jpeg_next_scan_or_end(jpeg);
    if (marker == EOI)
        return jpeg_fail(jpeg, DAMAGED, "it ends before any picture");
    if (marker != SOS || !jpeg_read_scan(jpeg, scan))
        return false;
    if (!jpeg_choose_tiles(jpeg, result) || !writer_reserve(out, jpeg->size + jpeg->size / 16 + 4096))
        return jpeg_fail(jpeg, NO_MEMORY, "no memory");
    if (can_stream(jpeg, scan))
        return transcode_one_scan(jpeg, scan, out, result);
    return jpeg_allocate_coefficients(jpeg) && transcode_scans(jpeg, scan, out, result);
}

// Transcode a JPEG. The result says in `status` and `problem` what went wrong; it must go to ehps_free_tiled. NULL:
// there is no memory.
EHPS_API tiled *ehps_tile_jpeg(const uint8_t *data, size_t size)
{
    tiled *result = calloc(1, sizeof *result);
    source *jpeg = calloc(1, sizeof *jpeg);
    scan *first = calloc(1, sizeof *first);
    writer out = {0};
    if (result && jpeg && first) {
        jpeg->data = data;
        jpeg->size = jpeg->file_size = size;
        if (size >= INT32_MAX)
            jpeg_fail(jpeg, UNSUPPORTED, "%zu bytes are more than a tiled JPEG may have", size);
        else if (transcode(jpeg, first, &out, result) && (out.failed || out.size >= UINT32_MAX))
            jpeg_fail(jpeg, NO_MEMORY, "no memory");
        result->status = jpeg->status;
        if (result->status == GOOD)
            jpeg_note_checksums(result, out.data);
        memcpy(result->problem, jpeg->problem, sizeof result->problem);
        result->data = out.data;
        result->size = (int64_t)out.size;
        jpeg_close(jpeg);
    }
    free(jpeg);
    free(first);
    return result;
}

EHPS_API void ehps_free_tiled(tiled *result)
{
    if (!result)
        return;
    free(result->data);
    free(result->row_offsets);
    free(result->row_crc32);
    free(result->luma);
    free(result);
}
