"""The page in a real browser: it draws, asks nobody for anything, and can be used."""

from __future__ import annotations

import csv
import json

import msgspec
import pytest
from browser import OpenPage, browser
from sample_results import make_point, make_result

from bytemlperf.report.collect import Collected
from bytemlperf.report.page import render_page

pytestmark = pytest.mark.slow

HOSTILE = (
    "<script>document.title='run'</script>",
    "</script><img src=x onerror=\"document.title='run'\">",
    "\"quoted\" 'twice' {{ braces }} ${dollar}",
    "\u202e\u05e2\u05d1\u05e8\u05d9\u05ea right to left",
    '=HYPERLINK("http://x")',
    "x" * 500,
)


@pytest.fixture(scope="module")
def chromium():
    with browser() as started:
        yield started


@pytest.fixture
def show(chromium, tmp_path):
    """Return what writes a page of some results and opens it.

    Yields
    ------
    callable
        Pages are closed after the test.
    """
    opened = []

    def show(collected, *, width=1280, scheme="light"):
        path = tmp_path / f"page{len(opened)}.html"
        path.write_text(
            render_page(collected, generated_at_utc="now", version="1"),
            encoding="utf-8",
        )
        page = chromium.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        opened.append(page)
        return OpenPage(page, path)

    yield show
    for page in opened:
        page.close()


def collect(*results, run="run"):
    return [Collected(run, f"{index}.json", each) for index, each in enumerate(results)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_draws_everything_and_asks_for_nothing(show, width, scheme):
    """Every figure has marks; no message, no request, nothing wider than the window."""
    opened = show(collect(make_result()), width=width, scheme=scheme)

    assert opened.draw_all() >= 10
    marks = opened.page.evaluate(
        "[...document.querySelectorAll('.plot')].map(plot => plot.querySelectorAll("
        "'.role-mark path, .role-mark rect, .role-mark line, .role-mark text').length)"
    )
    assert min(marks) > 0
    assert opened.messages == []
    assert opened.requests == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_verdict_stands_first_and_the_host_second(show):
    """A stranger reads whether it is valid before any number."""
    page = show(collect(make_result())).page

    assert page.locator("main h2").all_inner_texts()[:2] == ["Verdict", "Host"]
    verdict = page.locator("#verdict").inner_text()
    for answer in ("FAILED", "samples/s", "float64", "Xeon", "python -m bytemlperf"):
        assert answer in verdict


def test_names_stay_text(show):
    """Whatever a model, a backend or a folder is called, nothing of it runs."""
    results = []
    for name in HOSTILE:
        model = msgspec.structs.replace(make_result().model, name=name, format=name)
        results.append(
            make_result(
                task=name,
                hardware_type=name,
                backend_version=name,
                model=model,
                warnings=[name],
                points=[make_point(4, errors=[name], invalid_reasons=[name])],
            )
        )
    opened = show(collect(*results, run=HOSTILE[1]))
    opened.draw_all()

    assert opened.messages == []
    assert opened.requests == []
    assert opened.page.title() != "run"
    assert opened.page.locator("#main img").count() == 0
    tasks = opened.page.locator("#all-points tbody td:nth-child(2)").all_inner_texts()
    assert tasks == list(HOSTILE)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_a_table_sorts_filters_and_downloads(show):
    """By value, not by text; without a value last; only shown rows are saved."""
    results = [
        make_result(task="small", points=[make_point(1), make_point(8, seed=3)]),
        make_result(
            task="large",
            points=[make_point(16, query_count=600, invalid_reasons=["too slow"])],
        ),
    ]
    page = show(collect(*results)).page
    p99 = page.locator("#all-points thead th", has_text="p99").first
    sizes = page.locator("#all-points tbody tr:not([hidden]) td:nth-child(4)")

    page.get_by_role("button", name="batch size").last.click()
    assert sizes.all_inner_texts() == ["1", "8", "16"]
    page.get_by_role("button", name="batch size").last.click()
    assert sizes.all_inner_texts() == ["16", "8", "1"]
    # Only the point with 600 queries has a p99 at all.
    for _ in range(2):
        p99.locator("button").click()
        assert sizes.all_inner_texts()[0] == "16"

    page.get_by_label("Filter").fill("valid")
    assert sorted(sizes.all_inner_texts()) == ["1", "8"]
    assert page.locator("#count").inner_text() == "2 of 3 points"
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download CSV").click()
    rows = list(csv.DictReader(saved.value.path().read_text().splitlines()))
    assert {row["task"] for row in rows} == {"small"}
    point = results[0].points[0]
    row = next(row for row in rows if row["batch_size"] == "1")
    assert float(row["latency_p50_ns"]) == point.latency.p50_ns
    assert row["latency_p99_ns"] == ""
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download JSON").click()
    assert len(json.loads(saved.value.path().read_text())) == 2


def test_the_theme_changes_and_figures_follow(show):
    """Drawn figures are drawn again in the other colours."""
    opened = show(collect(make_result()))
    opened.draw_all()
    label = opened.page.locator(".plot .role-axis-label text").first
    before = label.get_attribute("fill")

    opened.page.get_by_role("button", name="Switch to dark colours").click()

    opened.page.wait_for_function(
        "before => document.querySelector('.plot .role-axis-label text')"
        ".getAttribute('fill') !== before",
        arg=before,
    )
    assert opened.page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert opened.messages == []


def test_the_keyboard_reaches_and_works_everything(show):
    """Headings sort and details open with Enter; the first stop skips ahead."""
    page = show(collect(make_result())).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"

    heading = page.get_by_role("button", name="samples/s")
    heading.focus()
    page.keyboard.press("Enter")
    assert heading.locator("..").get_attribute("aria-sort") == "ascending"

    page.locator("details.point summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details.point").first.get_attribute("open") is not None


def test_without_scripts_the_words_are_there(chromium, tmp_path):
    """Every figure's content is also written below it."""
    path = tmp_path / "page.html"
    path.write_text(
        render_page(collect(make_result()), generated_at_utc="now", version="1")
    )
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    captions = page.locator("figcaption").all_text_contents()
    context.close()

    assert all(len(caption) > 30 for caption in captions)
    assert any("half of the queries within" in caption for caption in captions)


def test_two_hundred_points_stay_responsive(show):
    """Only what is near the window is drawn, and typing filters at once."""
    points = [make_point(size, query_count=60, seed=size) for size in range(1, 201)]
    opened = show(collect(make_result(points=points)))

    opened.page.get_by_label("Filter").fill("INVALID")
    assert opened.page.locator("#count").inner_text() == "0 of 200 points"
    drawn = opened.page.locator(".plot[data-drawn]").count()
    assert drawn < opened.page.locator(".plot").count() / 4
    assert opened.messages == []


def test_two_runs_say_which_is_faster(show):
    """First of all, by how much, with an interval, in words, a figure and a table."""
    invalid = make_point(8, query_count=60, invalid_reasons=["too few"])
    slow = make_result(points=[make_point(1, query_count=600), invalid])
    fast = make_result(
        points=[make_point(1, query_count=600, service_ns=10_000_000, seed=9)]
    )
    both = [*collect(slow, run="old"), *collect(fast, run="new")]
    opened = show(both)
    opened.draw_all()

    first = opened.page.locator("#verdict .card .big").first.inner_text()
    assert first.startswith("Throughput of new is 2.")
    rows = opened.page.locator("#comparison tbody tr")
    assert rows.count() == 3
    assert "[" in rows.first.inner_text()
    assert opened.messages == []


def test_runs_that_cannot_be_compared_say_why(show):
    """Another model under the same name is no slower one."""
    model = msgspec.structs.replace(make_result().model, sha256="c" * 64)
    both = [
        *collect(make_result(), run="old"),
        *collect(make_result(model=model), run="new"),
    ]
    page = show(both).page
    assert "Not compared: " in page.locator("#verdict").inner_text()
