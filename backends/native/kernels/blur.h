// The plain C interface of mean-field steps whose messages live on a coarser grid (Conv-CRF).
//
// A cell is factor x factor pixels; the first `top` rows and `left` columns of the grid's first cells lie outside the
// image. Tensors are contiguous, of the function's scalar type. The caller has checked every argument. Functions return
// 0, or 1 with a message in `error`.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct BlurCall {
  int64_t batch, channels;               // N, C
  int64_t height, width;                 // of the image
  int64_t cell_rows, cell_columns;       // of the grid: ceil(height / factor), ceil(width / factor)
  int64_t factor, top, left;
  int64_t threads;                       // at least 1; a forked child and a call from inside a parallel region use 1
  const void *base;                      // (N, C, H, W)
  const void *message;                   // (N, C, cell_rows, cell_columns)
  void *output;                          // (N, C, H, W): base + the message, bilinearly upsampled; or null
  void *beliefs;                         // (N, C, cell_rows, cell_columns): softmax of that over the channels, averaged
                                         // over each cell's pixels in the image; or null
} BlurCall;

// Entry points are named pacbench_native_blurred_update_<float32|float64>_<avx512|avx2|portable> and have this type:
typedef int (*BlurFunction)(const BlurCall *call, char *error, int64_t error_size);

// Size of BlurCall as the library was compiled with: a guard against a stale library.
int64_t pacbench_native_blur_call_size(void);

#ifdef __cplusplus
}
#endif
