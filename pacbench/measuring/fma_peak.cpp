// The most multiply-adds per second that this machine's vector registers allow: no memory is touched.
//
// Every thread keeps enough independent accumulators in registers to hide the latency of a fused multiply-add and
// updates them in turn. Built by fma_peak.py with -O3 -march=native, so that `Vector` is the widest one there is.

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
constexpr int accumulators = 16;  // of 32 registers
#elif defined(__AVX__)
constexpr int vector_bytes = 32;
constexpr int accumulators = 12;  // of 16 registers
#elif defined(__aarch64__)
constexpr int vector_bytes = 16;
constexpr int accumulators = 24;  // of 32 registers
#else
constexpr int vector_bytes = 16;
constexpr int accumulators = 12;
#endif

typedef float Vector __attribute__((vector_size(vector_bytes)));
constexpr int lanes = vector_bytes / sizeof(float);

using Clock = std::chrono::steady_clock;

volatile float sink;  // the sums go here, so that the compiler may not leave the work out

float multiply_adds(long long iterations, float factor, float summand) {
    Vector x = {}, y = {}, a[accumulators];
    x += factor;
    y += summand;
#pragma GCC unroll 32
    for (int i = 0; i < accumulators; ++i) a[i] = y * static_cast<float>(i);
    for (long long n = 0; n < iterations; ++n) {
#pragma GCC unroll 32
        for (int i = 0; i < accumulators; ++i) a[i] = a[i] * x + y;
    }
    float sum = 0.0f;
    for (int i = 0; i < accumulators; ++i)
        for (int lane = 0; lane < lanes; ++lane) sum += a[i][lane];
    return sum;
}

}  // namespace

// Floating-point operations of one thread in `iterations` turns (a multiply-add counts as two).
extern "C" double pacbench_fma_operations(long long iterations) {
    return 2.0 * accumulators * lanes * static_cast<double>(iterations);
}

// Seconds from the moment when all threads are ready until the last one has done its turns.
extern "C" double pacbench_fma_seconds(int threads, long long iterations) {
    std::atomic<int> ready{0};
    std::atomic<bool> go{false};
    std::vector<std::thread> pool;
    for (int t = 0; t < threads; ++t) {
        pool.emplace_back([&, t] {
            ready.fetch_add(1);
            while (!go.load(std::memory_order_acquire)) std::this_thread::yield();
            // 0.999 and 0.001 keep every value near 1: neither denormal nor infinite.
            sink = multiply_adds(iterations, 0.999f, 0.001f + 1e-9f * static_cast<float>(t));
        });
    }
    while (ready.load() < threads) std::this_thread::yield();
    const auto start = Clock::now();
    go.store(true, std::memory_order_release);
    for (auto& thread : pool) thread.join();
    return std::chrono::duration<double>(Clock::now() - start).count();
}
