// Shared filters and pooling, where channels are not mixed: output or gradient of the input.
#pragma once
#include "adapting.cuh"

namespace pacbench {

// A thread a target pixel and CHANNELS channels: several where one K serves all of them, one where each has its own.
// Parts: blocks of channels. The weight (k) may be null: all ones.
template <class T, int CHANNELS> __global__ void __launch_bounds__(THREADS, BLOCKS<typename Scalar<T>::Wide>) modulate(const Call c) {
  typedef typename Scalar<T>::Wide A;
  const Map map = c.backward ? to_output(c) : to_input(c);
  const int height = c.backward ? c.height : c.out_height, width = c.backward ? c.width : c.out_width;
  const Place at = place(height, width, map.y.phases(), map.x.phases(), ceil_div(c.in_channels, CHANNELS));
  if (!at.inside) return;
  const int first = at.part * CHANNELS;
  const int count = c.in_channels - first < CHANNELS ? c.in_channels - first : CHANNELS;
  A sum[CHANNELS];
#pragma unroll
  for (int i = 0; i < CHANNELS; i++) sum[i] = c.bias && i < count ? read((const T *)c.bias + first + i) : A(0);
  const long long source_plane = plane_of(map.y.size, map.x.size);
  const T *image = (const T *)(c.backward ? c.grad_output : c.input) + ((long long)at.image * c.in_channels + first) * source_plane;
  for (int ky = 0; ky < c.kernel_height; ky++) {
    const int y = map.y.meet(at.y, ky);
    if (y < 0) continue;
    for (int kx = 0; kx < c.kernel_width; kx++) {
      const int x = map.x.meet(at.x, kx);
      if (x < 0) continue;
      const A w = c.weight ? read((const T *)c.weight + ky * c.kernel_width + kx) : A(1);
      const T *source = image + (long long)y * map.x.size + x;
      const int of = CHANNELS == 1 && c.kernel_channels > 1 ? first : 0;
      const A k = w * kernel_between<T>(c, at.image, of, at.y, at.x, ky, kx, y, x);
#pragma unroll
      for (int i = 0; i < CHANNELS; i++)
        if (i < count) sum[i] += k * read(source + i * source_plane);
    }
  }
  T *target = (T *)c.target + ((long long)at.image * c.in_channels + first) * plane_of(height, width) + (long long)at.y * width + at.x;
#pragma unroll
  for (int i = 0; i < CHANNELS; i++)
    if (i < count) write(target + i * plane_of(height, width), sum[i]);
}

} // namespace pacbench
