"""Names of the classes of many-class models, in the order of their channels."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import OptionError

# PASCAL VOC 2012 (Everingham et al.), as DeepLab's published models have it.
VOC21 = ("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
         "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
         "tvmonitor")
# CamVid (Brostow et al. 2008) as SegNet and FC-DenseNet were trained on it; "unlabelled" has no channel.
CAMVID11 = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian",
            "bicyclist")
LISTS: dict[str, tuple[str, ...]] = {"voc21": VOC21, "camvid11": CAMVID11}
# One subject, two data sets' words.
_SAME = {"person": "pedestrian", "pedestrian": "person"}


def class_list(value: object) -> tuple[str, ...]:
    """The names behind a model spec's ``classes``: a list's name, or the names. Raises OptionError."""
    if isinstance(value, str) and value in LISTS:
        return LISTS[value]
    if isinstance(value, (list, tuple)) and value and all(isinstance(name, str) and name for name in value):
        names = tuple(name.lower() for name in value)
        if len(set(names)) == len(names):
            return names
    raise OptionError(f"classes is {value!r}; it must be {' or '.join(LISTS)}, or a list of different names, "
                      "one a channel")


def channels(wanted: str, known: Sequence[str]) -> tuple[int, ...]:
    """Channels of the classes that ``wanted`` names, as 'person,bicyclist'; 'person' also finds
    'pedestrian', and the reverse. Raises OptionError that lists those known."""
    found = []
    for word in wanted.split(","):
        name = word.strip().lower()
        if name not in known:
            name = _SAME.get(name, name)
        if name not in known:
            raise OptionError(f"classes names {word.strip()!r}; the model knows: {', '.join(known)}")
        found.append(known.index(name))
    return tuple(dict.fromkeys(found))
