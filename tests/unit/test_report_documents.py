"""Markdown, PDF and pictures: the page's content in other forms."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from sample_results import make_point, make_result

from bytemlperf.errors import ConfigError
from bytemlperf.report.collect import Collected
from bytemlperf.report.figures import Figure, throughput_latency
from bytemlperf.report.markdown import render_markdown
from bytemlperf.report.page.view import page_view
from bytemlperf.report.writing import write_pictures, write_reports

HOSTILE = "<script>x</script> | `a` [b](c) @all #1 \u05e2\u05d1 " + "y" * 400


def collected(*results, run="run"):
    return [Collected(run, f"{index}", each) for index, each in enumerate(results)]


def test_markdown_is_a_verdict_a_table_and_a_command():
    """What a reviewer looks for, in a form that GitHub draws."""
    text = render_markdown(
        collected(make_result()), generated_at_utc="now", version="1"
    )
    assert "FAILED: resnet50-torch-fp32 on CPU" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 3
    assert len({row.count(" | ") for row in rows}) == 1
    assert "```\npython -m bytemlperf --tasks resnet50-torch-fp32\n```" in text


def test_names_are_no_markup_in_markdown():
    """No tag, link, mention, reference or column of a name's own."""
    result = make_result(
        task=HOSTILE, points=[make_point(1, query_count=9, errors=[f"{HOSTILE}\n# h"])]
    )
    text = render_markdown(collected(result), generated_at_utc="now", version="1")
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert "<script" not in re.sub(r"\\.", "", outside)
    assert "@all" not in outside
    assert "#1" not in outside
    assert not re.search(r"^# h", text, flags=re.MULTILINE)


def test_a_fence_inside_a_command_does_not_end_it():
    """The block's fence is longer than any in it."""
    result = make_result(points=[])
    result.provenance.command_line[:] = ["bytemlperf", "a```b"]
    text = render_markdown(collected(result), generated_at_utc="now", version="1")
    assert re.search(r"^````\n.*```b'\n````$", text, flags=re.MULTILINE)


@pytest.mark.slow
def test_a_pdf_has_the_figures_of_the_page(tmp_path):
    """Hostile names and all; the same results are the same bytes."""
    pytest.importorskip("reportlab")
    pytest.importorskip("vl_convert")
    some = collected(make_result(), make_result(task=HOSTILE))
    bodies = []
    for name in ("first", "second"):
        (path,) = write_reports(
            some, tmp_path / name, ["pdf"], generated_at_utc="now", version="1"
        )
        bodies.append(path.read_bytes())
    assert bodies[0].startswith(b"%PDF-")
    assert bodies[0] == bodies[1]
    view = page_view(some, generated_at_utc="now", version="1")
    drawn = [each for each in view.tasks[0].figures if each.figure.spec]
    # The second task's are the same pictures, which are kept once.
    assert bodies[0].count(b"/Subtype /Image") >= len(drawn) > 4


@pytest.mark.slow
def test_every_figure_is_a_picture(tmp_path):
    """SVG with marks and PNG, under names that are safe for any disk."""
    pytest.importorskip("vl_convert")
    result = make_result(task="a/../b", points=[make_point(1), make_point(8)])
    written = write_pictures(collected(result), tmp_path / "plots")
    assert {path.parent for path in written} == {tmp_path / "plots"}
    assert len(written) == len(set(written)) >= 2 * 9
    for path in written:
        if path.suffix == ".svg":
            root = ElementTree.parse(path).getroot()
            marks = [
                each for each in root.iter() if "role-mark" in each.get("class", "")
            ]
            assert any(len(mark) for mark in marks), path
        else:
            assert path.read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_no_picture():
    """An empty figure is an error for who asks, with its own words."""
    pictures = pytest.importorskip("bytemlperf.report.pictures")
    empty = throughput_latency([])
    assert isinstance(empty, Figure)
    with pytest.raises(ConfigError, match="No point was measured"):
        pictures.to_svg(empty)
