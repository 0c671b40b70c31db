// From the gradient of K to those of d², of the guide, of a smoothed guide's centres, and of alpha and lambda.
#pragma once
#include "kernel_gradient.cuh"

namespace pacbench {

[[maybe_unused]] constexpr int GUIDE_CHANNELS = 4; // of a thread

// The gradient of K of a tap.
template <class T>
PACBENCH_INLINE typename Scalar<T>::Wide gradient_at(const Call &c, int image, int channel, int tap, int y, int x) {
  const long long index = c.whole_gradient ? kernel_index(c, image, channel, tap, y, x) : band_index(c, image, channel, tap, y, x);
  return read_kernel<T>(c.gradient, index, c.narrow_kernel);
}

// The gradient of d² of each tap, A, from that of K, which may lie in the same place. Partial sums for alpha and lambda,
// [block][2] where `partials` is given, blocks numbered with the kernel channel running fastest.
// A thread an output pixel of the band; parts: kernel channels.
template <class T> __global__ void __launch_bounds__(THREADS, BLOCKS<typename Scalar<T>::Wide>) distance_gradient(const Call c) {
  typedef typename Scalar<T>::Wide A;
  PACBENCH_SHARED_STATIC(A, of_warps, THREADS / WARP);
  const Map map = to_input(c);
  const Place at = place_in_band(c, 1, 1, c.kernel_channels);
  const int channel = at.part;
  A to_alpha = A(0), to_lambda = A(0);
  if (at.inside) {
    const A norm = c.norms ? norm_at<A>(c, at.image, channel, at.y, at.x) : A(1);
    A inner = A(0); // sum of K times its gradient, which a normalised kernel's is diminished by
    if (c.norms && c.normalize)
      for (int ky = 0; ky < c.kernel_height; ky++)
        for (int kx = 0; kx < c.kernel_width; kx++) {
          const int y = map.y.meet(at.y, ky), x = map.x.meet(at.x, kx);
          if (y < 0 || x < 0) continue;
          inner += gradient_at<T>(c, at.image, channel, ky * c.kernel_width + kx, at.y, at.x) *
                   kernel_at<T>(c, at.image, channel, at.y, at.x, ky, kx, y, x);
        }
    for (int ky = 0; ky < c.kernel_height; ky++)
      for (int kx = 0; kx < c.kernel_width; kx++) {
        const int y = map.y.meet(at.y, ky), x = map.x.meet(at.x, kx);
        const int tap = ky * c.kernel_width + kx;
        A gradient = gradient_at<T>(c, at.image, channel, tap, at.y, at.x);
        if (c.norms) gradient = norm == A(0) ? A(0) : (gradient - inner) * factor_at<A>(c, at.image, y, x) / norm;
        const A square = distance<A>(c, at.image, channel, at.y, at.x, ky, kx);
        if (c.form == 0) {
          gradient *= A(-0.5) * exponential(A(-0.5) * square);
        } else {
          const A base = shifted(square), half = half_lambda_of<A>(c, channel), raised = power(base, half);
          to_alpha += gradient;
          to_lambda += gradient * raised * logarithm(base) / A(2);
          gradient *= half * raised / base;
        }
        ((A *)c.target)[band_index(c, at.image, channel, tap, at.y, at.x)] = gradient;
      }
  }
  if (c.partials) {
    to_alpha = block_sum(to_alpha, of_warps);
    to_lambda = block_sum(to_lambda, of_warps);
    if (thread_in_block() == 0) {
      const int tiles = ceil_div(c.rows, (int)blockDim.y) * ceil_div(c.out_width, (int)blockDim.x);
      const int tile = (int)blockIdx.x % tiles, image = (int)blockIdx.x / tiles / c.kernel_channels;
      A *to = (A *)c.partials + c.partial_offset + 2 * (((long long)image * tiles + tile) * c.kernel_channels + channel);
      to[0] = to_alpha;
      to[1] = to_lambda;
    }
  }
}

// What a band adds to the gradient of the guide, gathered: from the taps that lie on a guide pixel and, where nothing is
// smoothed, from the window centred on it. A thread a guide pixel and GUIDE_CHANNELS channels; parts: blocks of those.
template <class A> __global__ void __launch_bounds__(THREADS) guide_gradient(const Call c) {
  const Map map = guide_to_output(c), centred = centre_to_output(c);
  const int parts = ceil_div(c.guide_channels, GUIDE_CHANNELS);
  Place at = place(c.guide_height, c.guide_width, map.y.stride, map.x.stride, parts);
  if (!at.inside) return;
  at.image += c.first_image;
  const int first = at.part * GUIDE_CHANNELS;
  const int count = c.guide_channels - first < GUIDE_CHANNELS ? c.guide_channels - first : GUIDE_CHANNELS;
  const long long plane = plane_of(c.guide_height, c.guide_width);
  const long long first_plane = (long long)at.image * c.guide_channels + first;
  const long long offset = first_plane * plane + (long long)at.y * c.guide_width + at.x;
  const int first_channel = c.kernel_channels > 1 ? first : 0; // of K, and how far its channels lie apart
  const long long channel_step = c.kernel_channels > 1 ? (long long)c.kernel_height * c.kernel_width * c.rows * c.out_width : 0;
  const A *own = (const A *)c.guide + offset;
  A sum[GUIDE_CHANNELS], f[GUIDE_CHANNELS];
#pragma unroll
  for (int i = 0; i < GUIDE_CHANNELS; i++) {
    sum[i] = A(0);
    f[i] = i < count ? read(own + i * plane) : A(0);
  }
  const int centred_y = c.centres ? -1 : centred.y.meet(at.y, 0), centred_x = centred.x.meet(at.x, 0);
  const int last_row = c.first_row + c.rows;
  const bool centred_here = centred_y >= c.first_row && centred_y < last_row && centred_x >= 0;
  for (int ky = 0; ky < c.kernel_height; ky++)
    for (int kx = 0; kx < c.kernel_width; kx++) {
      const int tap = ky * c.kernel_width + kx;
      const int y = map.y.meet(at.y, ky), x = map.x.meet(at.x, kx);
      const bool met = y >= c.first_row && y < last_row && x >= 0;
      if (met) {
        Walked centre = walk_centres(c, first_plane, y, x);
        long long gradient_at = band_index(c, at.image, first_channel, tap, y, x);
        A gradient = A(0);
#pragma unroll
        for (int i = 0; i < GUIDE_CHANNELS; i++)
          if (i < count) {
            if (i == 0 || channel_step) gradient = ((const A *)c.gradient)[gradient_at];
            sum[i] += gradient * cut(c, f[i] - next(centres_of<A>(c), centre));
            gradient_at += channel_step;
          }
      }
      if (centred_here) {
        Walked tapped = walk_tap(c, first_plane, centred_y, centred_x, ky, kx);
        long long gradient_at = band_index(c, at.image, first_channel, tap, centred_y, centred_x);
        A gradient = A(0);
#pragma unroll
        for (int i = 0; i < GUIDE_CHANNELS; i++)
          if (i < count) {
            if (i == 0 || channel_step) gradient = ((const A *)c.gradient)[gradient_at];
            sum[i] -= gradient * cut(c, next((const A *)c.guide, tapped) - f[i]);
            gradient_at += channel_step;
          }
      }
    }
#pragma unroll
  for (int i = 0; i < GUIDE_CHANNELS; i++)
    if (i < count) {
      A *to = (A *)c.target + offset + i * plane;
      *to = A(2) * sum[i] + (c.accumulate ? *to : A(0));
    }
}

// The gradient of the centres of a smoothed guide. A thread an output pixel of the band; parts: guide channels.
template <class A> __global__ void __launch_bounds__(THREADS) centre_gradient(const Call c) {
  const Place at = place_in_band(c, 1, 1, c.guide_channels);
  if (!at.inside) return;
  const int g = at.part, channel = c.kernel_channels > 1 ? g : 0;
  const long long index = (long long)at.image * c.guide_channels + g;
  Walked centre = walk_centres(c, index, at.y, at.x);
  const A f = next(centres_of<A>(c), centre);
  A sum = A(0);
  for (int ky = 0; ky < c.kernel_height; ky++)
    for (int kx = 0; kx < c.kernel_width; kx++) {
      Walked tap = walk_tap(c, index, at.y, at.x, ky, kx);
      const A tapped = next((const A *)c.guide, tap);
      sum += ((const A *)c.gradient)[band_index(c, at.image, channel, ky * c.kernel_width + kx, at.y, at.x)] * cut(c, tapped - f);
    }
  ((A *)c.target)[(index * c.out_height + at.y) * c.out_width + at.x] = A(-2) * sum;
}

} // namespace pacbench
