"""BCL-CRF against dense matrices, against Full-CRF where it starts as one, and by what must hold."""

from __future__ import annotations

import pytest
import torch
from lattice_oracle import shift_matrix, splat_matrix
from torch import Tensor

from pacbench.crf import BCLCRF, FullCRF, PermutohedralLattice
from pacbench.crf.lattice_neighbourhood import neighbourhood

pytestmark = pytest.mark.usefixtures("needs_lattice")

SIZE = (6, 7)
OPTIONS = {"position_compat": 0.7, "bilateral_compat": 1.3, "bilateral_sxy": 4.0, "bilateral_srgb": 60.0}


def _image(batch: int = 1, size: tuple[int, int] = SIZE) -> Tensor:
    return 255 * torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _unary(batch: int = 1, classes: int = 3, size: tuple[int, int] = SIZE) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, classes, *size, generator=generator, dtype=torch.float64)


def _crf(channels: int = 3, steps: int = 2, **options: object) -> BCLCRF:
    return BCLCRF(channels, steps, **{**OPTIONS, **options}).double()  # type: ignore[arg-type]


def _perturbed(crf: BCLCRF) -> BCLCRF:
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    return crf


def _matrix(lattice: PermutohedralLattice, radius: int, weights: Tensor) -> Tensor:
    """(pixels, pixels): splat, the filter as a sum of shifts, slice."""
    splat = splat_matrix(lattice)
    filtered = torch.zeros(lattice.points, lattice.points, dtype=torch.float64)
    for offset, weight in zip(neighbourhood(lattice.dimensions, radius).offsets.tolist(), weights, strict=True):
        filtered += weight * shift_matrix(lattice, (*offset, -sum(offset)))
    return splat.t() @ filtered @ splat


def _by_matrices(crf: BCLCRF, unary: Tensor, image: Tensor) -> Tensor:
    (prepared,) = crf.kernel(image)
    base = crf.unary_weight * unary[0].flatten(1)
    filters = (crf.position_filter, crf.bilateral_filter)
    logits = base
    for step in range(crf.num_steps):
        copy = step if crf.loose else 0
        beliefs = logits.softmax(dim=0)
        message = torch.zeros_like(beliefs)
        for convolved, weight in zip(prepared.lattices, filters, strict=True):
            gaussian = neighbourhood(convolved.lattice.dimensions, crf.radius).gaussian()
            scale = _matrix(convolved.lattice, crf.radius, gaussian).sum(1).rsqrt()
            for c in range(crf.channels):
                matrix = _matrix(convolved.lattice, crf.radius, weight[copy, :, c])
                message[c] += scale * (matrix @ (scale * beliefs[c]))
        logits = base - crf.compatibility[copy] @ message
    return logits.reshape(unary.shape)


@pytest.mark.parametrize("loose", [False, True])
def test_steps_are_those_of_dense_matrices(loose: bool) -> None:
    crf = _perturbed(_crf(loose=loose))
    with torch.no_grad():
        expected = _by_matrices(crf, _unary(), _image())
        torch.testing.assert_close(crf(_unary(), _image()), expected, rtol=0, atol=1e-11)
        single = crf.float()(_unary().float(), _image().float())
    torch.testing.assert_close(single.double(), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("loose", [False, True])
def test_gradients(loose: bool) -> None:
    crf = _perturbed(_crf(loose=loose))
    image, unary = _image(1, (3, 4)), _unary(1, 3, (3, 4)).requires_grad_()
    names = [name for name, _ in crf.named_parameters()]
    assert names == ["unary_weight", "compatibility", "position_filter", "bilateral_filter"]

    def run(unary: Tensor, *parameters: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(crf, dict(zip(names, parameters, strict=True)), (unary, image))
        return result

    assert torch.autograd.gradcheck(run, (unary, *crf.parameters()))


def test_it_starts_as_a_dense_crf() -> None:
    """With the same scalars it moves the unary to where Full-CRF does: most of the way, and the labels with it."""
    size = (40, 50)
    unary = _unary(1, 4, size) + torch.nn.functional.interpolate(_unary(1, 4, (4, 5)), size=size, mode="bilinear")
    image = torch.nn.functional.interpolate(_image(1, (5, 6)), size=size, mode="bilinear")
    options = {"position_compat": 3.0, "bilateral_compat": 5.0, "bilateral_sxy": 10.0, "bilateral_srgb": 30.0}
    with torch.no_grad():
        ours = BCLCRF(4, final_output="softmax", **options).double()(unary, image)  # type: ignore[arg-type]
    full = FullCRF(4, **options).double()(unary, image)  # type: ignore[arg-type]
    assert (ours - full).abs().mean() <= 0.25 * (unary.softmax(dim=1) - full).abs().mean()
    assert (ours.argmax(1) == full.argmax(1)).double().mean() >= 0.9


def test_loose_steps_start_as_tied_ones_and_then_differ() -> None:
    tied, loose = _crf(steps=3), _crf(steps=3, loose=True)
    assert loose.bilateral_filter.shape == (3, 63, 3)
    assert loose.position_filter.shape == (3, 7, 3)
    with torch.no_grad():
        assert torch.equal(tied(_unary(), _image()), loose(_unary(), _image()))
        loose.bilateral_filter[2] += 0.3
        assert not torch.equal(tied(_unary(), _image()), loose(_unary(), _image()))


def test_training_lowers_the_loss() -> None:
    torch.manual_seed(0)
    image, truth = _image(1, (12, 16)), torch.zeros(1, 12, 16, dtype=torch.int64)
    truth[:, :, 8:] = 1
    image[:, :, :, 8:] = 255 - image[:, :, :, 8:] / 4
    image[:, :, :, :8] /= 4
    unary = 0.5 * torch.nn.functional.one_hot(truth, 3).permute(0, 3, 1, 2) + _unary(1, 3, (12, 16))
    crf = _crf(steps=3, position_compat=0.1, bilateral_compat=0.1)
    kernel = crf.kernel(image)
    optimiser = torch.optim.Adam(crf.parameters(), lr=0.05)
    losses = []
    for _ in range(20):
        loss = torch.nn.functional.cross_entropy(crf.steps(unary, kernel), truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_a_batch_is_its_images() -> None:
    crf, unary, image = _crf(), _unary(2), _image(2)
    with torch.no_grad():
        both = crf(unary, image)
        for i in range(2):
            assert torch.equal(both[i : i + 1], crf(unary[i : i + 1], image[i : i + 1]))
        assert crf(unary[:0], image[:0]).shape == (0, 3, *SIZE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 0}, "got channels=0, expected at least 1"),
        ({"radius": -1}, "got radius=-1, expected at least 0"),
        ({"position_sxy": -3.0}, "got position_sxy=-3.0, expected a finite number above 0"),
        ({"final_output": "Q"}, "got final_output='Q', expected one of 'softmax', 'log_Q'"),
        ({"bilateral_compat": float("inf")}, "got bilateral_compat=inf, expected a finite number"),
    ],
)
def test_bad_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"BCLCRF: {message}"):
        BCLCRF(**{"channels": 3, **options})  # type: ignore[arg-type]


def test_bad_shapes() -> None:
    crf = BCLCRF(3)
    with pytest.raises(ValueError, match=r"BCLCRF: image is \(1, 4, 8, 9\) of torch.float32, expected \(N, 3, H, W\)"):
        crf.kernel(torch.zeros(1, 4, 8, 9))
    with pytest.raises(ValueError, match=r"unary is \(1, 3, 9, 8\), expected the image's height and width \(8, 9\)"):
        crf.steps(torch.zeros(1, 3, 9, 8), crf.kernel(torch.zeros(1, 3, 8, 9)))
