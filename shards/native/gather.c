// Many pieces of many files in one call, without Python in between.
#define _XOPEN_SOURCE 700  // pread

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

uint32_t ehps_crc32(const uint8_t *data, int64_t size);  // crc32.c

// A stretch of a file, and where its bytes go.
typedef struct {
    int64_t offset, size, to;
    int64_t file;  // descriptor; -1: the bytes are there already
} stretch;

// Bytes among what was read, which should have a CRC-32.
typedef struct {
    int64_t start, size;
    int64_t crc32;
} piece;

// Whether all bytes of a stretch could be read.
static int fill(const stretch *s, uint8_t *out)
{
    for (int64_t done = 0; done < s->size;) {
        const ssize_t got = pread((int)s->file, out + s->to + done, (size_t)(s->size - done), s->offset + done);
        if (got == 0 || (got < 0 && errno != EINTR))
            return 0;
        done += got > 0 ? got : 0;
    }
    return 1;
}

// Read stretches into `out` and check pieces of them, `each` a stretch. Returns -1 when all is as it was written, else
// the number of the first piece that is not.
EXPORT int32_t ehps_gather(const stretch *stretches, const piece *pieces, int32_t count, int32_t each, uint8_t *out)
{
    for (int32_t i = 0; i < count; i++) {
        if (stretches[i].file >= 0 && !fill(&stretches[i], out))
            return i * each;
        for (int32_t k = i * each; k < (i + 1) * each; k++)
            if (pieces[k].size && ehps_crc32(out + pieces[k].start, pieces[k].size) != (uint32_t)pieces[k].crc32)
                return k;
    }
    return -1;
}
