"""Activation functions: the functions themselves, their mean-field theory, and an atlas card each.

Lazy, as `evenflow` is: `evenflow.activations.meanfield` works where torch is not installed.
"""
