// Which pixel a thread works at, and which pixel a tap meets.
#pragma once
#include "call.cuh"

namespace pacbench {

// Where a tap leads along one axis: down, to at * stride + offset + tap * step; up, to (at + offset + tap * step) / stride
// where that is whole. Zeros that a transposed operator inserts are thus never met.
struct Axis {
  int up, stride, offset, step, size;

  PACBENCH_INLINE int meet(int at, int tap) const {
    int to = at + offset + tap * step;
    if (up) {
      if (to < 0) return -1;
      if (stride != 1) {
        const int whole = to / stride;
        if (whole * stride != to) return -1;
        to = whole;
      }
    } else {
      to += at * (stride - 1);
    }
    return to >= 0 && to < size ? to : -1;
  }
  // Pixels that lie this far apart meet the same taps.
  PACBENCH_INLINE int phases() const { return up ? stride : 1; }
};

struct Map {
  Axis y, x;
};

// From an output pixel to the input pixel that a tap meets.
PACBENCH_INLINE Map to_input(const Call &c) {
  return {{c.transposed, c.stride_height, c.offset_height, c.dilation_height, c.height},
          {c.transposed, c.stride_width, c.offset_width, c.dilation_width, c.width}};
}

// From an input pixel to the output pixel whose tap meets it.
PACBENCH_INLINE Map to_output(const Call &c) {
  return {{!c.transposed, c.stride_height, -c.offset_height, -c.dilation_height, c.out_height},
          {!c.transposed, c.stride_width, -c.offset_width, -c.dilation_width, c.out_width}};
}

// From a guide pixel to the output pixel whose tap lies on it.
PACBENCH_INLINE Map guide_to_output(const Call &c) {
  return {{1, c.guide_stride_height, c.guide_padding_height, -c.dilation_height, c.out_height},
          {1, c.guide_stride_width, c.guide_padding_width, -c.dilation_width, c.out_width}};
}

// From a guide pixel to the output pixel whose window is centred on it: tap 0 of this map.
PACBENCH_INLINE Map centre_to_output(const Call &c) {
  const int reach_h = (c.kernel_height - 1) * c.dilation_height, reach_w = (c.kernel_width - 1) * c.dilation_width;
  return {{1, c.guide_stride_height, c.guide_padding_height - reach_h / 2, 0, c.out_height},
          {1, c.guide_stride_width, c.guide_padding_width - reach_w / 2, 0, c.out_width}};
}

// A thread's pixel. Blocks are numbered image by image, part by part (a part is a block of channels), phase by phase, tile
// by tile; threads along x work at neighbours within a phase, so that their reads and writes are coalesced.
struct Place {
  int image, part, y, x;
  bool inside;
};

PACBENCH_INLINE Place place(int height, int width, int step_h, int step_w, int parts) {
  const int tiles_x = ceil_div(ceil_div(width, step_w), (int)blockDim.x);
  const int tiles_y = ceil_div(ceil_div(height, step_h), (int)blockDim.y);
  int block = (int)blockIdx.x;
  const int tile_x = block % tiles_x;
  block /= tiles_x;
  const int tile_y = block % tiles_y;
  block /= tiles_y;
  const int phase_x = block % step_w;
  block /= step_w;
  const int phase_y = block % step_h;
  block /= step_h;
  Place at;
  at.part = block % parts;
  at.image = block / parts;
  at.y = phase_y + step_h * (tile_y * (int)blockDim.y + (int)threadIdx.y);
  at.x = phase_x + step_w * (tile_x * (int)blockDim.x + (int)threadIdx.x);
  at.inside = at.y < height && at.x < width;
  return at;
}

PACBENCH_INLINE long long plane_of(int height, int width) { return (long long)height * width; }

} // namespace pacbench
