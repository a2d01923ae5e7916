"""Containers and VMs side by side, as a table: rows, claims, and their text."""
