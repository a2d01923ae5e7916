"""The templates of every HTML page: what is filled in is escaped, and a name that is missing is an error."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def environment() -> Environment:
    """Jinja with the package's templates; the caller adds its filters."""
    return Environment(
        loader=PackageLoader("density.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
