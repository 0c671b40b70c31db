// The C interface. PACBENCH_PARTS lists the parts: `PACBENCH_EACH_PART(float)` and so on.
#include "launch.cuh"

#include <stdio.h>
#include <string.h>

#define PACBENCH_EXPORT extern "C" __attribute__((visibility("default")))

#define PACBENCH_EACH_PART(part) extern "C" pacbench::Table pacbench_cuda_table_##part();
PACBENCH_PARTS
#undef PACBENCH_EACH_PART

namespace {

using pacbench::Entry;
using pacbench::Table;

const Entry *entry(int number) {
#define PACBENCH_EACH_PART(part)                      \
  {                                                   \
    const Table table = pacbench_cuda_table_##part(); \
    if (number < table.count) return table.entries + number; \
    number -= table.count;                            \
  }
  PACBENCH_PARTS
#undef PACBENCH_EACH_PART
  return nullptr;
}

#if !defined(PACBENCH_HOST_SHIM)

// 0, or 1 with the call and what the runtime says of it.
int failed(cudaError_t status, const char *call, const char *kernel, char *error, long long size) {
  if (status == cudaSuccess) return 0;
  snprintf(error, (size_t)size, "%s of %s: %s (%s)", call, kernel, cudaGetErrorString(status), cudaGetErrorName(status));
  return 1;
}

#define PACBENCH_CHECK(call)                                                   \
  do {                                                                         \
    if (failed((call), #call, found->name, error, error_size)) return 1;       \
  } while (0)

constexpr unsigned SHARED_WITHOUT_ASKING = 48 * 1024;

int launch_on(const Entry *found, unsigned blocks, unsigned block_x, unsigned block_y, unsigned shared, void *call, long long stream,
              char *error, long long error_size) {
  const void *function = (const void *)found->kernel;
  if (shared > SHARED_WITHOUT_ASKING)
    PACBENCH_CHECK(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared));
  void *arguments[] = {call};
  PACBENCH_CHECK(cudaLaunchKernel(function, dim3(blocks), dim3(block_x, block_y), arguments, shared, (cudaStream_t)stream));
  return 0;
}

#endif

} // namespace

// Bytes of the struct that describes a call, as compiled: a guard against a stale library.
PACBENCH_EXPORT long long pacbench_cuda_call_size(void) { return sizeof(pacbench::Call); }

// Name expression of a kernel by its number from 0; null past the last.
PACBENCH_EXPORT const char *pacbench_cuda_kernel_name(int kernel) {
  const Entry *found = entry(kernel);
  return found ? found->name : nullptr;
}

// Launches a kernel on a stream of a device (a cudaStream_t as an integer). 0, or 1 with a message.
PACBENCH_EXPORT int pacbench_cuda_launch(int kernel, unsigned blocks, unsigned block_x, unsigned block_y, unsigned shared,
                                         const void *call, long long stream, int device, char *error, long long error_size) {
  const Entry *found = entry(kernel);
  if (!found) {
    snprintf(error, (size_t)error_size, "there is no kernel %d", kernel);
    return 1;
  }
  pacbench::Call described;
  memcpy(&described, call, sizeof described);
#if defined(PACBENCH_HOST_SHIM)
  (void)stream;
  (void)device;
  const std::string wrong = simt::launch(dim3(blocks), dim3(block_x, block_y), shared, [&] { found->kernel(described); });
  if (wrong.empty()) return 0;
  snprintf(error, (size_t)error_size, "%s: %s", found->name, wrong.c_str());
  return 1;
#else
  int before = device;
  PACBENCH_CHECK(cudaGetDevice(&before));
  if (before != device) PACBENCH_CHECK(cudaSetDevice(device));
  const int status = launch_on(found, blocks, block_x, block_y, shared, &described, stream, error, error_size);
  if (before != device) PACBENCH_CHECK(cudaSetDevice(before));
  return status;
#endif
}

#if defined(PACBENCH_HOST_SHIM)
namespace {
template <class... Parameters> int parameter_size(void (*)(Parameters...), int index) {
  const int sizes[] = {(int)sizeof(Parameters)...};
  return index < (int)sizeof...(Parameters) ? sizes[index] : -1;
}
} // namespace

// Bytes of a kernel's parameter, -1 past the last: for tests of who passes arguments one by one.
PACBENCH_EXPORT int pacbench_cuda_parameter_size(int kernel, int index) {
  return parameter_size(entry(kernel)->kernel, index);
}
#else
// Number of devices; -1 with the runtime's message where there is no driver or none that this library can use.
PACBENCH_EXPORT int pacbench_cuda_devices(char *error, long long error_size) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (!failed(status, "cudaGetDeviceCount", "the CUDA runtime", error, error_size)) return count;
  cudaGetLastError(); // it is told, and must not be told again by the next call
  return -1;
}
#endif
