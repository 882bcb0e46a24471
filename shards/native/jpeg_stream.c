// A scan that holds all components is transcoded as it is read. Between two markers only the first DC difference of
// each component changes, because there the prediction starts anew; all other bits are copied. So the AC coefficients
// are only measured, several at a time: `skipper` says how far the next bits go.
#include "jpeg.h"

#include <stdlib.h>

enum { QUICK = 11, LONGEST = 16 + 10 };

typedef struct {
    uint32_t quick[1 << QUICK];  // end of block << 16 | coefficients << 8 | bits; 0: to be read one by one
    decoder single;
} skipper;

typedef struct {
    int which;  // index of the component in the scan
    int x, y;   // block within the MCU
} place;

typedef struct {
    source *jpeg;
    scan *scan;
    writer *out;
    tiled *result;
    const skipper *skippers[MAX_COMPONENTS];  // of each component in the scan, some of them the same
    skipper storage[MAX_COMPONENTS];
    decoder decoders[MAX_COMPONENTS];
    encoder encoders[MAX_COMPONENTS];
    place places[MAX_BLOCKS];
    int blocks, luma_h, luma_v;   // blocks an MCU: of all components, and across and down of the first
    size_t position, copied;      // bits of `entropy` read, and copied or replaced
    int before[MAX_COMPONENTS];   // DC of the block before, as the source predicts
    int written[MAX_COMPONENTS];  // the same in what we write
    bool is_fresh[MAX_COMPONENTS];  // the next difference must be written anew
} stream;

// The bits and coefficients that one AC symbol stands for; 0 bits: none that can be.
static int measure_symbol(int symbol, int length, int *coefficients)
{
    int size = symbol & 15, run = symbol >> 4;
    if (symbol < 0 || size > 10 || (size == 0 && run != 0 && run != 15))
        return 0;
    *coefficients = run + 1;
    return length + size;
}

// Join as many symbols as begin within the window, at most to the end of a block.
static uint32_t measure_window(const decoder *single, unsigned window)
{
    uint32_t used = 0, covered = 0;
    while (used < QUICK) {
        int length = 0, coefficients = 0;
        unsigned rest = window << used & ((1u << QUICK) - 1);
        int symbol = decode_symbol(single, (uint64_t)rest << (64 - QUICK), &length);
        int bits = symbol < 0 ? 0 : measure_symbol(symbol, length, &coefficients);
        if (bits == 0 || used + (uint32_t)length > QUICK || used + (uint32_t)bits > LONGEST)
            break;
        used += (uint32_t)bits;
        if (symbol == 0)
            return 1u << 16 | covered << 8 | used;
        covered += (uint32_t)coefficients;
        if (covered > 62)
            break;
    }
    return covered > 62 ? 0 : covered << 8 | used;
}

static void skipper_build(skipper *skipper, const code_book *book)
{
    decoder_build(&skipper->single, book);
    for (unsigned window = 0; window < 1u << QUICK; window++)
        skipper->quick[window] = measure_window(&skipper->single, window);
}

// The position behind a block of which `used` bits of the window at `position` are read; 0: something that cannot be.
// The window is shifted while it lasts, which is a shorter chain than reading it anew for every symbol.
INLINE size_t skip_coefficients(const skipper *skipper, const uint8_t *data, size_t position, uint64_t window, int used)
{
    window <<= used;
    for (int done = 0; done < 63;) {
        if (used > 57 - LONGEST) {
            position += (size_t)used;
            window = peek_bits(data, position);
            used = 0;
        }
        uint32_t entry = skipper->quick[window >> (64 - QUICK)];
        int next = done + (int)(entry >> 8 & 255), bits = entry & 255;
        if (LIKELY(entry && next < 63)) {
            done = entry >> 16 ? 63 : next;
        } else {
            int length = 0, coefficients = 0;
            int symbol = decode_symbol(&skipper->single, window, &length);
            bits = measure_symbol(symbol, length, &coefficients);
            if (UNLIKELY(bits == 0))
                return 0;
            done = symbol == 0 ? 63 : done + coefficients;
            if (UNLIKELY(done > 63))
                return 0;
        }
        window <<= bits;
        used += bits;
    }
    return position + (size_t)used;
}

static void write_difference(stream *s, int which, size_t start)
{
    int difference = s->before[which] - s->written[which];
    int size = bit_size(difference);
    const encoder *encoder = &s->encoders[which];
    writer_copy_bits(s->out, s->jpeg->entropy, s->copied, start);
    if (s->out->failed)
        return;  // found when the picture is done
    put_bits(s->out, encoder->code[size], encoder->length[size]);
    put_bits(s->out, (uint64_t)(difference < 0 ? difference - 1 : difference) & ((1u << size) - 1), size);
    s->copied = s->position;
    s->is_fresh[which] = false;
}

INLINE void note_luma(stream *s, int x, int y, int value)
{
    if (x < s->result->luma_width && y < s->result->luma_height)
        s->result->luma[(size_t)y * (size_t)s->result->luma_width + (size_t)x] =
            mean_of_block(value, s->jpeg->components[0].steps[0]);
}

INLINE bool read_block(stream *s, const place *place, int mcu_x, int mcu_y, size_t end)
{
    int which = place->which, length = 0;
    size_t start = s->position;
    uint64_t window = peek_bits(s->jpeg->entropy, start);
    int size = decode_symbol(&s->decoders[which], window, &length);
    if (UNLIKELY(size < 0 || size >= DC_SIZES))
        return jpeg_fail(s->jpeg, DAMAGED, "a Huffman code in MCU row %d does not exist", mcu_y);
    unsigned bits = size ? (unsigned)(window << length >> (64 - size)) : 0;
    int value = s->before[which] + (size ? extend(bits, size) : 0);
    if (UNLIKELY(value > MAX_DC || value < -MAX_DC))
        return jpeg_fail(s->jpeg, DAMAGED, "a brightness in MCU row %d cannot be", mcu_y);
    s->before[which] = value;
    s->position += (size_t)(length + size);
    if (UNLIKELY(s->is_fresh[which])) {
        if (bit_size(value - s->written[which]) >= DC_SIZES)
            return jpeg_fail(s->jpeg, DAMAGED, "a brightness in MCU row %d cannot be", mcu_y);
        write_difference(s, which, start);
    }
    s->written[which] = value;
    size_t stop = skip_coefficients(s->skippers[which], s->jpeg->entropy, start, window, length + size);
    if (UNLIKELY(stop == 0 || stop > end))
        return jpeg_fail(s->jpeg, DAMAGED, stop ? "the data of MCU row %d end too early"
                                                : "a run of coefficients in MCU row %d cannot be", mcu_y);
    s->position = stop;
    if (which == 0)
        note_luma(s, mcu_x * s->luma_h + place->x, mcu_y * s->luma_v + place->y, value);
    return true;
}

static void prepare(stream *s)
{
    const component *parts = s->jpeg->components;
    bool is_single = s->jpeg->count == 1;
    for (int i = 0; i < s->scan->count; i++) {
        int twin = 0;
        while (parts[twin].ac != parts[i].ac)
            twin++;
        if (twin == i)
            skipper_build(&s->storage[i], &s->scan->ac[i]);
        s->skippers[i] = &s->storage[twin];
        decoder_build(&s->decoders[i], &s->scan->dc[i]);
        encoder_build(&s->encoders[i], &s->scan->dc_written[i]);
        for (int y = 0; y < (is_single ? 1 : parts[i].v); y++)
            for (int x = 0; x < (is_single ? 1 : parts[i].h); x++)
                s->places[s->blocks++] = (place){i, x, y};
    }
    s->luma_h = is_single ? 1 : parts[0].h;
    s->luma_v = is_single ? 1 : parts[0].v;
}

static void begin_tile(stream *s)
{
    memset(s->written, 0, sizeof s->written);
    memset(s->is_fresh, true, sizeof s->is_fresh);
}

static void end_tile(stream *s, int marker)
{
    uint8_t bytes[2] = {0xFF, (uint8_t)marker};
    writer_copy_bits(s->out, s->jpeg->entropy, s->copied, s->position);
    s->copied = s->position;
    writer_align(s->out);
    writer_bytes(s->out, bytes, 2);
}

// Go to the next stretch of the source, whose prediction begins at zero.
static bool next_stretch(stream *s, size_t index, size_t *end)
{
    const span *stretch = &s->jpeg->stretches[index];
    if (index > 0) {
        if (!jpeg_check_rest(s->jpeg, s->position, *end))
            return false;
        writer_copy_bits(s->out, s->jpeg->entropy, s->copied, s->position);
    }
    s->position = s->copied = 8 * stretch->start;
    *end = 8 * stretch->end;
    memset(s->before, 0, sizeof s->before);
    memset(s->is_fresh, true, sizeof s->is_fresh);
    return true;
}

static bool transcode_mcus(stream *s)
{
    source *jpeg = s->jpeg;
    size_t end = 0, stretch = 0;
    int tile = 0, left = 0;
    for (int y = 0; y < jpeg->mcu_rows; y++) {
        s->result->row_offsets[y] = (uint32_t)s->out->size;
        for (int x = 0; x < jpeg->mcus_per_row; x++) {
            if (left-- == 0) {
                if (!next_stretch(s, stretch++, &end))
                    return false;
                left = s->scan->restart_mcus ? s->scan->restart_mcus - 1 : INT32_MAX;
            }
            if (x % s->result->restart_mcus == 0)
                begin_tile(s);
            for (int i = 0; i < s->blocks; i++)
                if (!read_block(s, &s->places[i], x, y, end))
                    return false;
            if ((x + 1) % s->result->restart_mcus == 0) {
                bool is_last = y + 1 == jpeg->mcu_rows && x + 1 == jpeg->mcus_per_row;
                end_tile(s, is_last ? EOI : RST0 + (tile++ & 7));
            }
        }
    }
    return jpeg_check_rest(jpeg, s->position, end);
}

// Transcode the unstuffed scan, which holds every component.
bool jpeg_stream(source *jpeg, scan *scan, writer *out, tiled *result)
{
    stream *s = calloc(1, sizeof *s);
    if (!s)
        return jpeg_fail(jpeg, NO_MEMORY, "no memory");
    s->jpeg = jpeg, s->scan = scan, s->out = out, s->result = result;
    prepare(s);
    jpeg_write_header(out, jpeg, scan, jpeg->frame, result->restart_mcus);
    result->header_size = (int32_t)out->size;
    bool is_done = jpeg_check_stretches(jpeg, scan, jpeg->mcus_per_row * jpeg->mcu_rows) && transcode_mcus(s);
    result->row_offsets[jpeg->mcu_rows] = (uint32_t)out->size - 2;
    free(s);
    return is_done;
}
