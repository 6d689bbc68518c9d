"""The usual loop: python mediapipe_film.py CLIP TARGET MODEL R,G,B

OpenCV reads BGR, MediaPipe Tasks' ImageSegmenter in VIDEO mode gives a mask of the picture's size, float32 arithmetic
blends. Written by PyAV to libx264 with streamseg's settings. MODEL is selfie_256x256.tflite as it is published; Tasks
refuses it without metadata, and the package's own writers do not load in 1.2, so they are put in here by the schema
that the package has.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import av
import cv2
import flatbuffers
import mediapipe
import numpy as np
from mediapipe.tasks.metadata import image_segmenter_metadata_schema_py_generated as segmenter_fb
from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata_fb
from mediapipe.tasks.metadata import schema_py_generated as model_fb
from mediapipe.tasks.python import BaseOptions, vision


def main(clip: str, target: str, model: str, colour: str) -> None:
    """A film before one colour."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(with_metadata(Path(model).read_bytes()))
        options = vision.ImageSegmenterOptions(
            base_options=BaseOptions(model_asset_path=str(path)), running_mode=vision.RunningMode.VIDEO,
            output_confidence_masks=True, output_category_mask=False)
        with vision.ImageSegmenter.create_from_options(options) as segmenter:
            film(segmenter, clip, target, [int(value) for value in colour.split(",")])


def film(segmenter: Any, clip: str, target: str, colour: list[int]) -> None:
    """Read, segment, blend, write, one after the other in one thread."""
    capture = cv2.VideoCapture(clip)
    width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    rate = round(capture.get(cv2.CAP_PROP_FPS))
    background = np.full((height, width, 3), colour[::-1], np.float32)
    with av.open(target, "w") as sink:
        out = sink.add_stream("libx264", rate=rate, options={"preset": "veryfast"})
        out.width, out.height, out.pix_fmt = width, height, "yuv420p"
        out.codec_context.thread_type = "AUTO"
        count = 0
        while True:
            there, bgr = capture.read()
            if not there:
                break
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
            found = segmenter.segment_for_video(image, round(1000 * count / rate))
            alpha = found.confidence_masks[-1].numpy_view().reshape(height, width, 1)
            made = (bgr.astype(np.float32) * alpha + background * (1 - alpha)).astype(np.uint8)
            sink.mux(out.encode(av.VideoFrame.from_ndarray(made, "bgr24")))
            count += 1
        sink.mux(out.encode(None))
    capture.release()


def with_metadata(plain: bytes) -> bytes:
    """A .tflite file of a net that takes RGB in 0..1 and gives one probability, with what Tasks wants to be told."""
    options = segmenter_fb.ImageSegmenterOptionsT()
    options.activation, options.minParserVersion = 0, "1.0.0"
    custom = metadata_fb.CustomMetadataT()
    custom.name, custom.data = "SEGMENTER_METADATA", _packed(options, b"V001")
    unit, norm = metadata_fb.ProcessUnitT(), metadata_fb.NormalizationOptionsT()
    norm.mean, norm.std = [0.0], [255.0]
    unit.optionsType, unit.options = metadata_fb.ProcessUnitOptions.NormalizationOptions, norm
    content, image = metadata_fb.ContentT(), metadata_fb.ImagePropertiesT()
    image.colorSpace = metadata_fb.ColorSpaceType.RGB
    content.contentPropertiesType, content.contentProperties = metadata_fb.ContentProperties.ImageProperties, image
    given, taken = metadata_fb.TensorMetadataT(), metadata_fb.TensorMetadataT()
    given.name, given.content, given.processUnits, taken.name = "image", content, [unit], "mask"
    graph, whole = metadata_fb.SubGraphMetadataT(), metadata_fb.ModelMetadataT()
    graph.inputTensorMetadata, graph.outputTensorMetadata, graph.customMetadata = [given], [taken], [custom]
    whole.name, whole.subgraphMetadata, whole.minParserVersion = "selfie", [graph], "1.0.0"
    model = model_fb.ModelT.InitFromObj(model_fb.Model.GetRootAs(plain, 0))
    entry, buffer = model_fb.MetadataT(), model_fb.BufferT()
    buffer.data = _packed(whole, b"M001")
    model.buffers.append(buffer)
    entry.name, entry.buffer = b"TFLITE_METADATA", len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    return bytes(_packed(model, b"TFL3"))


def _packed(table: Any, identifier: bytes) -> Any:
    builder = flatbuffers.Builder(0)
    builder.Finish(table.Pack(builder), identifier)
    return np.frombuffer(bytes(builder.Output()), np.uint8)


if __name__ == "__main__":
    main(*sys.argv[1:])
