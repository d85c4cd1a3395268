"""Samples painted on a processor: one field after the other, as OpenCV is fastest."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from export.objects.material import GREY, Pictures


@dataclass
class Layout:
    """Where pictures lie in n samples, each of one field or of four."""

    chosen: Tensor
    """(n, fields) numbers of the pictures."""
    corner: Tensor
    """(n * fields, 2), x and y of a picture's upper left corner in pixels of the sample."""
    scale: Tensor
    """(n * fields,) pixels of the sample for one of the picture."""
    mirrored: Tensor
    """(n * fields,)."""
    middle: Tensor
    """(n, 2), x and y of the point where fields meet."""

    @property
    def across(self) -> int:
        """Fields in a row, 1 or 2."""
        return 1 if self.chosen.shape[1] == 1 else 2


def paint(pictures: Pictures, layout: Layout, light: Tensor, side: int) -> Tensor:
    """Samples in their light.

    Args:
        pictures: on the processor.
        layout: where they lie.
        light: (n, 3, 4), by which BGR of 0 to 255, and 1, are multiplied.
        side: of the samples, in pixels.

    Returns:
        (n, 3, side, side) BGR in 0 to 1, grey before the light changed where no picture is.
    """
    n, fields = layout.chosen.shape
    chosen = layout.chosen.numpy()
    corner, mirrored = layout.corner.view(n, fields, 2).numpy(), layout.mirrored.view(n, -1).numpy()
    scale, middle = layout.scale.view(n, fields).numpy(), layout.middle.numpy()
    matrices = light.double().numpy()
    target = np.empty((n, side, side, 3), np.uint8)

    def one(sample: int) -> None:
        # A pixel belongs to the field in which its middle lies.
        edges = np.clip(np.ceil(middle[sample] - 0.5).astype(int), 0, side)
        spans = [((0, each), (each, side)) for each in edges]
        for field in range(fields):
            (left, right), (top, bottom) = spans[0][field % 2], spans[1][field // 2]
            if right <= left or bottom <= top:
                continue
            number, factor = int(chosen[sample, field]), float(scale[sample, field])
            x, y = (float(each) for each in corner[sample, field])
            width, height = (int(each) for each in pictures.sizes[number])
            turned = mirrored[sample, field]
            across = -factor if turned else factor
            start = x + factor * width if turned else x
            # From the middles of pixels to the middles of pixels.
            moved = np.array(
                [
                    [across, 0.0, start + across / 2 - 0.5 - left],
                    [0.0, factor, y + factor / 2 - 0.5 - top],
                ]
            )
            source = pictures.images[number].permute(1, 2, 0).numpy()[:height, :width]
            target[sample, top:bottom, left:right] = cv2.warpAffine(
                source, moved, (right - left, bottom - top),
                flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(GREY,) * 3,
            )  # fmt: skip
        cv2.transform(target[sample], matrices[sample], target[sample])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(one, range(n)))
    return torch.from_numpy(target).permute(0, 3, 1, 2).float().div_(255)
