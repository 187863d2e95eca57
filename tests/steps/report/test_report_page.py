"""The report's page: what it shows, needs and runs, in a browser too."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from holdfast.steps.report.page import render
from holdfast.steps.report.params import Report
from holdfast.steps.report.row_counts import TableCount
from holdfast.steps.report.sections import Page
from holdfast.steps.report.summary import summarise
from report_data import evaluation

MEASURES = {"general": "general", "domain": "domain"}
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


class Reader(HTMLParser):
    """Collects what a page would load, and checks that its tags close."""

    VOID = ("meta", "link", "input", "br", "line", "circle", "rect", "polyline")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.loads += [
            f"{v}" for k, v in attrs if k in ("src", "href", "data", "poster", "srcset") and not f"{v}".startswith("#")
        ]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """`<line/>` opens nothing."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_further_metrics_are_shown_as_they_are(built: Path) -> None:
    text = (built / "report/index.html").read_text()
    shown = text[text.index("metrics/my_own.json") :]
    assert '<td>precision</td><td class="left">0.875</td>' in shown
    assert '<td>task shares sums</td><td class="left">0.25</td>' in shown


def test_the_page_needs_no_network_and_runs_nothing_of_the_data(built: Path) -> None:
    text = (built / "report/index.html").read_text()
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    assert reader.loads == ["data:,"]
    assert reader.scripts == 1
    assert not re.search(r"url\(|@import|https?://", text)
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text
    for heading in (
        "Verdicts",
        "Accuracy",
        "By suite and task",
        "Items learned and forgotten",
        "Rows by step",
        "The reconstruction",
    ):
        assert heading in text
    for part in (
        "The committee",
        "Training",
        "the same 150 optimiser steps",
        "truncated 2",
        "rehearsal 83.0%",
        "WARNING: rows with evaluation items: domain 1,234 of gsm8k.jsonl",
        "not_best",
        "3.5",
        "<td>\N{MINUS SIGN}0.10</td>",
        "<td>unknown</td>",
    ):
        assert part in text


@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium")
def test_the_page_runs_in_a_browser_without_a_complaint(built: Path, tmp_path: Path) -> None:
    page = (built / "report/index.html").resolve().as_uri()
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--enable-logging=stderr"]
    no_network = "--host-resolver-rules=MAP * ~NOTFOUND"
    shown = subprocess.run(
        [f"{CHROMIUM}", *options, no_network, "--dump-dom", page], capture_output=True, text=True, timeout=120
    )
    assert "How it is computed" in shown.stdout
    assert "CONSOLE" not in shown.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium")
def test_the_page_fits_a_phone_and_wide_tables_scroll_in_their_box(built: Path, tmp_path: Path) -> None:
    (tmp_path / "frame.html").write_text((built / "report/index.html").read_text() + MEASURE)
    (tmp_path / "page.html").write_text('<iframe src="frame.html" style="width:390px;height:800px"></iframe>')
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'user'}"]
    options += ["--disable-background-networking", "--allow-file-access-from-files", "--virtual-time-budget=5000"]
    page = (tmp_path / "page.html").as_uri()
    shown = subprocess.run([f"{CHROMIUM}", *options, "--dump-dom", page], capture_output=True, text=True, timeout=120)
    wide, open_width, scrolling, saying = map(int, re.findall(r"MEASURED (\d+) (\d+) (\d+) (\d+)", shown.stdout)[0])
    assert wide <= open_width <= 390
    assert scrolling == saying > 0, "tables wider than the screen say so"


MEASURE = """<script>
for (const part of document.querySelectorAll("details")) part.open = true;
const page = document.documentElement, boxes = [...document.querySelectorAll(".scroll")];
mark();
const scrolling = boxes.filter(box => box.scrollWidth > box.clientWidth).length;
const said = parent.document.createElement("p");
const saying = document.querySelectorAll(".scroll.wide").length;
said.textContent = `MEASURED ${page.scrollWidth} ${page.clientWidth} ${scrolling} ${saying}`;
parent.document.body.append(said);
</script>"""


@pytest.mark.parametrize(
    ("marks", "spread"), [([True, False, True], "0.0"), ([True, None, None], "0.0"), ([None], "unknown")]
)
def test_the_page_of_several_seeds(marks: list[bool | None], spread: str) -> None:
    runs = dict.fromkeys(("base", "arm", "arm-s1", "arm-s2"), evaluation({"general": marks}))
    tables = [TableCount(step, "all", 3, [], "") for step in ("mix", "evaluate")]
    summary = summarise(runs, MEASURES, Report())
    text = render(Page(summary, runs, Report(), "base", tables, [], {}, {}, [], ""))
    assert f'<td class="left">general</td><td>{spread}</td>' in text
    assert "other items and other training seeds" in text
