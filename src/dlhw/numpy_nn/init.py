"""Initial weights, by torch.nn.init's formulas. fan_in is the number of values that an output is made of."""

import math

import numpy as np

from dlhw.numpy_nn.layer import Array, Rng


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """fan_in and fan_out of a weight (out, in) or (out, in, kh, kw)."""
    out, into, *kernel = shape
    return into * math.prod(kernel), out * math.prod(kernel)


def xavier_uniform(shape: tuple[int, ...], rng: Rng, gain: float = 1.0) -> Array:
    """Uniform within ±gain √(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010): for tanh and sigmoid."""
    bound = gain * math.sqrt(6 / sum(fans(shape)))
    return rng.uniform(-bound, bound, shape).astype(np.float32)


def kaiming_uniform(shape: tuple[int, ...], rng: Rng) -> Array:
    """Uniform within ±√(6 / fan_in), a variance of 2 / fan_in (He et al., 2015): relu lets half of it through."""
    bound = math.sqrt(6 / fans(shape)[0])
    return rng.uniform(-bound, bound, shape).astype(np.float32)


def normal(shape: tuple[int, ...], rng: Rng, mean: float = 0.0, std: float = 1.0) -> Array:
    return rng.normal(mean, std, shape).astype(np.float32)


def zeros(shape: tuple[int, ...]) -> Array:
    return np.zeros(shape, np.float32)
