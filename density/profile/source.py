"""Where profiles come from: the ones that ship with density, and files."""

import re
from difflib import get_close_matches
from pathlib import Path

from density.errors import ProfileError
from density.profile.problems import listed
from density.profile.scalars import NAME_PATTERN

_PACKAGE = Path(__file__).parent
_MOST_BYTES = 2**20


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
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        if len(raw) <= _MOST_BYTES:
            return raw.decode("utf-8-sig")
        problem = "is larger than 1 MiB, which no profile is"
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError as error:
        problem = f"not a text file in UTF-8: byte {error.start + 1} is {error.object[error.start]:#04x}"
    except IsADirectoryError:
        problem = f"a directory; allowed is a TOML file or one of {_shipped()}"
    except (OSError, ValueError) as error:
        problem = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    raise ProfileError(name, [problem])
