"""Feast, imported in a fourth of the time.

Feast 0.67 decorates its classes with ``typeguard.typechecked``, which parses a whole module again
for each method: 3.2 of the 4.0 s that its import takes. The checks of argument types that this
buys are meant for development; ``python -O`` leaves them out too.
"""

import sys
from collections.abc import Callable
from typing import Any

import typeguard


def import_feast() -> None:
    """Import Feast without run-time checks of its argument types, unless it is there already."""
    if "feast" in sys.modules:
        return
    checked = typeguard.typechecked
    typeguard.typechecked = _unchecked  # type: ignore[assignment]
    try:
        import feast  # noqa: F401, PLC0415
    finally:
        typeguard.typechecked = checked


def _unchecked(target: Callable[..., Any]) -> Callable[..., Any]:
    return target
