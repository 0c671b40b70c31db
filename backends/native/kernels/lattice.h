// The plain C interface of the permutohedral lattice: one struct describes a call, one function computes each operation.
//
// Scalars are of the function's type. "Rows" are (count, row) with `row` a multiple of pacbench_native_lattice_lanes_...:
// the channels of one pixel or lattice point side by side, zero beyond them. Values of a lattice have points + 1 rows,
// the last of them zero: the neighbour that is not there. The caller has checked every argument; tensors are contiguous.
// Functions return 0, or 1 with a message in `error`.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct LatticeCall {
  int64_t dimensions; // d of the features
  int64_t pixels;
  int64_t points;     // of the lattice, an output of build
  int64_t row;        // length of a row
  int64_t threads;    // at least 1; a forked child and a call from inside a parallel region use 1
  int64_t reverse;    // blur: axes from the last to the first, the adjoint
  int64_t taps;       // of a filter on the lattice
  int64_t classes, steps, kernels, softmax; // mean field; softmax: output probabilities rather than logits
  double unary_weight;
  void *lattice;            // made by build, ended by free
  const void *features;     // build: (d, pixels)
  const void *scale;        // splat, slice: (pixels), what each pixel's row is multiplied by, or null
  const void *input;        // splat: rows of pixels; slice, convolve, weight_gradient: values; mean field: unary (classes, pixels)
  const void *gradient;     // weight_gradient: values
  const void *weight;       // convolve: (taps, row)
  const int32_t *offsets;   // neighbours: (taps, d), differences of keys
  int32_t *table;           // neighbours (out), convolve, weight_gradient: (points, taps), indices of values' rows
  void *output;             // of the operation; blur: values, in place
  int32_t *keys;            // describe, out: (points, d)
  int32_t *vertices;        // describe, out: (pixels, d + 1), points
  void *barycentric;        // describe, out: (pixels, d + 1)
  void *const *lattices;    // mean field: one for each kernel, all of the same pixels
  const void *const *scales;
  const double *kernel_weights;
  const void *compatibility; // mean field: (classes, row), [l'][l] = mu(l, l'), or null: Potts
  void *beliefs;             // mean field, out: rows of pixels for each step, what the step filtered; or null
} LatticeCall;

// Entry points are named pacbench_native_lattice_<what>_<float32|float64>_<avx2|portable>, with <what> = build, describe,
// free, normalisation, splat, blur, slice, neighbours, convolve, weight_gradient, mean_field, and have this type:
typedef int (*LatticeFunction)(LatticeCall *call, char *error, int64_t error_size);

// pacbench_native_lattice_lanes_<scalar>_<isa>: scalars of a vector.
// Size of LatticeCall as the library was compiled with: a guard against a stale library.
int64_t pacbench_native_lattice_call_size(void);

#ifdef __cplusplus
}
#endif
