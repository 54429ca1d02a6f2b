"""The bench: runs a training from its first training forward on, changed in one thing.

    experiment --Change, steps, wants--> bench --Instrument in scratch--> Trace --> experiment

Two benches stand behind the same protocol: deep copies in this process, and forks of a script at
its first training forward. All here is plain values, which a pipe or JSON can carry.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

#: What a run can be asked to note (`Change` says what it does; the keys of `Trace.figures`).
#: facts: parameters, inputs, targets, loss, optimizers: all that `Subject` holds.
#: slopes: per parameter <dL/dp, v>, v being the direction of its seed; None without a gradient.
#: reach: |dL/dx| of each input, summed along all but one dimension in turn.
#: mixing: how far an output of one sample, or of one position, depends on others' inputs.
#: params: which got a gradient, moved, and how gradients stood when a step began.
#: ops: a digest of each operation's output, in order.
#: noise: squared norms of gradients, from which the noise scale is estimated.
WANTS = ("facts", "slopes", "reach", "mixing", "params", "ops", "noise")


@dataclass(frozen=True, slots=True)
class Change:
    """What a run differs in from the training as it stands; the default changes nothing.

    Random numbers always start from the state at the first training forward.

    Attributes:
        nudge, params, direction: each named parameter (all of them: "*") is moved by nudge · v
            before the first forward; v is drawn for (direction, name) by `Instrument.direction`.
        jitter: all parameters are moved so far along a direction of their own, to begin with.
        inputs: "permuted" among samples, by another permutation each step; "zeroed" (floats are
            0, whole numbers the least of the batch); "" = as they are.
        mode: "eval": the whole model. "still": dropout off and batch norms by their running
            statistics, all else in training mode. "" = as the training has it.
        rate: every learning rate is so many times that from before its schedule (warm-up); None =
            as scheduled. 0 holds the parameters where they are.
        optimizer: "adam:RATE" takes the place of the script's own; "" = the script's.
        same_batch: each step has the first step's batch (inputs and targets).
        double: parameters, buffers, inputs and targets in float64.
        part: (k, n): only the k-th of n equal parts of the batch's samples; (0, 1) = all.
    """

    nudge: float = 0.0
    jitter: float = 0.0
    params: tuple[str, ...] = ()
    direction: int = 0
    inputs: str = ""
    mode: str = ""
    rate: float | None = None
    optimizer: str = ""
    same_batch: bool = False
    double: bool = False
    part: tuple[int, int] = (0, 1)


@dataclass(frozen=True, slots=True)
class Trace:
    """What came of a run.

    Attributes:
        ended: "done"; "error": an exception, `why` says which; "cannot": the bench has no way to
            make this change here, `why` says what stands against it; "time".
        losses: of each backward pass, in order; NaN where it is.
        figures: by the names of `WANTS`; plain values; a want that could not be had is absent.
    """

    ended: str = "done"
    why: str = ""
    losses: tuple[float, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """The facts of a training, as one run with the want "facts" tells them.

    Attributes:
        params: name -> {"trained" (requires_grad), "held" (in so many groups)}.
        optimizers: of each {"meant": rates before its schedule}; () = none is known.
        batches: of each step {"inputs", "targets": figures of each tensor, "shifted"}.
        loss: of the first step's last loss function {"kind", "value", "reduction", "output",
            "target" (shapes), "held": a part of it is held constant}; empty = written by hand.
        broadcast: shapes of output and target where their difference is larger than both.
        readers: the operations that the inputs as they are were given to.
        norms: name -> how far a normalisation's kept statistics are from the batch's.
        evaluating: parts that act otherwise in training, where the root is in evaluation mode.
        time_first: recurrent or attention layers that want positions ahead of samples.
    """

    params: Mapping[str, Mapping[str, Any]]
    optimizers: tuple[Mapping[str, Any], ...] = ()
    batches: tuple[Mapping[str, Any], ...] = ()
    loss: Mapping[str, Any] = field(default_factory=dict)
    broadcast: tuple[tuple[int, ...], ...] = ()
    readers: tuple[str, ...] = ()
    norms: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    evaluating: tuple[str, ...] = ()
    time_first: bool = False

    @classmethod
    def of(cls, trace: Trace) -> Subject:
        """Out of a run's figures."""
        f = trace.figures
        shapes = tuple(tuple(shape) for shape in f.get("broadcast", ()))
        return cls(
            f.get("params", {}), tuple(f.get("optimizers", ())), tuple(f.get("batches", ())),
            f.get("loss", {}), shapes, tuple(f.get("readers", ())),
            f.get("norms", {}), tuple(f.get("evaluating", ())), bool(f.get("time_first")),
        )  # fmt: skip


class Bench(Protocol):
    """Runs the training in scratch copies.

    Whoever implements it promises that a run changes nothing: neither the training it is asked
    of, nor files, nor random states; and that runs alike in Change start alike to the bit.
    """

    #: How many runs an experiment may ask for (they cost a fork each, or next to nothing).
    most_runs: int
    #: Whether successive steps see successive batches, where `same_batch` is not asked for.
    streams: bool

    def run(self, change: Change, steps: int, wants: Collection[str] = ()) -> Trace:
        """Run up to the first backward (steps=0: its loss is known, no update is made), or until
        so many updates are made. Never raises for what the training does: see `Trace.ended`."""
        ...
