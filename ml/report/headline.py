"""Tiles at the top of a page: each number beside what it has to beat.

result.json, coverage.json -> Tile: value, interval, doing nothing, the simplest model, a verdict
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ml.report.blocks import Tile, interval, number, percent
from ml.report.facts import METRIC_NAMES, best_by, row_of
from ml.training.stored import StoredModel, StoredTraining, read_json

#: Metrics beside the one that decides, those that the model has.
_SHOWN = ("concordance", "accuracy", "auroc")
#: Metrics of which less is better.
LOSSES = frozenset({"log_loss", "brier"})
#: What a model reaches that knows nothing.
_CHANCE = {"auroc": 0.5, "concordance": 0.5}


def headline(training: StoredTraining, model: StoredModel) -> tuple[Tile, ...]:
    """The metric that decides first, then the others, and the prediction sets."""
    row, result = row_of(training.result, model), training.result
    decides = best_by(result)
    names = dict.fromkeys((*([decides] if decides else []), *_SHOWN))
    tiles = [_tile(name, row, result) for name in names if f"{name}_ci" in row]
    coverage = read_json(model.folder, "coverage.json")
    if coverage is not None:
        tiles.append(_of_sets(coverage))
    return tuple(tiles)


def _tile(name: str, row: Mapping[str, Any], result: Mapping[str, Any]) -> Tile:
    low, high = row[f"{name}_ci"]
    small = [f"95 % interval {number(low)} to {number(high)}"]
    nothing = _of_nothing(name, result)
    if nothing is not None:
        small.append(f"{nothing[0]} {number(nothing[1])}")
    simplest = result.get("simplest") or {}
    same = (simplest.get("recipe"), simplest.get("modalities")) == (
        row["recipe"], row["modalities"]
    )  # fmt: skip
    if simplest.get(name) is not None and not same:
        small.append(f"simplest model {number(simplest[name])}")
    called = METRIC_NAMES[name]
    return Tile(
        called[0].upper() + called[1:],
        number(row[name]),
        "; ".join(small),
        verdict="; ".join(_not_beaten(name, row, result)),
    )


def _of_nothing(name: str, result: Mapping[str, Any]) -> tuple[str, float] | None:
    """What is reached without a model, and how it is called."""
    if name == "accuracy" and result.get("majority_share") is not None:
        said = f" ({result['majority']})" if result.get("majority") else ""
        return f"always the most frequent class{said}", result["majority_share"]
    constant = (result.get("constant") or {}).get(name)
    if name in LOSSES and constant is not None:
        return "the class shares alone", constant
    return ("chance", _CHANCE[name]) if name in _CHANCE else None


def _not_beaten(name: str, row: Mapping[str, Any], result: Mapping[str, Any]) -> Iterator[str]:
    """What the number is not shown to be better than."""
    nothing = _of_nothing(name, result)
    low, high = row[f"{name}_ci"]
    if nothing is not None and not (high < nothing[1] if name in LOSSES else low > nothing[1]):
        yield f"does not beat {nothing[0].partition(' (')[0].removeprefix('always ')}"
    for rival in result.get("rivals") or []:
        if rival["metric"] == name and not rival["is_beaten"] and rival["kind"] != "constant":
            yield f"does not beat {rival['name']}"


def _of_sets(coverage: Mapping[str, Any]) -> Tile:
    asked, overall = coverage["asked"], coverage["overall"]
    _, low, high = overall
    size, answered = coverage["mean_size"][0], coverage["answered"][0]
    kept = low is not None and low <= asked <= high
    return Tile(
        "Sets with the true class",
        number(overall[0]),
        f"{percent(asked)} asked; interval {number(low)} to {number(high)}; "
        f"{number(size, 2)} classes per set; an answer for {percent(answered)} of the patients",
        verdict="" if kept or low is None else "not as promised",
    )


def rivals_in_words(result: Mapping[str, Any]) -> str:
    """What the best model is held against, and which of it is beaten; empty if nobody looked."""
    said = []
    for rival in result.get("rivals") or []:
        apart = interval(rival["difference"])
        verb = "beats" if rival["is_beaten"] else "does not beat"
        said.append(f"{verb} {rival['name']} ({METRIC_NAMES[rival['metric']]} {apart})")
    return "; ".join(said)
