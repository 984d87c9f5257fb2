"""What was planted, as ``truth.json`` tells it: the answers that a test compares with.

Plan, patients, corruptions -> truth document -> truth.json
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assets.simulate import catalogue
from assets.simulate.catalogue import LOOKALIKE_SHARE
from assets.simulate.clinical import LABEL_NAME, LABEL_VERSION
from assets.simulate.corrupt import Corruption
from assets.simulate.ct_files import PlantedCt
from assets.simulate.design import Plan
from assets.simulate.patient import PlantedCall, Specimen, SyntheticPatient
from assets.simulate.posterior import observed_bayes
from assets.simulate.smears.files import LandedSmear

TRUTH = "truth.json"
#: Version of the document's layout.
FORMAT = 1


def truth_document(
    plan: Plan,
    patients: Sequence[SyntheticPatient],
    corrupt_paths: Sequence[tuple[Corruption, str]],
    scans: Sequence[PlantedCt] = (),
    smears: Sequence[LandedSmear] = (),
) -> dict[str, Any]:
    """Everything planted in a cohort.

    Parameters
    ----------
    corrupt_paths
        Corruptions with their files, relative to the landing zone.
    scans
        CT studies.
    smears
        Marrow smears.

    Notes
    -----
    ``bayes_accuracy`` is that of :meth:`Plan.bayes_accuracy`; ``oracle_accuracy`` is the share of
    these very patients whose label the same decisions get right. The same with ``observed_`` come
    from the posterior of each patient given the assays that were performed.
    """
    decisions = plan.bayes_decisions()
    right = [plan.entities[decisions[p.picture_position]].key == p.entity.key for p in patients]
    bad = {
        corruption.patient_index: {
            "modality": corruption.modality.value,
            "path": path,
            "way": corruption.way.value,
            "error": corruption.error,
        }
        for corruption, path in corrupt_paths
    }
    expected, reached = observed_bayes(plan, patients)
    ct = {scan.patient_id: scan.truth() for scan in scans}
    smear = {found.patient_id: found.truth() for found in smears}
    counts = Counter(patient.entity.key for patient in patients)
    return {
        "format": FORMAT,
        "seed": plan.seed,
        "patients": len(patients),
        "corrupt": len(bad),
        "reference_build": "GRCh38",
        "label_name": LABEL_NAME,
        "label_version": LABEL_VERSION,
        "lookalike_share": LOOKALIKE_SHARE,
        "bayes_accuracy": round(plan.bayes_accuracy(), 6),
        "oracle_accuracy": round(sum(right) / len(right), 6),
        "observed_bayes_accuracy": round(expected, 6),
        "observed_oracle_accuracy": round(reached, 6),
        "entities": {entity.key: _entity(entity, counts[entity.key]) for entity in plan.entities},
        "by_patient": {
            p.patient_id: {
                **_patient(p, bad.get(p.index)),
                "ct": ct.get(p.patient_id),
                "smear": smear.get(p.patient_id),
            }
            for p in patients
        },
    }


def write_truth(landing: Path, document: dict[str, Any]) -> None:
    """Write ``truth.json`` beside the samplesheet."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    (landing / TRUTH).write_text(text + "\n", "utf-8")


def _entity(entity: catalogue.Entity, patients: int) -> dict[str, Any]:
    programs = catalogue.transcriptome().programs
    genes = catalogue.transcriptome().genes
    shifts = {
        genes[at]: shift for name, shift in entity.programs.items() for at in programs[name]
    } | entity.genes
    return {
        "name": entity.name,
        "patients": patients,
        "lookalikes": list(entity.lookalikes),
        "mutated_genes": _penetrances(entity.mutations),
        "fusions": {catalogue.fusions()[key].name: share for key, share in entity.fusions.items()},
        "karyotype": entity.karyotype,
        "genes_up": sorted(gene for gene, shift in shifts.items() if shift > 0),
        "genes_down": sorted(gene for gene, shift in shifts.items() if shift < 0),
    }


def _penetrances(mutations: dict[str, float]) -> dict[str, float]:
    """Gene -> largest penetrance of its targets."""
    largest: dict[str, float] = {}
    for name, share in mutations.items():
        gene = catalogue.targets()[name].gene
        largest[gene] = max(share, largest.get(gene, 0.0))
    return largest


def _patient(patient: SyntheticPatient, corrupt: dict[str, str] | None) -> dict[str, Any]:
    return {
        "index": patient.index,
        "entity": patient.entity.key,
        "label": patient.entity.name,
        "picture": patient.picture.key,
        "site": patient.site.name,
        "sex": patient.sex,
        "consent": patient.has_consent,
        "karyotype": list(patient.karyotype),
        "specimens": [_specimen(specimen) for specimen in patient.specimens],
        "corrupt": corrupt,
    }


def _specimen(specimen: Specimen) -> dict[str, Any]:
    return {
        "collected_on": specimen.collected_on.isoformat(),
        "stage": specimen.stage,
        "purity": round(specimen.purity, 4),
        "assays": {str(name): status.value for name, status in specimen.statuses.items()},
        "mutations": [_call(call) for call in specimen.calls],
        "clonal_haematopoiesis": [_call(call) for call in specimen.bystanders],
        "fusions": [catalogue.fusions()[name].name for name in specimen.fusions],
    }


def _call(call: PlantedCall) -> dict[str, Any]:
    variant = call.variant
    return {
        "gene": variant.gene,
        "hgvsp": variant.hgvsp,
        "variant": f"{variant.chrom}:{variant.pos}:{variant.ref}:{variant.alt}",
        "vaf": round(call.vaf, 4),
    }
