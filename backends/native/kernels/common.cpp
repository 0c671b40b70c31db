// What is compiled once for all instruction sets: threads, scratch memory, and which instruction set to take.
#include "blur.h"
#include "call.h"
#include "lattice.h"
#include "threads.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif
#ifdef PACBENCH_STD_THREAD
#include <thread>
#include <vector>
#else
#include <omp.h>
#endif

namespace {

const pid_t loaded_in = getpid();

constexpr int64_t HUGE_PAGE = int64_t(2) << 20;
constexpr int64_t KEPT = int64_t(32) << 20; // a larger block is freed at the end of its call

struct Scratch {
  void *block = nullptr;
  int64_t bytes = 0;

  void release() {
    free(block);
    block = nullptr;
    bytes = 0;
  }
  ~Scratch() { release(); }
};

thread_local Scratch scratch;

// Numbers too small to be normal count as 0 while a thread works: adapting kernels of distant features are full of
// them, and processors take a hundred times longer for one than for any other. The caller's setting is put back.
struct FlushDenormals {
#if defined(__SSE2__)
  const unsigned int before = _mm_getcsr();
  FlushDenormals() { _mm_setcsr(before | _MM_FLUSH_ZERO_ON | 0x40 /* denormals are zero */); }
  ~FlushDenormals() { _mm_setcsr(before); }
#elif defined(__aarch64__)
  uint64_t before;
  FlushDenormals() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | (uint64_t(1) << 24)));
  }
  ~FlushDenormals() { __asm__ volatile("msr fpcr, %0" : : "r"(before)); }
#endif
};

void run_part(void (*work)(void *, int), void *context, int thread) {
  const FlushDenormals flush;
  (void)flush;
  work(context, thread);
}

} // namespace

int pacbench_native_threads(int64_t wanted) {
  if (wanted <= 1 || getpid() != loaded_in) return 1;
#ifndef PACBENCH_STD_THREAD
  if (omp_in_parallel()) return 1;
#endif
  return (int)wanted;
}

void pacbench_native_parallel(int threads, void (*work)(void *, int), void *context) {
  if (threads == 1) {
    run_part(work, context, 0);
    return;
  }
#ifdef PACBENCH_STD_THREAD
  std::vector<std::thread> others;
  try {
    for (int thread = 1; thread < threads; thread++) others.emplace_back(run_part, work, context, thread);
  } catch (...) { // the system gives no more threads: their parts are done here
  }
  for (int thread = (int)others.size() + 1; thread < threads; thread++) run_part(work, context, thread);
  run_part(work, context, 0);
  for (std::thread &other : others) other.join();
#else
#pragma omp parallel num_threads(threads)
  {
    // OpenMP may give fewer threads than were asked for; the work has been cut for `threads`.
    for (int thread = omp_get_thread_num(); thread < threads; thread += omp_get_num_threads()) run_part(work, context, thread);
  }
#endif
}

void *pacbench_native_scratch(int64_t bytes) {
  if (bytes <= scratch.bytes) return scratch.block;
  scratch.release();
  const int64_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : 64;
  const int64_t size = (bytes + alignment - 1) / alignment * alignment;
  if (posix_memalign(&scratch.block, (size_t)alignment, (size_t)size) != 0) {
    scratch.block = nullptr;
    return nullptr;
  }
#ifdef MADV_HUGEPAGE
  if (size >= HUGE_PAGE) madvise(scratch.block, (size_t)size, MADV_HUGEPAGE);
#endif
  scratch.bytes = size;
  return scratch.block;
}

void pacbench_native_release_scratch(void) {
  if (scratch.bytes > KEPT) scratch.release();
}

extern "C" __attribute__((visibility("default"))) int pacbench_native_best_isa(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl"))
    return 2;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
  return 0;
}

extern "C" __attribute__((visibility("default"))) int64_t pacbench_native_call_size(void) { return sizeof(PacCall); }

extern "C" __attribute__((visibility("default"))) int64_t pacbench_native_lattice_call_size(void) { return sizeof(LatticeCall); }

extern "C" __attribute__((visibility("default"))) int64_t pacbench_native_blur_call_size(void) { return sizeof(BlurCall); }
