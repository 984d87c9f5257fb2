"""One home from Python: frames, differences, provenance, scores, reports; beside Feast.

    Home(path) -> frame, open, rebuild -> TrainingFrame -> Polars, pandas, matrix
               -> diff, explain, scores, ledger, report

What ``import oncoframe as of`` offers as ``of.Home``. It asks what the command line asks, through
the same functions, and needs no Dagster. Only a frame and a report are written, and who built a
frame is told to the audit log.
"""

import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from assets.scoring.table import current_scores
from assets.store.catalog import contracts
from assets.training import lineage
from assets.training.diff import FrameDiff, diff_frames
from assets.training.frames import FrameRequest
from assets.training.lineage import Explanation
from assets.training.sidecar import SIDECAR, read_sidecar
from assets.training.training_frame import TrainingFrame, read_training_frame
from feature_repo.client import open_store
from ml.study.definition import load_study, study_names
from oncoframe import ledger
from oncoframe.audit import AuditLog
from oncoframe.errors import SettingsError
from oncoframe.lake import Lake
from oncoframe.point_in_time import utc_time
from orchestration.frames import build_frame, rebuild_frame
from orchestration.settings import Settings

if TYPE_CHECKING:
    from feast import FeatureStore

__all__ = ["Explanation", "FrameDiff", "Home", "TrainingFrame"]

_FRAMES_SCHEMA = {
    "frame_id": pl.String,
    "study": pl.String,
    "as_of": pl.String,
    "rows": pl.Int64,
    "everyone": pl.Boolean,
}


class Home:
    """Everything that one home knows, for a data scientist.

    Parameters
    ----------
    path
        Folder of the home; ``$ONCOFRAME_HOME`` or ``.oncoframe`` unless told.

    Raises
    ------
    SettingsError
        If there is no home; none is made.

    Examples
    --------
    >>> import oncoframe as of
    >>> home = of.Home(".oncoframe")
    >>> frame = home.frame("synthetic_leukemia")
    >>> frame.labels.n_unique()
    2
    """

    def __init__(self, path: str | Path | None = None) -> None:
        settings = self._settings = Settings.load(home=path)
        parts = (settings.lake_dir, settings.frames_dir, settings.mlflow_db.parent)
        if not any(part.is_dir() for part in parts):
            raise SettingsError(
                "there is no home of OncoFrame",
                where=str(settings.home),
                hint="Fill one: oncoframe run --landing DIR --home DIR.",
            )

    @property
    def path(self) -> Path:
        """Folder of the home."""
        return self._settings.home

    @property
    def lake(self) -> Lake:
        """Tables as they lie on the disk, with every correction.

        Examples
        --------
        >>> import oncoframe as of
        >>> of.Home().lake.scan("cohort").select("patient_id").collect().height
        13
        """
        return Lake(self._settings.lake_dir)

    def feature_store(self) -> "FeatureStore":
        """Feast's feature store of this home, for questions that no study asks.

        Examples
        --------
        >>> import oncoframe as of
        >>> store = of.Home().feature_store()
        >>> [view.name for view in store.list_feature_views() if "fusion" in view.name]
        ['fusion_features']
        """
        return open_store(self.path)

    def studies(self) -> pl.DataFrame:
        """Studies that a frame can be asked for: ``study``, ``title``, ``label``, ``kind``.

        Examples
        --------
        >>> import oncoframe as of
        >>> of.Home().studies().filter(study="synthetic_leukemia")["label"].item()
        'who_diagnosis'
        """
        found = map(load_study, study_names())
        rows = [(study.name, study.title, study.label.name, study.label.kind) for study in found]
        return pl.DataFrame(rows, schema=["study", "title", "label", "kind"], orient="row")

    def frames(self) -> pl.DataFrame:
        """Frames that were built here, oldest knowledge first; ``everyone``: with unlabelled ones.

        Examples
        --------
        >>> import oncoframe as of
        >>> of.Home().frames().columns
        ['frame_id', 'study', 'as_of', 'rows', 'everyone']
        """
        folder = self._settings.frames_dir
        told = [read_sidecar(folder, file.parent.name) for file in folder.glob(f"*/{SIDECAR}")]
        rows = [[about.get(name) for name in _FRAMES_SCHEMA] for about in told]
        frames = pl.DataFrame(rows, schema=_FRAMES_SCHEMA, orient="row")
        return frames.sort(pl.col("as_of").str.to_datetime(time_zone="UTC"), "frame_id")

    def frame(
        self,
        study: str | Path,
        *,
        as_of: datetime | str | None = None,
        modalities: Sequence[str] | None = None,
    ) -> TrainingFrame:
        """Training frame of a study: the point-in-time join of its features, with labels.

        Parameters
        ----------
        study
            Name of a study, or a study file.
        as_of
            Nothing learned later is used, UTC unless it names a zone; all that is known unless
            told.
        modalities
            Feature tables to take in; all of the study unless told.

        Raises
        ------
        StudyError
            If there is no such study or modality, or no patient is left.

        Examples
        --------
        >>> import oncoframe as of
        >>> home = of.Home()
        >>> frame = home.frame("synthetic_leukemia", modalities=["fusion", "clinical"])
        >>> frame.to_pandas(["fusion_features__fusion_count"]).shape
        (12, 4)
        >>> home.frame("synthetic_leukemia", as_of="2024-01-02T12:00").as_of.isoformat()
        '2024-01-02T12:00:00+00:00'
        """
        request = FrameRequest(
            load_study(study),
            None if as_of is None else utc_time(as_of, where="as_of"),
            None if modalities is None else tuple(modalities),
        )
        return self.open(build_frame(self._settings, self.lake, request)["frame_id"])

    def open(self, frame_id: str) -> TrainingFrame:
        """Frame that was built before.

        Raises
        ------
        StudyError
            If there is no such frame.

        Examples
        --------
        >>> import oncoframe as of
        >>> home = of.Home()
        >>> frame = home.frame("synthetic_leukemia")
        >>> home.open(frame.id).rows.equals(frame.rows)
        True
        """
        return read_training_frame(self._settings.frames_dir / frame_id)

    def rebuild(self, frame_id: str) -> TrainingFrame:
        """Frame, joined once more from the versions of the tables that it was made of.

        Raises
        ------
        StudyError
            If there is no such frame, or another version of OncoFrame built it.

        Examples
        --------
        >>> import oncoframe as of
        >>> home = of.Home()
        >>> frame = home.frame("synthetic_leukemia")
        >>> home.rebuild(frame.id).rows.equals(frame.rows)
        True
        """
        folder = rebuild_frame(self._settings, self.lake, frame_id)
        try:
            return read_training_frame(folder)
        finally:
            shutil.rmtree(folder)

    def diff(self, a: str, b: str) -> FrameDiff:
        """Patients, columns and values that differ between two frames, each with the reason.

        Parameters
        ----------
        a, b
            Ids of frames.

        Raises
        ------
        StudyError
            If there is no such frame.

        Examples
        --------
        >>> import oncoframe as of
        >>> home = of.Home()
        >>> then = home.frame("synthetic_leukemia", as_of="2024-01-02")
        >>> now = home.frame("synthetic_leukemia")
        >>> home.diff(then.id, now.id).values.select("patient_id", "before", "after", "why").rows()
        [('P00', '0', '9', 'correction')]
        """
        return diff_frames(self.lake, self._settings.frames_dir, a, b)

    def explain(
        self, patient: str, feature: str, *, known_by: datetime | str | None = None
    ) -> Explanation:
        """Value of a feature of one patient, and its file, hash, tool, code version and run.

        Parameters
        ----------
        patient
            Pseudonym.
        feature
            Domain name (``BCR::ABL1``), column, or position of a block (``snv_gene_burden[TP53]``).
        known_by
            Explain what was known then, UTC unless it names a zone; now unless told.

        Raises
        ------
        StudyError
            If there is no such feature, or nothing is known of the patient.

        Examples
        --------
        >>> import oncoframe as of
        >>> home = of.Home()
        >>> found = home.explain("P00", "fusion_count")
        >>> found.value, found.tool, found.rows
        (9, 'STAR-Fusion', 2)
        >>> home.explain("P00", "fusion_count", known_by="2024-01-02").value
        0
        """
        time = None if known_by is None else utc_time(known_by, where="known_by")
        known = contracts(self._settings.center)
        return lineage.explain(self.lake, known, patient, feature, known_by=time)

    def scores(self, study: str | Path) -> pl.DataFrame:
        """Last answer of the champion on each patient, as the lake keeps it; none before the first.

        Raises
        ------
        StudyError
            If there is no such study.

        Examples
        --------
        >>> import oncoframe as of
        >>> of.Home().scores("synthetic_leukemia").select("patient_id", "prediction_set").rows()
        [('P00', ['ALL', 'AML'])]
        """
        return current_scores(self.lake, load_study(study).name)

    def ledger(self) -> pl.DataFrame:
        """What became of every patient and modality: outcome, error, file, attempts.

        Examples
        --------
        >>> import oncoframe as of
        >>> entries = of.Home().ledger()
        >>> entries.filter(outcome="quarantined").select("patient_id", "error").rows()
        [('P12', 'TruncatedFile')]
        """
        return ledger.current(self.lake)

    def report(
        self, study: str | Path, patient: str | None = None, *, out: Path | None = None
    ) -> Path:
        """HTML page of the newest model of a study, or of one patient.

        Parameters
        ----------
        patient
            Pseudonym; None for the page of the model.
        out
            File to write; in the reports of the home unless told.

        Raises
        ------
        StudyError
            If there is no such study, it was never trained, or its frames do not hold the patient.

        Examples
        --------
        >>> import oncoframe as of
        >>> of.Home().report("synthetic_leukemia").name
        'report.html'
        """
        # MLflow, matplotlib and scikit-learn take seconds, which no other question spends.
        from assets.models.pages import write_page, write_patient_page  # noqa: PLC0415
        from assets.promotion.gate import Place, verdict_on  # noqa: PLC0415
        from ml.registry.trainings import newest_training  # noqa: PLC0415

        settings, name = self._settings, load_study(study).name
        training = newest_training(name, store=settings.registry)
        if patient is not None:
            return write_patient_page(
                training,
                patient,
                frames_dir=settings.frames_dir,
                reports_dir=settings.reports_dir,
                lake=self.lake,
                language=settings.language,
                out=out,
            )
        log = AuditLog(settings.audit_log)
        place = Place(
            settings.registry, settings.frames_dir, settings.drift_dir, log, settings.approvers
        )
        return write_page(
            training,
            frames_dir=settings.frames_dir,
            reports_dir=settings.reports_dir,
            gate=verdict_on(training, place),
            language=settings.language,
            out=out,
        )

    def validate(self, study: str | Path, cohort: str) -> dict[str, Any]:
        """What the newest model of a study says of a site that its training never saw.

        Parameters
        ----------
        cohort
            Site, as the samplesheet or the clinical tables name it.

        Returns
        -------
        What ``oncoframe validate --json`` prints.

        Raises
        ------
        StudyError
            If the study was never trained, nobody of the site has a label, or the model learned
            from patients of the site.
        """
        from assets.models.fields import validate_elsewhere  # noqa: PLC0415  (as above)
        from ml.registry.tracking import log_validation  # noqa: PLC0415
        from ml.registry.trainings import newest_training  # noqa: PLC0415

        settings = self._settings
        declared = load_study(study)
        training = newest_training(declared.name, store=settings.registry)
        built = build_frame(settings, self.lake, FrameRequest(declared, cohort=cohort))
        found = validate_elsewhere(
            training,
            settings.frames_dir / built["frame_id"],
            frames_dir=settings.frames_dir,
            lake=self.lake,
            places=settings.places,
        )
        run_id = log_validation(found, cohort, training.run_id, store=settings.registry)
        return {
            "study": declared.name,
            "cohort": cohort,
            "model": training.best.name,
            "training_run_id": training.run_id,
            "frame_id": built["frame_id"],
            **found.as_dict(),
            "mlflow_run_id": run_id,
        }

    def __repr__(self) -> str:
        return f"Home({str(self.path)!r})"
