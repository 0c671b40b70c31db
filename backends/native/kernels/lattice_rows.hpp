// Splat, blur and slice. Values are rows of channels; a chunk of a row stays in registers while its neighbours are read.
#pragma once
#include "lattice_build.hpp"

namespace PACBENCH_NAMESPACE {

constexpr int MOST_CHUNK = 6; // vectors

PACBENCH_INLINE void load_from(Vector &v, const Scalar *p) { v = load(p); }
PACBENCH_INLINE void load_from(Scalar &v, const Scalar *p) { v = *p; }
PACBENCH_INLINE void store_to(Scalar *p, Vector v) { store(p, v); }
PACBENCH_INLINE void store_to(Scalar *p, Scalar v) { *p = v; }

// V units side by side: vectors, or scalars where a row is one number.
template <class Unit, int V> struct Chunk {
  static constexpr int WIDTH = V * (int)(sizeof(Unit) / sizeof(Scalar));
  Unit part[V];

  PACBENCH_INLINE_MEMBER void read(const Scalar *p) {
    PACBENCH_UNROLL
    for (int i = 0; i < V; i++) load_from(part[i], p + i * (WIDTH / V));
  }
  PACBENCH_INLINE_MEMBER void write(Scalar *p) const {
    PACBENCH_UNROLL
    for (int i = 0; i < V; i++) store_to(p + i * (WIDTH / V), part[i]);
  }
  // += weight * the chunk at p
  PACBENCH_INLINE_MEMBER void add(Scalar weight, const Scalar *p) {
    PACBENCH_UNROLL
    for (int i = 0; i < V; i++) {
      Unit other;
      load_from(other, p + i * (WIDTH / V));
      part[i] += weight * other;
    }
  }
  PACBENCH_INLINE_MEMBER void clear() {
    PACBENCH_UNROLL
    for (int i = 0; i < V; i++) part[i] = Unit{};
  }
};

// Calls work.run<Unit, V>(first) for the chunks that make up a row: one scalar, or vectors.
template <class Work> PACBENCH_INLINE void for_each_chunk(Index row, const Work &work) {
  if (row == 1) {
    work.template run<Scalar, 1>(0);
    return;
  }
  for (Index first = 0; first < row;) {
    const Index vectors = (row - first) / LANES;
    if (vectors >= MOST_CHUNK) work.template run<Vector, MOST_CHUNK>(first), first += MOST_CHUNK * LANES;
    else if (vectors >= 4) work.template run<Vector, 4>(first), first += 4 * LANES;
    else if (vectors == 3) work.template run<Vector, 3>(first), first += 3 * LANES;
    else if (vectors == 2) work.template run<Vector, 2>(first), first += 2 * LANES;
    else work.template run<Vector, 1>(first), first += LANES;
  }
}

// Pixels [first, last) of a band into the sums of its points: sums[v] += b_v * scale * row. `rows` begins at pixel first.
template <int D> struct SplatPixels {
  const Lattice &lattice;
  const Scalar *rows, *scale;
  Scalar *sums; // of the band
  Index first, last, row;

  template <class Unit, int V> PACBENCH_INLINE_MEMBER void run(Index channel) const {
    const int d = D ? D : lattice.dimensions;
    for (Index p = first; p < last; p++) {
      const int32_t *vertex = lattice.vertices.at + p * (d + 1);
      const Scalar *weight = lattice.barycentric.at + p * (d + 1);
      const Scalar factor = scale ? scale[p] : 1;
      Chunk<Unit, V> value;
      if (rows) value.read(rows + (p - first) * row + channel);
      else { // ones
        PACBENCH_UNROLL
        for (int i = 0; i < V; i++) value.part[i] = Unit{} + 1;
      }
      PACBENCH_UNROLL
      for (int i = 0; i < V; i++) value.part[i] *= factor;
      for (int v = 0; v <= d; v++) {
        Scalar *target = sums + vertex[v] * row + channel;
        Chunk<Unit, V> sum;
        sum.read(target);
        PACBENCH_UNROLL
        for (int i = 0; i < V; i++) sum.part[i] += weight[v] * value.part[i];
        sum.write(target);
      }
    }
  }
};

static void splat_pixels(const Lattice &lattice, const Scalar *rows, const Scalar *scale, Scalar *sums, Index first, Index last, Index row) {
  PACBENCH_FOR_DIMENSIONS(lattice.dimensions, for_each_chunk(row, SplatPixels<D>{lattice, rows, scale, sums, first, last, row}))
}

// rows[p] = base[p] + weight * scale * sum over vertices of b_v * values; base null: 0. It may be `rows` itself.
template <int D> struct SlicePixels {
  const Lattice &lattice;
  const Scalar *values, *scale;
  Scalar weight;
  const int32_t *point_of; // of the band
  const Scalar *base;      // begins at pixel first
  Scalar *rows;            // likewise
  Index first, last, row;

  template <class Unit, int V> PACBENCH_INLINE_MEMBER void run(Index channel) const {
    const int d = D ? D : lattice.dimensions;
    for (Index p = first; p < last; p++) {
      const int32_t *vertex = lattice.vertices.at + p * (d + 1);
      const Scalar *barycentric = lattice.barycentric.at + p * (d + 1);
      const Scalar factor = scale ? scale[p] * weight : weight;
      Chunk<Unit, V> sum, before;
      sum.clear();
      for (int v = 0; v <= d; v++) sum.add(barycentric[v], values + (Index)point_of[vertex[v]] * row + channel);
      const Index place = (p - first) * row + channel;
      if (base) before.read(base + place);
      else before.clear();
      PACBENCH_UNROLL
      for (int i = 0; i < V; i++) before.part[i] += factor * sum.part[i];
      before.write(rows + place);
    }
  }
};

static void slice_pixels(const Lattice &lattice, const Scalar *values, const Scalar *scale, Scalar weight, const Band &band,
                         const Scalar *base, Scalar *rows, Index first, Index last, Index row) {
  const int32_t *point_of = lattice.point_of.at + band.base;
  PACBENCH_FOR_DIMENSIONS(lattice.dimensions,
                          for_each_chunk(row, SlicePixels<D>{lattice, values, scale, weight, point_of, base, rows, first, last, row}))
}

// Points [first, last): the sum of what the bands have for each.
struct JoinSums {
  const Lattice &lattice;
  const Scalar *sums;
  Scalar *values;
  Index first, last, row;

  template <class Unit, int V> PACBENCH_INLINE_MEMBER void run(Index channel) const {
    for (Index i = first; i < last; i++) {
      Chunk<Unit, V> sum;
      sum.clear();
      for (Index part = lattice.parts_begin.at[i]; part < lattice.parts_begin.at[i + 1]; part++) {
        if (part + 8 < lattice.band_points) __builtin_prefetch(sums + (Index)lattice.parts.at[part + 8] * row + channel);
        sum.add(1, sums + (Index)lattice.parts.at[part] * row + channel);
      }
      sum.write(values + i * row + channel);
    }
  }
};

static void join_sums(const Lattice &lattice, const Scalar *sums, Scalar *values, Index first, Index last, Index row) {
  for_each_chunk(row, JoinSums{lattice, sums, values, first, last, row});
}

// [1/2 1 1/2] along one axis.
struct BlurAxis {
  const int32_t *neighbours; // of the axis
  const Scalar *from;
  Scalar *to;
  Index first, last, points, row;

  template <class Unit, int V> PACBENCH_INLINE_MEMBER void run(Index channel) const {
    for (Index i = first; i < last; i++) {
      if (i + 6 < points) {
        const Scalar *soon[2] = {from + (Index)neighbours[2 * i + 12] * row + channel, from + (Index)neighbours[2 * i + 13] * row + channel};
        for (const Scalar *place : soon) {
          __builtin_prefetch(place);
          if (sizeof(Chunk<Unit, V>) > CACHE_LINE) __builtin_prefetch(place + CACHE_LINE / sizeof(Scalar));
        }
      }
      Chunk<Unit, V> value;
      value.read(from + i * row + channel);
      value.add((Scalar)0.5, from + (Index)neighbours[2 * i] * row + channel);
      value.add((Scalar)0.5, from + (Index)neighbours[2 * i + 1] * row + channel);
      value.write(to + i * row + channel);
    }
  }
};

static void blur_axis(const Lattice &lattice, int axis, const Scalar *from, Scalar *to, Index first, Index last, Index row) {
  const int32_t *neighbours = lattice.neighbours.at + (Index)axis * lattice.points * 2;
  for_each_chunk(row, BlurAxis{neighbours, from, to, first, last, lattice.points, row});
}

// Both buffers have a last row of zeros. The result is where it returns; reversed, it is the adjoint.
static Scalar *blur(const Lattice &lattice, Scalar *values, Scalar *other, bool reverse, Index row, Index threads) {
  const int axes = lattice.dimensions + 1;
  for (int axis = 0; axis < axes; axis++) {
    for_each_range(lattice.points, row, threads, [&](Index first, Index last) {
      blur_axis(lattice, reverse ? axes - 1 - axis : axis, values, other, first, last, row);
    });
    Scalar *const swapped = values;
    values = other;
    other = swapped;
  }
  return values;
}

PACBENCH_INLINE void clear_last_row(const Lattice &lattice, Scalar *values, Index row) {
  memset((void *)(values + lattice.points * row), 0, (size_t)row * sizeof(Scalar));
}

} // namespace PACBENCH_NAMESPACE
