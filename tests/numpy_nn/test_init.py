"""Initial weights: bounds and deviations as torch.nn.init's."""

import numpy as np
import pytest
import torch
from torch import nn

from dlhw.numpy_nn import init


@pytest.mark.parametrize("shape", [(300, 200), (40, 20, 5, 3)])
@pytest.mark.parametrize("name", ["xavier_uniform", "kaiming_uniform", "normal"])
def test_distributions_are_torchs(name, shape):
    of_torch = torch.empty(shape)
    settings = {"nonlinearity": "relu"} if name == "kaiming_uniform" else {}
    getattr(nn.init, f"{name}_")(of_torch, **settings)
    ours = getattr(init, name)(shape, np.random.default_rng(0))
    assert ours.shape == shape
    assert ours.dtype == np.float32
    assert ours.std() == pytest.approx(of_torch.std().item(), rel=0.02)
    assert abs(ours.mean()) < 0.02 * ours.std()
    if name != "normal":
        assert np.abs(ours).max() == pytest.approx(of_torch.abs().max().item(), rel=0.001)


def test_settings_and_seed():
    rng = np.random.default_rng
    assert init.normal((500, 50), rng(0), mean=3, std=0.01).std() == pytest.approx(0.01, rel=0.02)
    np.testing.assert_allclose(init.xavier_uniform((3, 4), rng(0), gain=2), 2 * init.xavier_uniform((3, 4), rng(0)))
    np.testing.assert_array_equal(init.kaiming_uniform((3, 4), rng(5)), init.kaiming_uniform((3, 4), rng(5)))
    np.testing.assert_array_equal(init.zeros((3,)), np.zeros(3, np.float32))
