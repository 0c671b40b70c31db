// A mean-field step on a coarser grid, fused: while a few pixels are in the cache, the message is upsampled and added,
// the softmax taken and averaged. Neither logits nor probabilities are stored at the image's resolution.
#pragma once
#include "blur.h"
#include "vectors.hpp"
#include "workspace.hpp"

namespace PACBENCH_NAMESPACE {

constexpr Index PIXELS_AT_ONCE = 8 * LANES; // of a line: their logits of some tens of classes lie in the first cache

// Where bilinear upsampling finds the value of a pixel: between two cells, so far from the first to the second.
struct Between {
  Index first, second;
  Scalar share;
};

struct BlurredUpdate {
  const BlurCall &call;
  Index threads = 1, row; // row: the width, filled up to whole vectors
  Workspace of_threads;
  Index bytes_of_thread = 0;
  Index *first_cell = nullptr, *second_cell = nullptr; // of each pixel of a line
  Scalar *share = nullptr;

  explicit BlurredUpdate(const BlurCall &given) : call(given), row(round_up(given.width, LANES)) {}

  void lay_out(Workspace &workspace) {
    first_cell = workspace.take<Index>(call.width);
    second_cell = workspace.take<Index>(call.width);
    share = workspace.take<Scalar>(call.width);
  }

  // As torch's upsample_bilinear2d with align_corners=False: cells' values lie in their middles, and go on at the border.
  Between between(Index pixel, Index cells) const {
    const double place = ((double)pixel + 0.5) / (double)call.factor - 0.5;
    const double before = place > 0 ? place : 0;
    const Index first = least((Index)before, cells - 1);
    return {first, least(first + 1, cells - 1), (Scalar)(before - (double)first)};
  }

  void prepare() {
    for (Index x = 0; x < call.width; x++) {
      const Between place = between(x + call.left, call.cell_columns);
      first_cell[x] = place.first;
      second_cell[x] = place.second;
      share[x] = place.share;
    }
  }
};

struct BlurredUpdateThread {
  const BlurredUpdate &job;
  const BlurCall &call;
  Scalar *lines[2], *sums, *values; // two lines of the message at full width, (C, row) each; sums (C, row); a block (C, PIXELS_AT_ONCE)
  Index held[2] = {-1, -1};         // which lines, counted over the batch

  BlurredUpdateThread(const BlurredUpdate &of, Workspace &workspace) : job(of), call(of.call) {
    for (Scalar *&line : lines) line = workspace.take<Scalar>(call.channels * of.row);
    sums = workspace.take<Scalar>(call.channels * of.row);
    values = workspace.take<Scalar>(call.channels * PIXELS_AT_ONCE);
  }

  // The line of cells `cell_row` of image n at the image's width; of two that are held the older one makes room.
  const Scalar *line(Index n, Index cell_row) {
    const Index wanted = n * call.cell_rows + cell_row, place = wanted & 1;
    if (held[place] != wanted) {
      held[place] = wanted;
      const Index cells = call.cell_rows * call.cell_columns;
      for (Index c = 0; c < call.channels; c++) {
        const Scalar *from = (const Scalar *)call.message + (n * call.channels + c) * cells + cell_row * call.cell_columns;
        Scalar *to = lines[place] + c * job.row;
        for (Index x = 0; x < call.width; x++) {
          const Scalar share = job.share[x], first = from[job.first_cell[x]];
          to[x] = share == 0 ? first : (1 - share) * first + share * from[job.second_cell[x]]; // 0 times infinity is none
        }
        for (Index x = call.width; x < job.row; x++) to[x] = 0;
      }
    }
    return lines[place];
  }

  // One row of cells of image n.
  void work(Index n, Index cell_row) {
    const Index from = most((Index)0, cell_row * call.factor - call.top);
    const Index to = least(call.height, (cell_row + 1) * call.factor - call.top);
    if (call.beliefs) memset((void *)sums, 0, (size_t)(call.channels * job.row) * sizeof(Scalar));
    for (Index y = from; y < to; y++) {
      const Between rows = job.between(y + call.top, call.cell_rows);
      const Scalar *above = line(n, rows.first), *below = line(n, rows.second);
      for (Index x = 0; x < call.width; x += PIXELS_AT_ONCE) update(n, y, x, above, below, rows.share);
    }
    if (call.beliefs) average(n, cell_row, to - from);
  }

  // Some pixels of a line: their logits, and what the softmax adds to the sums.
  void update(Index n, Index y, Index x, const Scalar *above, const Scalar *below, Scalar down) {
    const Index count = least(PIXELS_AT_ONCE, call.width - x), vectors = ceil_div(count, (Index)LANES), whole = count / LANES;
    const Index pixels = call.height * call.width;
    Vector highest[PIXELS_AT_ONCE / LANES];
    for (Index c = 0; c < call.channels; c++) {
      const Index place = (n * call.channels + c) * pixels + y * call.width + x;
      const Scalar *base = (const Scalar *)call.base + place, *first = above + c * job.row + x, *second = below + c * job.row + x;
      Scalar *block = values + c * PIXELS_AT_ONCE;
      if (whole < vectors) { // the line's last pixels: nothing is read beyond the tensor
        for (Index i = whole * LANES; i < count; i++) block[i] = base[i];
        for (Index i = count; i < vectors * LANES; i++) block[i] = 0;
      }
      for (Index v = 0; v < vectors; v++) {
        Vector between_lines = load(first + v * LANES);
        if (down != 0) between_lines = (1 - down) * between_lines + down * load(second + v * LANES);
        const Vector logits = load(v < whole ? base + v * LANES : block + v * LANES) + between_lines;
        store(block + v * LANES, logits);
        highest[v] = c ? larger(highest[v], logits) : logits;
      }
      if (call.output) scatter((Scalar *)call.output + place, block, 1, count);
    }
    if (!call.beliefs) return;
    for (Index v = 0; v < vectors; v++) {
      Vector sum = {};
      for (Index c = 0; c < call.channels; c++) {
        Scalar *at = values + c * PIXELS_AT_ONCE + v * LANES;
        const Vector value = exp_of_nonpositive(load(at) - highest[v]);
        store(at, value);
        sum += value;
      }
      const Vector inverse = 1 / sum;
      for (Index c = 0; c < call.channels; c++) {
        Scalar *at = sums + c * job.row + x + v * LANES;
        store(at, load(at) + load(values + c * PIXELS_AT_ONCE + v * LANES) * inverse);
      }
    }
  }

  // The sums over the lines of a row of cells, over their columns too.
  void average(Index n, Index cell_row, Index lines_of_row) {
    for (Index c = 0; c < call.channels; c++) {
      Scalar *to = (Scalar *)call.beliefs + ((n * call.channels + c) * call.cell_rows + cell_row) * call.cell_columns;
      const Scalar *from = sums + c * job.row;
      for (Index cell = 0; cell < call.cell_columns; cell++) {
        const Index first = most((Index)0, cell * call.factor - call.left);
        const Index last = least(call.width, (cell + 1) * call.factor - call.left);
        Scalar sum = 0;
        for (Index x = first; x < last; x++) sum += from[x];
        to[cell] = sum / (Scalar)((last - first) * lines_of_row);
      }
    }
  }
};

// Each thread has rows of cells that lie side by side; a cell's result does not depend on who computes it.
static void update_blurred(void *context, int thread) {
  const BlurredUpdate &job = *(const BlurredUpdate *)context;
  Workspace workspace;
  workspace.block = job.of_threads.block;
  workspace.used = job.of_threads.used + thread * job.bytes_of_thread;
  BlurredUpdateThread own(job, workspace);
  const Index rows = job.call.batch * job.call.cell_rows;
  for (Index i = rows * thread / job.threads; i < rows * (thread + 1) / job.threads; i++) own.work(i / job.call.cell_rows, i % job.call.cell_rows);
}

} // namespace PACBENCH_NAMESPACE
