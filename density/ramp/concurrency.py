"""How many launches an engine is given at once: as many as still make it faster."""

from dataclasses import dataclass, field

MOST = 32
GAIN = 1.05
"""More at once is kept only where the rate grew by at least this factor."""


@dataclass(slots=True)
class Concurrency:
    """Climbs while the rate of completed launches grows, goes one step back when it does not, and stays there a while.

    Hill climbing on throughput over windows of completions, as an engine's rate against concurrency has one broad top:
    below it launches wait for the engine needlessly, above it they wait for each other (0.6 s alone, 7.4 s at 32 in
    parallel: moby#42096).

    Attributes:
        fixed: a profile's own number; 0 adapts.
    """

    fixed: int = 0
    limit: int = 4
    _best_rate: float = 0.0
    _best_limit: int = 4
    _window: list[float] = field(default_factory=list)
    _rest: int = 0

    def __post_init__(self) -> None:
        if self.fixed:
            self.limit = self.fixed

    def completed(self, at: float) -> None:
        """A launch came to its end at this time (seconds)."""
        if self.fixed:
            return
        self._window.append(at)
        if len(self._window) <= max(8, 2 * self.limit):
            return
        elapsed = self._window[-1] - self._window[0]
        rate = (len(self._window) - 1) / elapsed if elapsed > 0 else 0.0
        self._window.clear()
        self._judge(rate)

    def pause(self) -> None:
        """Launching stops for a while: a window that spans the pause would say nothing."""
        self._window.clear()

    def _judge(self, rate: float) -> None:
        if self._rest > 0:
            self._rest -= 1
            if self._rest == 0:
                self._best_rate, self._best_limit = rate, self.limit
                self.limit = min(MOST, self.limit + max(1, self.limit // 2))
            return
        if rate > self._best_rate * GAIN:
            self._best_rate, self._best_limit = rate, self.limit
            self.limit = min(MOST, self.limit + max(1, self.limit // 2))
        else:
            self.limit = self._best_limit
            self._rest = 4
