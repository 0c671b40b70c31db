// The adapting kernel of one tile of outputs, and its gradient: K is never stored beyond a tile.
#pragma once
#include "rows.hpp"

namespace PACBENCH_NAMESPACE {

constexpr Scalar INV_EPSILON = (Scalar)1e-4; // added to d² in inv kernels (Saeedan et al., 2018)
constexpr int TAPS_AT_ONCE = 4;

// A tile: the outputs (row, x0 ... x0 + count) of one phase of a line.
struct Tile {
  const Line *line;
  const Phase *phase;
  Index x0, count;
  Index row;              // output row
  const Tap **taps;       // those that are computed
  Index tap_count;

  Index column(const Geometry &g, Index i) const { return phase->column + g.step_column * (x0 + i); }
};

// The tile of `width` lanes at x0, without taps yet.
PACBENCH_INLINE Tile tile_at(const Geometry &g, const Line &line, const Phase &phase, Index x0, Index width, const Tap **taps) {
  Tile tile = {&line, &phase, x0, least(g.columns - x0, width), line.row * g.step_row + phase.row, taps, 0};
  tile.count = least(tile.count, ceil_div(g.call->out_width - tile.column(g, 0), g.step_column));
  return tile;
}

// Whether a tap meets a pixel of the image at any of `width` lanes from x0.
PACBENCH_INLINE bool meets_image(const Geometry &g, const Line &line, const Tap &tap, Index x0, Index width) {
  return g.input.has_row(g.input.image_row(line.row_class, line.input_row + tap.row)) && x0 < tap.last && x0 + width > tap.first;
}

// Tiles of [taps][TILE] unless it is said otherwise; the last four only where mask, normalisation or inv need them.
struct KernelTile {
  Scalar *values;         // K
  Scalar *centres;        // [G][TILE] f_i
  Scalar *raw;            // K before mask and normalisation
  Scalar *distance;       // d²
  Scalar *factor;         // the mask where a tap lies on a pixel of the input, 0 elsewhere
  Scalar *norm;           // [TILE] what K was divided by; 0 where K is 0
  bool divided, inverse;

  void lay_out(const Geometry &g, Workspace &workspace) {
    const PacCall &call = *g.call;
    divided = !call.kernel && (call.mask || call.normalize);
    inverse = !call.kernel && call.form == 1;
    values = workspace.take<Scalar>(g.taps * TILE);
    centres = workspace.take<Scalar>(call.guide_channels * TILE);
    raw = divided ? workspace.take<Scalar>(g.taps * TILE) : values;
    distance = inverse ? workspace.take<Scalar>(g.taps * TILE) : nullptr;
    factor = divided ? workspace.take<Scalar>(g.taps * TILE) : nullptr;
    norm = divided ? workspace.take<Scalar>(TILE) : nullptr;
  }
};

PACBENCH_INLINE Scalar power(Scalar base, Scalar exponent) {
  return sizeof(Scalar) == 4 ? (Scalar)__builtin_powf((float)base, (float)exponent) : (Scalar)__builtin_pow(base, exponent);
}
PACBENCH_INLINE Scalar logarithm(Scalar x) {
  return sizeof(Scalar) == 4 ? (Scalar)__builtin_logf((float)x) : (Scalar)__builtin_log(x);
}

// The parameter of a channel; `parameters` holds one value for all or one for each.
PACBENCH_INLINE Scalar parameter_of(const void *parameters, Index count, Index channel) {
  return ((const Scalar *)parameters)[count == 1 ? 0 : channel];
}

// d² of TAPS taps over guide channels [from, to), or K = exp(-½ d²); f_i in registers for all of them.
template <int V, int TAPS, bool ASYMMETRIC, bool GAUSSIAN>
PACBENCH_INLINE void compare_taps(const Scalar *centres, const Scalar *const *guides, Index stride, Index from, Index to,
                                  Scalar *result) {
  Vector sums[TAPS][V];
  PACBENCH_UNROLL
  for (int t = 0; t < TAPS; t++) {
    PACBENCH_UNROLL
    for (int v = 0; v < V; v++) sums[t][v] = Vector{};
  }
  for (Index g = from; g < to; g++) {
    Vector centre[V];
    PACBENCH_UNROLL
    for (int v = 0; v < V; v++) centre[v] = load(centres + g * TILE + v * LANES);
    PACBENCH_UNROLL
    for (int t = 0; t < TAPS; t++) {
      const Scalar *guide = guides[t] + g * stride;
      PACBENCH_UNROLL
      for (int v = 0; v < V; v++) {
        Vector difference = load(guide + v * LANES) - centre[v];
        if (ASYMMETRIC) difference = difference < 0 ? Vector{} : difference;
        sums[t][v] += difference * difference;
      }
    }
  }
  PACBENCH_UNROLL
  for (int t = 0; t < TAPS; t++) {
    PACBENCH_UNROLL
    for (int v = 0; v < V; v++) {
      const Vector value = GAUSSIAN ? exp_of_nonpositive(sums[t][v], (Scalar)-0.5) : sums[t][v];
      store(result + t * TILE + v * LANES, value);
    }
  }
}

template <int V, bool ASYMMETRIC, bool GAUSSIAN>
static void compare_all_taps(const Tile &tile, const Ring &ring, const Scalar *centres, Index from, Index to, Scalar *result) {
  const Index stride = ring.image->channel_size();
  for (Index t = 0; t < tile.tap_count; t += TAPS_AT_ONCE) {
    const Index taps = least(tile.tap_count - t, (Index)TAPS_AT_ONCE);
    const Scalar *guides[TAPS_AT_ONCE];
    for (Index i = 0; i < taps; i++) {
      const Tap &tap = *tile.taps[t + i];
      guides[i] = ring.at(tile.line->guide_row + tap.guide_row) + tap.guide.element + tile.x0;
    }
    Scalar *at = result + t * TILE;
    if (taps == 4) compare_taps<V, 4, ASYMMETRIC, GAUSSIAN>(centres, guides, stride, from, to, at);
    else if (taps == 3) compare_taps<V, 3, ASYMMETRIC, GAUSSIAN>(centres, guides, stride, from, to, at);
    else if (taps == 2) compare_taps<V, 2, ASYMMETRIC, GAUSSIAN>(centres, guides, stride, from, to, at);
    else compare_taps<V, 1, ASYMMETRIC, GAUSSIAN>(centres, guides, stride, from, to, at);
  }
}

// f_i of a tile: from the guide's ring, or from a tensor of its own where the guide is smoothed.
static void load_centres(const Geometry &g, const Tile &tile, const Ring &ring, KernelTile &kernel, Index width) {
  const PacCall &call = *g.call;
  const Scalar *from;
  for (Index c = 0; c < call.guide_channels; c++) {
    if (call.centres) {
      from = (const Scalar *)call.centres +
             ((tile.line->image * call.guide_channels + c) * call.out_height + tile.row) * call.out_width + tile.column(g, 0);
      gather(kernel.centres + c * TILE, from, g.step_column, tile.count, width);
    } else {
      from = ring.at(tile.line->guide_row + tile.phase->centre_row) + c * ring.image->channel_size() +
             tile.phase->centre.element + tile.x0;
      for (Index i = 0; i < width; i += LANES) store(kernel.centres + c * TILE + i, load(from + i));
    }
  }
}

// The input pixel that a tap meets along one axis, or -1.
PACBENCH_INLINE Index pixel_met(Index output, Index tap, Index size, Index stride, Index padding, Index dilation,
                                Index reach, bool transposed) {
  Index at;
  if (transposed) {
    const Index spread = output + tap * dilation - (reach - padding);
    at = floor_div(spread, stride);
    if (at * stride != spread) return -1;
  } else {
    at = output * stride - padding + tap * dilation;
  }
  return at >= 0 && at < size ? at : -1;
}

// The mask (or 1) of each tap of a tile where it lies on a pixel of the input, 0 elsewhere; and what K is divided by
// for a mask without normalisation: valid taps / taps inside the image.
static void load_factors(const Geometry &g, const Tile &tile, KernelTile &kernel) {
  const PacCall &call = *g.call;
  const Index kw = call.kernel_width;
  Scalar inside[TILE] = {}, valid[TILE] = {};
  uint8_t any[TILE] = {};
  for (Index t = 0; t < tile.tap_count; t++) {
    const Index position = tile.taps[t]->position;
    Scalar *factor = kernel.factor + t * TILE;
    memset(factor, 0, TILE * sizeof(Scalar));
    const Index y = pixel_met(tile.row, position / kw, call.height, call.stride_height, call.padding_height,
                              call.dilation_height, (call.kernel_height - 1) * call.dilation_height, call.transposed);
    if (y < 0) continue;
    const Scalar *mask = (const Scalar *)call.mask;
    if (mask) mask += (tile.line->image * call.height + y) * call.width;
    for (Index i = 0; i < tile.count; i++) {
      const Index x = pixel_met(tile.column(g, i), position % kw, call.width, call.stride_width, call.padding_width,
                                call.dilation_width, (kw - 1) * call.dilation_width, call.transposed);
      if (x < 0) continue;
      factor[i] = mask ? mask[x] : (Scalar)1;
      inside[i] += 1;
      valid[i] += factor[i];
      any[i] |= factor[i] != 0;
    }
  }
  if (!call.normalize)
    for (Index i = 0; i < TILE; i++) kernel.norm[i] = inside[i] == 0 ? 0 : valid[i] / inside[i];
  if (call.output_mask) {
    uint8_t *to = call.output_mask + (tile.line->image * call.out_height + tile.row) * call.out_width;
    for (Index i = 0; i < tile.count; i++) to[tile.column(g, i)] = any[i];
  }
}

// Mask and normalisation, in place on `raw`, the result in `values`.
static void divide(const Geometry &g, const Tile &tile, KernelTile &kernel, Index width) {
  load_factors(g, tile, kernel);
  if (g.call->normalize) {
    for (Index i = 0; i < TILE; i++) kernel.norm[i] = 0;
    for (Index t = 0; t < tile.tap_count; t++)
      for (Index i = 0; i < width; i++) kernel.norm[i] += kernel.raw[t * TILE + i] * kernel.factor[t * TILE + i];
  }
  for (Index t = 0; t < tile.tap_count; t++)
    for (Index i = 0; i < width; i++) {
      const Scalar norm = kernel.norm[i];
      kernel.values[t * TILE + i] =
          norm == 0 ? 0 : kernel.raw[t * TILE + i] * kernel.factor[t * TILE + i] / norm;
    }
}

// K of a tile. `channel`: of the kernel; -1: one kernel of all guide channels. For a channel-wise kernel f_i must have
// been loaded by the first channel's call.
template <int V> static void compute_kernel(const Geometry &g, const Tile &tile, const Ring &ring, KernelTile &kernel, Index channel) {
  const PacCall &call = *g.call;
  if (call.kernel) {
    const Index plane = call.out_height * call.out_width, c = most(channel, (Index)0);
    for (Index t = 0; t < tile.tap_count; t++) {
      const Index map = (tile.line->image * call.kernel_channels + c) * g.taps + tile.taps[t]->position;
      const Scalar *from = (const Scalar *)call.kernel + map * plane + tile.row * call.out_width + tile.column(g, 0);
      gather(kernel.values + t * TILE, from, g.step_column, tile.count, V * LANES);
    }
    return;
  }
  const Index from = channel < 0 ? 0 : channel, to = channel < 0 ? call.guide_channels : channel + 1;
  if (channel <= 0) load_centres(g, tile, ring, kernel, V * LANES);
  if (kernel.inverse) {
    if (call.asymmetric) compare_all_taps<V, true, false>(tile, ring, kernel.centres, from, to, kernel.distance);
    else compare_all_taps<V, false, false>(tile, ring, kernel.centres, from, to, kernel.distance);
    const Scalar alpha = parameter_of(call.inv_alpha, call.alpha_count, from);
    const Scalar half = parameter_of(call.inv_lambda, call.lambda_count, from) / 2;
    for (Index t = 0; t < tile.tap_count; t++)
      for (Index i = 0; i < V * LANES; i++)
        kernel.raw[t * TILE + i] = alpha + power(kernel.distance[t * TILE + i] + INV_EPSILON, half);
  } else if (call.asymmetric) {
    compare_all_taps<V, true, true>(tile, ring, kernel.centres, from, to, kernel.raw);
  } else {
    compare_all_taps<V, false, true>(tile, ring, kernel.centres, from, to, kernel.raw);
  }
  if (kernel.divided) divide(g, tile, kernel, V * LANES);
}

// Sums of a thread for the parameters of an inv kernel.
struct InverseGradients {
  double *alpha, *lambda; // one value, or one a channel
  Index alpha_count, lambda_count;
};

// Lanes of tiles [taps][TILE] beyond the tile's outputs become 0: they may have met pixels that no window meets.
PACBENCH_INLINE void clear_beyond(const Tile &tile, Scalar *values, Index width) {
  if (tile.count < width)
    for (Index t = 0; t < tile.tap_count; t++)
      memset(values + t * TILE + tile.count, 0, (width - tile.count) * sizeof(Scalar));
}

// From the gradient of K to twice that of d², in place (d² is a sum of squares); sums for alpha and lambda.
template <int V>
static void differentiate_kernel(const Geometry &g, const Tile &tile, const KernelTile &kernel, Scalar *gradient,
                                 Index channel, const InverseGradients &inverse) {
  const PacCall &call = *g.call;
  const Index width = V * LANES;
  if (kernel.divided) {
    Scalar inner[TILE] = {};
    if (call.normalize)
      for (Index t = 0; t < tile.tap_count; t++)
        for (Index i = 0; i < width; i++) inner[i] += gradient[t * TILE + i] * kernel.values[t * TILE + i];
    for (Index t = 0; t < tile.tap_count; t++)
      for (Index i = 0; i < width; i++) {
        const Scalar norm = kernel.norm[i];
        Scalar &at = gradient[t * TILE + i];
        at = norm == 0 ? 0 : (at - inner[i]) * kernel.factor[t * TILE + i] / norm;
      }
  }
  if (!kernel.inverse) {
    for (Index t = 0; t < tile.tap_count; t++) {
      PACBENCH_UNROLL
      for (int v = 0; v < V; v++) {
        const Index at = t * TILE + v * LANES;
        store(gradient + at, load(gradient + at) * load(kernel.raw + at) * (Scalar)-1);
      }
    }
    clear_beyond(tile, gradient, width);
    return;
  }
  const Index c = most(channel, (Index)0);
  const Scalar half = parameter_of(call.inv_lambda, call.lambda_count, c) / 2;
  double alpha = 0, lambda = 0;
  for (Index t = 0; t < tile.tap_count; t++)
    for (Index i = 0; i < tile.count; i++) {
      Scalar &at = gradient[t * TILE + i];
      const Scalar square = kernel.distance[t * TILE + i] + INV_EPSILON;
      const Scalar to_half = power(square, half);
      alpha += at;
      lambda += at * to_half * logarithm(square) / 2;
      at *= 2 * half * to_half / square;
    }
  clear_beyond(tile, gradient, width);
  inverse.alpha[inverse.alpha_count == 1 ? 0 : c] += alpha;
  inverse.lambda[inverse.lambda_count == 1 ? 0 : c] += lambda;
}

} // namespace PACBENCH_NAMESPACE
