"""The HTML page as text: self-contained, escaped, complete. `in_browser/` has what a browser makes of it."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pacbench.comparing.history import entry_of, series
from pacbench.frame import Run
from pacbench.reports.escaping import for_plotly
from pacbench.reports.history_page import history_page
from pacbench.reports.history_table import history_table
from pacbench.reports.page import page
from pacbench.reports.panels import LARGEST_BYTES, collect
from pacbench.reports.trends import trend_figure

HOSTILE = "<script>alert(1)</script>"
VOID = {"meta", "img", "link", "br", "hr", "input", "base"}


class Document(HTMLParser):
    """What a page consists of: elements with attributes, and the text of each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[tuple[str, int]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            texts = self.texts.setdefault(tag, [])
            self.open.append((tag, len(texts)))
            texts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> ends nothing"
        assert self.open[-1][0] == tag, f"</{tag}> ends a <{self.open[-1][0]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for tag, place in self.open:
            self.texts[tag][place] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def hostile(run_folder: Any, png: bytes) -> Run:
    """Markup in every place where a run can hold a name."""
    backend = f'{HOSTILE}"onload="x'
    run_folder.settings(["crf", HOSTILE], ["unfold", backend], command=f"pacbench run {HOSTILE}", data_root=HOSTILE)
    run_folder.environment(processor=HOSTILE, packages={HOSTILE: "<b>"})
    for name in ("unfold", backend):
        run_folder.green(name)
        run_folder.ran("crf", HOSTILE, backend=name)
        about = {"method": HOSTILE, "dataset": HOSTILE, "notes": [HOSTILE], "parameters": {HOSTILE: 1.0}}
        panel = run_folder.panel("<img src=x onerror=alert(1)>.png", png)
        run_folder.case("crf", f"test_quality[{HOSTILE}]", name, metrics={"miou": 0.5}, panel=panel, **about)
        run_folder.case("crf", f"test_time[{HOSTILE}-total]", name, direction="total", samples_s=[0.1, 0.2], **about)
    run_folder.case("crf", "test_quality[bad]", method="bad", outcome="failed", reason=f"{HOSTILE} -->")
    run_folder.case(HOSTILE, HOSTILE, metrics={HOSTILE: 1.0})
    (run_folder.folder / "records" / f"{HOSTILE.replace('/', '')}.jsonl").write_text("nonsense\n")
    return run_folder.read()


def test_well_formed_with_one_heading_and_captions(several: Run) -> None:
    document = Document(page(several))
    assert document.open == []
    assert len(document.all("h1")) == 1
    assert len(document.all("caption")) == len(document.all("table")) >= 6
    assert all(text.strip() for text in document.texts["caption"] + document.texts["h2"])
    assert all(head.get("scope") in ("row", "col") for head in document.all("th"))
    identities = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert len(identities) == len(set(identities))
    links = [attributes["href"] for attributes in document.all("a")]
    assert all(link and link.startswith("#") and link[1:] in identities for link in links)


def test_nothing_is_loaded_from_anywhere(several: Run, data_uri: str) -> None:
    document = Document(page(several))
    assert document.all("link") == []
    assert document.all("iframe") == []
    assert [script for script in document.all("script") if "src" in script] == []
    assert [image["src"] for image in document.all("img")] == [data_uri]
    (style,) = document.texts["style"]
    assert "@import" not in style
    assert "url(" not in style
    assert not [name for _, attributes in document.elements for name in attributes if name.startswith("on")]
    (policy,) = [meta["content"] for meta in document.all("meta") if meta.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")


def test_the_facts_of_the_run_are_told(several: Run) -> None:
    text = page(several)
    assert "pacbench run --backend unfold,inductor --profile quick" in text
    assert "2026-01-02T03:04:05" in text
    assert "AVX512" in text
    assert text.count("gate green") == 2


def test_markup_is_text_everywhere(hostile: Run) -> None:
    text = page(hostile)
    document = Document(text)
    assert "<script>alert" not in text
    assert "onerror" not in {name for _, attributes in document.elements for name in attributes}
    assert "onload" not in {name for _, attributes in document.elements for name in attributes}
    assert HOSTILE in document.texts["th"] + document.texts["span"]
    assert any(HOSTILE in text for text in document.texts["code"])
    assert any(HOSTILE in text for text in document.texts["li"])
    captions = "".join(document.texts["figcaption"] + document.texts["span"])
    assert HOSTILE in captions
    assert "<img src=x onerror=alert(1)>.png" in captions
    data = [
        json.loads(body)
        for body, attributes in zip(document.texts["script"], document.all("script"), strict=True)
        if attributes.get("type") == "application/json"
    ]
    assert data
    names = [trace["name"] for figure in data for trace in figure["data"]]
    assert any("&lt;script&gt;" in name for name in names)
    assert not any("<" in name for name in names)


def test_markup_in_a_history_is_text(run_folder: Any) -> None:
    run_folder.settings(["operators"])
    run_folder.environment(processor=HOSTILE)
    run_folder.green()
    run_folder.operators()
    run_folder.case("operators", HOSTILE, method=HOSTILE, direction="forward", samples_s=[0.1])
    told = [(line, []) for line in series([entry_of(run_folder.read(), HOSTILE, HOSTILE)])]
    trends = [trend_figure(line, changes, "trend") for line, changes in told]
    text = history_page(told, [history_table(told)], trends, [HOSTILE])
    document = Document(text)
    assert "<script>alert" not in text
    assert HOSTILE in document.texts["li"] + document.texts["td"]
    assert any(HOSTILE in text for text in document.texts["figcaption"])
    data = json.loads(document.texts["script"][-3])
    assert data["data"][0]["text"] == [for_plotly(trends[-1].points[0].label)]


def test_reasons_stand_behind_empty_cells(several: Run) -> None:
    document = Document(page(several))
    notes = " ".join(document.texts["li"])
    assert "the permutohedral lattice is not installed" in notes
    assert "killed by SIGSEGV" in notes
    cells = zip(document.all("td"), document.texts["td"], strict=True)
    empty = [text for attributes, text in cells if "empty" in (attributes["class"] or "").split()]
    assert len(empty) > 10
    assert all(text.startswith("\N{EN DASH}") and text[1:].isdecimal() for text in empty)


def test_numbers_carry_their_full_value_for_sorting(several: Run) -> None:
    document = Document(page(several))
    keys = [cell["data-sort"] for cell in document.all("td") if "column-total_ms" in (cell["class"] or "")]
    assert keys
    assert all(not key or float(key) > 0 for key in keys)


def test_without_plots_there_is_no_plotly(run_folder: Any) -> None:
    run_folder.settings(["crf"])
    assert len(page(run_folder.read())) < 60_000


def test_without_panels_there_is_no_picture(several: Run) -> None:
    document = Document(page(several, panels=False))
    assert document.all("img") == []


def panel_run(run_folder: Any, **panels: str) -> Run:
    run_folder.settings(["crf"])
    run_folder.green()
    for name, panel in panels.items():
        run_folder.case("crf", f"test_quality[{name}]", method=name, dataset="scenes", panel=panel)
    run_folder.ran("crf")
    return run_folder.read()


def test_a_panel_has_words(run_folder: Any) -> None:
    (panel,) = collect(panel_run(run_folder, unary=run_folder.panel("one.png"))).shown
    assert panel.caption == "scenes, unary, unfold"
    assert (panel.width, panel.height) == (8, 4)


def test_only_real_pictures_inside_the_run_are_taken(run_folder: Any, png: bytes, tmp_path: Path) -> None:
    (tmp_path / "outside.png").write_bytes(png)
    run_folder.panel("good.png")
    (run_folder.folder / "panels" / "link.png").symlink_to(tmp_path / "outside.png")
    found = collect(
        panel_run(
            run_folder, climbing="../outside.png", absolute=str(tmp_path / "outside.png"), link="panels/link.png",
            text=run_folder.panel("text.png", b"<svg>" * 20), gone="panels/gone.png", nul="panels/\0.png",
        )
    )  # fmt: skip
    assert found.shown == ()
    assert sum("not a file inside the run folder" in sentence for sentence in found.left_out) == 5
    assert sum("not a PNG file" in sentence for sentence in found.left_out) == 1


def test_large_panels_are_counted(run_folder: Any, png: bytes) -> None:
    large = png + bytes(LARGEST_BYTES)
    found = collect(
        panel_run(
            run_folder, one=run_folder.panel("a.png", large), two=run_folder.panel("b.png", large),
            three=run_folder.panel("c.png"),
        )
    )  # fmt: skip
    assert len(found.shown) == 1
    assert found.left_out[0].startswith("2 pictures were left out for size")


def test_panels_of_a_red_gate_are_counted_not_shown(run_folder: Any) -> None:
    run_folder.settings(["crf"])
    run_folder.red("unfold")
    run_folder.case("crf", "test_quality[unary]", method="unary", panel=run_folder.panel("one.png"))
    found = collect(run_folder.read())
    assert found.shown == ()
    assert found.left_out == ("1 picture was left out because the gate is not green or the case did not pass.",)
