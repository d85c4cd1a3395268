"""Which objects Porter's own detectors know."""

CLASSES = (
    "person",
    "bicycle",
    "car",
    "motorcycle",
    "bus",
    "truck",
    "cat",
    "dog",
    "backpack",
    "handbag",
    "suitcase",
    "bird",
)
"""In the order of a network's outputs; names as in COCO."""
