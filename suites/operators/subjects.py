"""What the interleaved benchmark compares on each case: the backend, plain torch, another backend, Full-CRF."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pacbench.backend import Backend
from pacbench.crf import FullCRFPydensecrf2

from .cases import CASES, SMALL_CASES, Direction, OperatorCase, Shape
from .models import MODELS, SMALL_MODELS, ModelCase
from .workload import Tensors, output_gradient, pac_operator, plain_operator, tensors, timed_call

CPU = "cpu"


@dataclass(frozen=True)
class Subject:
    """A case of the interleaved benchmark.

    Attributes:
        case: Its sizes, its count of operations, and its plain torch operator.
        layer: The model whose layer runs it, for the mean-field messages of W3.
        full_crf: Full-CRF by pydensecrf2 on the same image, for the same.
        lattice: Full-CRF on our lattice, likewise.
    """

    case: OperatorCase
    layer: ModelCase | None = None
    full_crf: ModelCase | None = None
    lattice: ModelCase | None = None

    @property
    def name(self) -> str:
        """Name of the case."""
        return self.case.name

    @property
    def output_shape(self) -> Shape:
        """Shape of the output."""
        return self.case.output_shape

    @property
    def differentiated(self) -> tuple[str, ...]:
        """Tensors that the backward pass has a gradient to."""
        return (self.layer or self.case).differentiated

    def tensors(self) -> dict[str, Tensor]:
        """The arguments, float32; the same in every process."""
        return self.layer.tensors() if self.layer else tensors(self.case)

    def run(self, backend: Backend) -> Callable[[Tensors], Tensor]:
        """The case by a backend: the fused operator, or the layer."""
        return self.layer.run(backend) if self.layer else partial(pac_operator, self.case, backend=backend)

    def backend_call(self, backend: Backend, direction: Direction) -> Callable[[], Tensor]:
        """A call by a backend that can be timed."""
        return timed_call(self.run(backend), self, direction, self.tensors())

    def plain_call(self, direction: Direction) -> Callable[[], Tensor]:
        """A call of the plain torch operator that can be timed."""
        twin = self.case.plain_twin
        return timed_call(partial(plain_operator, twin), twin, direction, tensors(twin))

    def full_crf_call(self) -> Callable[[], Tensor] | None:
        """A call of Full-CRF by pydensecrf2 on the same image, with its set-up; None for a case that is no CRF.

        Raises:
            RuntimeError: pydensecrf is not installed; the message says how to mend it.
        """
        if self.full_crf is None:
            return None
        return timed_call(self.full_crf.run(None), self.full_crf, "forward", self.full_crf.tensors())

    def lattice_call(self, backend: Backend) -> Callable[[], Tensor] | None:
        """A call of Full-CRF on a backend's lattice, likewise."""
        if self.lattice is None:
            return None
        return timed_call(self.lattice.run(backend), self.lattice, "forward", self.lattice.tensors())

    def outputs(self, run: Callable[[Tensors], Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The output and the gradient to each differentiated tensor, by name, in the dtype of `given`."""
        leaves = {name: tensor.detach().requires_grad_(name in self.differentiated) for name, tensor in given.items()}
        output = run(leaves)
        wanted = [leaves[name] for name in self.differentiated]
        gradients = torch.autograd.grad(output, wanted, output_gradient(self).to(output))
        return {"output": output.detach()} | dict(zip(self.differentiated, gradients, strict=True))


def _subjects(cases: tuple[OperatorCase, ...], models: tuple[ModelCase, ...]) -> tuple[Subject, ...]:
    layer = next(model for model in models if model.name.startswith("pac_crf_32"))
    by_kind = {model.kind: model for model in models}
    full_crf, lattice = by_kind["full_crf_pydensecrf2"], by_kind["full_crf"]
    return tuple(Subject(case, layer, full_crf, lattice) if case.messages else Subject(case) for case in cases)


SUBJECTS = _subjects(CASES, MODELS)
SMALL_SUBJECTS = _subjects(SMALL_CASES, SMALL_MODELS)
SUBJECTS_OF_PROFILE: dict[str, tuple[Subject, ...]] = {"quick": SMALL_SUBJECTS, "standard": SUBJECTS, "full": SUBJECTS}


def full_crf_reasons() -> list[str]:
    """Why Full-CRF by pydensecrf2 cannot run here, with the mend."""
    return FullCRFPydensecrf2.unavailable_reasons()
