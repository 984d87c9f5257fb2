"""What the header of a VCF tells a person: the tools that made it, and the build.

    header -> callers_of, vcf_facts -> Facts

Of a command line only the name and the version of the tool are taken, never paths and arguments:
they hold names of people and patients.
"""

import re
from collections.abc import Iterable, Mapping

from assets.genomics.vcf.header import VcfHeader
from oncoframe.extraction import Facts, named_build

#: Tools that are listed; a merge of callers names a few, a history of bcftools many.
MAX_CALLERS = 8

_VERSION = r"(?P<version>\d[A-Za-z0-9.+-]{0,23})"
_NAME = r"(?P<name>[A-Za-z][A-Za-z0-9.+-]{0,31}?)"
#: A tool and perhaps its version: ``Mutect2``, ``freeBayes v1.3.6``, ``VarDict_v1.8.2``.
_TOOL = re.compile(rf"{_NAME}(?:(?:[ _]v?|v){_VERSION})?(?=[\s,;(]|$)")
_SOURCE = re.compile(r'##source="?(?P<text>[^"]{1,100})')
_SOURCE_VERSION = re.compile(rf'##source_version="?v?{_VERSION}')
#: ``##GATKCommandLine=<ID=Mutect2,...,Version="4.1.8.1",...>``, ``##DRAGENVersion=<ID=dragen,...``
_STRUCTURED = re.compile(
    rf"##[A-Za-z]+(?:CommandLine|Version)(?:\.\w+)?=<ID={_NAME}(?=[,>])"
    rf'(?:.*[,<]Version="?(?:SW: )?v?{_VERSION})?'
)
#: ``##purpleVersion=3.2``, ``##DeepVariant_version=1.1.0``.
_OF_TOOL = re.compile(rf'##{_NAME}_?[Vv]ersion="?v?{_VERSION}')
#: What marks a path or an address.
_PRIVATE = re.compile(r"[/\\@]")
_KNOWN_AS = {"GenerateSVCandidates": "Manta", "source": None, "file": None}


def vcf_facts(
    header: VcfHeader,
    reference_build: str | None,
    build: str | None,
    measures: Mapping[str, float] | None = None,
) -> Facts:
    """Callers and build of a VCF.

    Parameters
    ----------
    reference_build
        Build that was declared.
    build
        Build that was used.
    measures
        See :class:`~oncoframe.extraction.Facts`.
    """
    found, by = header.told_build()
    told = named_build(reference_build, build, by if found else "contigs")
    return Facts(callers_of(header.meta), *told, measures=measures or {})


def callers_of(meta: Iterable[str]) -> tuple[str, ...]:
    """Tools that meta lines name, each once, with its version where one is given."""
    versions: dict[str, str] = {}
    names: dict[str, str] = {}
    for name, version in _named(meta):
        key = name.lower()
        names.setdefault(key, name)
        versions[key] = versions.get(key) or version
        if len(names) == MAX_CALLERS:
            break
    return tuple(f"{name} {versions[key]}".rstrip() for key, name in names.items())


def _named(meta: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Name and version (empty if none is given) of every tool of the meta lines."""
    source = ""
    for line in meta:
        if version := _SOURCE_VERSION.match(line):
            if source:
                yield source, version["version"]
            continue
        found = _STRUCTURED.match(line) or _OF_TOOL.match(line)
        if said := _SOURCE.match(line):
            found = None if _PRIVATE.search(said["text"]) else _TOOL.match(said["text"])
        if found is None:
            continue
        name = _KNOWN_AS.get(found["name"], found["name"])
        if name is None:
            continue
        if said:
            source = name
        yield name, found["version"] or ""
