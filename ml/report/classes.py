"""Classes in the words of the study: ``dead`` is read as "died within two years" all over a page.

    files of a training, words of its study -> copies that say them -> sections, figures

The files are translated, not the sections: whatever a section shows comes from them, so none can
forget to. Class names in files of models and frames stay as they are.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from ml.study.definition import Language
from ml.training.stored import StoredTraining, read_table

#: What a model is called, not a class; no value of these is translated.
_NO_CLASSES = frozenset(
    {"patient_id", "neighbour", "feature", "modality", "modalities", "uses", "one", "other",
     "metric", "grouping", "group", "recipe", "name", "kind", "study", "search", "state"}
)  # fmt: skip
_STUDY = "study.json"


def with_class_words(
    training: StoredTraining, scratch: Path, language: Language = "en"
) -> StoredTraining:
    """A training whose files call the classes as its study does.

    Parameters
    ----------
    training
        From the registry.
    scratch
        Empty folder for the translated files; it has to stay while the training is read.
    language
        Of the words, where the study gives them in several.
    """
    words = training.study.label.called(language)
    if not words:
        return training
    models = tuple(
        replace(model, folder=_translated(model.folder, scratch / str(at), words))
        for at, model in enumerate(training.models)
    )
    folder = _translated(training.folder, scratch / "training", words)
    return replace(training, folder=folder, models=models)


def _translated(source: Path, target: Path, words: Mapping[str, str]) -> Path:
    target.mkdir(parents=True)
    for file in source.iterdir():
        if file.name == _STUDY:
            _write(target / file.name, _study(json.loads(file.read_text("utf-8")), words))
        elif file.suffix == ".json":
            _write(target / file.name, _said(json.loads(file.read_text("utf-8")), words))
        elif file.suffix in {".csv", ".parquet"}:
            _write_table(read_table(source, file.name), target / file.name, words)
        elif file.is_file():
            shutil.copyfile(file, target / file.name)
    return target


def _write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _study(study: dict[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    """Definition of a study; classes stand in its label only."""
    label = {name: _said(value, words) for name, value in study["label"].items() if name != "words"}
    return {**study, "label": {**label, "name": study["label"]["name"], "words": dict(words)}}


def _said(value: Any, words: Mapping[str, str]) -> Any:
    """Content of a JSON file with classes in words, as values and as keys."""
    if isinstance(value, dict):
        return {
            words.get(key, key): inner if key in _NO_CLASSES else _said(inner, words)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_said(inner, words) for inner in value]
    return words.get(value, value) if isinstance(value, str) else value


def _write_table(table: pl.DataFrame | None, file: Path, words: Mapping[str, str]) -> None:
    if table is None:
        return
    text, sets = pl.String(), pl.List(pl.String())
    spoken = {name: kind for name, kind in table.schema.items() if name not in _NO_CLASSES}
    # A column of a class is called by what it holds: p[dead].
    renamed = {
        name: f"{kind}[{words[held.removesuffix(']')]}]"
        for name in table.columns
        for kind, bracket, held in [name.partition("[")]
        if bracket and held.removesuffix("]") in words
    }
    said = table.with_columns(
        pl.col([name for name, kind in spoken.items() if kind == text]).replace(dict(words)),
        pl.col([name for name, kind in spoken.items() if kind == sets]).list.eval(
            pl.element().replace(dict(words))
        ),
    ).rename(renamed)
    if file.suffix == ".csv":
        said.write_csv(file)
    else:
        said.write_parquet(file)
