// Runs CUDA kernels on a CPU, for tests: every thread of a block is a fiber, blocks run one after another.
//
// Modelled: __syncthreads, __syncwarp, shuffles under a full mask, shared memory (static and dynamic, filled with NaN for
// every block, so that a read before the first write shows), atomicAdd on words. Found and reported: barriers that
// threads reach at different lines or not at all, exits before a barrier, shuffles with missing lanes, launches that a GPU
// would refuse. Under AddressSanitizer shared arrays have red zones; under ThreadSanitizer only barriers, shuffles and
// atomics order threads, and nothing orders blocks, so that races between threads and between blocks are found.
// Not modelled: tensor cores, asynchronous copies, textures, partial warps, the memory model beyond races, speed.
//
// Environment: SIMT_SEED, another number than 0: blocks and threads run in a random order.
#pragma once
#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
extern "C" {
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void __tsan_acquire(void *address);
void __tsan_release(void *address);
void AnnotateIgnoreReadsBegin(const char *, int);
void AnnotateIgnoreReadsEnd(const char *, int);
void AnnotateIgnoreWritesBegin(const char *, int);
void AnnotateIgnoreWritesEnd(const char *, int);
}
// The scheduler's own accesses are no part of a kernel.
#define SIMT_IGNORE_BEGIN() (AnnotateIgnoreReadsBegin(__FILE__, __LINE__), AnnotateIgnoreWritesBegin(__FILE__, __LINE__))
#define SIMT_IGNORE_END() (AnnotateIgnoreWritesEnd(__FILE__, __LINE__), AnnotateIgnoreReadsEnd(__FILE__, __LINE__))
#define SIMT_NO_TSAN __attribute__((no_sanitize("thread")))
#else
#define SIMT_IGNORE_BEGIN() ((void)0)
#define SIMT_IGNORE_END() ((void)0)
#define SIMT_NO_TSAN
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace simt {

struct Index { // CUDA's members are unsigned
  unsigned x = 0, y = 0, z = 0;
};

enum State { READY, AT_BARRIER, AT_WARP, DONE };

struct Block;

struct Fiber {
  Index thread;
  unsigned linear = 0;
  State state = READY;
  const char *file = nullptr; // of the barrier that it waits at
  int line = 0;
  Block *block = nullptr;
  char *stack = nullptr;
  size_t stack_size = 0;
#if defined(__x86_64__)
  void *stack_pointer = nullptr;
#else
  ucontext_t context;
#endif
#if defined(__SANITIZE_ADDRESS__)
  void *fake_stack = nullptr;
#endif
#if defined(__SANITIZE_THREAD__)
  void *tsan = nullptr;
  // Two sync objects per barrier, used in turn: the next arrival of a fast thread would order too much with one.
  unsigned barriers = 0, warp_barriers = 0;
#endif
};

struct SharedArray {
  const char *file;
  int line;
  std::unique_ptr<char[]> memory;
  size_t size;
};

struct Block {
  dim3 grid, size;
  Index index;
  unsigned threads = 0;
  const std::function<void()> *body = nullptr;
  std::vector<Fiber> fibers;
  Fiber *current = nullptr;
  std::vector<uint64_t> lanes; // what a shuffle exchanges
  std::unique_ptr<char[]> dynamic;
  size_t dynamic_size = 0;
  std::vector<SharedArray> arrays;
  std::string error;
#if defined(__x86_64__)
  void *scheduler = nullptr;
#else
  ucontext_t scheduler;
#endif
#if defined(__SANITIZE_ADDRESS__)
  void *fake_stack = nullptr;
  const void *scheduler_bottom = nullptr;
  size_t scheduler_size = 0;
#endif
#if defined(__SANITIZE_THREAD__)
  void *scheduler_tsan = nullptr;
  std::unique_ptr<char[]> sync; // 2 for the block, then 2 a warp
  char *start = nullptr, *end = nullptr;
  std::vector<std::unique_ptr<char[]>> finished; // shared memory of earlier blocks, kept: addresses are not used twice
#endif
};

inline Block *&current_block() {
  static thread_local Block *block = nullptr;
  return block;
}
inline Fiber &current() { return *current_block()->current; }

// --- switching

#if defined(__x86_64__)
extern "C" void simt_switch(void **save, void *load);
asm(R"(
.text
.weak simt_switch
.type simt_switch,@function
simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size simt_switch,.-simt_switch
)");
#endif

SIMT_NO_TSAN inline void to_scheduler(Fiber &fiber, bool for_good) {
  Block &block = *fiber.block;
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(block.scheduler_tsan, 1 /* orders nothing */);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(for_good ? nullptr : &fiber.fake_stack, block.scheduler_bottom, block.scheduler_size);
#endif
#if defined(__x86_64__)
  simt_switch(&fiber.stack_pointer, block.scheduler);
#else
  swapcontext(&fiber.context, &block.scheduler);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fiber.fake_stack, &block.scheduler_bottom, &block.scheduler_size);
#endif
  (void)for_good;
}

SIMT_NO_TSAN inline void run_fiber() {
  SIMT_IGNORE_BEGIN();
  Block &block = *current_block();
  Fiber &fiber = *block.current;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &block.scheduler_bottom, &block.scheduler_size);
#endif
  SIMT_IGNORE_END();
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(block.start);
#endif
  (*block.body)();
#if defined(__SANITIZE_THREAD__)
  __tsan_release(block.end);
#endif
  fiber.state = DONE;
  to_scheduler(fiber, true);
  std::abort();
}

SIMT_NO_TSAN inline void resume(Block &block, Fiber &fiber) {
  block.current = &fiber;
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(fiber.tsan, 1);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&block.fake_stack, fiber.stack, fiber.stack_size);
#endif
#if defined(__x86_64__)
  simt_switch(&block.scheduler, fiber.stack_pointer);
#else
  swapcontext(&block.scheduler, &fiber.context);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(block.fake_stack, nullptr, nullptr);
#endif
}

SIMT_NO_TSAN inline void prepare(Fiber &fiber) {
#if defined(__x86_64__)
  const uintptr_t top = (reinterpret_cast<uintptr_t>(fiber.stack) + fiber.stack_size) & ~uintptr_t(15);
  void **at = reinterpret_cast<void **>(top);
  *--at = nullptr; // a function is entered with its stack 8 bytes off a multiple of 16
  *--at = reinterpret_cast<void *>(&run_fiber);
  for (int i = 0; i < 6; i++) *--at = nullptr; // the six registers that a switch restores
  fiber.stack_pointer = at;
#else
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack;
  fiber.context.uc_stack.ss_size = fiber.stack_size;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, &run_fiber, 0);
#endif
}

// Stacks of fibers, in one mapping, a page without access below each.
struct Stacks {
  static constexpr size_t SIZE = 64 * 1024, GUARD = 4096;
  char *base = nullptr;
  size_t count = 0;

  ~Stacks() {
    if (base) munmap(base, count * SIZE);
  }
  void need(size_t wanted) {
    if (wanted <= count) return;
    if (base) munmap(base, count * SIZE);
    count = wanted;
    void *mapped = mmap(nullptr, count * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) throw std::runtime_error("simt: no memory for the stacks of fibers");
    base = static_cast<char *>(mapped);
    for (size_t i = 0; i < count; i++) mprotect(base + i * SIZE, GUARD, PROT_NONE);
  }
};

// --- barriers and shuffles

SIMT_NO_TSAN inline void wait(State state, const char *file, int line) {
  Fiber &fiber = current();
  fiber.file = file;
  fiber.line = line;
  fiber.state = state;
#if defined(__SANITIZE_THREAD__)
  char *sync = fiber.block->sync.get();
  sync += state == AT_BARRIER ? (fiber.barriers++ & 1) : 2 + 2 * (fiber.linear / 32) + (fiber.warp_barriers++ & 1);
  __tsan_release(sync);
#endif
  to_scheduler(fiber, false);
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(sync);
#endif
}

SIMT_NO_TSAN inline uint64_t exchange(uint64_t value, unsigned source, const char *file, int line) {
  Fiber &fiber = current();
  Block &block = *fiber.block;
  block.lanes[fiber.linear] = value;
  wait(AT_WARP, file, line);
  const uint64_t got = block.lanes[(fiber.linear & ~31u) | (source & 31u)];
  wait(AT_WARP, file, line);
  return got;
}

template <typename T> inline T shuffle(T value, unsigned source, const char *file, int line) {
  static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = exchange(bits, source, file, line);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

template <typename T> inline T shuffle_down(T value, unsigned distance, const char *file, int line) {
  const unsigned lane = current().linear & 31u;
  return shuffle(value, lane + distance < 32 ? lane + distance : lane, file, line);
}

// --- shared memory

inline void *shared_array(const char *file, int line, size_t size) {
  SIMT_IGNORE_BEGIN();
  Block &block = *current().block;
  void *found = nullptr;
  for (SharedArray &array : block.arrays)
    if (array.line == line && array.file == file) found = array.memory.get();
  if (!found) { // of its exact size: AddressSanitizer puts red zones at both ends
    block.arrays.push_back({file, line, std::unique_ptr<char[]>(new char[size]), size});
    found = block.arrays.back().memory.get();
    std::memset(found, 0xFF, size);
  }
  SIMT_IGNORE_END();
  return found;
}

// --- a launch

SIMT_NO_TSAN inline void release_warps(Block &block, bool &released) {
  for (unsigned first = 0; first < block.threads; first += 32) {
    const unsigned last = std::min(first + 32, block.threads);
    unsigned waiting = 0, live = 0;
    for (unsigned i = first; i < last; i++) {
      waiting += block.fibers[i].state == AT_WARP;
      live += block.fibers[i].state != DONE;
    }
    if (waiting == 0) continue;
    if (waiting == last - first) {
      for (unsigned i = first; i < last; i++) block.fibers[i].state = READY;
      released = true;
    } else if (waiting == live) {
      block.error = "a shuffle under a full mask after lanes of its warp have left the kernel";
    }
  }
}

SIMT_NO_TSAN inline void release_barrier(Block &block, unsigned done, bool &released) {
  const Fiber *first = nullptr;
  unsigned waiting = 0;
  for (const Fiber &fiber : block.fibers)
    if (fiber.state == AT_BARRIER) {
      waiting++;
      if (!first) first = &fiber;
      if (fiber.line != first->line || fiber.file != first->file)
        block.error = "__syncthreads reached at line " + std::to_string(first->line) + " and at line " + std::to_string(fiber.line);
    }
  if (waiting == 0 || waiting + done < block.threads) {
    block.error.clear(); // others are still on their way
    return;
  }
  if (done)
    block.error = "__syncthreads at line " + std::to_string(first->line) + " after " + std::to_string(done) + " threads left the kernel";
  for (Fiber &fiber : block.fibers)
    if (fiber.state == AT_BARRIER) fiber.state = READY;
  released = true;
}

SIMT_NO_TSAN inline void run_block(Block &block, std::mt19937_64 *random, std::vector<unsigned> &order) {
#if defined(__SANITIZE_THREAD__)
  Stacks stacks; // a new mapping for every block: nothing known of its addresses
#else
  static thread_local Stacks stacks;
#endif
  stacks.need(block.threads);
#if defined(__SANITIZE_THREAD__)
  block.scheduler_tsan = __tsan_get_current_fiber();
#endif
  for (unsigned i = 0; i < block.threads; i++) {
    Fiber &fiber = block.fibers[i];
    fiber.block = &block;
    fiber.linear = i;
    fiber.state = READY;
    fiber.thread = {i % block.size.x, i / block.size.x % block.size.y, i / (block.size.x * block.size.y)};
    fiber.stack = stacks.base + i * Stacks::SIZE + Stacks::GUARD;
    fiber.stack_size = Stacks::SIZE - Stacks::GUARD;
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(fiber.stack, fiber.stack_size);
    fiber.fake_stack = nullptr;
#endif
#if defined(__SANITIZE_THREAD__)
    fiber.tsan = __tsan_create_fiber(0);
    fiber.barriers = fiber.warp_barriers = 0;
#endif
    prepare(fiber);
  }
  for (unsigned done = 0; done < block.threads && block.error.empty();) {
    if (random) std::shuffle(order.begin(), order.end(), *random);
    bool moved = false;
    for (const unsigned i : order) {
      Fiber &fiber = block.fibers[i];
      if (fiber.state != READY) continue;
      resume(block, fiber);
      moved = true;
      done += fiber.state == DONE;
    }
    if (done == block.threads) break;
    release_warps(block, moved);
    if (block.error.empty()) release_barrier(block, done, moved);
    if (!moved && block.error.empty()) block.error = "threads wait at barriers that the others never reach";
  }
#if defined(__SANITIZE_THREAD__)
  for (Fiber &fiber : block.fibers) __tsan_destroy_fiber(fiber.tsan);
#endif
}

// What of shared memory a block of a GPU may use: 227 KiB on sm_90.
constexpr size_t MOST_SHARED = 227 * 1024;

// Runs a kernel; empty, or what is wrong with it.
inline std::string launch(dim3 grid, dim3 size, size_t shared, const std::function<void()> &body) {
  const size_t blocks = size_t(grid.x) * grid.y * grid.z;
  const unsigned threads = size.x * size.y * size.z;
  if (!blocks || !threads || threads > 1024 || size.z > 64 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
    return "the grid or the block has a size that no GPU takes";
  if (shared > MOST_SHARED) return "more dynamic shared memory than a GPU has";
  const char *named = std::getenv("SIMT_SEED");
  const unsigned seed = named ? unsigned(std::strtoul(named, nullptr, 10)) : 0;
  std::mt19937_64 random(seed);
  std::vector<size_t> sequence(seed ? blocks : 0);
  for (size_t i = 0; i < sequence.size(); i++) sequence[i] = i;
  std::shuffle(sequence.begin(), sequence.end(), random);
  Block block;
  block.grid = grid;
  block.size = size;
  block.threads = threads;
  block.body = &body;
  block.fibers.resize(threads);
  block.lanes.resize((threads + 31) / 32 * 32);
  block.dynamic_size = shared;
  block.dynamic.reset(new char[shared ? shared : 1]);
  std::vector<unsigned> order(threads);
  for (unsigned i = 0; i < threads; i++) order[i] = i;
#if defined(__SANITIZE_THREAD__)
  char start = 0, end = 0;
  block.start = &start;
  block.end = &end;
#endif
  Block *outer = current_block();
  current_block() = &block;
  for (size_t i = 0; i < blocks && block.error.empty(); i++) {
    const size_t number = seed ? sequence[i] : i;
    SIMT_IGNORE_BEGIN();
    block.index = {unsigned(number % grid.x), unsigned(number / grid.x % grid.y), unsigned(number / (size_t(grid.x) * grid.y))};
#if defined(__SANITIZE_THREAD__)
    for (SharedArray &array : block.arrays) block.finished.push_back(std::move(array.memory));
    block.arrays.clear();
    block.finished.push_back(std::move(block.dynamic));
    block.dynamic.reset(new char[shared ? shared : 1]);
    if (block.sync) block.finished.push_back(std::move(block.sync));
    block.sync.reset(new char[2 + 2 * ((threads + 31) / 32)]);
#endif
    std::memset(block.dynamic.get(), 0xFF, shared);
    for (SharedArray &array : block.arrays) std::memset(array.memory.get(), 0xFF, array.size);
    SIMT_IGNORE_END();
#if defined(__SANITIZE_THREAD__)
    __tsan_release(&start);
#endif
    run_block(block, seed ? &random : nullptr, order);
    if (!block.error.empty()) block.error = "block " + std::to_string(number) + ": " + block.error;
  }
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(&end);
#endif
  current_block() = outer;
  return block.error;
}

// --- scalars

inline float float_of_half(uint16_t bits) {
  const uint32_t sign = uint32_t(bits & 0x8000u) << 16, exponent = bits >> 10 & 31u, fraction = bits & 1023u;
  uint32_t wide;
  if (exponent == 0) { // zero or denormal: exact in float
    const float value = std::ldexp(float(fraction), -24);
    std::memcpy(&wide, &value, 4);
    wide |= sign;
  } else if (exponent == 31) {
    wide = sign | 0x7f800000u | fraction << 13;
  } else {
    wide = sign | (exponent + 112) << 23 | fraction << 13;
  }
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}

// Rounded to nearest, ties to even, as cvt.rn.f16.f32 does.
inline uint16_t half_of_float(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  const uint16_t sign = uint16_t(bits >> 16 & 0x8000u);
  const float size = std::fabs(value);
  if (value != value) return 0x7fffu;
  if (size == 0) return sign;
  if (size >= 65520.0f) return sign | 0x7c00u;
  int exponent;
  std::frexp(size, &exponent); // size = m 2^exponent, m in [1/2, 1)
  const int step = std::max(exponent - 11, -24); // of the last bit
  const float scaled = std::nearbyint(std::ldexp(size, -step));
  const uint32_t units = uint32_t(scaled); // at most 2048: then the exponent is one more, and so is the sum below
  return sign | uint16_t(step == -24 ? units : (uint32_t(step + 24) << 10) + units);
}

} // namespace simt

#define PACBENCH_SHARED_STATIC(T, name, count) \
  T *name = static_cast<T *>(::simt::shared_array(__FILE__, __LINE__, (count) * sizeof(T)))
#define PACBENCH_SHARED_DYNAMIC(T, name) T *name = reinterpret_cast<T *>(::simt::current().block->dynamic.get())

#define threadIdx (::simt::current().thread)
#define blockIdx (::simt::current().block->index)
#define blockDim (::simt::current().block->size)
#define gridDim (::simt::current().block->grid)
#define __syncthreads() ::simt::wait(::simt::AT_BARRIER, __FILE__, __LINE__)
#define __syncwarp() ::simt::wait(::simt::AT_WARP, __FILE__, __LINE__)
#define __shfl_down_sync(mask, value, distance) ::simt::shuffle_down((value), (distance), __FILE__, __LINE__)
#define __shfl_xor_sync(mask, value, bits) \
  ::simt::shuffle((value), (::simt::current().linear & 31u) ^ (bits), __FILE__, __LINE__)

template <typename T> inline T __ldg(const T *at) { return *at; }

inline unsigned __float_as_uint(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}
inline float __uint_as_float(unsigned bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

template <typename T> inline T atomicAdd(T *at, T value) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "atomicAdd on a word");
  T before, after;
  __atomic_load(at, &before, __ATOMIC_RELAXED);
  do after = before + value;
  while (!__atomic_compare_exchange(at, &before, &after, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return before;
}
