"""The simulated engine: a host model with true ceilings, so that a ramp can be judged against the truth.

It needs nothing and runs in virtual time under a mock clock; `SimulatedHost` plays the sensors.
"""

from density.engines.simulated.engine import SimulatedEngine
from density.engines.simulated.host import HostModel

__all__ = ["HostModel", "SimulatedEngine"]
