"""The calls that the gate makes: geometries, kernel forms and channel layouts, for each operator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pacbench.arguments import PairLike
from pacbench.calls import OPERATORS

UNFUSED = ("packernel2d", "pacconv2d", "pacconv_transpose2d", "pacpool2d")
TRANSPOSED = ("pacconv_transpose2d", "guided_pacconv_transpose2d")
CONVOLUTIONS = ("pacconv2d", "pacconv_transpose2d", "guided_pacconv2d", "guided_pacconv_transpose2d")
MEAN_FIELD = "mean_field_update"


@dataclass(frozen=True)
class Case:
    """One call: an operator, the sizes of its tensors, and its options. Tensors are made by `samples.py`."""

    operator: str
    name: str
    size: tuple[int, int] = (6, 7)
    batch: int = 2
    channels: int = 2
    outputs: int = 3
    guide_channels: int = 2
    kernel_size: PairLike = 3
    stride: PairLike = 1
    padding: PairLike = 0
    output_padding: PairLike = 0
    dilation: PairLike = 1
    kernel_type: str = "gaussian"
    learnt_inv: bool = True
    smooth_kernel_type: str = "none"
    channel_wise: bool = False
    normalize_kernel: bool = False
    transposed: bool = False
    mask: str = "none"
    shared_filters: bool = False
    bias: bool = True
    message_weight: float = -1.0
    beliefs_offset: float = 0.0

    @property
    def id(self) -> str:
        """Such as ``pacconv2d-5x5-stride2``."""
        return f"{self.operator}-{self.name}"

    @property
    def guided(self) -> bool:
        """Whether the call takes a guide (`packernel2d` and the fused forms)."""
        return self.operator not in (*UNFUSED[1:], MEAN_FIELD)


_GEOMETRY = (
    Case("", "3x3", padding=1),
    Case("", "1x1", kernel_size=1),
    Case("", "5x5-valid", kernel_size=5),
    Case("", "5x5-stride2", kernel_size=5, padding=2, stride=2),
    Case("", "3x3-dilation2", padding=2, dilation=2),
    Case("", "3x5-rectangular", kernel_size=(3, 5), stride=(2, 1), padding=(1, 4), dilation=(1, 2)),
    Case("", "7x7-larger_than_image", kernel_size=7, padding=3, size=(3, 4)),
    Case("", "3x3-single_pixel", padding=1, size=(1, 1)),
    Case("", "3x3-one_row", padding=1, size=(1, 8)),
    Case("", "3x3-one_column", padding=1, size=(8, 1)),
    Case("", "3x3-centres_in_padding", padding=3, batch=1, size=(4, 5)),
    Case("", "3x3-stride3", stride=3, size=(10, 7)),
    Case("", "3x3-batch0", padding=1, batch=0),
    Case("", "3x3-17_channels", padding=1, channels=17, outputs=5, guide_channels=9, batch=1, size=(4, 5)),
    Case("", "3x3-1_channel", padding=1, channels=1, outputs=1, guide_channels=1),
)

_TRANSPOSED_GEOMETRY = (
    Case("", "3x3-stride2", stride=2, padding=1, output_padding=1, size=(3, 4)),
    Case("", "5x5-stride2", kernel_size=5, stride=2, padding=2, output_padding=1, size=(3, 4)),
    Case("", "3x3-stride2-odd_output", stride=2, padding=1, size=(3, 4)),
    Case("", "3x3-stride1", padding=1, size=(4, 5)),
    Case("", "1x1-stride2", kernel_size=1, stride=2, size=(3, 4)),
    Case("", "5x5-stride4", kernel_size=5, stride=4, padding=2, output_padding=3, size=(2, 3)),
    Case("", "3x3-padding_is_reach", padding=2, size=(5, 6)),
    Case("", "3x3-padding_past_reach", padding=3, size=(7, 8), batch=1),
    Case("", "3x3-dilation2", stride=2, padding=2, output_padding=1, dilation=2, size=(3, 4)),
    Case(
        "",
        "3x5-rectangular",
        kernel_size=(3, 5),
        stride=(2, 3),
        padding=(1, 0),
        output_padding=(0, 2),
        dilation=(2, 1),
        size=(3, 2),
    ),
    Case("", "3x3-single_pixel", stride=2, padding=1, output_padding=1, size=(1, 1)),
    Case("", "3x3-batch0", stride=2, padding=1, output_padding=1, size=(3, 4), batch=0),
    Case(
        "",
        "3x3-17_channels",
        stride=2,
        padding=1,
        output_padding=1,
        size=(2, 3),
        channels=17,
        outputs=5,
        guide_channels=9,
        batch=1,
    ),
)

_KERNEL_FORMS: tuple[tuple[str, dict[str, object]], ...] = (
    ("inv", {"kernel_type": "inv_0.3_0.8"}),
    ("inv_constants", {"kernel_type": "inv_0.2_1.4", "learnt_inv": False}),
    ("inv_asym_fixed", {"kernel_type": "inv_0.1_0.7_asym_fixed"}),
    ("gaussian_asym", {"kernel_type": "gaussian_asym"}),
    ("smooth_gaussian", {"smooth_kernel_type": "gaussian"}),
    ("smooth_average5", {"smooth_kernel_type": "average_5"}),
    ("smooth_full3", {"smooth_kernel_type": "full_3"}),
    ("smooth_full3-dilation2", {"smooth_kernel_type": "full_3", "dilation": 2}),
    ("normalized", {"normalize_kernel": True}),
    ("normalized_inv_smooth", {"normalize_kernel": True, "kernel_type": "inv_0.3_0.8", "smooth_kernel_type": "full_3"}),
    ("mask", {"mask": "random"}),
    ("mask-no_valid_tap", {"mask": "corner"}),
    ("mask-none_valid", {"mask": "nothing"}),
    ("mask-weights", {"mask": "weights"}),
    ("mask_normalized", {"mask": "random", "normalize_kernel": True}),
    ("mask_normalized-none_valid", {"mask": "nothing", "normalize_kernel": True}),
)

_CHANNEL_WISE: tuple[tuple[str, dict[str, object]], ...] = (
    ("channel_wise", {"channel_wise": True}),
    ("channel_wise-inv", {"channel_wise": True, "kernel_type": "inv_0.3_0.8"}),
    ("channel_wise-normalized", {"channel_wise": True, "normalize_kernel": True, "stride": 2}),
    ("channel_wise-mask", {"channel_wise": True, "mask": "random"}),
)

_FILTERS: tuple[tuple[str, dict[str, object]], ...] = (
    ("shared_filters", {"shared_filters": True}),
    ("shared_filters-no_bias", {"shared_filters": True, "bias": False}),
    ("shared_filters-stride1-dilation2", {"shared_filters": True, "stride": 1, "output_padding": 0, "dilation": 2}),
    ("no_bias", {"bias": False}),
)

_MEAN_FIELD = (
    Case("", "3x3", padding=1),
    Case("", "1x1", kernel_size=1),
    Case("", "5x5-dilation2", kernel_size=5, padding=4, dilation=2, channels=3),
    Case("", "3x5-rectangular", kernel_size=(3, 5), padding=(1, 4), dilation=(1, 2)),
    Case("", "7x7-larger_than_image", kernel_size=7, padding=3, size=(3, 4)),
    Case("", "3x3-single_pixel", padding=1, size=(1, 1)),
    Case("", "3x3-one_row", padding=1, size=(1, 8)),
    Case("", "3x3-one_column", padding=1, size=(8, 1)),
    Case("", "3x3-batch0", padding=1, batch=0),
    Case("", "3x3-17_channels", padding=1, channels=17, batch=1, size=(4, 5)),
    Case("", "3x3-1_channel", padding=1, channels=1),
    Case("", "shared_filters", padding=1, channels=3, shared_filters=True),
    Case("", "added", padding=1, message_weight=0.3),
    Case("", "weight0", padding=1, message_weight=0.0),
    Case("", "beliefs_far_above_0", padding=1, beliefs_offset=1000.0),
    Case("", "beliefs_far_below_0", padding=1, beliefs_offset=-1000.0),
)
"""Windows that keep the size of the image; beliefs whose exponentials are no finite numbers, or all 0."""


def _vary(base: Case, variants: Iterable[tuple[str, dict[str, object]]]) -> list[Case]:
    return [replace(base, name=name, **options) for name, options in variants]  # type: ignore[arg-type]


def _of(operator: str) -> list[Case]:
    """All cases of one operator."""
    if operator == MEAN_FIELD:
        return [replace(case, operator=operator) for case in _MEAN_FIELD]
    transposed = operator in TRANSPOSED
    geometry = _TRANSPOSED_GEOMETRY if transposed else _GEOMETRY
    cases = [replace(case, operator=operator) for case in geometry]
    base = replace(cases[0], name="", size=(3, 4) if transposed else (5, 6))
    if base.operator == "packernel2d" or operator.startswith("guided"):
        cases += _vary(base, _KERNEL_FORMS)
    if operator in CONVOLUTIONS:
        cases += _vary(base, _FILTERS)
    if operator in {"packernel2d", "pacpool2d", "guided_pacpool2d"}:
        wise = base if operator == "packernel2d" else replace(base, guide_channels=base.channels)
        cases += _vary(wise, _CHANNEL_WISE if operator != "pacpool2d" else _CHANNEL_WISE[:1])
    if operator == "packernel2d":
        kernels = [replace(case, name=f"transposed-{case.name}", transposed=True) for case in _TRANSPOSED_GEOMETRY]
        forms = [(f"transposed-{name}", options) for name, options in _KERNEL_FORMS]
        upsampling = replace(_TRANSPOSED_GEOMETRY[0], transposed=True)
        cases += [replace(case, operator=operator) for case in [*kernels, *_vary(upsampling, forms)]]
    return cases


CASES: tuple[Case, ...] = tuple(case for operator in OPERATORS for case in _of(operator))
BY_ID: dict[str, Case] = {case.id: case for case in CASES}
PLAIN: tuple[Case, ...] = tuple(
    BY_ID[f"{operator}-{'3x3-stride2' if operator in TRANSPOSED else '3x3'}"] for operator in OPERATORS
)
"""One everyday case of each operator, for questions about an operator rather than an option."""
