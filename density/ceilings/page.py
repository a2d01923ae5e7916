"""The catalogue as a page for people: docs/ceilings.md is what `page` gives, which a test holds."""

from collections.abc import Iterable, Iterator

from density.ceilings.catalog import CATALOG, Ceiling

_HEAD = """# Ceilings

What stops a host from running one more container or VM. The ids are public: verdicts, metrics, `doctor` and reports
use them. This page is made from the catalogue (`density/ceilings/catalog/`); CONTRIBUTING.md says how to add an entry.

- **lethal**: running into it takes the host (or that subject) down, so no run goes past the reserve.
- **hard**: the kernel or an engine refuses more; with `until = "failure"` a run goes there.
- **soft**: never forecast. An objective of the profile, or something that can be full without anything failing.
- **own**: a limit of each instance itself (its `memory`, for example), not of the host. Never forecast. Read from those
  instances that failed, by the engines that can ([verdicts.md](verdicts.md)).

Where a ceiling has several subjects (a bridge, a daemon, a user as `uid0`, a kind of namespace), each is read and
forecast alone. Limits of the host and of the nearest cgroup or unit are both read, and the nearer counts. What a kernel
does not tell is left out with the reason, and stops nothing.
"""


def page(ceilings: Iterable[Ceiling] = CATALOG) -> str:
    """The page, in Markdown."""
    return _HEAD + "".join(_section(ceiling) for ceiling in ceilings)


def _section(ceiling: Ceiling) -> str:
    return "\n".join(["", f"## {ceiling.id}", "", *_lines(ceiling), ""])


def _lines(ceiling: Ceiling) -> Iterator[str]:
    kind = "lethal" if ceiling.lethal else "soft" if ceiling.soft else "own" if ceiling.own else "hard"
    resource = ceiling.resource[0].upper() + ceiling.resource[1:]
    also = f", lethal for {' and '.join(sorted(ceiling.lethal_for))}" if ceiling.lethal_for else ""
    yield f"{resource}. In {ceiling.unit}; {kind}{also}."
    yield ""
    if ceiling.errors:
        yield f"- Errors: {', '.join(f'`{kind}`' for kind in sorted(ceiling.errors))}"
    yield f"- Fix: {ceiling.fix.text}"
    if ceiling.fix.sysctls:
        yield f"- Kernel parameters: {', '.join(f'`{name}`' for name in ceiling.fix.sysctls)}"
    if ceiling.fix.directive:
        yield f"- Directive of a unit: `{ceiling.fix.directive}`"
