// Backward pass of pooling and of convolutions with one filter for all channels.
//
// For each tap t of a tile, with g the gradient of the output: S = sum over channels of g x is the gradient of K (times
// the filter) and, times K, that of the filter; K w g is added to a ring of rows for the gradient of the input.
#pragma once
#include "pooling_forward.hpp"

namespace PACBENCH_NAMESPACE {

struct PoolingBackward {
  const Geometry *geometry;
  int threads;
  Workspace of_threads;
  Index bytes_of_thread;
  struct PoolingBackwardThread *states;
  uint8_t *met;
  Index met_size;

  explicit PoolingBackward(const Geometry &g) : geometry(&g) {}
  void lay_out(Workspace &workspace);
};

struct PoolingBackwardThread {
  const PoolingBackward *job;
  Feed input, guide;
  GradientRows grad_input;
  GuideGradient guide_gradient;
  KernelTile kernel;
  const Tap **taps;
  Scalar *gradient;      // [channels][TILE]
  double *filter_sums;   // [taps]
  double *bias_sums;     // [channels]
  bool for_kernel;

  PoolingBackwardThread(const PoolingBackward &of, Workspace &workspace) : job(&of) {
    const Geometry &g = *of.geometry;
    const PacCall &call = *g.call;
    input.lay_out(g.input, call.input, false, workspace);
    guide.lay_out(g.guide, call.guide, false, workspace);
    grad_input.lay_out(g.input, call.grad_input, workspace);
    guide_gradient.lay_out(g, workspace);
    for_kernel = guide_gradient.wanted || call.grad_kernel || call.grad_weight;
    kernel.lay_out(g, workspace);
    taps = workspace.take<const Tap *>(g.taps);
    gradient = workspace.take<Scalar>(call.in_channels * TILE);
    filter_sums = workspace.take<double>(g.taps);
    bias_sums = workspace.take<double>(call.in_channels);
  }

  void clear() {
    grad_input.clear();
    guide_gradient.clear();
    for (Index t = 0; t < job->geometry->taps; t++) filter_sums[t] = 0;
    for (Index c = 0; c < job->geometry->call->in_channels; c++) bias_sums[c] = 0;
  }

  void load_gradient(const Tile &tile, Index width) {
    const Geometry &g = *job->geometry;
    const PacCall &call = *g.call;
    for (Index c = 0; c < call.in_channels; c++) {
      const Scalar *from = (const Scalar *)call.grad_output +
                           ((tile.line->image * call.in_channels + c) * call.out_height + tile.row) * call.out_width +
                           tile.column(g, 0);
      gather(gradient + c * TILE, from, g.step_column, tile.count, width);
      if (!call.grad_bias) continue;
      Vector sum = {};
      for (Index i = 0; i < width; i += LANES) sum += load(gradient + c * TILE + i);
      bias_sums[c] += sum_of_lanes(sum);
    }
  }

  // Channels from `from` to `to`, which share the kernel that has been computed.
  template <int V> void spread(const Tile &tile, Index from, Index to) {
    const Geometry &g = *job->geometry;
    const PacCall &call = *g.call;
    const Index channel_size = g.input.channel_size();
    for (Index t = 0; t < tile.tap_count; t++) {
      const Tap &tap = *tile.taps[t];
      const Index row = tile.line->input_row + tap.row, element = tap.input.element + tile.x0;
      const Scalar *in = input.ring.at(row) + element;
      Scalar *out = grad_input.tensor ? grad_input.ring.at(row) + element : nullptr;
      const Scalar factor = call.weight ? ((const Scalar *)call.weight)[tap.position] : (Scalar)1;
      Vector k[V], scale[V], sums[V];
      PACBENCH_UNROLL
      for (int v = 0; v < V; v++) {
        k[v] = load(kernel.values + t * TILE + v * LANES);
        scale[v] = k[v] * factor;
        sums[v] = Vector{};
      }
      for (Index c = from; c < to; c++) {
        PACBENCH_UNROLL
        for (int v = 0; v < V; v++) {
          const Vector value = load(gradient + c * TILE + v * LANES);
          if (for_kernel) sums[v] += value * load(in + c * channel_size + v * LANES);
          if (out) {
            Scalar *at = out + c * channel_size + v * LANES;
            store(at, load(at) + scale[v] * value);
          }
        }
      }
      if (!for_kernel) continue;
      Vector of_filter = {};
      PACBENCH_UNROLL
      for (int v = 0; v < V; v++) {
        sums[v] = first_lanes(sums[v], tile.count - v * LANES); // beyond them lie pixels that may be no numbers
        of_filter += sums[v] * k[v];
        store(guide_gradient.of_kernel + t * TILE + v * LANES, sums[v] * factor);
      }
      if (call.grad_weight) filter_sums[tap.position] += sum_of_lanes(of_filter);
    }
  }

  template <int V> void compute(const Line &line, const Phase &phase, Index x0) {
    const Geometry &g = *job->geometry;
    const PacCall &call = *g.call;
    Tile tile = tile_at(g, line, phase, x0, V * LANES, taps);
    for (Index t = 0; t < phase.count; t++)
      if (meets_image(g, line, phase.taps[t], x0, V * LANES)) taps[tile.tap_count++] = phase.taps + t;
    load_gradient(tile, V * LANES);
    const bool channel_wise = call.kernel_channels > 1;
    for (Index c = 0; c < (channel_wise ? call.in_channels : 1); c++) {
      const Index channel = channel_wise ? c : -1;
      compute_kernel<V>(g, tile, guide.ring, kernel, channel);
      clear_beyond(tile, kernel.values, V * LANES);
      spread<V>(tile, c, channel_wise ? c + 1 : call.in_channels);
      if (call.grad_kernel) write_kernel_gradient(g, tile, guide_gradient.of_kernel, c);
      if (guide_gradient.wanted) guide_gradient.add<V>(tile, guide.ring, kernel, channel);
    }
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
        at += now;
        for (Index i = 0; i < g.phase_count; i++) {
          const Phase &phase = g.phases[i];
          if (line.row * g.step_row + phase.row < g.call->out_height && x0 * g.step_column + phase.column < g.call->out_width)
            PACBENCH_FOR_VECTORS(now, compute<V>(line, phase, x0));
        }
      }
      grad_input.flush(line, line.input_row, g.advance, part, nullptr);
      guide_gradient.rows.flush(line, line.guide_row, g.guide_advance, part, nullptr);
    }
  }
};

inline void PoolingBackward::lay_out(Workspace &workspace) {
  states = workspace.take<PoolingBackwardThread>(threads);
  met_size = round_up(most(geometry->input.height, geometry->guide.height), CACHE_LINE);
  met = workspace.take<uint8_t>(threads * met_size);
}

static void pool_backward(void *context, int thread) {
  const PoolingBackward &job = *(const PoolingBackward *)context;
  Workspace workspace = job.of_threads;
  workspace.block += thread * job.bytes_of_thread;
  job.states[thread] = PoolingBackwardThread(job, workspace);
  job.states[thread].run(Share(*job.geometry, thread, job.threads));
}

static void finish_pool_backward(void *context, int thread) {
  const PoolingBackward &job = *(const PoolingBackward *)context;
  const Geometry &g = *job.geometry;
  const PacCall &call = *g.call;
  const PoolingBackwardThread *states = job.states;
  finish_rows(job, thread);
  if (thread != 0) return;
  finish_sums(call.grad_weight, g.taps, &PoolingBackwardThread::filter_sums, states, job.threads);
  finish_sums(call.grad_bias, call.in_channels, &PoolingBackwardThread::bias_sums, states, job.threads);
  finish_inverse(call, &PoolingBackwardThread::guide_gradient, states, job.threads);
}

} // namespace PACBENCH_NAMESPACE
