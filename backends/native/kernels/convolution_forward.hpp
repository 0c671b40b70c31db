// Forward pass of (transposed) convolutions with a filter for each pair of channels.
#pragma once
#include "contraction.hpp"
#include "threads.h"

namespace PACBENCH_NAMESPACE {

// The filter of each phase, packed for multiply_columns: [block of outputs][tap of the phase][channel][row of the block].
struct PackedFilter {
  Scalar *packed;
  Index *starts; // of the phases

  void lay_out(const Geometry &g, Blocks blocks, Workspace &workspace) {
    packed = workspace.take<Scalar>(g.taps * g.call->in_channels * blocks.padded());
    starts = workspace.take<Index>(g.phase_count);
  }
  void pack(const Geometry &g, Blocks blocks) {
    const Filter filter(*g.call);
    Scalar *to = packed;
    for (Index i = 0; i < g.phase_count; i++) {
      starts[i] = to - packed;
      for (Index block = 0; block < blocks.count; block++)
        for (Index t = 0; t < g.phases[i].count; t++)
          for (Index c = 0; c < g.call->in_channels; c++)
            for (Index m = block * blocks.rows; m < (block + 1) * blocks.rows; m++)
              *to++ = m < g.call->out_channels ? filter.at(m, c, g.phases[i].taps[t].position) : 0;
    }
  }
};

struct ConvolutionForward {
  const Geometry *geometry;
  Blocks blocks;
  PackedFilter filter;
  int threads;
  Workspace of_threads; // laid out for thread 0, `bytes_of_thread` apart
  Index bytes_of_thread;

  explicit ConvolutionForward(const Geometry &g) : geometry(&g), blocks(g.call->out_channels) {}
  void lay_out(Workspace &workspace) { filter.lay_out(*geometry, blocks, workspace); }
};

struct ConvolutionForwardThread {
  const ConvolutionForward *job;
  Feed input, guide;
  KernelTile kernel;
  const Tap **taps;
  const Scalar **inputs, **filters;
  Scalar *columns;
  Scalar *sums; // [column phase][padded outputs][TILE]
  Index sums_size;
  Prefetches prefetches;
  Index prefetches_at_once;

  ConvolutionForwardThread(const ConvolutionForward &of, Workspace &workspace) : job(&of) {
    const Geometry &g = *of.geometry;
    input.lay_out(g.input, g.call->input, g.call->softmax, workspace);
    guide.lay_out(g.guide, g.call->guide, false, workspace);
    kernel.lay_out(g, workspace);
    taps = workspace.take<const Tap *>(g.taps);
    inputs = workspace.take<const Scalar *>(g.taps);
    filters = workspace.take<const Scalar *>(g.taps);
    columns = workspace.take<Scalar>(most(COLUMN_BYTES / (Index)sizeof(Scalar), g.call->in_channels * TILE));
    sums_size = of.blocks.padded() * TILE;
    sums = workspace.take<Scalar>(g.step_column * sums_size);
    prefetches.lay_out(workspace);
  }

  // Outputs of one phase for one tile into `to`.
  template <int V> void compute(const Line &line, const Phase &phase, Index x0, Scalar *to) {
    const Geometry &g = *job->geometry;
    const Index channels = g.call->in_channels;
    Tile tile = tile_at(g, line, phase, x0, V * LANES, taps);
    const Scalar *packed = job->filter.packed + job->filter.starts[&phase - g.phases];
    const Index tap_size = channels * job->blocks.rows, block_size = phase.count * tap_size;
    for (Index t = 0; t < phase.count; t++) {
      const Tap &tap = phase.taps[t];
      if (!meets_image(g, line, tap, x0, V * LANES)) continue;
      taps[tile.tap_count] = &tap;
      inputs[tile.tap_count] = input.ring.at(line.input_row + tap.row) + tap.input.element + x0;
      filters[tile.tap_count++] = packed + t * tap_size;
    }
    compute_kernel<V>(g, tile, guide.ring, kernel, -1);
    if (tile.tap_count == 0) memset(to, 0, sums_size * sizeof(Scalar));
    PACBENCH_FOR_ROWS(job->blocks.rows, (contract<ROWS, V>(tile.tap_count, channels, block_size, to)));
  }

  template <int ROWS, int V>
  __attribute__((noinline)) void contract(Index tap_count, Index channels, Index block_size, Scalar *to) {
    const Index at_once = most((Index)1, COLUMN_BYTES / (channels * TILE * (Index)sizeof(Scalar)));
    for (Index t = 0; t < tap_count; t += at_once) {
      const Index taps_now = least(at_once, tap_count - t);
      modulate_and_multiply<ROWS, V>(taps_now, channels, filters + t, inputs + t, job->geometry->input.channel_size(),
                                     kernel.values + t * TILE, columns, to, t == 0);
      prefetches.fetch(prefetches_at_once);
      for (Index block = 1; block < job->blocks.count; block++) {
        Scalar *sums_of_block = to + block * ROWS * TILE;
        prefetches.fetch(prefetches_at_once);
        if (filters[t + taps_now - 1] - filters[t] == (taps_now - 1) * channels * ROWS) { // neighbours in memory
          multiply_columns<ROWS, V>(taps_now * channels, filters[t] + block * block_size, columns, sums_of_block, t == 0);
        } else {
          for (Index i = 0; i < taps_now; i++)
            multiply_columns<ROWS, V>(channels, filters[t + i] + block * block_size, columns + i * channels * TILE,
                                      sums_of_block, t + i == 0);
        }
      }
    }
  }

  // output = base + message_weight * (sums + bias), rows of one image row.
  void write(const Line &line, Index phase_row, Index x0, Index width) const {
    const Geometry &g = *job->geometry;
    const PacCall &call = *g.call;
    const Index step = g.step_column, y = line.row * g.step_row + phase_row;
    const Index count = least(width * step, call.out_width - x0 * step);
    for (Index o = 0; o < call.out_channels; o++) {
      const Index at = ((line.image * call.out_channels + o) * call.out_height + y) * call.out_width + x0 * step;
      Scalar *to = (Scalar *)call.output + at;
      const Scalar *base = call.base ? (const Scalar *)call.base + at : nullptr;
      const Scalar bias = call.bias ? ((const Scalar *)call.bias)[o] : 0, weight = (Scalar)call.message_weight;
      const Scalar *from = sums + o * TILE;
      Index i = 0;
      if (step == 1) {
        for (; i + LANES <= count; i += LANES) {
          const Vector value = (load(from + i) + bias) * weight;
          store(to + i, base ? load(base + i) + value : value);
        }
        for (; i < count; i++) to[i] = (base ? base[i] : 0) + weight * (from[i] + bias);
        continue;
      }
      if (step == 2)
        for (; i + 2 * LANES <= count; i += 2 * LANES)
          store_pairs(to + i, load(from + i / 2) + bias, load(from + sums_size + i / 2) + bias);
      for (; i < count; i++) to[i] = from[i % step * sums_size + i / step] + bias;
    }
  }

  // What this tile writes and what the next one and the next line read.
  void announce(const Line &line, Index at, Index next, Index all) {
    const Geometry &g = *job->geometry;
    const PacCall &call = *g.call;
    const Index begin = at * LANES * g.step_column, width = (next - at) * LANES * g.step_column;
    prefetches.clear();
    for (Index row = 0; row < g.step_row; row++) {
      const Index y = least(line.row * g.step_row + row, call.out_height - 1);
      for (Index o = 0; o < call.out_channels; o++) {
        const Index plane = (line.image * call.out_channels + o) * call.out_height + y;
        prefetches.add((const Scalar *)call.output + plane * call.out_width + begin, least(width, call.out_width - begin));
        if (call.base)
          prefetches.add((const Scalar *)call.base + plane * call.out_width + begin, least(width, call.out_width - begin));
      }
      for (Index map = 0; call.kernel && map < g.taps; map++) {
        const Index plane = (line.image * g.taps + map) * call.out_height + y;
        prefetches.add((const Scalar *)call.kernel + plane * call.out_width + begin + width,
                       least(width, call.out_width - begin - width));
      }
    }
    input.announce(line, g.advance, at, next, all, prefetches);
    guide.announce(line, g.guide_advance, at, next, all, prefetches);
    const Index at_once = most((Index)1, COLUMN_BYTES / (call.in_channels * TILE * (Index)sizeof(Scalar)));
    Index calls = 0;
    for (Index i = 0; i < g.phase_count; i++) calls += ceil_div(g.phases[i].count, at_once) * job->blocks.count;
    prefetches_at_once = ceil_div(prefetches.lines, most((Index)1, calls));
  }

  void run(const Share &share) {
    const Geometry &g = *job->geometry;
    const Index vectors = ceil_div(g.columns, LANES);
    for (Index position = share.begin; position < share.end; position++) {
      const Line line = line_at(g, position, position == share.begin);
      input.fill(line, line.input_row, g.input.ring_rows);
      guide.fill(line, line.guide_row, g.guide.ring_rows);
      for (Index at = 0, next; at < vectors; at = next) {
        const Index now = vectors_of_tile(at, vectors), x0 = at * LANES;
        next = at + now;
        announce(line, at, next, vectors);
        for (Index i = 0; i < g.phase_count; i++) {
          const Phase &phase = g.phases[i];
          if (line.row * g.step_row + phase.row >= g.call->out_height) break;
          if (x0 * g.step_column + phase.column < g.call->out_width)
            PACBENCH_FOR_VECTORS(now, compute<V>(line, phase, x0, sums + phase.column * sums_size));
          if (phase.column == g.step_column - 1) write(line, phase.row, x0, now * LANES);
        }
      }
    }
  }
};

static void convolve_forward(void *context, int thread) {
  const ConvolutionForward &job = *(const ConvolutionForward *)context;
  Workspace workspace = job.of_threads;
  workspace.block += thread * job.bytes_of_thread;
  ConvolutionForwardThread(job, workspace).run(Share(*job.geometry, thread, job.threads));
}

} // namespace PACBENCH_NAMESPACE
