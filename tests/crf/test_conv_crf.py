"""Conv-CRF against the published code's own results, and against a loop that shares nothing with it.

`published_conv_crf.npz` was made once with the published code (MarvinTeichmann/ConvCRF, MIT, commit 09306378,
`GaussCRF` with its `default_conf` but for `filter_size` and `blur`; no other change) on a random image (22 × 27,
values in [0, 255]) and random logits of 4 classes, both of which the file holds beside the results.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pacbench.crf.conv_crf import ConvCRF
from pacbench.suites.gradients.dense_mean_field import pooling_matrix, softmax, upsampling_matrix

PUBLISHED = Path(__file__).with_name("published_conv_crf.npz")


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize(("filter_size", "blur"), [(11, 4), (7, 4), (5, 1)])
def test_same_results_as_the_published_code(filter_size: int, blur: int, steps: int) -> None:
    with np.load(PUBLISHED, allow_pickle=False) as file:
        image, unary = torch.from_numpy(file["image"]), torch.from_numpy(file["unary"])
        expected = torch.from_numpy(file[f"filter_{filter_size}_blur_{blur}_steps_{steps}"])
    crf = ConvCRF(4, filter_size, blur, steps, backend="unfold")
    torch.testing.assert_close(crf(unary, image), expected, rtol=0, atol=1e-4)


def _by_loops(unary: np.ndarray, image: np.ndarray, filter_size: int, blur: int, steps: int) -> np.ndarray:
    classes, height, width = unary.shape
    pool, upsample = pooling_matrix((height, width), blur), upsampling_matrix((height, width), blur)
    rows, columns = -(-height // blur), -(-width // blur)
    position = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij")).reshape(2, -1) / 3
    position, colour = position @ pool.T, image.reshape(3, -1) / 13 @ pool.T
    reach = filter_size // 2
    kernel = np.zeros((rows * columns, rows * columns))
    for i in range(rows * columns):
        for j in range(rows * columns):
            if abs(i // columns - j // columns) <= reach and abs(i % columns - j % columns) <= reach:
                kernel[i, j] = 3 * np.exp(-0.5 * ((position[:, i] - position[:, j]) ** 2).sum()) + 10 * np.exp(
                    -0.5 * ((colour[:, i] - colour[:, j]) ** 2).sum()
                )
    log_unary = np.log(softmax(unary)).reshape(classes, -1)
    beliefs = logits = log_unary
    for _ in range(steps):
        logits = 0.75 * log_unary + 0.25 * (beliefs @ pool.T @ kernel.T @ upsample.T)
        beliefs = softmax(logits)
    return logits.reshape(unary.shape)


@pytest.mark.parametrize(("filter_size", "blur"), [(3, 1), (5, 2), (3, 3)])
def test_same_results_as_a_direct_loop(filter_size: int, blur: int) -> None:
    generator = np.random.default_rng(5)
    unary, image = generator.normal(size=(3, 7, 9)), generator.uniform(0, 60, (3, 7, 9))
    crf = ConvCRF(3, filter_size, blur, 4, weight=0.25, backend="unfold").double()
    result = crf(torch.from_numpy(unary)[None], torch.from_numpy(image)[None])
    np.testing.assert_allclose(result[0].numpy(), _by_loops(unary, image, filter_size, blur, 4), rtol=0, atol=1e-10)


@pytest.mark.parametrize("blur", [1, 2])
def test_gradients_reach_the_unary_and_every_scalar(blur: int) -> None:
    crf = ConvCRF(3, 3, blur, 2, colour_sdims=20.0, trainable=True, backend="unfold").double()
    unary = torch.randn(1, 3, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    image = torch.rand(1, 3, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 40
    names = [name for name, _ in crf.named_parameters()]
    assert names == ["unary_weight", "weight", "position_sdims", "position_compat", "colour_schan", "colour_sdims",
                     "colour_compat"]  # fmt: skip

    def run(unary: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(crf, dict(zip(names, values, strict=True)), (unary, image))

    learned = [value.detach().requires_grad_() for value in crf.parameters()]
    assert torch.autograd.gradcheck(run, [unary.requires_grad_(), *learned])


def test_the_last_step_can_be_normalised() -> None:
    unary, image = torch.randn(1, 3, 5, 6), torch.rand(1, 3, 5, 6) * 255
    logits = ConvCRF(3, 3, 1, 2, backend="unfold")(unary, image)
    probabilities = ConvCRF(3, 3, 1, 2, final_softmax=True, backend="unfold")(unary, image)
    torch.testing.assert_close(probabilities, logits.softmax(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filter_size": 4}, r"ConvCRF: got filter_size=4, expected an odd positive number"),
        ({"blur": 0}, r"ConvCRF: got blur=0, expected at least 1"),
        ({"colour_schan": 0.0}, r"ConvCRF: got colour_schan=0\.0, expected a finite number, above 0"),
        ({"unary_weight": float("nan")}, r"ConvCRF: got unary_weight=nan, expected a finite number"),
    ],
)
def test_bad_options(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConvCRF(3, **options)  # type: ignore[arg-type]


def test_bad_shapes() -> None:
    crf = ConvCRF(3, 3, 2, backend="unfold")
    with pytest.raises(ValueError, match=r"ConvCRF: unary is \(1, 4, 6, 6\), expected \(N, 3, H, W\)"):
        crf(torch.zeros(1, 4, 6, 6), torch.zeros(1, 3, 6, 6))
    with pytest.raises(ValueError, match=r"ConvCRF: image is \(1, 3, 6, 8\), expected the height and width"):
        crf(torch.zeros(1, 3, 6, 6), torch.zeros(1, 3, 6, 8))
    with pytest.raises(ValueError, match=r"ConvCRF: kernel is \(1, 1, 3, 3, 4, 4\), expected \(1, 1, 3, 3, 3, 3\)"):
        crf.steps(torch.zeros(1, 3, 6, 6), torch.zeros(1, 1, 3, 3, 4, 4))
    with pytest.raises(ValueError, match="of a floating type"):
        crf.kernel(torch.zeros(1, 3, 6, 6, dtype=torch.uint8))
