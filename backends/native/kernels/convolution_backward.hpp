// Backward pass of (transposed) convolutions with a filter for each pair of channels.
//
// For each tap of a tile, with g the gradient of the output: U = Wᵀ g serves the gradient of K (a product with the
// input, summed over channels) and that of the input (K U, added to a ring of rows); the modulated column K x is made
// again for the gradient of the filter, a product over the tile's pixels. K is computed again; nothing of the size
// k² H W is stored.
#pragma once
#include "contraction.hpp"
#include "guide_gradient.hpp"
#include "threads.h"

namespace PACBENCH_NAMESPACE {

constexpr Index LINES_OF_PARTIAL_SUM = 4; // the filter's gradient goes to double sums this often: long float sums lose digits

struct ConvolutionBackward {
  const Geometry *geometry;
  Blocks channel_blocks;   // of U
  Index padded_channels;   // of columns and of the filter's gradient: a multiple of ROWS_OF_BLOCK
  Index padded_outputs;    // a multiple of LANES
  Scalar *filter;          // [phase][tap][block of channels][output][channel of the block]
  Index *starts;           // of the phases
  int threads;
  Workspace of_threads;
  Index bytes_of_thread;
  struct ConvolutionBackwardThread *states;
  uint8_t *met;            // scratch of finish_channel, for each thread
  Index met_size;

  explicit ConvolutionBackward(const Geometry &g)
      : geometry(&g), channel_blocks(g.call->in_channels), padded_channels(round_up(g.call->in_channels, ROWS_OF_BLOCK)),
        padded_outputs(round_up(g.call->out_channels, LANES)) {}

  void lay_out(Workspace &workspace);
  void lay_out_filter(Workspace &workspace) {
    const Geometry &g = *geometry;
    filter = workspace.take<Scalar>(g.taps * channel_blocks.padded() * g.call->out_channels);
    starts = workspace.take<Index>(g.phase_count);
  }
  void pack() {
    const Geometry &g = *geometry;
    const Filter weight(*g.call);
    Scalar *to = filter;
    for (Index i = 0; i < g.phase_count; i++) {
      starts[i] = to - filter;
      for (Index t = 0; t < g.phases[i].count; t++)
        for (Index block = 0; block < channel_blocks.count; block++)
          for (Index o = 0; o < g.call->out_channels; o++)
            for (Index c = block * channel_blocks.rows; c < (block + 1) * channel_blocks.rows; c++)
              *to++ = c < g.call->in_channels ? weight.at(o, c, g.phases[i].taps[t].position) : 0;
    }
  }
};

struct ConvolutionBackwardThread {
  const ConvolutionBackward *job;
  Feed input, guide;
  GradientRows grad_input;
  GuideGradient guide_gradient;
  KernelTile kernel;
  const Tap **taps;
  Scalar *gradient;          // [padded outputs][TILE] of one tile's outputs
  Scalar *gradient_by_pixel; // [TILE][padded outputs]
  Scalar *columns;           // [padded channels][TILE] of one tap: K x
  Scalar *filter_gradient;   // [tap position][padded channels][padded outputs], of a few lines
  double *filter_sums;       // likewise, of all lines
  Scalar *bias_gradient;     // [outputs][LANES], of a few lines
  double *bias_sums;         // [outputs]
  Prefetches prefetches;
  bool for_kernel, for_filter;

  ConvolutionBackwardThread(const ConvolutionBackward &of, Workspace &workspace) : job(&of) {
    const Geometry &g = *of.geometry;
    const PacCall &call = *g.call;
    input.lay_out(g.input, call.input, call.softmax, workspace);
    guide.lay_out(g.guide, call.guide, false, workspace);
    grad_input.lay_out(g.input, call.grad_input, workspace);
    guide_gradient.lay_out(g, workspace);
    for_kernel = guide_gradient.wanted || call.grad_kernel;
    for_filter = call.grad_weight;
    kernel.lay_out(g, workspace);
    taps = workspace.take<const Tap *>(g.taps);
    gradient = workspace.take<Scalar>(of.padded_outputs * TILE);
    gradient_by_pixel = workspace.take<Scalar>(for_filter ? of.padded_outputs * TILE : 0);
    columns = workspace.take<Scalar>(of.padded_channels * TILE);
    filter_gradient = workspace.take<Scalar>(for_filter ? filter_size() : 0);
    filter_sums = workspace.take<double>(for_filter ? filter_size() : 0);
    bias_gradient = workspace.take<Scalar>(call.grad_bias ? call.out_channels * LANES : 0);
    bias_sums = workspace.take<double>(call.grad_bias ? call.out_channels : 0);
    prefetches.lay_out(workspace);
  }

  Index filter_size() const { return job->geometry->taps * job->padded_channels * job->padded_outputs; }

  void clear() {
    const PacCall &call = *job->geometry->call;
    grad_input.clear();
    guide_gradient.clear();
    memset(columns, 0, job->padded_channels * TILE * sizeof(Scalar));
    memset(gradient, 0, job->padded_outputs * TILE * sizeof(Scalar));
    if (for_filter) {
      memset(filter_gradient, 0, filter_size() * sizeof(Scalar));
      memset(filter_sums, 0, filter_size() * sizeof(double));
    }
    if (call.grad_bias) {
      memset(bias_gradient, 0, call.out_channels * LANES * sizeof(Scalar));
      memset(bias_sums, 0, call.out_channels * sizeof(double));
    }
  }

  // g of a tile, also by pixels for the filter's gradient; sums for the bias.
  void load_gradient(const Tile &tile, Index width) {
    const Geometry &g = *job->geometry;
    const PacCall &call = *g.call;
    for (Index o = 0; o < call.out_channels; o++) {
      const Scalar *from = (const Scalar *)call.grad_output +
                           ((tile.line->image * call.out_channels + o) * call.out_height + tile.row) * call.out_width +
                           tile.column(g, 0);
      Scalar *to = gradient + o * TILE;
      gather(to, from, g.step_column, tile.count, width);
      if (call.message_weight != 1)
        for (Index i = 0; i < width; i += LANES) store(to + i, load(to + i) * (Scalar)call.message_weight);
      if (call.grad_bias) {
        Vector sum = load(bias_gradient + o * LANES);
        for (Index i = 0; i < width; i += LANES) sum += load(to + i);
        store(bias_gradient + o * LANES, sum);
      }
    }
    for (Index o = 0; for_filter && o < job->padded_outputs; o += LANES) // rows beyond the outputs hold 0
      for (Index i = 0; i < width; i += LANES)
        transpose(gradient_by_pixel + i * job->padded_outputs + o, job->padded_outputs, gradient + o * TILE + i, TILE);
  }

  // U = Wᵀ g of one tap, a block of channels at a time, and what it serves while it is in registers: the gradients of K
  // and of the input (`to_input` is null where that is not wanted); and the column K x for the gradient of the filter.
  template <int ROWS, int V>
  __attribute__((noinline)) void multiply_tap(const Scalar *filter, Index t, const Scalar *in, Scalar *to_input) {
    const Index outputs = job->geometry->call->out_channels, channel_size = job->geometry->input.channel_size();
    const Index channels = job->geometry->call->in_channels;
    const Scalar *scale = kernel.values + t * TILE;
    Scalar *to_kernel = guide_gradient.of_kernel + t * TILE, *column = columns;
    PACBENCH_UNROLL
    for (int v = 0; v < V; v++) store(to_kernel + v * LANES, Vector{});
    for (Index c = 0; c < channels; c += ROWS) {
      Vector u[ROWS][V], sums[V];
      multiply<ROWS, V>(outputs, filter, gradient, u);
      filter += outputs * ROWS;
      PACBENCH_UNROLL
      for (int v = 0; v < V; v++) sums[v] = load(to_kernel + v * LANES);
      PACBENCH_UNROLL
      for (int m = 0; m < ROWS; m++) {
        if (c + m == channels) break;
        PACBENCH_UNROLL
        for (int v = 0; v < V; v++) {
          Vector x = load(in + v * LANES);
          keep(x);
          sums[v] += u[m][v] * x;
          if (to_input) store(to_input + v * LANES, load(to_input + v * LANES) + load(scale + v * LANES) * u[m][v]);
          if (for_filter) store(column + v * LANES, load(scale + v * LANES) * x);
        }
        column += TILE;
        in += channel_size;
        if (to_input) to_input += channel_size;
      }
      PACBENCH_UNROLL
      for (int v = 0; v < V; v++) store(to_kernel + v * LANES, sums[v]);
    }
  }

  // The column K x alone, where neither the input's nor the kernel's gradient is wanted.
  template <int V> void modulate(Index t, const Scalar *in) {
    for (Index c = 0; c < job->geometry->call->in_channels; c++)
      for (int v = 0; v < V; v++)
        store(columns + c * TILE + v * LANES,
              load(kernel.values + t * TILE + v * LANES) * load(in + c * job->geometry->input.channel_size() + v * LANES));
  }

  // filter_gradient[c][o] += sum over pixels of column[c][i] g[o][i], for one tap.
  template <int VO> PACBENCH_INLINE_MEMBER void correlate(Index channel, Index output, Index pixels, Scalar *to) {
    const Index outputs = job->padded_outputs;
    Vector total[ROWS_OF_BLOCK][VO];
    PACBENCH_UNROLL
    for (int m = 0; m < ROWS_OF_BLOCK; m++) {
      PACBENCH_UNROLL
      for (int v = 0; v < VO; v++) total[m][v] = load(to + (channel + m) * outputs + output + v * LANES);
    }
    const Scalar *by_pixel = gradient_by_pixel + output, *column = columns + channel * TILE;
    PACBENCH_UNROLL_LOOP
    for (Index i = 0; i < pixels; i++) {
      Vector value[VO];
      PACBENCH_UNROLL
      for (int v = 0; v < VO; v++) value[v] = load(by_pixel + v * LANES);
      PACBENCH_UNROLL
      for (int m = 0; m < ROWS_OF_BLOCK; m++) {
        const Vector factor = broadcast(column[m * TILE + i]);
        PACBENCH_UNROLL
        for (int v = 0; v < VO; v++) total[m][v] += factor * value[v];
      }
      by_pixel += outputs;
    }
    PACBENCH_UNROLL
    for (int m = 0; m < ROWS_OF_BLOCK; m++) {
      PACBENCH_UNROLL
      for (int v = 0; v < VO; v++) store(to + (channel + m) * outputs + output + v * LANES, total[m][v]);
    }
  }

  __attribute__((noinline)) void correlate_tap(Index position, Index pixels) {
    Scalar *to = filter_gradient + position * job->padded_channels * job->padded_outputs;
    const Index vectors = job->padded_outputs / LANES;
    for (Index c = 0; c < job->padded_channels; c += ROWS_OF_BLOCK)
      for (Index at = 0; at < vectors;) {
        const Index now = vectors_of_tile(at, vectors);
        PACBENCH_FOR_VECTORS(now, correlate<V>(c, at * LANES, pixels, to));
        at += now;
      }
  }

  template <int V> void compute(const Line &line, const Phase &phase, Index x0) {
    const Geometry &g = *job->geometry;
    const PacCall &call = *g.call;
    Tile tile = tile_at(g, line, phase, x0, V * LANES, taps);
    for (Index t = 0; t < phase.count; t++)
      if (meets_image(g, line, phase.taps[t], x0, V * LANES)) taps[tile.tap_count++] = phase.taps + t;
    compute_kernel<V>(g, tile, guide.ring, kernel, -1);
    clear_beyond(tile, kernel.values, V * LANES);
    load_gradient(tile, V * LANES);
    const Scalar *packed = job->filter + job->starts[&phase - g.phases];
    const Index tap_size = job->channel_blocks.padded() * call.out_channels;
    const Index fetched_at_once = ceil_div(prefetches.lines, most((Index)1, phase.count * g.phase_count));
    for (Index t = 0; t < tile.tap_count; t++) {
      prefetches.fetch(fetched_at_once);
      const Tap &tap = *taps[t];
      const Index row = line.input_row + tap.row, element = tap.input.element + x0;
      const Scalar *in = input.ring.at(row) + element;
      Scalar *to_input = grad_input.tensor ? grad_input.ring.at(row) + element : nullptr;
      if (to_input || for_kernel) {
        const Scalar *filter = packed + (&tap - phase.taps) * tap_size;
        PACBENCH_FOR_ROWS(job->channel_blocks.rows, (multiply_tap<ROWS, V>(filter, t, in, to_input)))
      } else if (for_filter) {
        modulate<V>(t, in);
      }
      if (for_filter) correlate_tap(tap.position, tile.count);
    }
    if (call.grad_kernel) write_kernel_gradient(g, tile, guide_gradient.of_kernel, 0);
    if (guide_gradient.wanted) guide_gradient.add<V>(tile, guide.ring, kernel, -1);
  }

  // The sums of a few lines to those of all.
  void add_up() {
    if (for_filter) {
      for (Index i = 0; i < filter_size(); i++) filter_sums[i] += filter_gradient[i];
      memset(filter_gradient, 0, filter_size() * sizeof(Scalar));
    }
    const PacCall &call = *job->geometry->call;
    if (call.grad_bias) {
      for (Index o = 0; o < call.out_channels; o++) bias_sums[o] += sum_of_lanes(load(bias_gradient + o * LANES));
      memset(bias_gradient, 0, call.out_channels * LANES * sizeof(Scalar));
    }
  }

  // What the next tile and the next line read, and what is written after this line.
  void announce(const Line &line, const Run &part, Index at, Index next, Index all) {
    const Geometry &g = *job->geometry;
    const PacCall &call = *g.call;
    const Index begin = next * LANES * g.step_column, width = VECTORS_OF_TILE * LANES * g.step_column;
    prefetches.clear();
    for (Index row = 0; row < g.step_row; row++) {
      const Index y = least(line.row * g.step_row + row, call.out_height - 1);
      for (Index o = 0; o < call.out_channels; o++)
        prefetches.add((const Scalar *)call.grad_output + ((line.image * call.out_channels + o) * call.out_height + y) * call.out_width + begin,
                       least(width, call.out_width - begin));
    }
    input.announce(line, g.advance, at, next, all, prefetches);
    guide.announce(line, g.guide_advance, at, next, all, prefetches);
    grad_input.announce(line, line.input_row, g.advance, part, at, next, all, prefetches);
    guide_gradient.rows.announce(line, line.guide_row, g.guide_advance, part, at, next, all, prefetches);
  }

  void run(const Share &share) {
    const Geometry &g = *job->geometry;
    const Index vectors = ceil_div(g.columns, LANES);
    clear();
    Run part = {};
    for (Index position = share.begin; position < share.end; position++) {
      const Line line = line_at(g, position, position == share.begin);
      if (line.starts) part = run_at(g, line, position, share.end);
      input.fill(line, line.input_row, g.input.ring_rows);
      guide.fill(line, line.guide_row, g.guide.ring_rows);
      grad_input.open(line.input_row);
      guide_gradient.rows.open(line.guide_row);
      for (Index at = 0; at < vectors;) {
        const Index now = vectors_of_tile(at, vectors), x0 = at * LANES;
        announce(line, part, at, at + now, vectors);
        at += now;
        for (Index i = 0; i < g.phase_count; i++) {
          const Phase &phase = g.phases[i];
          if (line.row * g.step_row + phase.row < g.call->out_height && x0 * g.step_column + phase.column < g.call->out_width)
            PACBENCH_FOR_VECTORS(now, compute<V>(line, phase, x0));
        }
      }
      grad_input.flush(line, line.input_row, g.advance, part, g.call->softmax ? &input.ring : nullptr);
      guide_gradient.rows.flush(line, line.guide_row, g.guide_advance, part, nullptr);
      if (position == share.end - 1 || (position - share.begin + 1) % LINES_OF_PARTIAL_SUM == 0) add_up();
    }
  }
};

inline void ConvolutionBackward::lay_out(Workspace &workspace) {
  lay_out_filter(workspace);
  states = workspace.take<ConvolutionBackwardThread>(threads);
  met_size = round_up(most(geometry->input.height, geometry->guide.height), CACHE_LINE);
  met = workspace.take<uint8_t>(threads * met_size);
}

static void convolve_backward(void *context, int thread) {
  const ConvolutionBackward &job = *(const ConvolutionBackward *)context;
  Workspace workspace = job.of_threads;
  workspace.block += thread * job.bytes_of_thread;
  job.states[thread] = ConvolutionBackwardThread(job, workspace);
  job.states[thread].run(Share(*job.geometry, thread, job.threads));
}

// The sums of all threads, in their order: each thread finishes some channels and some taps.
static void finish_convolve_backward(void *context, int thread) {
  const ConvolutionBackward &job = *(const ConvolutionBackward *)context;
  const Geometry &g = *job.geometry;
  const PacCall &call = *g.call;
  const ConvolutionBackwardThread *states = job.states;
  finish_rows(job, thread);
  const Filter filter(call);
  for (Index position = thread; call.grad_weight && position < g.taps; position += job.threads)
    for (Index c = 0; c < call.in_channels; c++)
      for (Index o = 0; o < call.out_channels; o++) {
        double sum = 0;
        for (Index i = 0; i < job.threads; i++)
          sum += states[i].filter_sums[(position * job.padded_channels + c) * job.padded_outputs + o];
        ((Scalar *)call.grad_weight)[o * filter.output_stride + c * filter.channel_stride + position] = (Scalar)sum;
      }
  if (thread != 0) return;
  finish_sums(call.grad_bias, call.out_channels, &ConvolutionBackwardThread::bias_sums, states, job.threads);
  finish_inverse(call, &ConvolutionBackwardThread::guide_gradient, states, job.threads);
}

} // namespace PACBENCH_NAMESPACE
