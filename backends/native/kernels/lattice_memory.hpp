// Memory of a lattice: growing arrays, and a hash table from keys to indices. No exceptions: what cannot be had is false.
#pragma once
#include "vectors.hpp"

#include <stdlib.h>
#include <sys/mman.h>

namespace PACBENCH_NAMESPACE {

constexpr Index LARGE_PAGE = Index(2) << 20;

// Plain data on cache lines of its own; content is kept when it grows.
template <class A> struct Array {
  A *at = nullptr;
  Index count = 0, capacity = 0;

  Array() = default;
  Array(const Array &) = delete;
  Array &operator=(const Array &) = delete;
  ~Array() { free(at); }

  bool resize(Index wanted) {
    if (wanted > capacity) {
      const Index room = most(wanted, capacity + capacity / 2);
      const Index bytes = round_up(most(room, (Index)1) * (Index)sizeof(A), CACHE_LINE);
      void *block = nullptr;
      if (posix_memalign(&block, (size_t)(bytes >= LARGE_PAGE ? LARGE_PAGE : CACHE_LINE), (size_t)bytes) != 0) return false;
#ifdef MADV_HUGEPAGE
      if (bytes >= LARGE_PAGE) madvise(block, (size_t)bytes, MADV_HUGEPAGE);
#endif
      if (count) memcpy(block, (const void *)at, (size_t)count * sizeof(A));
      free(at);
      at = (A *)block;
      capacity = room;
    }
    count = wanted;
    return true;
  }
};

PACBENCH_INLINE uint32_t mixed(uint32_t h) {
  h ^= h >> 16;
  h *= 0x7feb352du;
  h ^= h >> 15;
  h *= 0x846ca68bu;
  return h ^ (h >> 16);
}

// Open addressing with linear probing; at most half full. A slot keeps the hash, so that keys are read for a match only.
struct Table {
  struct Slot {
    uint32_t hash;
    int32_t index; // -1: empty
  };
  Array<Slot> slots;
  uint32_t mask = 0;

  bool clear(Index entries) {
    Index capacity = 1024;
    while (capacity < 2 * entries) capacity *= 2;
    if (capacity > (Index(1) << 31) || !slots.resize(capacity)) return false;
    memset((void *)slots.at, 0xff, (size_t)capacity * sizeof(Slot));
    mask = (uint32_t)(capacity - 1);
    return true;
  }
  bool is_full(Index entries) const { return 2 * entries > slots.count; }

  void prefetch(uint32_t hash) const { __builtin_prefetch(&slots.at[hash & mask]); }

  // The slot of a key among `keys` of d numbers each, or the empty one where it belongs.
  template <int D> PACBENCH_INLINE_MEMBER Slot *find(const int32_t *keys, int dimensions, const int32_t *key, uint32_t hash) const {
    const int d = D ? D : dimensions;
    for (uint32_t place = hash & mask;; place = (place + 1) & mask) {
      Slot &slot = slots.at[place];
      if (slot.index < 0) return &slot;
      if (slot.hash != hash) continue;
      const int32_t *other = keys + (Index)slot.index * d;
      int32_t differs = 0;
      for (int i = 0; i < d; i++) differs |= other[i] ^ key[i];
      if (!differs) return &slot;
    }
  }

  // Enters known entries anew, after `clear`.
  void enter(uint32_t hash, int32_t index) {
    uint32_t place = hash & mask;
    while (slots.at[place].index >= 0) place = (place + 1) & mask;
    slots.at[place] = {hash, index};
  }
};

} // namespace PACBENCH_NAMESPACE
