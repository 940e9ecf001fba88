"""The commands, one module a room: they read settings, call the rooms, and show what came of it."""
