"""Traps: what makes real traffic hard to judge, each with its own switch and a line of truth for all that it does."""
