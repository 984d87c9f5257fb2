"""What the Dagster UI and the command line show of a candidate: tables of Markdown.

Challenge, Conditions -> Markdown
"""

from collections.abc import Sequence

from ml.intervals import Estimate
from ml.promotion.comparison import COMPARED, Challenge, Comparison
from ml.promotion.criteria import Condition


def conditions_table(conditions: Sequence[Condition]) -> str:
    """One row per condition."""
    lines = ["| condition | holds | what was found |", "| --- | --- | --- |"]
    for condition in conditions:
        # A bar in a sentence would end the cell.
        sentence = condition.sentence.replace("|", "\\|")
        lines.append(f"| {condition.name} | {'yes' if condition.passed else 'NO'} | {sentence} |")
    return "\n".join(lines)


def challenge_table(challenge: Challenge) -> str:
    """One row per metric: on all patients, and on those new to the champion."""
    rival = "champion" if challenge.has_champion else "most frequent class"
    lines = [f"| patients | metric | challenger | {rival} | difference |", "|" + " --- |" * 5]
    lines += _rows("all", challenge.overall)
    if challenge.on_newcomers is not None:
        lines += _rows("newcomers", challenge.on_newcomers)
    for group in challenge.groups:
        said = (f"{group.challenger:.3f}", f"{group.champion:.3f}", _signed(group.difference))
        name = f"{group.grouping} {group.group}, {group.patients}".replace("|", "\\|")
        lines.append(f"| {name} | accuracy | {' | '.join(said)} |")
    return "\n".join(lines)


def _rows(who: str, compared: Comparison) -> list[str]:
    rows = [
        f"| {who}, {compared.patients} | {name.replace('_', ' ')} "
        f"| {_plain(compared.challenger[name])} | {_plain(compared.champion[name])} "
        f"| {_signed(compared.difference[name])} |"
        for name in COMPARED
    ]
    other = "" if compared.ece_champion is None else f"{compared.ece_champion:.3f}"
    error = f"| {who}, {compared.patients} | calibration error | {compared.ece_challenger:.3f} "
    return [*rows, f"{error}| {other} | |"]


def _plain(of: Estimate) -> str:
    return f"{of.value:.3f} [{of.low:.3f}, {of.high:.3f}]"


def _signed(of: Estimate) -> str:
    return f"{of.value:+.3f} [{of.low:+.3f}, {of.high:+.3f}]"
