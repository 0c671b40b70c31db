// The register-blocked products that convolutions are made of: ROWS x V accumulators, one broadcast of the filter
// against V vectors of pixels.
#pragma once
#include "adapting.hpp"

namespace PACBENCH_NAMESPACE {

// Bytes of the modulated columns that the blocks of one tile share: they stay in L1 with a block of the filter.
constexpr Index COLUMN_BYTES = 20 * 1024;

// total[m][.] = sum over k of filter[k][m] * columns[k][.]; columns has rows of TILE.
template <int ROWS, int V>
PACBENCH_INLINE void multiply(Index depth, const Scalar *filter, const Scalar *columns, Vector (&total)[ROWS][V]) {
  PACBENCH_UNROLL
  for (int m = 0; m < ROWS; m++) {
    PACBENCH_UNROLL
    for (int v = 0; v < V; v++) total[m][v] = Vector{};
  }
  PACBENCH_UNROLL_LOOP
  for (Index k = 0; k < depth; k++) {
    Vector column[V];
    PACBENCH_UNROLL
    for (int v = 0; v < V; v++) column[v] = load(columns + v * LANES);
    PACBENCH_UNROLL
    for (int m = 0; m < ROWS; m++) {
      const Vector factor = broadcast(filter[m]);
      PACBENCH_UNROLL
      for (int v = 0; v < V; v++) total[m][v] += factor * column[v];
    }
    filter += ROWS;
    columns += TILE;
  }
}

// sums[m][.] += what `multiply` gives; sums has rows of TILE. The products are added up first: sums over all taps would
// lose digits if each term were added to them.
template <int ROWS, int V>
PACBENCH_INLINE void multiply_columns(Index depth, const Scalar *filter, const Scalar *columns, Scalar *sums, bool from_zero) {
  Vector total[ROWS][V];
  multiply<ROWS, V>(depth, filter, columns, total);
  PACBENCH_UNROLL
  for (int m = 0; m < ROWS; m++) {
    PACBENCH_UNROLL
    for (int v = 0; v < V; v++) {
      Scalar *sum = sums + m * TILE + v * LANES;
      store(sum, from_zero ? total[m][v] : load(sum) + total[m][v]);
    }
  }
}

// As multiply_columns, for the first block of a tile: it makes the modulated columns K * x on the way and stores them.
template <int ROWS, int V>
PACBENCH_INLINE void modulate_and_multiply(Index taps, Index channels, const Scalar *const *filters, const Scalar *const *inputs,
                                           Index channel_size, const Scalar *kernel, Scalar *columns, Scalar *sums,
                                           bool from_zero) {
  Vector total[ROWS][V];
  PACBENCH_UNROLL
  for (int m = 0; m < ROWS; m++) {
    PACBENCH_UNROLL
    for (int v = 0; v < V; v++) total[m][v] = Vector{};
  }
  for (Index t = 0; t < taps; t++) {
    const Scalar *input = inputs[t], *filter = filters[t];
    Vector scale[V];
    PACBENCH_UNROLL
    for (int v = 0; v < V; v++) scale[v] = load(kernel + t * TILE + v * LANES);
    PACBENCH_UNROLL_LOOP
    for (Index c = 0; c < channels; c++) {
      Vector column[V];
      PACBENCH_UNROLL
      for (int v = 0; v < V; v++) {
        column[v] = load(input + v * LANES) * scale[v];
        store(columns + v * LANES, column[v]);
      }
      PACBENCH_UNROLL
      for (int m = 0; m < ROWS; m++) {
        const Vector factor = broadcast(filter[m]);
        PACBENCH_UNROLL
        for (int v = 0; v < V; v++) total[m][v] += factor * column[v];
      }
      filter += ROWS;
      columns += TILE;
      input += channel_size;
    }
  }
  PACBENCH_UNROLL
  for (int m = 0; m < ROWS; m++) {
    PACBENCH_UNROLL
    for (int v = 0; v < V; v++) {
      Scalar *sum = sums + m * TILE + v * LANES;
      store(sum, from_zero ? total[m][v] : load(sum) + total[m][v]);
    }
  }
}

// How `count` rows are cut into equal blocks of at most ROWS_OF_BLOCK.
struct Blocks {
  Index count, rows;
  explicit Blocks(Index all) : count(ceil_div(all, ROWS_OF_BLOCK)), rows(ceil_div(all, count)) {}
  Index padded() const { return count * rows; }
};

// Calls function<ROWS>(arguments...) for the run-time number of rows.
#if defined(__AVX512F__)
#define PACBENCH_FOR_ROWS(rows, call)                                                                                   \
  switch (rows) {                                                                                                       \
  case 8: { constexpr int ROWS = 8; call; } break;                                                                      \
  case 7: { constexpr int ROWS = 7; call; } break;                                                                      \
  case 6: { constexpr int ROWS = 6; call; } break;                                                                      \
  case 5: { constexpr int ROWS = 5; call; } break;                                                                      \
  case 4: { constexpr int ROWS = 4; call; } break;                                                                      \
  case 3: { constexpr int ROWS = 3; call; } break;                                                                      \
  case 2: { constexpr int ROWS = 2; call; } break;                                                                      \
  default: { constexpr int ROWS = 1; call; }                                                                            \
  }
#else
#define PACBENCH_FOR_ROWS(rows, call)                                                                                   \
  switch (rows) {                                                                                                       \
  case 4: { constexpr int ROWS = 4; call; } break;                                                                      \
  case 3: { constexpr int ROWS = 3; call; } break;                                                                      \
  case 2: { constexpr int ROWS = 2; call; } break;                                                                      \
  default: { constexpr int ROWS = 1; call; }                                                                            \
  }
#endif
// W[output, channel, position] for either layout of the weight.
struct Filter {
  const Scalar *weight;
  Index output_stride, channel_stride;

  explicit Filter(const PacCall &call) : weight((const Scalar *)call.weight) {
    const Index taps = call.kernel_height * call.kernel_width;
    output_stride = call.transposed ? taps : call.in_channels * taps;
    channel_stride = call.transposed ? call.out_channels * taps : taps;
  }
  Scalar at(Index output, Index channel, Index position) const {
    return weight[output * output_stride + channel * channel_stride + position];
  }
};

} // namespace PACBENCH_NAMESPACE
