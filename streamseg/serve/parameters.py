"""The parameters of requests, made from the fields of Options, and what of a run no request may say.

A request names no file of the server's, no class to import, and nothing that is the server's own: those are
refused by name. ``PictureOptions`` and ``FilmOptions`` are the pydantic models that the OpenAPI document shows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from ..background import colours
from ..errors import OptionError
from ..options import Options
from ..pictures import OPTIONS
from ..segment import METHODS
from ..segment.built_in import BUILT_IN
from ..strokes import strokes_of
from ..validation import choice, default_of
from .refusals import Refusal, values_told

PICTURE = ("method", "set", "model", "classes", *OPTIONS, "background", "show_matte", "quality")
_OWN = "it is the server's own, given when it is started"
_OUTPUT = "name the output instead: kind"
_NO_FOLDER = "the input is one file"
# Why a request may not give these.
WITHHELD = {
    **dict.fromkeys(("model_spec", "matte_in"), "it is a file, and no request names one of the server's"),
    "threads": _OWN, "device": _OWN, "runtime": _OWN, "timeout": _OWN, "retry": _OWN, "stall_timeout": _OWN,
    "hwaccel": _OWN, "overwrite": _OWN, "keep_partial": _OWN, "batch": _OWN, "only": _NO_FOLDER, "rate": _NO_FOLDER,
    "max_pixels": _OWN, "matte": _OUTPUT, "cutout": _OUTPUT, "foreground": _OUTPUT}
# What a picture has a use for and a request may give of films only.
_OF_FILMS = {"strokes": "strokes go with films here: give region, which adds a place or takes it away",
             "show_stages": "show_stages goes with films here: give show_matte"}
FILM = tuple(item.name for item in fields(Options) if item.name not in WITHHELD)
# Parameters of methods that are files or the server's own.
_WITHHELD_SETTINGS = ("model", "model_spec", "clip", "plate", "threads", "stream")
# Options of encoders that name no file.
ENCODER_SETTINGS = ("preset", "tune", "profile", "level", "crf", "qp", "g", "keyint_min", "bf", "refs", "deadline",
                    "cpu-used", "row-mt", "tile-columns", "lag-in-frames", "auto-alt-ref", "lossless",
                    "compression_level", "vendor", "bits_per_mb", "coder", "context", "slices", "slicecrc",
                    "movflags", "rc", "cq", "dither", "loop", "pred")
WORDS = ("blur", "none", "original")


def _assignments(value: Any) -> Any:
    """A mapping of NAME=VALUE, of several of them, or of an object."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        return value
    made = {}
    for item in value:
        name, equals, rest = str(item).partition("=")
        if not (name.strip() and equals):
            raise ValueError(f"{item!r} is not NAME=VALUE, as block=15")
        made[name.strip()] = rest
    return made


def _text(value: Any) -> Any:
    """JSON as a text, also where it came as a part of JSON."""
    return json.dumps(value) if isinstance(value, list) else value


_JSON = Annotated[str, BeforeValidator(_text)]
_SETTINGS = Annotated[dict[str, str | int | float | bool], BeforeValidator(_assignments)]
_TYPES: dict[str, Any] = {"bool": bool, "int": int, "float": float, "str": str, "Fraction": str,
                          "Mapping": _SETTINGS}


def _field(item: Any) -> tuple[Any, Any]:
    """The pydantic type and Field of a field of Options; None leaves the default to Options."""
    rules, default = item.metadata, default_of(item)
    kind: Any = _TYPES[str(item.type).partition(" | ")[0].partition("[")[0]]
    if rules["choices"]:
        kind = Literal[rules["choices"]]
    if item.name == "method":
        kind = Literal[("default", *METHODS)]
    if item.name == "model":
        kind = Literal[BUILT_IN]
    if item.name == "strokes":
        kind = _JSON
    limits = {"ge": rules["low"], "le": rules["high"]} if kind in (int, float) else {}
    shown = "" if default is None or default == {} else f" Default: {default}."
    return kind | None, Field(None, description=rules["help"] + shown, **limits)


class Parameters(BaseModel):
    """The base of all parameters: an unknown name is refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, coerce_numbers_to_str=True)

    def options(self, **more: Any) -> Options:
        """The Options that are given, and ``more``. Raises OptionError, Refusal."""
        known = {item.name for item in fields(Options)}
        given = {name: value for name, value in self.model_dump(exclude_none=True).items() if name in known}
        check_safe(given)
        return Options.of({**given, **more})


def _model(name: str, names: Iterable[str]) -> type[Parameters]:
    wanted = {item.name: _field(item) for item in fields(Options) if item.name in names}
    return create_model(name, __base__=Parameters, **wanted)  # type: ignore[call-overload]


PictureOptions = _model("PictureOptions", PICTURE)
FilmOptions = _model("FilmOptions", FILM)


def parsed(model: type[Any], values: Mapping[str, Any]) -> Any:
    """``values`` as a ``model``. Raises Refusal (invalid_option) that names each value that is not allowed."""
    for name in values:
        if name in WITHHELD and name not in model.model_fields:
            raise Refusal("invalid_option", f"{name} cannot be given by a request: {WITHHELD[name]}")
        if name in FILM and name not in model.model_fields:
            said = _OF_FILMS.get(name, f"{name} says nothing of a single picture: leave it out")
            raise Refusal("invalid_option", said)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=True)
        raise Refusal("invalid_option", values_told(found, model.model_fields)) from error


def check_safe(given: Mapping[str, Any]) -> None:
    """Raise Refusal or OptionError for what would let a request name files or code of the server's."""
    if "method" in given:
        choice("method", given["method"], ["default", *METHODS])
    if "model" in given:
        choice("model", given["model"], BUILT_IN)
    for name in given.get("set", {}):
        if name in _WITHHELD_SETTINGS:
            raise Refusal("invalid_option", f"set {name} cannot be given by a request: it names a file, or is the "
                          "server's own")
    if given.get("method") == "plate":
        raise Refusal("unsupported", "method plate wants a picture of the empty background from a file, which no "
                      "request can name: use streamseg run")
    for name in given.get("codec_set", {}):
        choice("codec_set", name, ENCODER_SETTINGS)
    check_background(given.get("background"))
    if "strokes" in given:
        check_strokes(given["strokes"])


def check_strokes(text: str) -> None:
    """Raise Refusal or OptionError unless strokes are JSON that states some: a request names no file."""
    if not text.lstrip().startswith("["):
        raise Refusal("invalid_option", f"strokes is {text[:60]!r}; it must be the JSON itself, a list of strokes")
    strokes_of(text)


def check_background(wanted: str | None) -> None:
    """Raise OptionError unless a background is a word or a colour: files come as uploads."""
    if wanted is None or wanted.strip().lower() in WORDS or colours.parse(wanted) is not None:
        return
    raise OptionError(f"background is {wanted[:100]!r}; allowed are {', '.join(WORDS)}, a colour name, #rgb and "
                      "#rrggbb; a picture comes as the file background_file")


def request_body(model: type[BaseModel], files: Mapping[str, str], *, example: Mapping[str, Any] | None = None,
                 required: bool = True) -> dict[str, Any]:
    """The ``requestBody`` of an OpenAPI operation that takes ``model`` as form or JSON, and ``files`` (name ->
    description) beside it in a multipart form."""
    schema = model.model_json_schema()
    uploads = {name: {"type": "string", "format": "binary", "description": text} for name, text in files.items()}
    multipart = {**schema, "properties": {**uploads, **schema["properties"]}}
    content: dict[str, Any] = {"multipart/form-data": {"schema": multipart},
                               "application/json": {"schema": schema},
                               "application/x-www-form-urlencoded": {"schema": schema}}
    if example:
        content["application/json"]["example"] = dict(example)
    return {"requestBody": {"required": required, "content": content}}
