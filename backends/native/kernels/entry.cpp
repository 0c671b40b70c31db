// The entry points of one instruction set and one scalar type.
#include "convolution_backward.hpp"
#include "convolution_forward.hpp"
#include "kernel_alone.hpp"
#include "pooling_backward.hpp"

#include <stdio.h>
#include <stdlib.h>

#define PACBENCH_ENTRY_(what, scalar, isa) pacbench_native_##what##_##scalar##_##isa
#define PACBENCH_ENTRY__(what, scalar, isa) PACBENCH_ENTRY_(what, scalar, isa)
#define PACBENCH_ENTRY(what) PACBENCH_ENTRY__(what, PACBENCH_SCALAR, PACBENCH_ISA)
#define PACBENCH_EXPORT extern "C" __attribute__((visibility("default")))

namespace PACBENCH_NAMESPACE {

static int out_of_memory(Index bytes, char *error, int64_t error_size) {
  snprintf(error, (size_t)error_size, "no memory for a workspace of %lld bytes", (long long)bytes);
  return 1;
}

// The lists of taps of a call; freed at its end.
struct Description {
  Geometry geometry = {};
  Workspace lists;

  Description(const PacCall &call, bool kernel_alone, Index lines_at_once) {
    lists.block = (char *)malloc((size_t)description_bytes(call));
    if (lists.block) describe(geometry, call, kernel_alone, lines_at_once, lists);
  }
  ~Description() { free(lists.block); }
};

// No more threads than lines.
static int threads_for(const Geometry &g) {
  return (int)least((Index)pacbench_native_threads(g.call->threads), most((Index)1, g.call->batch * g.lines));
}

// Lays the workspace of a job out twice: once to count, once in memory. `Thread` is the state of one thread.
template <class Thread, class Job> static bool lay_out(Job &job, Index &bytes) {
  for (int pass = 0; pass < 2; pass++) {
    Workspace workspace;
    if (pass == 1) {
      workspace.block = (char *)pacbench_native_scratch(bytes);
      if (!workspace.block) return false;
    }
    job.lay_out(workspace);
    job.of_threads = workspace;
    Workspace counting;
    Thread thread(job, counting);
    (void)thread;
    job.bytes_of_thread = counting.used;
    bytes = workspace.used + job.threads * counting.used;
  }
  return true;
}

typedef void (*Work)(void *context, int thread);

// Describe, lay out, prepare, work, finish.
template <class Job, class Thread, class Prepare>
static int compute(const PacCall &call, bool kernel_alone, Index lines_at_once, Prepare prepare, Work work, Work finish, char *error,
                   int64_t error_size) {
  if (call.batch == 0) return 0;
  Description description(call, kernel_alone, lines_at_once);
  if (!description.lists.block) return out_of_memory(description_bytes(call), error, error_size);
  Job job(description.geometry);
  job.threads = threads_for(description.geometry);
  Index bytes = 0;
  if (!lay_out<Thread>(job, bytes)) return out_of_memory(bytes, error, error_size);
  prepare(job);
  pacbench_native_parallel(job.threads, work, &job);
  if (finish) pacbench_native_parallel(job.threads, finish, &job);
  pacbench_native_release_scratch();
  return 0;
}

} // namespace PACBENCH_NAMESPACE

using namespace PACBENCH_NAMESPACE;

PACBENCH_EXPORT int PACBENCH_ENTRY(forward)(const PacCall *call, char *error, int64_t error_size) {
  if (call->shared_filters)
    return compute<PoolingForward, PoolingForwardThread>(
        *call, false, lines_of_pooling(*call), [](PoolingForward &) {}, pool_forward, nullptr, error, error_size);
  return compute<ConvolutionForward, ConvolutionForwardThread>(
      *call, false, 1, [](ConvolutionForward &job) { job.filter.pack(*job.geometry, job.blocks); }, convolve_forward, nullptr, error,
      error_size);
}

PACBENCH_EXPORT int PACBENCH_ENTRY(backward)(const PacCall *call, char *error, int64_t error_size) {
  if (call->shared_filters)
    return compute<PoolingBackward, PoolingBackwardThread>(
        *call, false, 1, [](PoolingBackward &) {}, pool_backward, finish_pool_backward, error, error_size);
  return compute<ConvolutionBackward, ConvolutionBackwardThread>(
      *call, false, 1, [](ConvolutionBackward &job) { job.pack(); }, convolve_backward, finish_convolve_backward, error, error_size);
}

PACBENCH_EXPORT int PACBENCH_ENTRY(kernel_forward)(const PacCall *call, char *error, int64_t error_size) {
  return compute<KernelAlone, KernelAloneThread>(
      *call, true, 1, [](KernelAlone &) {}, compute_kernel_alone<false>, nullptr, error, error_size);
}

PACBENCH_EXPORT int PACBENCH_ENTRY(kernel_backward)(const PacCall *call, char *error, int64_t error_size) {
  return compute<KernelAlone, KernelAloneThread>(
      *call, true, 1, [](KernelAlone &) {}, compute_kernel_alone<true>, finish_kernel_alone, error, error_size);
}
