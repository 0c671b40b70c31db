// How kernels are found by name and launched: the plain C interface of the compiled library, on a GPU and on the shim.
//
// A library is made of parts, one a stored type, which compile on their own: each defines a table of its kernels by the
// list of instances that `instances.py` writes, `PACBENCH_KERNEL(name expression)` a line. No type of torch, Python or of
// the CUDA runtime crosses the interface.
#pragma once
#include "pac.cuh"

namespace pacbench {

typedef void (*Kernel)(Call);

struct Entry {
  const char *name; // the name expression, as NVRTC takes it too
  Kernel kernel;
};

struct Table {
  const Entry *entries;
  int count;
};

} // namespace pacbench
