"""`python -m grafana.generate`."""

from grafana.generate.write import write

write()
