"""A memory of bounded size."""

from __future__ import annotations

from typing import TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class BoundedDict(dict[Question, Answer]):
    """At most *most* answers. For the next one the oldest goes."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, question: Question, answer: Answer) -> None:
        if len(self) >= self._most and question not in self:
            del self[next(iter(self))]
        super().__setitem__(question, answer)
