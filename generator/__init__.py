"""Synthetic safety reports with planted spikes, and how reports are sent."""
