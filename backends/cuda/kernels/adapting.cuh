// The adapting kernel K(f_i, f_j) of one tap of one output pixel, made on the fly.
#pragma once
#include "places.cuh"

namespace pacbench {

// Rows and columns of the guide: where a tap lies, and the window's centre.
PACBENCH_INLINE int tap_row(const Call &c, int y, int ky) {
  return y * c.guide_stride_height + ky * c.dilation_height - c.guide_padding_height;
}
PACBENCH_INLINE int tap_column(const Call &c, int x, int kx) {
  return x * c.guide_stride_width + kx * c.dilation_width - c.guide_padding_width;
}
PACBENCH_INLINE int centre_row(const Call &c, int y) {
  return y * c.guide_stride_height + (c.kernel_height - 1) * c.dilation_height / 2 - c.guide_padding_height;
}
PACBENCH_INLINE int centre_column(const Call &c, int x) {
  return x * c.guide_stride_width + (c.kernel_width - 1) * c.dilation_width / 2 - c.guide_padding_width;
}

// f_j - f_i of one guide channel, cut at 0 where the kernel is asymmetric.
template <class A> PACBENCH_INLINE A cut(const Call &c, A difference) {
  return c.asymmetric && difference < A(0) ? A(0) : difference;
}

// Where a pixel lies in an image whose planes are walked one by one; outside it there are zeros.
struct Walked {
  long long at, plane;
  bool inside;
};
PACBENCH_INLINE Walked walked(long long first_plane, int y, int x, int height, int width) {
  const long long plane = plane_of(height, width);
  return {first_plane * plane + (long long)y * width + x, plane, y >= 0 && y < height && x >= 0 && x < width};
}
template <class A> PACBENCH_INLINE A next(const A *image, Walked &place) {
  const A value = place.inside ? read(image + place.at) : A(0);
  place.at += place.plane;
  return value;
}

// The values f_i of a window's centre, from a plane of the guide (image times channels, plus channel) on.
template <class A> PACBENCH_INLINE const A *centres_of(const Call &c) { return (const A *)(c.centres ? c.centres : c.guide); }
PACBENCH_INLINE Walked walk_centres(const Call &c, long long first_plane, int y, int x) {
  return c.centres ? walked(first_plane, y, x, c.out_height, c.out_width)
                   : walked(first_plane, centre_row(c, y), centre_column(c, x), c.guide_height, c.guide_width);
}

// The values f_j of a tap, likewise.
PACBENCH_INLINE Walked walk_tap(const Call &c, long long first_plane, int y, int x, int ky, int kx) {
  return walked(first_plane, tap_row(c, y, ky), tap_column(c, x, kx), c.guide_height, c.guide_width);
}

// d² of a tap: over all guide channels, or over the kernel channel's own.
template <class A> PACBENCH_INLINE A distance(const Call &c, int image, int channel, int y, int x, int ky, int kx) {
  const int first = c.kernel_channels == 1 ? 0 : channel, count = c.kernel_channels == 1 ? c.guide_channels : 1;
  const long long plane = (long long)image * c.guide_channels + first;
  Walked tap = walk_tap(c, plane, y, x, ky, kx), centre = walk_centres(c, plane, y, x);
  A sum = A(0);
#pragma unroll 1 // unrolled, it would take the registers of half the warps
  for (int g = 0; g < count; g++) {
    const A difference = cut(c, next((const A *)c.guide, tap) - next(centres_of<A>(c), centre));
    sum += difference * difference;
  }
  return sum;
}

// Added to d² in inv kernels (Saeedan et al., 2018).
template <class A> PACBENCH_INLINE A shifted(A square) { return square + A(1e-4); }

template <class A> PACBENCH_INLINE A alpha_of(const Call &c, int channel) {
  return read((const A *)c.inv_alpha + (c.alpha_count == 1 ? 0 : channel));
}
template <class A> PACBENCH_INLINE A half_lambda_of(const Call &c, int channel) {
  return read((const A *)c.inv_lambda + (c.lambda_count == 1 ? 0 : channel)) / A(2);
}

// K of a distance, before mask and normalisation.
template <class A> PACBENCH_INLINE A of_distance(const Call &c, int channel, A square) {
  if (c.form == 0) return exponential(A(-0.5) * square);
  return alpha_of<A>(c, channel) + power(shifted(square), half_lambda_of<A>(c, channel));
}

// What K is multiplied by at a tap that meets an input pixel: the mask there.
template <class A> PACBENCH_INLINE A factor_at(const Call &c, int image, int input_y, int input_x) {
  if (input_y < 0 || input_x < 0) return A(0);
  return c.mask ? read((const A *)c.mask + ((long long)image * c.height + input_y) * c.width + input_x) : A(1);
}

template <class A> PACBENCH_INLINE A norm_at(const Call &c, int image, int channel, int y, int x) {
  return read((const A *)c.norms + (((long long)image * c.kernel_channels + channel) * c.out_height + y) * c.out_width + x);
}

// K after mask and normalisation; `input_y`, `input_x` is the input pixel that the tap meets, or -1.
template <class A>
PACBENCH_INLINE A divided(const Call &c, A raw, int image, int channel, int y, int x, int input_y, int input_x) {
  const A norm = norm_at<A>(c, image, channel, y, x);
  return norm == A(0) ? A(0) : raw * factor_at<A>(c, image, input_y, input_x) / norm;
}

// Where K of a tap lies in a kernel that is given.
PACBENCH_INLINE long long kernel_index(const Call &c, int image, int channel, int tap, int y, int x) {
  const long long map = ((long long)image * c.kernel_channels + channel) * (c.kernel_height * c.kernel_width) + tap;
  return (map * c.out_height + y) * c.out_width + x;
}

// K of a tap of output pixel (y, x), made of the guide.
template <class A>
PACBENCH_INLINE A made_at(const Call &c, int image, int channel, int y, int x, int ky, int kx, int input_y, int input_x) {
  const A raw = of_distance(c, channel, distance<A>(c, image, channel, y, x, ky, kx));
  return c.norms ? divided(c, raw, image, channel, y, x, input_y, input_x) : raw;
}

// K of a tap of output pixel (y, x): given, or made of the guide.
template <class T>
PACBENCH_INLINE typename Scalar<T>::Wide kernel_at(const Call &c, int image, int channel, int y, int x, int ky, int kx,
                                                   int input_y, int input_x) {
  if (c.kernel)
    return read_kernel<T>(c.kernel, kernel_index(c, image, channel, ky * c.kernel_width + kx, y, x), c.narrow_kernel);
  return made_at<typename Scalar<T>::Wide>(c, image, channel, y, x, ky, kx, input_y, input_x);
}

// The same of the tap by which a contraction's target pixel meets its source: forward the target is the output pixel,
// backward the source is. One call for both, since each is inlined.
template <class T>
PACBENCH_INLINE typename Scalar<T>::Wide kernel_between(const Call &c, int image, int channel, int target_y, int target_x, int ky,
                                                        int kx, int source_y, int source_x) {
  const int y = c.backward ? source_y : target_y, x = c.backward ? source_x : target_x;
  const int input_y = c.backward ? target_y : source_y, input_x = c.backward ? target_x : source_x;
  return kernel_at<T>(c, image, channel, y, x, ky, kx, input_y, input_x);
}

} // namespace pacbench
