"""What a page is made of: sections of sentences, facts, tables and figures.

values -> cells as text -> Section ... -> templates/page.html.jinja -> one self-contained file

Text only; HTML is made, and escaped, by the templates. Nothing is loaded from elsewhere. The script
inside the page sorts tables and draws other components; without it nothing is missing.
"""

import base64
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from math import isfinite
from typing import Literal

import matplotlib as mpl
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

#: What stands where a number is not known.
NONE = "\N{EN DASH}"
#: A figure is the same file on every run: no random ids in it.
_SVG = {"svg.hashsalt": "oncoframe", "svg.fonttype": "path"}
_DPI = 130
#: Width of an SVG in points, in its first tag; margins without ink are cut off.
_WIDTH = re.compile(rb'<svg[^>]*? width="([0-9.]+)pt"')


@dataclass(frozen=True)
class Text:
    """One paragraph.

    Parameters
    ----------
    kind
        ``warning`` stands out; ``note`` is small.
    """

    text: str
    kind: Literal["plain", "note", "warning", "good"] = "plain"
    block: str = field(default="text", init=False)


@dataclass(frozen=True)
class FactList:
    """Names and values."""

    rows: tuple[tuple[str, str], ...]
    block: str = field(default="facts", init=False)


@dataclass(frozen=True)
class Table:
    """Rows under heads.

    Parameters
    ----------
    caption
        What it shows; also for screen readers.
    heads
        One per column.
    rows
        Cells as text.
    words
        Number of columns from the left that hold words; the others hold numbers.
    strong
        Rows that stand out.
    note
        Small print below.
    """

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1
    strong: frozenset[int] = frozenset()
    note: str = ""
    block: str = field(default="table", init=False)


@dataclass(frozen=True)
class Picture:
    """A figure inside the page.

    Parameters
    ----------
    source
        ``data:`` address with the whole picture.
    alt
        What it shows, for those who do not see it.
    caption
        Below it.
    width
        Largest width in CSS pixels; text in it then has its natural size.
    """

    source: str
    alt: str
    caption: str
    width: int
    block: str = field(default="picture", init=False)


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side, each under a name."""

    pictures: tuple[tuple[str, Picture], ...]
    block: str = field(default="gallery", init=False)


@dataclass(frozen=True)
class Circles:
    """Correlation circle of two components, and all others by choice.

    Parameters
    ----------
    picture
        What is there without a script, and on paper.
    data
        JSON from which ``templates/page.js`` draws any pair: ``components`` (how many), ``pair``
        (of the picture), ``features`` (``n`` lines of the name, ``c`` colour, ``r`` correlations),
        ``legend`` (names and colours of modalities) and ``shown`` (pair -> features).
    """

    picture: Picture
    data: str
    block: str = field(default="circles", init=False)


Block = Text | FactList | Table | Picture | Gallery | Circles


@dataclass(frozen=True)
class Section:
    """Part of a page.

    Parameters
    ----------
    anchor
        Its address within the page.
    title
        Its line in the table of contents.
    """

    anchor: str
    title: str
    blocks: tuple[Block, ...]


def picture(figure: Figure, *, alt: str, caption: str) -> Picture:
    """Figure as an SVG inside the page; dense parts that the figure rasterises are pixels."""
    buffer = io.BytesIO()
    with mpl.rc_context(_SVG):  # type: ignore[arg-type]
        figure.savefig(
            buffer,
            format="svg",
            dpi=_DPI,
            metadata={"Date": None},
            bbox_inches="tight",
            pad_inches=0.04,
        )
    points = _WIDTH.search(buffer.getvalue())
    width = float(points[1]) if points else figure.get_figwidth() * 72
    source = f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return Picture(source, alt, caption, round(width * 96 / 72))


def script_json(value: object) -> str:
    """JSON that can stand in a script element: no name in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def stored_picture(png: bytes, *, alt: str, caption: str, width: int) -> Picture:
    """PNG inside the page."""
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return Picture(source, alt, caption, width)


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many digits behind the point; a dash where there is none."""
    if value is None or not isfinite(value):
        return NONE
    text = f"{value:.{digits}f}"
    # Zero has no sign: "-0.000" would read like a finding.
    return text.replace("-", "\N{MINUS SIGN}") if float(text) else text.removeprefix("-")


def interval(estimate: Sequence[float | None] | None, digits: int = 3) -> str:
    """Value with its 95 % interval, such as ``0.752 [0.719, 0.786]``."""
    if estimate is None or estimate[0] is None:
        return NONE
    value, low, high = (number(part, digits) for part in estimate)
    return value if low == NONE else f"{value} [{low}, {high}]"


def signed(estimate: Sequence[float | None] | None, digits: int = 3) -> str:
    """A difference with its sign and interval."""
    text = interval(estimate, digits)
    if estimate is None or text == NONE or text.startswith("\N{MINUS SIGN}"):
        return text
    return f"+{text}"


def percent(value: float | None, digits: int = 0) -> str:
    """A share in percent."""
    return NONE if value is None or not isfinite(value) else f"{100 * value:.{digits}f} %"


def whole(value: float | None) -> str:
    """A count, with a thin space between thousands."""
    return NONE if value is None else f"{int(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


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
    style, script = (
        files("ml.report").joinpath(f"templates/page.{kind}").read_text(encoding="utf-8")
        for kind in ("css", "js")
    )
    template = _templates().get_template("page.html.jinja")
    return template.render(page=page, style=style, script=script)


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
