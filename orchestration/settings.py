"""Settings: the only reader of the environment; everything else receives values.

    command line > ONCOFRAME_* variables > <home>/settings.yaml > defaults

Constants that change what a feature means are no settings: they are code, with a code version.
"""

import os
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from assets.imaging.contract import SETTINGS as CT_SETTINGS
from assets.imaging.rules import MaskRule
from assets.imaging.settings import load_settings
from ml.registry.store import Store
from ml.smears.places import Places
from ml.study.definition import Language
from oncoframe.audit import AUDIT_LOG
from oncoframe.errors import SettingsError
from oncoframe.files import join
from oncoframe.migration import refuse_other_version
from oncoframe.reference.builds import GRCH37, GRCH38
from oncoframe.reference.load import AnnotationFiles

PROJECT = Path(__file__).resolve().parent.parent
SETTINGS_FILE = "settings.yaml"
_REFERENCE_FILES = (
    "annotation_grch37", "annotation_grch38", "cytobands_grch37", "cytobands_grch38",
)  # fmt: skip

_CRON = r"^\S+( +\S+){4}$"


class Settings(BaseSettings):
    """Where things are and how much of the machine a run may use.

    Parameters
    ----------
    home
        Folder of lake, Dagster, Feast and MLflow state.
    landing
        Folder or ``s3://`` address of the landing zone; the one last run, unless told.
    workers
        Processes that read patients' files.
    chunk_patients
        Patients per Dagster run; a run costs 0.3 s whatever its size.
    commit_patients
        Patients per lake commit: what a kill can cost.
    patient_timeout_s
        Longest time one patient and modality may take.
    worker_memory_mb
        Address space of one worker in MB, besides what its libraries take up at its start; a file
        that needs more costs its patient only.
    retry_wait_s, retry_factor, retry_tries
        Exponential backoff of transient errors (I/O, throttling).
    mrn_key
        Secret that turns medical record numbers into pseudonyms, and hides UIDs and dates of CT.
    annotation_grch37, annotation_grch38
        GTF of GENCODE or Ensembl (or a table of genes) per build; without it the built-in genes.
    cytobands_grch37, cytobands_grch38
        UCSC table of cytogenetic bands per build; without it the built-in one.
    language
        That reports call classes in, where a study says how: ``en`` or ``de``.
    ct_settings, ct_mask_rule
        Radiomics settings (a file in ``assets/imaging/settings`` or ``<home>/radiomics``), and
        which segmentation is the tumour: tumour, latest, largest, all, or named:NAME,NAME, with
        ``+interpolate`` and ``+absent_images``. Each row carries both, and a study refuses to mix
        them.
    smear_weights
        Folder with ImageNet weights of networks on smears, files named as torchvision names them;
        nothing is downloaded.
    clinical
        Folder of a dbt package with the center's own clinical columns; ``<home>/clinical`` unless
        told, where there is one.
    mlflow_uri
        ``http(s)://`` address of an MLflow server that keeps trainings and models; without it they
        are kept in the home, without a server. User and password are MLflow's own variables.
    automatic
        Whether schedules and sensors run until somebody stops them in the UI; else they rest until
        somebody starts them there.
    nightly_cron, retrain_cron, outliers_cron
        When patients are scored and drift is judged, when models are trained again, and when files
        are held against those of the cohort: five cron fields, UTC.
    approvers, scientists
        Who may promote a model and roll back to another; who may propose one. Users of the MLflow
        server where there is one.
    """

    model_config = SettingsConfigDict(
        env_prefix="ONCOFRAME_", env_ignore_empty=True, extra="forbid", frozen=True
    )

    home: Path = Path(".oncoframe")
    landing: str | None = None
    workers: PositiveInt = Field(default_factory=lambda: len(os.sched_getaffinity(0)))
    chunk_patients: PositiveInt = 500
    commit_patients: PositiveInt = 100
    patient_timeout_s: PositiveFloat = 900.0
    worker_memory_mb: int = Field(default=4096, ge=1024)
    retry_wait_s: PositiveFloat = 15.0
    retry_factor: PositiveFloat = 1.5
    retry_tries: PositiveInt = 8
    mrn_key: SecretStr | None = None
    annotation_grch37: Path | None = None
    annotation_grch38: Path | None = None
    cytobands_grch37: Path | None = None
    cytobands_grch38: Path | None = None
    language: Language = "en"
    ct_settings: str = CT_SETTINGS
    ct_mask_rule: str = MaskRule().label
    smear_weights: Path | None = None
    clinical: Path | None = None
    mlflow_uri: str | None = Field(default=None, pattern=r"^https?://[^@]+$")
    automatic: bool = False
    nightly_cron: str = Field(default="0 1 * * *", pattern=_CRON)
    retrain_cron: str = Field(default="0 2 * * 1", pattern=_CRON)
    outliers_cron: str = Field(default="0 3 * * 1", pattern=_CRON)
    approvers: tuple[str, ...] = ()
    scientists: tuple[str, ...] = ()

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Settings of a home that this version can work with; as :meth:`read`.

        Raises
        ------
        HomeError
            If a newer version wrote the home, or its tables have to be migrated first.
        """
        settings = cls.read(**given)
        refuse_other_version(settings.home)
        return settings

    @classmethod
    def read(cls, **given: Any) -> Self:
        """Settings of a home of any version, with values given on the command line first.

        Raises
        ------
        SettingsError
            If a value cannot be used; the sentence names the setting.
        """
        values = {name: value for name, value in given.items() if value is not None}
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise SettingsError(
                first["msg"],
                where=f"setting {name}",
                hint=f"It comes from the command line, ONCOFRAME_{name.upper()} or {SETTINGS_FILE}",
            ) from error
        except (yaml.YAMLError, ValueError) as error:
            raise SettingsError(
                "the file is not YAML with one setting per line",
                where=SETTINGS_FILE,
                expected="lines such as workers: 2",
            ) from error

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of the sources; the home decides which settings file is read."""
        del dotenv_settings, file_secret_settings
        home = init_settings().get("home") or env_settings().get("home") or ".oncoframe"
        file = YamlConfigSettingsSource(settings_cls, Path(home) / SETTINGS_FILE)
        return init_settings, env_settings, file

    def model_post_init(self, _: Any) -> None:
        """Make folders absolute, so that a change of folder does not move them."""
        object.__setattr__(self, "home", self.home.expanduser().resolve())
        if self.landing is not None:
            object.__setattr__(self, "landing", join(str(Path.cwd()), self.landing))
        for name in (*_REFERENCE_FILES, "clinical"):
            if (path := getattr(self, name)) is not None:
                object.__setattr__(self, name, path.expanduser().resolve())
        # What cannot be used is said before anything runs.
        load_settings(self.ct_settings, self.radiomics_dir)
        MaskRule.parse(self.ct_mask_rule)

    @property
    def reference_dir(self) -> Path:
        """Genes and bands of the user's annotation, as workers read them."""
        return self.home / "reference"

    @property
    def annotation_files(self) -> dict[str, AnnotationFiles]:
        """Build -> annotation files that the user gives."""
        return {
            GRCH37: AnnotationFiles(self.annotation_grch37, self.cytobands_grch37),
            GRCH38: AnnotationFiles(self.annotation_grch38, self.cytobands_grch38),
        }

    @property
    def lake_dir(self) -> Path:
        """Delta tables."""
        return self.home / "lake"

    @property
    def dagster_dir(self) -> Path:
        """Dagster instance: runs, events, schedules (``DAGSTER_HOME``)."""
        return self.home / "dagster"

    @property
    def pictures_dir(self) -> Path:
        """Pictures of extractions, by modality and patient."""
        return self.home / "pictures"

    @property
    def mask_rule(self) -> MaskRule:
        """Rule of the masks, parsed."""
        return MaskRule.parse(self.ct_mask_rule)

    @property
    def radiomics_dir(self) -> Path:
        """Radiomics settings of the center's own."""
        return self.home / "radiomics"

    @property
    def frames_dir(self) -> Path:
        """Training frames, one folder per frame id."""
        return self.home / "frames"

    @property
    def places(self) -> Places:
        """Where networks on smears find fields and weights, and leave checkpoints."""
        weights = None if self.smear_weights is None else self.smear_weights.expanduser().resolve()
        return Places(self.home / "smears", weights, self.home / "mlflow" / "checkpoints")

    @property
    def clinical_db(self) -> Path:
        """DuckDB file that dbt builds."""
        return self.home / "clinical.duckdb"

    @property
    def center(self) -> Path | None:
        """Dbt package with the center's own clinical columns, if there is one."""
        folder = self.clinical or self.home / "clinical"
        return folder if self.clinical or folder.is_dir() else None

    @property
    def mlflow_db(self) -> Path:
        """SQLite file of the tracking store."""
        return self.home / "mlflow" / "mlflow.db"

    @property
    def mlflow_artifacts(self) -> Path:
        """Folder of models and figures."""
        return self.home / "mlflow" / "artifacts"

    @property
    def registry(self) -> Store:
        """Trainings and models: in the home, or on the MLflow server."""
        if self.mlflow_uri is not None:
            return Store(self.mlflow_uri, self.mlflow_artifacts)
        return Store.of_file(self.mlflow_db, self.mlflow_artifacts)

    @property
    def audit_log(self) -> Path:
        """Who pulled frames, promoted, rolled back and scored."""
        return self.home / AUDIT_LOG

    @property
    def drift_dir(self) -> Path:
        """Newest verdicts on drift, by study and frame of the model."""
        return self.home / "drift"

    @property
    def reports_dir(self) -> Path:
        """HTML pages of studies and patients."""
        return self.home / "reports"

    def mrn_secret(self) -> bytes | None:
        """Key of the pseudonyms, as bytes."""
        return self.mrn_key.get_secret_value().encode() if self.mrn_key else None

    def require_landing(self) -> str:
        """Address of the landing zone.

        Raises
        ------
        SettingsError
            If none is known.
        """
        if self.landing is None:
            raise SettingsError(
                "no landing zone is known",
                where="setting landing",
                hint="Name it: oncoframe run --landing DIR.",
            )
        return self.landing

    def remember_landing(self) -> None:
        """Write the landing zone to the settings file, for the UI and the schedules."""
        file = self.home / SETTINGS_FILE
        values = yaml.safe_load(file.read_text()) if file.exists() else None
        if (values or {}).get("landing") != self.landing:
            self.home.mkdir(parents=True, exist_ok=True)
            file.write_text(yaml.safe_dump({**(values or {}), "landing": self.landing}))
