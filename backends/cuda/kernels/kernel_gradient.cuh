// The gradient of K, for each tap of a band of output pixels: of a kernel that is given it is the result, of one that is
// made of a guide it is kept for one band at a time only, never for more than a bounded part of the image.
#pragma once
#include "contraction.cuh"

namespace pacbench {

// Where the gradient of K of a tap lies in a band's buffer (which is the whole kernel's where the band is everything).
PACBENCH_INLINE long long band_index(const Call &c, int image, int channel, int tap, int y, int x) {
  const int taps = c.kernel_height * c.kernel_width;
  const long long map = ((long long)(image - c.first_image) * c.kernel_channels + channel) * taps + tap;
  return (map * c.rows + (y - c.first_row)) * c.out_width + x;
}

// A thread's output pixel within the band.
PACBENCH_INLINE Place place_in_band(const Call &c, int step_h, int step_w, int parts) {
  Place at = place(c.rows, c.out_width, step_h, step_w, parts);
  at.image += c.first_image;
  at.y += c.first_row;
  return at;
}

// Of a filter that mixes channels: sum over c of input(c, met pixel) times sum over o of W(o, c, tap) grad_output(o, p).
// Fields: filter (as packed for the forward direction). A thread an output pixel.
template <class T, int CHANNELS> __global__ void __launch_bounds__(THREADS) kernel_gradient(const Call c) {
  typedef typename Scalar<T>::Wide A;
  const Map map = to_input(c);
  const Place at = place_in_band(c, map.y.phases(), map.x.phases(), 1);
  if (!at.inside) return;
  const long long plane = plane_of(c.height, c.width), out_plane = plane_of(c.out_height, c.out_width);
  const T *grad = (const T *)c.grad_output + (long long)at.image * c.out_channels * out_plane + (long long)at.y * c.out_width + at.x;
  const T *image = (const T *)c.input + (long long)at.image * c.in_channels * plane;
  const Four<A> *of_tap = (const Four<A> *)c.filter;
  const int row_step = c.padded / FILTER_VECTOR;
  long long to = band_index(c, at.image, 0, 0, at.y, at.x);
  for (int ky = 0; ky < c.kernel_height; ky++)
    for (int kx = 0; kx < c.kernel_width; kx++) {
      const int y = map.y.meet(at.y, ky), x = map.x.meet(at.x, kx);
      A sum = A(0);
      if (y >= 0 && x >= 0)
        for (int first = 0; first < c.out_channels; first += CHANNELS) {
          A g[CHANNELS];
          const T *of_target = grad + first * out_plane;
#pragma unroll
          for (int i = 0; i < CHANNELS; i++) {
            g[i] = first + i < c.out_channels ? read(of_target) : A(0);
            of_target += out_plane;
          }
          const T *source = image + (long long)y * c.width + x;
          const Four<A> *row = of_tap + first / FILTER_VECTOR;
          for (int channel = 0; channel < c.in_channels; channel++) {
            A product = A(0);
#pragma unroll
            for (int four = 0; four < CHANNELS / FILTER_VECTOR; four++) {
              const Four<A> w = row[four];
#pragma unroll
              for (int i = 0; i < FILTER_VECTOR; i++) product += w.values[i] * g[four * FILTER_VECTOR + i];
            }
            sum += product * read(source);
            source += plane;
            row += row_step;
          }
        }
      write_kernel<T>(c.target, to, c.narrow_kernel, sum);
      to += (long long)c.rows * c.out_width;
      of_tap += (long long)c.in_channels * row_step;
    }
}

// Of shared filters and pooling: w(tap) times the sum of input times grad_output, over all channels or the kernel
// channel's own. A thread an output pixel; parts: kernel channels.
template <class T> __global__ void __launch_bounds__(THREADS) shared_kernel_gradient(const Call c) {
  typedef typename Scalar<T>::Wide A;
  const Map map = to_input(c);
  const Place at = place_in_band(c, map.y.phases(), map.x.phases(), c.kernel_channels);
  if (!at.inside) return;
  const long long plane = plane_of(c.height, c.width), out_plane = plane_of(c.out_height, c.out_width);
  const int first = c.kernel_channels == 1 ? 0 : at.part, last = c.kernel_channels == 1 ? c.in_channels : first + 1;
  const T *grad = (const T *)c.grad_output + (long long)at.image * c.in_channels * out_plane + (long long)at.y * c.out_width + at.x;
  const T *image = (const T *)c.input + (long long)at.image * c.in_channels * plane;
  for (int ky = 0; ky < c.kernel_height; ky++)
    for (int kx = 0; kx < c.kernel_width; kx++) {
      const int y = map.y.meet(at.y, ky), x = map.x.meet(at.x, kx), tap = ky * c.kernel_width + kx;
      A sum = A(0);
      if (y >= 0 && x >= 0) {
        for (int channel = first; channel < last; channel++)
          sum += read(grad + channel * out_plane) * read(image + channel * plane + (long long)y * c.width + x);
        if (c.weight) sum *= read((const T *)c.weight + tap);
      }
      write_kernel<T>(c.target, band_index(c, at.image, at.part, tap, at.y, at.x), c.narrow_kernel, sum);
    }
}

} // namespace pacbench
