"""The synthetic cohort: the files hold what the truth says, byte for byte the same each time."""

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pysam
import pytest

from assets.expression.quantification import extract as extract_expression
from assets.genomics.fusion.reader import extract as extract_fusion
from assets.genomics.snv.reader import extract as extract_snv
from assets.landing.samplesheet import read_samplesheet
from assets.simulate import catalogue
from assets.simulate.design import entity_quotas
from assets.simulate.landing_zone import simulate
from oncoframe.errors import SettingsError

pytestmark = pytest.mark.slow

PATIENTS = 60
SEED = 12


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    simulate(folder, patients=PATIENTS, seed=SEED)
    return folder


@pytest.fixture(scope="module")
def truth(landing):
    return json.loads((landing / "truth.json").read_text())


@pytest.fixture(scope="module")
def sheet(landing):
    return read_samplesheet(str(landing))


def digests(landing: Path) -> dict[str, str]:
    return {
        str(path.relative_to(landing)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(landing.rglob("*"))
        if path.is_file()
    }


def performed(sheet: pl.DataFrame, truth: dict, modality: str):
    """(specimen of the truth, path of its file) for each assay that was performed."""
    dated = {
        (patient_id, specimen["collected_on"]): specimen
        for patient_id, patient in truth["by_patient"].items()
        for specimen in patient["specimens"]
    }
    rows = sheet.filter(modality=modality, status="performed")
    assert not rows.is_empty()
    for row in rows.iter_rows(named=True):
        yield dated[row["patient_id"], f"{row['collected_on']:%Y-%m-%d}"], Path(row["path"])


def test_simulate__writes_the_same_bytes_again(landing, tmp_path):
    """A clock or an unordered set in any file would make every rerun recompute every patient."""
    simulate(tmp_path, patients=PATIENTS, seed=SEED)
    assert digests(tmp_path) == digests(landing)


def test_simulate__another_seed_is_another_cohort(landing, tmp_path):
    simulate(tmp_path, patients=10, seed=SEED + 1)
    first, second = digests(landing), digests(tmp_path)
    assert not {first[name] for name in first if name.endswith("vcf.gz")} & set(second.values())


def test_simulate__patient_keeps_files_in_a_larger_cohort(landing, truth, tmp_path):
    """A patient drawn from a shared stream would change with everybody before."""
    simulate(tmp_path, patients=PATIENTS + 6, seed=SEED)
    larger = json.loads((tmp_path / "truth.json").read_text())["by_patient"]
    old, new = digests(landing), digests(tmp_path)
    same = [
        patient_id
        for patient_id, patient in truth["by_patient"].items()
        if larger[patient_id]["picture"] == patient["picture"]
    ]
    assert len(same) >= 3
    for patient_id in same:
        files = {n: digest for n, digest in old.items() if n.startswith(f"patients/{patient_id}/")}
        assert files.items() <= new.items()


def test_simulate__replaces_an_earlier_simulation(tmp_path):
    """Patients left over from a larger cohort would be files that no sheet knows."""
    simulate(tmp_path, patients=12, seed=1)
    simulate(tmp_path, patients=4, seed=2)
    assert len(list((tmp_path / "patients").iterdir())) <= 4


def test_simulate__spares_a_landing_zone_of_somebody_else(tmp_path):
    (tmp_path / "samplesheet.csv").write_text("patient_id\n")
    with pytest.raises(SettingsError, match="no simulation"):
        simulate(tmp_path, patients=4, seed=1)
    assert (tmp_path / "samplesheet.csv").read_text() == "patient_id\n"


@pytest.mark.parametrize(("patients", "corrupt"), [(0, 0), (4, -1), (4, 5)])
def test_simulate__refuses_impossible_numbers(tmp_path, patients, corrupt):
    with pytest.raises(SettingsError):
        simulate(tmp_path, patients=patients, seed=1, corrupt=corrupt)


def test_simulate__reports_each_patient(tmp_path):
    seen = []
    simulate(tmp_path, patients=3, seed=1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_sheet__lists_every_assay_of_the_truth(sheet, truth):
    """The sheet passes the intake's own checks; a missing row means not performed."""
    statuses = {
        (row["patient_id"], row["modality"], f"{row['collected_on']:%Y-%m-%d}"): row["status"]
        for row in sheet.iter_rows(named=True)
    }
    told = [
        (statuses.pop((patient_id, modality, specimen["collected_on"]), "not_performed"), status)
        for patient_id, patient in truth["by_patient"].items()
        for specimen in patient["specimens"]
        for modality, status in specimen["assays"].items()
    ]
    assert statuses == {}
    assert all(in_sheet == in_truth for in_sheet, in_truth in told)
    assert {"performed", "failed", "not_performed"} == {status for status, _ in told}
    callers = {"mutect2", "manta", "cnvkit", "star-fusion", "arriba"}
    assert callers | {"star", "htseq-count"} <= set(sheet["tool"])
    assert all(Path(path).is_file() for path in sheet["path"] if path)


def test_vcf__carries_planted_mutations_in_the_tumour(sheet, truth):
    """An independent reader; the normal stands first, so a reader by position is wrong."""
    paired = 0
    for specimen, path in performed(sheet, truth, "snv"):
        with pysam.VariantFile(str(path)) as vcf:
            assert vcf.index is not None
            lines = [str(line) for line in vcf.header.records]
            tumour = next(x.split("=")[1].strip() for x in lines if x.startswith("##tumor_sample"))
            paired += len(vcf.header.samples) == 2
            assert list(vcf.header.samples)[-1] == tumour
            records = {f"{r.chrom}:{r.pos}:{r.ref}:{r.alts[0]}": r for r in vcf}
            for planted in specimen["mutations"] + specimen["clonal_haematopoiesis"]:
                record = records[planted["variant"]]
                picked = next(c for c in record.info["CSQ"] if c.split("|")[21] == "1").split("|")
                assert list(record.filter) == ["PASS"]
                assert picked[3] == planted["gene"]
                assert picked[11].split(":")[1] == planted["hgvsp"]
                ref, alt = record.samples[tumour]["AD"]
                assert record.samples[tumour]["DP"] == ref + alt
                assert alt / (ref + alt) == pytest.approx(planted["vaf"], abs=0.2)
                assert all(r.samples[s]["DP"] > 0 for r in records.values() for s in r.samples)
    assert paired


def test_extractors__read_every_file_as_planted(sheet, truth):
    """The platform's own readers find each planted gene and fusion, and refuse no file."""
    for specimen, path in performed(sheet, truth, "snv"):
        burden = extract_snv(path, reference_build="GRCh38").blocks["snv_gene_burden"]
        assert {planted["gene"] for planted in specimen["mutations"]} <= set(burden.names)
    for specimen, path in performed(sheet, truth, "fusion"):
        found = extract_fusion(path, reference_build="GRCh38").features
        for name in specimen["fusions"]:
            assert found.get(name, found.get("PML::RARA")) is True
    for _, path in performed(sheet, truth, "expression"):
        extraction = extract_expression(path, reference_build="GRCh38")
        assert extraction.features["expression_unit"] == "counts"
        genes = sorted(extraction.blocks["expression"].names)
        assert genes == sorted(catalogue.transcriptome().genes)


def test_fusion_files__name_planted_fusions_or_hold_only_a_header(sheet, truth):
    header_only = 0
    for specimen, path in performed(sheet, truth, "fusion"):
        header, *rows = path.read_text().splitlines()
        called = {
            row.split("\t")[0].replace("--", "::")
            if header.startswith("#FusionName")
            else "::".join(row.split("\t")[:2])
            for row in rows
        }
        assert set(specimen["fusions"]) <= called
        assert all(row.count("\t") == header.count("\t") for row in rows)
        header_only += not rows
    assert header_only


def test_star_counts__add_up_over_the_strands(sheet, truth):
    """STAR's unstranded column is the sum of both strands; the first four rows are no genes."""
    stars = 0
    for _, path in performed(sheet, truth, "expression"):
        if not path.name.endswith("ReadsPerGene.out.tab"):
            continue
        stars += 1
        rows = [line.split("\t") for line in path.read_text().splitlines()]
        assert [row[0] for row in rows[:4]] == [
            "N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous",
        ]  # fmt: skip
        counts = np.array([row[1:] for row in rows[4:]], dtype=int)
        assert (counts[:, 0] == counts[:, 1] + counts[:, 2]).all()
        assert counts[:, 2].sum() > 10 * counts[:, 1].sum()
    assert stars


def test_expression__markers_follow_the_picture(sheet, truth):
    """Shifts with the wrong sign or of the wrong gene would leave nothing to learn."""
    levels: dict[str, list[dict[str, float]]] = {}
    for patient_id, patient in truth["by_patient"].items():
        rows = sheet.filter(
            pl.col("patient_id") == patient_id,
            pl.col("modality") == "expression",
            pl.col("status") == "performed",
        ).sort("collected_on")
        if rows.is_empty():
            continue
        block = extract_expression(Path(rows["path"][0]), reference_build=None).blocks["expression"]
        cpm = 1e6 * block.values / block.values.sum()
        levels.setdefault(patient["picture"], []).append(
            dict(zip(block.names, np.log2(cpm + 1), strict=True))
        )

    def mean(picture: str, gene: str) -> float:
        return float(np.mean([values[gene] for values in levels[picture]]))

    assert mean("cll", "ROR1") > mean("aml_npm1", "ROR1") + 1.5
    assert mean("aml_npm1", "HOXA9") > mean("cll", "HOXA9") + 1.5
    assert mean("apl", "HLA-DRA") < mean("aml_npm1", "HLA-DRA") - 1.5


def test_no_two_files_are_the_same(landing):
    """Header-only fusion files are alike by nature; anything else alike is a reused stream."""
    files = {n: d for n, d in digests(landing).items() if n.startswith("patients/")}
    repeated = {d for d, count in Counter(files.values()).items() if count > 1}
    twins = [name for name, digest in files.items() if digest in repeated]
    assert all(name.endswith(("fusions.tsv", "predictions.tsv")) for name in twins)
    assert all(len((landing / name).read_text().splitlines()) == 1 for name in twins)


def test_follow_up__differs_from_the_diagnosis(truth):
    """A join that ignores dates takes these later values; they must not be the same."""
    pairs = [p["specimens"] for p in truth["by_patient"].values() if len(p["specimens"]) == 2]
    assert {second["stage"] for _, second in pairs} == {"relapse", "remission"}
    for first, second in pairs:
        assert first["collected_on"] < second["collected_on"]
        if second["stage"] == "remission":
            assert second["mutations"] == second["fusions"] == []
        else:
            assert second["fusions"] == first["fusions"]


def test_clinical__one_row_per_patient_with_gaps(landing, truth):
    patients, diagnoses = (
        list(csv.DictReader((landing / f"clinical/{name}.csv").read_text().splitlines()))
        for name in ("patients", "diagnoses")
    )
    assert [row["patient_id"] for row in patients] == list(truth["by_patient"])
    for row, diagnosis in zip(patients, diagnoses, strict=True):
        planted = truth["by_patient"][row["patient_id"]]
        assert diagnosis["label_value"] == planted["label"]
        assert diagnosis["label_version"] == "WHO 2022"
        assert row["index_date"] == planted["specimens"][0]["collected_on"] < diagnosis["known_on"]
        shares = [float(row[name] or 0) for name in row if name.endswith("_pb_pct")]
        assert 0 <= sum(shares) <= 100.5
    gaps = np.mean([not row["wbc_10e9_per_l"] for row in patients])
    assert 0 < gaps < 0.3
    assert len({row["site"] for row in patients}) == 3


def test_quotas__are_the_labels_of_the_cohort(truth):
    counts = Counter(patient["entity"] for patient in truth["by_patient"].values())
    assert counts == {key: entity["patients"] for key, entity in truth["entities"].items()}
    assert sorted(counts.values(), reverse=True) == entity_quotas(PATIENTS).tolist()
