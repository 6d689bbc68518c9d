"""Which of a net's inputs and outputs is what: the picture, the matte, what it remembers, and fixed numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.geometry import Size
from ...core.words import counted
from ...errors import OptionError
from ..file_formats.facts import Shape, channels_first
from ..model_spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Port:
    """An input or an output.

    names   what it may be called; a .tflite file gives it two
    shape   None for a side that is left open; () where it is not known
    handle  what the runtime finds it by
    """

    names: tuple[str, ...]
    shape: Shape
    handle: Any

    @property
    def channels_first(self) -> bool | None:
        """As ``channels_first`` of its shape."""
        return channels_first(self.shape)

    def __str__(self) -> str:
        sides = ", ".join("any" if side is None else str(side) for side in self.shape)
        return f"{self.names[0]!r} [{sides}]"


@dataclass(frozen=True, slots=True)
class Wiring:
    """A net's inputs and outputs in their roles. Of ``states`` each is (input, output): what comes out goes in with
    the next picture."""

    picture: Port
    matte: Port
    states: tuple[tuple[Port, Port], ...]
    constants: tuple[tuple[Port, float], ...]
    channels_first: bool
    matte_first: bool  # of the matte: nets that were converted may take channels first and give them last

    @classmethod
    def of(cls, path: Path, spec: ModelSpec, inputs: Sequence[Port], outputs: Sequence[Port]) -> Wiring:
        """As ``spec`` says and the ports tell. Raises OptionError with what the file has, and what to write."""
        if not outputs:
            raise OptionError(f"model {str(path)!r} gives no output: give another file")
        states = tuple((_named(path, "a state's input", name, inputs), _named(path, "a state's output", other, outputs))
                       for name, other in spec.states)
        constants = tuple((_named(path, "input with a constant", name, inputs), number)
                          for name, number in spec.constants)
        known = [*(given for given, _ in states), *(port for port, _ in constants)]
        rest = [port for port in inputs if port not in known]
        if spec.input is not None:
            picture = _named(path, "input", spec.input, inputs)
        else:
            pictures = [port for port in rest if port.channels_first is not None]
            if len(pictures) != 1:
                raise OptionError(_unclear(path, inputs))
            picture = pictures[0]
        if rest != [picture] or picture.channels_first is None:
            raise OptionError(_unclear(path, inputs))
        matte = outputs[0] if spec.output is None else _named(path, "output", spec.output, outputs)
        first = spec.layout == "nchw" if spec.layout else picture.channels_first
        return cls(picture, matte, states, constants, first, _matte_first(picture, matte, first))

    def size(self, path: Path, spec: ModelSpec) -> Size | None:
        """(height, width) that the picture must have; None: any. Raises OptionError where the spec says another than
        the file."""
        sides = self.picture.shape[2:] if self.channels_first else self.picture.shape[1:3]
        stated = None if None in sides else (int(sides[0] or 0), int(sides[1] or 0))
        if spec.size and stated and spec.size != stated:
            raise OptionError(f"the model spec says size {list(spec.size)}, but {path.name} takes "
                              f"{list(stated)}")
        return stated or spec.size

    def given(self, pictures: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Pictures (n, h, w, 3) in the net's layout."""
        return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)) if self.channels_first else pictures

    def taken(self, mattes: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """A net's mattes as float32 (n, h, w, c)."""
        if mattes.ndim == 3:
            mattes = mattes[..., None]
        elif self.matte_first:
            mattes = mattes.transpose(0, 2, 3, 1)
        return mattes.astype(np.float32, copy=False)


def zeros(port: Port, kind: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """What a state is before the first picture. A side that the file leaves open is 1, as RobustVideoMatting's nets
    want it."""
    return np.zeros([side or 1 for side in port.shape], kind)


def _matte_first(picture: Port, matte: Port, first: bool) -> bool:
    """Whether a matte has its channels first: by where it has the picture's sides, else as the picture."""
    sides = picture.shape[2:] if first else picture.shape[1:3]
    if len(matte.shape) == 4 and None not in sides and (matte.shape[1:3] == sides) != (matte.shape[2:] == sides):
        return matte.shape[2:] == sides
    return first


def _named(path: Path, what: str, name: str, ports: Sequence[Port]) -> Port:
    for port in ports:
        if name in port.names:
            return port
    raise OptionError(f"the model spec names {name!r} as {what}, but {path.name} has "
                      f"{', '.join(map(str, ports))}")


def _unclear(path: Path, inputs: Sequence[Port]) -> str:
    many = counted(len(inputs), "input")
    return (f"model {str(path)!r} takes {many}: {', '.join(map(str, inputs)) or 'none'}. One must be a picture, "
            "[n, height, width, 3] or [n, 3, height, width], and the model spec must say what each other is: "
            '{"input": NAME, "states": [[INPUT, OUTPUT]], "constants": {INPUT: NUMBER}}')
