// The entry point of blurred mean-field steps, of one instruction set and one scalar type.
#include "blur.hpp"
#include "threads.h"

#include <stdio.h>

#define PACBENCH_ENTRY_(scalar, isa) pacbench_native_blurred_update_##scalar##_##isa
#define PACBENCH_ENTRY__(scalar, isa) PACBENCH_ENTRY_(scalar, isa)

using namespace PACBENCH_NAMESPACE;

extern "C" __attribute__((visibility("default"))) int PACBENCH_ENTRY__(PACBENCH_SCALAR, PACBENCH_ISA)(const BlurCall *call, char *error,
                                                                                                       int64_t error_size) {
  const Index rows = call->batch * call->cell_rows;
  if (rows == 0) return 0;
  BlurredUpdate job(*call);
  job.threads = least((Index)pacbench_native_threads(call->threads), rows);
  Workspace counting;
  job.lay_out(counting);
  Workspace of_one;
  BlurredUpdateThread counted(job, of_one);
  (void)counted;
  job.bytes_of_thread = of_one.used;
  const Index bytes = counting.used + job.threads * of_one.used;
  Workspace workspace;
  workspace.block = (char *)pacbench_native_scratch(bytes);
  if (!workspace.block) {
    snprintf(error, (size_t)error_size, "no memory for a workspace of %lld bytes", (long long)bytes);
    return 1;
  }
  job.lay_out(workspace);
  job.of_threads = workspace;
  job.prepare();
  pacbench_native_parallel((int)job.threads, update_blurred, &job);
  pacbench_native_release_scratch();
  return 0;
}
