"""From what a command raised to an exit code and sentences for the person."""

import tempfile
import traceback

from density.errors import DensityError, ProfileError, leaves, meant, without_room

INTERRUPTED = 130
INTERNAL = 1
TRACEBACK = "density-traceback-"
"""How the file of a traceback begins, in the directory for temporary files; it stays, as docs/safety.md says."""


def explain(error: BaseException, *, with_traceback: bool) -> tuple[int, list[str]]:
    """The exit code, and one sentence for each thing that went wrong.

    What was not raised on purpose is a fault of density's own: its traceback goes to a file, or into the sentences
    where it was asked for.
    """
    found = {leaf: meant(leaf) or without_room(leaf) for leaf in leaves(error)}
    if any(isinstance(leaf, KeyboardInterrupt) for leaf in found):
        return INTERRUPTED, ["interrupted"]
    faults = [leaf for leaf, known in found.items() if known is None]
    if not faults:
        known = [each for each in found.values() if each]
        return max(each.exit_code for each in known), [sentence for each in known for sentence in _sentences(each)]
    text = "".join(traceback.format_exception(error))
    what = f"density itself failed: {type(faults[0]).__name__}: {faults[0]}".splitlines()[0]
    return INTERNAL, [f"{what}\n{text}" if with_traceback else f"{what}; {_written(text)}"]


def _sentences(error: DensityError) -> list[str]:
    """One for each problem of a profile; else one, perhaps with lines below it: what an instance has said."""
    return str(error).splitlines() if isinstance(error, ProfileError) else [str(error)]


def _written(text: str) -> str:
    try:
        with tempfile.NamedTemporaryFile("w", prefix=TRACEBACK, suffix=".txt", delete=False, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        return f"its traceback could not be written ({error.strerror}); --traceback shows it"
    return f"its traceback is in {file.name}"
