"""The dashboards as they are committed: generated, sound, and of metrics that there are."""

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from density.metrics.table import TABLE
from grafana.generate import palette
from grafana.generate.metric import helps, selector
from grafana.generate.write import DASHBOARDS, DIRECTORY, text
from grafana.look.dashboards import of_annotations, of_panel

Document = dict[str, Any]
COLORS = {value for name, value in vars(palette).items() if name.isupper() and isinstance(value, str)}


@pytest.fixture(params=sorted(DASHBOARDS))
def document(request: pytest.FixtureRequest) -> Document:
    """One dashboard as it is on disk."""
    found: Document = json.loads((DIRECTORY / request.param).read_text(encoding="utf-8"))
    return found


def test_regenerating_changes_nothing() -> None:
    """What is committed is what the generator writes, byte for byte, and there is nothing else."""
    assert {path.name: path.read_text(encoding="utf-8") for path in DIRECTORY.iterdir()} == {
        name: text(build) for name, build in DASHBOARDS.items()
    }


def test_grafana_s_own_types_read_it_whole(document: Document) -> None:
    """Reading it into the library's types and writing it again loses nothing, so every key is one that Grafana has."""
    plugins.register_default_plugins()
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(document)))
    for entry in (*again["links"], *again.get("annotations", {}).get("list", ())):
        entry.pop("placement")
    assert again == document


def test_ids_are_unique(document: Document) -> None:
    """Every panel has an id of its own, and every query of a panel a letter of its own."""
    ids = [panel["id"] for panel in document["panels"]]
    assert len(ids) == len(set(ids))
    for panel in document["panels"]:
        letters = [asked.ref for asked in of_panel(panel)]
        assert len(letters) == len(set(letters)) > 0, panel["title"]


def test_dashboards_have_uids_and_titles_of_their_own() -> None:
    """Links and provisioning go by uid."""
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in DIRECTORY.iterdir()]
    assert {found["uid"] for found in documents} == {
        "density-ramp", "density-ceilings", "density-host", "density-capacity",
    }  # fmt: skip
    assert len({found["title"] for found in documents}) == len(documents)


def test_panels_fill_the_grid(document: Document) -> None:
    """Every cell of the 24 columns belongs to one panel, from the top to the bottom."""
    taken = [cell for panel in document["panels"] for cell in _cells(panel["gridPos"])]
    assert len(taken) == len(set(taken)), "two panels overlap"
    bottom = max(row for _, row in taken) + 1
    assert set(taken) == set(itertools.product(range(24), range(bottom)))


def _cells(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    return itertools.product(range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"]))


def test_panels_say_what_they_show(document: Document) -> None:
    """Every panel has a title, a unit, and a description that begins with the table's words on a metric of its."""
    for panel in document["panels"]:
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        asked_for = {name for asked in of_panel(panel) for name in re.findall(r"density_\w+", asked.expr)}
        words = [helps(name) for name in asked_for]
        assert any(panel["description"].startswith(sentence) for sentence in words), panel["title"]


def test_no_query_names_a_data_source(document: Document) -> None:
    """The data source is a variable, so that the dashboards work in anybody's Grafana."""
    annotations = document.get("annotations", {}).get("list", [])
    targets = [target for panel in document["panels"] for target in panel["targets"]]
    targets += [annotation["target"] for annotation in annotations]
    queried = [variable for variable in document["templating"]["list"] if variable["type"] == "query"]
    for place in (*document["panels"], *targets, *annotations, *queried):
        assert place["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert document["templating"]["list"][0]["type"] == "datasource"


def test_variables_are_declared_before_they_are_used(document: Document) -> None:
    """Grafana fills in what the dashboard declares, and its own."""
    declared = {variable["name"] for variable in document["templating"]["list"]} | {"__range", "__rate_interval"}
    for asked in _all(document):
        assert set(re.findall(r"\$\{?(\w+)", asked)) <= declared, asked


def test_metrics_are_of_the_table(document: Document) -> None:
    """A metric that is renamed or dropped is found here."""
    known = {metric.name for metric in TABLE}
    known |= {f"{metric.name}_bucket" for metric in TABLE if metric.type == "histogram"}
    assert {name for expr in _all(document) for name in re.findall(r"density_\w+", expr)} <= known


def _all(document: Document) -> Iterator[str]:
    for panel in document["panels"]:
        yield from (asked.expr for asked in of_panel(panel))
    yield from (asked.expr for asked in of_annotations(document))
    yield from (variable["query"] for variable in document["templating"]["list"] if variable["type"] == "query")


def test_a_name_that_is_not_in_the_table_is_refused() -> None:
    """So is a label that the metric does not have; a regular expression and its opposite begin with a sign."""
    with pytest.raises(KeyError):
        selector("density_wavelength")
    with pytest.raises(KeyError, match="no label 'phase'"):
        selector("density_wave", phase="ready")
    assert selector("density_instances", phase="~a|b", workload="!c", engine="d") == (
        'density_instances{run_id="$run",phase=~"a|b",workload!~"c",engine="d"}'
    )


def test_colours_can_be_told_apart_without_red_and_green(document: Document) -> None:
    """Every colour is one of the palette's; none goes by a series' place, or by a name of Grafana's."""
    whole = json.dumps(document)
    used = set(re.findall(r'"(?:fixedColor|color|iconColor)": "([^"]+)"', whole))
    assert used <= COLORS
    assert "palette-" not in whole
    assert {"Cividis"} >= set(re.findall(r'"scheme": "([^"]+)"', whole))


def test_dashboards_lead_to_each_other_and_start_sensibly(document: Document) -> None:
    """A link by tag, with time and variables kept; live ones refresh and show the last quarter of an hour."""
    (link,) = document["links"]
    assert (link["type"], link["tags"], link["keepTime"], link["includeVars"]) == (
        "dashboards", ["density"], True, True,
    )  # fmt: skip
    assert "density" in document["tags"]
    live = document["uid"] != "density-capacity"
    assert document["refresh"] == ("5s" if live else "1m")
    assert document["time"] == {"from": "now-15m" if live else "now-7d", "to": "now"}
    assert not document["editable"]
