"""The published results of joint upsampling, to stand beside a run's own."""

from __future__ import annotations

SOURCE = (
    "Su et al., Pixel-Adaptive Convolutional Neural Networks, CVPR 2019, tables of joint depth upsampling (NYU Depth "
    "V2, RMSE in cm) and of joint optical flow upsampling (Sintel, EPE in pixels)."
)
NOT_COMPARABLE = (
    "Bilinear on NYU Depth V2 may be compared with the published figure, which is the mean over 449 frames of the same "
    "protocol, if the run's frames are a fair sample of them. Networks may not, unless they were trained on the same "
    "1000 frames for as long. Published flow was measured on other frames of Sintel, from low-resolution flow that was "
    "averaged where a run's is sampled."
)
_DEPTH = {
    "bilinear": (5.43, 8.36, 12.90),
    "djf": (2.64, 5.15, 9.39),
    "pac_lite": (2.55, 4.82, 8.52),
    "pac": (2.39, 4.59, 8.09),
}
_FLOW = {
    "bilinear": (0.465, 0.901, 1.628),
    "djf": (0.176, 0.438, 1.042),
    "pac": (0.105, 0.256, 0.592),
}
_FACTORS = ("4", "8", "16")


def published_error(dataset: str, method: str, factor: str) -> float | None:
    """The published error of a method at a factor, in cm or pixels; None where there is none for this data.

    Args:
        dataset: The data's name in a run.
        method: The method's name in a run.
        factor: As text.
    """
    table = _DEPTH if dataset.startswith("NYU Depth V2") else _FLOW if dataset.startswith("MPI Sintel") else {}
    if factor not in _FACTORS or method not in table:
        return None
    return table[method][_FACTORS.index(factor)]
