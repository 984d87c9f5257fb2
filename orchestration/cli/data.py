"""Commands on data: simulate, run, retry, status, explain; import has a module of its own.

landing zone -> run -> status -> retry; lake -> explain one value

Explaining answers in under two seconds: it imports neither Dagster nor Feast nor MLflow.
"""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from oncoframe import ledger
from oncoframe.lake import Lake
from oncoframe.ledger import Outcome
from oncoframe.point_in_time import utc_time
from orchestration.cli import importing
from orchestration.cli.output import QUARANTINED, AsJson, Home, command, table
from orchestration.cli.studies import times_to_answer, waiting_table
from orchestration.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestration.pipeline import Pipeline, RunReport


#: Patients with a CT in a simulated cohort; few, as each costs a second.
CT_PATIENTS = 4
#: Patients with a marrow smear, likewise.
SMEAR_PATIENTS = 8

commands = typer.Typer()
commands.add_typer(importing.commands, name="import")


@commands.command()
def simulate(
    folder: Annotated[Path, typer.Argument(help="New landing zone.")],
    patients: Annotated[int, typer.Option(min=1, help="Number of patients.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 1,
    corrupt: Annotated[int, typer.Option(min=0, help="Patients with one broken file each.")] = 0,
    ct: Annotated[int, typer.Option(min=0, help="Patients who also get a CT.")] = CT_PATIENTS,
    smears: Annotated[
        int, typer.Option(min=0, help="Patients who also get a marrow smear.")
    ] = SMEAR_PATIENTS,
    as_json: AsJson = False,
) -> None:
    """Write a synthetic leukemia cohort in real file formats, with its truth in truth.json.

    Example: oncoframe simulate landing --patients 60 --seed 1 --corrupt 3
    """
    from assets.simulate.landing_zone import simulate as write_cohort

    with command(as_json=as_json) as output:
        with output.progress() as progress, progress.count("simulate") as report:
            summary = write_cohort(
                folder,
                patients=patients,
                seed=seed,
                corrupt=corrupt,
                ct=ct,
                smears=smears,
                progress=report,
            )
        output.say(f"{patients} patients in {folder}; run them: oncoframe run --landing {folder}")
        output.result(asdict(summary))


@commands.command()
def simulate_smears(
    folder: Annotated[Path, typer.Argument(help="New landing zone.")],
    patients: Annotated[int, typer.Option(min=1, help="Number of patients.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 1,
    fields: Annotated[int, typer.Option(min=1, help="Fields of view per patient.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Write a synthetic cohort of donors, MDS and AML with nothing but marrow smears.

    Example: oncoframe simulate-smears landing --patients 120 --fields 4
    """
    from assets.simulate.smear_cohort import simulate_smears as write_cohort

    with command(as_json=as_json) as output:
        with output.progress() as progress, progress.count("simulate") as report:
            smears = write_cohort(
                folder, patients=patients, seed=seed, fields=fields, progress=report
            )
        classes = Counter(smear.planted.case.diagnosis for smear in smears)
        output.say(f"{patients} patients in {folder}; run them: oncoframe run --landing {folder}")
        output.result(
            {"landing": str(folder), "patients": patients, "files": len(smears),
             "classes": dict(sorted(classes.items()))}
        )  # fmt: skip


@commands.command()
def run(
    landing: Annotated[
        str | None, typer.Option(help="Landing zone; default: the one of the last run.")
    ] = None,
    only: Annotated[str | None, typer.Option(help="One stage, for example genomics.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Register patients and materialise all that is new or replaced.

    Exit code 3 says that some patients are in quarantine; see: oncoframe status --failed

    Example: oncoframe run --landing landing
    """
    _run(lambda pipeline: pipeline.run(only=only), landing, home, as_json=as_json)


@commands.command()
def retry(home: Home = None, as_json: AsJson = False) -> None:
    """Read the files of quarantined and failed patients again, repaired or not.

    Example: oncoframe retry
    """
    _run(lambda pipeline: pipeline.retry(), None, home, as_json=as_json)


@commands.command()
def status(
    failed: Annotated[bool, typer.Option("--failed", help="Who failed, and why.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show what became of the patients, by modality, and how long they waited for a score.

    Example: oncoframe status --failed
    """
    with command(as_json=as_json) as output:
        lake = Lake(Settings.load(home=home).lake_dir)
        entries = ledger.current(lake)
        if failed:
            bad = entries.filter(
                entries["outcome"].is_in([Outcome.QUARANTINED, Outcome.RETRY_LATER])
            )
            columns = ["patient_id", "modality", "error", "message", "file", "attempts"]
            shown = table(f"{len(bad)} failures", columns[:4])
            for row in bad.select(columns[:4]).iter_rows():
                shown.add_row(*row)
            output.say(shown)
            output.result({"failed": bad.select(columns).to_dicts()})
            return
        outcomes = Counter(zip(entries["modality"], entries["outcome"], strict=True))
        patients = entries["patient_id"].n_unique()
        shown = table(f"{patients} patients", ["modality"], list(Outcome))
        counts = {
            modality: {outcome.value: outcomes[modality, outcome] for outcome in Outcome}
            for modality in sorted(set(entries["modality"]))
        }
        for modality, by_outcome in counts.items():
            shown.add_row(modality, *map(str, by_outcome.values()))
        output.say(shown)
        waits = times_to_answer(lake)
        if waits:
            output.say(waiting_table(waits))
        output.result({"patients": patients, "modalities": counts, "time_to_answer": waits})


def _run(
    work: "Callable[[Pipeline], RunReport]",
    landing: str | None,
    home: Path | None,
    *,
    as_json: bool,
) -> None:
    from orchestration.pipeline import open_instance

    with command(as_json=as_json) as output:
        from orchestration.definitions import pipeline_of

        settings = Settings.load(home=home, landing=landing)
        with output.progress() as progress, open_instance(settings.dagster_dir) as instance:
            report = work(pipeline_of(settings, instance, progress))
        settings.remember_landing()
        output.say(
            f"{report.patients} patients: {report.ok} computed, {report.skipped} unchanged, "
            f"{report.quarantined} in quarantine; {report.seconds:.1f} s"
        )
        if report.quarantined:
            output.say("Why: oncoframe status --failed")
        output.result(asdict(report))
    if report.quarantined:
        raise typer.Exit(QUARANTINED)


@commands.command()
def explain(
    patient_id: Annotated[str, typer.Argument(metavar="PATIENT", help="Pseudonym.")],
    feature: Annotated[
        str, typer.Argument(help="For example NPM1_variants, BCR::ABL1 or snv_gene_burden[TP53].")
    ],
    as_of: Annotated[
        str | None, typer.Option(help="Explain what was known then (ISO time); default: now.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say what a value is and where it comes from: file and hash, tool, code, settings, run.

    Example: oncoframe explain SYN-0001 BCR::ABL1
    """
    from assets.store.catalog import contracts
    from assets.training.lineage import explain as explain_value

    with command(as_json=as_json) as output:
        settings = Settings.load(home=home)
        lake, known = Lake(settings.lake_dir), contracts(settings.center)
        known_by = None if as_of is None else utc_time(as_of, where="option --as-of")
        found = explain_value(lake, known, patient_id, feature, known_by=known_by)
        shown = table(escape(f"{feature} of {patient_id}"), ["what", "is"])
        for name, value in asdict(found).items():
            if value not in (None, {}):
                shown.add_row(name, escape(str(value)))
        output.say(shown)
        output.result(asdict(found))
