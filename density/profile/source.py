"""Where profiles come from: the ones that ship with density, and files."""

import re
from difflib import get_close_matches
from pathlib import Path

from density.documents import read_document
from density.errors import ProfileError
from density.profile.problems import listed
from density.profile.scalars import NAME_PATTERN

_PACKAGE = Path(__file__).parent


def shipped_directory() -> Path:
    """Where the shipped profiles are: beside this module when installed, in the project's `profiles/` in a checkout."""
    installed = _PACKAGE / "shipped"
    return installed if installed.is_dir() else _PACKAGE.parent.parent / "profiles"


def shipped_profiles() -> tuple[str, ...]:
    """The names of the shipped profiles, sorted."""
    return tuple(sorted(path.stem for path in shipped_directory().glob("*.toml")))


def read_source(source: str | Path) -> tuple[str, str]:
    """What to call this profile in messages, and its text.

    A plain name is a shipped profile, else a file of that name, else that name with `.toml`.

    Raises:
        ProfileError: there is none, or it is not a text file; one sentence.
    """
    name = str(source)
    if not name:
        raise ProfileError("profile", [f"no name given; shipped are {_shipped()}"])
    for path in _candidates(source):
        if (text := _text(path, name)) is not None:
            return name, text
    looked = listed([str(path) for path in _candidates(source)], "and")
    near = get_close_matches(Path(name).stem, shipped_profiles(), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ProfileError(name, [f"no such profile; looked for {looked}; shipped are {_shipped()}{hint}"])


def _candidates(source: str | Path) -> list[Path]:
    path = Path(source)
    if isinstance(source, Path) or not re.fullmatch(NAME_PATTERN, source):
        return [path]
    shipped = shipped_directory() / f"{source}.toml"
    return [*([shipped] if source in shipped_profiles() else []), path, path.with_suffix(".toml")]


def _shipped() -> str:
    return listed(shipped_profiles(), "and")


def _text(path: Path, name: str) -> str | None:
    """What is in the file; None where there is no file."""
    try:
        return read_document(path, pipes=True)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        problem = f"a directory; allowed is a TOML file or one of {_shipped()}"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except ValueError as error:
        problem = str(error)
    raise ProfileError(name, [problem])
