"""Results as a PDF with the same figures as the page.

Input: collected results. Output: bytes of a PDF, A4 portrait.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from bytemlperf.errors import ConfigError
from bytemlperf.report.collect import Collected, CollectedVariants
from bytemlperf.report.columns import POINT_COLUMNS
from bytemlperf.report.page.sections import (
    Shown,
    ShownTable,
    TaskSection,
    VariantsSection,
)
from bytemlperf.report.page.view import PageView, page_view
from bytemlperf.report.pdf_text import Font, markup, register_fonts
from bytemlperf.report.pictures import to_png
from bytemlperf.report.plain_text import clean_line

__all__ = ["render_pdf"]

BODY: Font = "DejaVuSans"
BOLD: Font = "DejaVuSans-Bold"
CODE: Font = "DejaVuSansMono"
MARGIN_MM = 15
# Two columns of figures.
FIGURE_WIDTH_MM = 86
# So that their text is about as large as the text around them.
FIGURE_UNITS = 340
# Of a table; with more, each is too narrow for a number.
MAX_COLUMNS = 10
MAX_FIGURE_HEIGHT_MM = 95
INK = "#14181f"
SOFT = "#505a68"
LINE = "#c9d0d9"
TONES = {"good": "#0f6b41", "bad": "#a31621", "unsure": "#7a4a00"}
KEYS = (
    "batch_size", "clients", "query_count", "throughput_samples_per_s",
    "latency_p50_ns", "latency_p90_ns", "latency_p99_ns", "latency_max_ns",
    "queue_wait_mean_ns", "service_mean_ns", "ours_mean_ns", "peak_rss_bytes",
    "verdict",
)  # fmt: skip


def render_pdf(
    collected: Sequence[Collected],
    variants: Sequence[CollectedVariants] = (),
    *,
    generated_at_utc: str,
    version: str,
) -> bytes:
    """Return results as a PDF.

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
    bytes
        The file: the host, then of each task verdict, points, notes, figures and how to
        repeat it. Characters that the fonts lack are shown as escapes.

    Raises
    ------
    ConfigError
        reportlab or vl-convert-python is not installed, or a histogram is damaged.
    """
    view = page_view(
        collected, variants, generated_at_utc=generated_at_utc, version=version
    )
    return _Document(view, collected).render()


class _Document:
    """One document in the making."""

    def __init__(self, view: PageView, collected: Sequence[Collected]) -> None:
        try:
            from reportlab.lib import colors, pagesizes, styles, units
            from reportlab.platypus import flowables, paragraph, tables
        except ImportError as error:
            raise ConfigError(
                "a PDF needs reportlab, which is not installed",
                hint="pip install 'bytemlperf[report]'",
            ) from error
        self._view = view
        self._collected = collected
        self._colors, self._sizes, self._units = colors, pagesizes, units
        self._flowables, self._tables = flowables, tables
        self._paragraph = paragraph.Paragraph
        register_fonts()
        ink = colors.HexColor(INK)

        def style(name: str, size: float, **options: Any) -> Any:
            # Chinese rules break a name of 500 letters, which words alone do not.
            given = {
                "fontName": BODY,
                "textColor": ink,
                "wordWrap": "CJK",
                **options,
            }
            return styles.ParagraphStyle(
                name, fontSize=size, leading=size * 1.25, **given
            )

        self._title = style("title", 18, fontName=BOLD, spaceAfter=4)
        self._heading = style("heading", 13, fontName=BOLD, spaceBefore=10,
                              spaceAfter=4)  # fmt: skip
        self._body = style("body", 9, spaceAfter=2)
        self._small = style("small", 7.5, textColor=colors.HexColor(SOFT))
        self._cell = style("cell", 7)
        self._bold_cell = style("bold", 7, fontName=BOLD)
        self._column = style("column", 7, fontName=BOLD, wordWrap=None)
        self._figure_title = style("figure", 8.5, fontName=BOLD)
        self._code = style("code", 8, fontName=CODE, spaceAfter=4)

    def render(self) -> bytes:
        """Lay everything out."""
        from reportlab.platypus import SimpleDocTemplate

        stream = io.BytesIO()
        margin = MARGIN_MM * self._units.mm
        document = SimpleDocTemplate(
            stream,
            pagesize=self._sizes.A4,
            leftMargin=margin,
            rightMargin=margin,
            topMargin=margin,
            bottomMargin=margin + 4,
            title=clean_line(self._view.title),
            author="bytemlperf",
            # The same results are the same bytes.
            invariant=1,
        )
        document.build(
            self._story(), onFirstPage=self._footer, onLaterPages=self._footer
        )
        return stream.getvalue()

    def _footer(self, canvas: Any, document: Any) -> None:
        canvas.saveState()
        canvas.setFont(BODY, 7)
        canvas.setFillColor(self._colors.HexColor(SOFT))
        margin = MARGIN_MM * self._units.mm
        canvas.drawString(
            margin,
            margin - 6,
            f"bytemlperf {self._view.version}, {self._view.generated_at_utc}",
        )
        canvas.drawRightString(
            self._sizes.A4[0] - margin, margin - 6, f"page {document.page}"
        )
        canvas.restoreState()

    def _story(self) -> list[Any]:
        view = self._view
        story = [
            self._text(view.title, self._title),
            self._text(view.subtitle, self._body),
        ]
        if view.compared is not None:
            told = view.compared.sentences or [f"Not compared: {view.compared.refused}"]
            story += [self._text(sentence, self._heading) for sentence in told]
            if view.compared.rows:
                story += self._figures([Shown("ratios", view.compared.ratios)])
        for host in view.hosts:
            story.append(self._text("Host", self._heading))
            if len(view.hosts) > 1:
                story.append(self._text(", ".join(host.tasks), self._small))
            story.append(self._pairs(host.facts))
        for variants in view.variants:
            story += self._variants(variants)
        for section, each in zip(view.tasks, self._collected, strict=True):
            story += self._task(section, each)
        if view.figures:
            story.append(self._text("Overview", self._heading))
            story += self._figures(view.figures)
        return story

    def _task(self, task: TaskSection, each: Collected) -> list[Any]:
        tone = self._colors.HexColor(TONES[task.tone]).hexval()[2:]
        run = f" ({task.run})" if task.run else ""
        title = markup(task.title + run, BOLD)
        heading = f'<font color="#{tone}">{task.verdict}</font> {title}'
        story = [
            self._paragraph(heading, self._heading),
            self._pairs(task.answers[:-1]),
        ]
        if each.result.points:
            story += [
                self._flowables.Spacer(1, 6),
                self._points(each),
                self._flowables.Spacer(1, 4),
            ]
        for note in task.notes:
            color = TONES[note.tone]
            text = (
                f'<font color="{color}"><font name="{BOLD}">{markup(note.where, BOLD)}'
                f"</font> {markup(note.text, BODY)}</font>"
            )
            story.append(self._paragraph(text, self._body))
        story.append(self._flowables.Spacer(1, 6))
        story += self._figures(task.figures)
        for table in task.tables:
            story += self._shown_table(table)
        story.append(self._text("Repeat it", self._figure_title))
        story.append(self._text(task.command or "not recorded", self._code))
        return story

    def _variants(self, section: VariantsSection) -> list[Any]:
        story = [self._text(section.title, self._heading)]
        story += [self._text(sentence, self._body) for sentence in section.sentences]
        story += self._figures(section.figures)
        for table in section.tables:
            story += self._shown_table(table)
        return story

    def _shown_table(self, shown: ShownTable) -> list[Any]:
        """Lay out a table whose width nobody knows, as several if there are too many.

        A column needs about 17 mm.
        """
        story = [self._text(shown.title, self._figure_title)]
        keys, room = shown.key_count, MAX_COLUMNS - shown.key_count
        others = len(shown.headings) - keys
        for start in range(keys, keys + max(1, others), max(1, room)):
            chosen = [*range(keys), *range(start, min(start + room, keys + others))]
            rows = [
                [self._text(shown.headings[index], self._column) for index in chosen],
                *(
                    [self._text(row[index], self._cell) for index in chosen]
                    for row in shown.rows
                ),
            ]
            table = self._tables.Table(rows, repeatRows=1, hAlign="LEFT")
            table.setStyle(self._ruled())
            story += [table, self._flowables.Spacer(1, 4)]
        if shown.note:
            story.append(self._text(shown.note, self._small))
        return story

    def _points(self, each: Collected) -> Any:
        columns = [column for column in POINT_COLUMNS if column.key in KEYS]
        rows = [
            [self._text(column.heading, self._column) for column in columns],
            *(
                [self._text(column.cell(point).text, self._cell) for column in columns]
                for point in each.result.points
            ),
        ]
        table = self._tables.Table(rows, repeatRows=1, hAlign="LEFT")
        table.setStyle(self._ruled())
        return table

    def _pairs(self, pairs: Sequence[tuple[str, str]]) -> Any:
        rows = [
            [self._text(name, self._bold_cell), self._text(text, self._cell)]
            for name, text in pairs
        ]
        widths = [38 * self._units.mm, 142 * self._units.mm]
        table = self._tables.Table(rows, colWidths=widths, hAlign="LEFT")
        table.setStyle(self._ruled())
        return table

    def _ruled(self) -> Any:
        return self._tables.TableStyle(
            [
                ("LINEBELOW", (0, 0), (-1, -1), 0.3, self._colors.HexColor(LINE)),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 2),
                ("RIGHTPADDING", (0, 0), (-1, -1), 2),
                ("TOPPADDING", (0, 0), (-1, -1), 1.5),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
            ]
        )

    def _figures(self, shown: Sequence[Shown]) -> list[Any]:
        """Lay figures out two by two; what cannot be drawn is told in a line."""
        drawn = [each for each in shown if each.figure.spec is not None]
        told = [each for each in shown if each.figure.spec is None]
        blocks = [self._figure(each) for each in drawn]
        width = FIGURE_WIDTH_MM * self._units.mm + 6
        rows = [blocks[index : index + 2] for index in range(0, len(blocks), 2)]
        story: list[Any] = []
        for row in rows:
            table = self._tables.Table(
                [[*row, *([""] * (2 - len(row)))]], colWidths=[width, width]
            )
            table.setStyle(
                self._tables.TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP")])
            )
            story.append(table)
        story += [
            self._text(f"{each.figure.title}: {each.figure.summary}", self._small)
            for each in told
        ]
        return story

    def _figure(self, shown: Shown) -> list[Any]:
        picture = self._flowables.Image(
            io.BytesIO(to_png(shown.figure, scale=3, width=FIGURE_UNITS))
        )
        width = FIGURE_WIDTH_MM * self._units.mm
        height = picture.imageHeight * width / picture.imageWidth
        if height > MAX_FIGURE_HEIGHT_MM * self._units.mm:
            width *= MAX_FIGURE_HEIGHT_MM * self._units.mm / height
            height = MAX_FIGURE_HEIGHT_MM * self._units.mm
        picture.drawWidth, picture.drawHeight = width, height
        return [
            self._text(shown.figure.title, self._figure_title),
            picture,
            self._text(shown.figure.summary, self._small),
        ]

    def _text(self, text: str, style: Any) -> Any:
        return self._paragraph(markup(text, style.fontName), style)
