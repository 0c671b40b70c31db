// Where taps lie: rings of packed rows, the order in which output rows are visited, and the lists of taps.
//
// Rows of an image are packed one by one into a ring of zero-padded rows that stays in L2:
// [slot][channel][column phase][width]. With a column stride s the pixels x, x + s, x + 2 s, ... lie side by side
// (column phase x mod s), so that the taps of neighbouring outputs are always contiguous.
//
// Output rows whose taps meet the same input rows form a class: with dilation d every d-th row. A class is visited
// from top to bottom; its taps advance by `advance` ring rows from one output row to the next, so that a ring of
// k_h rows serves any dilation.
#pragma once
#include "call.h"
#include "workspace.hpp"

namespace PACBENCH_NAMESPACE {

// An image (channels, height, width) as rings see it. Ring row j of a class is image row first(class) + j * spacing.
struct PackedImage {
  Index channels, height, width;
  Index phases;       // column phases
  Index pad_left;     // zeros before the first pixel of a phase
  Index phase_width;  // elements of a phase with its padding: an odd number of cache lines against set conflicts
  Index ring_rows;    // rows that a ring holds
  Index spacing, class_stride, offset; // image row = class * class_stride - offset + j * spacing

  Index channel_size() const { return phases * phase_width; }
  Index row_size() const { return channels * channel_size(); }
  Index ring_size() const { return ring_rows * row_size(); }
  Index image_row(Index row_class, Index j) const { return row_class * class_stride - offset + j * spacing; }
  bool has_row(Index y) const { return y >= 0 && y < height; }
  // Pixels of a column phase.
  Index pixels(Index phase) const { return ceil_div(width - phase, phases); }
};

// A ring in a thread's workspace. Row j of the running class lies in slot j mod ring_rows.
struct Ring {
  const PackedImage *image;
  Scalar *slots;
  Scalar **open_rows; // rows of the running line
  Index first_open;

  void lay_out(const PackedImage &of, Workspace &workspace) {
    image = &of;
    slots = workspace.take<Scalar>(of.ring_size() + 2 * LANES);
    open_rows = workspace.take<Scalar *>(of.ring_rows);
  }
  // Look the rows of a line up once: a division for each tap would cost more than the tap.
  void open(Index first) {
    first_open = first;
    for (Index i = 0; i < image->ring_rows; i++) open_rows[i] = row(first + i);
  }
  Scalar *at(Index j) const { return open_rows[j - first_open]; }
  Scalar *row(Index j) const { return slots + (j % image->ring_rows) * image->row_size(); }
};

// Where a tap meets the pixels of a ring's row: output x meets element `element` + x, pixel x + shift of the phase.
struct Columns {
  Index phase, shift;
  Index element;

  void meet(Index offset, Index stride) { // pixel x * stride + offset of the image
    shift = floor_div(offset, stride);
    phase = offset - shift * stride;
  }
  void place(const PackedImage &image) { element = phase * image.phase_width + image.pad_left + shift; }
};

struct Tap {
  Index position;          // in the filter: ky * k_w + kx
  Index row, guide_row;    // of the rings, relative to the first row of the running output row
  Columns input, guide;
  Index first, last;       // outputs x with first <= x < last meet a pixel of the image
};

// The taps of the outputs (phase_row + sh * q, phase_column + sw * x); one phase only where not transposed.
struct Phase {
  Index row, column;    // 0 to stride - 1
  Index count;
  Tap *taps;
  Index centre_row;     // where f_i lies in the guide's ring
  Columns centre;
};

struct Geometry {
  const PacCall *call;
  Index taps;           // k_h * k_w
  Index lines, columns; // output rows and columns of one phase
  Index step_row, step_column; // distance of a phase's outputs: the stride where transposed, else 1
  Index classes, advance, guide_advance;
  Index phase_count;
  Phase *phases;
  PackedImage input, guide;

  Index lines_of_class(Index row_class) const { return ceil_div(lines - row_class, classes); }
  Index line(Index row_class, Index i) const { return row_class + i * classes; }
};

PACBENCH_INLINE Index greatest_common_divisor(Index a, Index b) {
  while (b) {
    const Index rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

struct Extent { // of column shifts
  Index lowest = 0, highest = 0;
  void include(Index shift) {
    lowest = least(lowest, shift);
    highest = most(highest, shift);
  }
};

PACBENCH_INLINE void set_width(PackedImage &image, Extent shifts, Index columns) {
  image.pad_left = -shifts.lowest;
  const Index lines_of_16 = 64 / (Index)sizeof(Scalar);
  Index width = round_up(columns, LANES) + image.pad_left + shifts.highest;
  width = most(width, image.pad_left + image.pixels(0)); // a stride may leave pixels that no tap meets
  width = round_up(width, lines_of_16);
  if (width / lines_of_16 % 2 == 0) width += lines_of_16;
  image.phase_width = width;
}

// Bytes of the lists that `describe` fills.
PACBENCH_INLINE Index description_bytes(const PacCall &call) {
  const Index phases = call.transposed ? call.stride_height * call.stride_width : 1;
  const Index taps = call.kernel_height * call.kernel_width;
  return phases * (Index)sizeof(Phase) + taps * (Index)sizeof(Tap) + 4 * CACHE_LINE;
}

// The taps of a transposed operator by phases, so that the zeros between the input's pixels are never met.
static void list_taps_of_phases(Geometry &g, Workspace &workspace, Index &lowest_row, Index &highest_row) {
  const PacCall &call = *g.call;
  const Index kh = call.kernel_height, kw = call.kernel_width, sh = call.stride_height, sw = call.stride_width;
  const Index dh = call.dilation_height, dw = call.dilation_width;
  const Index reach_h = (kh - 1) * dh, reach_w = (kw - 1) * dw;
  lowest_row = highest_row = 0;
  Tap *next = workspace.take<Tap>(g.taps); // each tap is of one phase
  for (Index i = 0; i < g.phase_count; i++) {
    Phase &phase = g.phases[i];
    phase.row = i / sw;
    phase.column = i % sw;
    phase.count = 0;
    phase.taps = next;
    phase.centre_row = phase.row + reach_h / 2;
    phase.centre.meet(phase.column, sw);
    for (Index ky = 0; ky < kh; ky++)
      for (Index kx = 0; kx < kw; kx++) {
        const Index y = phase.row + ky * dh - (reach_h - call.padding_height);
        const Index x = phase.column + kx * dw - (reach_w - call.padding_width);
        if (floor_div(y, sh) * sh != y || floor_div(x, sw) * sw != x) continue; // an inserted zero
        Tap &tap = *next++;
        phase.count++;
        tap.position = ky * kw + kx;
        tap.row = floor_div(y, sh);
        tap.input.meet(floor_div(x, sw), 1);
        tap.guide_row = phase.row + ky * dh;
        tap.guide.meet(phase.column + kx * dw - reach_w / 2, sw);
        lowest_row = least(lowest_row, tap.row);
        highest_row = most(highest_row, tap.row);
      }
  }
}

// The geometry of a call. `kernel_alone`: packernel2d, whose window moves over the guide, with all taps of all
// outputs. `lines_at_once`: output rows of a class that a block computes together.
static void describe(Geometry &g, const PacCall &call, bool kernel_alone, Index lines_at_once, Workspace &workspace) {
  const Index kh = call.kernel_height, kw = call.kernel_width;
  const Index dh = call.dilation_height, dw = call.dilation_width;
  const Index reach_h = (kh - 1) * dh, reach_w = (kw - 1) * dw;
  const bool by_phases = call.transposed && !kernel_alone;
  // The window over the guide of a transposed operator has stride 1 and is centred, whatever its padding is.
  const Index move_h = call.transposed ? 1 : call.stride_height, move_w = call.transposed ? 1 : call.stride_width;
  const Index pad_h = call.transposed ? reach_h / 2 : call.padding_height;
  const Index pad_w = call.transposed ? reach_w / 2 : call.padding_width;
  g.call = &call;
  g.taps = kh * kw;
  g.step_row = by_phases ? call.stride_height : 1;
  g.step_column = by_phases ? call.stride_width : 1;
  g.lines = ceil_div(call.out_height, g.step_row);
  g.columns = ceil_div(call.out_width, g.step_column);
  g.phase_count = g.step_row * g.step_column;
  g.phases = workspace.take<Phase>(g.phase_count);

  PackedImage &in = g.input, &guide = g.guide;
  in.channels = kernel_alone ? 0 : call.in_channels;
  in.height = call.height;
  in.width = call.width;
  guide.channels = call.guide ? call.guide_channels : 0;
  guide.height = call.transposed ? call.out_height : call.height;
  guide.width = call.transposed ? call.out_width : call.width;
  if (by_phases) {
    Index lowest_row, highest_row;
    list_taps_of_phases(g, workspace, lowest_row, highest_row);
    for (Index i = 0; i < g.phase_count; i++)
      for (Index t = 0; t < g.phases[i].count; t++) g.phases[i].taps[t].row -= lowest_row;
    g.classes = 1;
    g.advance = 1;
    g.guide_advance = call.stride_height;
    in.phases = 1;
    in.spacing = 1;
    in.class_stride = 0;
    in.offset = -lowest_row;
    in.ring_rows = highest_row - lowest_row + lines_at_once;
    guide.phases = call.stride_width;
    guide.spacing = 1;
    guide.class_stride = 0;
    guide.offset = pad_h;
    guide.ring_rows = reach_h + call.stride_height * lines_at_once;
  } else {
    const Index common = greatest_common_divisor(move_h, dh);
    g.classes = least(dh / common, g.lines); // no more than lines: then each line is a class of its own
    g.advance = g.guide_advance = move_h / common;
    in.phases = guide.phases = move_w;
    in.spacing = guide.spacing = dh;
    in.class_stride = guide.class_stride = move_h;
    in.offset = guide.offset = pad_h;
    in.ring_rows = guide.ring_rows = kh + (lines_at_once - 1) * g.advance;
    Phase &phase = g.phases[0];
    phase.row = phase.column = 0;
    phase.count = g.taps;
    phase.taps = workspace.take<Tap>(g.taps);
    phase.centre_row = (kh - 1) / 2;
    phase.centre.meet(reach_w / 2 - pad_w, move_w);
    for (Index t = 0; t < g.taps; t++) {
      Tap &tap = phase.taps[t];
      tap.position = t;
      tap.row = tap.guide_row = t / kw;
      tap.input.meet(t % kw * dw - pad_w, move_w);
      tap.guide = tap.input;
    }
  }
  Extent shifts, guide_shifts;
  for (Index i = 0; i < g.phase_count; i++) {
    guide_shifts.include(g.phases[i].centre.shift);
    for (Index t = 0; t < g.phases[i].count; t++) {
      shifts.include(g.phases[i].taps[t].input.shift);
      guide_shifts.include(g.phases[i].taps[t].guide.shift);
    }
  }
  set_width(in, shifts, g.columns);
  set_width(guide, guide_shifts, g.columns);
  for (Index i = 0; i < g.phase_count; i++) {
    Phase &phase = g.phases[i];
    phase.centre.place(guide);
    for (Index t = 0; t < phase.count; t++) {
      Tap &tap = phase.taps[t];
      tap.input.place(in);
      tap.guide.place(guide);
      tap.first = -tap.input.shift;
      tap.last = in.pixels(tap.input.phase) - tap.input.shift;
    }
  }
}

// The output row that a thread works at.
struct Line {
  Index image;      // n
  Index row_class;
  Index rank;       // within its class
  Index row;        // of one phase: output row g.step_row * row + phase.row
  Index input_row, guide_row; // the first row of each ring
  bool starts;      // the first of its thread, its image or its class: rings are empty
};

// Lines are numbered image by image, class by class. `position` is that number.
PACBENCH_INLINE Line line_at(const Geometry &g, Index position, bool first) {
  Line line;
  line.image = position / g.lines;
  Index rest = position % g.lines;
  const Index longest = ceil_div(g.lines, g.classes);
  const Index long_classes = g.lines - (longest - 1) * g.classes;
  if (rest < long_classes * longest) {
    line.row_class = rest / longest;
    line.rank = rest % longest;
  } else {
    rest -= long_classes * longest;
    line.row_class = long_classes + rest / (longest - 1);
    line.rank = rest % (longest - 1);
  }
  line.row = line.row_class + line.rank * g.classes;
  line.input_row = line.rank * g.advance;
  line.guide_row = line.rank * g.guide_advance;
  line.starts = first || line.rank == 0;
  return line;
}

// The lines of one thread: a contiguous part of all.
struct Share {
  Index begin, end;
  Share(const Geometry &g, Index thread, Index threads) {
    const Index all = g.call->batch * g.lines;
    begin = all * thread / threads;
    end = all * (thread + 1) / threads;
  }
};

} // namespace PACBENCH_NAMESPACE
