"""Containers and VMs measured side by side on this host; a file a group of rows."""
