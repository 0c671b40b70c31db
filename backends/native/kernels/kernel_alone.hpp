// packernel2d: the adapting kernel of a guide, and its gradient.
#pragma once
#include "guide_gradient.hpp"
#include "threads.h"

namespace PACBENCH_NAMESPACE {

struct KernelAlone {
  const Geometry *geometry;
  int threads;
  Workspace of_threads;
  Index bytes_of_thread;
  struct KernelAloneThread *states;
  uint8_t *met;
  Index met_size;

  explicit KernelAlone(const Geometry &g) : geometry(&g) {}
  void lay_out(Workspace &workspace);
};

struct KernelAloneThread {
  const KernelAlone *job;
  Feed guide;
  GuideGradient guide_gradient;
  KernelTile kernel;
  const Tap **taps;

  KernelAloneThread(const KernelAlone &of, Workspace &workspace) : job(&of) {
    const Geometry &g = *of.geometry;
    guide.lay_out(g.guide, g.call->guide, false, workspace);
    guide_gradient.lay_out(g, workspace);
    kernel.lay_out(g, workspace);
    taps = workspace.take<const Tap *>(g.taps);
  }

  template <int V, bool BACKWARD> void compute(const Line &line, Index x0) {
    const Geometry &g = *job->geometry;
    const PacCall &call = *g.call;
    const Index plane = call.out_height * call.out_width;
    const Tile tile = {&line, g.phases, x0, least(g.columns - x0, (Index)(V * LANES)), line.row, taps, g.taps};
    for (Index c = 0; c < call.kernel_channels; c++) {
      const Index channel = call.kernel_channels > 1 ? c : -1;
      compute_kernel<V>(g, tile, guide.ring, kernel, channel);
      const Index first = (line.image * call.kernel_channels + c) * g.taps * plane + tile.row * call.out_width + x0;
      if (BACKWARD) {
        for (Index t = 0; t < g.taps; t++)
          gather(guide_gradient.of_kernel + t * TILE, (const Scalar *)call.grad_output + first + t * plane, 1, tile.count, V * LANES);
        guide_gradient.add<V>(tile, guide.ring, kernel, channel);
      } else {
        for (Index t = 0; t < g.taps; t++)
          scatter((Scalar *)call.output + first + t * plane, kernel.values + t * TILE, 1, tile.count);
      }
    }
  }

  template <bool BACKWARD> void run(const Share &share) {
    const Geometry &g = *job->geometry;
    const Index vectors = ceil_div(g.columns, LANES);
    for (Index t = 0; t < g.taps; t++) taps[t] = g.phases[0].taps + t;
    guide_gradient.clear();
    Run part = {};
    for (Index position = share.begin; position < share.end; position++) {
      const Line line = line_at(g, position, position == share.begin);
      if (line.starts) part = run_at(g, line, position, share.end);
      guide.fill(line, line.guide_row, g.guide.ring_rows);
      guide_gradient.rows.open(line.guide_row);
      for (Index at = 0; at < vectors;) {
        const Index now = vectors_of_tile(at, vectors);
        PACBENCH_FOR_VECTORS(now, (compute<V, BACKWARD>(line, at * LANES)));
        at += now;
      }
      if (BACKWARD) guide_gradient.rows.flush(line, line.guide_row, g.guide_advance, part, nullptr);
    }
  }
};

inline void KernelAlone::lay_out(Workspace &workspace) {
  states = workspace.take<KernelAloneThread>(threads);
  met_size = round_up(geometry->guide.height, CACHE_LINE);
  met = workspace.take<uint8_t>(threads * met_size);
}

template <bool BACKWARD> static void compute_kernel_alone(void *context, int thread) {
  const KernelAlone &job = *(const KernelAlone *)context;
  Workspace workspace = job.of_threads;
  workspace.block += thread * job.bytes_of_thread;
  job.states[thread] = KernelAloneThread(job, workspace);
  job.states[thread].run<BACKWARD>(Share(*job.geometry, thread, job.threads));
}

static void finish_kernel_alone(void *context, int thread) {
  const KernelAlone &job = *(const KernelAlone *)context;
  const Geometry &g = *job.geometry;
  const KernelAloneThread *states = job.states;
  const auto guide_rows = [=](Index i) -> const GradientRows & { return states[i].guide_gradient.rows; };
  for (Index c = thread; c < g.guide.channels; c += job.threads)
    finish_channel(g, guide_rows, g.guide_advance, job.threads, c, job.met + thread * job.met_size);
  if (thread == 0) finish_inverse(*g.call, &KernelAloneThread::guide_gradient, states, job.threads);
}

} // namespace PACBENCH_NAMESPACE
