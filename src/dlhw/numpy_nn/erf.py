"""The error function, which NumPy lacks."""

import numpy as np

from dlhw.numpy_nn.layer import Array

# fmt: off
# Rational approximations of erf(x) / x in x² near zero, and of exp(x²) erfc(x) in x beyond: W. J. Cody, Mathematics of
# Computation 23 (1969). Highest power first.
NEAR = (
    [0.185777706184603153, 3.16112374387056560, 113.864154151050156, 377.485237685302021, 3209.37758913846947],
    [1.0, 23.6012909523441209, 244.024637934444173, 1282.61652607737228, 2844.23683343917062],
)
FAR = (
    [2.15311535474403846e-8, 0.564188496988670089, 8.88314979438837594, 66.1191906371416295, 298.635138197400131,
     881.952221241769090, 1712.04761263407058, 2051.07837782607147, 1230.33935479799725],
    [1.0, 15.7449261107098347, 117.693950891312499, 537.181101862009858, 1621.38957456669019,
     3290.79923573345963, 4362.61909014324716, 3439.36767414372164, 1230.33935480374942],
)
# fmt: on


def erf(x: Array) -> Array:
    """To about 1e-15 in float64. Beyond 6 it is 1 to the last digit."""
    small = x.clip(-0.5, 0.5)
    size = np.abs(x).clip(0.46875, 6)
    near = small * ratio(NEAR, small * small)
    far = np.copysign(1 - ratio(FAR, size) * np.exp(-size * size), x)
    return np.where(np.abs(x) <= 0.46875, near, far)


def ratio(polynomials: tuple[list[float], list[float]], x: Array) -> Array:
    above, below = (np.full_like(x, coefficients[0]) for coefficients in polynomials)
    for a, b in zip(*(coefficients[1:] for coefficients in polynomials), strict=True):
        above, below = above * x + a, below * x + b
    return above / below
