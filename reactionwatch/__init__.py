"""The front door: command line, settings, demo. Everything is wired together here and only here."""
