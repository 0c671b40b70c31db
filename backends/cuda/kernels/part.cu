// The kernels of one stored type: PACBENCH_PART names the part, PACBENCH_INSTANCES is the file that lists them.
#include "launch.cuh"

#define PACBENCH_JOIN_(a, b) a##b
#define PACBENCH_JOIN(a, b) PACBENCH_JOIN_(a, b)
#define PACBENCH_KERNEL(...) {#__VA_ARGS__, &__VA_ARGS__},

static const pacbench::Entry entries[] = {
#include PACBENCH_INSTANCES
};

extern "C" pacbench::Table PACBENCH_JOIN(pacbench_cuda_table_, PACBENCH_PART)() {
  return {entries, (int)(sizeof(entries) / sizeof(entries[0]))};
}
