"""From matplotlib's SVG to one that lives in a page: the page's colours and font, ids of its own, short, described."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

from density.report.charts.palette import SHADES

_SVG = "http://www.w3.org/2000/svg"
_HREF = "{http://www.w3.org/1999/xlink}href"
_METADATA = f"{{{_SVG}}}metadata"
_VARIABLES = {shade.light: f"var(--{name})" for name, shade in SHADES.items()}
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_FONT = re.compile(r"font: (?:[a-z]+ |\d+ )*([0-9.]+px)[^;]*")
_FAMILY = re.compile(r"font-family: [^;]*;? ?")
_NUMBER = re.compile(r"-?\d+\.\d+")
_URL = re.compile(r"url\(#([^)]+)\)")
_STYLE = "*{stroke-linejoin:round;stroke-linecap:butt}"


def inline(text: str, name: str, *, title: str, description: str) -> str:
    """The SVG to be put into a page.

    Args:
        text: what matplotlib wrote, drawn in the light colours of the palette.
        name: makes its ids different from those of other pictures in the page.
        title: its text alternative, with `description`.
    """
    root = ET.fromstring(text)  # noqa: S314 — ours
    for metadata in root.findall(_METADATA):
        root.remove(metadata)
    referred = set(_references(root))
    for element in root.iter():
        _rename(element, name, referred)
        _shorten(element)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    root.insert(0, _text("title", f"{name}-title", title))
    root.insert(1, _text("desc", f"{name}-desc", description))
    ET.register_namespace("", _SVG)
    return ET.tostring(root, encoding="unicode").replace(f'<style type="text/css">{_STYLE}</style>', "")


def _text(tag: str, identity: str, content: str) -> ET.Element:
    element = ET.Element(f"{{{_SVG}}}{tag}", {"id": identity})
    element.text = content
    return element


def _references(root: ET.Element) -> Iterator[str]:
    for element in root.iter():
        yield element.get(_HREF, "").removeprefix("#")
        for value in element.attrib.values():
            yield from _URL.findall(value)


def _rename(element: ET.Element, name: str, referred: set[str]) -> None:
    identity = element.attrib.pop("id", None)
    if identity in referred:
        element.set("id", f"{name}-{identity}")
    if href := element.attrib.pop(_HREF, None):
        element.set("href", f"#{name}-{href.removeprefix('#')}")
    for key, value in element.attrib.items():
        if "url(#" in value:
            element.set(key, _URL.sub(rf"url(#{name}-\1)", value))


def _shorten(element: ET.Element) -> None:
    element.tail = None
    if element.text is not None:
        element.text = element.text.strip() or None
    for key in ("d", "x", "y", "width", "height", "transform", "points"):
        if (value := element.get(key)) is not None:
            rounded = _NUMBER.sub(lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), value)
            element.set(key, _shorter(rounded) if key == "d" else rounded)
    if (style := element.get("style")) is not None:
        style = _COLOUR.sub(lambda match: _VARIABLES.get(match[0], match[0]), style)
        element.set("style", _FAMILY.sub("", _FONT.sub(r"font-size: \1", style)))


def _shorter(path: str) -> str:
    """A path without needless spaces, and with `H` and `V` for lines along an axis."""
    parts: list[str] = []
    x = y = ""
    for command, body in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        numbers = body.split()
        if command == "L" and len(numbers) == 2 and numbers[1] == y:
            parts.append(f"H{numbers[0]}")
        elif command == "L" and len(numbers) == 2 and numbers[0] == x:
            parts.append(f"V{numbers[1]}")
        else:
            parts.append(command + " ".join(numbers))
        if len(numbers) >= 2:
            x, y = numbers[-2:]
    return "".join(parts)
