// Contractions of modulated taps with a filter: convolution, transposed convolution, and the gradient of their input.
//
// All four are one sum: target(c', p) = sum over taps and source channels of filter(tap, c, c') K source(c, met pixel).
// Forward the source is the input, K that of the target's pixel; backward the source is grad_output, K that of its pixel.
#pragma once
#include "adapting.cuh"
#include "sums.cuh"

namespace pacbench {

constexpr int FILTER_VECTOR = 4;

// Four neighbouring channels of a packed filter, read at once.
template <class A> struct __align__(16) Four {
  A values[FILTER_VECTOR];
};

// The weight as [tap][source channel][target channel, padded with zeros], A: reads of all threads of a block are then one
// vector. Fields: weight, in_channels, out_channels, backward, transposed, padded, elements; target. A thread an element.
template <class T> __global__ void __launch_bounds__(THREADS) pack_filter(const Call c) {
  typedef typename Scalar<T>::Wide A;
  const int taps = c.kernel_height * c.kernel_width;
  const int sources = c.backward ? c.out_channels : c.in_channels, targets = c.backward ? c.in_channels : c.out_channels;
  const int element = (int)blockIdx.x * THREADS + thread_in_block(); // the caller refuses what would not fit
  if (element >= c.elements) return;
  const int to = element % c.padded, from = element / c.padded % sources, tap = element / c.padded / sources;
  A value = A(0);
  if (to < targets) {
    const int in = c.backward ? to : from, out = c.backward ? from : to;
    const long long pair = c.transposed ? (long long)in * c.out_channels + out : (long long)out * c.in_channels + in;
    value = read((const T *)c.weight + pair * taps + tap);
  }
  ((A *)c.target)[element] = value;
}

// sum += x * row of CHANNELS channels of a packed filter.
template <class A, int CHANNELS> PACBENCH_INLINE void add_multiple(A (&sum)[CHANNELS], A x, const Four<A> *row) {
#pragma unroll
  for (int four = 0; four < CHANNELS / FILTER_VECTOR; four++) {
    const Four<A> w = row[four];
#pragma unroll
    for (int i = 0; i < FILTER_VECTOR; i++) sum[four * FILTER_VECTOR + i] += x * w.values[i];
  }
}

// The sums of a thread's target channels [first, first + CHANNELS) at a pixel, added to the base where there is one.
template <class T, int CHANNELS>
PACBENCH_INLINE void write_sums(const Call &c, const typename Scalar<T>::Wide (&sum)[CHANNELS], int image, int first, int targets,
                                long long pixel, long long plane) {
  const int count = targets - first < CHANNELS ? targets - first : CHANNELS;
  long long at = ((long long)image * targets + first) * plane + pixel;
#pragma unroll
  for (int i = 0; i < CHANNELS; i++) {
    if (i < count) write((T *)c.target + at, c.base ? read((const T *)c.base + at) + sum[i] : sum[i]);
    at += plane;
  }
}

// Any geometry, each tap gathered: a thread a target pixel and CHANNELS target channels.
// Parts: blocks of target channels.
template <class T, int CHANNELS> __global__ void __launch_bounds__(THREADS, BLOCKS<typename Scalar<T>::Wide>) contract(const Call c) {
  typedef typename Scalar<T>::Wide A;
  const Map map = c.backward ? to_output(c) : to_input(c);
  const int height = c.backward ? c.height : c.out_height, width = c.backward ? c.width : c.out_width;
  const int sources = c.backward ? c.out_channels : c.in_channels, targets = c.backward ? c.in_channels : c.out_channels;
  const Place at = place(height, width, map.y.phases(), map.x.phases(), c.padded / CHANNELS);
  if (!at.inside) return;
  const int first = at.part * CHANNELS;
  A sum[CHANNELS];
#pragma unroll
  for (int i = 0; i < CHANNELS; i++) sum[i] = c.bias && first + i < targets ? read((const T *)c.bias + first + i) : A(0);
  const long long source_plane = plane_of(map.y.size, map.x.size);
  const T *image = (const T *)(c.backward ? c.grad_output : c.input) + (long long)at.image * sources * source_plane;
  const Four<A> *rows = (const Four<A> *)c.filter + first / FILTER_VECTOR;
  const int row_step = c.padded / FILTER_VECTOR;
  for (int ky = 0; ky < c.kernel_height; ky++) {
    const int y = map.y.meet(at.y, ky);
    if (y < 0) continue;
    for (int kx = 0; kx < c.kernel_width; kx++) {
      const int x = map.x.meet(at.x, kx);
      if (x < 0) continue;
      const A k = kernel_between<T>(c, at.image, 0, at.y, at.x, ky, kx, y, x);
      const T *source = image + (long long)y * map.x.size + x;
      const Four<A> *row = rows + (long long)(ky * c.kernel_width + kx) * sources * row_step;
#pragma unroll (CHANNELS > FILTER_VECTOR ? 1 : 4)
      for (int channel = 0; channel < sources; channel++) {
        add_multiple(sum, k * read(source), row);
        source += source_plane;
        row += row_step;
      }
    }
  }
  write_sums<T>(c, sum, at.image, first, targets, (long long)at.y * width + at.x, plane_of(height, width));
}

} // namespace pacbench
