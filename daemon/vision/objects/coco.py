"""Objects in COCO's form: images, categories, and an annotation with a score for each object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from daemon.vision.objects.detector import Detection


class CocoResult:
    """Gathers what was found in one picture after the other."""

    def __init__(self, classes: Sequence[str]) -> None:
        """Categories are numbered from 1, in the order of `classes`."""
        self._numbers = {name: place + 1 for place, name in enumerate(classes)}
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(
        self, file_name: str, width: int, height: int, found: Sequence[Detection], **more: Any
    ) -> None:
        """Add a picture and its objects; `more` are fields of the picture, such as its frame."""
        number = len(self._images) + 1
        self._images.append(
            {"id": number, "file_name": file_name, "width": width, "height": height, **more}
        )
        for each in found:
            box = [round(value, 1) for value in each.box]
            self._annotations.append(
                {
                    "id": len(self._annotations) + 1,
                    "image_id": number,
                    "category_id": self._numbers[each.name],
                    "bbox": box,
                    "area": round(box[2] * box[3], 1),
                    "iscrowd": 0,
                    "score": round(each.score, 4),
                }
            )

    def facts(self) -> dict[str, Any]:
        """The whole, as a JSON object."""
        categories = [{"id": number, "name": name} for name, number in self._numbers.items()]
        return {
            "images": self._images,
            "categories": categories,
            "annotations": self._annotations,
        }
