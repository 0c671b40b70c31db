"""Full-CRF on our lattice: against dense matrices, against pydensecrf2 on photographs, and by what must hold."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from lattice_oracle import filter_matrix
from skimage import data
from torch import Tensor, nn

from pacbench.crf import FullCRF, FullCRFPydensecrf2
from pacbench.data import unaries, voc2012
from pacbench.data.data_error import DataError

pytestmark = pytest.mark.usefixtures("needs_lattice")

NEEDS_PYDENSECRF = pytest.mark.skipif(
    importlib.util.find_spec("pydensecrf") is None, reason="pydensecrf is not installed: pip install pacbench[full-crf]"
)
SIZE = (7, 9)
OPTIONS = {
    "position_compat": 0.7,
    "bilateral_compat": 1.3,
    "bilateral_sxy": 4.0,
    "bilateral_srgb": 60.0,
}


def _image(batch: int = 1, size: tuple[int, int] = SIZE) -> Tensor:
    return 255 * torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _unary(batch: int = 1, classes: int = 3, size: tuple[int, int] = SIZE) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, classes, *size, generator=generator, dtype=torch.float64)


def _crf(channels: int = 3, steps: int = 3, **options: object) -> FullCRF:
    return FullCRF(channels, steps, **{"final_output": "log_Q", **OPTIONS, **options}).double()  # type: ignore[arg-type]


def _perturbed(crf: FullCRF) -> FullCRF:
    with torch.no_grad():
        for tensor in (*crf.parameters(), *crf.buffers()):
            tensor += 0.2 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(2), dtype=tensor.dtype)
    return crf


def _by_matrices(crf: FullCRF, unary: Tensor, image: Tensor) -> Tensor:
    """Mean field as it is written, with dense kernels."""
    (lattices,) = crf.kernel(image)
    kernels = [filter_matrix(lattice, normalise=True) for lattice in lattices.lattices]
    base = crf.unary_weight * unary[0].flatten(1)
    compatibility = -torch.eye(crf.channels).double() if crf.compatibility is None else crf.compatibility
    logits = base
    for _ in range(crf.num_steps):
        beliefs = logits.softmax(dim=0)
        message = crf.position_compat * beliefs @ kernels[0].t() + crf.bilateral_compat * beliefs @ kernels[1].t()
        logits = base - compatibility @ message
    return logits.reshape(unary.shape)


@pytest.mark.parametrize("compatibility", ["potts", "learned"])
@pytest.mark.parametrize("classes", [2, 3, 21, 33])
def test_steps_are_those_of_dense_matrices(compatibility: str, classes: int) -> None:
    crf = _perturbed(_crf(classes, compatibility=compatibility))
    unary, image = _unary(classes=classes), _image()
    expected = _by_matrices(crf, unary, image)
    torch.testing.assert_close(crf(unary, image), expected, rtol=0, atol=1e-11)
    crf.final_output = "softmax"
    torch.testing.assert_close(crf(unary, image), expected.softmax(dim=1), rtol=0, atol=1e-11)
    learned = _perturbed(_crf(classes, compatibility=compatibility, trainable=True))
    with torch.no_grad():
        torch.testing.assert_close(learned(unary, image), expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(learned(unary, image).detach(), expected, rtol=0, atol=1e-11)
    single = crf.float()(unary.float(), image.float())
    torch.testing.assert_close(single.double(), expected.softmax(dim=1), rtol=0, atol=2e-5)


@pytest.mark.parametrize("weight", [-1.0, 0.0, 1e-32])
@pytest.mark.parametrize("classes", [5, 8])
def test_weights_of_the_unary_that_are_not_positive(classes: int, weight: float) -> None:
    """Classes that fill no vector of the lattice's rows stay as many as they are."""
    unary, image = _unary(classes=classes), _image()
    for trainable in (False, True):
        crf = _crf(classes, unary_weight=weight, trainable=trainable)
        torch.testing.assert_close(
            crf(unary, image).detach(), _by_matrices(crf, unary, image).detach(), rtol=0, atol=1e-11
        )
        single = crf.float()(unary.float(), image.float()).detach()
        torch.testing.assert_close(
            single.double().softmax(1), crf.double()(unary, image).detach().softmax(1), rtol=0, atol=2e-5
        )


def test_the_oracle_sees_a_step_too_few() -> None:
    unary, image = _unary(), _image()
    difference = _crf(steps=2)(unary, image) - _by_matrices(_crf(steps=3), unary, image)
    assert difference.abs().max() > 1e-3


@pytest.mark.parametrize("compatibility", ["potts", "learned"])
def test_gradients(compatibility: str) -> None:
    crf = _perturbed(_crf(trainable=True, compatibility=compatibility))
    image, unary = _image(2, (4, 5)), _unary(2, 3, (4, 5)).requires_grad_()
    kernel = crf.kernel(image)
    names = [name for name, _ in crf.named_parameters()]
    assert names == ["unary_weight", "position_compat", "bilateral_compat", "compatibility"][: len(names)]
    assert len(names) == (4 if compatibility == "learned" else 3)

    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.crf = crf

        def forward(self, unary: Tensor) -> Tensor:
            return self.crf.steps(unary, kernel)

    steps = Steps()

    def run(unary: Tensor, *parameters: Tensor) -> Tensor:
        given = {f"crf.{name}": tensor for name, tensor in zip(names, parameters, strict=True)}
        result: Tensor = torch.func.functional_call(steps, given, (unary,))
        return result

    assert torch.autograd.gradcheck(run, (unary, *crf.parameters()))
    crf.final_output = "softmax"
    assert torch.autograd.gradcheck(run, (unary, *crf.parameters()), fast_mode=True)


def _agreement(unary: Tensor, image: Tensor, **options: float) -> tuple[float, float]:
    """Share of equal labels, and the 99.9th percentile of the difference of marginals."""
    ours = FullCRF(unary.shape[1], **options)(unary, image)  # type: ignore[arg-type]
    theirs = FullCRFPydensecrf2(unary.shape[1], **options)(unary, image)  # type: ignore[arg-type]
    differences = (ours - theirs).abs().flatten()
    percentile = differences.kthvalue(int(0.999 * differences.numel())).values
    return float((ours.argmax(1) == theirs.argmax(1)).float().mean()), float(percentile)


@NEEDS_PYDENSECRF
@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_photographs_give_what_pydensecrf2_gives(name: str) -> None:
    photograph = torch.from_numpy(getattr(data, name)()).permute(2, 0, 1)[None].float()[:, :, :300, :400]
    coarse = 3 * torch.randn(1, 21, 19, 25, generator=torch.Generator().manual_seed(3))
    unary = nn.functional.interpolate(coarse, size=photograph.shape[2:], mode="bicubic")
    options = {"bilateral_srgb": 5.0, "bilateral_sxy": 30.0} if name == "coffee" else {}
    agreement, percentile = _agreement(unary, photograph, **options)
    assert agreement >= 0.995
    assert percentile <= 1e-3


@NEEDS_PYDENSECRF
def test_real_images_and_unaries_give_what_pydensecrf2_gives(voc_samples: Path) -> None:
    root, folder = voc2012.find_folder(voc_samples), unaries.find_folder(voc_samples)
    loaded = [sample for sample in voc2012.samples(root, "val") if not isinstance(sample, DataError)][:3]
    assert loaded
    for sample in loaded:
        size = (sample.image.shape[-2], sample.image.shape[-1])
        unary = unaries.load_unary(folder, sample.id, 21, size)[None]
        agreement, percentile = _agreement(unary, sample.image[None])
        assert agreement >= 0.995
        assert percentile <= 1e-3


@NEEDS_PYDENSECRF
def test_the_comparison_sees_another_kernel() -> None:
    photograph = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None].float()[:, :, :100, :150]
    unary = nn.functional.interpolate(torch.randn(1, 5, 7, 9), size=photograph.shape[2:], mode="bicubic")
    ours = FullCRF(5, bilateral_srgb=14.0)(unary, photograph)
    theirs = FullCRFPydensecrf2(5, bilateral_srgb=13.0)(unary, photograph)
    differences = (ours - theirs).abs().flatten()
    assert float(differences.kthvalue(int(0.999 * differences.numel())).values) > 1e-3


def test_a_uniform_image_gives_the_position_only_result() -> None:
    """The bilateral kernel is then a Gaussian of position: of whatever colour, and as a position kernel has it.

    Its lattice has five dimensions, that of a position kernel two: both approximate the same Gaussian.
    """
    size = (40, 50)
    unary = _unary(1, 4, size) + nn.functional.interpolate(_unary(1, 4, (4, 5)), size=size, mode="bilinear")
    uniform = torch.zeros(1, 3, *size, dtype=torch.float64)
    bilateral = {"position_compat": 0.0, "bilateral_compat": 3.0, "bilateral_sxy": 6.0, "final_output": "softmax"}
    position = {"position_compat": 3.0, "bilateral_compat": 0.0, "position_sxy": 6.0, "final_output": "softmax"}
    expected = _crf(4, **position)(unary, uniform)
    for colour in (0.0, 30.0, 255.0):
        result = _crf(4, **bilateral)(unary, uniform + colour)
        assert (result - expected).abs().mean() <= 0.01
        assert (result.argmax(1) == expected.argmax(1)).double().mean() >= 0.97
    started = unary.softmax(dim=1)
    assert (started - expected).abs().mean() > 0.08  # the result is another than the unary's


def test_a_batch_is_its_images_and_a_prepared_image_serves_again() -> None:
    crf, unary, image = _crf(), _unary(2), _image(2)
    kernel = crf.kernel(image)
    both = crf.steps(unary, kernel)
    assert torch.equal(both, crf.steps(unary, kernel))
    for i in range(2):
        assert torch.equal(both[i : i + 1], crf(unary[i : i + 1], image[i : i + 1]))
    assert crf(unary[:0], image[:0]).shape == (0, 3, *SIZE)


def test_layouts_dtypes_and_inputs_that_stay() -> None:
    crf, unary, image = _crf().float(), _unary(2).float(), _image(2).float()
    expected = crf(unary, image)
    kept = unary.clone(), image.clone()
    last = torch.channels_last
    assert torch.equal(crf(unary.to(memory_format=last), image.to(memory_format=last)), expected)
    assert torch.equal(unary, kept[0])
    assert torch.equal(image, kept[1])
    half = crf(unary.half(), image)
    assert half.dtype is torch.float16
    torch.testing.assert_close(half.float(), expected, rtol=0, atol=2e-2)


@pytest.mark.parametrize("trainable", [False, True])
def test_the_state_is_kept(trainable: bool) -> None:
    crf = _crf(trainable=trainable, compatibility="learned")
    assert len(list(crf.parameters())) == (4 if trainable else 0)
    assert list(crf.state_dict()) == ["unary_weight", "position_compat", "bilateral_compat", "compatibility"]
    assert torch.equal(crf.state_dict()["compatibility"], 1 - torch.eye(3).double())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 0}, "got channels=0, expected at least 1"),
        ({"num_steps": -1}, "got num_steps=-1, expected at least 0"),
        ({"bilateral_srgb": 0.0}, "got bilateral_srgb=0.0, expected a finite number above 0"),
        ({"position_compat": float("nan")}, "got position_compat=nan, expected a finite number"),
        ({"compatibility": "pots"}, "got compatibility='pots', expected one of 'potts', 'learned'"),
        ({"final_output": "Q"}, "got final_output='Q', expected one of 'softmax', 'log_Q'"),
    ],
)
def test_bad_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"FullCRF: {message}"):
        FullCRF(**{"channels": 3, **options})  # type: ignore[arg-type]


def test_bad_shapes() -> None:
    crf = FullCRF(3)
    kernel = crf.kernel(torch.zeros(1, 3, 8, 9))
    with pytest.raises(ValueError, match=r"FullCRF: image is \(3, 8, 9\) of torch.float32, expected \(N, 3, H, W\)"):
        crf.kernel(torch.zeros(3, 8, 9))
    with pytest.raises(ValueError, match=r"FullCRF: unary is \(1, 2, 8, 9\), expected \(1, 3, H, W\)"):
        crf.steps(torch.zeros(1, 2, 8, 9), kernel)
    with pytest.raises(ValueError, match=r"unary is \(1, 3, 9, 8\), expected the image's height and width \(8, 9\)"):
        crf.steps(torch.zeros(1, 3, 9, 8), kernel)
