// Building a lattice: bands of pixels enter their simplices into tables of their own, in parallel; the tables are joined
// in the order of the bands; neighbours are looked up in parallel. The bands depend on the number of pixels alone, so
// that a lattice, and every sum over it, has the same bits for any number of threads.
#pragma once
#include "lattice_embedding.hpp"
#include "threads.h"

namespace PACBENCH_NAMESPACE {

constexpr Index PIXELS_OF_BAND = 24576;
constexpr Index MOST_BANDS = 16;

// Pixels [first, last) and the lattice points that they touch, in the order of first touch.
struct Band {
  Index first = 0, last = 0;
  Index base = 0; // of its points among those of all bands
  Array<int32_t> keys;
  Array<uint32_t> hashes; // linear
  Table table;
  bool out_of_memory = false, out_of_range = false;

  Index points() const { return hashes.count; }
};

struct Lattice {
  int dimensions = 0;
  Index pixels = 0, points = 0, bands = 0, band_points = 0;
  Band band[MOST_BANDS];
  Array<int32_t> vertices;    // (pixels, d + 1): points of the pixel's band
  Array<Scalar> barycentric;  // (pixels, d + 1)
  Array<int32_t> point_of;    // (band_points): the point of the lattice that a band's point is
  Array<Index> parts_begin;   // (points + 1), into:
  Array<int32_t> parts;       // (band_points): the bands' points of each point of the lattice
  Array<int32_t> keys;        // (points, d)
  Array<uint32_t> hashes;     // linear
  Array<int32_t> neighbours;  // (d + 1, points, 2): one step along each axis and against it; `points` where there is none
  Table table;

  // What the filter of Krähenbühl & Koltun's code multiplies by (after Adams et al.).
  Scalar gain() const { return (Scalar)(1.0 / (1.0 + pow(2.0, -dimensions))); }
};

// Runs work(job) for jobs 0 to jobs - 1, whatever thread gets which.
template <class Work> void for_each_job(Index jobs, Index threads, const Work &work) {
  struct Context {
    const Work &work;
    Index jobs;
    int threads;
  } context = {work, jobs, (int)least((Index)pacbench_native_threads(threads), most((Index)1, jobs))};
  pacbench_native_parallel(
      context.threads,
      [](void *given, int thread) {
        const Context &c = *(const Context *)given;
        for (Index job = thread; job < c.jobs; job += c.threads) c.work(job);
      },
      &context);
}

constexpr Index WORTH_A_THREAD = 65536; // multiply-adds or so: a parallel region costs as much as some thousands

PACBENCH_INLINE Index ranges_of(Index count, Index cost, Index threads) {
  return most((Index)1, least(threads, count * cost / WORTH_A_THREAD));
}

// Runs work(first, last) over ranges of 0 to count - 1, one for each thread that is worth it: `cost` is of one of count.
template <class Work> void for_each_range(Index count, Index cost, Index threads, const Work &work) {
  const Index ranges = ranges_of(count, cost, threads);
  for_each_job(ranges, threads, [&](Index range) { work(count * range / ranges, count * (range + 1) / ranges); });
}

template <int D> static void enter_pixels(Lattice &lattice, Band &band, const Scalar *features) {
  const int d = D ? D : lattice.dimensions;
  const KeyHash hash(d);
  Embedding<D> embedding(d);
  if (!band.table.clear(2048)) {
    band.out_of_memory = true;
    return;
  }
  int32_t base[MOST_DIMENSIONS + 1] = {}, axis[MOST_DIMENSIONS + 1] = {}; // of the simplex before; axis: of each rank
  int32_t vertex[MOST_DIMENSIONS + 1] = {};
  bool known = false;
  for (Index block = band.first; block < band.last; block += PIXELS_AT_ONCE) {
    const int count = (int)least((Index)PIXELS_AT_ONCE, band.last - block);
    if (!embedding.embed(features, lattice.pixels, block, count)) {
      band.out_of_range = true;
      return;
    }
    for (int p = 0; p < count; p++) {
      Scalar sorted[MOST_DIMENSIONS + 1];
      int32_t sorted_axis[MOST_DIMENSIONS + 1];
      for (int i = 0; i <= d; i++) {
        const int rank = (int)embedding.rank[i][p];
        sorted[rank] = embedding.above[i][p];
        sorted_axis[rank] = i;
      }
      Scalar *weight = lattice.barycentric.at + (block + p) * (d + 1);
      weight[0] = 1 + sorted[d] - sorted[0];
      for (int r = 1; r <= d; r++) weight[r] = sorted[d - r] - sorted[d - r + 1];

      int32_t differs = !known;
      for (int i = 0; i <= d; i++) differs |= (base[i] ^ (int32_t)embedding.base[i][p]) | (axis[i] ^ sorted_axis[i]);
      if (differs) {
        int32_t key[MOST_DIMENSIONS + 1];
        for (int i = 0; i <= d; i++) {
          key[i] = base[i] = (int32_t)embedding.base[i][p];
          axis[i] = sorted_axis[i];
        }
        uint32_t linear = hash.of(key, d);
        for (int r = 0; r <= d; r++) {
          if (r) { // the vertex of remainder r: one step up everywhere, d steps down where the coordinate is smallest
            const int down = axis[d - r + 1];
            for (int i = 0; i <= d; i++) key[i] += 1;
            key[down] -= d + 1;
            linear += hash.of_ones - (uint32_t)(d + 1) * hash.factor[down];
          }
          const uint32_t spread = mixed(linear);
          Table::Slot *slot = band.table.find<D>(band.keys.at, d, key, spread);
          if (slot->index < 0) {
            const Index added = band.points();
            if (!band.hashes.resize(added + 1) || !band.keys.resize((added + 1) * d)) {
              band.out_of_memory = true;
              return;
            }
            memcpy(band.keys.at + added * d, key, (size_t)d * sizeof(int32_t));
            band.hashes.at[added] = linear;
            *slot = {spread, (int32_t)added};
            vertex[r] = (int32_t)added;
            if (band.table.is_full(added + 1)) {
              if (!band.table.clear(2 * added)) {
                band.out_of_memory = true;
                return;
              }
              for (Index i = 0; i <= added; i++) band.table.enter(mixed(band.hashes.at[i]), (int32_t)i);
            }
          } else {
            vertex[r] = slot->index;
          }
        }
        known = true;
      }
      memcpy(lattice.vertices.at + (block + p) * (d + 1), vertex, (size_t)(d + 1) * sizeof(int32_t));
    }
  }
}

// The points of the lattice, from those of the bands in their order.
template <int D> static bool join_bands(Lattice &lattice) {
  const int d = D ? D : lattice.dimensions;
  for (Index b = 0; b < lattice.bands; b++) {
    lattice.band[b].base = lattice.band_points;
    lattice.band_points += lattice.band[b].points();
  }
  if (lattice.band_points >= INT32_MAX || !lattice.table.clear(lattice.band_points) || !lattice.point_of.resize(lattice.band_points) ||
      !lattice.keys.resize(lattice.band_points * d) || !lattice.hashes.resize(lattice.band_points) ||
      !lattice.parts.resize(lattice.band_points))
    return false;
  for (Index b = 0; b < lattice.bands; b++) {
    const Band &band = lattice.band[b];
    const Index count = band.points();
    for (Index i = 0; i < count; i++) {
      if (i + 8 < count) lattice.table.prefetch(mixed(band.hashes.at[i + 8]));
      const int32_t *key = band.keys.at + i * d;
      const uint32_t spread = mixed(band.hashes.at[i]);
      Table::Slot *slot = lattice.table.find<D>(lattice.keys.at, d, key, spread);
      if (slot->index < 0) {
        *slot = {spread, (int32_t)lattice.points};
        memcpy(lattice.keys.at + lattice.points * d, key, (size_t)d * sizeof(int32_t));
        lattice.hashes.at[lattice.points++] = band.hashes.at[i];
      }
      lattice.point_of.at[band.base + i] = slot->index;
    }
  }
  if (!lattice.parts_begin.resize(lattice.points + 2)) return false;
  Index *begin = lattice.parts_begin.at; // shifted by one while it is filled
  memset(begin, 0, (size_t)(lattice.points + 2) * sizeof(Index));
  for (Index i = 0; i < lattice.band_points; i++) begin[lattice.point_of.at[i] + 2]++;
  for (Index i = 2; i < lattice.points + 2; i++) begin[i] += begin[i - 1];
  for (Index i = 0; i < lattice.band_points; i++) lattice.parts.at[begin[lattice.point_of.at[i] + 1]++] = (int32_t)i;
  return true;
}

constexpr Index COST_OF_LOOK_UP = 64; // beside that of a multiply-add

// A step along axis j adds d to coordinate j and takes 1 from all others. One look-up serves a point and its neighbour.
template <int D> static bool find_neighbours(Lattice &lattice, Index threads) {
  const int d = D ? D : lattice.dimensions;
  const Index points = lattice.points;
  if (!lattice.neighbours.resize((d + 1) * points * 2)) return false;
  for_each_range((d + 1) * points * 2, 1, threads, [&](Index first, Index last) {
    for (Index i = first; i < last; i++) lattice.neighbours.at[i] = (int32_t)points;
  });
  const KeyHash hash(d);
  for_each_range(points, (d + 1) * COST_OF_LOOK_UP, threads, [&](Index first, Index last) {
    for (Index i = first; i < last; i++) {
      int32_t key[MOST_DIMENSIONS + 1];
      memcpy(key, lattice.keys.at + i * d, (size_t)d * sizeof(int32_t));
      for (int c = 0; c < d; c++) key[c] -= 1;
      key[d] = 0;
      const uint32_t linear = lattice.hashes.at[i] - hash.of_ones;
      uint32_t spread[MOST_DIMENSIONS + 1];
      for (int j = 0; j <= d; j++) lattice.table.prefetch(spread[j] = mixed(linear + (uint32_t)(d + 1) * hash.factor[j]));
      for (int j = 0; j <= d; j++) {
        key[j] += d + 1;
        const int32_t found = lattice.table.find<D>(lattice.keys.at, d, key, spread[j])->index;
        key[j] -= d + 1;
        if (found < 0) continue;
        lattice.neighbours.at[(j * points + i) * 2] = found;
        lattice.neighbours.at[(j * points + found) * 2 + 1] = (int32_t)i;
      }
    }
  });
  return true;
}

enum class Built { WELL, OUT_OF_MEMORY, OUT_OF_RANGE };

static Built build_lattice(Lattice &lattice, const Scalar *features, Index dimensions, Index pixels, Index threads) {
  lattice.dimensions = (int)dimensions;
  lattice.pixels = pixels;
  lattice.bands = most((Index)1, least(MOST_BANDS, ceil_div(pixels, PIXELS_OF_BAND)));
  if (!lattice.vertices.resize(pixels * (dimensions + 1)) || !lattice.barycentric.resize(pixels * (dimensions + 1)))
    return Built::OUT_OF_MEMORY;
  for (Index b = 0; b < lattice.bands; b++) {
    lattice.band[b].first = pixels * b / lattice.bands;
    lattice.band[b].last = pixels * (b + 1) / lattice.bands;
  }
  for_each_job(lattice.bands, threads, [&](Index b) {
    PACBENCH_FOR_DIMENSIONS(dimensions, enter_pixels<D>(lattice, lattice.band[b], features))
  });
  for (Index b = 0; b < lattice.bands; b++) {
    if (lattice.band[b].out_of_range) return Built::OUT_OF_RANGE;
    if (lattice.band[b].out_of_memory) return Built::OUT_OF_MEMORY;
  }
  bool done = false;
  PACBENCH_FOR_DIMENSIONS(dimensions, done = join_bands<D>(lattice) && find_neighbours<D>(lattice, threads))
  return done ? Built::WELL : Built::OUT_OF_MEMORY;
}

} // namespace PACBENCH_NAMESPACE
