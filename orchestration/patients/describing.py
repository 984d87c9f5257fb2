"""What runs in a worker process for ``oncoframe extract`` of a modality with a longer answer.

Task -> inspect of the modality -> Described, or the typed error

Light to import, as :mod:`orchestration.patients.worker` is.
"""

import os
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from oncoframe.errors import OncoFrameError, Unavailable
from oncoframe.extraction import Optics
from orchestration.patients.worker import OUT_OF_MEMORY, Reading, Task


class Inspector(Protocol):
    """Function ``inspect`` of a modality that shows more of a file than its extraction.

    Takes a path, or a ready volume and its mask; returns a sentence, and what ``--json`` prints:
    ``features``, and anything else.
    """

    def __call__(
        self,
        path: Path | None,
        volume: tuple[Path, Path] | None,
        *,
        settings: str | None,
        mask_rule: str | None,
        own_settings: Path | None,
        optics: Optics | None,
    ) -> tuple[str, dict[str, Any]]:
        """What there is to say of one file."""
        ...


@dataclass(frozen=True)
class Inspection:
    """What to say of a file: module of the inspector, and its arguments."""

    module: str
    path: Path | None
    volume: tuple[Path, Path] | None
    settings: str | None
    mask_rule: str | None
    own_settings: Path | None
    optics: Optics | None


@dataclass(frozen=True)
class Described(Reading):
    """What an inspector said of a file, in a sentence and as JSON."""

    said: str = ""
    about: dict[str, Any] = field(default_factory=dict)


def describe(task: Task, what: Inspection) -> Reading:
    """What the inspector says; the task tells whose limits apply."""
    inspector: Inspector = import_module(what.module).inspect
    try:
        said, about = inspector(
            what.path,
            what.volume,
            settings=what.settings,
            mask_rule=what.mask_rule,
            own_settings=what.own_settings,
            optics=what.optics,
        )
    except OncoFrameError as error:
        return Reading(error=error)
    except OSError as error:
        where = ", ".join(file.path for file in task.files)
        reason = error.strerror or type(error).__name__
        return Reading(error=Unavailable("the file could not be read", where=where, got=reason))
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    return Described(said=said, about=about)
