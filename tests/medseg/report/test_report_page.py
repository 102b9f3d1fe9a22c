"""The report says all of the result, runs nothing, fetches nothing, and prints on one page."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser

from medseg.errors import InvalidInputError
from medseg.report.report_page import report_html, write_report_html
from medseg.report.report_parts import answer_html
from medseg.study.result import RESEARCH_USE, SegmentationResult
from tests.apps.scene_explorer.browser import headless_browser
from tests.medseg.report.made_results import (
    HOSTILE,
    box,
    ct,
    finding,
    picture,
    provenance,
    result,
    two_found_one_not,
)


class Page(HTMLParser):
    """Tags with their attributes, and the text between them by tag."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.links: dict[str, str] = {}
        self._link = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "a":
            self._link = dict(attrs).get("href") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._link = ""

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._link:
            self.links[self._link] = self.links.get(self._link, "") + data


def hostile_result() -> SegmentationResult:
    volume = replace(ct(), body_part=HOSTILE, modality=HOSTILE, unit=HOSTILE)
    found = finding(volume, HOSTILE, box(volume, (2, 8), (4, 10), (2, 5)), span=(0, len(HOSTILE)))
    told = provenance(
        segmenter=HOSTILE,
        weights_sha256=HOSTILE,
        input_sha256=HOSTILE,
        preprocessing={HOSTILE: HOSTILE},
        thresholds={HOSTILE: 0.5},
        versions={HOSTILE: HOSTILE},
    )
    text = HOSTILE + " and " + HOSTILE
    findings = [found, finding(volume, HOSTILE)]
    asked = result(volume, findings, question=HOSTILE, text=text, warnings=(HOSTILE,))
    return replace(asked, provenance=told)


def test_phrases_lead_to_their_cards() -> None:
    page = Page(report_html(two_found_one_not()))
    assert page.links == {"#finding-1": "1left kidney", "#finding-2": "2cyst", "#finding-3": "3stone"}
    cards = {attrs["id"]: attrs["class"] for tag, attrs in page.tags if tag == "article"}
    assert cards == {"finding-1": "card found", "finding-2": "card uncertain", "finding-3": "card not_found"}
    for words in (RESEARCH_USE, "not found", "uncertain", "2.59 ml", "144 mm²", "soft tissue window", "squares"):
        assert words in page.text


def test_pictures_are_inside_and_whole() -> None:
    page = Page(report_html(two_found_one_not()))
    sources = [attrs["src"] or "" for tag, attrs in page.tags if tag == "img"]
    assert len(sources) == 3 + 2, "three slices, and one crop for each of the two masks"
    for source in sources:
        head, _, data = source.partition(",")
        assert head == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as image:
            image.load()


def test_hostile_texts_are_text() -> None:
    text = report_html(hostile_result())
    page = Page(text)
    clean = Page(report_html(two_found_one_not()))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in clean.tags} | {"ul", "li"}
    for tag, attrs in page.tags:
        assert not any(name.startswith("on") for name in attrs), tag
        assert "alert" not in "".join(value or "" for name, value in attrs.items() if name != "alt")
    assert "\u202e" not in text
    # Question, twice in the answer, warning, twice as label of a card and of the table, facts, unit and modality.
    assert page.text.count("<script>alert(1)</script>") >= 12
    assert next(attrs for tag, attrs in page.tags if tag == "a")["href"] == "#finding-1"


def test_no_address_of_another_machine() -> None:
    text = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "data:", report_html(two_found_one_not()))
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<script|<link|<iframe|<form", text)
    assert "default-src 'none'" in text


@pytest.mark.parametrize(
    ("spans", "links"),
    [
        ([(0, 4), (2, 6)], 1),  # across an earlier one
        ([(0, 4), (0, 4)], 1),
        ([(0, 99)], 0),
        ([(3, 3)], 0),
        ([(-2, 3)], 0),
        ([(6, 10), (0, 4)], 2),
        ([None, (0, 10)], 1),
    ],
)
def test_spans_that_do_not_fit_are_plain_text(spans: list[tuple[int, int] | None], links: int) -> None:
    volume = ct((4, 4, 4))
    found = [finding(volume, "a", span=span) for span in spans]
    page = Page(answer_html(result(volume, found, text="0123456789")))
    assert len([tag for tag, _ in page.tags if tag == "a"]) == links
    shown = "".join(page.text)
    for number in range(1, len(spans) + 1):  # the findings' own numbers stand before their phrases
        shown = shown.replace(
            page.links.get(f"#finding-{number}", "\0"), page.links.get(f"#finding-{number}", "\0")[1:]
        )
    assert shown == "0123456789"


def test_equal_results_give_equal_pages(tmp_path: Path) -> None:
    write_report_html(tmp_path / "one.html", two_found_one_not())
    write_report_html(tmp_path / "other.html", two_found_one_not())
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "other.html").read_bytes()
    with pytest.raises(InvalidInputError, match=r"in \.html"):
        write_report_html(tmp_path / "one.pdf", two_found_one_not())


def test_columns_that_nothing_fills_are_left_out() -> None:
    volume = picture()
    spot = finding(volume, "spot", box(volume, (5, 15), (10, 20), (0, 1)))
    page = report_html(result(volume, [spot, finding(volume, "crack")]))
    headers = re.findall(r'<th scope="col">([^<]*)</th>', page)
    assert headers == ["Structure", "Status", "Largest area", "Parts", "At the border", "Mean ± SD", "Range"]
    assert "<tbody></tbody>" in report_html(result(volume, []))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with headless_browser() as browser:
        yield browser


def test_hostile_texts_do_nothing(browser: Browser, tmp_path: Path) -> None:
    write_report_html(tmp_path / "hostile.html", hostile_result())
    page = browser.new_page()
    said, asked = [], []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url.partition(":")[0]))
    page.goto((tmp_path / "hostile.html").as_uri())
    page.wait_for_timeout(200)
    assert said == []
    assert set(asked) <= {"file", "data"}
    assert page.title() == "Segmentation report"
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0, "long words do not push the page apart"
    page.close()


def test_an_ordinary_result_prints_on_one_page(browser: Browser, tmp_path: Path) -> None:
    asked = two_found_one_not()
    volume = asked.volume
    more = [finding(volume, f"organ {number}", box(volume, (1, 9), (1, 9), (1, 3))) for number in range(3)]
    for name, one in (("volume", replace(asked, findings=(*asked.findings, *more))), ("picture", _picture())):
        write_report_html(tmp_path / f"{name}.html", one)
        page = browser.new_page()
        page.goto((tmp_path / f"{name}.html").as_uri())
        printed = page.pdf(prefer_css_page_size=True)
        assert re.search(rb"/Count (\d+)", printed)[1] == b"1", name
        page.close()


def _picture() -> SegmentationResult:
    volume = picture(300, 400)
    found = [finding(volume, f"spot {n}", box(volume, (9 * n, 9 * n + 8), (10, 20), (0, 1))) for n in range(4)]
    return result(volume, found)
