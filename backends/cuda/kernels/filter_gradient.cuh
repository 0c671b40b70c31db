// The gradient of a filter: a sum over all output pixels, in parts (slabs of pixels) that `sum_partials` adds up.
#pragma once
#include "contraction.cuh"

namespace pacbench {

constexpr int FILTER_OUT = 32, FILTER_IN = 16; // the tile of a block: output channels x input channels, of one tap
constexpr int FILTER_PIXELS = 64;              // staged in shared memory at once, a quarter for each warp
static_assert(THREADS / WARP * FILTER_OUT * FILTER_IN <= FILTER_PIXELS * FILTER_OUT, "the sums of all warps take the place of a tile");
constexpr int OUT_PITCH = FILTER_OUT + 4, IN_PITCH = FILTER_IN + 4; // rows stay vectors; neighbours fall on other banks

// partials [slab][the weight's layout] as `target`. Each thread owns 4 x 4 channel pairs and its warp's pixels, so that a
// pair of vectors read from shared memory serves 16 multiply-adds. The sums of warps are added in their order.
// Blocks: slab by slab, tap by tap, tile of output channels by tile, tile of input channels by tile.
template <class T> __global__ void __launch_bounds__(THREADS, BLOCKS<typename Scalar<T>::Wide> / 2) filter_gradient(const Call c) {
  typedef typename Scalar<T>::Wide A;
  PACBENCH_SHARED_STATIC(A, out_tile, FILTER_PIXELS * OUT_PITCH);
  PACBENCH_SHARED_STATIC(A, in_tile, FILTER_PIXELS * IN_PITCH);
  PACBENCH_SHARED_STATIC(A, kernel_tile, FILTER_PIXELS);
  PACBENCH_SHARED_STATIC(long long, places, FILTER_PIXELS);
  const int taps = c.kernel_height * c.kernel_width;
  const int in_tiles = ceil_div(c.in_channels, FILTER_IN), out_tiles = ceil_div(c.out_channels, FILTER_OUT);
  int block = (int)blockIdx.x;
  const int first_in = block % in_tiles * FILTER_IN;
  block /= in_tiles;
  const int first_out = block % out_tiles * FILTER_OUT;
  block /= out_tiles;
  const int tap = block % taps, slab = block / taps;
  const int ky = tap / c.kernel_width, kx = tap - ky * c.kernel_width;
  const int thread = thread_in_block(), lane = thread % WARP, warp = thread / WARP;
  const int lane_out = lane % 8 * 4, lane_in = lane / 8 * 4;
  const long long plane = plane_of(c.height, c.width);
  const int out_plane = c.out_height * c.out_width;
  const Map map = to_input(c);
  const Slab part = slab_of(c, slab);
  A sum[4][4] = {};
  for (int first = part.first; first < part.last; first += FILTER_PIXELS) {
    const int count = part.last - first < FILTER_PIXELS ? part.last - first : FILTER_PIXELS;
    // K of each pixel, and where the tap meets the input: -1 where it does not.
    if (thread < FILTER_PIXELS) {
      A k = A(0);
      long long met = -1;
      if (thread < count) {
        const Pixel p = pixel_of(c, first + thread);
        const int y = map.y.meet(p.y, ky), x = map.x.meet(p.x, kx);
        if (y >= 0 && x >= 0) {
          k = kernel_at<T>(c, p.image, 0, p.y, p.x, ky, kx, y, x);
          met = (long long)p.image * c.in_channels * plane + (long long)y * c.width + x;
        }
      }
      kernel_tile[thread] = k;
      places[thread] = met;
    }
    for (int e = thread; e < FILTER_PIXELS * FILTER_OUT; e += THREADS) {
      const int pixel = e % FILTER_PIXELS, channel = e / FILTER_PIXELS;
      A value = A(0);
      if (pixel < count && first_out + channel < c.out_channels) {
        const int image = (first + pixel) / out_plane, at = first + pixel - image * out_plane;
        value = read((const T *)c.grad_output + ((long long)image * c.out_channels + first_out + channel) * out_plane + at);
      }
      out_tile[pixel * OUT_PITCH + channel] = value;
    }
    __syncthreads();
    for (int e = thread; e < FILTER_PIXELS * FILTER_IN; e += THREADS) {
      const int pixel = e % FILTER_PIXELS, channel = e / FILTER_PIXELS;
      A value = A(0);
      if (places[pixel] >= 0 && first_in + channel < c.in_channels)
        value = kernel_tile[pixel] * read((const T *)c.input + places[pixel] + (first_in + channel) * plane);
      in_tile[pixel * IN_PITCH + channel] = value;
    }
    __syncthreads();
    for (int pixel = warp; pixel < FILTER_PIXELS; pixel += THREADS / WARP) {
      const Four<A> out = *(const Four<A> *)(out_tile + pixel * OUT_PITCH + lane_out);
      const Four<A> in = *(const Four<A> *)(in_tile + pixel * IN_PITCH + lane_in);
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) sum[i][j] += out.values[i] * in.values[j];
    }
    __syncthreads();
  }
  // The tiles have been read by all: the sums of the four warps take their place.
  A *sums = out_tile;
#pragma unroll
  for (int i = 0; i < 4; i++)
#pragma unroll
    for (int j = 0; j < 4; j++) sums[warp * FILTER_OUT * FILTER_IN + (lane_out + i) * FILTER_IN + lane_in + j] = sum[i][j];
  __syncthreads();
  for (int e = thread; e < FILTER_OUT * FILTER_IN; e += THREADS) {
    const int out = first_out + e / FILTER_IN, in = first_in + e % FILTER_IN;
    if (out < c.out_channels && in < c.in_channels) {
      const long long pair = c.transposed ? (long long)in * c.out_channels + out : (long long)out * c.in_channels + in;
      const long long weights = (long long)c.in_channels * c.out_channels * taps;
      A total = A(0);
#pragma unroll
      for (int of_warp = 0; of_warp < THREADS / WARP; of_warp++) total += sums[of_warp * FILTER_OUT * FILTER_IN + e];
      ((A *)c.target)[slab * weights + pair * taps + tap] = total;
    }
  }
}

// Of shared filters: partials [slab][tap] as `target`. Blocks: slab by slab, tap by tap.
template <class T> __global__ void __launch_bounds__(THREADS, BLOCKS<typename Scalar<T>::Wide>) shared_filter_gradient(const Call c) {
  typedef typename Scalar<T>::Wide A;
  PACBENCH_SHARED_STATIC(A, of_warps, THREADS / WARP);
  const int taps = c.kernel_height * c.kernel_width;
  const int tap = (int)blockIdx.x % taps, slab = (int)blockIdx.x / taps;
  const int ky = tap / c.kernel_width, kx = tap - ky * c.kernel_width;
  const long long plane = plane_of(c.height, c.width), out_plane = plane_of(c.out_height, c.out_width);
  const Map map = to_input(c);
  const Slab part = slab_of(c, slab);
  A sum = A(0);
  for (int number = part.first + thread_in_block(); number < part.last; number += THREADS) {
    const Pixel p = pixel_of(c, number);
    const int y = map.y.meet(p.y, ky), x = map.x.meet(p.x, kx);
    if (y < 0 || x < 0) continue;
    const T *grad = (const T *)c.grad_output + (long long)p.image * c.in_channels * out_plane + (long long)p.y * c.out_width + p.x;
    const T *source = (const T *)c.input + (long long)p.image * c.in_channels * plane + (long long)y * c.width + x;
    A of_pixel = A(0);
    for (int channel = 0; channel < c.in_channels; channel++)
      of_pixel += read(grad + channel * out_plane) * read(source + channel * plane);
    sum += of_pixel * kernel_at<T>(c, p.image, 0, p.y, p.x, ky, kx, y, x);
  }
  sum = block_sum(sum, of_warps);
  if (thread_in_block() == 0) ((A *)c.target)[(long long)slab * taps + tap] = sum;
}

} // namespace pacbench
