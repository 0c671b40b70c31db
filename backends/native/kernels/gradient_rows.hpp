// Gradients of an image, gathered in a ring of rows and written out row by row.
//
// The scatter of one output row goes to the ring rows that its taps read. When the window has left a row, the row is
// written to the gradient, unless another thread adds to it too: such rows wait in a halo of their thread and are
// added up at the end, in the order of the threads. The result depends on the number of threads, on nothing else.
#pragma once
#include "adapting.hpp"

namespace PACBENCH_NAMESPACE {

struct HaloRow {
  Index image, row;
};

// The rows that one thread shares with others.
struct Halo {
  const PackedImage *image;
  Scalar *rows;
  HaloRow *owners;
  Index count, capacity;

  void lay_out(const PackedImage &of, Workspace &workspace) {
    image = &of;
    capacity = of.channels ? 2 * of.ring_rows : 0;
    count = 0;
    rows = workspace.take<Scalar>(capacity * of.row_size());
    owners = workspace.take<HaloRow>(capacity);
  }
  void keep(Index n, Index y, const Scalar *row) {
    owners[count] = {n, y};
    memcpy(rows + count++ * image->row_size(), row, image->row_size() * sizeof(Scalar));
  }
};

// Adds a packed row's channel to the tensor, or writes it.
PACBENCH_INLINE void unpack_channel(const PackedImage &image, Scalar *to, const Scalar *from, bool add) {
  const Scalar *pixels = from + image.pad_left;
  Index paired = 0; // of each of two phases
  if (image.phases == 2 && !add)
    for (; 2 * (paired + LANES) <= image.width; paired += LANES)
      store_pairs(to + 2 * paired, load(pixels + paired), load(pixels + image.phase_width + paired));
  for (Index phase = 0; phase < image.phases; phase++) {
    const Scalar *part = pixels + phase * image.phase_width;
    const Index count = image.pixels(phase);
    if (add)
      for (Index i = 0; i < count; i++) to[phase + i * image.phases] += part[i];
    else scatter(to + phase + paired * image.phases, part + paired, image.phases, count - paired);
  }
}

PACBENCH_INLINE Scalar *tensor_row(const PackedImage &image, Scalar *tensor, Index n, Index channel, Index y) {
  return tensor + ((n * image.channels + channel) * image.height + y) * image.width;
}

// The part of a thread's share that one class of one image takes.
struct Run {
  Index begin, stop, all; // ranks
};

PACBENCH_INLINE Run run_at(const Geometry &g, const Line &line, Index position, Index end) {
  Run run;
  run.begin = line.rank;
  run.all = g.lines_of_class(line.row_class);
  run.stop = least(run.all, line.rank + end - position);
  return run;
}

// From the gradient of a row of probabilities q = softmax(logits) to that of the logits: q (g - sum over channels of g q).
static void through_softmax(const PackedImage &image, Scalar *gradient, const Scalar *probabilities) {
  const Index channel_size = image.channel_size();
  for (Index x = 0; x < channel_size; x += LANES) {
    Vector inner = {};
    for (Index c = 0; c < image.channels; c++)
      inner += load(gradient + c * channel_size + x) * load(probabilities + c * channel_size + x);
    for (Index c = 0; c < image.channels; c++) {
      Scalar *at = gradient + c * channel_size + x;
      store(at, load(probabilities + c * channel_size + x) * (load(at) - inner));
    }
  }
}

struct GradientRows {
  Ring ring;
  Halo halo;
  Scalar *tensor;   // null: this gradient is not wanted

  void lay_out(const PackedImage &image, void *gradient, Workspace &workspace) {
    tensor = image.channels ? (Scalar *)gradient : nullptr;
    ring.image = halo.image = &image;
    halo.count = 0;
    if (!tensor) return;
    ring.lay_out(image, workspace);
    halo.lay_out(image, workspace);
  }
  void clear() {
    if (tensor) memset(ring.slots, 0, ring.image->ring_size() * sizeof(Scalar));
  }

  void open(Index first) {
    if (tensor) ring.open(first);
  }

  // Ring rows that the window leaves after a line whose first row is `first`: up to this one.
  Index left_after(const Line &line, Index first, Index advance, const Run &part) const {
    const Index rows = ring.image->ring_rows;
    return first + (line.rank == part.stop - 1 ? rows : least(advance, rows));
  }

  // Write the rows that the window leaves after a line. `probabilities`: the packed input where it is a softmax, of which
  // the gradient is then that of its logits (the map is linear, so that a halo's parts may be added up after it); or null.
  void flush(const Line &line, Index first, Index advance, const Run &part, const Ring *probabilities) {
    if (!tensor) return;
    const PackedImage &image = *ring.image;
    for (Index next = first; next < left_after(line, first, advance, part); next++) {
      const Index y = image.image_row(line.row_class, next);
      Scalar *row = ring.row(next);
      if (image.has_row(y)) {
        if (probabilities) through_softmax(image, row, probabilities->row(next));
        const bool before = part.begin > 0 && next < (part.begin - 1) * advance + image.ring_rows;
        const bool after = part.stop < part.all && next >= part.stop * advance;
        if (before || after) halo.keep(line.image, y, row);
        else
          for (Index c = 0; c < image.channels; c++)
            unpack_channel(image, tensor_row(image, tensor, line.image, c, y), row + c * image.channel_size(), false);
      }
      memset(row, 0, image.row_size() * sizeof(Scalar));
    }
  }

  // Announce the rows that flush will write; of their channels the part from `begin` to `end` of `all`.
  void announce(const Line &line, Index first, Index advance, const Run &part, Index begin, Index end, Index all,
                Prefetches &prefetches) const {
    if (!tensor) return;
    const PackedImage &image = *ring.image;
    for (Index next = first; next < least(first + advance, left_after(line, first, advance, part)); next++) {
      const Index y = image.image_row(line.row_class, next);
      if (!image.has_row(y)) continue;
      for (Index c = image.channels * begin / all; c < image.channels * end / all; c++)
        prefetches.add(tensor_row(image, tensor, line.image, c, y), image.width);
    }
  }
};

// For one channel: the rows that no tap meets become 0, then the halos of all threads are added up in their order.
// `met`: scratch of one byte a row.
// `rows_of`: the rows of a thread.
template <class RowsOf>
static void finish_channel(const Geometry &g, RowsOf rows_of, Index advance, Index threads, Index channel, uint8_t *met) {
  const PackedImage &image = *rows_of(0).ring.image;
  Scalar *tensor = rows_of(0).tensor;
  if (!tensor || channel >= image.channels) return;
  memset(met, 0, image.height);
  for (Index row_class = 0; row_class < g.classes; row_class++) {
    const Index rows = (g.lines_of_class(row_class) - 1) * advance + image.ring_rows;
    for (Index j = 0; j < rows; j++) {
      if (j % advance >= image.ring_rows) continue; // a stride steps over it
      const Index y = image.image_row(row_class, j);
      if (image.has_row(y)) met[y] = 1;
    }
  }
  for (Index n = 0; n < g.call->batch; n++)
    for (Index y = 0; y < image.height; y++)
      if (!met[y]) memset(tensor_row(image, tensor, n, channel, y), 0, image.width * sizeof(Scalar));
  for (int pass = 0; pass < 2; pass++)
    for (Index thread = 0; thread < threads; thread++) {
      const Halo &halo = rows_of(thread).halo;
      for (Index i = 0; i < halo.count; i++) {
        const HaloRow owner = halo.owners[i];
        Scalar *to = tensor_row(image, tensor, owner.image, channel, owner.row);
        const Scalar *from = halo.rows + i * image.row_size() + channel * image.channel_size();
        if (pass == 0) memset(to, 0, image.width * sizeof(Scalar));
        else unpack_channel(image, to, from, true);
      }
    }
}


// A given kernel's gradient: each output pixel has its own, and taps that meet no pixel have none.
static void write_kernel_gradient(const Geometry &g, const Tile &tile, const Scalar *gradient, Index channel) {
  const PacCall &call = *g.call;
  const Index plane = call.out_height * call.out_width;
  const Scalar zeros[TILE] = {};
  Scalar *to = (Scalar *)call.grad_kernel + (tile.line->image * call.kernel_channels + channel) * g.taps * plane +
               tile.row * call.out_width + tile.column(g, 0);
  Index t = 0;
  for (Index position = 0; position < g.taps; position++) {
    const bool computed = t < tile.tap_count && tile.taps[t]->position == position;
    scatter(to + position * plane, computed ? gradient + t++ * TILE : zeros, g.step_column, tile.count);
  }
}

} // namespace PACBENCH_NAMESPACE
