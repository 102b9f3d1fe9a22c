"""A batch from end to end: what is broken is recorded, what is done is skipped, what changed is done again."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from medseg.errors import BatchFolderError, InvalidInputError
from medseg.inference import batch_run
from medseg.inference.batch import segment_batch
from medseg.inference.batch_config import BatchConfig
from medseg.inference.batch_job import Job
from medseg.inference.segmenter import Segmenter
from tests.medseg.inference.batch_studies import (
    QUESTION,
    Buggy,
    Threshold,
    contents,
    write_broken,
    write_good,
    write_nifti,
)

JSON = BatchConfig(formats=("json",))


def events_of(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "events.jsonl").read_text(encoding="utf-8").splitlines()]


def states(out: Path) -> dict[str, tuple[str, int]]:
    with sqlite3.connect(out / "journal.sqlite") as base:
        return {
            case: (state, tried) for case, state, tried in base.execute("SELECT case_id, state, attempts FROM cases")
        }


class Counted:
    """Builds the segmenter and counts how often."""

    def __init__(self) -> None:
        self.built = 0

    def __call__(self) -> Segmenter:
        self.built += 1
        return Threshold()


def test_a_hundred_cases_of_which_five_are_broken(tmp_path: Path) -> None:
    inputs = [*write_good(tmp_path / "in", 95), *write_broken(tmp_path / "in")]
    load = Counted()
    report = segment_batch(inputs, QUESTION, tmp_path / "out", segmenter=load, config=JSON)
    assert load.built == 1
    assert len(report.outcomes) == 100
    assert (report.count("done"), report.count("failed"), report.exit_code) == (95, 5, 2)
    assert [outcome.state for outcome in report.outcomes] == ["done"] * 95 + ["failed"] * 5
    for outcome in report.outcomes[:95]:
        assert outcome.folder is not None
        assert json.loads((outcome.folder / "result.json").read_text())["notice"]
    records = [
        json.loads((tmp_path / "out" / "failures" / f"{one.case}.json").read_text()) for one in report.outcomes[95:]
    ]
    assert [record["code"] for record in records] == [
        "study_file",
        "study_file",
        "geometry",
        "series_choice",
        "study_file",
    ]
    for record in records:
        assert "expected" in record["message"]
        assert "Traceback" not in record["message"]
        assert (tmp_path / "out" / "failures" / record["log"]).read_text()
    assert records[3]["message"].count("CT, 8 x 6 x 5") == 2  # both series are listed
    assert len(list((tmp_path / "out" / "failures").iterdir())) == 10
    assert not (tmp_path / "out" / ".partial").exists()


def test_a_rerun_does_what_is_new_or_changed_and_nothing_else(tmp_path: Path) -> None:
    inputs, out = write_good(tmp_path / "in", 4), tmp_path / "out"
    first = segment_batch(inputs, QUESTION, out, segmenter=Threshold(), config=JSON)
    before = contents(out)
    again = segment_batch(inputs, QUESTION, out, segmenter=Threshold(), config=JSON)
    assert [outcome.state for outcome in again.outcomes] == ["skipped"] * 4
    assert (again.exit_code, contents(out)) == (0, before)

    os.utime(inputs[0], (1, 1))  # touched, not changed
    write_nifti(inputs[1], seed=77)
    (out / "results" / first.outcomes[2].case / "result.json").write_text("{}")
    write_nifti(tmp_path / "in" / "new.nii")
    third = segment_batch([*inputs, tmp_path / "in" / "new.nii"], QUESTION, out, segmenter=Threshold(), config=JSON)
    assert [outcome.state for outcome in third.outcomes] == ["skipped", "done", "done", "skipped", "done"]
    cases = [outcome.case for outcome in third.outcomes]
    after = contents(out)
    assert after[f"results/{cases[1]}/result.json"] != before[f"results/{cases[1]}/result.json"]
    assert after[f"results/{cases[2]}/result.json"] == before[f"results/{cases[2]}/result.json"]
    assert [states(out)[case][1] for case in cases] == [1, 2, 2, 1, 1]


@pytest.mark.parametrize("change", ["weights", "formats", "question", "series named", "no resume"])
def test_a_case_is_done_again_when_what_it_depends_on_changes(tmp_path: Path, change: str) -> None:
    path, out = write_nifti(tmp_path / "a.nii"), tmp_path / "out"
    job = Job(input=path, question=QUESTION, id="a")
    segment_batch(job, [], out, segmenter=Threshold(), config=JSON)
    segmenter, config = Threshold("b" * 64 if change == "weights" else "a" * 64), JSON
    if change == "formats":
        config = BatchConfig(formats=("json", "csv"))
    elif change == "question":
        job = Job(input=path, question="Where is it bright?", id="a")
    elif change == "series named":
        job = Job(input=path, question=QUESTION, id="a", series=list_keys(path)[0])
    elif change == "no resume":
        config = BatchConfig(formats=("json",), resume=False)
    (outcome,) = segment_batch(job, [], out, segmenter=segmenter, config=config).outcomes
    assert (outcome.case, outcome.state) == ("a", "done")
    assert (out / "results" / "a" / "findings.csv").exists() == (change == "formats")
    (outcome,) = segment_batch(
        job, [], out, segmenter=segmenter, config=JSON if change != "formats" else config
    ).outcomes
    assert outcome.state == "skipped"


def list_keys(path: Path) -> list[str]:
    from medseg.io.read_study import list_series

    return [facts.key for facts in list_series(path)]


def test_a_failure_that_was_mended_leaves_no_record_and_a_result_that_fails_now_is_gone(tmp_path: Path) -> None:
    path, out = write_nifti(tmp_path / "a.nii"), tmp_path / "out"
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    assert segment_batch(path, QUESTION, out, segmenter=Threshold(), config=JSON).exit_code == 1
    path.write_bytes(whole)
    report = segment_batch(path, QUESTION, out, segmenter=Threshold(), config=JSON)
    assert (report.exit_code, list((out / "failures").iterdir())) == (0, [])
    path.write_bytes(whole[:100])
    assert segment_batch(path, QUESTION, out, segmenter=Threshold(), config=JSON).exit_code == 1
    assert list((out / "results").iterdir()) == []
    assert len(list((out / "failures").iterdir())) == 2


def test_a_result_that_the_journal_missed_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, out = write_good(tmp_path / "in", 2), tmp_path / "out"

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:  # between the move of the folder and the entry in the journal
        patch.setattr(batch_run.Journal, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            segment_batch(inputs, QUESTION, out, segmenter=Threshold(), config=JSON)
    report = segment_batch(inputs, QUESTION, out, segmenter=Threshold(), config=JSON)
    assert [outcome.state for outcome in report.outcomes] == ["skipped", "done"]


def test_a_lost_journal_is_made_again_from_the_results(tmp_path: Path) -> None:
    inputs, out = write_good(tmp_path / "in", 3), tmp_path / "out"
    segment_batch(inputs, QUESTION, out, segmenter=Threshold(), config=JSON)
    (out / "journal.sqlite").write_bytes(b"not a database, but long enough to be taken for one" * 9)
    with pytest.raises(BatchFolderError, match="move it away"):
        segment_batch(inputs, QUESTION, out, segmenter=Threshold(), config=JSON)
    (out / "journal.sqlite").unlink()
    report = segment_batch(inputs, QUESTION, out, segmenter=Threshold(), config=JSON)
    assert [outcome.state for outcome in report.outcomes] == ["skipped"] * 3


def test_events_tell_what_happens(tmp_path: Path) -> None:
    inputs, out = [*write_good(tmp_path / "in", 2), tmp_path / "absent.nii"], tmp_path / "out"
    heard: list[dict] = []
    segment_batch(inputs, QUESTION, out, segmenter=Threshold(), config=JSON, on_event=heard.append)
    with (out / "events.jsonl").open("a") as file:
        file.write('{"event": "torn')
    segment_batch(inputs[:2], QUESTION, out, segmenter=Threshold(), config=JSON, on_event=heard.append)
    lines = (out / "events.jsonl").read_text().splitlines()
    lines.remove('{"event": "torn')
    assert [json.loads(line) for line in lines] == json.loads(json.dumps(heard))
    assert [event["event"] for event in heard] == [
        "batch_started", "case_started", "case_done", "case_started", "case_done", "case_started", "case_failed",
        "batch_ended", "batch_started", "case_skipped", "case_skipped", "batch_ended",
    ]  # fmt: skip
    assert [event["finished"] for event in heard[:8]] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert heard[2]["eta_s"] > 0
    assert heard[6]["eta_s"] == 0
    assert heard[6]["code"] == "study_file"
    assert heard[7]["done"] == 2


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from medseg.inference.batch_folder import opened_folder\n"
        "with opened_folder(Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    out = tmp_path / "out"
    with subprocess.Popen([sys.executable, "-c", program, str(out)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BatchFolderError, match="another batch holds"):
            segment_batch(write_nifti(tmp_path / "a.nii"), QUESTION, out, segmenter=Threshold(), config=JSON)
        other.kill()
    assert segment_batch(tmp_path / "a.nii", QUESTION, out, segmenter=Threshold(), config=JSON).exit_code == 0


def test_names_in_any_script_do(tmp_path: Path) -> None:
    folder = tmp_path / "Fälle 肝臓" / "größe, „a“"
    report = segment_batch(
        write_nifti(folder / "ß.nii"), "肝臓はどこ?", folder / "aus", segmenter=Threshold(), config=JSON
    )
    assert report.exit_code == 0
    assert "ß.nii" in (folder / "aus" / "inputs.csv").read_text(encoding="utf-8")


def test_an_output_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii")
    with pytest.raises(BatchFolderError, match="choose another folder"):
        segment_batch(path, QUESTION, path / "out", segmenter=Threshold(), config=JSON)


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of POSIX")
def test_a_disk_that_takes_no_more_stops_the_batch_and_the_same_call_goes_on(tmp_path: Path) -> None:
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.medseg.inference.batch_studies import *\n"
        "from medseg.inference.batch import segment_batch\n"
        "from medseg.inference.batch_config import BatchConfig\n"
        "folder = Path(sys.argv[1])\n"
        "inputs = [*write_good(folder, 2), write_nifti(folder / 'large.nii', 0, (300, 300, 40))]\n"
        "questions = ['Where is the bright region?', 'More?']\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "config = BatchConfig(formats=('nifti',))\n"
        "report = segment_batch(inputs, questions, folder / 'out', segmenter=Threshold, config=config)\n"
        "print([one.state for one in report.outcomes], report.exit_code, report.stopped)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("['done', 'done', 'done', 'done', 'pending', 'pending'] 2 Batch: expected room"), done
    assert not list((tmp_path / "out").glob(".partial/*"))
    assert sorted(state for state, _ in states(tmp_path / "out").values()) == ["done"] * 4 + ["pending"] * 2
    again = segment_batch(
        tmp_path / "large.nii", ["Where is the bright region?", "More?"], tmp_path / "out",
        segmenter=Threshold, config=BatchConfig(formats=("nifti",)),
    )  # fmt: skip
    assert [outcome.state for outcome in again.outcomes] == ["done", "done"]


def test_an_error_of_the_program_is_recorded_without_its_words(tmp_path: Path) -> None:
    inputs = [write_nifti(tmp_path / "a.nii", shape=(13, 6, 4)), write_nifti(tmp_path / "b.nii")]
    report = segment_batch(inputs, QUESTION, tmp_path / "out", segmenter=Buggy(), config=JSON)
    assert [outcome.state for outcome in report.outcomes] == ["failed", "done"]
    assert report.outcomes[0].code == "unexpected"
    assert "KeyError" in report.outcomes[0].message
    log = (tmp_path / "out" / "failures" / f"{report.outcomes[0].case}.log").read_text()
    assert "batch_studies.py" in log
    assert "Quorlina" not in log.replace(str(tmp_path), "").replace('raise KeyError("Zyxwvuts^Quorlina")', "")


def test_what_can_never_run_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path, out = write_nifti(tmp_path / "a.nii"), tmp_path / "out"
    for segmenter, config in (
        ("absent", JSON),
        (Threshold(), BatchConfig(workers=2)),
        (Threshold(), BatchConfig(formats=("jsn",))),
    ):
        with pytest.raises(InvalidInputError):
            segment_batch(path, QUESTION, out, segmenter=segmenter, config=config)
    with pytest.raises(InvalidInputError):
        BatchConfig(workers=0)
    with pytest.raises(InvalidInputError):
        BatchConfig(formats=())
    assert not out.exists()
