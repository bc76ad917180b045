"""The page as text: self-contained, escaped, and small."""

from __future__ import annotations

import json
import re

import pytest
from sample_results import make_point, make_result

from bytemlperf.errors import ConfigError
from bytemlperf.report.collect import Collected, collect_results
from bytemlperf.report.page import render_page
from bytemlperf.report.page.assemble import script_json
from bytemlperf.report.page.view import page_view
from bytemlperf.report.point_names import point_names
from bytemlperf.report.schema import SCHEMA_VERSION, InvocationIndex, TaskEntry
from bytemlperf.report.storage import write_json_atomic


def page(*results, run="run"):
    collected = [Collected(run, f"{each.task}.json", each) for each in results]
    return render_page(collected, generated_at_utc="now", version="1")


def test_json_cannot_end_its_element():
    """No character that an HTML parser looks at, and the same value when read."""
    value = {"</script>": "<!-- & \u2028"}
    text = script_json(value)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == value


def test_a_page_has_no_address_outside_of_it():
    """No source, no link that is loaded, no style from elsewhere."""
    text = page(make_result())
    head = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r'(src|href|action)=(?!"#)', head)
    assert "url(" not in head
    assert "@import" not in head


@pytest.mark.slow
def test_a_zoo_of_nine_tasks_stays_under_three_megabytes():
    """With six points of a minute each."""
    points = [
        make_point(size, query_count=900, seed=size) for size in (1, 4, 8, 16, 32, 64)
    ]
    results = [make_result(task=f"task-{index}", points=points) for index in range(9)]
    assert len(page(*results).encode()) < 3_000_000


def test_points_that_differ_in_more_than_size_have_different_names():
    """A load swept at one batch size names its clients; equal ones are counted."""
    points = [make_point(1, clients=each, query_count=60) for each in (1, 2, 2)]
    assert point_names(points) == [
        "batch 1, 1 clients", "batch 1, 2 clients", "batch 1, 2 clients (run 2)",
    ]  # fmt: skip


def write_run(folder, *tasks):
    entries = []
    for task in tasks:
        path = folder / "CPU" / task / "result.json"
        path.parent.mkdir(parents=True)
        write_json_atomic(path, make_result(task=task))
        entries.append(
            TaskEntry(task, "CPU", "ok", f"CPU/{task}/result.json", 1, 0, 0, 1.0)
        )
    index = InvocationIndex(SCHEMA_VERSION, "i", [], "", "", "ok", 0, entries)
    write_json_atomic(folder / "index.json", index)
    return folder


def test_folders_indexes_and_files_are_all_results(tmp_path):
    """In the index's order, each file once, whatever it was named by."""
    run = write_run(tmp_path / "run", "b", "a")
    found = collect_results([run, run / "index.json", run / "CPU/a/result.json"])
    assert [each.result.task for each in found] == ["b", "a"]


def test_runs_are_named_by_what_tells_them_apart(tmp_path):
    """The last part of a path, or as many as it takes."""
    write_run(tmp_path / "old" / "reports", "a")
    write_run(tmp_path / "new" / "reports", "a")
    found = collect_results([tmp_path / "old" / "reports", tmp_path / "new/reports"])
    assert [each.run for each in found] == ["old/reports", "new/reports"]


@pytest.mark.parametrize("make", [False, True])
def test_nothing_to_report_is_an_error(tmp_path, make):
    """A path that is not there, and a folder without a result."""
    path = tmp_path / "none"
    if make:
        path.mkdir()
    with pytest.raises(ConfigError, match="no such file" if not make else "no result"):
        collect_results([path])


def test_figures_travel_packed_and_whole():
    """What a browser unpacks is what was drawn, and the same page every time."""
    import base64
    import gzip
    import json

    pytest.importorskip("jinja2")
    some = [Collected("run", "1", make_result())]
    first, second = (
        render_page(some, generated_at_utc="now", version="1") for _ in range(2)
    )
    assert first == second
    packed = re.search(
        r'<script type="application/gzip" id="figures">([^<]*)</script>', first
    )
    assert packed is not None
    specs = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    view = page_view(some, generated_at_utc="now", version="1")
    drawn = {each.key for each in view.tasks[0].figures if each.figure.spec}
    assert drawn <= set(specs)
    assert specs["t0-spectrum"]["data"]["rows"]
