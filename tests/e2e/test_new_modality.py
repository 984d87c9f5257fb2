"""A new modality is one folder and one line: from its files to a report, in a copy of the source.

The copy is what a colleague's checkout would be after adding it: nothing else is edited. The study
goes where studies go; the simulator gets its files from the hook that the modality names.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from orchestration.settings import PROJECT

PATIENTS = 60
SOURCES = ("assets", "dbt_clinical", "feature_repo", "ml", "oncoframe", "orchestration")
FILES = ("pyproject.toml", "workspace.yaml")
LINE = '    "methylation": "assets.methylation.modality",\n'

FEATURES = '''"""Methylation of one patient: a beta value per probe."""

import polars as pl

from oncoframe.contracts import Block, Contract, Feature
from oncoframe.errors import WrongFormat
from oncoframe.extraction import BlockValues, Extraction

CONTRACT = Contract(
    table="methylation_features",
    modality="methylation",
    description="DNA methylation of the tumour: beta value per probe, and their mean.",
    code_version="1",
    features=(Feature("methylation_mean_beta", pl.Float64(), "1", "mean beta value of a patient"),),
    blocks=(
        Block("methylation_beta", "probe", "1", "beta value per probe", fill=float("nan")),
    ),
)


def extract(path, *, reference_build):
    """Features of a table of probes."""
    del reference_build
    try:
        table = pl.read_csv(path, schema={"probe": pl.String, "beta": pl.Float32})
    except pl.exceptions.PolarsError as error:
        raise WrongFormat("no table of probes", where=str(path), expected="probe,beta") from error
    return Extraction(
        records=len(table),
        used=len(table),
        filtered={},
        failed={},
        features={"methylation_mean_beta": table["beta"].mean()},
        blocks={"methylation_beta": BlockValues(table["probe"], table["beta"].to_numpy())},
    )
'''

SIMULATOR = '''"""Files of the simulator: probes that tell entities apart, some missing."""

import numpy as np

PROBES = 30


def file_of(site):
    """Tool and file name."""
    return "epic", "betas.csv"


def write_assay(path, seed, patient, specimen):
    """Write one table of probes."""
    rng = np.random.default_rng([seed, patient.index, specimen.number])
    levels = np.random.default_rng(patient.picture_position).uniform(0.1, 0.9, PROBES)
    betas = np.clip(levels + 0.05 * rng.standard_normal(PROBES), 0, 1)
    rows = [f"cg{n:03d},{beta:.4f}" for n, beta in enumerate(betas) if rng.random() < 0.95]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\\n".join(["probe,beta", *rows]) + "\\n")
'''

MODALITY = '''"""Methylation, declared: what everything about the modality is made from."""

from assets.methylation.features import CONTRACT, extract
from oncoframe.modality import Files, ModalitySpec

MODALITY = ModalitySpec(
    contract=CONTRACT,
    extract=extract,
    stage="methylation",
    kinds=frozenset({"csv", "deltalake"}),
    words="DNA methylation",
    colour="#332288",
    files=Files(words="table of probes and beta values", is_folder=False),
    fill={"methylation_beta": "lowest"},
    simulate="assets.methylation.files",
    inspect=None,
)
'''

#: What is made of the declaration, asked of the copy itself.
LOOK = """
import json
import oncoframe
from feature_repo.services import SERVICES
from feature_repo.views import VIEWS
from ml.figures.style import modality_colour, modality_name
from ml.pipelines.encoding import encoder
from orchestration.definitions import defs

[asset] = [s for s in defs().resolve_all_asset_specs() if s.key.path == ["methylation_features"]]
print(json.dumps({
    "source": oncoframe.__file__,
    "group": asset.group_name,
    "kinds": sorted(asset.kinds),
    "description": asset.description,
    "views": [view.name for view in VIEWS],
    "services": [service.name for service in SERVICES],
    "colour": modality_colour("methylation"),
    "words": modality_name("methylation"),
    "filled": [name for name, steps, _ in encoder(fill=True).transformers if "fill" in
               dict(getattr(steps, "steps", ()))],
}))
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """The copy, with one folder and one line more, and a study on the new service."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copyfile(PROJECT / name, copy / name)

    folder = copy / "assets" / "methylation"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""Methylation."""\n')
    (folder / "features.py").write_text(FEATURES)
    (folder / "files.py").write_text(SIMULATOR)
    (folder / "modality.py").write_text(MODALITY)
    registry = copy / "oncoframe" / "modalities.py"
    before, clinical, after = registry.read_text().partition('    "clinical":')
    registry.write_text(before + LINE + clinical + after)

    study = yaml.safe_load((PROJECT / "ml/studies/synthetic_leukemia.yaml").read_text())
    study |= {
        "name": "by_methylation",
        "modality_sets": {"methylation": ["methylation"]},
        "recipes": ["prototypes"],
        "permuted_labels": 0,
    }
    study["features"]["service"] = "methylation_v1"
    study["cross_validation"] |= {"folds": 3, "repeats": 1}
    (copy / "ml/studies").joinpath("by_methylation.yaml").write_text(yaml.safe_dump(study))
    return copy


@pytest.fixture(scope="module")
def call(checkout, oncoframe):
    """Command of the copy on its home, which must succeed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(checkout))
        # Workers would look into the working folder first, which is the checkout of the tests.
        patch.setenv("PYTHONSAFEPATH", "1")

        def run(*arguments):
            answer = oncoframe(checkout / ".oncoframe", *arguments)
            assert answer.code == 0, answer.stderr
            return answer

        yield run


@pytest.fixture(scope="module")
def landing(checkout, call):
    """Simulated landing zone of a center that does this assay only, which is fast to read."""
    folder = checkout / "landing"
    call("simulate", folder, "--patients", PATIENTS, "--seed", 1)
    sheet = pl.read_csv(folder / "samplesheet.csv", infer_schema=False)
    sheet.filter(modality="methylation").write_csv(folder / "samplesheet.csv")
    return folder


@pytest.fixture(scope="module")
def trained(call, landing):
    """What ``run`` and ``train`` said, one after the other; ``train`` builds frame and report."""
    ran = call("run", "--landing", landing, "--json").json
    return {"run": ran, "train": call("train", "by_methylation", "--json").json}


def test_new_modality__is_made_of_its_declaration(checkout):
    """Asset, group, view, service, figures and fill, without a line about it anywhere else."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONSAFEPATH": "1"}
    looked = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOOK],
        cwd=checkout, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert looked.returncode == 0, looked.stderr
    found = json.loads(looked.stdout.splitlines()[-1])

    assert Path(found["source"]).is_relative_to(checkout)
    assert found["group"] == "06_methylation"
    assert found["kinds"] == ["csv", "deltalake"]
    assert found["description"].startswith("DNA methylation of the tumour")
    assert "methylation_features" in found["views"]
    assert "methylation_v1" in found["services"]
    assert (found["colour"], found["words"]) == ("#332288", "DNA methylation")
    assert "methylation_lowest" in found["filled"]


def test_new_modality__is_extracted_and_helped_with(call, landing):
    """Who does not know the modality finds in the help what a file of it is."""
    said = " ".join(call("extract", "--help").stdout.split())
    assert "methylation: DNA methylation; table of probes and beta values" in said
    file = next((landing / "patients").rglob("*.betas.csv"))
    answer = call("extract", "methylation", file, "--json").json
    assert answer["records"] == answer["used"] == len(answer["blocks"]["methylation_beta"])


def test_new_modality__goes_from_files_to_a_report(checkout, trained):
    """The classes differ in every probe: a model that finds none saw other columns."""
    assert (trained["run"]["ok"], trained["run"]["quarantined"]) == (PATIENTS, 0)
    made = checkout / ".oncoframe" / "frames" / trained["train"]["frame_id"]
    frame = pl.read_parquet(made / "frame.parquet")
    assert "methylation_features__methylation_beta" in frame.columns
    names = pl.read_parquet(made / "dictionary_probe.parquet")["name"]
    assert len(names) == 30
    assert trained["train"]["best"]["accuracy"] > 0.6
    assert "DNA methylation" in Path(trained["train"]["report"]).read_text()
