"""Containers and VMs side by side: figures, and what of them a ramp gives."""
