// The one argument of every kernel: what `backends/cuda/call.py` writes, field by field in this order.
//
// Tensors are contiguous. T is the type that they are stored in, A what is computed in: double for double, else float.
// A pointer that is null stands for a tensor that is not there. N images, C input and O output channels, G of the guide,
// k = k_h k_w taps; H, W is the input's size, H', W' the output's. A kernel reads the fields that its comment names.
#pragma once
#include "platform.cuh"

namespace pacbench {

struct Call {
  const void *input;       // (N, C, H, W) T
  const void *grad_output; // (N, O, H', W') T
  const void *guide;       // (N, G, guide_height, guide_width) A
  const void *centres;     // (N, G, H', W') A: f_i where the guide is smoothed, else null
  const void *mask;        // (N, 1, H, W) A
  const void *kernel;      // (N, kernel_channels, k, H', W') T or A: given; null where it is made of the guide
  const void *weight;      // of the operator, T
  const void *filter;      // the weight packed by `pack_filter`, A
  const void *bias;        // (O) T
  const void *base;        // (N, O, H', W') T: what a contraction's sum is added to; null: nothing
  const void *inv_alpha;   // (alpha_count) A
  const void *inv_lambda;  // (lambda_count) A
  const void *norms;       // (N, kernel_channels, H', W') A: what K is divided by, 0 where K is 0; null if by nothing
  const void *gradient;    // (N or those of a band, kernel_channels, k, H' or rows of a band, W') A or T: of K, then of d²
  const void *partials;    // sums of parts, A
  void *target;            // what the kernel writes
  void *output_mask;       // (N, 1, H', W') one byte each
  int batch, in_channels, out_channels, guide_channels, kernel_channels;
  int height, width, out_height, out_width, guide_height, guide_width;
  int kernel_height, kernel_width, dilation_height, dilation_width, stride_height, stride_width;
  int transposed;
  int offset_height, offset_width;             // of the first tap: -padding, or padding - reach where transposed
  int guide_stride_height, guide_stride_width; // of the window as it moves over the guide
  int guide_padding_height, guide_padding_width;
  int form;                                    // 0: gaussian, 1: inv
  int asymmetric, normalize;
  int alpha_count, lambda_count;
  int narrow_kernel;                           // 1: K, or its gradient, is stored in T, else in A
  int backward;                                // of contractions: 1: the gradient of the input, 0: the output
  int shared_filters;                          // weight (k) for all channels, null: all ones
  int padded;                                  // target channels of the packed filter
  int first_image, images, first_row, rows;    // the band of output pixels whose gradients of K are at hand
  int whole_gradient;                          // 1: `gradient` is of all output pixels, 0: of a band
  int accumulate;                              // 1: add to what the target holds
  int slabs;                                   // parts that a sum over pixels is cut into
  int elements, element_stride;                // of a sum of parts: how many there are, and where they lie
  int slab_stride, partial_offset;
};

// A gradient of K, or K, in the type it is stored in.
template <class T>
PACBENCH_INLINE typename Scalar<T>::Wide read_kernel(const void *from, long long at, int narrow) {
  typedef typename Scalar<T>::Wide A;
  return narrow ? read((const T *)from + at) : read((const A *)from + at);
}

template <class T>
PACBENCH_INLINE void write_kernel(void *to, long long at, int narrow, typename Scalar<T>::Wide value) {
  typedef typename Scalar<T>::Wide A;
  if (narrow) write((T *)to + at, value);
  else ((A *)to)[at] = value;
}

} // namespace pacbench
