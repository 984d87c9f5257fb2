"""Progress of long work: a bar where a person looks on, nothing elsewhere.

driver, importers, training -> Progress.task -> Rich bar (command line) or silence (Dagster UI)
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars


class Progress:
    """Reports how far work has come.

    Parameters
    ----------
    bars
        Rich display; None is silent.
    """

    def __init__(self, bars: Bars | None = None) -> None:
        self._bars = bars

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Callable[[], None]]:
        """Show one piece of work; call what is yielded once per step."""
        if self._bars is None:
            yield lambda: None
            return
        bars = self._bars
        number = bars.add_task(name, total=total)
        yield lambda: bars.advance(number)
        bars.update(number, completed=total)

    @contextmanager
    def count(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """Show work that reports (done, in all) itself."""
        if self._bars is None:
            yield lambda _done, _total: None
            return
        bars = self._bars
        number = bars.add_task(name, total=None)
        yield lambda done, total: bars.update(number, completed=done, total=total)


def bars() -> Bars:
    """Rich display on stderr, so that stdout stays for results."""
    return Bars(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=False,
    )
