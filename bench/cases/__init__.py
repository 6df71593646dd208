"""The cases that stock and ours are put to, one function each: it runs a side and tells what happened."""

from bench.cases import clocks, corrupt, edits, missed, running, twice  # noqa: F401  (each adds its cases)
from bench.cases.case import CASES, Case

__all__ = ["CASES", "Case"]
