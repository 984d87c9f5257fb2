"""A registered version of a model and the names it goes by; knows no MLflow.

candidate of <study>_candidates -> champion of <study>
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Self

#: Names that point at one version each. Scientists move ``challenger``; nobody but the gate and
#: the rollback moves the other two.
Alias = Literal["challenger", "champion", "previous"]


def registered_name(study: str, alias: Alias) -> str:
    """Registered model that holds an alias.

    Whoever may write a registered model may move its aliases, so that what scientists write and
    what approvers release are two models (mlflow issue 24742).
    """
    return candidates_name(study) if alias == "challenger" else study


def candidates_name(study: str) -> str:
    """Registered model of the candidates of a study."""
    return f"{study}_candidates"


@dataclass(frozen=True)
class ModelVersion:
    """One version of a registered model.

    Parameters
    ----------
    study
        Whose model it is.
    version
        Number within ``name``.
    name
        Registered model: ``<study>``, or ``<study>_candidates``.
    training_run_id, model_run_id
        Runs of the training and of this model in it.
    frame_id
        Frame it was trained on.
    recipe, modality_set
        Which row of the result table it is.
    sha256
        Of the files that are asked: see :func:`ml.registry.files.folder_sha256`.
    candidate_version
        Version in ``<study>_candidates`` that it is a copy of; None for a candidate.
    created
        When it was registered, UTC.
    """

    study: str
    version: int
    name: str
    training_run_id: str
    model_run_id: str
    frame_id: str
    recipe: str
    modality_set: str
    sha256: str
    candidate_version: int | None
    created: datetime

    @classmethod
    def of_tags(
        cls,
        study: str,
        name: str,
        version: int | str,
        run_id: str | None,
        created_ms: int,
        tags: Mapping[str, str],
    ) -> Self:
        """Version as MLflow keeps it; one that was registered by other means has empty fields."""
        copied = tags.get("candidate_version")
        return cls(
            study=study,
            version=int(version),
            name=str(name),
            training_run_id=tags.get("training_run_id", ""),
            model_run_id=str(run_id or ""),
            frame_id=tags.get("frame_id", ""),
            recipe=tags.get("recipe", ""),
            modality_set=tags.get("modality_set", ""),
            sha256=tags.get("sha256", ""),
            candidate_version=int(copied) if copied else None,
            created=datetime.fromtimestamp(int(created_ms) / 1000, tz=UTC),
        )

    @property
    def label(self) -> str:
        """How sentences and the scores table call it."""
        return f"{self.name} {self.version}"
