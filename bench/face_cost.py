"""What looking costs, beside OpenCV's own path for faces, in one run.

    python -m bench.face_cost

Each picture of the demo's walk-up video is looked at by both, one after the other: Porter's
detector, alignment and encoder, and YuNet (`cv2.FaceDetectorYN`) with the small teacher, a
MobileFaceNet. Then the real daemon looks at an empty corridor, where nothing moves.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import click
import cv2
import numpy as np
import psutil
import yaml

from bench.common import (
    ROOT,
    json_option,
    machine,
    need,
    plain_errors,
    porter,
    shared_option,
    show,
    table,
)
from bench.face_peers import MobileFaceNet, yunet
from bench.picture_stream import PictureStream
from daemon.errors import SourceError
from daemon.inference import choose_providers
from daemon.vision.detector import open_detector
from daemon.vision.encoder import open_encoder
from daemon.vision.frames import Image
from daemon.vision.video import VideoSource

WARM_UP = 20
"""Pictures before the clock runs."""
IDLE_SECONDS = 20.0


@click.command()
@click.option("--video", type=click.Path(path_type=Path), default=ROOT / "assets/demo/walk-up.mp4")
@click.option("--threads", default=2, show_default=True, help="Of each network.")
@click.option("--idle/--no-idle", default=True, help="Also measure the daemon with nothing to see.")
@shared_option
@json_option
def main(video: Path, threads: int, idle: bool, shared: Path, as_json: bool) -> None:
    """Milliseconds a picture of 640x480, and processor time when nothing moves."""
    with plain_errors():
        pictures = read(video)
        times = compare(pictures, threads, shared)
        facts: dict[str, Any] = {
            "machine": machine(),
            "threads": threads,
            "pictures": len(pictures),
        }
        facts |= {name: round(median(values), 2) for name, values in times.items()}
        rows = [[name, f"{median(values):.2f}", f"{quantile(values):.2f}", len(values)]
                for name, values in times.items()]  # fmt: skip
        text = table(["milliseconds", "median", "95 % within", "pictures"], rows)
        if idle:
            facts["idle_percent"] = round(idle_share(pictures[0]), 2)
            text += f"\nnothing moves, 10 pictures a second: {facts['idle_percent']} % of a core"
    show(facts, f"{facts['machine']}, {threads} threads\n{text}", as_json)


def read(video: Path) -> list[Image]:
    """All pictures of a video, at 10 a second."""
    source = VideoSource(video, 10, paced=False)
    source.open()
    pictures = []
    while (frame := source.read()) is not None:
        pictures.append(frame.image.copy())
    source.close()
    return pictures


def compare(pictures: list[Image], threads: int, shared: Path) -> dict[str, list[float]]:
    """Milliseconds of each part, for the pictures in which both find a face."""
    providers = choose_providers("cpu")
    detector = open_detector("facedetect", providers, threads)
    encoder = open_encoder("face", providers, threads)
    height, width = pictures[0].shape[:2]
    cv2.setNumThreads(threads)
    peer = yunet(
        need(shared / "teachers/face_detection_yunet_2026may.onnx", "YuNet"), width, height
    )
    teacher = MobileFaceNet(
        need(shared / "teachers/mobilefacenet_casia_112x96.onnx", "the small teacher"), threads
    )
    times: dict[str, list[float]] = {
        name: []
        for name in (
            "Porter: detect",
            "Porter: align and embed",
            "Porter: together",
            "YuNet: detect",
            "MobileFaceNet: align and embed",
            "YuNet + MobileFaceNet: together",
        )
    }
    for number, picture in enumerate(pictures):
        began = time.perf_counter()
        faces = detector.detect(picture)
        found = time.perf_counter()
        if faces:
            encoder.embed(picture, faces[0].landmarks)
        done = time.perf_counter()
        _, rows = peer.detect(picture)
        peer_found = time.perf_counter()
        if rows is not None:
            teacher.embed(picture, np.asarray(rows[0, 4:14], np.float32).reshape(5, 2))
        peer_done = time.perf_counter()
        if number < WARM_UP or not faces or rows is None:
            continue
        spans = (
            (began, found),
            (found, done),
            (began, done),
            (done, peer_found),
            (peer_found, peer_done),
            (done, peer_done),
        )
        for values, (start, end) in zip(times.values(), spans):
            values.append(1000 * (end - start))
    return times


def quantile(values: list[float]) -> float:
    """What 95 % of the values stay within."""
    return float(np.quantile(values, 0.95))


def idle_share(picture: Image) -> float:
    """Per cent of a core that the daemon needs for a stream in which nothing moves."""
    with TemporaryDirectory() as folder, PictureStream(fps=10) as stream:
        stream.show(picture)
        config = Path(folder) / "config.yaml"
        config.write_text(
            yaml.safe_dump(
                {
                    "audio": {"enabled": False},
                    "camera": {"enabled": True, "source": "stream", "url": stream.url},
                    "gallery": {"path": f"{folder}/gallery.db", "key": f"{folder}/key"},
                    "control": {"path": f"{folder}/porter.sock"},
                }
            )
        )
        daemon = porter(config=config)
        try:
            process = psutil.Process(daemon.pid)
            time.sleep(6)  # loading, and the gate that is open at first
            before, began = sum(process.cpu_times()[:2]), time.monotonic()
            time.sleep(IDLE_SECONDS)
            if daemon.poll() is not None:
                raise SourceError("porter run ended by itself; see its message")
            used = sum(process.cpu_times()[:2]) - before
            return 100 * used / (time.monotonic() - began)
        finally:
            daemon.terminate()
            with contextlib.suppress(Exception):
                daemon.wait(5)


if __name__ == "__main__":
    main()
