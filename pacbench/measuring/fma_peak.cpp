// The most multiply-adds per second that this machine's vector registers allow: no memory is touched.
//
// Every thread keeps enough independent accumulators in registers to hide the latency of a fused multiply-add and
// updates them in turn. Built by register_kernels.py.

#include "timed_threads.h"

namespace {

#if defined(__AVX512F__)
constexpr int accumulators = 16;  // of 32 registers
#elif defined(__aarch64__)
constexpr int accumulators = 24;  // of 32 registers
#else
constexpr int accumulators = 12;  // of 16 registers
#endif

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
extern "C" double pacbench_count(long long iterations) {
    return 2.0 * accumulators * lanes * static_cast<double>(iterations);
}

// Seconds from the moment when all threads are ready until the last one has done its turns.
extern "C" double pacbench_seconds(int threads, long long iterations) {
    return seconds_of(threads, [=](int t) {
        // 0.999 and 0.001 keep every value near 1: neither denormal nor infinite.
        sink = multiply_adds(iterations, 0.999f, 0.001f + 1e-9f * static_cast<float>(t));
    });
}
