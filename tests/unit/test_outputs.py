"""Which pictures an output is made of: `run`, a film in parts and a film of the server's decide alike."""

from __future__ import annotations

from typing import Any

import pytest

from streamseg.batch.split import outputs_of
from streamseg.errors import OptionError
from streamseg.options import Options
from streamseg.outputs import kind_of
from streamseg.serve.jobs.tasks import Target
from streamseg.serve.jobs.worker import _kind


@pytest.mark.parametrize(("target", "options", "kind"), [
    ("a.mp4", {}, "composite"), ("a.webm", {}, "cutout"), ("a.mkv", {}, "composite"),
    ("a.webm", {"background": "blur"}, "composite"), ("a.mkv", {"background": "none"}, "cutout"),
    ("a.webm", {"show_matte": True}, "composite"), ("a.webm", {"show_stages": True}, "composite"),
    ("a.mp4", {"packed": "stacked"}, "cutout"), ("a.mp4", {"packed": "stacked", "background": "none"}, "cutout")])
def test_a_film_is_of_the_same_kind_everywhere(target: str, options: dict[str, Any], kind: str) -> None:
    assert kind_of(target, Options(**options)) == kind
    assert outputs_of({"sinks": [target], "options": options}) == [(target, kind)]
    assert _kind(Target(target), Options(**options)) == kind


def test_a_named_kind_stays_and_more_outputs_follow() -> None:
    assert _kind(Target("a.webm", "matte"), Options()) == "matte"
    assert outputs_of({"sinks": ["a.mp4"], "options": {"matte": "m.mkv"}}) == [("a.mp4", "composite"),
                                                                              ("m.mkv", "matte")]


def test_a_packed_output_with_a_background_is_refused() -> None:
    with pytest.raises(OptionError, match="give one of the two"):
        kind_of("a.mp4", Options(packed="stacked", background="blur"))
