"""The command ``dictionary``: what each column means, and where to read it.

contracts -> feature dictionary -> terminal, Markdown, HTML, JSON
"""

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from oncoframe.errors import SettingsError
from orchestration.cli.output import AsJson, command, table

commands = typer.Typer()


@commands.command()
def dictionary(
    tables: Annotated[
        list[str] | None, typer.Argument(help="Feature tables; all unless told.")
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="Only columns with this text in name or meaning.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write it as a page.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write it as a document.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what every feature means: name, column, unit, when it is known.

    Example: oncoframe dictionary snv_features --search TP53
    """
    from assets.store.dictionary import as_html, as_markdown, feature_dictionary
    from oncoframe.modalities import feature_contracts

    with command(as_json=as_json) as output:
        contracts = feature_contracts()
        names = [contract.table for contract in contracts]
        unknown = sorted(set(tables or ()) - set(names))
        if unknown:
            raise SettingsError(
                "there is no such feature table",
                expected=f"one of {', '.join(names)}",
                got=", ".join(unknown),
            )
        chosen = [contract for contract in contracts if not tables or contract.table in tables]
        found = feature_dictionary(chosen)
        if search is not None:
            text = pl.concat_str("feature", "column", "description", separator=" ")
            found = found.filter(text.str.to_lowercase().str.contains(search.lower(), literal=True))
        for file, made in ((html, as_html), (markdown, as_markdown)):
            if file is not None:
                file.write_text(made(chosen), encoding="utf-8")
                output.say(f"{len(feature_dictionary(chosen))} columns written to {file}")
        if html is None and markdown is None:
            shown = table(f"{len(found)} columns", ["table", "feature", "unit", "known", "meaning"])
            for row in found.iter_rows(named=True):
                shown.add_row(
                    row["table"], row["feature"], row["unit"], row["known"].replace("_", " "),
                    row["description"],
                )  # fmt: skip
            output.say(shown)
        output.result({"columns": found.to_dicts()})
