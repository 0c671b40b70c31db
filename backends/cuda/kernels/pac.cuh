// All kernels.
#pragma once
#include "contraction.cuh"
#include "contraction_tiled.cuh"
#include "filter_gradient.cuh"
#include "guide_gradient.cuh"
#include "kernel_alone.cuh"
#include "kernel_gradient.cuh"
#include "modulation.cuh"
#include "sums.cuh"
