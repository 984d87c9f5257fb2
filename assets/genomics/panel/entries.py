"""The panel of biomarkers: the rules of ``panel.yaml``, read and checked.

    panel.yaml -> load_panel -> Panel(entries: id, rule, entity, evidence, version)

A biomarker is a rule over what assays found. Its parts:

=================  ===============================================================================
key of a rule      what it asks, and of which sources
=================  ===============================================================================
``variant``        protein changes (snv): ``gene``; ``residues`` [first, last]; ``kinds`` missense,
                   in_frame, insertion, frameshift, loss; ``alternates`` new residues;
                   ``at_least`` n of them, with ``min_vaf`` or ``above_vaf``
``mutated``        genes with any protein-altering variant (snv)
``fusion``         gene pairs ``A::B``, either product (fusion, sv)
``rearranged``     genes fused with any partner (fusion, sv)
``karyotype``      rearrangements, as :func:`~assets.genomics.karyotype.rearrangements.pattern`
                   reads them
``lost, gained``   chromosomes, arms, bands (karyotype, cnv)
``deleted``        genes (cnv); ``amplified`` likewise
``modal_number``   chromosomes per cell of an abnormal clone, [least, most] (karyotype)
``abnormalities``  number of unrelated abnormalities, [least, most or null] (karyotype)
``complex``,       true: such a karyotype
``monosomal``
``silent``         sources that can affirm this biomarker but not exclude it
``expression``     a gene, in proportion to housekeeping genes; the biomarker is a number
``any, all,        of other rules, or ids of other entries; ``none`` of them; ``at_least`` n ``of``
none``
=================  ===============================================================================

The first eleven may stand together: they are one finding, which any of its sources may affirm.
``any``, ``all``, ``none`` and ``at_least`` stand alone.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from assets.genomics.karyotype.cytogenetics import region
from assets.genomics.karyotype.rearrangements import pattern
from assets.genomics.panel.hotspots import variant_rule
from assets.genomics.panel.rules import (
    Combination,
    Entry,
    Expression,
    Finding,
    Panel,
    Rule,
    Source,
    findings,
)
from oncoframe.errors import PanelError
from oncoframe.reference.genes import DRIVER_GENES

PANEL = Path(__file__).with_name("panel.yaml")
#: The parser of libyaml reads the panel ten times faster; not every build of PyYAML has it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def load_panel(path: Path = PANEL) -> Panel:
    """Panel of a file.

    Raises
    ------
    PanelError
        If the file is not there, not YAML, or breaks a rule; the sentence names the entry.
    """
    where = path.name
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _LOADER)  # noqa: S506  # a safe loader
    except FileNotFoundError as error:
        raise PanelError("the panel is not there", where=str(path)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PanelError("the panel is not YAML", where=where) from error
    keys = {"version": str, "references": dict, "housekeeping": list, "entries": list}
    content = _fields(content, keys, where)
    citations = {name: _citation(about, where) for name, about in content["references"].items()}
    entries = tuple(_entry(raw, citations, where) for raw in content["entries"])
    _refuse_bad_references(entries, where)
    return Panel(
        content["version"], entries, _texts(content["housekeeping"], "housekeeping", where)
    )


def _fields(raw: Any, keys: Mapping[str, type], where: str) -> dict[str, Any]:
    """Mapping with exactly these keys, each of its type."""
    if not isinstance(raw, dict) or set(raw) != set(keys):
        got = ", ".join(map(str, raw)) if isinstance(raw, dict) else type(raw).__name__
        raise PanelError("keys differ", where=where, expected=", ".join(keys), got=got)
    for key, kind in keys.items():
        if not isinstance(raw[key], kind) or (kind in (str, list, dict) and not raw[key]):
            raise PanelError(f"{key} cannot be used", where=where, expected=f"a {kind.__name__}")
    return raw


def _citation(about: Any, where: str) -> str:
    if not isinstance(about, dict) or not set(about) <= {"cite", "doi"} or "cite" not in about:
        raise PanelError("a reference needs cite, and may have doi", where=where)
    return f"{about['cite']}, doi:{about['doi']}" if "doi" in about else str(about["cite"])


def _entry(raw: Any, citations: Mapping[str, str], where: str) -> Entry:
    keys = {"id": str, "title": str, "rule": dict, "entity": dict, "evidence": list, "version": int}
    name = raw.get("id") if isinstance(raw, dict) else None
    where = f"{where}, entry {name}"
    raw = _fields(raw, keys, where)
    entity = _fields(raw["entity"], {"who": str, "icc": str}, where)
    unknown = [str(key) for key in raw["evidence"] if key not in citations]
    if unknown:
        raise PanelError("evidence names no reference", where=where, got=", ".join(unknown))
    rule = _rule(raw["rule"], where)
    digest = sha256(json.dumps(raw["rule"], sort_keys=True).encode()).hexdigest()
    if isinstance(rule, str) or sum(bool(f.variant) for f in findings(rule)) > 1:
        raise PanelError("protein changes of an entry stand in one finding", where=where)
    return Entry(
        raw["id"], raw["title"], rule, entity["who"], entity["icc"],
        tuple(citations[key] for key in raw["evidence"]), raw["version"], digest,
    )  # fmt: skip


def _rule(raw: Any, where: str) -> Rule:
    if isinstance(raw, str):
        return raw
    if not isinstance(raw, dict) or not raw:
        raise PanelError("a rule is a mapping or an id", where=where, got=type(raw).__name__)
    if set(raw) == {"expression"}:
        return Expression(str(raw["expression"]))
    for operator in ("any", "all", "none"):
        if operator in raw:
            _alone(raw, {operator}, where)
            return Combination(operator, _parts(raw[operator], where))
    if "of" in raw:
        _alone(raw, {"at_least", "of"}, where)
        parts = _parts(raw["of"], where)
        if not isinstance(raw["at_least"], int) or not 1 <= raw["at_least"] <= len(parts):
            raise PanelError("at_least is not a number of the rules", where=where)
        return Combination("at_least", parts, raw["at_least"])
    return _finding(raw, where)


def _alone(raw: dict[str, Any], keys: set[str], where: str) -> None:
    if set(raw) != keys:
        raise PanelError("a combination stands alone", where=where, got=", ".join(map(str, raw)))


def _parts(raw: Any, where: str) -> tuple[Rule, ...]:
    if not isinstance(raw, list) or not raw:
        raise PanelError("a combination needs a list of rules", where=where)
    return tuple(_rule(part, where) for part in raw)


def _texts(raw: Any, key: str, where: str) -> tuple[str, ...]:
    if not isinstance(raw, list) or not all(isinstance(text, str) and text for text in raw):
        raise PanelError(f"{key} is not a list of names", where=where)
    return tuple(raw)


_NAMES = ("mutated", "fusion", "rearranged", "karyotype", "lost", "gained", "deleted", "amplified")


def _finding(raw: dict[str, Any], where: str) -> Finding:
    known = {*_NAMES, "variant", "modal_number", "abnormalities", "complex", "monosomal", "silent"}
    if not set(raw) <= known:
        unknown = ", ".join(sorted(map(str, set(raw) - known)))
        raise PanelError("a rule has unknown keys", where=where, got=unknown)
    names = {key: _texts(raw[key], key, where) for key in _NAMES if key in raw}
    try:
        variants = tuple(variant_rule(one) for one in raw.get("variant", ()))
        for text in names.get("karyotype", ()):
            pattern(text)
        for text in (*names.get("lost", ()), *names.get("gained", ())):
            region(text)
        silent = frozenset(Source(name) for name in raw.get("silent", ()))
        modal = tuple(int(n) for n in raw.get("modal_number", ()))
        numbers = tuple(None if n is None else int(n) for n in raw.get("abnormalities", ()))
    except (ValueError, TypeError, KeyError) as error:
        raise PanelError(f"a rule cannot be read: {error}", where=where) from error
    wrong = [g for g in names.get("mutated", ()) if g not in DRIVER_GENES]
    wrong += [pair for pair in names.get("fusion", ()) if len(pair.split("::")) != 2]  # noqa: PLR2004
    if wrong or len(modal) not in (0, 2) or len(numbers) not in (0, 2):
        raise PanelError(
            "a rule names what cannot be asked",
            where=where,
            expected="driver genes, pairs A::B, ranges of two numbers",
            got=", ".join(wrong) or None,
        )
    return Finding(
        variant=variants,
        silent=silent,
        modal_number=(modal[0], modal[1]) if modal else None,
        abnormalities=(numbers[0] or 0, numbers[1]) if numbers else None,
        complex=bool(raw.get("complex")),
        monosomal=bool(raw.get("monosomal")),
        **names,
    )


def _refuse_bad_references(entries: tuple[Entry, ...], where: str) -> None:
    """Refuse ids that are there twice, rules that name no entry, and rules in a circle."""
    ids = [entry.id.lower() for entry in entries]
    twice = sorted({entry.id for entry in entries if ids.count(entry.id.lower()) > 1})
    if twice:
        raise PanelError("ids are there twice", where=where, got=", ".join(twice))
    named = {entry.id: set(_named(entry.rule)) for entry in entries}
    for name, others in named.items():
        if missing := sorted(others - set(named)):
            raise PanelError(
                "a rule names no entry", where=f"{where}, entry {name}", got=missing[0]
            )
    settled: set[str] = set()
    while left := {name for name in named if name not in settled}:
        ready = {name for name in left if named[name] <= settled}
        if not ready:
            raise PanelError("rules refer to each other in a circle", where=where, got=min(left))
        settled |= ready


def _named(rule: Rule) -> Iterator[str]:
    if isinstance(rule, str):
        yield rule
    elif isinstance(rule, Combination):
        for part in rule.parts:
            yield from _named(part)
