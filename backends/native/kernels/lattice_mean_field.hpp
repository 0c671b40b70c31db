// Mean field in a fully connected CRF (Krähenbühl & Koltun, NIPS 2011), fused: what is sliced from the lattices becomes
// logits, then beliefs, then sums on the lattices again, while a block of pixels is in the cache.
#pragma once
#include "lattice.h"
#include "lattice_rows.hpp"

namespace PACBENCH_NAMESPACE {

constexpr Index BLOCK = 32; // pixels, a multiple of LANES
constexpr Index MOST_KERNELS = 8;

struct MeanField {
  const LatticeCall &call;
  const Lattice *lattice[MOST_KERNELS] = {};
  Scalar *sums[MOST_KERNELS] = {}, *values[MOST_KERNELS] = {}, *other[MOST_KERNELS] = {};
  Scalar *base = nullptr;     // (pixels, row): the weighted unary
  Scalar *messages = nullptr; // (bands, BLOCK, row)
  Scalar *rows = nullptr;     // (bands, BLOCK, row)

  explicit MeanField(const LatticeCall &given) : call(given) {
    for (Index k = 0; k < call.kernels; k++) lattice[k] = (const Lattice *)call.lattices[k];
  }

  // Lays memory out twice: once to count, once in a block.
  template <class Workspace> void lay_out(Workspace &workspace) {
    const Index row = call.row;
    for (Index k = 0; k < call.kernels; k++) {
      sums[k] = workspace.template take<Scalar>(lattice[k]->band_points * row);
      values[k] = workspace.template take<Scalar>((lattice[k]->points + 1) * row);
      other[k] = workspace.template take<Scalar>((lattice[k]->points + 1) * row);
    }
    base = workspace.template take<Scalar>(call.pixels * row);
    messages = workspace.template take<Scalar>(MOST_BANDS * BLOCK * row);
    rows = workspace.template take<Scalar>(MOST_BANDS * BLOCK * row);
  }

  // Rows of `count` pixels from a tensor (classes, pixels); beyond the classes, logits that no softmax sees.
  void read_unary(Scalar *target, Index first, Index count) const {
    const Scalar *unary = (const Scalar *)call.input + first, weight = (Scalar)call.unary_weight;
    const Scalar absent = sizeof(Scalar) == 4 ? (Scalar)-1e30 : (Scalar)-1e300;
    Index c = 0;
    if (count == BLOCK)
      for (; c + LANES <= call.classes; c += LANES)
        for (Index p = 0; p < BLOCK; p += LANES) transpose(target + p * call.row + c, call.row, unary + c * call.pixels + p, call.pixels);
    for (; c < call.classes; c++)
      for (Index p = 0; p < count; p++) target[p * call.row + c] = unary[c * call.pixels + p];
    for (Index p = 0; p < count; p++) {
      for (Index i = 0; i < call.row; i += LANES) store(target + p * call.row + i, load(target + p * call.row + i) * weight);
      for (Index i = call.classes; i < call.row; i++) target[p * call.row + i] = absent; // whatever the weight's sign is
    }
  }

  void write_output(const Scalar *source, Index first, Index count) const {
    Scalar *output = (Scalar *)call.output + first;
    Index c = 0;
    if (count == BLOCK)
      for (; c + LANES <= call.classes; c += LANES)
        for (Index p = 0; p < BLOCK; p += LANES) transpose(output + c * call.pixels + p, call.pixels, source + p * call.row + c, call.row);
    for (; c < call.classes; c++)
      for (Index p = 0; p < count; p++) output[c * call.pixels + p] = source[p * call.row + c];
  }

  // Each lane's value of the lane whose number differs in the bits of `step`.
  static PACBENCH_INLINE_MEMBER Vector of_lanes_at(Vector v, int step) {
    Lanes from;
    PACBENCH_UNROLL
    for (int i = 0; i < LANES; i++) from[i] = i ^ step;
    return __builtin_shuffle(v, from);
  }

  static PACBENCH_INLINE_MEMBER void softmax(Scalar *values_of_row, Index row) {
    Vector highest = load(values_of_row), sum = {};
    for (Index i = LANES; i < row; i += LANES) highest = larger(highest, load(values_of_row + i));
    PACBENCH_UNROLL
    for (int step = 1; step < LANES; step *= 2) highest = larger(highest, of_lanes_at(highest, step));
    for (Index i = 0; i < row; i += LANES) {
      const Vector value = exp_of_nonpositive(load(values_of_row + i) - highest);
      store(values_of_row + i, value);
      sum += value;
    }
    PACBENCH_UNROLL
    for (int step = 1; step < LANES; step *= 2) sum += of_lanes_at(sum, step);
    const Vector inverse = 1 / sum;
    for (Index i = 0; i < row; i += LANES) store(values_of_row + i, load(values_of_row + i) * inverse);
  }

  static void softmax_rows(Scalar *values, Index count, Index row) {
    if (row == 3 * LANES) // 17 to 24 classes in single precision with AVX2
      for (Index p = 0; p < count; p++) softmax(values + p * 3 * LANES, 3 * LANES);
    else
      for (Index p = 0; p < count; p++) softmax(values + p * row, row);
  }

  // logits -= sum over l' of mu(l, l') message(l')
  void subtract_compatible(Scalar *logits, const Scalar *message) const {
    const Scalar *compatibility = (const Scalar *)call.compatibility;
    for (Index other_class = 0; other_class < call.classes; other_class++)
      for (Index i = 0; i < call.row; i += LANES)
        store(logits + i, load(logits + i) - message[other_class] * load(compatibility + other_class * call.row + i));
  }

  // What a band does between two filterings: step 0 has no message yet; after the last there is none to send.
  void work(Index step, Index b) const {
    const Band &place = call.kernels ? lattice[0]->band[b] : whole;
    const bool last = step == call.steps;
    const Index row = call.row;
    Scalar *block = rows + b * BLOCK * row, *message = messages + b * BLOCK * row;
    if (!last)
      for (Index k = 0; k < call.kernels; k++) {
        const Band &band = lattice[k]->band[b];
        memset((void *)(sums[k] + band.base * row), 0, (size_t)(band.points() * row) * sizeof(Scalar));
      }
    for (Index first = place.first; first < place.last; first += BLOCK) {
      const Index count = least(BLOCK, place.last - first), end = first + count;
      if (step == 0) read_unary(base + first * row, first, count);
      if (step > 0) receive(b, first, count, block, message);
      if (step == 0 || call.kernels == 0) memcpy(block, base + first * row, (size_t)(count * row) * sizeof(Scalar));
      if (last && !call.softmax) {
        write_output(block, first, count);
        continue;
      }
      softmax_rows(block, count, row);
      if (last) {
        write_output(block, first, count);
        continue;
      }
      if (call.beliefs)
        memcpy((Scalar *)call.beliefs + (step * call.pixels + first) * row, block, (size_t)(count * row) * sizeof(Scalar));
      for (Index k = 0; k < call.kernels; k++)
        splat_pixels(*lattice[k], block, (const Scalar *)call.scales[k], sums[k] + lattice[k]->band[b].base * row, first, end, row);
    }
  }

  void receive(Index b, Index first, Index count, Scalar *block, Scalar *message) const {
    const bool potts = !call.compatibility;
    const Scalar *const unary = base + first * call.row;
    Scalar *const target = potts ? block : message;
    for (Index k = 0; k < call.kernels; k++) {
      const Scalar weight = (Scalar)call.kernel_weights[k] * lattice[k]->gain();
      const Scalar *const before = k ? target : potts ? unary : nullptr;
      slice_pixels(*lattice[k], values[k], (const Scalar *)call.scales[k], weight, lattice[k]->band[b], before, target, first,
                   first + count, call.row);
    }
    if (potts || !call.kernels) return;
    memcpy(block, unary, (size_t)(count * call.row) * sizeof(Scalar));
    for (Index p = 0; p < count; p++) subtract_compatible(block + p * call.row, message + p * call.row);
  }

  // Runs work(k, first, last) over ranges of the points of all lattices, in one parallel region.
  template <class Work> void for_all_points(const Work &work) const {
    Index end[MOST_KERNELS], jobs = 0;
    for (Index k = 0; k < call.kernels; k++) end[k] = jobs += ranges_of(lattice[k]->points, call.row, call.threads);
    for_each_job(jobs, call.threads, [&](Index job) {
      Index k = 0;
      while (job >= end[k]) k++;
      const Index begin = k ? end[k - 1] : 0, ranges = end[k] - begin, points = lattice[k]->points;
      work(k, points * (job - begin) / ranges, points * (job - begin + 1) / ranges);
    });
  }

  // What `blur` does, for all lattices at once: the axes that each has.
  void filter() {
    if (!call.kernels) return;
    for_all_points([&](Index k, Index first, Index last) { join_sums(*lattice[k], sums[k], values[k], first, last, call.row); });
    int axes = 0;
    for (Index k = 0; k < call.kernels; k++) axes = most(axes, lattice[k]->dimensions + 1);
    for (int axis = 0; axis < axes; axis++) {
      for_all_points([&](Index k, Index first, Index last) {
        if (axis <= lattice[k]->dimensions) blur_axis(*lattice[k], axis, values[k], other[k], first, last, call.row);
      });
      for (Index k = 0; k < call.kernels; k++) {
        if (axis > lattice[k]->dimensions) continue;
        Scalar *const blurred = other[k];
        other[k] = values[k];
        values[k] = blurred;
      }
    }
  }

  void run() {
    const Index bands = call.kernels ? lattice[0]->bands : 1;
    whole.last = call.pixels;
    for (Index k = 0; k < call.kernels; k++) {
      clear_last_row(*lattice[k], values[k], call.row);
      clear_last_row(*lattice[k], other[k], call.row);
    }
    for (Index step = 0; step <= call.steps; step++) {
      for_each_job(bands, call.threads, [&](Index b) { work(step, b); });
      if (step == call.steps) break;
      filter();
    }
  }

  Band whole; // all pixels, for a CRF without kernels
};

} // namespace PACBENCH_NAMESPACE
