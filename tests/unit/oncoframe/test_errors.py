"""Errors: one sentence with everything in it, and whole after a trip to another process."""

import pickle

import pytest

from oncoframe import errors
from oncoframe.errors import BadInput, OncoFrameError, TruncatedFile

_ALL = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, OncoFrameError)]


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({}, "the file ends early."),
        ({"where": "a.vcf"}, "a.vcf: the file ends early."),
        ({"expected": "a footer"}, "the file ends early; expected a footer."),
        ({"got": "12 bytes"}, "the file ends early; got 12 bytes."),
        (
            {"where": "a.vcf", "expected": "a footer", "got": "none", "hint": "Copy it again."},
            "a.vcf: the file ends early; expected a footer, got none. Copy it again.",
        ),
        ({"got": "nothing."}, "the file ends early; got nothing."),
    ],
)
def test_str__is_one_sentence(parts, sentence):
    """The command line and the ledger print this and nothing else."""
    assert str(TruncatedFile("the file ends early", **parts)) == sentence


@pytest.mark.parametrize("leaf", _ALL)
def test_pickle__keeps_every_part(leaf):
    """Exception's own pickling drops keyword arguments: the ledger would lose file and reason."""
    error = leaf("what", where="where", expected="expected", got="got", hint="hint")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  (our own bytes)
    assert type(copy) is leaf
    assert str(copy) == str(error)
    assert copy.__dict__ == error.__dict__


def test_pickle__keeps_a_place_that_was_corrected_later():
    """The worker replaces the name of a temporary download by the landed one."""
    error = BadInput("what", where="/tmp/x")  # noqa: S108  (a name, not a file)
    error.where = "s3://bucket/x"
    assert str(pickle.loads(pickle.dumps(error))) == "s3://bucket/x: what."  # noqa: S301


def test_name__is_the_class():
    """``--json`` and the ledger name the leaf, not its parent."""
    assert TruncatedFile("what").name == "TruncatedFile"


@pytest.mark.parametrize("leaf", _ALL)
def test_tree__is_drawn_in_the_module(leaf):
    """The tree in the docstring is what users catch by: a leaf left out is a leaf unknown."""
    assert leaf.__name__ in errors.__doc__


def test_tree__tells_permanent_from_transient():
    """Unavailable under BadInput would never be tried again."""
    assert not issubclass(errors.Unavailable, BadInput)
    permanent = ["FileMissing", "EmptyFile", "TruncatedFile", "WrongFormat", "MissingSample"]
    assert all(issubclass(getattr(errors, name), BadInput) for name in permanent)
