"""Whole CRFs at the size that users have: 21 classes, 375 x 500 pixels, five mean-field steps.

The image is an embedded scene, since what a lattice costs depends on it; unary and the filters of PAC-CRF are random.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pacbench.backend import Backend
from pacbench.blurring import blurred_size
from pacbench.crf import BCLCRF, ConvCRF, FullCRF, FullCRFPydensecrf2
from pacbench.crf.lattice_neighbourhood import neighbourhood
from pacbench.data.scenes import scene
from pacbench.geometry import Pair, Window
from pacbench.nn.pac_crf import PacCRF

from .cases import DIRECTIONS, Direction, OperatorCase, Shape
from .workload import Tensors

STEPS = 5
CLASSES = 21

_SEED = 1904_05373
_BLUR = 4
_RGB_SCALE = 12.0  # the suite `crf` starts its tuning from it
_IMAGE: Pair = (375, 500)
_SMALL_IMAGE: Pair = (46, 62)
_LATTICES = {"position": 2, "bilateral": 5}
"""How many features each lattice of BCL-CRF has."""


@dataclass(frozen=True)
class ModelCase:
    """One CRF, float32, one image: the adapting kernels of the image, then the mean-field steps.

    Attributes:
        name: As in the case's name.
        title: What it is, in words.
        kind: Which CRF.
        image: Height and width.
        messages: The messages of each pairwise kernel, as an operator's case; none where a lattice is filtered.
        directions: What is timed.
    """

    name: str
    title: str
    kind: Literal["pac_crf", "conv_crf", "full_crf", "bcl_crf", "full_crf_pydensecrf2"]
    image: Pair
    messages: tuple[OperatorCase, ...] = ()
    directions: tuple[Direction, ...] = ("forward",)

    @property
    def operator(self) -> str:
        """Name of the layer that computes it."""
        return {
            "pac_crf": "PacCRF",
            "conv_crf": "ConvCRF",
            "full_crf": "FullCRF",
            "bcl_crf": "BCLCRF",
            "full_crf_pydensecrf2": "FullCRFPydensecrf2",
        }[self.kind]

    @property
    def uses_backend(self) -> bool:
        """Whether a backend computes it: its messages, or its lattice."""
        return self.kind != "full_crf_pydensecrf2"

    @property
    def shapes(self) -> dict[str, Shape]:
        """Shape of each tensor: the unary, the image (of a PAC-CRF: its guide), and the filters that are learned."""
        shapes: dict[str, Shape] = {"unary": (1, CLASSES, *self.image), self._image_name: (1, 3, *self.image)}
        if self.kind == "pac_crf":
            shapes |= {f"weight_{i}": message.shapes["weight"] for i, message in enumerate(self.messages)}
        if self.kind == "bcl_crf":
            shapes |= {f"{name}_filter": (1, neighbourhood(d, 1).taps, CLASSES) for name, d in _LATTICES.items()}
        return shapes

    @property
    def _image_name(self) -> str:
        return "guide" if self.kind == "pac_crf" else "image"

    @property
    def output_shape(self) -> Shape:
        """Shape of the output."""
        return 1, CLASSES, *self.image

    @property
    def differentiated(self) -> tuple[str, ...]:
        """Tensors that the backward pass has a gradient to: the unary and the filters, not the image."""
        return tuple(name for name in self.shapes if name != self._image_name)

    def flops(self, direction: Direction) -> float | None:
        """Operations of all messages, as `OperatorCase.flops` counts them; None where a lattice is filtered."""
        return sum(message.flops(direction) for message in self.messages) if self.messages else None

    def tensors(self, device: str = "cpu") -> dict[str, Tensor]:
        """The arguments; the same in every process. The image is in [0, 255], a guide is the image divided by 12."""
        generator = torch.Generator().manual_seed(_SEED)
        made = {name: torch.randn(shape, generator=generator) for name, shape in self.shapes.items()}
        image = scene("val", 0, self.image).image[None]
        made |= {
            f"{name}_filter": neighbourhood(d, 1).gaussian().float()[None, :, None].repeat(1, 1, CLASSES)
            for name, d in _LATTICES.items()
            if f"{name}_filter" in made
        }
        made[self._image_name] = image / _RGB_SCALE if self.kind == "pac_crf" else image
        for name, tensor in made.items():
            if name.startswith("weight"):
                tensor /= (CLASSES * tensor.shape[2] * tensor.shape[3]) ** 0.5
        return {name: tensor.to(device) for name, tensor in made.items()}

    def run(self, backend: Backend | None) -> Callable[[Tensors], Tensor]:
        """The model as a function of its tensors; `backend` is None for Full-CRF by pydensecrf2.

        The function raises an UnavailableError where the backend has no lattice and one is filtered.

        Raises:
            RuntimeError: pydensecrf is not installed.
        """
        if self.kind == "full_crf_pydensecrf2":
            theirs = FullCRFPydensecrf2(CLASSES, STEPS)
            return lambda given: theirs(given["unary"], given["image"])
        if self.kind == "full_crf":
            full_crf = FullCRF(CLASSES, STEPS, backend=backend)
            return lambda given: full_crf(given["unary"], given["image"])
        if self.kind == "bcl_crf":
            return self._bcl_crf(backend)
        if self.kind == "conv_crf":
            conv_crf = ConvCRF(
                CLASSES, self.messages[0].window.kernel_size[0], _BLUR, STEPS, backend=backend
            ).requires_grad_(False)
            return lambda given: conv_crf(given["unary"], given["image"])
        return self._pac_crf(backend)

    def _bcl_crf(self, backend: Backend | None) -> Callable[[Tensors], Tensor]:
        crf = BCLCRF(CLASSES, STEPS, backend=backend).requires_grad_(False)

        def run(given: Tensors) -> Tensor:
            filters = {name: given[name] for name in self.shapes if name.endswith("_filter")}
            output: Tensor = torch.func.functional_call(crf, filters, (given["unary"], given["image"]))
            return output

        return run

    def _pac_crf(self, backend: Backend | None) -> Callable[[Tensors], Tensor]:
        kernels = [
            {"kernel_size": message.window.kernel_size[0], "dilation": message.window.dilation[0], "compat_type": "4d"}
            for message in self.messages
        ]
        crf = PacCRF(
            CLASSES, STEPS, perturbed_init=False, fixed_weighting=True, pairwise_kernels=kernels, backend=backend
        )
        names = {f"weight_{i}": f"messengers.{i}.weight" for i in range(len(kernels))}

        def run(given: Tensors) -> Tensor:
            filters = {name: given[key] for key, name in names.items()}
            output: Tensor = torch.func.functional_call(crf, filters, (given["unary"], given["guide"]))
            return output

        return run


def _message(taps: int, dilation: int, image: Pair) -> OperatorCase:
    padding = taps // 2 * dilation
    window = Window((taps, taps), padding=(padding, padding), dilation=(dilation, dilation))
    return OperatorCase(
        "message", "a mean-field message", "pacconv2d", "conv2d", CLASSES, CLASSES, 3, image, window,
        messages=STEPS, guide_gradient=False,
    )  # fmt: skip


def _pooled_message(taps: int, image: Pair) -> OperatorCase:
    window = Window((taps, taps), padding=(taps // 2, taps // 2))
    return OperatorCase(
        "message", "a mean-field message", "pacpool2d", "avg_pool2d", CLASSES, CLASSES, 3, blurred_size(image, _BLUR),
        window, messages=STEPS, guide_gradient=False,
    )  # fmt: skip


def _models(image: Pair, shrink: int, suffix: str) -> tuple[ModelCase, ...]:
    size = f"21 classes, {image[0]} x {image[1]}"
    return (
        ModelCase(
            f"pac_crf_32{suffix}", f"PAC-CRF,{32 // shrink}, 5 x 5, {size}", "pac_crf", image,
            (_message(5, 32 // shrink, image),), DIRECTIONS,
        ),
        ModelCase(
            f"pac_crf_16_64{suffix}", f"PAC-CRF,{16 // shrink}-{64 // shrink}, 5 x 5, {size}", "pac_crf", image,
            (_message(5, 16 // shrink, image), _message(5, 64 // shrink, image)), DIRECTIONS,
        ),
        ModelCase(
            f"conv_crf_11{suffix}", f"Conv-CRF, filter 11, blur 4, {size}", "conv_crf", image,
            (_pooled_message(11, image),),
        ),
        ModelCase(
            f"conv_crf_7{suffix}", f"Conv-CRF, filter 7, blur 4, {size}", "conv_crf", image,
            (_pooled_message(7, image),),
        ),
        ModelCase(
            f"full_crf{suffix}", f"Full-CRF on our lattice, with set-up, {size}", "full_crf", image,
            directions=DIRECTIONS,
        ),
        ModelCase(
            f"bcl_crf{suffix}", f"BCL-CRF, radius 1, with set-up, {size}", "bcl_crf", image, directions=DIRECTIONS,
        ),
        ModelCase(
            f"full_crf_pydensecrf2{suffix}", f"Full-CRF (pydensecrf2, one thread), with set-up, {size}",
            "full_crf_pydensecrf2", image,
        ),
    )  # fmt: skip


MODELS = _models(_IMAGE, 1, "")
SMALL_MODELS = _models(_SMALL_IMAGE, 8, "-small")
MODELS_OF_PROFILE: dict[str, tuple[ModelCase, ...]] = {"quick": SMALL_MODELS, "standard": MODELS, "full": MODELS}
