// The adapting kernel by itself (packernel2d), and what a masked or normalised one is divided by.
#pragma once
#include "adapting.cuh"

namespace pacbench {

// norms (N, kernel_channels, H', W') as `target`, and the output mask. With `normalize` the sum of K times the mask over the
// taps that meet a pixel of the input, without it the part of those taps that is valid. A thread an output pixel; parts:
// kernel channels.
template <class A> __global__ void __launch_bounds__(THREADS) kernel_norms(const Call c) {
  const Map map = to_input(c);
  const Place at = place(c.out_height, c.out_width, map.y.phases(), map.x.phases(), c.kernel_channels);
  if (!at.inside) return;
  A norm = A(0), inside = A(0);
  bool any = false;
  for (int ky = 0; ky < c.kernel_height; ky++) {
    const int y = map.y.meet(at.y, ky);
    if (y < 0) continue;
    for (int kx = 0; kx < c.kernel_width; kx++) {
      const int x = map.x.meet(at.x, kx);
      if (x < 0) continue;
      const A factor = factor_at<A>(c, at.image, y, x);
      any = any || factor != A(0);
      inside += A(1);
      norm += c.normalize ? factor * of_distance(c, at.part, distance<A>(c, at.image, at.part, at.y, at.x, ky, kx)) : factor;
    }
  }
  if (!c.normalize) norm = inside == A(0) ? A(0) : norm / inside;
  const long long pixel = (long long)at.y * c.out_width + at.x, plane = plane_of(c.out_height, c.out_width);
  ((A *)c.target)[((long long)at.image * c.kernel_channels + at.part) * plane + pixel] = norm;
  if (c.output_mask && at.part == 0) ((unsigned char *)c.output_mask)[at.image * plane + pixel] = any;
}

// K (N, kernel_channels, k, H', W') in T. A thread an output pixel; parts: kernel channels.
template <class T> __global__ void __launch_bounds__(THREADS, BLOCKS<typename Scalar<T>::Wide>) adapting_kernel(const Call c) {
  const Map map = to_input(c);
  const Place at = place(c.out_height, c.out_width, 1, 1, c.kernel_channels);
  if (!at.inside) return;
  for (int ky = 0; ky < c.kernel_height; ky++)
    for (int kx = 0; kx < c.kernel_width; kx++) {
      const int y = map.y.meet(at.y, ky), x = map.x.meet(at.x, kx);
      write((T *)c.target + kernel_index(c, at.image, at.part, ky * c.kernel_width + kx, at.y, at.x),
            made_at<typename Scalar<T>::Wide>(c, at.image, at.part, at.y, at.x, ky, kx, y, x));
    }
}

} // namespace pacbench
