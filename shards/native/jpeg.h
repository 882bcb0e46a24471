// What the parts of the JPEG transcoder share. Terms are those of ITU-T T.81: a code book is a Huffman table as the
// file gives it, a scan is what follows one SOS marker, a stretch is what lies between two restart markers.
#ifndef EHPS_JPEG_H
#define EHPS_JPEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define EHPS_API __attribute__((visibility("default")))
#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define INLINE static inline __attribute__((always_inline))

enum { GOOD, DAMAGED, UNSUPPORTED, NO_MEMORY };
enum { SOF0 = 0xC0, SOF1, SOF2, DHT = 0xC4, RST0 = 0xD0, SOI = 0xD8, EOI, SOS, DQT, DNL, DRI, APP0 = 0xE0, COM = 0xFE };
enum { MAX_COMPONENTS = 4, MAX_BLOCKS = 10, MAX_SCANS = 100, TAIL = 512 };
enum { MAX_DC = 2047, MAX_AC = 1023, DC_SIZES = 12 };

typedef struct {
    bool defined;
    int count;
    uint8_t counts[17];  // codes of each length
    uint8_t values[256];
} code_book;

typedef struct {
    uint8_t id, h, v, quant, dc, ac;
    bool is_latched;       // its quantisation table is known: a later one does not concern it
    uint16_t steps[64];
    int width, height;     // blocks that the picture covers
    int stride, rows;      // blocks of whole MCUs
    int16_t *coefficients; // 64 a block, in zigzag order
    int8_t low_bit[64];    // progressive: lowest bit read so far of each coefficient; -1: none
} component;

typedef struct {
    int count, which[MAX_COMPONENTS];
    int first, last, high, low;  // Ss, Se, Ah, Al
    int restart_mcus;            // 0: no restart markers
    code_book dc[MAX_COMPONENTS], ac[MAX_COMPONENTS];  // of the scan's components
    code_book dc_written[MAX_COMPONENTS];              // the same with a code for every size
} scan;

typedef struct { size_t start, end; } span;

typedef struct {
    const uint8_t *data;
    size_t size, position;
    size_t file_size;  // what the picture may take up, where only its header is at hand
    int status;
    char problem[160];

    int frame;  // the SOF marker; 0 before it
    int width, height, count, hmax, vmax, mcu_width, mcu_height, mcus_per_row, mcu_rows;
    component components[MAX_COMPONENTS];
    bool has_steps[4];
    uint16_t steps[4][64];
    code_book dc[4], ac[4];
    int restart_mcus;  // of the scans that follow
    bool is_jfif;
    int adobe_transform;  // -1: no Adobe marker
    span *kept;           // APPn and COM segments
    size_t kept_count, kept_capacity;

    uint8_t *entropy;  // the bytes of a scan without stuffing, TAIL zeros behind them
    size_t entropy_size;
    span *stretches;
    size_t stretch_count, stretch_capacity;
} source;

typedef struct {
    uint8_t *data;
    size_t size, capacity;
    uint64_t bits;
    int count;  // bits not written yet
    bool failed;
} writer;

// What tile_jpeg returns; Python reads it as a ctypes.Structure with the same fields.
typedef struct {
    int32_t status, width, height, mcu_width, mcu_height, restart_mcus, header_size, rows;
    int32_t luma_width, luma_height, luma_is_y;
    uint32_t header_crc32;
    int64_t size;
    uint8_t *data;
    uint32_t *row_offsets, *row_crc32;
    uint8_t *luma;
    char problem[160];
} tiled;

// What window_jpeg asks for; tiles count from the left of the picture, rows from its top.
typedef struct {
    const uint8_t *header, *rows;
    int64_t header_size, rows_size;
    const uint32_t *row_offsets;  // of the window's rows, and where they end; `rows` begins at the first of them
    int32_t row_count, tiles_per_row, tile0, tile1, restart_mcus, width, height;
    const uint8_t *keep;  // row_count x (tile1 - tile0), or NULL: zero where nobody looks
} cut;

uint32_t ehps_crc32(const uint8_t *data, int64_t size);  // crc32.c

// jpeg_header.c
bool jpeg_fail(source *jpeg, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool jpeg_open(source *jpeg);
int jpeg_next_scan_or_end(source *jpeg);
bool jpeg_read_scan(source *jpeg, scan *scan);
bool jpeg_is_ycc(const source *jpeg);
void jpeg_close(source *jpeg);

// jpeg_bits.c
bool jpeg_unstuff(source *jpeg);
bool jpeg_check_stretches(source *jpeg, const scan *scan, int mcus);
bool jpeg_check_rest(source *jpeg, size_t position, size_t end);
bool writer_reserve(writer *out, size_t bytes);
void writer_bytes(writer *out, const void *data, size_t size);
void writer_copy_bits(writer *out, const uint8_t *data, size_t from, size_t to);
void writer_align(writer *out);

// jpeg_huffman.c
typedef struct {
    uint16_t quick[1 << 10];  // symbol << 8 | length by the next ten bits; 0: a longer code
    uint32_t limit[18];       // the next 16 bits of a code of at most n bits are below limit[n]
    int32_t offset[17];
    uint8_t values[256];
} decoder;
typedef struct {
    uint16_t code[256];
    uint8_t length[256];  // 0: no such code
} encoder;
bool book_is_sound(const code_book *book);
void decoder_build(decoder *decoder, const code_book *book);
void encoder_build(encoder *encoder, const code_book *book);
bool book_add_dc_sizes(code_book *book);
void book_optimise(code_book *book, const uint32_t frequency[256]);
int decoder_long_symbol(const decoder *decoder, unsigned sixteen, int *length);

// jpeg_window.c
const uint8_t *jpeg_find_marker(const uint8_t *at, const uint8_t *end);
bool jpeg_read_to_scan(source *jpeg, scan *scan);
bool cut_is_sound(const cut *c);

// jpeg_write.c
bool jpeg_choose_tiles(const source *jpeg, tiled *result);
void jpeg_note_checksums(tiled *result, const uint8_t *data);
void jpeg_write_header(writer *out, const source *jpeg, const scan *scan, int frame, int restart_mcus);

// jpeg_stream.c, jpeg_coefficients.c, jpeg_encode.c
bool jpeg_stream(source *jpeg, scan *scan, writer *out, tiled *result);
bool jpeg_allocate_coefficients(source *jpeg);
bool jpeg_decode_scan(source *jpeg, const scan *scan);
bool jpeg_encode(source *jpeg, writer *out, tiled *result);

INLINE uint64_t load64(const uint8_t *data)
{
    uint64_t word;
    memcpy(&word, data, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

// At least 57 bits from a position in bits, the first one highest.
INLINE uint64_t peek_bits(const uint8_t *data, size_t position)
{
    return load64(data + (position >> 3)) << (position & 7);
}

// The number that `size` bits stand for (T.81, F.2.2.1 EXTEND).
INLINE int extend(unsigned bits, int size)
{
    return (int)bits - (bits < (1u << size >> 1) ? (1 << size) - 1 : 0);
}

INLINE int bit_size(int value)
{
    unsigned magnitude = (unsigned)(value < 0 ? -value : value);
    return magnitude ? 32 - __builtin_clz(magnitude) : 0;
}

// One bit for each coefficient of a block that is not zero, the first one lowest.
INLINE uint64_t nonzero_mask(const int16_t *block)
{
    uint64_t mask = 0;
#ifdef __SSE2__
    for (int k = 0; k < 64; k += 16) {
        __m128i low = _mm_loadu_si128((const __m128i *)(block + k));
        __m128i high = _mm_loadu_si128((const __m128i *)(block + k + 8));
        __m128i is_zero = _mm_cmpeq_epi8(_mm_packs_epi16(low, high), _mm_setzero_si128());
        mask |= (uint64_t)(~(unsigned)_mm_movemask_epi8(is_zero) & 0xFFFF) << k;
    }
#else
    for (int k = 0; k < 64; k++)
        mask |= (uint64_t)(block[k] != 0) << k;
#endif
    return mask;
}

// The mean of a block's 64 pixels is an eighth of its DC coefficient.
INLINE uint8_t mean_of_block(int dc, int step)
{
    int mean = (dc * step + 8 * 128 + 4) >> 3;
    return (uint8_t)(mean < 0 ? 0 : mean > 255 ? 255 : mean);
}

// The next symbol of a code; its length goes to `length`. -1: no such code.
INLINE int decode_symbol(const decoder *decoder, uint64_t window, int *length)
{
    unsigned entry = decoder->quick[window >> 54];
    if (LIKELY(entry)) {
        *length = entry & 255;
        return (int)(entry >> 8);
    }
    return decoder_long_symbol(decoder, (unsigned)(window >> 48), length);
}

void writer_flush_word(writer *out, uint64_t word);

// Append at most 57 bits; room must have been reserved.
INLINE void put_bits(writer *out, uint64_t value, int count)
{
    int room = 64 - out->count;
    if (count < room) {
        out->bits = out->bits << count | value;
        out->count += count;
        return;
    }
    writer_flush_word(out, (room < 64 ? out->bits << room : 0) | value >> (count - room));
    out->bits = value;
    out->count = count - room;
}

#endif
