"""What a daemon answers, as far as density uses it: every answer is read through one of these models, and no other way.

A daemon may be another program than Docker, a proxy, or out of its mind. What it leaves out or answers with null has a
default where density can do without; an answer of any other shape is a `MalformedAnswerError`, which is an error of the
call like a refusal.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Annotated, ClassVar, Self

from docker.errors import DockerException
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_pascal

LONGEST_SHOWN = 60
"""Characters of an answer that are quoted in an error."""
_LARGEST = 2**63 - 1


class MalformedAnswerError(DockerException):
    """The daemon answered, and not as the API says it does; what it was asked may have been done all the same."""


def parse_json(text: bytes | str) -> object:
    """The document in an answer.

    Raises:
        MalformedAnswerError: it is no JSON, or nested too deeply to be one.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedAnswerError(f"its answer is no JSON: {shown(text)}") from error


def shown(found: object) -> str:
    """The beginning of something in an answer, without what a terminal would take for an order."""
    text = found.decode(errors="replace") if isinstance(found, bytes) else str(found)
    return repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…")


def _checked(check: Callable[[str], object], text: str) -> str:
    check(text)
    return text


def _address(text: str) -> None:
    if text:
        ip_address(text.partition("/")[0])


Count = Annotated[int, Field(ge=0, le=_LARGEST)]
Number = Annotated[int, Field(ge=-_LARGEST, le=_LARGEST)]
Address = Annotated[str, AfterValidator(partial(_checked, _address))]
"""Of the Internet Protocol, perhaps with the length of its network; empty: none."""
Network = Annotated[str, AfterValidator(partial(_checked, partial(ip_network, strict=False)))]


class Answer(BaseModel):
    """Of any kind; `of` reads it."""

    model_config = ConfigDict(frozen=True, alias_generator=to_pascal, allow_inf_nan=False)
    WHAT: ClassVar[str] = "its answer"

    @classmethod
    def of(cls, document: object) -> Self:
        """Read a document.

        Raises:
            MalformedAnswerError: it has another shape, with the first thing that is wrong.
        """
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            where = ".".join(map(str, wrong["loc"])) or "all of it"
            found = "" if wrong["type"] == "missing" else f", found {shown(wrong['input'])}"
            said = wrong["msg"][:1].lower() + wrong["msg"][1:]
            raise MalformedAnswerError(f"{cls.WHAT} is not as Docker's: {where}: {said}{found}") from None

    @classmethod
    def list_of(cls, documents: object) -> tuple[Self, ...]:
        """Read a list of them.

        Raises:
            MalformedAnswerError: it is no list, or one of them has another shape.
        """
        if not isinstance(documents, list):
            raise MalformedAnswerError(f"{cls.WHAT} is no list: {shown(documents)}")
        return tuple(map(cls.of, documents))

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, document: object) -> object:
        """Go's empty lists and maps are nulls."""
        if isinstance(document, Mapping):
            return {name: value for name, value in document.items() if value is not None}
        return document


class Component(Answer):
    """A part of a daemon, such as its engine."""

    name: str = ""


class Version(Answer):
    """Of the daemon and of its API, such as 1.41."""

    WHAT = "its version"
    api_version: Annotated[str, Field(pattern=re.compile(r"^[0-9]{1,3}\.[0-9]{1,5}$"))]
    version: str = ""
    components: tuple[Component, ...] = ()


class Info(Answer):
    """What the daemon says of itself and its host; `memory` in bytes, `system_time` by its own clock (RFC 3339)."""

    WHAT = "its description of itself"
    name: str = ""
    kernel_version: str = ""
    memory: Annotated[Count, Field(alias="MemTotal")] = 0
    cpus: Annotated[Count, Field(alias="NCPU")] = 0
    cgroup_driver: str = ""
    cgroup_version: str = "1"
    driver: str = ""
    docker_root_dir: str = ""
    default_runtime: str = ""
    system_time: str = ""
    security_options: tuple[str, ...] = ()


class HealthSettings(Answer):
    """A HEALTHCHECK; times in nanoseconds, 0: Docker's own."""

    test: tuple[str, ...] = ()
    interval: Count = 0
    start_period: Count = 0
    start_interval: Count = 0
    retries: Count = 0


class ImageSettings(Answer):
    """What an image hands to its containers."""

    healthcheck: HealthSettings = HealthSettings()
    labels: dict[str, str] = Field(default_factory=dict)


class Layers(Answer):
    """Of an image."""

    layers: tuple[str, ...] = ()


class Image(Answer):
    """One image; `size` in bytes."""

    WHAT = "its description of an image"
    id: Annotated[str, Field(min_length=1)]
    size: Count = 0
    config: ImageSettings = ImageSettings()
    root: Annotated[Layers, Field(alias="RootFS")] = Layers()


class ListedImage(Answer):
    """An image in a list of them."""

    WHAT = "its list of images"
    id: Annotated[str, Field(min_length=1)]
    names: Annotated[tuple[str, ...], Field(alias="RepoTags")] = ()
    size: Count = 0
    labels: dict[str, str] = Field(default_factory=dict)


class ListedNetwork(Answer):
    """A network in a list of them."""

    WHAT = "its list of networks"
    id: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)]
    labels: dict[str, str] = Field(default_factory=dict)


class ListedVolume(Answer):
    """A volume in a list of them."""

    WHAT = "its list of volumes"
    name: Annotated[str, Field(min_length=1)]
    labels: dict[str, str] = Field(default_factory=dict)


class ListedVolumes(Answer):
    """A list of volumes."""

    WHAT = "its list of volumes"
    volumes: tuple[ListedVolume, ...] = ()


class HistoryStep(Answer):
    """A step of an image's making, with the bytes that it added."""

    WHAT = "its history of an image"
    size: Count = 0


class Step(Answer):
    """Of a build or a pull, in its stream; `error` where that failed."""

    WHAT = "its account of what it does"
    error: Annotated[str, Field(alias="error")] = ""


class Pool(Answer):
    """Addresses of a network; `auxiliary` are reserved, by name."""

    subnet: Network
    given: Annotated[Network | None, Field(alias="IPRange")] = None
    gateway: Address = ""
    auxiliary: Annotated[dict[str, Address], Field(alias="AuxiliaryAddresses")] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, document: object) -> object:
        """A pool that was given no range has an empty one."""
        if isinstance(document, Mapping):
            return {name: value for name, value in document.items() if value not in ("", None)}
        return document


class Pools(Answer):
    """Of a network."""

    config: tuple[Pool, ...] = ()


class NetworkMember(Answer):
    """A container's address on a network."""

    address: Annotated[Address, Field(alias="IPv4Address")] = ""


class DockerNetwork(Answer):
    """A network."""

    WHAT = "its description of a network"
    id: str = ""
    name: str = ""
    driver: str = ""
    options: dict[str, str] = Field(default_factory=dict)
    containers: dict[str, NetworkMember] = Field(default_factory=dict)
    pools: Annotated[Pools, Field(alias="IPAM")] = Pools()


class Created(Answer):
    """That a container was made."""

    WHAT = "its answer to creating a container"
    id: Annotated[str, Field(min_length=1)]


class ListedContainer(Answer):
    """A container in a list of them; `size` is what it wrote, in bytes."""

    WHAT = "its list of containers"
    id: Annotated[str, Field(min_length=1)]
    names: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    state: str = ""
    status: str = ""
    image: Annotated[str, Field(alias="ImageID")] = ""
    size: Annotated[Count, Field(alias="SizeRw")] = 0

    @property
    def name(self) -> str:
        """Its name, or its id while it has none."""
        return (self.names or (self.id,))[0].lstrip("/")


class Check(Answer):
    """A health check that has ended."""

    exit_code: Number = 0
    output: str = ""


class CheckLog(Answer):
    """What came of a container's health checks, the last ones in order."""

    failing_streak: Count = 0
    log: tuple[Check, ...] = ()


class ContainerState(Answer):
    """What a container does."""

    running: bool = False
    pid: Count = 0
    exit_code: Number | None = None
    out_of_memory: Annotated[bool, Field(alias="OOMKilled")] = False
    error: str = ""
    health: CheckLog = CheckLog()


class Ulimit(Answer):
    """A limit of a container's processes."""

    name: str = ""
    soft: Number = 0


class HostSettings(Answer):
    """What a container may use; zero, minus one and nothing at all mean that there is no limit."""

    memory: Number = 0
    pids_limit: Number = 0
    ulimits: tuple[Ulimit, ...] = ()


class Container(Answer):
    """One container."""

    WHAT = "its description of a container"
    state: ContainerState
    settings: Annotated[HostSettings, Field(alias="HostConfig")] = HostSettings()
    log_path: str = ""


class Actor(Answer):
    """What an event happened to; its labels are among the attributes."""

    id: Annotated[str, Field(alias="ID")] = ""
    attributes: dict[str, str] = Field(default_factory=dict)


class Event(Answer):
    """Something that happened, with its time in UNIX seconds and in nanoseconds."""

    WHAT = "an event of its"
    action: str = ""
    actor: Actor = Actor()
    time: Annotated[Count, Field(alias="time")] = 0
    nanoseconds: Annotated[Count, Field(alias="timeNano")] = 0


class ArchiveFile(Answer):
    """A file that was copied out of a container; in bytes."""

    WHAT = "its description of a file"
    size: Annotated[Count, Field(alias="size")] = 0
