"""The references that this process uses.

    use(folder) once per process -> reference_for(build) wherever a reader needs genes or bands

An extractor gets a file and a build and nothing else, so what the installation annotates with is
told to the process: a worker by its initialiser, the command line by itself.
"""

from functools import cache
from pathlib import Path

from oncoframe.reference.builds import BUILDS, normalise_build
from oncoframe.reference.load import built_in, load_compiled
from oncoframe.reference.tables import Reference

_folder: Path | None = None


def use(folder: Path | None) -> None:
    """Use the references below a folder, see :func:`oncoframe.reference.load.compile_references`.

    Parameters
    ----------
    folder
        None, or a folder without a build's reference: the built-in tables.
    """
    global _folder  # noqa: PLW0603  # one per process, as the module says
    _folder = folder
    _loaded.cache_clear()


def reference_for(build: str | None) -> Reference | None:
    """Reference of a build by any of its names; None if the build is unknown or has none."""
    name = normalise_build(build)
    return _loaded(name) if name in BUILDS else None


@cache
def _loaded(build: str) -> Reference:
    return built_in(build) if _folder is None else load_compiled(_folder, build)
