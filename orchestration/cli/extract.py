"""The command ``extract``: one file or folder through its extractor, without lake or Dagster.

file -> worker process -> features and account, or the typed error
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from math import isnan
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from oncoframe import facts
from oncoframe.contracts import Status
from oncoframe.errors import FileMissing
from oncoframe.extraction import BlockValues, Extraction, FeatureValue, LandedFile, Optics
from oncoframe.modalities import assays, spec
from orchestration.cli.output import BAD_FILE, AsJson, Output, command, table
from orchestration.patients.describing import Described, Inspection, describe
from orchestration.patients.pool import WorkerPool
from orchestration.patients.worker import Reading, Task, read_patient
from orchestration.settings import Settings

commands = typer.Typer()


class _Extract(TyperCommand):
    """The command, whose help lists the modalities; they are loaded for the help only."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        lines = (
            f"[bold]{name}[/bold]: {found.words}; {found.files.words}"
            for name, found in assays().items()
            if found.files
        )
        self.epilog = "\n\n".join(lines)
        super().format_help(ctx, formatter)


@commands.command(cls=_Extract)
def extract(
    modality: Annotated[str, typer.Argument(help="What the file is, see below.")],
    path: Annotated[Path | None, typer.Argument(help="File, or folder of a study.")] = None,
    genome: Annotated[str | None, typer.Option(help="Genome build, for example GRCh38.")] = None,
    sample: Annotated[
        str | None, typer.Option(help="Sample to read, in a file of several.")
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="Ready CT volume (NIfTI, NRRD), in PATH if that is given.")
    ] = None,
    mask: Annotated[Path | None, typer.Option(help="Ready mask on the grid of --image.")] = None,
    settings: Annotated[
        str | None, typer.Option(help="Radiomics settings of a CT: shipped, or of the home.")
    ] = None,
    mask_rule: Annotated[
        str | None,
        typer.Option(
            help="Which segmentation: tumour, latest, largest, all, named:A,B; with +interpolate "
            "and +absent_images, as in tumour+interpolate."
        ),
    ] = None,
    pixel_size_um: Annotated[
        float | None, typer.Option(help="Smear: micrometres per pixel of its fields.")
    ] = None,
    stain: Annotated[str | None, typer.Option(help="Smear: stain, in words.")] = None,
    scanner: Annotated[str | None, typer.Option(help="Smear: scanner, in words.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read one file and show its features and what became of every record.

    Exit code 4 says that the file cannot be used.

    Examples: oncoframe extract snv tumour.vcf.gz --genome GRCh38 --json;
    oncoframe extract ct --image ct.nii.gz --mask tumour.nii.gz;
    oncoframe extract smear fields/ --pixel-size-um 0.2
    """
    if (path is None and image is None) or (image is None) != (mask is None):
        raise typer.BadParameter("name a PATH, or --image together with --mask")
    if image is not None and mask is not None and path is not None:
        image, mask, path = path / image, path / mask, None
    with command(as_json=as_json, exit_code=BAD_FILE) as output:
        if modality not in assays():
            known = ", ".join(assays())
            raise typer.BadParameter(f"no extractor for {modality} yet; there are: {known}")
        for given in (path, image, mask):
            if given is not None and not given.exists():
                raise FileMissing("the file is not there", where=str(given))
        if inspect := spec(modality).inspect:
            volume = (image, mask) if image and mask else None
            home = _once()
            optics = Optics(pixel_size_um=pixel_size_um, stain=stain, scanner=scanner)
            what = Inspection(
                inspect, path, volume, settings, mask_rule, home.radiomics_dir, optics
            )
            read = _in_worker(
                home, modality, path or image or Path(), None, partial(describe, what=what)
            )
            if isinstance(read, Described):
                _tell(output, modality, read.said, read.about)
        elif path is None:
            raise typer.BadParameter(f"{modality} is read from a PATH")
        else:
            _show(output, modality, path, genome, sample)


def _show(
    output: Output, modality: str, path: Path, genome: str | None, sample: str | None
) -> None:
    reading = _in_worker(_once(), modality, path.resolve(), genome, read_patient, sample=sample)
    found = reading.reads[0].extraction
    if found is None:
        msg = "a performed assay was read without an extraction"
        raise RuntimeError(msg)
    shown = table(f"{modality} features of {path.name}", ["feature"], ["value"])
    for name, value in found.features.items():
        shown.add_row(name, "" if value is None else f"{value}")
    told = facts.values(found)
    said = (f"{what}: {words}" for what, words in facts.in_words(told).items())
    output.say(shown, _account(found), *said)
    output.result(
        {
            "modality": modality,
            "status": Status.PERFORMED,
            "sample": found.sample,
            "records": found.records,
            "used": found.used,
            "filtered": sum(found.filtered.values()),
            "failed": sum(found.failed.values()),
            "filter_reasons": found.filtered,
            "failure_reasons": found.failed,
            "facts": {**told, "measures": dict(found.facts.measures)},
            "features": found.features,
            "blocks": {name: _named(block) for name, block in found.blocks.items()},
        }
    )


def _once() -> Settings:
    """Settings of the home, for one file that is tried once."""
    return Settings.load(workers=1, retry_tries=1)


def _in_worker(
    settings: Settings,
    modality: str,
    path: Path,
    genome: str | None,
    work: Callable[[Task], Reading],
    *,
    sample: str | None = None,
) -> Reading:
    """What a worker makes of a file, as in a run: bounded in time and memory."""
    file = LandedFile(
        patient_id="-",
        modality=modality,
        path=str(path),
        collected_on=datetime.now(tz=UTC),
        status=Status.PERFORMED,
        reference_build=genome,
        tool=None,
        site=None,
        sha256="",
        sample=sample,
    )
    with WorkerPool(settings) as pool:
        [finished] = pool.run([Task("-", modality, (file,))], work)
    if finished.reading.error is not None:
        raise finished.reading.error
    return finished.reading


def _tell(output: Output, modality: str, said: str, about: dict[str, Any]) -> None:
    shown = table(f"{spec(modality).words} features", ["feature"], ["value"])
    for feature, value in about["features"].items():
        shown.add_row(feature, _shown(value))
    output.say(shown, said)
    output.result(about)


def _shown(value: FeatureValue) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else f"{value}"


def _named(block: BlockValues | None) -> dict[str, float | None] | None:
    """Name -> value of a block; JSON has no NaN, so an unknown value is null."""
    if block is None:
        return None
    values = (None if isnan(value) else value for value in block.values.tolist())
    return dict(zip(block.names, values, strict=True))


def _account(found: Extraction) -> str:
    reasons = {**found.filtered, **found.failed}
    listed = "; ".join(f"{reason}: {number}" for reason, number in reasons.items())
    of = f" of sample {found.sample}" if found.sample else ""
    return f"{found.records} records{of}, {found.used} used" + (f"; {listed}" if listed else "")
