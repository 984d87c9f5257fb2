"""OncoFrame: per-patient oncology data, as they were known, from Python.

    import oncoframe as of
    of.Home(path) -> frame, explain, scores, report (``orchestration/home.py``)

Workers and every other package import the kernel through this module, so it loads nothing but the
errors; what a data scientist asks for is loaded at the first use of its name. That is the one way
from the kernel up.
"""

from typing import TYPE_CHECKING

from oncoframe import errors

if TYPE_CHECKING:
    from orchestration.home import Explanation, FrameDiff, Home, TrainingFrame
else:
    # Not for mypy, to which any name would be one of this module.
    def __getattr__(name: str) -> object:
        if name not in __all__:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        from orchestration import home  # noqa: PLC0415

        return getattr(home, name)


__all__ = ["Explanation", "FrameDiff", "Home", "TrainingFrame", "errors"]


def __dir__() -> list[str]:
    return sorted(__all__)
