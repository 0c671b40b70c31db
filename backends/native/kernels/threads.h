// Threads and memory of the library; the one part that is compiled once, in common.cpp.
#pragma once
#include <stdint.h>

// How many threads a call may use: `wanted`, but one in a forked child (the parent's pool is not there) and one
// inside a parallel region of the caller.
int pacbench_native_threads(int64_t wanted);

// Run work(context, 0) to work(context, threads - 1), each on a thread of its own; return when all are done.
void pacbench_native_parallel(int threads, void (*work)(void *context, int thread), void *context);

// A block of this thread's cached memory, aligned to 64 bytes, of unspecified content; null if there is none.
// It stays valid until the thread asks again; blocks beyond the cache's size are freed by release.
void *pacbench_native_scratch(int64_t bytes);
void pacbench_native_release_scratch(void);
