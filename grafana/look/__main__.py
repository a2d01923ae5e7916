"""`python -m grafana.look`: pictures of every dashboard, for one run in a Prometheus."""

import argparse
import time
from pathlib import Path

from grafana.look.dashboards import Window, load
from grafana.look.pictures import pictures
from grafana.look.prometheus import Prometheus


def main() -> None:
    """Ask and draw."""
    parser = argparse.ArgumentParser(prog="python -m grafana.look", description=main.__doc__)
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", metavar="URL")
    parser.add_argument("--run", required=True, metavar="ID", help="run_id, as `density runs` lists it")
    parser.add_argument("--minutes", type=float, default=15, metavar="N", help="of time until now")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIRECTORY")
    given = parser.parse_args()
    window = Window(time.time() - given.minutes * 60, time.time())
    pictures(load(), Prometheus(given.prometheus), window, given.run, given.out)


main()
