"""Textbook statements put to the measurement: `python -m benchmarks.claims [NAME ...]`.

One file a claim, all of them in `registry.CLAIMS`; `results.json` holds what was measured and
`docs/claims.md` is written from it.
"""
