"""Where each engine is; imported when it is used, because their libraries are slow to import or may be missing."""

from importlib import import_module

from density.engines.base import Engine, EngineContext
from density.errors import EngineUnavailable
from density.model import EngineName
from density.profile.spec import Endpoints

REAL: tuple[EngineName, ...] = ("docker", "libvirt", "native")
"""The engines that run something on this host."""


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
            engine = module.LibvirtEngine(context, uri=endpoints.libvirt)
        case _:
            engine = module.NativeEngine(context)
    return engine
