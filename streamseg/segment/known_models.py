"""Nets that people have, known by the names and shapes of their inputs and outputs.

A file's name tells nothing. What is said here of each net is what its authors' own code does before and after it;
``source`` names that code, README.md here lists it. Where only a file of the net could confirm a name or a shape,
and none was at hand, ``seen`` is False.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .file_formats.facts import SIGMOID, ModelFacts, Shape, TensorFacts
from .model_spec import PERSON, ModelSpec

_IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
ANY = None


@dataclass(frozen=True, slots=True)
class Pattern:
    """What an input or an output must be like: a name as a regular expression, and a shape, ANY for any side."""

    name: str
    shape: Shape

    def fits(self, tensor: TensorFacts) -> bool:
        """Whether a tensor is like that; a side that its file leaves open fits any."""
        return (any(re.fullmatch(self.name, name) for name in tensor.names)
                and len(tensor.shape) == len(self.shape)
                and all(wanted is None or side is None or wanted == side
                        for wanted, side in zip(self.shape, tensor.shape, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """A net, or several that take and give the same.

    names, licence, source  for people
    inputs, outputs  what the file must have, in this order; ``more`` allows further outputs behind them
    spec         what the net takes and gives
    needs, lacks operations that must, or must not, be in the file
    ends_in      what the first output must be made by: "sigmoid", or None: anything
    labels       instead of the inputs' and outputs' names: names of classes that the file must carry
    seen         whether the names and shapes were read from a file of the net
    """

    names: tuple[str, ...]
    licence: str
    source: str
    inputs: tuple[Pattern, ...]
    outputs: tuple[Pattern, ...]
    spec: ModelSpec
    more: bool = False
    needs: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()
    ends_in: str | None = None
    labels: tuple[str, ...] = ()
    seen: bool = False

    def fits(self, facts: ModelFacts) -> bool:
        """Whether a file holds this net."""
        named = not self.labels or set(self.labels) <= set(facts.labels)
        return (named and _fit(self.inputs, facts.inputs) and self.needs <= facts.operations
                and not self.lacks & facts.operations
                and _fit(self.outputs, facts.outputs[: len(self.outputs)] if self.more else facts.outputs)
                and (self.ends_in is None or facts.outputs[0].made_by == self.ends_in))


def find(facts: ModelFacts) -> tuple[KnownModel, ModelSpec] | None:
    """The net that a file holds, and what it takes and gives; None where it is not known.

    Where the file itself ends in a sigmoid or a softmax, that is not done twice.
    """
    for known in KNOWN:
        if known.fits(facts):
            return known, _as_the_file_ends(known.spec, facts.outputs)
    return None


def _as_the_file_ends(spec: ModelSpec, outputs: Sequence[TensorFacts]) -> ModelSpec:
    matte = next((item for item in outputs if spec.output in (None, *item.names)), None)
    return replace(spec, activation="none") if matte is not None and matte.made_by else spec


def _fit(ports: Sequence[Pattern], tensors: Sequence[TensorFacts]) -> bool:
    return len(ports) == len(tensors) and all(map(Pattern.fits, ports, tensors))


def _spec(**values: object) -> ModelSpec:
    return ModelSpec.of(values)


_RGB_320, _RGB_1024 = (ANY, 3, 320, 320), (ANY, 3, 1024, 1024)

# Ours scales its input inside and gives alpha. A tail of 0.12 against 0.04 halves the soft pixels (5.5 % of
# the val pictures instead of 10.5) and brings every val set's mean absolute error down, soft truths' too.
OWN = ModelSpec(range=(0.0, 255.0), tail=0.12, kind=PERSON)

KNOWN: tuple[KnownModel, ...] = (
    KnownModel(  # written before files described themselves; which of them are person nets: see model_file.py
        names=("exports of training.export without metadata",), licence="the user's", source="training/export.py",
        inputs=(Pattern("picture", (ANY, ANY, ANY, 3)),), outputs=(Pattern("alpha", (ANY, ANY, ANY, 1)),),
        ends_in=SIGMOID, seen=True, spec=_spec(range=[0, 255])),
    KnownModel(
        # u2net_test.py of the authors: mean and std of ImageNet; d0 to d6, each a sigmoid, d0 the matte. They and
        # rembg divide each picture by its largest value first, and stretch each matte from its least to its
        # largest value last; both flicker on a video, and are left out.
        names=("u2net", "u2netp", "u2net_human_seg", "silueta"), licence="Apache-2.0",
        source="github.com/xuebinqin/U-2-Net; ONNX by github.com/danielgatis/rembg",
        inputs=(Pattern(".*", _RGB_320),), outputs=(Pattern(".*", (ANY, 1, 320, 320)),) * 7,
        spec=_spec(size=[320, 320], name="U2Net", licence="Apache-2.0", **_IMAGENET)),
    KnownModel(
        # SkyTNT's inference.py: letterboxed, value / 255, no mean. rembg takes ImageNet's mean for it.
        names=("isnet-anime",), licence="Apache-2.0", source="github.com/SkyTNT/anime-segmentation (export.py)",
        inputs=(Pattern("img", _RGB_1024),), outputs=(Pattern("mask", (ANY, 1, 1024, 1024)),),
        spec=_spec(size=[1024, 1024], fit="letterbox", name="IS-Net anime", licence="Apache-2.0")),
    KnownModel(
        # IS-Net/Inference.py of the authors: mean 0.5, std 1. rembg takes ImageNet's mean with std 1.
        # Six mattes, each a sigmoid, before features: the first is the net's.
        names=("isnet-general-use",), licence="Apache-2.0",
        source="github.com/xuebinqin/DIS; ONNX by github.com/danielgatis/rembg",
        inputs=(Pattern(".*", _RGB_1024),), outputs=(Pattern(".*", (ANY, 1, 1024, 1024)),) * 6, more=True,
        ends_in=SIGMOID,
        spec=_spec(size=[1024, 1024], mean=[0.5, 0.5, 0.5], name="IS-Net", licence="Apache-2.0")),
    KnownModel(
        # The same with the first matte alone. MatMul would be a transformer's: BiRefNet has these names, too.
        names=("isnet-general-use",), licence="Apache-2.0", source="github.com/xuebinqin/DIS",
        inputs=(Pattern("input|input_image", _RGB_1024),),
        outputs=(Pattern("output|output_image", (ANY, 1, 1024, 1024)),),
        ends_in=SIGMOID, lacks=frozenset({"MatMul", "InstanceNormalization"}),
        spec=_spec(size=[1024, 1024], mean=[0.5, 0.5, 0.5], name="IS-Net", licence="Apache-2.0")),
    KnownModel(
        # Its tutorial and rembg's birefnet_general.py: mean and std of ImageNet, a sigmoid last.
        names=("birefnet-general", "birefnet-general-lite", "birefnet-portrait"), licence="MIT",
        source="github.com/ZhengPeng7/BiRefNet (its notebook of ONNX); ONNX by github.com/danielgatis/rembg",
        inputs=(Pattern("input_image", (ANY, 3, ANY, ANY)),), outputs=(Pattern("output_image", (ANY, 1, ANY, ANY)),),
        spec=_spec(activation="sigmoid", pixels=1024 * 1024, name="BiRefNet", licence="MIT", **_IMAGENET)),
    KnownModel(
        # onnx/export_onnx.py and inference_onnx.py: (value - 127.5) / 127.5, the shorter side 512, sides of 32.
        # Half of its norms are of instances, which tells it from others with such names.
        names=("modnet",), licence="Apache-2.0", source="github.com/ZHKKKe/MODNet (onnx/)",
        inputs=(Pattern("input", (ANY, 3, ANY, ANY)),), outputs=(Pattern("output", (ANY, 1, ANY, ANY)),),
        needs=frozenset({"InstanceNormalization"}),
        spec=_spec(range=[-1, 1], pixels=512 * 896, name="MODNet", licence="Apache-2.0")),
    KnownModel(
        # pphumanseg.py of OpenCV's zoo: (value / 255 - 0.5) / 0.5, channel 1. Names as Paddle2ONNX makes them.
        names=("pphumanseg", "PP-HumanSeg V1 and V2"), licence="Apache-2.0",
        source="github.com/opencv/opencv_zoo (human_segmentation_pphumanseg); PaddleSeg, contrib/PP-HumanSeg",
        inputs=(Pattern("x", (ANY, 3, ANY, ANY)),),
        outputs=(Pattern(r".*(save_infer_model|\.tmp_\d+|fetch_name).*", (ANY, 2, ANY, ANY)),),
        spec=_spec(range=[-1, 1], channel=1, activation="softmax", pixels=256 * 144, name="PP-HumanSeg",
                   licence="Apache-2.0")),
    *(KnownModel(
        # selfie_segmentation_cpu.pbtxt: value / 255, squeezed.
        names=(name,), licence="Apache-2.0", source="MediaPipe's model card of selfie segmentation", seen=seen,
        inputs=(Pattern("input_1(:0)?", (ANY, *size, 3)),), outputs=(Pattern("activation_10(:0)?", (ANY, *size, 1)),),
        spec=_spec(size=list(size), name="MediaPipe selfie segmentation", licence="Apache-2.0"))
      for name, size, seen in (("selfie_segmenter", (256, 256), True),
                               ("selfie_segmenter_landscape", (144, 256), False))),
    *(KnownModel(
        names=("selfie_multiclass_256x256",), licence="Apache-2.0", labels=labels,
        source="MediaPipe's model card of multiclass segmentation",
        inputs=(Pattern(given, (ANY, 256, 256, 3)),), outputs=(Pattern(taken, (ANY, 256, 256, 6)),),
        # Everything but the background is the person. Whether the file ends in a softmax is read from it.
        spec=_spec(size=[256, 256], channel=[1, 2, 3, 4, 5], activation="softmax", name="MediaPipe selfie multiclass",
                   licence="Apache-2.0", classes=["background", "hair", "body-skin", "face-skin", "clothes",
                                                  "others"]))
      for given, taken, labels in ((r"input_29(:0)?", r"Identity(:0)?", ()),
                                   (".*", ".*", ("background", "hair", "body-skin", "face-skin", "clothes")))),
    KnownModel(
        # Google Meet's nets, whose card of 2020 was under Apache-2.0 and was taken back later.
        names=("segm_full_v679", "segm_lite_v681"), licence="Apache-2.0 (card of 2020)",
        source="github.com/Volcomix/virtual-background", seen=True,
        inputs=(Pattern("input_1(:0)?", (ANY, ANY, ANY, 3)),), outputs=(Pattern("segment(:0)?", (ANY, ANY, ANY, 2)),),
        spec=_spec(activation="softmax", channel=1, name="Google Meet segmentation",
                   licence="Apache-2.0 (card of 2020)")),
    KnownModel(
        # TensorFlow's DeepLab: value / 127.5 - 1, PASCAL VOC's classes, logits.
        names=("deeplabv3_257_mv_gpu", "deeplabv3_mnv2_dm05_pascal"), licence="Apache-2.0", seen=True,
        source="github.com/tensorflow/models (research/deeplab)",
        inputs=(Pattern("sub_7(:0)?", (ANY, 257, 257, 3)),),
        outputs=(Pattern("ResizeBilinear_3(:0)?", (ANY, 257, 257, 21)),),
        spec=_spec(size=[257, 257], range=[-1, 1], activation="softmax", channel=15, classes="voc21",
                   name="DeepLab v3", licence="Apache-2.0")),
    KnownModel(
        # documentation/inference.md: value / 255; states begin as zeros; the net's inside between 256 and 512 on the
        # longer side, which is what it is shown here, so that downsample_ratio is 1.
        names=("rvm_mobilenetv3", "rvm_resnet50"), licence="GPL-3.0",
        source="github.com/PeterL1n/RobustVideoMatting (documentation/inference.md)",
        inputs=(Pattern("src", (ANY, 3, ANY, ANY)), *(Pattern(f"r{i}i", (ANY, ANY, ANY, ANY)) for i in range(1, 5)),
                Pattern("downsample_ratio", (1,))),
        outputs=(Pattern("fgr", (ANY, 3, ANY, ANY)), Pattern("pha", (ANY, 1, ANY, ANY)),
                 *(Pattern(f"r{i}o", (ANY, ANY, ANY, ANY)) for i in range(1, 5))),
        spec=_spec(input="src", output="pha", states=[[f"r{i}i", f"r{i}o"] for i in range(1, 5)],
                   constants={"downsample_ratio": 1}, pixels=512 * 288, name="RobustVideoMatting",
                   licence="GPL-3.0")),
)
