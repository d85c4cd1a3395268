"""What painting costs: by optimisation, beside the same in PyTorch, and at once.

    python -m bench.style

The optimisation runs through Porter's graph and SciPy, then with the same network, loss and start
in PyTorch with its own L-BFGS. Memory is that of a `porter style` of its own, at 1024 pixels.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click
import torch

from bench.common import (
    ROOT,
    json_option,
    machine,
    need,
    plain_errors,
    process_kib,
    shared_option,
    show,
    table,
)
from daemon.errors import SourceError
from daemon.inference import choose_providers
from daemon.vision.frames import Image
from daemon.vision.pictures import read_image
from daemon.vision.style.canvas import framed, scaled
from daemon.vision.style.cards import TERMS
from daemon.vision.style.fast import open_painter
from daemon.vision.style.gradient import Weights, open_gradient
from daemon.vision.style.optimise import CORRECTIONS
from daemon.vision.style.transfer import MARGIN, Manner, Transfer
from export.features.graph import read as read_features
from export.features.loss import Losses, Target, losses
from export.features.model import Features, gram

MEMORY_STEPS = 6
"""Of the run whose memory is measured: enough that L-BFGS remembers all that it will."""
FAST_RUNS = 15


@dataclass(frozen=True)
class Run:
    """One optimisation."""

    seconds: float
    steps: int
    style_start: float
    style: float

    @property
    def step(self) -> float:
        """Seconds of one step."""
        return self.seconds / self.steps


@click.command()
@click.option("--size", default=512, show_default=True)
@click.option("--steps", default=300, show_default=True)
@click.option("--torch-steps", default=300, show_default=True, help="Less: a shorter comparison.")
@click.option("--threads", default=2, show_default=True)
@click.option("--features", default="features", show_default=True)
@click.option("--fast", default="style-starry-night", show_default=True)
@click.option("--memory/--no-memory", default=True, help="Also measure memory at 1024 pixels.")
@shared_option
@json_option
def main(
    size: int,
    steps: int,
    torch_steps: int,
    threads: int,
    features: str,
    fast: str,
    memory: bool,
    shared: Path,
    as_json: bool,
) -> None:
    """Seconds, losses and memory of `porter style`."""
    with plain_errors():
        folder = need(shared / "data/style", "pictures for style transfer")
        content_file, style_file = (
            folder / "contents/louvre.jpg",
            folder / "styles/monet_poppies.jpg",
        )
        content, style = read_image(content_file), read_image(style_file)
        manner = Manner(size=size, steps=steps)
        porter = optimised(features, content, style, manner, threads)
        peer = in_torch(features, content, style, manner, torch_steps, threads)
        once = fast_seconds(fast, content, size, threads)
        facts = {
            "machine": machine(),
            "threads": threads,
            "size": size,
            "steps": porter.steps,
            "seconds": round(porter.seconds, 3),
            "torch_steps": peer.steps,
            "torch_seconds_a_step": round(peer.step, 4),
            "ratio": round(porter.step / peer.step, 3),
            "style_start": porter.style_start,
            "style": porter.style,
            "style_reduced": round(porter.style_start / porter.style, 1),
            "torch_style": peer.style,
            "fast_ms": round(1000 * once, 1),
        }
        if memory:
            facts["peak_mib_at_1024"] = peak_memory(features, content_file, style_file)
    rows = [
        ["Porter", f"{porter.seconds:.1f}", porter.steps, f"{1000 * porter.step:.0f}",
         f"{porter.style_start:.3g}", f"{porter.style:.3g}"],
        ["PyTorch", f"{peer.seconds:.1f}", peer.steps, f"{1000 * peer.step:.0f}",
         f"{peer.style_start:.3g}", f"{peer.style:.3g}"],
    ]  # fmt: skip
    header = ["", "seconds", "steps", "ms a step", "style loss at start", "at the end"]
    text = f"{facts['machine']}, {threads} threads, {size} px\n{table(header, rows)}"
    text += f"\nratio of a step: {facts['ratio']}; at once: {facts['fast_ms']} ms"
    if memory:
        text += f"; peak memory at 1024 px: {facts['peak_mib_at_1024']} MiB"
    show(facts, text, as_json)


def optimised(features: str, content: Image, style: Image, manner: Manner, threads: int) -> Run:
    """As `porter style` paints."""
    graph = open_gradient(features, choose_providers("cpu"), threads)
    transfer = Transfer(graph, style, manner)
    began = time.perf_counter()
    painting = transfer.paint(content, lambda *_: None)
    seconds = time.perf_counter() - began
    return Run(seconds, painting.steps, painting.start.style, painting.loss.style)


def in_torch(
    features: str, content: Image, style: Image, manner: Manner, steps: int, threads: int
) -> Run:
    """The same with autograd and PyTorch's L-BFGS."""
    torch.set_num_threads(threads)
    card = open_gradient(features, choose_providers("cpu"), threads).card
    network = Features(read_features(card.path))
    multiple = card.input.multiple
    shown = torch.from_numpy(framed(scaled(content, manner.size), multiple, MARGIN).image)
    painted = torch.from_numpy(framed(scaled(style, manner.size), multiple).image)
    with torch.no_grad():
        target = Target(network(shown).content, [gram(each) for each in network(painted).styles])
    image = shown.clone().requires_grad_()
    # No tolerance, so that it uses all of its evaluations.
    optimiser = torch.optim.LBFGS(
        [image], 1.0, steps, steps, 0.0, 0.0, CORRECTIONS, line_search_fn="strong_wolfe"
    )
    seen: list[Losses] = []
    weights: Weights = manner.weights

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        off = losses(network, image, target)
        total = off.total(*(getattr(weights, term) for term in TERMS))
        total.backward()  # type: ignore[no-untyped-call]
        seen.append(off)
        return total

    began = time.perf_counter()
    optimiser.step(closure)  # type: ignore[no-untyped-call]
    seconds = time.perf_counter() - began
    best = min(each.style.item() for each in seen)
    return Run(seconds, len(seen), seen[0].style.item(), best)


def fast_seconds(model: str, content: Image, size: int, threads: int) -> float:
    """Median time of painting a square at once."""
    side = min(content.shape[:2])
    square = scaled(content[:side, :side], size)
    painter = open_painter(model, choose_providers("cpu"), threads)
    times = []
    for _ in range(FAST_RUNS):
        began = time.perf_counter()
        painter.paint(square)
        times.append(time.perf_counter() - began)
    return median(times[2:])


def peak_memory(features: str, content: Path, style: Path) -> int:
    """Mebibytes that `porter style` takes at 1024 pixels, a square, which is the most."""
    from daemon.vision.writing import write_image

    with TemporaryDirectory() as folder:
        square = Path(folder) / "square.png"
        image = read_image(content)
        side = min(image.shape[:2])
        write_image(square, scaled(image[:side, :side], 1024))
        command = [sys.executable, "-m", "daemon.cli.main", "style", str(square), str(style)]
        command += ["--size", "1024", "--steps", str(MEMORY_STEPS), "--features", features]
        said = Path(folder) / "said.txt"
        with said.open("w") as file:
            process = subprocess.Popen(
                [*command, "-o", f"{folder}/out.png"], cwd=ROOT, stdout=file, stderr=file
            )
        peak = 0
        # What wait() tells would count this process too, whose memory the child starts from.
        while process.poll() is None:
            with suppress(StopIteration, OSError):
                peak = max(peak, process_kib(process.pid, "VmHWM"))
            time.sleep(0.05)
        if process.returncode:
            raise SourceError(f"porter style failed: {said.read_text().strip()[-200:]}")
    return peak // 1024


if __name__ == "__main__":
    main()
