// What the parts of the decoder of tiles share. It writes the bits of libjpeg-turbo, and takes the instructions of AVX2;
// elsewhere, and for rare kinds of JPEG, OpenCV's libjpeg decodes.
#ifndef EHPS_JPEG_PIXELS_H
#define EHPS_JPEG_PIXELS_H

#include "jpeg.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2"))) static
#define VECTORS __attribute__((target("avx2"), always_inline)) static inline

enum { BLOCK = 64 + 16 };  // coefficients of a block, row by row, and places that do not count

// jpeg_idct.c: dequantised coefficients (16 bytes aligned) to side x side samples; two blocks of eight at a time.
void idct_block(const int16_t block[BLOCK], int side, uint8_t *out, ptrdiff_t stride);
void idct_flat(int dc, int side, uint8_t *out, ptrdiff_t stride);
void idct_two_blocks(const int16_t block[2][BLOCK], uint8_t *const out[2], const ptrdiff_t stride[2]);

// jpeg_colour.c
typedef struct {
    uint8_t *samples;
    ptrdiff_t stride;
    int width, height;  // of the samples that the picture covers
} plane;

enum { ROOM = 64 };  // bytes of a row that vectors may touch behind the last sample

// Write columns [x0, x1) of a row of RGB. The colours are `across` times narrower and `down` times lower than luma;
// `sums` has room for two rows of colours, `rows` for two of luma.
void colour_row(const plane planes[3], int across, int down, int y, int x0, int x1, int is_smooth, int16_t *sums,
                uint8_t *rows, uint8_t *out);

#endif
#endif
