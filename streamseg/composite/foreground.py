"""The subject's own colours where subject and background are mixed.

Forte 2021, 'Approximate fast foreground colour estimation' (ICIP): with smooth estimates F and B of the
foreground and background colours, the subject's colour is F + alpha (I - alpha F - (1 - alpha) B) in picture I.
The estimates are those of refine/color_model.py: means of the sure pixels around, from all scales.
"""

from __future__ import annotations

import numpy as np

from ..refine import AlphaTiles, Array, ColorModel


def solved(colours: ColorModel, number: int, cover: AlphaTiles, share: Array) -> Array:
    """The subject's colours in plane ``number`` of the rim's tiles: float32 sample values, (rows, n *
    columns), not rounded, a little beyond 0..peak at times; the picture's own where ``share`` is 1.

    colours   of the frame whose colours are wanted
    share     alpha there before any feather, float32 0..1
    """
    picture, peak = colours.picture(number, cover.rim), np.float32(cover.peak)
    near, far = colours.ahead[number] * peak, colours.behind[number] * peak
    ahead, made = colours.strips([near, near - far], number, cover.rim)
    # ahead + share (picture - ahead + (1 - share) (ahead - behind)), in place
    made *= 1 - share
    made += picture
    made -= ahead
    made *= share
    made += ahead
    if not cover.is_mixture:  # then too much may be taken for the old background's
        made = np.clip(made, np.minimum(ahead, picture), np.maximum(ahead, picture))
    return made
