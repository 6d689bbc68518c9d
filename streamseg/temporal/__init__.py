"""Where shots begin and how the picture moves: found once a frame, and carried with it.

    motion      what happened between a frame and the one before it, for all stages that ask
    cuts        where another shot begins
    likeness    how much of a picture has changed
    flow        where each pixel was, and how far that is to be believed
    propagate   a matte moved along with the picture
"""

from __future__ import annotations

from .arrays import Array
from .cuts import Cuts
from .flow import FlowField, OpticalFlow, sameness
from .likeness import COMPARED, Repeats, worst_psnr
from .motion import Motion, MotionTracker, tracked, working_size
from .propagate import Propagator

# Modules that other packages import, beside the names here
PUBLIC: tuple[str, ...] = ()

__all__ = ["COMPARED", "Array", "Cuts", "FlowField", "Motion", "MotionTracker", "OpticalFlow", "Propagator", "Repeats",
           "sameness", "tracked", "working_size", "worst_psnr"]
