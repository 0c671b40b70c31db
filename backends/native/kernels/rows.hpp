// Packing rows of a tensor into rings, and prefetching what is packed and written next.
#pragma once
#include "geometry.hpp"

namespace PACBENCH_NAMESPACE {

// Pixels of a row into its column phases, zeros around them.
PACBENCH_INLINE void pack_channel(const PackedImage &image, Scalar *to, const Scalar *from) {
  for (Index phase = 0; phase < image.phases; phase++) {
    Scalar *part = to + phase * image.phase_width;
    const Index pixels = least(image.pixels(phase), image.phase_width - image.pad_left);
    memset(part, 0, image.pad_left * sizeof(Scalar));
    if (pixels > 0) gather(part + image.pad_left, from + phase, image.phases, pixels, image.phase_width - image.pad_left);
    else memset(part + image.pad_left, 0, (image.phase_width - image.pad_left) * sizeof(Scalar));
  }
}

PACBENCH_INLINE void pack_row(const PackedImage &image, Scalar *to, const Scalar *tensor, Index n, Index y) {
  if (!image.has_row(y)) {
    memset(to, 0, image.row_size() * sizeof(Scalar));
    return;
  }
  for (Index c = 0; c < image.channels; c++)
    pack_channel(image, to + c * image.channel_size(), tensor + ((n * image.channels + c) * image.height + y) * image.width);
}

// The softmax over channels of a row, of an image with one column phase.
static void pack_softmax_row(const PackedImage &image, Scalar *to, const Scalar *tensor, Index n, Index y, Scalar *tile) {
  if (!image.has_row(y)) {
    memset(to, 0, image.row_size() * sizeof(Scalar));
    return;
  }
  const Index plane = image.height * image.width;
  const Scalar *from = tensor + n * image.channels * plane + y * image.width;
  for (Index c = 0; c < image.channels; c++) {
    Scalar *row = to + c * image.channel_size();
    memset(row, 0, image.pad_left * sizeof(Scalar));
    const Index end = image.pad_left + image.width;
    memset(row + end, 0, (image.phase_width - end) * sizeof(Scalar));
  }
  for (Index x = 0; x < image.width; x += LANES) {
    const Index count = least((Index)LANES, image.width - x);
    Vector highest = broadcast((Scalar)-INFINITY);
    for (Index c = 0; c < image.channels; c++) {
      if (count == LANES) {
        highest = larger(load(from + c * plane + x), highest);
      } else {
        gather(tile + c * LANES, from + c * plane + x, 1, count, LANES);
        highest = larger(load(tile + c * LANES), highest);
      }
    }
    Vector sum = {};
    for (Index c = 0; c < image.channels; c++) {
      const Vector value = load(count == LANES ? from + c * plane + x : tile + c * LANES);
      const Vector e = exp_of_nonpositive(value - highest);
      store(tile + c * LANES, e);
      sum += e;
    }
    const Vector scale = (Scalar)1 / sum;
    for (Index c = 0; c < image.channels; c++) {
      Scalar *at = to + c * image.channel_size() + image.pad_left + x;
      const Vector q = load(tile + c * LANES) * scale;
      if (count == LANES) store(at, q);
      else {
        store(tile + c * LANES, q);
        memcpy(at, tile + c * LANES, count * sizeof(Scalar));
      }
    }
  }
}

// Cache lines that will be needed soon. They are fetched a few at a time between blocks of arithmetic: many at once
// would fill the processor's line buffers and stall it.
struct Prefetches {
  static constexpr Index CAPACITY = 1024; // pieces beyond it are left to the processor
  struct Piece {
    const char *begin, *end; // whole cache lines
  };
  Piece *pieces;
  Index count, done; // pieces
  Index lines;       // cache lines of all pieces

  void lay_out(Workspace &workspace) {
    pieces = workspace.take<Piece>(CAPACITY);
    clear();
  }
  void clear() { count = done = lines = 0; }
  void add(const Scalar *p, Index elements) {
    if (elements <= 0 || count == CAPACITY) return;
    const uintptr_t begin = (uintptr_t)p / CACHE_LINE, end = ((uintptr_t)(p + elements) - 1) / CACHE_LINE + 1;
    pieces[count++] = {(const char *)(begin * CACHE_LINE), (const char *)(end * CACHE_LINE)};
    lines += (Index)(end - begin);
  }
  void fetch(Index most_lines) {
    while (done < count) {
      Piece &piece = pieces[done];
      for (; piece.begin < piece.end; piece.begin += CACHE_LINE) {
        if (most_lines-- == 0) return;
        __builtin_prefetch(piece.begin, 0, 2);
      }
      done++;
    }
  }
};

// A ring and the tensor that it is filled from.
struct Feed {
  Ring ring;
  const Scalar *tensor;
  Index next = 0;         // ring row that is packed next
  bool softmax;
  Scalar *softmax_tile;   // [channels][LANES]

  void lay_out(const PackedImage &image, const void *of, bool through_softmax, Workspace &workspace) {
    ring.lay_out(image, workspace);
    tensor = (const Scalar *)of;
    softmax = through_softmax;
    softmax_tile = workspace.take<Scalar>(softmax ? image.channels * LANES : 0);
  }

  // Pack the rows up to ring row `first` + `count` of a line's class.
  void fill(const Line &line, Index first, Index count) {
    const PackedImage &image = *ring.image;
    if (image.channels == 0) return;
    if (line.starts || next < first) next = first;
    for (; next < first + count; next++) {
      const Index y = image.image_row(line.row_class, next);
      if (softmax) pack_softmax_row(image, ring.row(next), tensor, line.image, y, softmax_tile);
      else pack_row(image, ring.row(next), tensor, line.image, y);
    }
    ring.open(first);
  }

  // Announce the next `count` rows of the class; of their channels the part from `begin` to `end` of `all`.
  void announce(const Line &line, Index count, Index begin, Index end, Index all, Prefetches &prefetches) const {
    const PackedImage &image = *ring.image;
    if (image.channels == 0) return;
    for (Index row = next; row < next + count; row++) {
      const Index y = image.image_row(line.row_class, row);
      if (!image.has_row(y)) continue;
      for (Index c = image.channels * begin / all; c < image.channels * end / all; c++)
        prefetches.add(tensor + ((line.image * image.channels + c) * image.height + y) * image.width, image.width);
    }
  }
};

// Width in vectors of the tile at vector `at` of `all`: 3, but 2 and 2 rather than 3 and 1.
PACBENCH_INLINE Index vectors_of_tile(Index at, Index all) {
  const Index rest = all - at;
  if (rest == 4) return 2;
  return least(rest, (Index)VECTORS_OF_TILE);
}

} // namespace PACBENCH_NAMESPACE
