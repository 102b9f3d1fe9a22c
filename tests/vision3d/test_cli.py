"""The command line: each command does its job, every error is one line on stderr, every setting is in the help."""

from __future__ import annotations

import errno
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.jobs.small_tabletop import FLAGS, small_tabletop, snapshot, tiny_config
from tests.vision3d.reconstruction.known_scenes import known_scene
from tests.vision3d.scene.random_scenes import same_bits
from vision3d import cli
from vision3d.cli import main
from vision3d.scene.catalogue import read_splats, write_splats


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_tabletop(tmp_path_factory.mktemp("tabletop") / "scene")


@pytest.fixture
def known(tmp_path: Path) -> Path:
    write_splats(known_scene(), tmp_path / "known.ply")
    return tmp_path / "known.ply"


def _failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The message of a command that must fail with exit code 1."""
    assert main(list(arguments)) == 1
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert "Traceback" not in captured.err
    assert captured.out == ""
    return lines[0]


def test_fit_render_and_render_views(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "run"
    assert main(["fit", str(scene), "-o", str(output), *FLAGS, "--steps", "5"]) == 0
    told = capsys.readouterr().out
    assert "held-out PSNR" in told
    assert "over 2 views" in told
    assert f"open {output / 'index.html'}" in told
    assert main(["render", str(output), "--frames", "3"]) == 0
    assert f"4 files in {output / 'renders'}" in capsys.readouterr().out
    assert len(list((output / "renders").iterdir())) == 4
    assert main(["render", str(output), "-o", str(tmp_path / "views"), "--path", "views"]) == 0
    assert len(list((tmp_path / "views").iterdir())) == 8
    before = snapshot(output)
    capsys.readouterr()
    message = _failure(capsys, "fit", str(scene), "--output", str(output), *FLAGS, "--steps", "5")
    assert "--overwrite" in message
    assert snapshot(output) == before


def test_flags_reach_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(cli, "_run", lambda command: seen.append(command) or 0)
    flags = (*FLAGS, "--overwrite", "--rates.means", "0.5", "--default.every", "7", "--background", "0.1", "0.2", "0.3")
    assert main(["fit", "photos", "-o", "out", *flags]) == 0
    (command,) = seen
    assert (command.scene, command.output, command.overwrite) == (Path("photos"), Path("out"), True)
    assert command.config.max_side == 48
    assert command.config.fit.mcmc == tiny_config().fit.mcmc
    assert command.config.fit.rates.means == 0.5
    assert command.config.fit.default.every == 7
    assert command.config.fit.background == (0.1, 0.2, 0.3)
    main(["fit", "photos", "-o", "out", *FLAGS])
    assert seen[1].config == tiny_config()


def test_convert_there_and_back(known: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    splat, back, copy = tmp_path / "a.splat", tmp_path / "back.ply", tmp_path / "copy.ply"
    assert main(["convert", str(known), str(splat)]) == 0
    assert "60 Gaussians (harmonics of degree 0)" in capsys.readouterr().out
    assert splat.stat().st_size == 60 * 32  # the format has 32 bytes per Gaussian
    assert main(["convert", str(splat), str(back)]) == 0
    assert main(["convert", str(known), str(copy)]) == 0
    assert same_bits(read_splats(copy), read_splats(known))
    # .splat keeps float32 centres, 8-bit opacity, and sorts by importance
    first, second = read_splats(known), read_splats(back)
    nearest = torch.cdist(first.means, second.means).argmin(1)
    assert sorted(nearest.tolist()) == list(range(60))
    assert torch.equal(second.means[nearest], first.means)
    assert (second.opacities[nearest] - first.opacities).abs().max() < 1 / 255


@pytest.mark.parametrize("target", ["a.obj", "a", "a.spz", "a.compressed.ply"])
def test_convert_refuses_what_it_cannot_write(
    target: str, known: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = _failure(capsys, "convert", str(known), str(tmp_path / "out" / target))
    assert "expected a suffix of .ply, .splat" in message
    assert not (tmp_path / "out").exists()


def test_doctor_lists_everything_and_its_code_follows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "trimesh" else known(name))
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    place = next(row for row, line in enumerate(lines) if line.startswith("->  trimesh"))
    assert lines[place + 1].strip() == "pip install 'vision3d-medseg[vision3d]'"
    assert any(line.startswith("ok  python") for line in lines)
    monkeypatch.undo()
    from vision3d.doctor import examine

    assert main(["doctor"]) == (0 if all(finding.good for finding in examine()) else 1)


def test_doctor_runs_where_the_extra_is_missing() -> None:
    # a fresh process, because this one has everything imported already
    program = (
        "import sys\n"
        "for name in ('numba', 'cv2', 'scipy', 'PIL', 'gsplat', 'trimesh'): sys.modules[name] = None\n"
        "from vision3d.cli import main\n"
        "print(main(['doctor']), main(['render', 'nowhere']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1 1"
    assert "pip install 'vision3d-medseg[vision3d]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_an_error_in_words(
    known: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "scene.ply")

    monkeypatch.setattr("vision3d.reconstruction.render_run.write_png", full)
    message = _failure(capsys, "render", str(known), "-o", str(tmp_path / "out"), "--frames", "1", "--max-side", "8")
    assert "No space left on device: 'scene.ply'" in message


def test_a_full_device_is_an_error_in_words_and_other_faults_are_not_hidden(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(command: object) -> int:
        raise torch.OutOfMemoryError("tried to allocate 9 GiB")

    def fail(command: object) -> int:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(cli, "_run", run_out)
    assert "9 GiB" in _failure(capsys, "doctor")
    monkeypatch.setattr(cli, "_run", fail)
    with pytest.raises(RuntimeError, match="of ours"):
        cli.main(["doctor"])


def test_an_interrupt_says_how_to_go_on(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(command: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupt)
    assert main(["demo"]) == 130
    assert "the same command goes on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        ("fit", ("--output", "-o", "--overwrite", "--max-side", "--test-every", "--camera-format", "--start",
                 "--device", "--steps", "--seed", "--sh-degree", "--initial-count", "--densifier",
                 "--mcmc.gaussian-cap", "--default.grow-gradient", "--rates.means", "--ssim-weight",
                 "--background", "--checkpoint-every")),
        ("render", ("--output", "--path", "--frames", "--max-side", "--cameras", "--background", "--antialiased")),
        ("convert", ("its suffix decides the format",)),
        ("doctor", ("Say what was found",)),
        ("demo", ("--output", "--steps")),
    ],
)  # fmt: skip
def test_help_names_every_setting(command: str, settings: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    for setting in settings:
        assert setting in text, setting


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit", "scene", "-o", "out", "--magic", "1"],
        ["fit", "scene"],
        ["fit", "scene", "-o", "out", "--steps", "many"],
        ["fit", "scene", "-o", "out", "--densifier", "magic"],
        ["render"],
        ["fly"],
        [],
    ],
)
def test_what_cannot_be_parsed_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--steps", "0"), "steps"),
        (("--steps", "-5"), "found -5"),
        (("--initial-count", "100000"), "gaussian_cap"),
        (("--max-side", "0"), "found 0"),
        (("--ssim-weight", "nan"), "nan"),
        (("--test-every", "1"), "found 1"),
        (("--device", "cuda"), "CUDA"),
    ],
)
def test_settings_out_of_range_are_one_line(
    flags: tuple[str, str], named: str, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    message = _failure(capsys, "fit", str(scene), "-o", str(tmp_path / "run"), *flags)
    assert named in message
    assert "xpected" in message
    assert "found" in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--mcmc.growth", "0.5"), "McmcConfig: expected"),
        (("--default.stop", "2"), "DefaultConfig: expected"),
    ],
)
def test_settings_of_a_group_are_refused_by_the_parser(
    flags: tuple[str, str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["fit", "scene", "-o", str(tmp_path / "run"), *flags])
    assert left.value.code == 2
    assert named in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
