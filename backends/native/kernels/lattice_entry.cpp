// The lattice's entry points of one instruction set and one scalar type.
#include "lattice.h"
#include "lattice_convolve.hpp"
#include "lattice_mean_field.hpp"
#include "workspace.hpp"

#include <new>
#include <stdio.h>

#define PACBENCH_ENTRY_(what, scalar, isa) pacbench_native_lattice_##what##_##scalar##_##isa
#define PACBENCH_ENTRY__(what, scalar, isa) PACBENCH_ENTRY_(what, scalar, isa)
#define PACBENCH_ENTRY(what) PACBENCH_ENTRY__(what, PACBENCH_SCALAR, PACBENCH_ISA)
#define PACBENCH_EXPORT extern "C" __attribute__((visibility("default")))
#define PACBENCH_LATTICE_ENTRY(what) PACBENCH_EXPORT int PACBENCH_ENTRY(what)(LatticeCall * call, char *error, int64_t error_size)

namespace PACBENCH_NAMESPACE {

static int failed(const char *why, char *error, int64_t error_size) {
  snprintf(error, (size_t)error_size, "%s", why);
  return 1;
}
static int out_of_memory(char *error, int64_t error_size) { return failed("no memory for the permutohedral lattice", error, error_size); }

static const Lattice &lattice_of(const LatticeCall *call) { return *(const Lattice *)call->lattice; }

// Splat into values of points + 1 rows; input null: ones.
static bool splat(const LatticeCall &call, const Scalar *input, Scalar *values, Index row) {
  const Lattice &lattice = lattice_of(&call);
  Array<Scalar> sums;
  if (!sums.resize(lattice.band_points * row)) return false;
  for_each_job(lattice.bands, call.threads, [&](Index b) {
    const Band &band = lattice.band[b];
    Scalar *of_band = sums.at + band.base * row;
    memset((void *)of_band, 0, (size_t)(band.points() * row) * sizeof(Scalar));
    splat_pixels(lattice, input ? input + band.first * row : nullptr, (const Scalar *)call.scale, of_band, band.first, band.last, row);
  });
  for_each_range(lattice.points, row, call.threads,
                 [&](Index first, Index last) { join_sums(lattice, sums.at, values, first, last, row); });
  clear_last_row(lattice, values, row);
  return true;
}

static void slice(const LatticeCall &call, const Scalar *values, Scalar weight, Scalar *output, Index row) {
  const Lattice &lattice = lattice_of(&call);
  for_each_job(lattice.bands, call.threads, [&](Index b) {
    const Band &band = lattice.band[b];
    slice_pixels(lattice, values, (const Scalar *)call.scale, weight, band, nullptr, output + band.first * row, band.first, band.last,
                 row);
  });
}

} // namespace PACBENCH_NAMESPACE

using namespace PACBENCH_NAMESPACE;

PACBENCH_EXPORT int64_t PACBENCH_ENTRY(lanes)(void) { return LANES; }

PACBENCH_LATTICE_ENTRY(build) {
  void *block = malloc(sizeof(Lattice));
  if (!block) return out_of_memory(error, error_size);
  Lattice *lattice = new (block) Lattice();
  const Built built = build_lattice(*lattice, (const Scalar *)call->features, call->dimensions, call->pixels, call->threads);
  if (built == Built::WELL) {
    call->lattice = lattice;
    call->points = lattice->points;
    return 0;
  }
  lattice->~Lattice();
  free(block);
  if (built == Built::OUT_OF_MEMORY) return out_of_memory(error, error_size);
  return failed("got features that are not finite, or more than a million standard deviations from 0", error, error_size);
}

PACBENCH_LATTICE_ENTRY(free) {
  (void)error, (void)error_size;
  Lattice *lattice = (Lattice *)call->lattice;
  lattice->~Lattice();
  free(lattice);
  return 0;
}

PACBENCH_LATTICE_ENTRY(describe) {
  (void)error, (void)error_size;
  const Lattice &lattice = lattice_of(call);
  const Index corners = lattice.dimensions + 1;
  memcpy(call->keys, lattice.keys.at, (size_t)(lattice.points * lattice.dimensions) * sizeof(int32_t));
  memcpy(call->barycentric, lattice.barycentric.at, (size_t)(lattice.pixels * corners) * sizeof(Scalar));
  for (Index b = 0; b < lattice.bands; b++)
    for (Index i = lattice.band[b].first * corners; i < lattice.band[b].last * corners; i++)
      call->vertices[i] = lattice.point_of.at[lattice.band[b].base + lattice.vertices.at[i]];
  return 0;
}

// 1 / sqrt(what ones become): symmetric normalisation, as in Krähenbühl & Koltun's code.
PACBENCH_LATTICE_ENTRY(normalisation) {
  const Lattice &lattice = lattice_of(call);
  Array<Scalar> values, other;
  if (!values.resize(lattice.points + 1) || !other.resize(lattice.points + 1)) return out_of_memory(error, error_size);
  call->scale = nullptr;
  if (!splat(*call, nullptr, values.at, 1)) return out_of_memory(error, error_size);
  clear_last_row(lattice, other.at, 1);
  Scalar *output = (Scalar *)call->output;
  slice(*call, blur(lattice, values.at, other.at, false, 1, call->threads), lattice.gain(), output, 1);
  for_each_range(lattice.pixels, 4, call->threads, [&](Index first, Index last) {
    for (Index p = first; p < last; p++) output[p] = 1 / (Scalar)sqrt(output[p] + (Scalar)1e-20);
  });
  return 0;
}

PACBENCH_LATTICE_ENTRY(splat) {
  if (!splat(*call, (const Scalar *)call->input, (Scalar *)call->output, call->row)) return out_of_memory(error, error_size);
  return 0;
}

PACBENCH_LATTICE_ENTRY(blur) {
  const Lattice &lattice = lattice_of(call);
  const Index row = call->row, size = (lattice.points + 1) * row;
  Array<Scalar> other;
  if (!other.resize(size)) return out_of_memory(error, error_size);
  Scalar *values = (Scalar *)call->output;
  clear_last_row(lattice, other.at, row);
  clear_last_row(lattice, values, row);
  const Scalar *blurred = blur(lattice, values, other.at, call->reverse != 0, row, call->threads);
  const Scalar gain = lattice.gain();
  for_each_range(size, 1, call->threads, [&](Index first, Index last) {
    for (Index i = first; i < last; i++) values[i] = gain * blurred[i];
  });
  return 0;
}

PACBENCH_LATTICE_ENTRY(slice) {
  (void)error, (void)error_size;
  slice(*call, (const Scalar *)call->input, 1, (Scalar *)call->output, call->row);
  return 0;
}

PACBENCH_LATTICE_ENTRY(neighbours) {
  (void)error, (void)error_size;
  const Lattice &lattice = lattice_of(call);
  PACBENCH_FOR_DIMENSIONS(lattice.dimensions, look_up<D>(lattice, call->offsets, call->taps, call->table, call->threads))
  return 0;
}

PACBENCH_LATTICE_ENTRY(convolve) {
  (void)error, (void)error_size;
  const Lattice &lattice = lattice_of(call);
  Scalar *output = (Scalar *)call->output;
  for_each_range(lattice.points, call->row * call->taps, call->threads, [&](Index first, Index last) {
    for_each_chunk(call->row, ConvolvePoints{(const Scalar *)call->input, (const Scalar *)call->weight, call->table, output, call->taps,
                                             call->row, first, last});
  });
  clear_last_row(lattice, output, call->row);
  return 0;
}

PACBENCH_LATTICE_ENTRY(weight_gradient) {
  (void)error, (void)error_size;
  const Lattice &lattice = lattice_of(call);
  for_each_job(call->taps, call->threads, [&](Index tap) {
    for_each_chunk(call->row, WeightGradient{(const Scalar *)call->input, (const Scalar *)call->gradient, call->table,
                                             (Scalar *)call->output, lattice.points, call->taps, call->row, tap, tap + 1});
  });
  return 0;
}

PACBENCH_LATTICE_ENTRY(mean_field) {
  MeanField job(*call);
  Workspace counting;
  job.lay_out(counting);
  Workspace workspace;
  workspace.block = (char *)pacbench_native_scratch(counting.used);
  if (!workspace.block) return out_of_memory(error, error_size);
  job.lay_out(workspace);
  job.run();
  pacbench_native_release_scratch();
  return 0;
}
