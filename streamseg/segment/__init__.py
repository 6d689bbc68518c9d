"""The methods: how the subject is found. ``api`` is the contract, ``registry`` names and makes them."""

from .api import Adapted, BaseSegmenter, Borrowed, Capabilities, ParameterSegmenter, Segmenter, adapt, param
from .registry import (
    DEFAULT,
    METHODS,
    NETWORK,
    READING,
    REQUIRED,
    create_segmenter,
    is_network,
    method_class,
    method_name,
    parameters,
)

# Modules that other packages import, beside the names here
PUBLIC = ("built_in", "catalogue", "given", "keyframes", "model", "model_file", "person", "places")

__all__ = ["DEFAULT", "METHODS", "NETWORK", "PUBLIC", "READING", "REQUIRED", "Adapted", "BaseSegmenter", "Borrowed",
           "Capabilities", "ParameterSegmenter", "Segmenter", "adapt", "create_segmenter", "is_network", "method_class",
           "method_name", "param", "parameters"]
