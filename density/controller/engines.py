"""Where each engine is; imported when it is used, because their libraries are slow to import or may be missing."""

import os
from contextlib import AsyncExitStack
from importlib import import_module

from density.engines.base import Engine, EngineContext
from density.errors import EngineUnavailable
from density.model import EngineName
from density.profile.spec import Endpoints, Profile

REAL: tuple[EngineName, ...] = ("docker", "libvirt", "native")
"""The engines that run something on this host."""
LXC = "lxc:///system"
"""The endpoint of libvirt that makes containers, where its driver is installed."""


def libvirt_uri(asked: str) -> str:
    """The libvirt that is asked: as the profile says, else as libvirt's own variable does, else as is usual.

    Root has the daemon of the system; anybody else one of their own, which starts when it is asked.
    """
    usual = "qemu:///system" if os.geteuid() == 0 else "qemu:///session"
    return asked or os.environ.get("LIBVIRT_DEFAULT_URI") or usual


def real_engine(name: EngineName, context: EngineContext, endpoints: Endpoints) -> Engine:
    """One of `REAL`, not entered yet.

    Raises:
        EngineUnavailable: its library is not installed.
    """
    try:
        module = import_module(f"density.engines.{name}")
    except ImportError as error:
        remedy = f"pip install 'density[{name}]'" if name == "libvirt" else ""
        raise EngineUnavailable(name, f"its library is missing: {error}", remedy=remedy) from error
    engine: Engine
    match name:
        case "docker":
            engine = module.DockerEngine(context, endpoint=endpoints.docker)
        case "libvirt":
            engine = module.LibvirtEngine(context, uri=libvirt_uri(endpoints.libvirt))
        case "native":
            engine = module.NativeEngine(context)
        case "simulated":
            raise ValueError("a simulated engine is made with its host, by equip")
    return engine


async def enter_engines(
    profile: Profile, stack: AsyncExitStack, context: EngineContext, *, skip: bool
) -> tuple[dict[EngineName, Engine], dict[EngineName, EngineUnavailable]]:
    """The engines of a profile, entered; and those that cannot be used, which are passed over with `skip`.

    Raises:
        EngineUnavailable: one of them without `skip`, or all of them.
    """
    engines: dict[EngineName, Engine] = {}
    missing: dict[EngineName, EngineUnavailable] = {}
    for name in profile.engines:
        try:
            engines[name] = await stack.enter_async_context(real_engine(name, context, profile.endpoints))
        except EngineUnavailable as error:
            missing[name] = error
            if not skip:
                raise
    if not engines:
        raise next(iter(missing.values()))
    return engines, missing
