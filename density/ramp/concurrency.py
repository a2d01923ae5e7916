"""How many launches an engine is given at once: as many as make it faster, and no more."""

from dataclasses import dataclass, field

MOST = 32
GAIN = 1.08
"""Rates within this factor of each other are the same: windows of two dozen launches are no sharper."""
STEP = 1.3
RECOVER = 24
"""Launches that come to their end before one more at once is allowed again after a reduction; each further reduction
doubles them, so that an engine which cannot take more is tried less and less often, and each step after the first that
goes well halves them again."""
MOST_DOUBLED = 4
"""How often they are doubled at most."""


@dataclass(slots=True)
class Concurrency:
    """Climbs towards the least concurrency that reaches the engine's best rate.

    Hill climbing on the rate of completed launches, window by window: while it grows the limit goes on the same way,
    when it falls the limit turns round, and where it stays the limit goes down, since more at once then only makes
    launches wait for each other (0.6 s alone, 7.4 s at 32 in parallel: moby#42096).

    Attributes:
        fixed: a profile's own number; 0 adapts.
        limit: launches that may be in flight now.
        cap: what a reduction allows at most, until it has recovered; 0: nothing is reduced.
    """

    fixed: int = 0
    limit: int = 8
    cap: int = 0
    _clean: int = 0
    _doubled: int = -1
    _stepped: bool = False
    _up: bool = True
    _rate: float = 0.0
    _window: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.fixed:
            self.limit = self.fixed

    def completed(self, at: float) -> None:
        """A launch came to its end at this time (seconds)."""
        if self.cap:
            self._recover()
        if self.fixed:
            return
        self._window.append(at)
        if len(self._window) <= max(24, 2 * self.limit):
            return
        elapsed = self._window[-1] - self._window[0]
        rate = (len(self._window) - 1) / elapsed if elapsed > 0 else 0.0
        self._window.clear()
        self._step(rate)

    def ease(self) -> bool:
        """Half as many at once, for a while: some launches without another reduction allow one more.

        Returns:
            False where it was one already.
        """
        if self.limit == 1:
            return False
        self.limit = self.cap = self.limit // 2
        self._clean = 0
        self._doubled = min(self._doubled + 1, MOST_DOUBLED)
        self._stepped = False
        self._window.clear()
        return True

    def pause(self) -> None:
        """Launching stops for a while: a window that spans the pause would say nothing."""
        self._window.clear()

    def _recover(self) -> None:
        self._clean += 1
        if self._clean < RECOVER * 2 ** max(0, self._doubled):
            return
        self._clean = 0
        if self._stepped:
            self._doubled = max(-1, self._doubled - 1)
        self._stepped = True
        self.cap += 1
        if self.fixed:
            self.limit = self.cap
        if self.cap >= (self.fixed or MOST):
            self.cap = 0

    def _step(self, rate: float) -> None:
        if rate < self._rate / GAIN:
            self._up = not self._up
        elif rate <= self._rate * GAIN:
            self._up = False
        self._rate = rate
        wanted = max(self.limit + 1, round(self.limit * STEP)) if self._up else round(self.limit / STEP)
        self.limit = min(self.cap or MOST, max(1, wanted))
