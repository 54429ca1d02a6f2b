"""Small transformers with faults planted in them, and the programs that train them."""

from .kinds import KINDS, Kind
from .programs import PROGRAMS, Program, Trained, train

__all__ = ["KINDS", "PROGRAMS", "Kind", "Program", "Trained", "train"]
