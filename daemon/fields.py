"""Fields that several sections of the configuration have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from daemon.validation import Settings, Text, problem


def _anchored(text: str, info: ValidationInfo) -> Path:
    if not text or "\0" in text:
        raise problem("must be a path, and not empty")
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise problem(f"no home folder for {text.split('/')[0]!r}; write the path out") from None
    return info.context["folder"] / path if info.context else path


def _path(value: Any, info: ValidationInfo) -> Any:
    return _anchored(value, info) if isinstance(value, str) else value


def _model(name: str, info: ValidationInfo) -> str:
    is_path = "/" in name or name.endswith((".yaml", ".onnx"))
    return str(_anchored(name, info)) if is_path else name


FilePath = Annotated[Path, BeforeValidator(_path)]
"""A path; relative ones are relative to the folder of the file that names them."""
ModelName = Annotated[Text, AfterValidator(_model)]
"""The name of a model in the folders of models, or the path of its card or ONNX file."""


class Backoff(Settings):
    """Time from one attempt to the next: doubled from `initial` up to `maximum`."""

    initial: float = Field(default=0.5, ge=0.05, le=60)
    maximum: float = Field(default=30.0, ge=0.05, le=3600)

    @model_validator(mode="after")
    def _ordered(self) -> Backoff:
        if self.initial > self.maximum:
            raise problem(f"must not be above maximum, which is {self.maximum:g}", "initial")
        return self


class CommandHook(Settings):
    """A local command that runs on an event, without a shell."""

    command: list[Text] = Field(min_length=1)
    timeout: float = Field(default=10.0, ge=0.1, le=3600)

    @model_validator(mode="before")
    @classmethod
    def _plain_list(cls, value: Any) -> Any:
        return {"command": value} if isinstance(value, list) else value
