"""Profiles: what a person asks for, as TOML, and what density makes of it.

`spec` is the result and costs nothing to import; `load` reads and writes it.
"""
