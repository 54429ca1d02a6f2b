"""Heal: safe treatments of a training while it runs; each one an event with its evidence."""

from .healer import Healer as Healer
