// Huffman tables: from the file to tables for reading and writing, and new ones by frequency.
#include "jpeg.h"

// Whether the lengths leave every code its own place (Kraft's inequality).
bool book_is_sound(const code_book *book)
{
    unsigned taken = 0;
    for (int n = 1; n <= 16; n++)
        taken += (unsigned)book->counts[n] << (16 - n);
    return taken <= 1u << 16;
}

void decoder_build(decoder *decoder, const code_book *book)
{
    unsigned code = 0;  // the next one, at the upper end of 16 bits
    int index = 0;
    memset(decoder->quick, 0, sizeof decoder->quick);
    memcpy(decoder->values, book->values, sizeof decoder->values);
    for (int n = 1; n <= 16; n++) {
        decoder->offset[n] = index - (int)(code >> (16 - n));
        for (int i = 0; i < book->counts[n]; i++, index++, code += 1u << (16 - n))
            for (unsigned fill = 0; n <= 10 && fill < 1u << (10 - n); fill++)
                decoder->quick[(code >> 6) + fill] = (uint16_t)(book->values[index] << 8 | n);
        decoder->limit[n] = code;
    }
}

// The symbol of a code of more than ten bits; -1: no such code.
int decoder_long_symbol(const decoder *decoder, unsigned sixteen, int *length)
{
    for (int n = 11; n <= 16; n++)
        if (sixteen < decoder->limit[n]) {
            *length = n;
            return decoder->values[(int)(sixteen >> (16 - n)) + decoder->offset[n]];
        }
    return -1;
}

void encoder_build(encoder *encoder, const code_book *book)
{
    unsigned code = 0;
    int index = 0;
    memset(encoder, 0, sizeof *encoder);
    for (int n = 1; n <= 16; n++, code <<= 1)
        for (int i = 0; i < book->counts[n]; i++, index++) {
            encoder->code[book->values[index]] = (uint16_t)code++;
            encoder->length[book->values[index]] = (uint8_t)n;
        }
}

// Give every DC size a code. A code of ones is never used (T.81, C), so longer codes fit behind it and those that are
// there keep theirs. False where that would pass 16 bits.
bool book_add_dc_sizes(code_book *book)
{
    bool has[256] = {false};
    int missing = 0, longest = 0, extra = 0;
    unsigned taken = 0;
    for (int i = 0; i < book->count; i++)
        has[book->values[i]] = true;
    for (int n = 1; n <= 16; n++) {
        longest = book->counts[n] ? n : longest;
        taken += (unsigned)book->counts[n] << (16 - n);
    }
    for (int size = 0; size < DC_SIZES; size++)
        missing += !has[size];
    if (!missing)
        return true;
    unsigned room = longest ? ((1u << 16) - taken) >> (16 - longest) : 1;  // free codes of the longest length
    while (longest + extra <= 16 && (int)(room << extra) - 1 < missing)
        extra++;
    if (room == 0 || longest + extra > 16 || longest + extra == 0)
        return false;
    for (int size = 0; size < DC_SIZES; size++)
        if (!has[size])
            book->values[book->count++] = (uint8_t)size;
    book->counts[longest + extra] = (uint8_t)(book->counts[longest + extra] + missing);
    return true;
}

// Join the two rarest trees until one is left; `length` then holds the depth of every symbol.
static void grow_tree(uint32_t weight[257], int length[257])
{
    int16_t next[257];  // the chain of symbols under one root
    memset(next, -1, sizeof next);
    for (;;) {
        int a = -1, b = -1;  // rarest and second rarest; of equals the higher symbol goes deeper
        for (int i = 0; i < 257; i++) {
            if (!weight[i])
                continue;
            if (a < 0 || weight[i] <= weight[a])
                b = a, a = i;
            else if (b < 0 || weight[i] <= weight[b])
                b = i;
        }
        if (b < 0)
            return;
        weight[b] += weight[a];
        weight[a] = 0;
        int last = b;
        for (int i = b; i >= 0; last = i, i = next[i])
            length[i]++;
        next[last] = (int16_t)a;
        for (int i = a; i >= 0; i = next[i])
            length[i]++;
    }
}

// Shorten to 16 bits: a pair of the longest codes becomes one code a bit shorter, the other one goes behind a shorter
// code that is split (T.81, K.2).
static void limit_lengths(int counts[258])
{
    for (int n = 257; n > 16; n--)
        while (counts[n] > 0) {
            int shorter = n - 2;
            while (counts[shorter] == 0)
                shorter--;
            counts[n] -= 2;
            counts[n - 1]++;
            counts[shorter + 1] += 2;
            counts[shorter]--;
        }
}

// Make the best code for symbols of these frequencies; symbol 256 takes the code of ones, which must not be used.
void book_optimise(code_book *book, const uint32_t frequency[256])
{
    uint32_t weight[257];
    int length[257] = {0}, counts[258] = {0};
    memcpy(weight, frequency, 256 * sizeof *weight);
    weight[256] = 1;
    grow_tree(weight, length);
    for (int i = 0; i < 257; i++)
        counts[length[i]] += length[i] > 0;
    limit_lengths(counts);
    *book = (code_book){.defined = true};
    int longest = 16;
    while (longest > 0 && counts[longest] == 0)
        longest--;
    counts[longest] -= longest > 0;
    for (int n = 1; n <= 16; n++)
        book->counts[n] = (uint8_t)counts[n];
    for (int n = 1; n < 258; n++)
        for (int i = 0; i < 256; i++)
            if (length[i] == n)
                book->values[book->count++] = (uint8_t)i;
}
