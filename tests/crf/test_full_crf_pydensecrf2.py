"""Full-CRF by pydensecrf2: set-up and steps apart give what its own shorthand gives; where it is not, it says why."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
import torch

from pacbench.crf.full_crf_pydensecrf2 import FullCRFPydensecrf2

NEEDS_PYDENSECRF = pytest.mark.skipif(
    importlib.util.find_spec("pydensecrf") is None, reason="pydensecrf is not installed: pip install pacbench[full-crf]"
)


def test_reason_where_pydensecrf_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert FullCRFPydensecrf2.unavailable_reasons() == ["pydensecrf is not installed: pip install pacbench[full-crf]"]
    with pytest.raises(
        RuntimeError, match=r"FullCRFPydensecrf2: pydensecrf is not installed: pip install pacbench\[full-crf\]"
    ):
        FullCRFPydensecrf2(3)


@NEEDS_PYDENSECRF
def test_same_results_as_the_shorthand_of_pydensecrf() -> None:
    from pydensecrf.densecrf import DenseCRF2D

    generator = np.random.default_rng(2)
    image = generator.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    unary = torch.from_numpy(generator.normal(size=(1, 4, 20, 30)).astype(np.float32))
    theirs = DenseCRF2D(30, 20, 4)
    theirs.setUnaryEnergy(np.ascontiguousarray(-unary[0].log_softmax(0).numpy().reshape(4, -1)))
    theirs.addPairwiseGaussian(sxy=3, compat=3)
    theirs.addPairwiseBilateral(sxy=80, srgb=13, rgbim=image, compat=10)
    expected = torch.from_numpy(np.array(theirs.inference(5)).reshape(1, 4, 20, 30))
    result = FullCRFPydensecrf2(4)(unary, torch.from_numpy(image).permute(2, 0, 1)[None].float())
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-6)


@NEEDS_PYDENSECRF
def test_a_prepared_image_serves_again() -> None:
    unary, image = torch.randn(1, 3, 8, 9), torch.rand(1, 3, 8, 9) * 255
    crf = FullCRFPydensecrf2(3)
    kernel = crf.kernel(image)
    torch.testing.assert_close(crf.steps(unary, kernel), crf.steps(unary, kernel), rtol=0, atol=0)


@NEEDS_PYDENSECRF
def test_bad_shapes() -> None:
    crf = FullCRFPydensecrf2(3)
    with pytest.raises(ValueError, match=r"FullCRFPydensecrf2: image is \(2, 3, 8, 9\), expected \(1, 3, H, W\)"):
        crf.kernel(torch.zeros(2, 3, 8, 9))
    with pytest.raises(ValueError, match=r"FullCRFPydensecrf2: unary is \(1, 3, 9, 8\), expected \(1, 3, 8, 9\)"):
        crf.steps(torch.zeros(1, 3, 9, 8), crf.kernel(torch.zeros(1, 3, 8, 9)))
