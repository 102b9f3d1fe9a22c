"""Parsers fail in words of ours and are quiet, in several threads at once too."""

from __future__ import annotations

import logging
import threading
import warnings

import pytest

from medseg.errors import GeometryError, StudyFileError
from medseg.io.parser_failures import PARSER_FAILURES, parsing


@pytest.mark.parametrize("kind", PARSER_FAILURES)
def test_every_failure_becomes_ours_without_its_words(kind: type[Exception]) -> None:
    failure = UnicodeError("Doe^Jane") if issubclass(kind, UnicodeError) else kind("Doe^Jane")
    with pytest.raises(StudyFileError, match=f"a scan, found one that cannot be read \\({kind.__name__}\\)") as caught:
        with parsing("x.dcm", "a scan"):
            raise failure
    assert "Doe" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_our_own_errors_and_interrupts_pass() -> None:
    with pytest.raises(GeometryError, match="own words"):
        with parsing("x.dcm", "a scan"):
            raise GeometryError("own words")
    with pytest.raises(KeyboardInterrupt):
        with parsing("x.dcm", "a scan"):
            raise KeyboardInterrupt


def test_warnings_and_levels_are_restored_however_threads_leave(recwarn: pytest.WarningsRecorder) -> None:
    before = (list(warnings.filters), logging.getLogger("pydicom").level)
    inside, leave = threading.Barrier(3), [threading.Event(), threading.Event()]

    def read(number: int) -> None:
        with parsing("x.dcm", "a scan"):
            inside.wait(timeout=5)
            leave[number].wait(timeout=5)
            warnings.warn("Doe^Jane", stacklevel=1)
            logging.getLogger("pydicom").error("Doe^Jane")

    threads = [threading.Thread(target=read, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    inside.wait(timeout=5)
    for number in (0, 1):  # the first to come leaves first: the second must not restore what the first had set
        leave[number].set()
        threads[number].join(timeout=5)
    assert (list(warnings.filters), logging.getLogger("pydicom").level) == before
    assert not recwarn.list
