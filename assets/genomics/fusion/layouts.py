"""Columns of the fusion callers that are read: what each calls the same thing.

References
----------
STAR-Fusion wiki "Output"; Arriba "Output files"; FusionCatcher manual; DRAGEN "Gene fusion
detection"; JAFFA wiki "Output"; Haas et al., Genome Biology 2019 (the other callers). FusionHunter
and MapSplice, which write no table with named genes per column, are not read.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class FusionLayout:
    """Columns of one caller; names in lower case without a leading ``#``.

    Parameters
    ----------
    caller
        Its name, for messages and facts.
    required
        Columns that must be there for the caller to be recognised.
    partners
        Columns of the 5' and the 3' gene; a single one that is there holds both.
    separator
        Between the genes where one column holds both.
    reads
        Columns whose sum is the support.
    frame
        Column that may tell the reading frame.
    confidence
        Column and the values (lower case) of a call that the caller doubts.
    passing
        Column and the values (lower case) of a call that the caller believes.
    read_through
        Column and a text in it (lower case) that marks transcription into the next gene.
    sample
        Column that names the sample, in tables of several.
    no_gene
        What stands for a breakpoint where there is no gene; any other gap is a missing name.
    """

    caller: str
    required: frozenset[str]
    partners: tuple[str, ...]
    separator: str
    reads: tuple[str, ...]
    frame: str | None = None
    confidence: tuple[str, frozenset[str]] | None = None
    passing: tuple[str, frozenset[str]] | None = None
    read_through: tuple[str, str] | None = None
    sample: str | None = None
    no_gene: str | None = None


#: Callers that are recognised, first that fits.
LAYOUTS = (
    FusionLayout(
        "STAR-Fusion",
        frozenset({"fusionname", "junctionreadcount", "spanningfragcount"}),
        ("leftgene", "rightgene", "fusionname"),
        "--",
        ("junctionreadcount", "spanningfragcount"),
        frame="prot_fusion_type",
    ),
    FusionLayout(
        "STAR-Fusion before 1.0",
        frozenset({"fusion_name", "junctionreads", "spanningfrags"}),
        ("leftgene", "rightgene", "fusion_name"),
        "--",
        ("junctionreads", "spanningfrags"),
    ),
    FusionLayout(
        "Arriba",
        frozenset({"gene1", "gene2", "breakpoint1", "breakpoint2", "confidence"}),
        ("gene1", "gene2"),
        "",
        ("split_reads1", "split_reads2", "discordant_mates"),
        frame="reading_frame",
        confidence=("confidence", frozenset({"low"})),
        read_through=("type", "read-through"),
        no_gene=".",
    ),
    FusionLayout(
        "FusionCatcher",
        frozenset({"gene_1_symbol(5end_fusion_partner)", "gene_2_symbol(3end_fusion_partner)"}),
        ("gene_1_symbol(5end_fusion_partner)", "gene_2_symbol(3end_fusion_partner)"),
        "",
        ("spanning_pairs", "spanning_unique_reads"),
        frame="predicted_effect",
        read_through=("fusion_description", "readthrough"),
    ),
    FusionLayout(
        "DRAGEN",
        frozenset({"fusiongene", "leftbreakpoint", "rightbreakpoint"}),
        ("fusiongene",),
        "--",
        ("numsplitreads", "numpairedreads"),
        passing=("filter", frozenset({"pass", "."})),
    ),
    FusionLayout(
        "JAFFA",
        frozenset({"fusion genes", "spanning pairs", "spanning reads", "classification"}),
        ("fusion genes",),
        ":",
        ("spanning pairs", "spanning reads"),
        frame="inframe",
        confidence=("classification", frozenset({"lowconfidence"})),
        read_through=("classification", "regulartranscript"),
        sample="sample",
    ),
    FusionLayout(
        "EricScript",
        frozenset({"genename1", "genename2", "crossingreads", "spanningreads"}),
        ("genename1", "genename2"),
        "",
        ("crossingreads", "spanningreads"),
    ),
    FusionLayout(
        "deFuse",
        frozenset({"gene_name1", "gene_name2", "span_count", "splitr_count"}),
        ("gene_name1", "gene_name2"),
        "",
        ("span_count", "splitr_count"),
        read_through=("readthrough", "y"),
    ),
    FusionLayout(
        "InFusion",
        frozenset({"genes_1", "genes_2", "num_span", "num_paired"}),
        ("genes_1", "genes_2"),
        "",
        ("num_span", "num_paired"),
    ),
    FusionLayout(
        "SOAPfuse",
        frozenset({"up_gene", "dw_gene", "span_reads_num", "junc_reads_num"}),
        ("up_gene", "dw_gene"),
        "",
        ("span_reads_num", "junc_reads_num"),
        frame="down_fusion_part_frame-shift_or_not",
    ),
    FusionLayout(
        "nFuse",
        frozenset({"gene_name1", "gene_name2", "span_count", "splitreads_count"}),
        ("gene_name1", "gene_name2"),
        "",
        ("span_count", "splitreads_count"),
        read_through=("readthrough", "y"),
    ),
    FusionLayout(
        "ChimPipe",
        frozenset({"gnnamesa", "gnnamesb", "nbspanningreads", "nbconsistentpe"}),
        ("gnnamesa", "gnnamesb"),
        "",
        ("nbspanningreads", "nbconsistentpe"),
        passing=("filtered", frozenset({"0"})),
        read_through=("type", "readthrough"),
    ),
    FusionLayout(
        "ChimeraScan",
        frozenset({"genes5p", "genes3p", "total_frags", "spanning_frags"}),
        ("genes5p", "genes3p"),
        "",
        ("total_frags",),
        read_through=("type", "read_through"),
    ),
    FusionLayout(
        "TopHat-Fusion",
        frozenset({"tophat_gene1", "tophat_gene2", "spanning_reads", "spanning_pairs"}),
        ("tophat_gene1", "tophat_gene2"),
        "",
        ("spanning_reads", "spanning_pairs"),
        sample="sample",
    ),
    FusionLayout(
        "PRADA",
        frozenset({"gene_a", "gene_b", "discordant_n", "jsr_n"}),
        ("gene_a", "gene_b"),
        "",
        ("discordant_n", "jsr_n"),
    ),
)

#: First line of a caller that writes no header -> the columns it has. Without a line such a table
#: is an empty file, not a negative result.
HEADERLESS = (
    (
        # sample, gene, chromosome, position, gene, chromosome, position, three counts
        re.compile(rb"[^\t\n]+(?:\t[^\t\n]+\t(?:chr)?[\dXYM]{1,2}T?\t\d+){2}(?:\t\d+){3}\t[\d.]+$"),
        (
            "sample", "tophat_gene1", "chrom1", "position1", "tophat_gene2", "chrom2", "position2",
            "spanning_reads", "spanning_pairs", "pairs_beside", "score",
        ),
    ),
)  # fmt: skip
