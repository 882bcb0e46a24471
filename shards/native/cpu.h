// What the processor can do beyond the least that its kind can.
#ifndef EHPS_CPU_H
#define EHPS_CPU_H

#include <stdbool.h>

typedef struct {
    bool has_avx2;
    bool has_bmi2;   // shifts by any register
    bool has_clmul;  // products of polynomials over GF(2), and SSE 4.1
} cpu;

extern cpu this_cpu;

#endif
