// Markers and segments up to the entropy-coded data. Lengths are checked before anything is read.
#include "jpeg.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool jpeg_fail(source *jpeg, int status, const char *format, ...)
{
    if (jpeg->status == GOOD) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(jpeg->problem, sizeof jpeg->problem, format, arguments);
        va_end(arguments);
        jpeg->status = status;
    }
    return false;
}

bool jpeg_open(source *jpeg)
{
    jpeg->adobe_transform = -1;
    if (jpeg->size < 4 || jpeg->data[0] != 0xFF || jpeg->data[1] != SOI)
        return jpeg_fail(jpeg, DAMAGED, "it does not begin like a JPEG");
    jpeg->position = 2;
    return true;
}

void jpeg_close(source *jpeg)
{
    for (int i = 0; i < MAX_COMPONENTS; i++)
        free(jpeg->components[i].coefficients);
    free(jpeg->kept);
    free(jpeg->entropy);
    free(jpeg->stretches);
}

// The marker at the position, which moves behind it; 0 after jpeg_fail.
static int next_marker(source *jpeg)
{
    size_t at = jpeg->position;
    if (at < jpeg->size && jpeg->data[at] != 0xFF) {
        jpeg_fail(jpeg, DAMAGED, "byte %zu should begin a marker, found 0x%02x", at, jpeg->data[at]);
        return 0;
    }
    while (at < jpeg->size && jpeg->data[at] == 0xFF)
        at++;
    if (at >= jpeg->size) {
        jpeg_fail(jpeg, DAMAGED, "it is cut off after %zu bytes", jpeg->size);
        return 0;
    }
    jpeg->position = at + 1;
    if (jpeg->data[at] == 0)
        jpeg_fail(jpeg, DAMAGED, "byte %zu should name a marker, found 0x00", at);
    return jpeg->data[at];
}

// The body of the segment at the position, which moves behind it.
static bool segment_body(source *jpeg, const uint8_t **body, size_t *size)
{
    size_t left = jpeg->size - jpeg->position;
    const uint8_t *data = jpeg->data + jpeg->position;
    size_t length = left < 2 ? 0 : (size_t)data[0] << 8 | data[1];
    if (length < 2 || length > left)
        return jpeg_fail(jpeg, DAMAGED, left < length ? "it is cut off in a segment at byte %zu"
                                                      : "the segment at byte %zu has no length", jpeg->position);
    *body = data + 2;
    *size = length - 2;
    jpeg->position += length;
    return true;
}

static bool read_steps(source *jpeg, const uint8_t *body, size_t size)
{
    while (size > 0) {
        int wide = body[0] >> 4, id = body[0] & 15;
        size_t need = 1 + 64 * (size_t)(wide + 1);
        if (wide > 1 || id > 3 || size < need)
            return jpeg_fail(jpeg, DAMAGED, "a quantisation table is malformed");
        for (int k = 0; k < 64; k++) {
            unsigned step = wide ? (unsigned)body[1 + 2 * k] << 8 | body[2 + 2 * k] : body[1 + k];
            if (step == 0)
                return jpeg_fail(jpeg, DAMAGED, "a quantisation table holds a zero");
            jpeg->steps[id][k] = (uint16_t)step;
        }
        jpeg->has_steps[id] = true;
        body += need;
        size -= need;
    }
    return true;
}

static bool read_books(source *jpeg, const uint8_t *body, size_t size)
{
    while (size > 0) {
        int kind = body[0] >> 4, id = body[0] & 15, total = 0;
        if (kind > 1 || id > 3 || size < 17)
            return jpeg_fail(jpeg, DAMAGED, "a Huffman table is malformed");
        for (int n = 1; n <= 16; n++)
            total += body[n];
        if (total > 256 || size < 17 + (size_t)total)
            return jpeg_fail(jpeg, DAMAGED, "a Huffman table is malformed");
        code_book book = {.defined = true, .count = total};
        memcpy(book.counts + 1, body + 1, 16);
        memcpy(book.values, body + 17, (size_t)total);
        if (!book_is_sound(&book))
            return jpeg_fail(jpeg, DAMAGED, "a Huffman table has more codes than there can be");
        *(kind ? &jpeg->ac[id] : &jpeg->dc[id]) = book;
        body += 17 + total;
        size -= 17 + (size_t)total;
    }
    return true;
}

static bool check_process(source *jpeg, int marker)
{
    if (marker >= 0xC9)
        return jpeg_fail(jpeg, UNSUPPORTED, "its arithmetic coding (SOF%d) is not supported", marker - SOF0);
    if (marker == 0xC3)
        return jpeg_fail(jpeg, UNSUPPORTED, "lossless JPEG (SOF3) is not supported");
    if (marker > SOF2)
        return jpeg_fail(jpeg, UNSUPPORTED, "hierarchical JPEG (SOF%d) is not supported", marker - SOF0);
    if (jpeg->frame)
        return jpeg_fail(jpeg, DAMAGED, "it has two frame headers");
    return true;
}

static bool read_components(source *jpeg, const uint8_t *body)
{
    for (int i = 0; i < jpeg->count; i++, body += 3) {
        component *part = &jpeg->components[i];
        *part = (component){.id = body[0], .h = body[1] >> 4, .v = body[1] & 15, .quant = body[2]};
        if (part->h < 1 || part->h > 4 || part->v < 1 || part->v > 4 || part->quant > 3)
            return jpeg_fail(jpeg, DAMAGED, "component %d of the frame header is malformed", i);
        for (int j = 0; j < i; j++)
            if (jpeg->components[j].id == part->id)
                return jpeg_fail(jpeg, DAMAGED, "two components have the number %d", part->id);
        jpeg->hmax = part->h > jpeg->hmax ? part->h : jpeg->hmax;
        jpeg->vmax = part->v > jpeg->vmax ? part->v : jpeg->vmax;
        memset(part->low_bit, -1, sizeof part->low_bit);
    }
    return true;
}

static int ceil_div(int a, int b) { return (a + b - 1) / b; }

static bool lay_out(source *jpeg)
{
    int blocks = 0;
    bool is_single = jpeg->count == 1;  // T.81, A.2.2: one component is never interleaved
    jpeg->mcu_width = 8 * (is_single ? 1 : jpeg->hmax);
    jpeg->mcu_height = 8 * (is_single ? 1 : jpeg->vmax);
    jpeg->mcus_per_row = ceil_div(jpeg->width, jpeg->mcu_width);
    jpeg->mcu_rows = ceil_div(jpeg->height, jpeg->mcu_height);
    for (int i = 0; i < jpeg->count; i++) {
        component *part = &jpeg->components[i];
        if (jpeg->hmax % part->h || jpeg->vmax % part->v)
            return jpeg_fail(jpeg, UNSUPPORTED, "colours sampled %dx%d of %dx%d are not supported", part->h, part->v,
                             jpeg->hmax, jpeg->vmax);
        part->width = ceil_div(ceil_div(jpeg->width * part->h, jpeg->hmax), 8);
        part->height = ceil_div(ceil_div(jpeg->height * part->v, jpeg->vmax), 8);
        part->stride = is_single ? part->width : jpeg->mcus_per_row * part->h;
        part->rows = is_single ? part->height : jpeg->mcu_rows * part->v;
        blocks += is_single ? 1 : part->h * part->v;
    }
    if (blocks > MAX_BLOCKS)
        return jpeg_fail(jpeg, UNSUPPORTED, "%d blocks an MCU are more than one scan may hold", blocks);
    // A block takes one bit at least, so a header that lies about the size is found before memory is asked for.
    if ((uint64_t)jpeg->mcus_per_row * (uint64_t)jpeg->mcu_rows * (uint64_t)blocks / 8 > (uint64_t)jpeg->file_size)
        return jpeg_fail(jpeg, DAMAGED, "%zu bytes cannot hold %d x %d px", jpeg->file_size, jpeg->width, jpeg->height);
    return true;
}

static bool read_frame(source *jpeg, int marker, const uint8_t *body, size_t size)
{
    if (!check_process(jpeg, marker))
        return false;
    if (size < 6 || size < 6 + 3 * (size_t)body[5])
        return jpeg_fail(jpeg, DAMAGED, "its frame header is cut off");
    if (body[0] != 8)
        return jpeg_fail(jpeg, UNSUPPORTED, "%d bits a sample are not supported", body[0]);
    jpeg->height = body[1] << 8 | body[2];
    jpeg->width = body[3] << 8 | body[4];
    jpeg->count = body[5];
    if (jpeg->height == 0)
        return jpeg_fail(jpeg, UNSUPPORTED, "its frame header leaves the height to DNL, which is not supported");
    if (jpeg->width == 0)
        return jpeg_fail(jpeg, DAMAGED, "its frame header gives no width");
    if (jpeg->count != 1 && jpeg->count != 3 && jpeg->count != 4)
        return jpeg_fail(jpeg, UNSUPPORTED, "%d components are not supported", jpeg->count);
    jpeg->frame = marker;
    return read_components(jpeg, body + 6) && lay_out(jpeg);
}

static bool keep_segment(source *jpeg, int marker, const uint8_t *body, size_t size)
{
    if (marker == APP0 && size >= 5 && memcmp(body, "JFIF", 5) == 0)
        jpeg->is_jfif = true;
    if (marker == APP0 + 14 && size >= 12 && memcmp(body, "Adobe", 5) == 0)
        jpeg->adobe_transform = body[11];
    if (jpeg->kept_count == jpeg->kept_capacity) {
        size_t capacity = 2 * jpeg->kept_capacity + 16;
        span *grown = realloc(jpeg->kept, capacity * sizeof *grown);
        if (!grown)
            return jpeg_fail(jpeg, NO_MEMORY, "no memory");
        jpeg->kept = grown;
        jpeg->kept_capacity = capacity;
    }
    size_t start = (size_t)(body - jpeg->data) - 4;
    jpeg->kept[jpeg->kept_count++] = (span){start, start + 4 + size};
    return true;
}

static bool read_interval(source *jpeg, const uint8_t *body, size_t size)
{
    if (size != 2)
        return jpeg_fail(jpeg, DAMAGED, "its restart interval is malformed");
    jpeg->restart_mcus = body[0] << 8 | body[1];
    return true;
}

// Read one segment other than SOS; markers without meaning for us are skipped.
static bool read_segment(source *jpeg, int marker)
{
    const uint8_t *body = NULL;
    size_t size = 0;
    if (marker == SOI || (marker >= RST0 && marker < SOI) || marker == 0x01)
        return jpeg_fail(jpeg, DAMAGED, "marker 0x%02x stands where it cannot", marker);
    if (!segment_body(jpeg, &body, &size))
        return false;
    if (marker == DHT)
        return read_books(jpeg, body, size);
    if (marker == DQT)
        return read_steps(jpeg, body, size);
    if (marker == DRI)
        return read_interval(jpeg, body, size);
    if (marker == DNL)
        return jpeg_fail(jpeg, UNSUPPORTED, "a DNL marker is not supported");
    if (marker >= APP0 && (marker < APP0 + 16 || marker == COM))
        return keep_segment(jpeg, marker, body, size);
    if (marker >= SOF0 && marker <= 0xCF && marker != 0xC8 && marker != 0xCC)
        return read_frame(jpeg, marker, body, size);
    return jpeg_fail(jpeg, UNSUPPORTED, "marker 0x%02x is not supported", marker);
}

// Read segments up to the next scan or the end of the picture and return its marker; 0 after jpeg_fail.
int jpeg_next_scan_or_end(source *jpeg)
{
    for (;;) {
        int marker = next_marker(jpeg);
        if (jpeg->status != GOOD)
            return 0;
        if (marker == SOS || marker == EOI)
            return marker;
        if (!read_segment(jpeg, marker))
            return 0;
    }
}

static bool take_tables(source *jpeg, scan *scan, int index, int tables)
{
    component *part = &jpeg->components[scan->which[index]];
    part->dc = (uint8_t)(tables >> 4);
    part->ac = tables & 15;
    bool needs_dc = scan->first == 0 && scan->high == 0, needs_ac = scan->last > 0;
    if ((needs_dc && (part->dc > 3 || !jpeg->dc[part->dc].defined)) ||
        (needs_ac && (part->ac > 3 || !jpeg->ac[part->ac].defined)))
        return jpeg_fail(jpeg, DAMAGED, "a scan uses a Huffman table that is not there");
    if (needs_dc)
        scan->dc[index] = jpeg->dc[part->dc];
    if (needs_ac)
        scan->ac[index] = jpeg->ac[part->ac];
    if (!part->is_latched) {
        if (!jpeg->has_steps[part->quant])
            return jpeg_fail(jpeg, DAMAGED, "a scan uses a quantisation table that is not there");
        memcpy(part->steps, jpeg->steps[part->quant], sizeof part->steps);
        part->is_latched = true;
    }
    return true;
}

static bool check_bands(source *jpeg, scan *scan)
{
    bool is_sound;
    if (jpeg->frame == SOF2)
        is_sound = scan->last < 64 && scan->first <= scan->last && (scan->first == 0) == (scan->last == 0) &&
                   (scan->first == 0 || scan->count == 1) && scan->low <= 13 &&
                   (scan->high == 0 || scan->high == scan->low + 1);
    else {
        is_sound = true;  // these fields mean nothing here, and some encoders leave them empty
        scan->first = scan->high = scan->low = 0;
        scan->last = 63;
    }
    return is_sound || jpeg_fail(jpeg, DAMAGED, "a scan header asks for coefficients %d to %d, bits %d to %d",
                                 scan->first, scan->last, scan->high, scan->low);
}

// Read the header of a scan; the position moves to its entropy-coded data.
bool jpeg_read_scan(source *jpeg, scan *scan)
{
    const uint8_t *body = NULL;
    size_t size = 0;
    if (!segment_body(jpeg, &body, &size))
        return false;
    if (!jpeg->frame)
        return jpeg_fail(jpeg, DAMAGED, "a scan comes before the frame header");
    scan->count = size ? body[0] : 0;
    if (scan->count < 1 || scan->count > jpeg->count || size != 4 + 2 * (size_t)scan->count)
        return jpeg_fail(jpeg, DAMAGED, "a scan header is malformed");
    const uint8_t *end = body + 1 + 2 * scan->count;
    scan->first = end[0], scan->last = end[1], scan->high = end[2] >> 4, scan->low = end[2] & 15;
    if (!check_bands(jpeg, scan))
        return false;
    scan->restart_mcus = jpeg->restart_mcus;
    for (int i = 0; i < scan->count; i++) {
        int which = 0;
        while (which < jpeg->count && jpeg->components[which].id != body[1 + 2 * i])
            which++;
        if (which == jpeg->count || (i > 0 && which <= scan->which[i - 1]))
            return jpeg_fail(jpeg, DAMAGED, "a scan header names component %d, which cannot be", body[1 + 2 * i]);
        scan->which[i] = which;
        if (!take_tables(jpeg, scan, i, body[2 + 2 * i]))
            return false;
    }
    return true;
}

// Whether the first component is luma, by the rules that decoders follow (Adobe's note 5116, JFIF 1.02).
bool jpeg_is_ycc(const source *jpeg)
{
    const component *part = jpeg->components;
    if (jpeg->count != 3)
        return jpeg->count == 1;
    if (jpeg->is_jfif || jpeg->adobe_transform > 0)
        return true;
    if (jpeg->adobe_transform == 0)
        return false;
    return !(part[0].id == 'R' && part[1].id == 'G' && part[2].id == 'B');
}
