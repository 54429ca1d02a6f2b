"""The `evenflow` command. Light to import: no torch, and numpy only where a command needs it."""

from .app import main as main
