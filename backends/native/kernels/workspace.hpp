// Scratch memory of a call: one block, cut up by the threads.
#pragma once
#include "vectors.hpp"

namespace PACBENCH_NAMESPACE {

// Hands out pieces of a block, each on a cache line of its own. Without a block it only counts: the same code lays
// memory out and says how much it needs.
struct Workspace {
  char *block = nullptr;
  Index used = 0;

  template <class A> A *take(Index count) {
    A *piece = block ? (A *)(block + used) : nullptr;
    used += round_up(most(count, (Index)1) * (Index)sizeof(A), CACHE_LINE) + CACHE_LINE; // and a line between two
    return piece;
  }
};

} // namespace PACBENCH_NAMESPACE
