"""Consequences of a variant on its gene: Sequence Ontology terms and their severity.

Other vocabularies (MAF and Funcotator, ANNOVAR, BCFtools/csq) are read as the term they mean.

References
----------
Sequence Ontology, http://www.sequenceontology.org. The order is that of Ensembl VEP, "Calculated
variant consequences"; the terms of SnpEff stand beside the VEP term they refine. GDC MAF format;
GATK Funcotator, ``GencodeFuncotation.VariantClassification``; ANNOVAR, "Gene-based annotation".
"""

#: Terms that VEP and SnpEff write, the most severe first.
SEVERITY = (
    "transcript_ablation",
    "exon_loss_variant",
    "splice_acceptor_variant",
    "splice_donor_variant",
    "splice_site_variant",
    "stop_gained",
    "frameshift_variant",
    "stop_lost",
    "start_lost",
    "initiator_codon_variant",
    "transcript_amplification",
    "feature_elongation",
    "feature_truncation",
    "inframe_insertion",
    "disruptive_inframe_insertion",
    "conservative_inframe_insertion",
    "inframe_deletion",
    "disruptive_inframe_deletion",
    "conservative_inframe_deletion",
    "missense_variant",
    "rare_amino_acid_variant",
    "protein_altering_variant",
    "splice_donor_5th_base_variant",
    "splice_region_variant",
    "splice_donor_region_variant",
    "splice_polypyrimidine_tract_variant",
    "incomplete_terminal_codon_variant",
    "start_retained_variant",
    "stop_retained_variant",
    "synonymous_variant",
    "coding_sequence_variant",
    "mature_miRNA_variant",
    "5_prime_UTR_premature_start_codon_gain_variant",
    "5_prime_UTR_variant",
    "3_prime_UTR_variant",
    "non_coding_transcript_exon_variant",
    "intron_variant",
    "NMD_transcript_variant",
    "non_coding_transcript_variant",
    "coding_transcript_variant",
    "upstream_gene_variant",
    "downstream_gene_variant",
    "TFBS_ablation",
    "TFBS_amplification",
    "TF_binding_site_variant",
    "regulatory_region_ablation",
    "regulatory_region_amplification",
    "regulatory_region_variant",
    "intergenic_variant",
    "intergenic_region",
    "sequence_variant",
)

#: Terms that change the protein: what counts towards the burden of a gene.
PROTEIN_ALTERING = frozenset(
    {
        "transcript_ablation",
        "exon_loss_variant",
        "splice_acceptor_variant",
        "splice_donor_variant",
        "splice_site_variant",
        "stop_gained",
        "frameshift_variant",
        "stop_lost",
        "start_lost",
        "inframe_insertion",
        "disruptive_inframe_insertion",
        "conservative_inframe_insertion",
        "inframe_deletion",
        "disruptive_inframe_deletion",
        "conservative_inframe_deletion",
        "missense_variant",
        "rare_amino_acid_variant",
        "protein_altering_variant",
    }
)

#: Terms that end or lose the protein.
TRUNCATING = frozenset(
    {
        "transcript_ablation",
        "exon_loss_variant",
        "splice_acceptor_variant",
        "splice_donor_variant",
        "splice_site_variant",
        "stop_gained",
        "frameshift_variant",
        "start_lost",
    }
)

#: Term of another vocabulary, in lower case -> Sequence Ontology.
_SYNONYMS = {
    # MAF and Funcotator
    "missense_mutation": "missense_variant",
    "missense": "missense_variant",
    "nonsense_mutation": "stop_gained",
    "nonsense": "stop_gained",
    "nonstop_mutation": "stop_lost",
    "nonstop": "stop_lost",
    "frame_shift_del": "frameshift_variant",
    "frame_shift_ins": "frameshift_variant",
    "in_frame_del": "inframe_deletion",
    "in_frame_ins": "inframe_insertion",
    "splice_site": "splice_site_variant",
    "splice_region": "splice_region_variant",
    "translation_start_site": "start_lost",
    "start_codon_snp": "start_lost",
    "start_codon_del": "start_lost",
    "start_codon_ins": "start_lost",
    "silent": "synonymous_variant",
    "intron": "intron_variant",
    "igr": "intergenic_variant",
    "5'utr": "5_prime_UTR_variant",
    "3'utr": "3_prime_UTR_variant",
    "five_prime_utr": "5_prime_UTR_variant",
    "three_prime_utr": "3_prime_UTR_variant",
    "5'flank": "upstream_gene_variant",
    "3'flank": "downstream_gene_variant",
    "five_prime_flank": "upstream_gene_variant",
    "three_prime_flank": "downstream_gene_variant",
    "rna": "non_coding_transcript_variant",
    "lincrna": "non_coding_transcript_variant",
    "de_novo_start_in_frame": "5_prime_UTR_variant",
    "de_novo_start_out_frame": "5_prime_UTR_variant",
    # ANNOVAR
    "nonsynonymous_snv": "missense_variant",
    "synonymous_snv": "synonymous_variant",
    "stopgain": "stop_gained",
    "stoploss": "stop_lost",
    "startloss": "start_lost",
    "startgain": "5_prime_UTR_variant",
    "frameshift_insertion": "frameshift_variant",
    "frameshift_deletion": "frameshift_variant",
    "frameshift_substitution": "frameshift_variant",
    "frameshift_block_substitution": "frameshift_variant",
    "nonframeshift_insertion": "inframe_insertion",
    "nonframeshift_deletion": "inframe_deletion",
    "nonframeshift_substitution": "protein_altering_variant",
    "nonframeshift_block_substitution": "protein_altering_variant",
    "exonic": "coding_sequence_variant",
    "splicing": "splice_site_variant",
    "ncrna_exonic": "non_coding_transcript_exon_variant",
    "ncrna_splicing": "non_coding_transcript_variant",
    "ncrna_intronic": "non_coding_transcript_variant",
    "utr5": "5_prime_UTR_variant",
    "utr3": "3_prime_UTR_variant",
    "intronic": "intron_variant",
    "upstream": "upstream_gene_variant",
    "downstream": "downstream_gene_variant",
    "intergenic": "intergenic_variant",
    # BCFtools/csq; its other terms are those of the Sequence Ontology without "_variant"
    "inframe_altering": "protein_altering_variant",
    "5_prime_utr": "5_prime_UTR_variant",
    "3_prime_utr": "3_prime_UTR_variant",
    "non_coding": "non_coding_transcript_variant",
}
#: Terms of a place between genes; SnpEff writes regions.
_INTERGENIC = frozenset({"intergenic_variant", "intergenic_region", "conserved_intergenic_variant"})
#: Longest consequence that is taken apart, in characters; all terms of VEP together have 1,100.
_MAX_LENGTH = 4096

_RANK = {term: rank for rank, term in enumerate(SEVERITY)}
_UNKNOWN_RANK = len(SEVERITY)


def terms(consequence: str) -> list[str]:
    """Sequence Ontology terms of a consequence that joins several with ``&``.

    A star before a term (BCFtools: behind a stop) is dropped; unknown terms stay as they are.
    """
    return [_term(text) for text in consequence[:_MAX_LENGTH].split("&")]


def severity(consequence: str) -> int:
    """Rank of the most severe term, 0 the most severe; unknown terms come last."""
    return min(_RANK.get(term, _UNKNOWN_RANK) for term in terms(consequence))


def is_intergenic(consequence: str) -> bool:
    """Whether a consequence says that the place lies in no gene."""
    return _INTERGENIC.issuperset(terms(consequence))


def _term(text: str) -> str:
    if text in _RANK:
        return text
    plain = text.lstrip("*").lower().replace(" ", "_")
    known = _SYNONYMS.get(plain)
    if known:
        return known
    return next((t for t in (plain, f"{plain}_variant") if t in _RANK), text)
