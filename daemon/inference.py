"""ONNX Runtime sessions: which provider runs them, with how many threads, without surprises."""

from __future__ import annotations

import ctypes
import io
import logging
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from daemon.errors import ConfigError, ModelError

if TYPE_CHECKING:
    import onnxruntime as ort

Array = npt.NDArray[np.float32]
Provider = Literal["auto", "cpu", "cuda"]

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

_OPTIONS = {CUDA: (CUDA, {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"})}
"""Full float32, so that thresholds hold on a GPU, too; and no trial of every algorithm for every
new size of a picture."""

log = logging.getLogger(__name__)


def choose_providers(preference: Provider, asked_by: str = "inference.provider") -> list[str]:
    """Execution providers in the order in which ONNX Runtime shall try them.

    Args:
        preference: `auto` is CUDA where it works, else the CPU.
        asked_by: the setting or option that says so, for the message.

    Raises:
        ConfigError: `cuda` is asked for and does not work here; the message says why.
    """
    if preference == "cpu":
        return [CPU]
    obstacle = cuda_obstacle()
    if obstacle is None:
        return [CUDA, CPU]
    if preference == "cuda":
        raise ConfigError(f"{asked_by}: cuda cannot be used: {obstacle}; set auto or cpu")
    return [CPU]


def cuda_obstacle() -> str | None:
    """What keeps CUDA from working here, or None.

    ONNX Runtime itself would find out, too, but it prints errors on every machine without a GPU.
    """
    runtime = _onnxruntime()
    if CUDA not in runtime.get_available_providers():
        return "this ONNX Runtime is built without it"
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA driver (libcuda.so.1)"
    count = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return "the NVIDIA driver finds no GPU"
    _preload(runtime)
    folder = Path(runtime.__file__).parent / "capi"
    try:
        # The provider needs CUDA, cuBLAS and cuDNN; its own symbols come from the shared part.
        ctypes.CDLL(str(folder / "libonnxruntime_providers_shared.so"), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(folder / "libonnxruntime_providers_cuda.so"))
    except OSError as error:
        return f"a CUDA library is missing ({error})"
    return None


def _preload(runtime: Any) -> None:
    """Load CUDA and cuDNN from NVIDIA's wheels, if they are installed; the loader finds others."""
    if (preload := getattr(runtime, "preload_dlls", None)) is None:
        return
    said = io.StringIO()
    with redirect_stdout(said):  # where the events go
        preload()
    for line in said.getvalue().splitlines():
        log.debug("%s", line)


def open_session(
    path: Path, providers: list[str], threads: int = 1, *, reuse_memory: bool = False
) -> ort.InferenceSession:
    """Load a model.

    Threads do not spin while they wait for work, so that a daemon without work costs nothing, and
    no arena keeps memory that a small graph does not need. `reuse_memory` has one, for a large
    graph that runs often: fetching fresh memory from the system takes it half as long again.
    Planning all of a run's memory ahead, as ONNX Runtime does else, takes half as much again of it.

    Raises:
        ModelError: the file cannot be read, or is not a graph that this ONNX Runtime can run.
    """
    runtime = _onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; warnings are about how a graph was optimised
    options.enable_cpu_mem_arena = reuse_memory
    options.enable_mem_pattern = not reuse_memory
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session: ort.InferenceSession = runtime.InferenceSession(
            str(path), options, providers=[_OPTIONS.get(each, each) for each in providers]
        )
    # ONNX Runtime has no public base class for its many errors; all say what is wrong.
    except Exception as error:
        raise ModelError(f"{path}: cannot be loaded: {reason_of(error)}") from None
    return session


def reason_of(error: Exception) -> str:
    """What ONNX Runtime says of an error, in one line."""
    return " ".join(str(error).split())[:200]


class Bound:
    """A graph with the arrays that it reads and writes, bound once: a run allocates nothing.

    On a GPU, the input is copied there with each run, and the output back.
    """

    def __init__(
        self,
        session: ort.InferenceSession,
        taken: tuple[str, Array],
        given: tuple[str, Array | None],
    ) -> None:
        """Bind.

        Args:
            session: of the graph.
            taken: name of the input, and the array that is read with each run.
            given: name of the output, and the array that is written with each run; None if nobody
                knows its shape before.
        """
        value = _onnxruntime().OrtValue.ortvalue_from_numpy
        (source, self.taken), (target, self.given) = taken, given
        self._session = session
        self._on_gpu = session.get_providers()[0] == CUDA
        self._value = value(self.taken, "cuda" if self._on_gpu else "cpu")
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input(source, self._value)
        if self.given is None:
            self._binding.bind_output(target, "cpu")
        else:
            self._binding.bind_ortvalue_output(target, value(self.given, "cpu"))

    def run(self) -> Array:
        """The output for what is in `taken` now; `given` itself, if there is one."""
        if self._on_gpu:
            self._value.update_inplace(self.taken)
        self._session.run_with_iobinding(self._binding)
        if self.given is not None:
            return self.given
        output: Array = self._binding.copy_outputs_to_cpu()[0]
        return output


def _onnxruntime() -> Any:
    """ONNX Runtime, imported late: it is the largest import, and `porter --help` needs none."""
    import onnxruntime as ort

    ort.set_default_logger_severity(3)
    return ort
