// How fast this machine computes values of the Gaussian adapting kernel over three guide channels, exp(-½ |f_i - f_j|²),
// when nothing is loaded and nothing is stored: the part of a pooling's time that no layout of memory can save.
//
// exp is a polynomial of degree 6 after a reduction in two parts, as in the Cephes library's expf (S. Moshier).
// Built by register_kernels.py.

#include "timed_threads.h"

#if defined(__AVX512F__)
#define REGISTER "v"
#elif defined(__x86_64__)
#define REGISTER "x"
#elif defined(__aarch64__)
#define REGISTER "w"
#else
#error "unknown vector registers"
#endif

namespace {

typedef int Integers __attribute__((vector_size(vector_bytes)));

constexpr int guide_channels = 3;

inline Vector all(float value) { return value - Vector{}; }

// exp of x <= 0 to float32 accuracy; below -87 it stays at exp(-87).
inline Vector exponential(Vector x) {
    const Vector least = all(-87.0f), magic = all(12582912.0f);  // 1.5 · 2²³: the sum's low bits are the integer
    x = x < least ? least : x;
    const Vector shifted = x * 1.44269504088896341f + magic;
    const Vector whole = shifted - magic;
    const Vector r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
    Vector p = all(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return (Vector)(((Integers)shifted << 23) + (Integers)p);
}

inline Vector kernel_value(const Vector* centre, const Vector* tap) {
    Vector squared = {};
    for (int c = 0; c < guide_channels; ++c) {
        const Vector difference = tap[c] - centre[c];
        squared += difference * difference;
    }
    return exponential(squared * -0.5f);
}

void values(long long iterations) {
    Vector centre[guide_channels], tap[guide_channels];
    for (int c = 0; c < guide_channels; ++c) {
        centre[c] = all(0.1f * static_cast<float>(c));
        tap[c] = all(0.5f);
    }
    // Turns do not depend on one another, so that the processor works on several at once.
    for (long long n = 0; n < iterations; ++n) {
        // The compiler is told that the guide is new and the value is used; neither costs an instruction.
        for (int c = 0; c < guide_channels; ++c) asm volatile("" : "+" REGISTER(tap[c]));
        Vector value = kernel_value(centre, tap);
        asm volatile("" : : REGISTER(value));
    }
}

}  // namespace

// Values of one thread in `iterations` turns.
extern "C" double pacbench_count(long long iterations) {
    return static_cast<double>(lanes) * static_cast<double>(iterations);
}

// Seconds from the moment when all threads are ready until the last one has done its turns.
extern "C" double pacbench_seconds(int threads, long long iterations) {
    return seconds_of(threads, [=](int) { values(iterations); });
}

// exp(-½ |f_i - f_j|²) for one pair of guide vectors of three channels, to check the arithmetic.
extern "C" float pacbench_kernel_value(const float* centre, const float* tap) {
    Vector from[guide_channels], to[guide_channels];
    for (int c = 0; c < guide_channels; ++c) {
        from[c] = all(centre[c]);
        to[c] = all(tap[c]);
    }
    return kernel_value(from, to)[0];
}
