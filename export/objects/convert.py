"""Another detector's ONNX file as a model of Porter: the graph as it is, with metadata and card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx

from daemon.cards import METADATA_KEY
from daemon.errors import ModelError
from daemon.vision.objects.card import ObjectInput, ObjectOutput
from export.convert import publishing, save, save_card, sha256

_NAMES = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light,
fire hydrant, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant,
bear, zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard,
sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket,
bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange,
broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed,
dining table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven,
toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier,
toothbrush
"""
COCO = tuple(each.strip() for each in _NAMES.split(","))
"""The 80 classes of COCO, in the order in which public detectors give them."""

THRESHOLD = 0.3
OVERLAP = 0.45


def describe(
    name: str, version: str, into: ObjectInput, output: ObjectOutput, classes: Sequence[str]
) -> dict[str, Any]:
    """What a detector's file says about itself."""
    return {
        "kind": "object-detector",
        "name": name,
        "version": version,
        "input": into.model_dump(),
        "output": output.model_dump(),
        "classes": list(classes),
    }


def write_card(
    path: Path,
    described: Mapping[str, Any],
    *,
    summary: str,
    licence: str,
    threshold: float = THRESHOLD,
    overlap: float = OVERLAP,
    **free: Any,
) -> Path:
    """Write the card of a detector beside its file; `free` holds data, recipe, seed and figures."""
    card = {
        "kind": described["kind"],
        "name": described["name"],
        "version": described["version"],
        "file": path.name,
        "sha256": sha256(path),
        "licence": licence,
        "summary": summary,
        "input": described["input"],
        "output": described["output"],
        "classes": described["classes"],
        "threshold": threshold,
        "overlap": overlap,
    }
    return save_card(path, card | free)


def convert_yolox(source: Path, folder: Path, name: str) -> Path:
    """A YOLOX graph of the official export (before its cells are decoded), as a model of Porter.

    Args:
        source: the ONNX file: one input (1, 3, height, width), one output (1, cells, 85).
        folder: where NAME.onnx and NAME.yaml go.
        name: of the model.

    Returns:
        The card.

    Raises:
        ModelError: the file is no ONNX graph, or not of this form.
    """
    try:
        model = onnx.load(str(source))
        sides = [each.dim_value for each in model.graph.input[0].type.tensor_type.shape.dim]
        given = [each.dim_value for each in model.graph.output[0].type.tensor_type.shape.dim]
    except Exception as error:  # protobuf and onnx raise what they like for a damaged file
        raise ModelError(f"{source}: not an ONNX graph: {error}") from None
    strides = [8, 16, 32]
    if len(sides) != 4 or sides[:2] != [1, 3] or min(sides[2:]) < 32:
        raise ModelError(f"{source}: must take (1, 3, height, width), but takes {sides}")
    height, width = sides[2:]
    cells = sum((height // stride) * (width // stride) for stride in strides)
    if given != [1, cells, 5 + len(COCO)]:
        raise ModelError(
            f"{source}: must give (1, {cells}, {5 + len(COCO)}), as YOLOX does without "
            f"--decode_in_inference, but gives {given}"
        )
    into = ObjectInput(width=width, height=height, channels="bgr", mean=[0.0, 0.0, 0.0], scale=1.0)
    output = ObjectOutput(boxes="cells", strides=strides, objectness=True)
    described = describe(name, "1", into, output, COCO)
    if METADATA_KEY in {each.key for each in model.metadata_props}:
        raise ModelError(f"{source}: is a model of Porter already")
    with publishing(folder) as made:
        path = made / f"{name}.onnx"
        save(model, path, described)
        card = write_card(
            path,
            described,
            summary="YOLOX (arXiv:2107.08430), trained on COCO by its authors; graph unchanged.",
            licence="Apache-2.0 (Megvii YOLOX)",
        )
    return folder / card.name
