"""How an instance was asked whether it is ready."""

from dataclasses import dataclass


@dataclass(slots=True)
class Tried:
    """How one instance was asked whether it is ready.

    Attributes:
        what: one attempt, such as `GET http://127.0.0.1:8080/`.
        times: how often.
        answer: what came back the last time.
    """

    what: str = ""
    times: int = 0
    answer: str = ""

    def note(self, answer: str) -> None:
        """One more attempt, and what came back."""
        self.times += 1
        self.answer = answer

    @property
    def words(self) -> str:
        """What was tried, how often, and what came back."""
        times = f" {self.times:,} times" if self.times > 1 else ""
        answer = f", last answer: {self.answer}" if self.answer else ""
        return f"{self.what}{times}{answer}"
