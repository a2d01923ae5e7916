"""The dashboards as code: what they show and how they ask for it; units and descriptions are those of density's table.

`python -m grafana.generate` writes `grafana/dashboards/*.json` again; a test holds that this changes nothing.
"""
