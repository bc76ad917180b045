"""SQuAD v1.1's json, read and checked.

Input: a file. Output: contexts, and questions that point into them. No tokens here.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from bytemlperf.errors import MALFORMED, PrepareError

__all__ = ["Question", "SquadText", "read_squad"]


class _Answer(msgspec.Struct):
    text: str
    answer_start: int


class _Qa(msgspec.Struct):
    id: str
    question: str
    answers: list[_Answer]


class _Paragraph(msgspec.Struct):
    context: str
    qas: list[_Qa]


class _Article(msgspec.Struct):
    paragraphs: list[_Paragraph]
    title: str = ""


class _File(msgspec.Struct):
    data: list[_Article]


class Question(msgspec.Struct, frozen=True):
    """A question.

    Parameters
    ----------
    identity : str
        SQuAD's id.
    text : str
        The question.
    context : int
        Index of the context that holds the answer.
    answers : tuple of str
        What people answered, one or more.
    """

    identity: str
    text: str
    context: int
    answers: tuple[str, ...]


class SquadText(msgspec.Struct, frozen=True):
    """The texts of a file, or of some of its articles.

    Parameters
    ----------
    contexts : tuple of str
        Paragraphs.
    questions : tuple of Question
        In file order.
    article_count : int
        Articles in the whole file.
    """

    contexts: tuple[str, ...]
    questions: tuple[Question, ...]
    article_count: int


def read_squad(path: Path, *, article_stride: int = 1) -> SquadText:
    """Read a SQuAD v1.1 file.

    Parameters
    ----------
    path : Path
        The json file.
    article_stride : int, default 1
        Keep articles 0, n, 2n, ... of it.

    Returns
    -------
    SquadText
        With at least one question.

    Raises
    ------
    PrepareError
        If the file is not SQuAD v1.1, an answer does not stand where it says, or there
        is no question.
    """
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_File)
    except (OSError, *MALFORMED) as error:
        raise PrepareError(
            f"{path} is not a readable SQuAD v1.1 file", detail=str(error)
        ) from error
    contexts: list[str] = []
    questions: list[Question] = []
    for number, article in enumerate(content.data):
        if number % article_stride:
            continue
        for at, paragraph in enumerate(article.paragraphs):
            where = f"{path}, data[{number}].paragraphs[{at}]"
            questions += [
                _question(qa, paragraph.context, len(contexts), where)
                for qa in paragraph.qas
            ]
            contexts.append(paragraph.context)
    if not questions:
        raise PrepareError(f"{path} has no questions: the dataset is empty")
    return SquadText(tuple(contexts), tuple(questions), len(content.data))


def _question(qa: _Qa, context: str, context_index: int, where: str) -> Question:
    if not qa.answers:
        raise PrepareError(f"{where}: question {qa.id!r} has no answer (SQuAD v2?)")
    for answer in qa.answers:
        end = answer.answer_start + len(answer.text)
        if answer.answer_start < 0 or context[answer.answer_start : end] != answer.text:
            raise PrepareError(
                f"{where}: the answer {answer.text!r} of question {qa.id!r} does not "
                f"stand at character {answer.answer_start} of its context"
            )
    return Question(
        identity=qa.id,
        text=qa.question,
        context=context_index,
        answers=tuple(answer.text for answer in qa.answers),
    )
