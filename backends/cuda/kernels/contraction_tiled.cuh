// Contractions of stride 1 over K x K taps that lie close together: the common case, from tiles in shared memory.
//
// A block stages its targets' source pixels with their halo, a few channels at a time, and the filter's rows for them. K of
// all taps of a thread's pixels stays in registers; each vector of the filter read from shared memory serves all of them.
// Forward and backward differ in the order in which taps meet the tile: a tap t of a target lies `along(t)` steps from the
// tile's corner, which is t forward and K - 1 - t backward.
#pragma once
#include "contraction.cuh"

namespace pacbench {

constexpr int TILE_WIDTH = 32, TILE_LINES = 4; // threads of a block along x and y
constexpr int STAGED = 4;                      // channels in shared memory at once

// Target pixels of a thread, one below the other, TILE_LINES apart: two, unless K fills the registers.
template <int K> struct PixelsOfThread {
  static constexpr int count = K < 7 ? 2 : 1;
};

// A block's tile of pixels with its halo.
struct Halo {
  int y, x;          // of the corner in the image, which may lie outside
  int height, width; // of the tile
};

template <int K> PACBENCH_INLINE Halo halo_at(const Call &c, int y, int x) {
  return {y, x, TILE_LINES * PixelsOfThread<K>::count + (K - 1) * c.dilation_height, TILE_WIDTH + (K - 1) * c.dilation_width};
}

// Channels [first, first + STAGED) of an image into the tile, 0 outside the image and past the last channel.
template <class T>
PACBENCH_INLINE void stage(typename Scalar<T>::Wide *tile, const Halo &halo, const T *image, int first, int channels, int height,
                           int width) {
  typedef typename Scalar<T>::Wide A;
  const int size = halo.height * halo.width;
  for (int e = thread_in_block(); e < STAGED * size; e += THREADS) {
    const int channel = e / size, row = (e - channel * size) / halo.width, column = e - channel * size - row * halo.width;
    const int y = halo.y + row, x = halo.x + column;
    const bool inside = first + channel < channels && y >= 0 && y < height && x >= 0 && x < width;
    tile[e] = inside ? read(image + (first + channel) * plane_of(height, width) + (long long)y * width + x) : A(0);
  }
}

// What a thread must know of its target pixels.
struct Targets {
  int image, y, x; // of the first; the others lie TILE_LINES rows apart
  int local_y, local_x;
};

// K of all taps of a thread's target pixels into `values`: given, or from tiles of the guide.
template <class T, int K>
PACBENCH_INLINE void kernel_values(const Call &c, const Targets &at, const Map &map, int height, int width,
                                   typename Scalar<T>::Wide *tile,
                                   typename Scalar<T>::Wide (&values)[PixelsOfThread<K>::count][K * K]) {
  typedef typename Scalar<T>::Wide A;
  constexpr int PIXELS = PixelsOfThread<K>::count;
#pragma unroll
  for (int p = 0; p < PIXELS; p++)
#pragma unroll
    for (int t = 0; t < K * K; t++) values[p][t] = A(0);
  if (!c.kernel) {
    // The window's centre where K is that of the target, else the centres of the windows that meet the target.
    const int reach_h = (K - 1) * c.dilation_height, reach_w = (K - 1) * c.dilation_width;
    const int low_h = c.backward ? -c.offset_height - c.guide_padding_height - reach_h / 2 : -c.guide_padding_height;
    const int low_w = c.backward ? -c.offset_width - c.guide_padding_width - reach_w / 2 : -c.guide_padding_width;
    const Halo halo = halo_at<K>(c, at.y - at.local_y + low_h, at.x - at.local_x + low_w);
    const A *guide = (const A *)c.guide + (long long)at.image * c.guide_channels * plane_of(c.guide_height, c.guide_width);
    for (int first = 0; first < c.guide_channels; first += STAGED) {
      stage<A>(tile, halo, guide, first, c.guide_channels, c.guide_height, c.guide_width);
      __syncthreads();
      for (int channel = 0; channel < STAGED; channel++) {
        const A *of_channel = tile + channel * halo.height * halo.width;
#pragma unroll
        for (int p = 0; p < PIXELS; p++) {
          const A *corner = of_channel + (at.local_y + p * TILE_LINES) * halo.width + at.local_x;
          const A own = corner[K / 2 * (c.dilation_height * halo.width + c.dilation_width)];
#pragma unroll
          for (int t = 0; t < K * K; t++) {
            const int ky = c.backward ? K - 1 - t / K : t / K, kx = c.backward ? K - 1 - t % K : t % K;
            const A other = corner[ky * c.dilation_height * halo.width + kx * c.dilation_width];
            const A difference = cut(c, c.backward ? own - other : other - own);
            values[p][t] += difference * difference;
          }
        }
      }
      __syncthreads();
    }
  }
#pragma unroll
  for (int p = 0; p < PIXELS; p++) {
    const int target_y = at.y + p * TILE_LINES;
#pragma unroll
    for (int t = 0; t < K * K; t++) {
      const int y = map.y.meet(target_y, t / K), x = map.x.meet(at.x, t % K); // the source pixel
      const int out_y = c.backward ? y : target_y, out_x = c.backward ? x : at.x;
      const bool met = y >= 0 && x >= 0 && target_y < height && at.x < width;
      A value = values[p][t];
      if (!c.kernel) value = of_distance(c, 0, value);
      if (!met) value = A(0); // the source is 0 there, and K may be of no output
      else if (c.kernel) value = read_kernel<T>(c.kernel, kernel_index(c, at.image, 0, t, out_y, out_x), c.narrow_kernel);
      else if (c.norms) value = divided(c, value, at.image, 0, out_y, out_x, c.backward ? target_y : y, c.backward ? at.x : x);
      values[p][t] = value;
    }
  }
}

// As `contract`, for stride 1, K x K taps and no smoothed guide. Dynamic shared memory: STAGED * (K * K * CHANNELS + the
// tile's size) values. Blocks: image by image, part by part, tile by tile.
template <class T, int K, int CHANNELS> __global__ void __launch_bounds__(THREADS) contract_tiled(const Call c) {
  typedef typename Scalar<T>::Wide A;
  constexpr int PIXELS = PixelsOfThread<K>::count, VECTORS = CHANNELS / FILTER_VECTOR;
  PACBENCH_SHARED_DYNAMIC(A, shared);
  A *rows = shared, *tile = shared + STAGED * K * K * CHANNELS;
  const Map map = c.backward ? to_output(c) : to_input(c);
  const int height = c.backward ? c.height : c.out_height, width = c.backward ? c.width : c.out_width;
  const int sources = c.backward ? c.out_channels : c.in_channels, targets = c.backward ? c.in_channels : c.out_channels;
  const int tiles_x = ceil_div(width, TILE_WIDTH), tiles_y = ceil_div(height, TILE_LINES * PIXELS);
  int block = (int)blockIdx.x;
  const int tile_x = block % tiles_x * TILE_WIDTH;
  block /= tiles_x;
  const int tile_y = block % tiles_y * (TILE_LINES * PIXELS);
  block /= tiles_y;
  const int parts = c.padded / CHANNELS, first = block % parts * CHANNELS, image = block / parts;
  const Targets at = {image, tile_y + (int)threadIdx.y, tile_x + (int)threadIdx.x, (int)threadIdx.y, (int)threadIdx.x};

  A k[PIXELS][K * K], sum[PIXELS][CHANNELS];
  kernel_values<T, K>(c, at, map, height, width, tile, k);
#pragma unroll
  for (int p = 0; p < PIXELS; p++)
#pragma unroll
    for (int i = 0; i < CHANNELS; i++) sum[p][i] = c.bias && first + i < targets ? read((const T *)c.bias + first + i) : A(0);

  const int low_h = c.backward ? -c.offset_height - (K - 1) * c.dilation_height : c.offset_height;
  const int low_w = c.backward ? -c.offset_width - (K - 1) * c.dilation_width : c.offset_width;
  const Halo halo = halo_at<K>(c, tile_y + low_h, tile_x + low_w);
  const T *source = (const T *)(c.backward ? c.grad_output : c.input) + (long long)image * sources * plane_of(map.y.size, map.x.size);
  for (int from = 0; from < sources; from += STAGED) {
    stage(tile, halo, source, from, sources, map.y.size, map.x.size);
    for (int e = thread_in_block(); e < STAGED * K * K * VECTORS; e += THREADS) {
      const int vector = e % VECTORS, tap = e / VECTORS % (K * K), channel = e / VECTORS / (K * K);
      Four<A> row = {};
      if (from + channel < sources)
        row = ((const Four<A> *)c.filter)[(((long long)tap * sources + from + channel) * c.padded + first) / FILTER_VECTOR + vector];
      ((Four<A> *)rows)[e] = row;
    }
    __syncthreads();
    for (int channel = 0; channel < STAGED; channel++) {
      const A *corner = tile + channel * halo.height * halo.width + at.local_y * halo.width + at.local_x;
      const Four<A> *row = (const Four<A> *)rows + channel * K * K * VECTORS;
#pragma unroll
      for (int t = 0; t < K * K; t++) {
        const int ky = c.backward ? K - 1 - t / K : t / K, kx = c.backward ? K - 1 - t % K : t % K;
        const A *met = corner + ky * c.dilation_height * halo.width + kx * c.dilation_width;
        A x[PIXELS];
#pragma unroll
        for (int p = 0; p < PIXELS; p++) x[p] = k[p][t] * met[p * TILE_LINES * halo.width];
#pragma unroll
        for (int vector = 0; vector < VECTORS; vector++) {
          const Four<A> w = row[t * VECTORS + vector];
#pragma unroll
          for (int p = 0; p < PIXELS; p++)
#pragma unroll
            for (int i = 0; i < FILTER_VECTOR; i++) sum[p][vector * FILTER_VECTOR + i] += x[p] * w.values[i];
        }
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int p = 0; p < PIXELS; p++) {
    const int y = at.y + p * TILE_LINES;
    if (y < height && at.x < width) {
      T *target = (T *)c.target + ((long long)image * targets + first) * plane_of(height, width) + (long long)y * width + at.x;
#pragma unroll
      for (int i = 0; i < CHANNELS; i++)
        if (first + i < targets) write(target + i * plane_of(height, width), sum[p][i]);
    }
  }
}

} // namespace pacbench
