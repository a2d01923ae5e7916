"""The dashboards without Grafana: every panel asks a Prometheus as it stands, and is drawn from the answers.

`python -m grafana.look --prometheus URL --run ID --out DIRECTORY` draws a run, and tests ask the same way. It
shows what the panels hold, not how Grafana would paint them.
"""
