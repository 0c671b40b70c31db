// Forward pass of pooling and of convolutions with one filter for all channels: each channel for itself.
//
// Blocks of CHANNELS_OF_BLOCK channels x LINES_OF_BLOCK output rows x one vector: an input vector is loaded once for all
// the rows that it serves.
#pragma once
#include "guide_gradient.hpp"
#include "threads.h"

namespace PACBENCH_NAMESPACE {

constexpr Index KERNEL_BYTES = 24 * 1024;

struct PoolingForward {
  const Geometry *geometry;
  int threads;
  Workspace of_threads;
  Index bytes_of_thread;

  explicit PoolingForward(const Geometry &g) : geometry(&g) {}
  void lay_out(Workspace &) {}
};

// Output rows of a class that one block computes: only where neighbouring rows meet the same input rows.
PACBENCH_INLINE Index lines_of_pooling(const PacCall &call) {
  const Index common = greatest_common_divisor(call.stride_height, call.dilation_height);
  return !call.transposed && call.stride_height == common ? LINES_OF_BLOCK : 1;
}

// K times the shared filter.
template <int V> PACBENCH_INLINE void weigh(const PacCall &call, const Tile &tile, Scalar *values) {
  if (!call.weight) return;
  for (Index t = 0; t < tile.tap_count; t++) {
    const Scalar factor = ((const Scalar *)call.weight)[tile.taps[t]->position];
    PACBENCH_UNROLL
    for (int v = 0; v < V; v++) store(values + t * TILE + v * LANES, load(values + t * TILE + v * LANES) * factor);
  }
}

struct PoolingForwardThread {
  const PoolingForward *job;
  Feed input, guide;
  KernelTile kernels[LINES_OF_BLOCK];
  const Tap **taps;
  Prefetches prefetches;
  Index prefetches_at_once;

  PoolingForwardThread(const PoolingForward &of, Workspace &workspace) : job(&of) {
    const Geometry &g = *of.geometry;
    input.lay_out(g.input, g.call->input, false, workspace);
    guide.lay_out(g.guide, g.call->guide, false, workspace);
    for (KernelTile &kernel : kernels) kernel.lay_out(g, workspace);
    taps = workspace.take<const Tap *>(g.taps);
    prefetches.lay_out(workspace);
    prefetches_at_once = 0;
  }

  Tile tile_of(const Line &line, const Phase &phase, Index x0, Index width) const {
    Tile tile = tile_at(*job->geometry, line, phase, x0, width, taps);
    tile.tap_count = phase.count;
    return tile;
  }

  // One vector of outputs of CHANNELS channels, `step` apart in `sums`.
  template <int CHANNELS, int STEP>
  PACBENCH_INLINE_MEMBER void write(const Tile &tile, Index channel, const Vector *sums) const {
    const Geometry &g = *job->geometry;
    const PacCall &call = *g.call;
    const Index plane = call.out_height * call.out_width, step = g.step_column, count = tile.count;
    const Scalar *bias = call.bias ? (const Scalar *)call.bias + channel : nullptr;
    Scalar *to = (Scalar *)call.output + (tile.line->image * call.out_channels + channel) * plane +
                 tile.row * call.out_width + tile.column(g, 0);
    const bool whole = count == LANES && step == 1;
    PACBENCH_UNROLL
    for (int c = 0; c < CHANNELS; c++) {
      const Vector sum = bias ? sums[c * STEP] + bias[c] : sums[c * STEP];
      if (whole) {
        store(to + c * plane, sum);
      } else {
        Scalar lanes[LANES];
        store(lanes, sum);
        scatter(to + c * plane, lanes, step, count);
      }
    }
  }

  // Ring row `j` of the block's first line serves its lines FROM to TO.
  template <int CHANNELS, int FROM, int TO>
  PACBENCH_INLINE_MEMBER void add_row(Vector (&sums)[CHANNELS][LINES_OF_BLOCK], const Scalar *row, Index j, const Phase &phase,
                                      Index x0, Index lane) const {
    const Geometry &g = *job->geometry;
    const Index kw = g.call->kernel_width, channel_size = g.input.channel_size();
    for (Index kx = 0; kx < kw; kx++) {
      const Scalar *in = row + phase.taps[kx].input.element + x0 + lane;
      Vector scale[LINES_OF_BLOCK];
      PACBENCH_UNROLL
      for (int q = FROM; q <= TO; q++) scale[q] = load(kernels[q].values + ((j - q) * kw + kx) * TILE + lane);
      PACBENCH_UNROLL
      for (int c = 0; c < CHANNELS; c++) {
        Vector value = load(in + c * channel_size);
        keep(value);
        PACBENCH_UNROLL
        for (int q = FROM; q <= TO; q++) sums[c][q] += value * scale[q];
      }
    }
  }

  // CHANNELS channels from `channel` of `count` lines that follow one another in a class: one vector of outputs, at `lane`
  // of the tile at x0.
  template <int CHANNELS>
  void pool_lines(const Line *lines, Index count, const Phase &phase, Index x0, Index lane, Index channel) {
    const Geometry &g = *job->geometry;
    const Index kh = g.call->kernel_height;
    Vector sums[CHANNELS][LINES_OF_BLOCK];
    PACBENCH_UNROLL
    for (int c = 0; c < CHANNELS; c++) {
      PACBENCH_UNROLL
      for (int q = 0; q < LINES_OF_BLOCK; q++) sums[c][q] = Vector{};
    }
    const auto row_at = [&](Index j) {
      prefetches.fetch(prefetches_at_once);
      return input.ring.at(lines[0].input_row + j) + channel * g.input.channel_size();
    };
    if (count == LINES_OF_BLOCK && kh >= LINES_OF_BLOCK) { // without branches, so that the sums stay in registers
      add_row<CHANNELS, 0, 0>(sums, row_at(0), 0, phase, x0, lane);
      add_row<CHANNELS, 0, 1>(sums, row_at(1), 1, phase, x0, lane);
      for (Index j = 2; j < kh; j++) add_row<CHANNELS, 0, 2>(sums, row_at(j), j, phase, x0, lane);
      add_row<CHANNELS, 1, 2>(sums, row_at(kh), kh, phase, x0, lane);
      add_row<CHANNELS, 2, 2>(sums, row_at(kh + 1), kh + 1, phase, x0, lane);
      write_lines<CHANNELS>(lines, count, phase, x0 + lane, channel, sums);
      return;
    }
    for (Index j = 0; j < kh + count - 1; j++) {
      const Scalar *row = row_at(j);
      const Index from = most((Index)0, j - kh + 1), to = least(count - 1, j);
      switch (from * LINES_OF_BLOCK + to) {
      case 0: add_row<CHANNELS, 0, 0>(sums, row, j, phase, x0, lane); break;
      case 1: add_row<CHANNELS, 0, 1>(sums, row, j, phase, x0, lane); break;
      case 2: add_row<CHANNELS, 0, 2>(sums, row, j, phase, x0, lane); break;
      case 4: add_row<CHANNELS, 1, 1>(sums, row, j, phase, x0, lane); break;
      case 5: add_row<CHANNELS, 1, 2>(sums, row, j, phase, x0, lane); break;
      default: add_row<CHANNELS, 2, 2>(sums, row, j, phase, x0, lane);
      }
    }
    write_lines<CHANNELS>(lines, count, phase, x0 + lane, channel, sums);
  }

  template <int CHANNELS>
  PACBENCH_INLINE_MEMBER void write_lines(const Line *lines, Index count, const Phase &phase, Index x0, Index channel,
                                          const Vector (&sums)[CHANNELS][LINES_OF_BLOCK]) const {
    PACBENCH_UNROLL
    for (int q = 0; q < LINES_OF_BLOCK; q++) {
      if (q >= count) break;
      const Tile tile = tile_of(lines[q], phase, x0, LANES);
      write<CHANNELS, LINES_OF_BLOCK>(tile, channel, &sums[0][q]);
    }
  }

  // Any phase of one line: the list of taps with their rows.
  template <int CHANNELS> void pool_phase(const Tile &tile, Index lane, Index channel) const {
    const Geometry &g = *job->geometry;
    const Index channel_size = g.input.channel_size();
    Vector sums[CHANNELS];
    PACBENCH_UNROLL
    for (int c = 0; c < CHANNELS; c++) sums[c] = Vector{};
    for (Index t = 0; t < tile.tap_count; t++) {
      const Tap &tap = *tile.taps[t];
      const Scalar *in = input.ring.at(tile.line->input_row + tap.row) + tap.input.element + tile.x0 + lane + channel * channel_size;
      const Vector scale = load(kernels[0].values + t * TILE + lane);
      PACBENCH_UNROLL
      for (int c = 0; c < CHANNELS; c++) sums[c] += load(in + c * channel_size) * scale;
    }
    const Tile part = tile_of(*tile.line, *tile.phase, tile.x0 + lane, LANES);
    write<CHANNELS, 1>(part, channel, sums);
  }

  // `count` lines at V vectors of pixels.
  template <int V> void compute(const Line *lines, Index count, const Phase &phase, Index x0) {
    const Geometry &g = *job->geometry;
    const PacCall &call = *g.call;
    for (Index t = 0; t < phase.count; t++) taps[t] = phase.taps + t;
    const bool channel_wise = call.kernel_channels > 1;
    for (Index c = 0; c < call.in_channels;) {
      if (c == 0 || channel_wise)
        for (Index q = 0; q < count; q++) {
          const Tile tile = tile_of(lines[q], phase, x0, V * LANES);
          prefetches.fetch(prefetches_at_once);
          compute_kernel<V>(g, tile, guide.ring, kernels[q], channel_wise ? c : -1);
          weigh<V>(call, tile, kernels[q].values);
        }
      const bool block = !channel_wise && c + CHANNELS_OF_BLOCK <= call.in_channels;
      const Tile tile = tile_of(lines[0], phase, x0, V * LANES);
      for (Index lane = 0; lane < tile.count; lane += LANES) {
        if (call.transposed) { // taps of a phase are no grid
          if (block) pool_phase<CHANNELS_OF_BLOCK>(tile, lane, c);
          else pool_phase<1>(tile, lane, c);
        } else {
          if (block) pool_lines<CHANNELS_OF_BLOCK>(lines, count, phase, x0, lane, c);
          else pool_lines<1>(lines, count, phase, x0, lane, c);
        }
      }
      c += block ? CHANNELS_OF_BLOCK : 1;
    }
  }

  // What this block writes and what the next lines read.
  void announce(const Line *lines, Index count, Index at, Index next, Index all) {
    const Geometry &g = *job->geometry;
    const PacCall &call = *g.call;
    const Index x0 = at * LANES;
    prefetches.clear();
    for (Index q = 0; q < count; q++)
      for (Index c = 0; c < call.out_channels; c++) {
        const Index plane = (lines[q].image * call.out_channels + c) * call.out_height + lines[q].row;
        prefetches.add((const Scalar *)call.output + plane * call.out_width + x0, least((next - at) * LANES, call.out_width - x0));
      }
    input.announce(lines[0], count * g.advance, at, next, all, prefetches);
    guide.announce(lines[0], count * g.guide_advance, at, next, all, prefetches);
    const Index blocks = ceil_div(call.in_channels, CHANNELS_OF_BLOCK) * (next - at);
    prefetches_at_once = ceil_div(prefetches.lines, blocks * (call.kernel_height + count - 1));
  }

  void run(const Share &share) {
    const Geometry &g = *job->geometry;
    const Index at_once = lines_of_pooling(*g.call), vectors = ceil_div(g.columns, LANES);
    // The kernels of a block's lines stay in L1.
    const Index widest = most((Index)1, KERNEL_BYTES / (at_once * g.taps * VECTOR_BYTES));
    for (Index position = share.begin, count; position < share.end; position += count) {
      Line lines[LINES_OF_BLOCK];
      lines[0] = line_at(g, position, position == share.begin);
      const Index of_class = g.lines_of_class(lines[0].row_class) - lines[0].rank;
      count = least(at_once, least(of_class, share.end - position));
      for (Index q = 1; q < count; q++) lines[q] = line_at(g, position + q, false);
      input.fill(lines[0], lines[0].input_row, g.input.ring_rows);
      guide.fill(lines[0], lines[0].guide_row, g.guide.ring_rows);
      for (Index i = 0; i < g.phase_count; i++) {
        const Phase &phase = g.phases[i];
        if (lines[0].row * g.step_row + phase.row >= g.call->out_height) break;
        for (Index at = 0; at * LANES * g.step_column + phase.column < g.call->out_width;) {
          const Index now = least(vectors_of_tile(at, vectors), widest);
          if (!g.call->transposed) announce(lines, count, at, at + now, vectors);
          PACBENCH_FOR_VECTORS(now, compute<V>(lines, count, phase, at * LANES));
          at += now;
        }
      }
    }
  }
};

static void pool_forward(void *context, int thread) {
  const PoolingForward &job = *(const PoolingForward *)context;
  Workspace workspace = job.of_threads;
  workspace.block += thread * job.bytes_of_thread;
  PoolingForwardThread(job, workspace).run(Share(*job.geometry, thread, job.threads));
}

} // namespace PACBENCH_NAMESPACE
