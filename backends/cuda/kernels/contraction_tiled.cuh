// Contractions of stride 1 over K x K taps that lie close together: the common case, from tiles in shared memory.
//
// A block stages its targets' source pixels with their halo, a few channels at a time, and the filter's rows for them. K of
// all taps of a thread's pixels stays in registers; each vector of the filter read from shared memory serves all of them.
// Forward and backward differ in the order in which taps meet the tile: from the first corner of a target's window to the
// last, or back.
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

// Steps from tap to tap in the order of K's taps, where the first one leads to `start`. Addresses are walked, not computed
// tap by tap: a compiler would compute all of them before the loop over channels, and keep them in registers.
struct Walk {
  int start, right, down;
};

// Through a tile, from the corner of a target's window.
template <int K> PACBENCH_INLINE Walk walk_tile(const Call &c, const Halo &halo) {
  const int right = c.dilation_width, down = c.dilation_height * halo.width;
  if (c.backward) return {(K - 1) * (right + down), -right, -down};
  return {0, right, down};
}

// Which source pixel a tap meets: with stride 1, transposed or not, one step a tap.
struct Meeting {
  int y, x, down, right; // of the first tap of a target at (0, 0)
};

PACBENCH_INLINE Meeting meeting(const Call &c) {
  if (c.backward) return {-c.offset_height, -c.offset_width, -c.dilation_height, -c.dilation_width};
  return {c.offset_height, c.offset_width, c.dilation_height, c.dilation_width};
}

// d² of all taps of a thread's target pixels into `values`, from tiles of the guide.
template <class A, int K>
PACBENCH_INLINE void distances(const Call &c, const Targets &at, A *tile, A (&values)[PixelsOfThread<K>::count][K * K]) {
  constexpr int PIXELS = PixelsOfThread<K>::count;
  // The window's centre where K is that of the target, else the centres of the windows that meet the target.
  const int reach_h = (K - 1) * c.dilation_height, reach_w = (K - 1) * c.dilation_width;
  const int low_h = c.backward ? -c.offset_height - c.guide_padding_height - reach_h / 2 : -c.guide_padding_height;
  const int low_w = c.backward ? -c.offset_width - c.guide_padding_width - reach_w / 2 : -c.guide_padding_width;
  const Halo halo = halo_at<K>(c, at.y - at.local_y + low_h, at.x - at.local_x + low_w);
  const Walk walk = walk_tile<K>(c, halo);
  const A *guide = (const A *)c.guide + (long long)at.image * c.guide_channels * plane_of(c.guide_height, c.guide_width);
  for (int first = 0; first < c.guide_channels; first += STAGED) {
    stage<A>(tile, halo, guide, first, c.guide_channels, c.guide_height, c.guide_width);
    __syncthreads();
#pragma unroll 1
    for (int channel = 0; channel < STAGED; channel++) {
#pragma unroll
      for (int p = 0; p < PIXELS; p++) {
        const A *corner = tile + (channel * halo.height + at.local_y + p * TILE_LINES) * halo.width + at.local_x;
        const A own = corner[K / 2 * (c.dilation_height * halo.width + c.dilation_width)];
        const A *row = corner + walk.start;
#pragma unroll
        for (int ky = 0; ky < K; ky++) {
          const A *other = row;
#pragma unroll
          for (int kx = 0; kx < K; kx++) {
            const A difference = cut(c, c.backward ? own - *other : *other - own);
            values[p][ky * K + kx] += difference * difference;
            other += walk.right;
          }
          row += walk.down;
        }
      }
    }
    __syncthreads();
  }
}

// K of distances, before mask and normalisation.
template <class A, int COUNT> PACBENCH_INLINE void of_distances(const Call &c, A (&values)[COUNT]) {
  if (c.form == 0) {
#pragma unroll
    for (int t = 0; t < COUNT; t++) values[t] = exponential(A(-0.5) * values[t]);
  } else {
    const A alpha = alpha_of<A>(c, 0), half_lambda = half_lambda_of<A>(c, 0);
#pragma unroll
    for (int t = 0; t < COUNT; t++) values[t] = alpha + power(shifted(values[t]), half_lambda);
  }
}

// K of all taps of a thread's target pixels into `values`, 0 where the tap meets no source pixel: given, or made.
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
  if (!c.kernel) distances<A, K>(c, at, tile, values);
  const Meeting first = meeting(c);
  const long long plane = plane_of(c.out_height, c.out_width);
#pragma unroll
  for (int p = 0; p < PIXELS; p++) {
    const int target_y = at.y + p * TILE_LINES;
    if (!c.kernel) of_distances(c, values[p]);
    // Where K of the tap lies, and its norm: of the target, or of the pixel that it meets.
    const int out_y = c.backward ? target_y + first.y : target_y, out_x = c.backward ? at.x + first.x : at.x;
    const long long down = c.backward ? (long long)first.down * c.out_width : 0;
    const int right = c.backward ? first.right : 0;
    const long long pixel = (long long)at.image * plane + (long long)out_y * c.out_width + out_x;
    long long kernel_row = pixel + (K * K - 1) * (long long)at.image * plane, norm_row = pixel;
    int y = target_y + first.y;
#pragma unroll
    for (int ky = 0; ky < K; ky++) {
      const bool row_met = target_y < height && at.x < width && y >= 0 && y < map.y.size;
      long long of_kernel = kernel_row, of_norm = norm_row;
      int x = at.x + first.x;
#pragma unroll
      for (int kx = 0; kx < K; kx++) {
        const bool met = row_met && x >= 0 && x < map.x.size;
        A value = values[p][ky * K + kx];
        if (!met) {
          value = A(0); // the source is 0 there, and K may be of no output
        } else if (c.kernel) {
          value = read_kernel<T>(c.kernel, of_kernel, c.narrow_kernel);
        } else if (c.norms) {
          const A norm = read((const A *)c.norms + of_norm);
          const A factor = factor_at<A>(c, at.image, c.backward ? target_y : y, c.backward ? at.x : x);
          value = norm == A(0) ? A(0) : value * factor / norm;
        }
        values[p][ky * K + kx] = value;
        x += first.right;
        of_kernel += plane + right;
        of_norm += right;
      }
      y += first.down;
      kernel_row += K * plane + down;
      norm_row += down;
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
  const Walk walk = walk_tile<K>(c, halo);
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
    const int count = sources - from < STAGED ? sources - from : STAGED; // an infinite K times the zeros past it is no number
#pragma unroll 1
    for (int channel = 0; channel < count; channel++) {
      const A *met_row = tile + (channel * halo.height + at.local_y) * halo.width + at.local_x + walk.start;
      const Four<A> *row = (const Four<A> *)rows + channel * K * K * VECTORS;
#pragma unroll
      for (int ky = 0; ky < K; ky++) {
        const A *met = met_row;
#pragma unroll
        for (int kx = 0; kx < K; kx++) {
          A x[PIXELS];
#pragma unroll
          for (int p = 0; p < PIXELS; p++) x[p] = k[p][ky * K + kx] * met[p * TILE_LINES * halo.width];
#pragma unroll
          for (int vector = 0; vector < VECTORS; vector++) {
            const Four<A> w = row[(ky * K + kx) * VECTORS + vector];
#pragma unroll
            for (int p = 0; p < PIXELS; p++)
#pragma unroll
              for (int i = 0; i < FILTER_VECTOR; i++) sum[p][vector * FILTER_VECTOR + i] += x[p] * w.values[i];
          }
          met += walk.right;
        }
        met_row += walk.down;
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int p = 0; p < PIXELS; p++) {
    const int y = at.y + p * TILE_LINES;
    if (y < height && at.x < width)
      write_sums<T>(c, sum[p], image, first, targets, (long long)y * width + at.x, plane_of(height, width));
  }
}

} // namespace pacbench
