// Vectors of the instruction set that this file is compiled for, and the blocking that fits its registers.
//
// Everything lies in a namespace of its own for each instruction set and scalar type, and no template of the
// standard library is used: a function that the linker merged across objects could otherwise bring AVX-512 code
// into the portable path.
#pragma once
#if defined(__AVX__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized" // GCC 12 on its own header
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif
#include <math.h>
#include <stdint.h>
#include <string.h>

#define PACBENCH_PASTE_(a, b, c) a##_##b##_##c
#define PACBENCH_PASTE(a, b, c) PACBENCH_PASTE_(a, b, c)
#define PACBENCH_NAMESPACE PACBENCH_PASTE(pacbench_kernels, PACBENCH_ISA, PACBENCH_SCALAR)
#define PACBENCH_INLINE_MEMBER inline __attribute__((always_inline))
#define PACBENCH_INLINE static PACBENCH_INLINE_MEMBER
#define PACBENCH_UNROLL _Pragma("GCC unroll 16")
#define PACBENCH_UNROLL_LOOP _Pragma("GCC unroll 4")

namespace PACBENCH_NAMESPACE {

typedef float float32;
typedef double float64;
typedef PACBENCH_SCALAR Scalar;
typedef int64_t Index;

#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64;
constexpr int ROWS_OF_BLOCK = 8;     // accumulators are ROWS_OF_BLOCK x VECTORS_OF_TILE of 32 registers
constexpr int CHANNELS_OF_BLOCK = 7; // of a pooling block: CHANNELS_OF_BLOCK x LINES_OF_BLOCK accumulators
#elif defined(__AVX__)
constexpr int VECTOR_BYTES = 32;
constexpr int ROWS_OF_BLOCK = 4;
constexpr int CHANNELS_OF_BLOCK = 3;
#else
constexpr int VECTOR_BYTES = 16;
constexpr int ROWS_OF_BLOCK = 4;
constexpr int CHANNELS_OF_BLOCK = 3;
#endif
constexpr int VECTORS_OF_TILE = 3;
constexpr int LINES_OF_BLOCK = 3;
constexpr int LANES = VECTOR_BYTES / (int)sizeof(Scalar);
constexpr int TILE = VECTORS_OF_TILE * LANES; // pixels
constexpr int CACHE_LINE = 64;

typedef Scalar Vector __attribute__((vector_size(VECTOR_BYTES)));
typedef Scalar Unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(Scalar)), may_alias));

template <class A> PACBENCH_INLINE A least(A a, A b) { return a < b ? a : b; }
template <class A> PACBENCH_INLINE A most(A a, A b) { return a > b ? a : b; }
PACBENCH_INLINE Index ceil_div(Index a, Index b) { return (a + b - 1) / b; }
PACBENCH_INLINE Index round_up(Index a, Index b) { return ceil_div(a, b) * b; }
PACBENCH_INLINE Index floor_div(Index a, Index b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

PACBENCH_INLINE Vector load(const Scalar *p) { return *(const Unaligned *)p; }
PACBENCH_INLINE void store(Scalar *p, Vector v) { *(Unaligned *)p = v; }
PACBENCH_INLINE Vector broadcast(Scalar s) { return s - (Vector){}; }

// The larger of the two; b where one of them is NaN.
PACBENCH_INLINE Vector larger(Vector a, Vector b) {
#if defined(__AVX512F__)
  if constexpr (sizeof(Scalar) == 4) return (Vector)_mm512_max_ps((__m512)a, (__m512)b);
  else return (Vector)_mm512_max_pd((__m512d)a, (__m512d)b);
#elif defined(__AVX__)
  if constexpr (sizeof(Scalar) == 4) return (Vector)_mm256_max_ps((__m256)a, (__m256)b);
  else return (Vector)_mm256_max_pd((__m256d)a, (__m256d)b);
#else
  return a > b ? a : b;
#endif
}

// Keeps a loaded value in its register: compilers fold loads into each use otherwise, and an unaligned load is dear.
PACBENCH_INLINE void keep(Vector &value) {
#if defined(__AVX512F__)
  __asm__("" : "+v"(value));
#elif defined(__x86_64__)
  __asm__("" : "+x"(value));
#else
  (void)value;
#endif
}

template <int bytes> struct SignedOf { typedef int32_t type; };
template <> struct SignedOf<8> { typedef int64_t type; };
typedef SignedOf<sizeof(Scalar)>::type Lane;
typedef Lane Lanes __attribute__((vector_size(VECTOR_BYTES)));

// The first `count` lanes, 0 beyond them.
PACBENCH_INLINE Vector first_lanes(Vector v, Index count) {
  Lanes numbers;
  for (int i = 0; i < LANES; i++) numbers[i] = i;
  return (Vector)((Lanes)v & (numbers < (Lane)most((Index)0, least(count, (Index)LANES))));
}

PACBENCH_INLINE Scalar sum_of_lanes(Vector v) {
  Scalar lanes[LANES], sum = 0;
  memcpy(lanes, &v, sizeof lanes);
  for (int i = 0; i < LANES; i++) sum += lanes[i];
  return sum;
}

// p * 2^power for 1/2 <= p <= 2 and power <= 0, 0 below the smallest normal number; NaN for NaN. `shifted` holds the
// power in its lowest bits.
PACBENCH_INLINE Vector times_power_of_two(Vector p, Vector power, Vector shifted) {
#if defined(__AVX512F__)
  (void)shifted;
  if constexpr (sizeof(Scalar) == 4) return (Vector)_mm512_scalef_ps((__m512)p, (__m512)power);
  else return (Vector)_mm512_scalef_pd((__m512d)p, (__m512d)power);
#else
  const int mantissa = sizeof(Scalar) == 4 ? 23 : 52;
  const Scalar smallest = sizeof(Scalar) == 4 ? -125 : -1021;
  const Vector scaled = (Vector)(((Lanes)shifted << mantissa) + (Lanes)p);
  return power < smallest ? Vector{} : p == p ? scaled : p;
#endif
}

#if defined(__AVX512F__)
// 2^y for y <= 0 in single precision: y's fraction above its floor by VREDUCE, 2^floor(y) by VSCALEF, which takes the
// floor itself; a minimax polynomial of degree 6 for 2^f, 0 <= f < 1 (Remez' algorithm; relative error 2e-9, 6e-8 as it
// is rounded, exact at 0).
PACBENCH_INLINE Vector single_power_of_two(Vector y) {
  const Scalar coefficients[] = {(Scalar)2.1702255684e-4, (Scalar)1.2439687700e-3, (Scalar)9.6788410183e-3, (Scalar)5.5483341968e-2,
                                 (Scalar)2.4022983628e-1, (Scalar)6.9314698384e-1, 1};
  const Vector fraction = (Vector)_mm512_reduce_ps((__m512)y, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  Vector p = broadcast(coefficients[0]);
  PACBENCH_UNROLL
  for (int i = 1; i < 7; i++) p = p * fraction + coefficients[i];
  return (Vector)_mm512_scalef_ps((__m512)p, (__m512)y);
}
#endif

// e^(scale x) for scale x <= 0; 0 where it underflows, NaN for NaN. Range reduction by multiples of ln 2, split in two
// (Cody & Waite, 1980), then a polynomial: minimax of degree 6 after Cephes' expf, or Taylor of degree 13. With AVX-512
// single precision goes by powers of two instead: log2(e) x is rounded once, as much as x itself was.
PACBENCH_INLINE Vector exp_of_nonpositive(Vector x, Scalar scale = 1) {
  constexpr bool SINGLE = sizeof(Scalar) == 4;
  const double log2_e = 1.4426950408889634074;
#if defined(__AVX512F__)
  if constexpr (SINGLE) return single_power_of_two(x * (Scalar)(log2_e * scale));
#endif
  const Scalar lowest = SINGLE ? (Scalar)-104 : (Scalar)-746; // e^x is 0 below
  const Scalar shift = SINGLE ? (Scalar)12582912.0 : (Scalar)6755399441055744.0; // 1.5 * 2^23 or 2^52: rounds
  const Scalar high = SINGLE ? (Scalar)0.693359375 : (Scalar)6.93145751953125e-1;
  const Scalar low = SINGLE ? (Scalar)-2.12194440e-4 : (Scalar)1.42860682030941723212e-6;
  const Scalar of_single[] = {(Scalar)1.9875691500e-4, (Scalar)1.3981999507e-3, (Scalar)8.3334519073e-3, (Scalar)4.1665795894e-2,
                              (Scalar)1.6666665459e-1, (Scalar)5.0000001201e-1, 1,                       1};
  const Scalar of_double[] = {(Scalar)(1.0 / 6227020800), (Scalar)(1.0 / 479001600), (Scalar)(1.0 / 39916800),
                              (Scalar)(1.0 / 3628800),    (Scalar)(1.0 / 362880),    (Scalar)(1.0 / 40320),
                              (Scalar)(1.0 / 5040),       (Scalar)(1.0 / 720),       (Scalar)(1.0 / 120),
                              (Scalar)(1.0 / 24),         (Scalar)(1.0 / 6),         (Scalar)0.5, 1, 1};
  const Vector clamped = larger(broadcast(lowest), x * scale);
  const Vector shifted = clamped * (Scalar)log2_e + shift;
  const Vector power = shifted - shift;
  const Vector r = clamped - power * high - power * low;
  Vector p;
  if constexpr (SINGLE) {
    p = broadcast(of_single[0]);
    PACBENCH_UNROLL
    for (int i = 1; i < 8; i++) p = p * r + of_single[i];
  } else {
    p = broadcast(of_double[0]);
    PACBENCH_UNROLL
    for (int i = 1; i < 14; i++) p = p * r + of_double[i];
  }
  return times_power_of_two(p, power, shifted);
}

// Elements 0, 2, 4, ... and 1, 3, 5, ... of 2 * LANES at p.
PACBENCH_INLINE void load_pairs(const Scalar *p, Vector &even, Vector &odd) {
  Lanes evens, odds;
  for (int i = 0; i < LANES; i++) evens[i] = 2 * i, odds[i] = 2 * i + 1;
  const Vector a = load(p), b = load(p + LANES);
  even = __builtin_shuffle(a, b, evens);
  odd = __builtin_shuffle(a, b, odds);
}

// The reverse of load_pairs.
PACBENCH_INLINE void store_pairs(Scalar *p, Vector even, Vector odd) {
  Lanes first, second;
  for (int i = 0; i < LANES; i++) {
    first[i] = i / 2 + (i % 2) * LANES;
    second[i] = LANES / 2 + i / 2 + (i % 2) * LANES;
  }
  store(p, __builtin_shuffle(even, odd, first));
  store(p + LANES, __builtin_shuffle(even, odd, second));
}

// count elements from p, `step` apart, into a tile that is zero beyond them.
PACBENCH_INLINE void gather(Scalar *tile, const Scalar *p, Index step, Index count, Index width) {
  Index i = 0;
  if (step == 1) {
    for (; i + LANES <= count; i += LANES) store(tile + i, load(p + i));
  } else if (step == 2) {
    for (; 2 * (i + LANES) <= 2 * count - 1; i += LANES) { // the last odd element may lie outside the tensor
      Vector even, odd;
      load_pairs(p + 2 * i, even, odd);
      store(tile + i, even);
    }
  }
  for (; i < count; i++) tile[i] = p[i * step];
  for (; i < width; i++) tile[i] = 0;
}

// The reverse of gather: count elements of a tile to p, `step` apart.
PACBENCH_INLINE void scatter(Scalar *p, const Scalar *tile, Index step, Index count) {
  Index i = 0;
  if (step == 1)
    for (; i + LANES <= count; i += LANES) store(p + i, load(tile + i));
  for (; i < count; i++) p[i * step] = tile[i];
}

// Transposes LANES x LANES elements: to[j * to_stride + i] = from[i * from_stride + j].
PACBENCH_INLINE void transpose(Scalar *to, Index to_stride, const Scalar *from, Index from_stride) {
  Vector rows[LANES];
  PACBENCH_UNROLL
  for (int i = 0; i < LANES; i++) rows[i] = load(from + i * from_stride);
  PACBENCH_UNROLL
  for (int bit = 1; bit < LANES; bit *= 2) { // swap the off-diagonal blocks of size `bit`
    Lanes low, high;
    for (int i = 0; i < LANES; i++) {
      low[i] = i & bit ? LANES + i - bit : i;
      high[i] = i & bit ? LANES + i : i + bit;
    }
    PACBENCH_UNROLL
    for (int i = 0; i < LANES; i++)
      if (!(i & bit)) {
        const Vector a = rows[i], b = rows[i + bit];
        rows[i] = __builtin_shuffle(a, b, low);
        rows[i + bit] = __builtin_shuffle(a, b, high);
      }
  }
  PACBENCH_UNROLL
  for (int i = 0; i < LANES; i++) store(to + i * to_stride, rows[i]);
}

// Runs `call` with the constant V for a number of vectors.
#define PACBENCH_FOR_VECTORS(vectors, call)                                                                             \
  switch (vectors) {                                                                                                    \
  case 3: { constexpr int V = 3; call; } break;                                                                         \
  case 2: { constexpr int V = 2; call; } break;                                                                         \
  default: { constexpr int V = 1; call; }                                                                               \
  }

} // namespace PACBENCH_NAMESPACE
