"""What a proof is: the shapes are those of `bench.registry`, whose docstring says how to write a module."""

from bench.registry import CannotRun, Proof, Result, Scale, at_least, at_most, cannot, exactly

__all__ = ["CannotRun", "Proof", "Result", "Scale", "at_least", "at_most", "cannot", "exactly"]
