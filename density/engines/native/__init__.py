"""Plain processes of this host: the baseline, and the engine that needs nothing installed but a C compiler."""

from density.engines.native.engine import NativeEngine

__all__ = ["NativeEngine"]
