// Where pixels lie in the permutohedral lattice: the simplex that encloses each, and its barycentric coordinates.
//
// Source: Adams, Baek & Davis, Fast High-Dimensional Filtering Using the Permutohedral Lattice, Eurographics 2010,
// section 3; features are scaled so that [1/2 1 1/2] along each axis blurs by a standard deviation of 1, as in the
// code of Krähenbühl & Koltun (NIPS 2011).
#pragma once
#include "lattice_memory.hpp"

namespace PACBENCH_NAMESPACE {

constexpr int MOST_DIMENSIONS = 16;
constexpr int PIXELS_AT_ONCE = 16;

// Runs `call` with the constant D for d of the features, 0 where none is compiled for it.
#define PACBENCH_FOR_DIMENSIONS(dimensions, call)                                                                       \
  switch (dimensions) {                                                                                                 \
  case 2: { constexpr int D = 2; call; } break;                                                                         \
  case 3: { constexpr int D = 3; call; } break;                                                                         \
  case 5: { constexpr int D = 5; call; } break;                                                                         \
  default: { constexpr int D = 0; call; }                                                                               \
  }

// Linear in the key, so that the hash of a neighbour comes by additions; `mixed` spreads it.
struct KeyHash {
  uint32_t factor[MOST_DIMENSIONS + 1] = {}; // of the last coordinate, which the others determine: 0
  uint32_t of_ones = 0;

  explicit KeyHash(int dimensions) {
    for (int i = 0; i < dimensions; i++) {
      factor[i] = 0x9e3779b1u * (2 * (uint32_t)i + 1) ^ (0x85ebca77u >> i);
      of_ones += factor[i];
    }
  }
  uint32_t of(const int32_t *key, int dimensions) const {
    uint32_t sum = 0;
    for (int i = 0; i < dimensions; i++) sum += factor[i] * (uint32_t)key[i];
    return sum;
  }
};

// PIXELS_AT_ONCE pixels, coordinate by coordinate, so that the compiler vectorises over pixels.
template <int D> struct Embedding {
  static constexpr int COORDINATES = (D ? D : MOST_DIMENSIONS) + 1;

  int dimensions;
  Scalar scale[MOST_DIMENSIONS];
  Lane base[COORDINATES][PIXELS_AT_ONCE];    // the closest point of remainder 0
  Lane rank[COORDINATES][PIXELS_AT_ONCE];    // of each coordinate's difference to it, 0: the largest
  Scalar above[COORDINATES][PIXELS_AT_ONCE]; // that difference, divided by d + 1

  explicit Embedding(int dims) : dimensions(dims) {
    const double deviation = sqrt(2.0 / 3.0) * (dims + 1);
    for (int i = 0; i < dims; i++) scale[i] = (Scalar)(deviation / sqrt((double)(i + 1) * (i + 2)));
  }

  // False where a feature is not finite or too large to tell lattice points apart.
  bool embed(const Scalar *features, Index pixels, Index first, int count) {
    const int d = D ? D : dimensions;
    const Scalar shift = sizeof(Scalar) == 4 ? (Scalar)12582912.0 : (Scalar)6755399441055744.0; // 1.5 * 2^23 or 2^52: rounds
    const Scalar most_steps = (Scalar)(1 << 20);
    Scalar elevated[COORDINATES][PIXELS_AT_ONCE], sum[PIXELS_AT_ONCE] = {};
    for (int j = d; j > 0; j--) {
      Scalar feature[PIXELS_AT_ONCE] = {};
      memcpy(feature, features + (j - 1) * pixels + first, (size_t)count * sizeof(Scalar));
      for (int p = 0; p < PIXELS_AT_ONCE; p++) {
        const Scalar scaled = feature[p] * scale[j - 1];
        elevated[j][p] = sum[p] - (Scalar)j * scaled;
        sum[p] += scaled;
      }
    }
    Lane steps[PIXELS_AT_ONCE] = {}, bad = 0;
    memcpy(elevated[0], sum, sizeof sum);
    for (int i = 0; i <= d; i++)
      for (int p = 0; p < PIXELS_AT_ONCE; p++) {
        const Scalar y = elevated[i][p] / (Scalar)(d + 1);
        bad |= !(fabs(y) < most_steps);
        const Scalar nearest = (y + shift) - shift;
        const Lane whole = (Lane)(fabs(y) < most_steps ? nearest : 0);
        elevated[i][p] -= nearest * (Scalar)(d + 1);
        base[i][p] = whole * (d + 1);
        rank[i][p] = 0;
        steps[p] += whole;
      }
    if (bad) return false;
    for (int i = 0; i < d; i++)
      for (int j = i + 1; j <= d; j++)
        for (int p = 0; p < PIXELS_AT_ONCE; p++) {
          const Lane smaller = elevated[i][p] < elevated[j][p];
          rank[i][p] += smaller;
          rank[j][p] += 1 - smaller;
        }
    for (int i = 0; i <= d; i++)
      for (int p = 0; p < PIXELS_AT_ONCE; p++) { // back onto the plane of points whose coordinates sum to 0
        const Lane moved = rank[i][p] + steps[p];
        const Lane turn = (moved < 0) - (moved > d);
        rank[i][p] = moved + turn * (d + 1);
        base[i][p] += turn * (d + 1);
        above[i][p] = elevated[i][p] / (Scalar)(d + 1) - (Scalar)turn;
      }
    return true;
  }
};

} // namespace PACBENCH_NAMESPACE
