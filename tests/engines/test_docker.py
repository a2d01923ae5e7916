"""The Docker engine on a real daemon: what the contract of all engines does not say."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import docker_guest
import pytest
from docker import APIClient
from engines.contract import CASES, MIB, Case, Session, opened
