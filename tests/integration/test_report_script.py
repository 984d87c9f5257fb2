"""The script of a page, in a browser: sorting of tables and choice of components."""

import re
import shutil
import subprocess

import pytest

from ml.report.blocks import Circles, FactList, Page, Picture, Section, Table, render, script_json

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no browser on this machine"),
]

#: A dash is not known; a thin space stands between thousands.
CELLS = (
    "0.9 [0.8, 1.0]",
    "\N{EN DASH}",
    "\N{MINUS SIGN}3.5",
    "1\N{NARROW NO-BREAK SPACE}234",
    "12",
)


def dom_of(html, act, tmp_path):
    """What a browser makes of a page after some script was run in it."""
    file = tmp_path / "page.html"
    file.write_text(html.replace("</body>", f"<script>{act}</script></body>"), encoding="utf-8")
    done = subprocess.run(
        [str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom",
         f"--user-data-dir={tmp_path / 'profile'}", file.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout


@pytest.fixture
def page():
    table = Table("T", ("Name", "Number"), tuple((f"row {c}", c) for c in CELLS))
    data = {
        "components": 2, "pair": [1, 2], "legend": [["fusions", "#d55e00"]],
        "features": [{"n": ["</script><b>"], "c": "#d55e00", "r": [0.5, -0.25]}],
        "shown": {"1 2": [0]},
    }  # fmt: skip
    circles = Circles(Picture("data:image/png;base64,", "alt", "caption", 10), script_json(data))
    return Page("t", "h", "s", FactList(()), (), (), (Section("a", "A", (table, circles)),))


@pytest.mark.parametrize(("clicks", "order"), [(1, [2, 0, 4, 3, 1]), (2, [3, 4, 0, 2, 1])])
def test_page__a_click_sorts_by_number_and_what_is_not_known_comes_last(
    page, clicks, order, tmp_path
):
    act = f"for (let i = 0; i < {clicks}; i++) document.querySelectorAll('thead th')[1].click()"

    dom = dom_of(render(page), act, tmp_path)

    cells = re.findall(r'<td class="number">([^<]*)</td>', dom)
    assert cells == [CELLS[at] for at in order]


def test_page__components_can_be_exchanged(page, tmp_path):
    """What is drawn are the numbers of the data, up being up."""
    act = """
      const [one, other] = document.querySelectorAll(".circles select");
      one.value = 2; other.value = 1; other.dispatchEvent(new Event("change"));
    """

    dom = dom_of(render(page), act, tmp_path)

    assert '<path d="M0 0L-50 -100" stroke="#d55e00" class="arrow">' in dom
    assert "&lt;/script&gt;&lt;b&gt;" in dom
    assert "Component 2 (across), component 1 (up)" in dom
