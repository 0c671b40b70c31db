// From the gradient of the adapting kernel to those of the guide, of a smoothed guide's centres and of alpha and lambda.
#pragma once
#include "gradient_rows.hpp"

namespace PACBENCH_NAMESPACE {

// What one thread gathers.
struct GuideGradient {
  const Geometry *geometry;
  bool wanted;             // any of guide, centres, alpha, lambda
  GradientRows rows;
  Scalar *of_kernel;       // [taps][TILE], filled by the operator
  Scalar *of_centres;      // [G][TILE]
  InverseGradients inverse;

  void lay_out(const Geometry &g, Workspace &workspace) {
    const PacCall &call = *g.call;
    geometry = &g;
    wanted = call.grad_guide || call.grad_centres || call.grad_inv_alpha || call.grad_inv_lambda;
    rows.lay_out(g.guide, call.grad_guide, workspace);
    of_kernel = workspace.take<Scalar>(g.taps * TILE);
    of_centres = workspace.take<Scalar>(wanted ? call.guide_channels * TILE : 0);
    inverse = {workspace.take<double>(call.alpha_count), workspace.take<double>(call.lambda_count), call.alpha_count,
               call.lambda_count};
  }

  void clear() {
    rows.clear();
    for (Index i = 0; i < inverse.alpha_count; i++) inverse.alpha[i] = 0;
    for (Index i = 0; i < inverse.lambda_count; i++) inverse.lambda[i] = 0;
  }

  // `of_kernel` to everything that is wanted. `channel` as in compute_kernel.
  template <int V> void add(const Tile &tile, const Ring &guide, const KernelTile &kernel, Index channel) {
    const PacCall &call = *geometry->call;
    differentiate_kernel<V>(*geometry, tile, kernel, of_kernel, channel, inverse);
    if (!call.grad_guide && !call.grad_centres) return;
    const Index from = channel < 0 ? 0 : channel, to = channel < 0 ? call.guide_channels : channel + 1;
    if (call.asymmetric) spread<V, true>(tile, guide, kernel, from, to);
    else spread<V, false>(tile, guide, kernel, from, to);
    write_centres<V>(tile, from, to);
  }

  template <int V, bool ASYMMETRIC>
  void spread(const Tile &tile, const Ring &guide, const KernelTile &kernel, Index from, Index to) {
    Index c = from;
    if (tile.count < V * LANES)
      for (; c < to; c++) spread_channels<V, 1, ASYMMETRIC, true>(tile, guide, kernel, c);
    for (; c + 4 <= to; c += 4) spread_channels<V, 4, ASYMMETRIC, false>(tile, guide, kernel, c);
    for (; c + 2 <= to; c += 2) spread_channels<V, 2, ASYMMETRIC, false>(tile, guide, kernel, c);
    for (; c < to; c++) spread_channels<V, 1, ASYMMETRIC, false>(tile, guide, kernel, c);
  }

  // f_j into the ring of gradients, f_i into its tile. Neighbouring taps of a row overlap, so that a load would wait for
  // the store before it: taps of a column of the window follow one another instead. ENDS: the tile has lanes beyond its
  // outputs; their features, which may be no numbers, count as equal.
  template <int V, int CHANNELS, bool ASYMMETRIC, bool ENDS>
  void spread_channels(const Tile &tile, const Ring &guide, const KernelTile &kernel, Index channel) {
    const Index stride = guide.image->channel_size(), kw = geometry->call->kernel_width;
    Vector of_centre[CHANNELS][V];
    PACBENCH_UNROLL
    for (int c = 0; c < CHANNELS; c++) {
      PACBENCH_UNROLL
      for (int v = 0; v < V; v++) of_centre[c][v] = Vector{};
    }
    for (Index start = 0; start < least(kw, tile.tap_count); start++)
      for (Index t = start; t < tile.tap_count; t += kw) {
        const Tap &tap = *tile.taps[t];
        const Index row = tile.line->guide_row + tap.guide_row, element = tap.guide.element + tile.x0 + channel * stride;
        const Scalar *in = guide.at(row) + element;
        Scalar *out = rows.tensor ? rows.ring.at(row) + element : nullptr;
        PACBENCH_UNROLL
        for (int v = 0; v < V; v++) {
          const Vector scale = load(of_kernel + t * TILE + v * LANES);
          PACBENCH_UNROLL
          for (int c = 0; c < CHANNELS; c++) {
            Vector difference = load(in + c * stride + v * LANES) - load(kernel.centres + (channel + c) * TILE + v * LANES);
            if (ASYMMETRIC) difference = difference < 0 ? Vector{} : difference;
            if (ENDS) difference = first_lanes(difference, tile.count - v * LANES);
            of_centre[c][v] -= difference * scale;
            if (out) store(out + c * stride + v * LANES, load(out + c * stride + v * LANES) + difference * scale);
          }
        }
      }
    PACBENCH_UNROLL
    for (int c = 0; c < CHANNELS; c++) {
      PACBENCH_UNROLL
      for (int v = 0; v < V; v++) store(of_centres + (channel + c) * TILE + v * LANES, of_centre[c][v]);
    }
  }

  template <int V> void write_centres(const Tile &tile, Index from, Index to) {
    const Geometry &g = *geometry;
    const PacCall &call = *g.call;
    for (Index c = from; c < to; c++) {
      if (call.grad_centres) {
        const Index plane = (tile.line->image * call.guide_channels + c) * call.out_height + tile.row;
        scatter((Scalar *)call.grad_centres + plane * call.out_width + tile.column(g, 0), of_centres + c * TILE, g.step_column,
                tile.count);
      } else if (!call.centres && rows.tensor) {
        Scalar *to_guide = rows.ring.at(tile.line->guide_row + tile.phase->centre_row) +
                           c * rows.ring.image->channel_size() + tile.phase->centre.element + tile.x0;
        PACBENCH_UNROLL
        for (int v = 0; v < V; v++)
          store(to_guide + v * LANES, load(to_guide + v * LANES) + load(of_centres + c * TILE + v * LANES));
      }
    }
  }
};

// The rows of input and guide of all threads, in their order: each thread finishes some channels.
template <class Job> static void finish_rows(const Job &job, Index thread) {
  const Geometry &g = *job.geometry;
  const auto *states = job.states;
  uint8_t *met = job.met + thread * job.met_size;
  const auto input_rows = [=](Index i) -> const GradientRows & { return states[i].grad_input; };
  const auto guide_rows = [=](Index i) -> const GradientRows & { return states[i].guide_gradient.rows; };
  for (Index c = thread; c < most(g.input.channels, g.guide.channels); c += job.threads) {
    finish_channel(g, input_rows, g.advance, job.threads, c, met);
    finish_channel(g, guide_rows, g.guide_advance, job.threads, c, met);
  }
}

// The sums of all threads, in their order, to a gradient that may not be wanted.
template <class Thread>
static void finish_sums(void *gradient, Index count, double *Thread::*sums, const Thread *states, Index threads) {
  for (Index i = 0; gradient && i < count; i++) {
    double sum = 0;
    for (Index thread = 0; thread < threads; thread++) sum += (states[thread].*sums)[i];
    ((Scalar *)gradient)[i] = (Scalar)sum;
  }
}

// Sums of all threads, in their order.
template <class Thread> static void finish_inverse(const PacCall &call, GuideGradient Thread::*guide, const Thread *states, Index threads) {
  for (Index i = 0; call.grad_inv_alpha && i < call.alpha_count; i++) {
    double sum = 0;
    for (Index thread = 0; thread < threads; thread++) sum += (states[thread].*guide).inverse.alpha[i];
    ((Scalar *)call.grad_inv_alpha)[i] = (Scalar)sum;
  }
  for (Index i = 0; call.grad_inv_lambda && i < call.lambda_count; i++) {
    double sum = 0;
    for (Index thread = 0; thread < threads; thread++) sum += (states[thread].*guide).inverse.lambda[i];
    ((Scalar *)call.grad_inv_lambda)[i] = (Scalar)sum;
  }
}

} // namespace PACBENCH_NAMESPACE
