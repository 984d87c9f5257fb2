"""Pages as HTML: sections into the template, styles and figures inside.

Section ... -> templates/page.html.jinja -> one self-contained file

Every text is escaped; nothing is loaded from elsewhere, and no script is needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from ml.report.blocks import FactList, Section


@dataclass(frozen=True)
class Page:
    """One HTML file.

    Parameters
    ----------
    title
        Of the window.
    heading, subheading
        Above all.
    header
        What it is about, in names and values.
    headline
        Large numbers at the top: name, value, small print.
    warnings
        Below the header.
    sections
        In order; the table of contents is made of them.
    """

    title: str
    heading: str
    subheading: str
    header: FactList
    headline: tuple[tuple[str, str, str], ...]
    warnings: tuple[str, ...]
    sections: tuple[Section, ...]


def render(page: Page) -> str:
    """HTML of a page."""
    style = files("ml.report").joinpath("templates/page.css").read_text(encoding="utf-8")
    return _templates().get_template("page.html.jinja").render(page=page, style=style)


def present(sections: Sequence[Section | None]) -> tuple[Section, ...]:
    """Those sections that there are."""
    return tuple(section for section in sections if section is not None)


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("ml.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
