// The plain C interface of the native backend: one struct describes a call, six functions compute it.
//
// All tensors are contiguous, in the kernel's scalar type (float or double) unless it is said otherwise; a pointer
// that is null stands for a tensor that is not there or a gradient that is not wanted. Sizes and offsets are 64-bit.
// The caller has checked every argument. Functions return 0, or 1 with a message in `error`.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct PacCall {
  // sizes
  int64_t batch;           // N
  int64_t in_channels;     // C; for the adapting kernel alone 0
  int64_t out_channels;    // O; C where filters are shared and for pooling
  int64_t guide_channels;  // G; 0 where the adapting kernel is given
  int64_t height, width;          // of the input; for the adapting kernel alone: of the mask (the operator's input)
  int64_t out_height, out_width;  // of the output
  // window
  int64_t kernel_height, kernel_width;
  int64_t stride_height, stride_width;
  int64_t padding_height, padding_width;
  int64_t dilation_height, dilation_width;
  int64_t transposed;      // 1: transposed operator; the guide has the output's size
  // what is computed
  int64_t shared_filters;  // 1: one spatial filter (k_h, k_w) for all channels; weight may be null: all ones (pooling)
  int64_t kernel_channels; // 1, or C (pooling, channel-wise); for the adapting kernel alone 1 or G
  int64_t form;            // 0: gaussian, 1: inv
  int64_t asymmetric;      // d uses max(f_j - f_i, 0)
  int64_t normalize;       // K over its sum within the image
  int64_t alpha_count, lambda_count;  // 1 or G
  int64_t softmax;         // 1: the input's softmax over channels is taken first (unshared filters only)
  int64_t threads;         // at least 1; a child forked since the library was loaded, and a call from inside an OpenMP region, use 1
  double message_weight;   // output = base + message_weight * (convolution + bias); 1 if there is no base
  // tensors
  const void *input;          // (N, C, H, W)
  const void *guide;          // (N, G, H, W), transposed (N, G, H', W'); null where the kernel is given
  const void *centres;        // (N, G, H', W') f_i where the guide is smoothed; null: the guide itself
  const void *mask;           // (N, 1, H, W)
  const void *kernel;         // (N, 1 or C, k_h, k_w, H', W') where it is given
  const void *weight;         // (O, C, k_h, k_w), transposed (C, O, k_h, k_w), shared (k_h, k_w)
  const void *bias;           // (O)
  const void *base;           // (N, O, H', W')
  const void *inv_alpha;      // (alpha_count)
  const void *inv_lambda;     // (lambda_count)
  const void *grad_output;    // backward: (N, O, H', W'), or that of the kernel (N, 1 or G, k_h, k_w, H', W')
  void *output;               // forward: (N, O, H', W'), or the kernel (N, 1 or G, k_h, k_w, H', W')
  uint8_t *output_mask;       // forward: (N, 1, H', W'), 1 where a tap of the window is valid; with a mask only
  void *grad_input;
  void *grad_guide;
  void *grad_centres;
  void *grad_kernel;
  void *grad_weight;
  void *grad_bias;
  void *grad_inv_alpha;
  void *grad_inv_lambda;
} PacCall;

// Entry points are named pacbench_native_<what>_<float32|float64>_<avx512|avx2|portable>, with
// <what> = forward, backward (operators with input) or kernel_forward, kernel_backward (packernel2d), and have this type:
typedef int (*PacFunction)(const PacCall *call, char *error, int64_t error_size);

// In common.cpp, without suffix:
// 2: AVX-512, 1: AVX2 and FMA, 0: portable; what this processor and operating system can run.
int pacbench_native_best_isa(void);
// Size of PacCall as the library was compiled with: a guard against a stale library.
int64_t pacbench_native_call_size(void);

#ifdef __cplusplus
}
#endif
