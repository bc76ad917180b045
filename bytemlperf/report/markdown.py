"""Results as Markdown, for a pull request or an issue.

Input: collected results. Output: GitHub-flavoured text, in which what a result says is
never markup.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bytemlperf.report.collect import Collected, CollectedVariants
from bytemlperf.report.columns import POINT_COLUMNS
from bytemlperf.report.page.sections import ShownTable, TaskSection, VariantsSection
from bytemlperf.report.page.view import PageView, page_view
from bytemlperf.report.plain_text import clean_line

__all__ = ["render_markdown"]

# What is read as markup, or as a table's bar.
SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#|~!&])")
# Mentions and references are looked for in what is drawn, where a backslash is gone.
LINKING = re.compile(r"(@|\\#)")
KEYS = (
    "batch_size", "clients", "query_count", "throughput_samples_per_s",
    "throughput_low_samples_per_s", "throughput_high_samples_per_s", "latency_p50_ns",
    "latency_p90_ns", "latency_p99_ns", "ours_mean_ns", "verdict",
)  # fmt: skip
TONE_MARKS = {"good": "\u2705", "bad": "\u274c", "unsure": "\u26a0\ufe0f"}


def render_markdown(
    collected: Sequence[Collected],
    variants: Sequence[CollectedVariants] = (),
    *,
    generated_at_utc: str,
    version: str,
) -> str:
    """Return results as Markdown.

    Parameters
    ----------
    collected : sequence of Collected
        At least one.
    variants : sequence of CollectedVariants
        What their sweeps and searches found.
    generated_at_utc, version : str
        When it is made, and by which version.

    Returns
    -------
    str
        A heading, and of each task its verdict, its points, what a reader must not
        miss, and how to repeat it.

    Raises
    ------
    ConfigError
        A histogram in a result is damaged.
    """
    view = page_view(
        collected, variants, generated_at_utc=generated_at_utc, version=version
    )
    parts = [f"## {_escape(view.title)} {_escape(view.subtitle)}"]
    if view.compared is not None:
        told = view.compared.sentences or [f"Not compared: {view.compared.refused}"]
        parts += [f"**{_escape(sentence)}**" for sentence in told]
    for section in view.variants:
        parts += _variants(section)
    for task, each in zip(view.tasks, collected, strict=True):
        parts += _task(task, each)
    parts += _hosts(view)
    parts.append(f"<sub>bytemlperf {_escape(version)}, {generated_at_utc}</sub>")
    return "\n\n".join(parts) + "\n"


def _task(task: TaskSection, each: Collected) -> list[str]:
    run = f" ({_escape(task.run)})" if task.run else ""
    parts = [
        f"### {TONE_MARKS[task.tone]} {task.verdict}: {_escape(task.title)}{run}",
        "\n".join(f"- **{question}** {_escape(answer)}"
                  for question, answer in task.answers[:-1]),
    ]  # fmt: skip
    if each.result.points:
        parts.append(_table(each))
    if task.notes:
        parts.append(
            "\n".join(
                f"- {TONE_MARKS[note.tone]} **{_escape(note.where)}** "
                f"{_escape(note.text)}"
                for note in task.notes
            )
        )
    parts += [
        f"<details><summary>{_escape(table.title)}</summary>\n\n"
        f"{_shown_table(table)}\n\n</details>"
        for table in task.tables
    ]
    if task.command:
        parts.append(
            "<details><summary>Repeat it</summary>\n\n"
            f"{_fenced(task.command)}\n\n</details>"
        )
    return parts


def _variants(section: VariantsSection) -> list[str]:
    parts = [f"### {_escape(section.title)}"]
    parts += [_escape(sentence) for sentence in section.sentences]
    for table in section.tables:
        parts += [f"**{_escape(table.title)}**", _shown_table(table)]
    if section.command:
        parts.append(_fenced(section.command))
    return parts


def _shown_table(table: ShownTable) -> str:
    rows = [
        [_escape(heading) for heading in table.headings],
        [
            "---" if place in table.left else "---:"
            for place in range(len(table.headings))
        ],
        *([_escape(cell) for cell in row] for row in table.rows),
    ]
    text = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{text}\n\n{_escape(table.note)}" if table.note else text


def _table(each: Collected) -> str:
    columns = [column for column in POINT_COLUMNS if column.key in KEYS]
    rows = [
        [column.heading for column in columns],
        ["---:" for _ in columns],
        *(
            [_escape(column.cell(point).text) for column in columns]
            for point in each.result.points
        ),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _hosts(view: PageView) -> list[str]:
    return [
        "<details><summary>Host</summary>\n\n"
        + "\n".join(f"- {name}: {_escape(text)}" for name, text in host.facts)
        + "\n\n</details>"
        for host in view.hosts
    ]


def _escape(text: str) -> str:
    """Return text on one line that is nothing but text."""
    line = clean_line(" ".join(text.split()))
    return LINKING.sub(r"\1<!-- -->", SPECIAL.sub(r"\\\1", line))


def _fenced(text: str) -> str:
    """Return text as a block of code, whatever fences are in it."""
    runs = [len(run) for run in re.findall("`+", text)]
    fence = "`" * max(3, 1 + max(runs, default=0))
    return f"{fence}\n{' '.join(text.splitlines())}\n{fence}"
