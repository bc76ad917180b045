"""The leaderboard and the history page, opened from a disk in a real browser."""

from __future__ import annotations

import msgspec
import pytest
from browser import OpenPage, browser
from sample_results import make_compile, make_point, make_provenance, make_result

from bytemlperf.report.collect import Collected
from bytemlperf.report.site.build import build_site
from bytemlperf.report.site.pages import site_results

pytestmark = pytest.mark.slow


def results():
    """Make three tasks on two hardware types, one of them measured three times."""
    made = []
    for day in (1, 2, 3):
        began = f"2026-01-0{day}T00:00:00+00:00"
        made.append(
            make_result(
                task="bert",
                status="ok",
                provenance=make_provenance(started_at_utc=began),
                points=[make_point(8, query_count=60, throughput_samples_per_s=day)],
            )
        )
    made.append(make_result(task="vit", hardware_type="NPU", status="invalid",
                            compile=make_compile(precision="int8")))  # fmt: skip
    made.append(make_result(task="<b>x</b>", points=[]))
    return [Collected("run", f"{index}", each) for index, each in enumerate(made)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return build_site(
        results(), tmp_path_factory.mktemp("site"), generated_at_utc="now", version="1"
    )


@pytest.fixture(scope="module")
def chromium():
    with browser() as started:
        yield started


def test_an_identity_stays():
    """Made of what, where and when: not of order, folder, or the day of the build."""
    forwards = [each.id for each in site_results(results())]
    backwards = [each.id for each in site_results(results()[::-1])]
    assert forwards == backwards[::-1]
    assert len(set(forwards)) == len(forwards)


def test_the_matrix_shows_the_latest_and_filters(chromium, site):
    """From file://, with figures, and without a message or a foreign request."""
    opened = OpenPage(chromium.new_page(), site)
    page = opened.page
    assert opened.draw_all() == 1
    assert opened.messages == []
    assert all(asked.startswith("file:") for asked in opened.requests)
    rows = page.locator("#matrix-table tbody tr:not([hidden])")
    assert rows.locator("th").all_inner_texts() == ["<b>x</b>", "bert", "vit"]
    assert rows.nth(1).locator("a").inner_text() == "3.00"

    page.locator("#precision").select_option("INT8")
    assert rows.locator("th").all_inner_texts() == ["vit"]
    page.locator("#precision").select_option("")
    page.locator("#verdict").select_option("VALID")
    assert rows.locator("th").all_inner_texts() == ["bert"]
    page.close()


def test_a_result_has_a_page_and_a_file(chromium, site):
    """A link leads to the whole report, and from there to the raw result and back."""
    opened = OpenPage(chromium.new_page(), site)
    page = opened.page
    page.locator("#matrix-table a").nth(1).click()
    page.wait_for_selector("#verdict .pill")
    assert opened.draw_all() >= 5
    assert opened.messages == []
    raw = page.get_by_role("link", name="result.json").get_attribute("href")
    stored = (site.parent / "r" / raw).read_bytes()
    assert msgspec.json.decode(stored)["task"] == "bert"
    page.get_by_role("link", name="All results").click()
    page.wait_for_selector("#matrix-table")
    page.close()


def test_a_build_again_keeps_old_addresses(site):
    """A result that is no longer given still has its page."""
    before = set((site.parent / "r").iterdir())
    build_site(results()[:1], site.parent, generated_at_utc="now", version="1")
    assert set((site.parent / "r").iterdir()) == before
