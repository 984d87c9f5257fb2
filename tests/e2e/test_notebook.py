"""The notebook of the guide runs from the first cell to the last on a small synthetic home."""

import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.settings import PROJECT

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel", reason="running a notebook needs ipykernel")

NOTEBOOK = PROJECT / "docs" / "pull-a-frame.ipynb"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Home with a synthetic cohort of 40 patients, run but not trained."""
    folder = tmp_path_factory.mktemp("notebook")
    oncoframe = str(Path(sys.executable).with_name("oncoframe"))
    for arguments in (
        ["simulate", "landing", "--patients", "40", "--seed", "1"],
        ["run", "--landing", "landing", "--home", "home"],
    ):
        subprocess.run([oncoframe, *arguments], cwd=folder, check=True, capture_output=True)
    return folder / "home"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_notebook__runs_to_the_end(home, monkeypatch):
    """A guide whose third cell fails teaches nothing; every output comes from this run."""
    monkeypatch.setenv("ONCOFRAME_HOME", str(home))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)

    nbclient.NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": NOTEBOOK.parent}},
    ).execute()

    printed = "".join(
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stdout"
    )
    assert "40 patients" in printed
    assert "accuracy" in printed
