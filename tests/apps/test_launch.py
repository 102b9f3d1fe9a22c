"""`vision-apps PAGE`: each name runs its page with what follows it."""

from __future__ import annotations

import pytest

from apps import launch


def test_what_follows_the_name_belongs_to_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []
    pages = {name: (words, lambda rest, name=name: given.append((name, rest)) or 7) for name, (words, _) in
             launch.PAGES.items()}  # fmt: skip
    monkeypatch.setattr(launch, "PAGES", pages)
    assert launch.main(["clinic", "--port", "7000"]) == 7
    assert launch.main(["explorer", "SCENE", "--help"]) == 7
    assert given == [("clinic", ["--port", "7000"]), ("explorer", ["SCENE", "--help"])]


@pytest.mark.parametrize("page", ["clinic", "explorer"])
def test_each_page_tells_its_options(page: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as left:
        launch.main([page, "--help"])
    assert left.value.code == 0
    assert "--port" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), ([], 2), (["kitchen"], 2)])
def test_help_and_refusals_name_the_pages(arguments: list[str], code: int, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as left:
        launch.main(arguments)
    assert left.value.code == code
    said = "".join(capsys.readouterr())
    assert "clinic" in said or arguments == []
