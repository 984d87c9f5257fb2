"""The audit log: every way to change it after the fact is found, and killed writers are none."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncoframe.audit import GENESIS, Action, AuditLog
from oncoframe.errors import AuditError


@pytest.fixture
def log(tmp_path):
    """Log of five promotions."""
    made = AuditLog(tmp_path / "audit" / "log.jsonl")
    for number in range(1, 6):
        made.append(
            Action.PROMOTED, actor="Änne", subject=f"toy {number}", details={"patients": number}
        )
    return made


def lines(log) -> list[str]:
    return log.file.read_text().splitlines()


def write(log, changed: list[str]) -> None:
    log.file.write_text("".join(f"{line}\n" for line in changed))


def test_append__chains_lines_by_their_hashes(log):
    """Recomputed by hand: the hash covers all fields, sorted, without the hash itself."""
    previous = GENESIS
    for number, line in enumerate(lines(log), start=1):
        content = json.loads(line)
        found = content.pop("sha256")
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        assert sha256(text.encode()).hexdigest() == found
        assert (content["seq"], content["previous_sha256"]) == (number, previous)
        previous = found
    assert log.verify().lines == 5
    assert log.verify().head == previous


def test_verify__an_empty_log_holds(tmp_path):
    """A home that never promoted must not look tampered with, and reading makes no folder."""
    log = AuditLog(tmp_path / "audit" / "log.jsonl")

    assert (log.verify().lines, log.verify().head) == (0, GENESIS)
    assert log.entries() == []
    assert not log.file.parent.exists()


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"patients":', '"patients":1'),
        ("promoted", "scored"),
        ("toy", "boy"),
        ('"seq":', '"seq": '),
        ('"actor":"\\u00c4nne"', '"actor":"Anne"'),
    ],
)
def test_verify__finds_an_edited_line(log, number, old, new):
    """Also one that reads as the same JSON, and the last one."""
    changed = lines(log)
    changed[number] = changed[number].replace(old, new, 1)
    write(log, changed)

    with pytest.raises(AuditError, match=rf"line {number + 1}: the line was changed"):
        log.verify()


def test_verify__finds_an_edited_line_with_a_new_hash(log):
    """Who knows the rule recomputes the hash; then the next line names another one."""
    changed = lines(log)
    content = json.loads(changed[1]) | {"actor": "nobody"}
    del content["sha256"]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    content["sha256"] = sha256(text.encode()).hexdigest()
    changed[1] = json.dumps(content, sort_keys=True, separators=(",", ":"))
    write(log, changed)

    with pytest.raises(AuditError, match="line 3: lines before it were"):
        log.verify()


@pytest.mark.parametrize("number", range(4))
def test_verify__finds_a_line_that_was_taken_out(log, number):
    write(log, [line for i, line in enumerate(lines(log)) if i != number])

    with pytest.raises(AuditError, match=rf"line {number + 1}: lines before it were"):
        log.verify()


def test_verify__finds_lines_that_changed_places_or_stand_twice(log):
    one, two, *rest = lines(log)
    write(log, [two, one, *rest])
    with pytest.raises(AuditError, match="line 1: lines before it were"):
        log.verify()

    write(log, [one, two, two, *rest])
    with pytest.raises(AuditError, match="line 3: lines before it were"):
        log.verify()


@pytest.mark.parametrize("left", range(5))
def test_verify__finds_lines_cut_off_the_end(log, left):
    """The chain of what is left holds; only the head knows that there was more."""
    write(log, lines(log)[:left])

    with pytest.raises(AuditError, match="cut off"):
        log.verify()


def test_verify__finds_the_cut_after_the_next_line_was_written(log):
    """A line written after the cut must not heal it."""
    write(log, lines(log)[:3])
    log.append(Action.SCORED, actor="a", subject="toy")

    with pytest.raises(AuditError, match="line 4: lines before it were"):
        log.verify()


def test_append__refuses_without_the_head(log):
    """A new head over a log that was cut would hide what is missing."""
    log.file.with_suffix(".head").unlink()

    with pytest.raises(AuditError, match="head of the log is gone"):
        log.append(Action.SCORED, actor="a", subject="toy")
    with pytest.raises(AuditError, match="head of the log is gone"):
        log.verify()


def test_verify__finds_lines_that_were_added_by_hand(log):
    write(log, [*lines(log), lines(log)[-1], "free text"])

    with pytest.raises(AuditError, match="line 6"):
        log.verify()
    log.append(Action.SCORED, actor="a", subject="toy")
    with pytest.raises(AuditError, match="line 6"):
        log.verify()


def test_verify__finds_a_log_that_was_written_anew(log):
    """Who writes both files anew is found by a hash that was noted elsewhere."""
    noted = log.entries()[2].sha256
    log.file.unlink()
    log.file.with_suffix(".head").unlink()
    for number in range(5):
        log.append(Action.PROMOTED, actor="b", subject=f"toy {number}")

    assert log.verify().lines == 5
    with pytest.raises(AuditError, match="written anew"):
        log.verify(holds=noted)
    assert log.verify(holds=log.entries()[0].sha256).lines == 5


def test_append__goes_on_after_a_writer_killed_before_the_head(log):
    """The line was on the disk, the head was not: no manipulation."""
    head = log.file.with_suffix(".head")
    before = head.read_bytes()
    log.append(Action.SCORED, actor="a", subject="toy")
    head.write_bytes(before)

    assert log.verify().lines == 6
    log.append(Action.SCORED, actor="a", subject="toy")
    assert log.verify().lines == 7


def test_append__goes_on_after_a_writer_killed_within_a_line(log):
    """Half a line was never promised to anybody; it goes."""
    with log.file.open("ab") as file:
        file.write(b'{"action":"sco')

    assert log.verify().lines == 5
    log.append(Action.SCORED, actor="a", subject="toy")
    assert log.verify().lines == 6


def test_append__of_many_writers_keeps_one_chain(tmp_path):
    """Two writers that both follow the same line would fork the chain."""
    file = tmp_path / "log.jsonl"

    def write_some(writer: int) -> None:
        for _ in range(10):
            AuditLog(file).append(Action.SCORED, actor=str(writer), subject="toy")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write_some, range(4)))

    assert AuditLog(file).verify().lines == 40


@given(
    actor=st.text(),
    details=st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.booleans())),
)
def test_append__keeps_any_text(tmp_path_factory, actor, details):
    """A line separator in a reason must not end the line."""
    log = AuditLog(tmp_path_factory.mktemp("audit") / "log.jsonl")
    log.append(Action.PROMOTED, actor=actor, subject="toy", details=details)
    log.append(Action.PROMOTED, actor=actor, subject="toy")

    first, _ = log.entries()
    assert (first.actor, first.details) == (actor, details)
    assert os.linesep.join(lines(log)).isascii()
