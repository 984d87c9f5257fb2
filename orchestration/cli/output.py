"""What the command line prints: tables for people, a JSON line for programs, a sentence per error.

command body -> Output -> stdout (result), stderr (progress, errors), exit code
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from oncoframe.errors import OncoFrameError
from orchestration.progress import Progress, bars

#: Exit codes beside 0: an error; some patients in quarantine; a file that cannot be used.
ERROR, QUARANTINED, BAD_FILE = 1, 3, 4

Home = Annotated[
    Path | None,
    typer.Option(
        help="Folder of lake, Dagster, Feast and MLflow state.", show_default=".oncoframe"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]


class Output:
    """Where a command puts its result.

    Parameters
    ----------
    as_json
        Print the result as one JSON line instead of tables.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console()

    def say(self, *shown: str | Table) -> None:
        """Show something to a person; programs do not see it."""
        if not self.as_json:
            for item in shown:
                # A path cut into lines could not be copied; the terminal wraps sentences itself.
                self.console.print(item, soft_wrap=isinstance(item, str))

    def result(self, value: dict[str, Any]) -> None:
        """Print the JSON line, if asked for."""
        if self.as_json:
            sys.stdout.write(json.dumps(value, default=str) + "\n")

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Progress bars on stderr while a person looks on."""
        if not sys.stderr.isatty():
            yield Progress()
            return
        with bars() as display:
            yield Progress(display)


@contextmanager
def command(*, as_json: bool, exit_code: int = ERROR) -> Iterator[Output]:
    """Body of a command: an error of ours becomes one sentence and an exit code, no traceback."""
    output = Output(as_json=as_json)
    try:
        yield output
    except OncoFrameError as error:
        sys.stderr.write(f"{error.name}: {error}\n")
        output.result({"error": error.name, "message": str(error)})
        raise typer.Exit(exit_code) from error


def table(title: str, text: Sequence[str], numbers: Sequence[str] = ()) -> Table:
    """Empty table with our look: columns of text, then columns of numbers."""
    made = Table(title=title, title_justify="left", header_style="bold")
    for column in text:
        made.add_column(column, overflow="fold")
    for column in numbers:
        made.add_column(column, justify="right")
    return made
