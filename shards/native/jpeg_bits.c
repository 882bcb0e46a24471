// Bits in and out: stuffing is taken off a whole scan at once, so that bits can be read and copied without looking.
#include "jpeg.h"

#include <stdlib.h>

static bool end_stretch(source *jpeg, size_t start)
{
    if (jpeg->stretch_count == jpeg->stretch_capacity) {
        size_t capacity = 2 * jpeg->stretch_capacity + 64;
        span *grown = realloc(jpeg->stretches, capacity * sizeof *grown);
        if (!grown)
            return jpeg_fail(jpeg, NO_MEMORY, "no memory");
        jpeg->stretches = grown;
        jpeg->stretch_capacity = capacity;
    }
    jpeg->stretches[jpeg->stretch_count++] = (span){start, jpeg->entropy_size};
    return true;
}

static void append(source *jpeg, const uint8_t *from, const uint8_t *to)
{
    memcpy(jpeg->entropy + jpeg->entropy_size, from, (size_t)(to - from));
    jpeg->entropy_size += (size_t)(to - from);
}

// Take the scan at the position into `entropy`, its stretches between restart markers into `stretches`; the position
// moves to the marker behind it.
bool jpeg_unstuff(source *jpeg)
{
    const uint8_t *at = jpeg->data + jpeg->position, *end = jpeg->data + jpeg->size;
    if (!jpeg->entropy)
        jpeg->entropy = malloc((size_t)(end - at) + TAIL);
    if (!jpeg->entropy)
        return jpeg_fail(jpeg, NO_MEMORY, "no memory");
    jpeg->entropy_size = jpeg->stretch_count = 0;
    for (size_t start = 0;;) {
        const uint8_t *stop = memchr(at, 0xFF, (size_t)(end - at));
        if (!stop)
            return jpeg_fail(jpeg, DAMAGED, "it is cut off after %zu bytes", jpeg->size);
        const uint8_t *code = stop + 1;
        while (code < end && *code == 0xFF)
            code++;
        if (code == end)
            return jpeg_fail(jpeg, DAMAGED, "it is cut off after %zu bytes", jpeg->size);
        if (*code == 0) {
            append(jpeg, at, stop + 1);
        } else {
            append(jpeg, at, stop);
            if (!end_stretch(jpeg, start))
                return false;
            start = jpeg->entropy_size;
            if ((*code & 0xF8) != RST0) {
                jpeg->position = (size_t)(stop - jpeg->data);
                memset(jpeg->entropy + jpeg->entropy_size, 0, TAIL);
                return true;
            }
            if ((*code & 7) != (int)((jpeg->stretch_count - 1) & 7))
                return jpeg_fail(jpeg, DAMAGED, "restart marker %zu is missing or out of order", jpeg->stretch_count);
        }
        at = code + 1;
    }
}

// Whether the scan has the restart markers that its MCUs ask for.
bool jpeg_check_stretches(source *jpeg, const scan *scan, int mcus)
{
    int interval = scan->restart_mcus, expected = interval ? (mcus + interval - 1) / interval : 1;
    return jpeg->stretch_count == (size_t)expected ||
           jpeg_fail(jpeg, DAMAGED, "a scan has %zu restart markers, expected %d", jpeg->stretch_count - 1,
                     expected - 1);
}

// Whether little enough is left of a stretch when its blocks are read (positions in bits): decoders pass over a few
// bytes that some cameras append, but many mean that the blocks were not what they seemed.
bool jpeg_check_rest(source *jpeg, size_t position, size_t end)
{
    return end - position <= 8 * 64 ||
           jpeg_fail(jpeg, DAMAGED, "%zu bytes are left when all blocks are read", (end - position) / 8);
}

bool writer_reserve(writer *out, size_t bytes)
{
    if (out->capacity - out->size >= bytes)
        return true;
    size_t capacity = 2 * out->capacity + bytes;
    uint8_t *grown = realloc(out->data, capacity);
    if (!grown) {
        out->failed = true;
        return false;
    }
    out->data = grown;
    out->capacity = capacity;
    return true;
}

void writer_bytes(writer *out, const void *data, size_t size)
{
    if (writer_reserve(out, size)) {
        memcpy(out->data + out->size, data, size);
        out->size += size;
    }
}

static void put_byte(writer *out, uint8_t byte)
{
    out->data[out->size++] = byte;
    if (byte == 0xFF)
        out->data[out->size++] = 0;
}

// Write eight bytes, a zero behind each 0xFF.
void writer_flush_word(writer *out, uint64_t word)
{
    if (LIKELY(!((~word - 0x0101010101010101u) & word & 0x8080808080808080u))) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        word = __builtin_bswap64(word);
#endif
        memcpy(out->data + out->size, &word, 8);
        out->size += 8;
        return;
    }
    for (int shift = 56; shift >= 0; shift -= 8)
        put_byte(out, (uint8_t)(word >> shift));
}

// Append the bits of `data` between two positions.
void writer_copy_bits(writer *out, const uint8_t *data, size_t from, size_t to)
{
    if (!writer_reserve(out, (to - from) / 4 + 64))
        return;
    for (; to - from >= 56; from += 56)
        put_bits(out, peek_bits(data, from) >> 8, 56);
    if (to > from)
        put_bits(out, peek_bits(data, from) >> (64 - (to - from)), (int)(to - from));
}

// Fill up the last byte with ones and write what is left.
void writer_align(writer *out)
{
    int fill = -out->count & 7;
    if (!writer_reserve(out, 64))
        return;
    put_bits(out, (1u << fill) - 1, fill);
    for (; out->count > 0; out->count -= 8)
        put_byte(out, (uint8_t)(out->bits >> (out->count - 8)));
}
