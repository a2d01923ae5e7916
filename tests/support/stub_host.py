"""A host made of stubs: setup scripts run for real on it, every program they could change a machine with is a fake."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

COMPILER = ("cc", "gcc")
VM_PROGRAMS = ("libvirtd", "virtlogd", "virsh", "qemu-system-x86_64", "qemu-img", "pkg-config")

# Logs how it was called, then does what the test said.
STUB = """#!/bin/sh
echo "${{0##*/}} $*" >>"$STUBS/calls"
{body}
"""

# Answers the scripts' questions from files in $STUBS: `docker` and `libvirt` hold "STATUS TEXT".
PYTHON = r"""
case "$*" in
    *version_info*) echo "${STUB_PYTHON_VERSION:-3.11}"; [ "${STUB_PYTHON_VERSION:-3.11}" != 3.9 ] ;;
    *"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python && touch .venv/bin/density ;;
    *answers.py*)
        for engine; do :; done
        read -r status text <"$STUBS/$engine" || exit 1
        [ -z "$STUB_ROOT" ] || status=0
        echo "$text"
        exit "$status" ;;
    *"import libvirt"*) [ ! -e "$STUBS/no-module" ] ;;
    *"[libvirt]"*) [ ! -e "$STUBS/no-module" ] ;;
    *"import pip"*) [ ! -e "$STUBS/no-pip" ] ;;
esac
"""


@dataclass
class Host:
    """Directories of the pretended host, and how to run the setup on it."""

    clone: Path
    root: Path
    bin: Path
    state: Path

    def stub(self, name: str, body: str = "") -> None:
        """Put a fake program on the PATH."""
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(STUB.format(body=body))
        path.chmod(0o755)

    def put(self, path: str, text: str = "") -> None:
        """Put a file where the scripts look for the system's."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def answer(self, engine: str, status: int, text: str) -> None:
        """What an engine says from now on when it is asked."""
        (self.state / engine).write_text(f"{status} {text}\n")

    def install(self, *, docker: bool = True, libvirt: bool = True, compiler: bool = True) -> None:
        """Pretend that these are installed already, running and answering."""
        if compiler:
            for name in COMPILER:
                self.stub(name, "echo /usr/lib/libc.a")
            self.put("/usr/include/stdio.h")
        if docker:
            self.stub("dockerd")
            self.stub("docker")
            self.answer("docker", 0, "20.10 unix:///somewhere")
        if libvirt:
            for name in VM_PROGRAMS:
                self.stub(name)
            for driver in ("qemu", "lxc"):
                self.put(f"/usr/lib/x/libvirt/connection-driver/libvirt_driver_{driver}.so")
            self.answer("libvirt", 0, "9.0 qemu:///system")
        self.put("/dev/kvm")
        self.put("/var/lib/apt/lists/debian_Packages")

    def run(
        self, script: str, *arguments: str, limit_seconds: float = 60, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a setup script with nothing but the stubs on the PATH."""
        return subprocess.run(
            ["/bin/sh", f"density/setup/{script}", *arguments],
            cwd=self.clone,
            env={
                "PATH": str(self.bin),
                "STUBS": str(self.state),
                "DENSITY_SYSROOT": str(self.root),
                "DENSITY_START_SECONDS": "1",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_seconds,
            check=False,
        )

    def calls(self, program: str) -> list[str]:
        """How a fake program was called, in order."""
        log = self.state / "calls"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in lines if line.split(" ")[0] == program]

    def forget_calls(self) -> None:
        """Begin a new list of calls."""
        (self.state / "calls").unlink(missing_ok=True)
