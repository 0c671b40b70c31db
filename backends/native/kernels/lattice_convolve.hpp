// Learned filters on the lattice: every channel has a filter of its own over the taps of a neighbourhood.
//
// Source: Jampani, Kiefel & Gehler, Learning Sparse High Dimensional Filters, CVPR 2016.
#pragma once
#include "lattice_rows.hpp"

namespace PACBENCH_NAMESPACE {

// table[i][t]: the row of the point whose key is that of point i plus offset t; `points` where there is none.
template <int D> static void look_up(const Lattice &lattice, const int32_t *offsets, Index taps, int32_t *table, Index threads) {
  const int d = D ? D : lattice.dimensions;
  const KeyHash hash(d);
  for_each_range(lattice.points, taps * COST_OF_LOOK_UP, threads, [&](Index first, Index last) {
    for (Index i = first; i < last; i++)
      for (Index t = 0; t < taps; t++) {
        int32_t key[MOST_DIMENSIONS];
        for (int c = 0; c < d; c++) key[c] = lattice.keys.at[i * d + c] + offsets[t * d + c];
        const int32_t found = lattice.table.find<D>(lattice.keys.at, d, key, mixed(hash.of(key, d)))->index;
        table[i * taps + t] = found < 0 ? (int32_t)lattice.points : found;
      }
  });
}

struct ConvolvePoints {
  const Scalar *values, *weight;
  const int32_t *table;
  Scalar *output;
  Index taps, row, first, last;

  template <class Unit, int V> PACBENCH_INLINE_MEMBER void run(Index channel) const {
    for (Index i = first; i < last; i++) {
      const int32_t *neighbour = table + i * taps;
      Chunk<Unit, V> sum;
      sum.clear();
      for (Index t = 0; t < taps; t++) {
        Chunk<Unit, V> value, factor;
        value.read(values + (Index)neighbour[t] * row + channel);
        factor.read(weight + t * row + channel);
        PACBENCH_UNROLL
        for (int c = 0; c < V; c++) sum.part[c] += factor.part[c] * value.part[c];
      }
      sum.write(output + i * row + channel);
    }
  }
};

constexpr Index POINTS_OF_SUM = 256; // are summed in the scalar type; longer sums in double

// gradient[t] = sum over points of the output's gradient times the tap's value; a thread has taps of its own.
struct WeightGradient {
  const Scalar *values, *gradient;
  const int32_t *table;
  Scalar *output;
  Index points, taps, row, first, last; // taps [first, last)

  template <class Unit, int V> PACBENCH_INLINE_MEMBER void run(Index channel) const {
    constexpr int WIDTH = Chunk<Unit, V>::WIDTH;
    for (Index t = first; t < last; t++) {
      double total[WIDTH] = {};
      for (Index block = 0; block < points; block += POINTS_OF_SUM) {
        Chunk<Unit, V> sum;
        sum.clear();
        for (Index i = block; i < least(points, block + POINTS_OF_SUM); i++) {
          Chunk<Unit, V> value, factor;
          value.read(values + (Index)table[i * taps + t] * row + channel);
          factor.read(gradient + i * row + channel);
          PACBENCH_UNROLL
          for (int c = 0; c < V; c++) sum.part[c] += factor.part[c] * value.part[c];
        }
        Scalar lanes[WIDTH];
        sum.write(lanes);
        for (int c = 0; c < WIDTH; c++) total[c] += (double)lanes[c];
      }
      for (int c = 0; c < WIDTH; c++) output[t * row + channel + c] = (Scalar)total[c];
    }
  }
};

} // namespace PACBENCH_NAMESPACE
