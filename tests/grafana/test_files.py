"""What `make grafana` starts: sound files that fit together, and nothing that others can reach."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.compose import compose_command

from density.metrics import DEFAULT

GRAFANA = Path(__file__).parents[2] / "grafana"


def load(path: str) -> Any:  # noqa: ANN401 — YAML
    """A file of the folder."""
    return yaml.safe_load((GRAFANA / path).read_text(encoding="utf-8"))


@pytest.mark.tools("promtool")
def test_promtool_accepts_configuration_and_rules() -> None:
    """Prometheus' own tool finds nothing wrong, with its strictest lint."""
    for command in (["check", "config", "--lint-fatal"], ["check", "rules", "--lint-fatal"]):
        name = "prometheus.yml" if command[1] == "config" else "alerts.yml"
        done = subprocess.run(["promtool", *command, GRAFANA / name], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_scrapes_where_density_serves() -> None:
    """The target is the default of `--metrics`, and a scrape every second is what Grafana is told."""
    config = load("prometheus.yml")
    assert config["scrape_configs"][0]["static_configs"][0]["targets"] == [str(DEFAULT)]
    source = load("provisioning/datasources/prometheus.yaml")["datasources"][0]
    assert source["jsonData"]["timeInterval"] == config["global"]["scrape_interval"]


def test_images_are_pinned() -> None:
    """Each to one release, so that what works today works tomorrow."""
    for service in load("compose.yaml")["services"].values():
        assert re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+", service["image"])


def test_nothing_listens_beyond_this_machine() -> None:
    """On the host's network, since density serves on 127.0.0.1 alone, and so do both of them."""
    services = load("compose.yaml")["services"]
    assert {service["network_mode"] for service in services.values()} == {"host"}
    assert "--web.listen-address=127.0.0.1:9090" in services["prometheus"]["command"]
    assert services["grafana"]["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert load("provisioning/datasources/prometheus.yaml")["datasources"][0]["url"] == "http://127.0.0.1:9090"


def test_anybody_on_this_machine_may_look_and_nobody_may_change() -> None:
    """Anonymous, as a viewer; there is no way to log in."""
    environment = load("compose.yaml")["services"]["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "true"
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert environment["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert environment["GF_AUTH_BASIC_ENABLED"] == "false"


def test_what_is_mounted_is_there_and_where_it_is_looked_for() -> None:
    """Every path of a mount exists, and provisioning points into one."""
    services = load("compose.yaml")["services"]
    volumes = set(load("compose.yaml")["volumes"])
    mounted = {}
    for service in services.values():
        for mount in service["volumes"]:
            source, target = mount.split(":")[:2]
            assert source in volumes or (GRAFANA / source).exists(), mount
            mounted[target] = source
    assert mounted[load("provisioning/dashboards/density.yaml")["providers"][0]["options"]["path"]] == "./dashboards"
    home = Path(services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (GRAFANA / mounted[str(home.parent)] / home.name).is_file()
    rules = Path("/etc/prometheus") / load("prometheus.yml")["rule_files"][0]
    assert mounted[str(rules)] == "./alerts.yml"


@pytest.mark.compose
def test_compose_accepts_its_file() -> None:
    """`make grafana` starts from it."""
    checked = [*compose_command(), "-f", str(GRAFANA / "compose.yaml"), "config", "--quiet"]
    done = subprocess.run(checked, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


FAKES = {
    "the plugin": {"docker": 'echo "docker $*"'},
    "the program": {"docker": "exit 1", "docker-compose": 'echo "docker-compose $*"'},
    "neither": {"docker": "exit 1"},
}


@pytest.fixture
def up(tmp_path: Path, request: pytest.FixtureRequest) -> subprocess.CompletedProcess[str]:
    """What `grafana/up.sh` does on a machine with these programs, and with these arguments."""
    which, arguments = request.param
    for name, script in FAKES[which].items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "dirname").symlink_to(shutil.which("dirname") or "")
    command = ["/bin/sh", str(GRAFANA / "up.sh"), *arguments]
    return subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("up", "compose"),
    [(("the plugin", []), "docker compose"), (("the program", []), "docker-compose")],
    indirect=["up"],
)
def test_make_grafana_starts_both_and_says_where(up: subprocess.CompletedProcess[str], compose: str) -> None:
    """With compose as a plugin of Docker, or as the program that Debian has."""
    *_, started, said = up.stdout.splitlines()
    assert started == f"{compose} -p density-grafana -f compose.yaml up --detach"
    assert said.startswith("Grafana: http://127.0.0.1:3000")
    assert up.returncode == 0


@pytest.mark.parametrize("up", [("the plugin", ["down"])], indirect=True)
def test_make_grafana_ends_both(up: subprocess.CompletedProcess[str]) -> None:
    """`ARGS=down` is compose's own word."""
    assert up.stdout.splitlines()[-1] == "docker compose -p density-grafana -f compose.yaml down"


@pytest.mark.parametrize("up", [("neither", [])], indirect=True)
def test_without_compose_it_says_what_to_install(up: subprocess.CompletedProcess[str]) -> None:
    """One sentence, and the exit code of an engine that cannot be used."""
    assert (up.returncode, up.stdout) == (5, "")
    assert up.stderr.count("\n") == 1
    assert "apt-get install docker-compose" in up.stderr
