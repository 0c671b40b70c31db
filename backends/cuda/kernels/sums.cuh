// Sums over pixels in a fixed order: within a warp by shuffles, within a block warp by warp, then part by part.
#pragma once
#include "places.cuh"

namespace pacbench {

template <class A> PACBENCH_INLINE A warp_sum(A value) {
#pragma unroll
  for (int distance = WARP / 2; distance > 0; distance >>= 1) value += __shfl_down_sync(0xffffffffu, value, distance);
  return value;
}

PACBENCH_INLINE int thread_in_block() { return (int)threadIdx.y * (int)blockDim.x + (int)threadIdx.x; }

// Sum over the block, right in thread 0. `of_warps` is shared memory for one value a warp.
template <class A> PACBENCH_INLINE A block_sum(A value, A *of_warps) {
  const int thread = thread_in_block();
  value = warp_sum(value);
  if (thread % WARP == 0) of_warps[thread / WARP] = value;
  __syncthreads();
  A sum = A(0);
  if (thread == 0)
    for (int warp = 0; warp < THREADS / WARP; warp++) sum += of_warps[warp];
  __syncthreads(); // the next sum may write there
  return sum;
}

// The pixels [first, last) of a slab: one of `slabs` parts of all output pixels of all images.
struct Slab {
  int first, last;
};
PACBENCH_INLINE Slab slab_of(const Call &c, int slab) {
  const int pixels = c.batch * c.out_height * c.out_width; // the caller refuses more than an int holds
  const int each = pixels / c.slabs, longer = pixels % c.slabs; // the first `longer` slabs have one more
  const int first = slab * each + (slab < longer ? slab : longer);
  return {first, first + each + (slab < longer ? 1 : 0)};
}

// Output pixel of a number.
struct Pixel {
  int image, y, x;
};
PACBENCH_INLINE Pixel pixel_of(const Call &c, int number) {
  const int row = number / c.out_width, image = row / c.out_height;
  return {image, row - image * c.out_height, number - row * c.out_width};
}

// Sums of grad_output over pixels, the gradient of a bias: partials [slab][out_channels].
// Blocks: slab by slab, channel by channel.
template <class T> __global__ void __launch_bounds__(THREADS) channel_sums(const Call c) {
  typedef typename Scalar<T>::Wide A;
  PACBENCH_SHARED_STATIC(A, of_warps, THREADS / WARP);
  const int channel = (int)blockIdx.x % c.out_channels, slab = (int)blockIdx.x / c.out_channels;
  const int plane = c.out_height * c.out_width;
  const Slab part = slab_of(c, slab);
  A sum = A(0);
  for (int number = part.first + thread_in_block(); number < part.last; number += THREADS) {
    const int image = number / plane;
    sum += read((const T *)c.grad_output + ((long long)image * c.out_channels + channel) * plane + (number - image * plane));
  }
  sum = block_sum(sum, of_warps);
  if (thread_in_block() == 0) ((A *)c.target)[(long long)slab * c.out_channels + channel] = sum;
}

// target[e] = sum over slabs s of partials[partial_offset + s * slab_stride + e * element_stride], in the order of s.
// A thread an element; compensated, since a double would be slow on most GPUs.
template <class T> __global__ void __launch_bounds__(THREADS) sum_partials(const Call c) {
  typedef typename Scalar<T>::Wide A;
  const int element = (int)blockIdx.x * THREADS + thread_in_block();
  if (element >= c.elements) return;
  const A *from = (const A *)c.partials + c.partial_offset + (long long)element * c.element_stride;
  A sum = A(0), lost = A(0); // Kahan's: what rounding lost of the sum so far
  for (int slab = 0; slab < c.slabs; slab++) {
    const A term = from[(long long)slab * c.slab_stride] - lost;
    const A next = sum + term;
    lost = (next - sum) - term;
    sum = next;
  }
  write((T *)c.target + element, sum);
}

} // namespace pacbench
