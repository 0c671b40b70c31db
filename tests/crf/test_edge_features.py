from __future__ import annotations

import pytest
import torch

from pacbench.crf.edge_features import create_position_feats, create_YXRGB


def test_positions_divided_by_their_scales() -> None:
    features = create_position_feats((2, 3), scales=[2.0, 4.0], bs=2)
    assert features.shape == (2, 2, 2, 3)
    torch.testing.assert_close(features[1, 0], torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]))
    torch.testing.assert_close(features[1, 1], torch.tensor([[0.0, 0.25, 0.5], [0.0, 0.25, 0.5]]))


def test_scales_at_once_or_apart() -> None:
    image = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    apart = create_YXRGB(image, yx_scale=10.0, rgb_scale=[1.0, 2.0, 3.0])
    torch.testing.assert_close(create_YXRGB(image, scales=[10.0, 10.0, 1.0, 2.0, 3.0]), apart)
    torch.testing.assert_close(apart[:, 3], image[:, 1] / 2)
    torch.testing.assert_close(create_YXRGB(image[0]), create_YXRGB(image)[:1])


def test_bad_scales() -> None:
    image = torch.zeros(1, 3, 4, 5)
    with pytest.raises(ValueError, match="create_YXRGB: scales has 4 entries, expected 5"):
        create_YXRGB(image, scales=[1.0, 1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="got scales beside yx_scale or rgb_scale"):
        create_YXRGB(image, rgb_scale=3.0, scales=[1.0] * 5)
    with pytest.raises(ValueError, match="create_YXRGB: got 2 scales, expected 1 or 3"):
        create_YXRGB(image, rgb_scale=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"create_position_feats: shape has 3 entries, expected 2"):
        create_position_feats((1, 2, 3))
