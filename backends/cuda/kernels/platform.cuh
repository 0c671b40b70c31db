// What differs between nvcc, NVRTC and the shim that runs these kernels on a CPU, and the scalars that they compute in.
//
// The rules that let one source serve all three: no header of the C or C++ library, no <<<>>>, shared memory through the
// two macros below, shuffles with a full mask, no return before a barrier, int for counts and long long for offsets.
#pragma once
#if defined(PACBENCH_HOST_SHIM)
#include "simt_host.h"
#else
#if !defined(__CUDACC_RTC__)
#include <cuda_runtime.h>
#endif
#define PACBENCH_SHARED_STATIC(T, name, count) __shared__ __align__(16) T name[count]
// One untyped array for all kernels: `extern __shared__ T` of two types would clash.
#define PACBENCH_SHARED_DYNAMIC(T, name)                            \
  extern __shared__ __align__(16) unsigned char pacbench_shared[]; \
  T *name = reinterpret_cast<T *>(pacbench_shared)
#endif

#define PACBENCH_INLINE __device__ __forceinline__

namespace pacbench {

constexpr int WARP = 32;
constexpr int THREADS = 128; // of every block

// Blocks that a multiprocessor holds at once, at least, by the type that is computed in. It is said because ptxas, left to
// itself, spills a register or two where that makes room for one block more.
template <class A> constexpr int BLOCKS = sizeof(A) == 8 ? 4 : 6;

// Storage of 16 bits: computed in float, rounded to nearest even when written.
struct float16 {
  unsigned short bits;
};
struct bfloat16 {
  unsigned short bits;
};

PACBENCH_INLINE float widened(float16 value) {
#if defined(PACBENCH_HOST_SHIM)
  return simt::float_of_half(value.bits);
#else
  float wide;
  asm("{cvt.f32.f16 %0, %1;}" : "=f"(wide) : "h"(value.bits));
  return wide;
#endif
}

PACBENCH_INLINE float16 to_float16(float value) {
  float16 narrow;
#if defined(PACBENCH_HOST_SHIM)
  narrow.bits = simt::half_of_float(value);
#else
  asm("{cvt.rn.f16.f32 %0, %1;}" : "=h"(narrow.bits) : "f"(value));
#endif
  return narrow;
}

PACBENCH_INLINE float widened(bfloat16 value) { return __uint_as_float((unsigned)value.bits << 16); }

PACBENCH_INLINE bfloat16 to_bfloat16(float value) {
  const unsigned bits = __float_as_uint(value);
  bfloat16 narrow;
  if (value != value) narrow.bits = (unsigned short)((bits >> 16) | 64u); // a NaN stays one
  else narrow.bits = (unsigned short)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
  return narrow;
}

// How a stored type is computed with.
template <class T> struct Scalar;

template <> struct Scalar<float> {
  typedef float Wide;
  static PACBENCH_INLINE float read(const float *at) { return __ldg(at); }
  static PACBENCH_INLINE void write(float *at, float value) { *at = value; }
};

template <> struct Scalar<double> {
  typedef double Wide;
  static PACBENCH_INLINE double read(const double *at) { return __ldg(at); }
  static PACBENCH_INLINE void write(double *at, double value) { *at = value; }
};

template <> struct Scalar<float16> {
  typedef float Wide;
  static PACBENCH_INLINE float read(const float16 *at) {
    float16 value;
    value.bits = __ldg(&at->bits);
    return widened(value);
  }
  static PACBENCH_INLINE void write(float16 *at, float value) { *at = to_float16(value); }
};

template <> struct Scalar<bfloat16> {
  typedef float Wide;
  static PACBENCH_INLINE float read(const bfloat16 *at) {
    bfloat16 value;
    value.bits = __ldg(&at->bits);
    return widened(value);
  }
  static PACBENCH_INLINE void write(bfloat16 *at, float value) { *at = to_bfloat16(value); }
};

template <class T> PACBENCH_INLINE typename Scalar<T>::Wide read(const T *at) { return Scalar<T>::read(at); }
template <class T> PACBENCH_INLINE void write(T *at, typename Scalar<T>::Wide value) { Scalar<T>::write(at, value); }

// The functions of the adapting kernel in the type that it is computed in.
PACBENCH_INLINE float exponential(float x) { return expf(x); }
PACBENCH_INLINE double exponential(double x) { return exp(x); }
PACBENCH_INLINE float power(float base, float exponent) { return powf(base, exponent); }
PACBENCH_INLINE double power(double base, double exponent) { return pow(base, exponent); }
PACBENCH_INLINE float logarithm(float x) { return logf(x); }
PACBENCH_INLINE double logarithm(double x) { return log(x); }

PACBENCH_INLINE int ceil_div(int a, int b) { return (a + b - 1) / b; }

} // namespace pacbench
