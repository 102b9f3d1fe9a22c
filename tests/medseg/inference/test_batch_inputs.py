"""Which studies a batch finds in files, folders, patterns, archives and job files."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from medseg.errors import InvalidInputError
from medseg.inference.batch_cases import number_cases
from medseg.inference.batch_inputs import gather_jobs
from medseg.inference.batch_job import Job
from tests.medseg.inference.batch_studies import QUESTION, write_nifti
from tests.medseg.made_series import noise, straight_positions, write_slices


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """A folder as they are: slices in folders, volumes beside each other, an archive, notes."""
    root = tmp_path / "studies"
    write_slices(root / "patient" / "scan1", noise(), straight_positions(5))
    write_slices(root / "patient" / "scan2", noise(), straight_positions(5), series="two")
    write_nifti(root / "volumes" / "a.nii.gz")
    write_nifti(root / "volumes" / "b.nii")
    with zipfile.ZipFile(root / "packed.zip", "w") as archive:
        archive.write(root / "volumes" / "a.nii.gz", "a.nii.gz")
    (root / "notes.txt").write_text("nothing")
    (root / ".hidden.nii").write_bytes(b"")
    return root


def places(jobs: tuple[Job, ...], root: Path) -> list[str]:
    return [job.input.relative_to(root).as_posix() for job in jobs]


def test_a_folder_holds_one_study_per_folder_of_slices_and_per_other_file(studies: Path, tmp_path: Path) -> None:
    jobs = gather_jobs(studies, QUESTION, tmp_path / "out")
    assert places(jobs, studies) == [
        "packed.zip", "patient/scan1", "patient/scan2", "volumes/a.nii.gz", "volumes/b.nii",
    ]  # fmt: skip
    assert gather_jobs(studies, QUESTION, tmp_path / "out") == jobs


def test_each_question_is_asked_about_each_study_once(studies: Path, tmp_path: Path) -> None:
    inputs = [studies / "volumes", str(studies / "volumes" / "*.nii*"), studies / "volumes" / "b.nii"]
    jobs = gather_jobs(inputs, ["liver?", "spleen?"], tmp_path / "out")
    assert [(job.input.name, job.question) for job in jobs] == [
        ("a.nii.gz", "liver?"), ("a.nii.gz", "spleen?"), ("b.nii", "liver?"), ("b.nii", "spleen?"),
    ]  # fmt: skip


def test_what_is_not_there_is_a_job_that_will_fail(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    jobs = gather_jobs([tmp_path / "absent.nii", tmp_path / "empty"], QUESTION, tmp_path / "out")
    assert places(jobs, tmp_path) == ["absent.nii", "empty"]


def test_results_are_never_inputs(studies: Path) -> None:
    out = studies / "out"
    write_nifti(out / "results" / "case-00001-00000000" / "mask.nii.gz")
    assert "out" not in " ".join(places(gather_jobs(studies, QUESTION, out), studies))
    with pytest.raises(InvalidInputError, match="output folder outside"):
        gather_jobs(studies, QUESTION, studies / "patient" / "scan1" / "out")


def test_slices_beside_volumes_are_a_study_with_its_series_named(tmp_path: Path) -> None:
    mixed = write_slices(tmp_path / "mixed", noise(), straight_positions(5))
    write_nifti(mixed / "a.nii.gz")
    first, second = gather_jobs(mixed, QUESTION, tmp_path / "out")
    assert (first.input, second.input) == (mixed, mixed / "a.nii.gz")
    assert first.series
    assert second.series is None


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a" / "a.nii")
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a", target_is_directory=True)
    assert places(gather_jobs(tmp_path / "a", QUESTION, tmp_path / "out"), tmp_path) == ["a/a.nii"]


def test_all_series_are_asked_on_demand(tmp_path: Path) -> None:
    two = write_slices(tmp_path / "two", noise(), straight_positions(5))
    write_slices(two, noise(seed=1), straight_positions(5), series="other")
    (whole,) = gather_jobs(two, QUESTION, tmp_path / "out")
    assert whole.series is None
    each = gather_jobs(two, QUESTION, tmp_path / "out", all_series=True)
    assert len({job.series for job in each}) == 2
    named = gather_jobs(Job(input=two, question=QUESTION, id="both"), [], tmp_path / "out", all_series=True)
    assert [job.id for job in named] == ["both-1", "both-2"]


def test_a_job_file_names_studies_as_they_are(studies: Path, tmp_path: Path) -> None:
    row = {"input": "studies/patient", "question": "liver?", "id": "x"}
    (tmp_path / "jobs.jsonl").write_text(json.dumps(row))
    (job,) = gather_jobs(tmp_path / "jobs.jsonl", [], tmp_path / "out")
    assert (job.input, job.question, job.id) == (studies / "patient", "liver?", "x")


@pytest.mark.parametrize(
    ("inputs", "questions", "said"),
    [
        ([], QUESTION, "one input or more"),
        (["a.nii"], [], "expected a question"),
        (["*.nothing"], QUESTION, "fit the pattern"),
        (
            [Job(input=Path("a"), question="q", id="A"), Job(input=Path("b"), question="q", id="a")],
            [],
            "found 'a' twice",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: list, questions: list | str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInputError) as caught:
        gather_jobs(inputs, questions, tmp_path / "out")
    assert said in str(caught.value)


def test_numbers_stay_with_their_inputs(tmp_path: Path) -> None:
    table = tmp_path / "inputs.csv"
    a, b, c = (Job(input=Path(f"/data/Quorlina/{name}\udcff, x.nii"), question="q") for name in "abc")
    first = number_cases([a, b], table)
    assert [case.id[:11] for case in first] == ["case-00001-", "case-00002-"]
    before = table.read_bytes()
    assert number_cases([a, b], table) == first
    assert table.read_bytes() == before
    again = number_cases([c, b, a], table)
    assert [case.id[:11] for case in again] == ["case-00003-", "case-00002-", "case-00001-"]
    other = Job(input=a.input, question="another")
    assert number_cases([other], table)[0].id.startswith("case-00004-")


def test_an_id_is_kept_and_takes_no_number(tmp_path: Path) -> None:
    table = tmp_path / "inputs.csv"
    (numbered,) = number_cases([Job(input=Path("/a"), question="q")], table)
    named = Job(input=Path("/b"), question="q", id="mine")
    assert number_cases([named], table)[0].id == "mine"
    with pytest.raises(InvalidInputError, match="no numbered case has"):
        number_cases([Job(input=Path("/c"), question="q", id=numbered.id)], table)
