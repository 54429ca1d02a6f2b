"""Who is who: roots, module paths, parameters and sites, the same at every step."""

from __future__ import annotations

import dataclasses
import os
import re
import weakref
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ..network import unwrap
from ..schema import Parameter, Site, Where
from . import lines, numbers
from .lines import Lines
from .making import lines_of, made
from .owners import owner_of

#: More sites than this are not kept (an RNN unrolled over thousands of steps); a note says so.
MAX_SITES = 5000
#: So many times a site is asked which line runs it: two that take turns are met by then.
_ASKED = 8
_UNNAMED = re.compile(r"parameter(#\d+)?")


class Place(NamedTuple):
    """A module's root and its path inside it."""

    root: str
    path: str


def _joined(*parts: str) -> str:
    return ".".join(filter(None, parts))


class SiteRegistry:
    """Names for everything the tape meets. Holds modules and parameters weakly."""

    def __init__(self) -> None:
        self.sites: list[Site] = []
        self.params: list[Parameter] = []
        self.dirty_sites: set[int] = set()
        self.dirty_params: set[int] = set()
        self.overflowed = False
        self.roots: list[weakref.ref[nn.Module]] = []  # with parameters, as called
        self._site_ids: dict[tuple[str, str, str, int, int], int] = {}
        self._places: dict[int, tuple[weakref.ref[nn.Module], Place]] = {}
        self._owners: dict[int, tuple[weakref.ref[nn.Module], Place]] = {}  # not called so far
        self._param_ids: dict[int, tuple[weakref.ref[torch.Tensor], int]] = {}
        self._by_name: dict[str, int] = {}  # parameters, by root and path
        self._homes: dict[int, Place] = {}  # of parameters: the module that holds them
        self._stood_for: dict[int, weakref.ref[torch.Tensor]] = {}  # id of a stand-in
        self._expected: dict[int, tuple[weakref.ref[torch.Tensor], int]] = {}  # see `expect`
        self._used: set[int] = set()  # parameters read as themselves
        self._names: dict[str, int] = {}
        self._awaited: dict[tuple[str, tuple[int, ...]], int] = {}  # a continued run's, by name
        self._edges: set[tuple[int, int]] = set()
        self.folder = os.getcwd()  # of the training, from which files are named
        self.seen: list[Lines] = []  # lines whose text is to be kept
        self._made: dict[Place, tuple[Where, ...]] = {}
        self._asked: dict[int, int] = {}  # sites, how often which line runs them
        self._called: dict[int, Lines] = {}  # of sites

    def restore(self, sites: Sequence[Site], params: Sequence[Parameter]) -> None:
        """Begin with what an earlier session met: sites and parameters keep their ids, and are
        known again by their names (a parameter of another shape is another)."""
        # the script may have been edited since: lines are this session's
        self.sites = [dataclasses.replace(s, made=(), called=()) for s in sites]
        old = [dataclasses.replace(p, optimizer=-1, made=()) for p in params]
        met, self.params = self.params, old
        for site in sites:
            key = (site.root, site.path, site.op, site.index, site.call)
            self._site_ids[key] = site.id
            self._edges.update((site.id, i) for i in site.inputs)
        self._awaited = {(p.name, p.shape): p.id for p in params}
        now = [self._again(p) for p in met]  # a model that was given was met before its run
        self.dirty_params = set(now)
        self._param_ids = {key: (ref, now[i]) for key, (ref, i) in self._param_ids.items()}
        self._by_name = {name: now[i] for name, i in self._by_name.items()}
        self._homes = {now[i]: place for i, place in self._homes.items()}

    def _again(self, param: Parameter) -> int:
        """The id that an earlier session gave it, or one after all of that session's."""
        index = self._awaited.pop((param.name, param.shape), len(self.params))
        self.params[index : index + 1] = [dataclasses.replace(param, id=index)]
        return index

    # -- modules ------------------------------------------------------------------------------
    def place(self, module: nn.Module) -> Place | None:
        """Where a module is, if it belongs to a root met before."""
        entry = self._places.get(id(module))
        return entry[1] if entry is not None and entry[0]() is module else None

    def add_root(self, module: nn.Module) -> Place:
        """Name a root module (its class; "#2" for the second) and all that is inside it."""
        inner = unwrap(module)
        known = self.place(inner)
        if known is None:
            known = self._of_children(inner) or self._of_owner(inner) or self._owned(inner)
            known = known or Place(self._unique(type(inner).__name__), "")
            for path, sub in inner.named_modules():
                if self.place(sub) is None:
                    place = Place(known.root, _joined(known.path, path))
                    self._places[id(sub)] = (weakref.ref(sub), place)
            self._trace(inner, known)
            held = list(inner.named_parameters())
            if held:
                self.roots.append(weakref.ref(module))
            for name, p in held:
                if not is_lazy(p):  # else it has no shape yet, and is named when it is used
                    index = self.add_param(p, _joined(known.root, known.path, name))
                    path = _joined(known.path, name.rpartition(".")[0])
                    self._homes.setdefault(index, Place(known.root, path))
        outer: nn.Module = module
        while outer is not inner:
            self._places[id(outer)] = (weakref.ref(outer), known)
            outer = getattr(outer, "_orig_mod", None) or outer.module  # type: ignore[assignment]
        return known

    def _trace(self, module: nn.Module, there: Place) -> None:
        """Note the lines that made a model's modules."""
        for path, found in lines_of(module.named_modules(), self.folder).items():
            self._made.setdefault(Place(there.root, _joined(there.path, path)), found)
        self.seen += [m.at for part in module.modules() if (m := made(part)) is not None]

    def _owned(self, module: nn.Module) -> Place | None:
        """Where a part without a telling name of its own stands in a module that is not called:
        an agent's actor is Agent.actor, not Sequential; a piece of a network is the network."""
        if not type(module).__module__.startswith("torch.nn."):
            return None
        found = owner_of(module)
        if found is None:
            return None
        owner, path = found
        there = self.place(owner) or self._of_owner(owner)
        if there is None:
            there = Place(self._unique(type(owner).__name__), "")
        for name, part in owner.named_modules():  # so that the other parts need no search
            place = Place(there.root, _joined(there.path, name))
            self._owners.setdefault(id(part), (weakref.ref(part), place))
        return Place(there.root, _joined(there.path, path))

    def _of_children(self, module: nn.Module) -> Place | None:
        """Where a piece of a known container stands (`net[0:8]`, made anew at each step): where
        the container does, whose children all of the piece's are."""
        if not isinstance(module, nn.Sequential):
            return None
        there: set[Place] = set()
        for name, child in list(module.named_children()):
            known = self.place(child) or self._of_owner(child)
            if known is None or known.path.rpartition(".")[2] != name:
                return None
            there.add(Place(known.root, known.path.rpartition(".")[0]))
        return there.pop() if len(there) == 1 else None

    def _of_owner(self, module: nn.Module) -> Place | None:
        entry = self._owners.get(id(module))
        return entry[1] if entry is not None and entry[0]() is module else None

    def _unique(self, name: str) -> str:
        self._names[name] = self._names.get(name, 0) + 1
        return name if self._names[name] == 1 else f"{name}#{self._names[name]}"

    # -- parameters ---------------------------------------------------------------------------
    def param(self, tensor: torch.Tensor) -> int | None:
        """Index of a parameter met before."""
        known = self._known(tensor)
        return self.add_param(tensor) if known is None and self._expects(tensor) >= 0 else known

    def _known(self, tensor: torch.Tensor) -> int | None:
        entry = self._param_ids.get(id(tensor))
        return entry[1] if entry is not None and entry[0]() is tensor else None

    def expect(self, tensor: torch.Tensor, optimizer: int) -> None:
        """An optimizer holds this. It is numbered when it is asked for: where it is read tells
        whether it is a parameter of its own, or one that is trained in a module's stead."""
        if self._known(tensor) is not None:
            self.add_param(tensor, optimizer=optimizer)
        elif self._expects(tensor) < 0:
            self._expected[id(tensor)] = weakref.ref(tensor), optimizer

    def _expects(self, tensor: torch.Tensor) -> int:
        """The optimizer that holds what has no number yet; -1 if none does."""
        entry = self._expected.get(id(tensor)) if self._expected else None
        return entry[1] if entry is not None and entry[0]() is tensor else -1

    def number(self) -> None:
        """Number all that is expected: it is to be written down."""
        for ref, _ in list(self._expected.values()):
            tensor = ref()
            if tensor is not None:
                self.param(tensor)
        self._expected.clear()

    def read(self, tensor: torch.Tensor, module: nn.Module | None, place: Place) -> int | None:
        """Index of a parameter that is read in a module; None of what is none."""
        known = self._known(tensor)
        if known is not None:
            self._used.add(known)
        elif isinstance(tensor, nn.Parameter) or (tensor.requires_grad and tensor.is_leaf):
            known = self._stand_in(tensor, module, place)
            if known is None and (self._expects(tensor) >= 0 or isinstance(tensor, nn.Parameter)):
                known = self.add_param(tensor)  # in no module: a list of layers, a script's own
        return known

    def known_params(self, tensors: Iterable[torch.Tensor]) -> list[int]:
        """Indices of those met before."""
        return [i for i in map(self.param, tensors) if i is not None]

    def unheld(self) -> list[tuple[int, torch.Tensor]]:
        """Trainable parameters that are alive and in no optimizer, with their indices."""
        free = {p.id for p in self.params if p.trainable and p.optimizer < 0}
        found = [(i, ref()) for ref, i in self._param_ids.values() if i in free]
        return [(i, t) for i, t in found if t is not None]

    def add_param(self, tensor: torch.Tensor, name: str = "", optimizer: int | None = None) -> int:
        """Index of a parameter, named when met first; `optimizer` is noted when given."""
        index = self._known(tensor)
        dtype = numbers.dtype_name(tensor.dtype)  # may be another by now: a network was cast
        if index is None:
            held = self._expects(tensor)
            optimizer = held if optimizer is None and held >= 0 else optimizer
            unique, shape = self._unique(name or "parameter"), numbers.shape(tensor)
            index = self._awaited.pop((unique, shape), len(self.params))
            if index == len(self.params):
                new = Parameter(index, unique, shape, dtype, bool(tensor.requires_grad), held)
                self.params.append(dataclasses.replace(new, made=self._made_of(tensor, name)))
                self.dirty_params.add(index)
            self._param_ids[id(tensor)] = (weakref.ref(tensor), index)  # last: see `site`
            self._expected.pop(id(tensor), None)
        if name:
            self._by_name.setdefault(name, index)
        old = self.params[index]
        if (
            not name
            and optimizer in (None, old.optimizer)
            and old.trainable == tensor.requires_grad
            and old.dtype == dtype
        ):
            return index
        if name and _UNNAMED.fullmatch(old.name):  # its optimizer came before its module
            old = dataclasses.replace(old, name=self._unique(name))
        new = dataclasses.replace(
            old,
            dtype=dtype,
            trainable=bool(tensor.requires_grad),
            optimizer=old.optimizer if optimizer is None else optimizer,
            made=self._made_of(tensor, name) if name or not old.made else old.made,
        )
        if new != self.params[index]:
            self.params[index] = new
            self.dirty_params.add(index)
        return index

    def _made_of(self, tensor: torch.Tensor, name: str) -> tuple[Where, ...]:
        """The line of the module that holds it, where that is a library's, else its own."""
        root, _, path = name.rpartition(".")[0].partition(".")
        found = self._made.get(Place(root, path)) if name else None
        known = None if found else made(tensor)
        if known is not None:
            self.seen.append(known.at)
        return found or lines.where("made", known and known.at, self.folder)

    def home(self, params: Iterable[int]) -> Place | None:
        """The module that holds all of these parameters; None without them, or if several do."""
        homes = {self._homes.get(i) for i in params}
        return homes.pop() if len(homes) == 1 else None

    def _stand_in(self, tensor: torch.Tensor, module: nn.Module | None, place: Place) -> int | None:
        """Index of the parameter in whose place a module now holds this tensor (FSDP2 puts whole
        parameters there in place of their shards), or of itself, if there was none before (a lazy
        module had no parameter yet); None where the module holds it not, or in another shape."""
        own = () if module is None else module._parameters.items()
        for name, p in own:
            path = _joined(place.root, place.path, name)
            known = self._by_name.get(path) if p is tensor else None
            if p is tensor and known is None and place.root:
                return self.add_param(tensor, path)
            if known is not None and self.params[known].shape == tuple(tensor.shape):
                living = self._living(known)
                shard = bool(living) and numbers.local(living[0]) is not living[0]
                lent = self.params[known].optimizer >= 0 and self._expects(tensor) < 0
                if not living or not (shard or (lent and isinstance(tensor, nn.Parameter))):
                    return self._take_over(tensor, known)
                self._param_ids[id(tensor)] = (weakref.ref(tensor), known)
                self._stood_for[id(tensor)] = weakref.ref(living[0])
                return known
        return None

    def _living(self, index: int) -> list[torch.Tensor]:
        """The tensors that are this parameter, its own first."""
        found = [ref() for ref, i in self._param_ids.values() if i == index]
        return [t for t in found if t is not None]

    def _take_over(self, tensor: torch.Tensor, index: int) -> int | None:
        """A tensor that a module holds in its parameter's stead (`functional_call` on clones) is
        the parameter from now on; None where both are trained, as far as is known."""
        living = self._living(index)
        expected = self._expects(tensor)
        trained = self.params[index].optimizer >= 0 or (expected < 0 and index in self._used)
        if living and trained:
            return None
        for original in living:
            del self._param_ids[id(original)]
        self._param_ids[id(tensor)] = (weakref.ref(tensor), index)
        self._expected.pop(id(tensor), None)
        return self.add_param(tensor, optimizer=None if expected < 0 else expected)

    def original(self, tensor: torch.Tensor) -> torch.Tensor:
        """The parameter a tensor stands in for, or the tensor itself."""
        ref = self._stood_for.get(id(tensor))
        first = ref() if ref is not None and self.param(tensor) is not None else None
        return tensor if first is None else first

    def tensors(self) -> list[tuple[int, torch.Tensor]]:
        return [
            (i, t)
            for ref, i in self._param_ids.values()
            if (t := ref()) is not None and id(t) not in self._stood_for
        ]

    # -- sites --------------------------------------------------------------------------------
    def known(self, place: Place, op: str, index: int, call: int) -> int | None:
        return self._site_ids.get((place.root, place.path, op, index, call))

    def site(
        self, place: Place, op: str, kind: str, index: int, call: int, **attributes: Any
    ) -> int | None:
        """Id of the site with this key, made if new; None past `MAX_SITES`."""
        found = self.known(place, op, index, call)
        if found is not None:
            return found
        if len(self.sites) >= MAX_SITES:
            self.overflowed = True
            return None
        found, made = len(self.sites), self._made.get(place, ())
        site = Site(found, place.root, place.path, op, kind, index, call, made=made, **attributes)
        self.sites.append(site)
        # Last: a signal handler that raises in between must leave no id without its site.
        self._site_ids[place.root, place.path, op, index, call] = found
        self.dirty_sites.add(found)
        self._edges.update((found, i) for i in site.inputs)
        return found

    def ran(self, site: int) -> None:
        """Note the line that is running a site's operation. Of one that several lines run none is
        told."""
        asked = self._asked.get(site, 0)
        if asked >= _ASKED:
            return
        self._asked[site] = asked + 1
        known = self._called.get(site)
        at = lines.calling_as(known)
        if at is None or at is known:
            return
        if known is not None and known.user.place != at.user.place:
            self._asked[site] = _ASKED
            self._change(site, called=())
        elif known is None:
            self._called[site] = at
            self.seen.append(at)
            there = self.sites[site]
            made = there.made or self._made.get(Place(there.root, there.path), ())
            self._change(site, called=lines.where("called", at, self.folder), made=made)

    def link(self, site: int, producer: int) -> None:
        """Note that `site` reads `producer`, where the forward could not tell."""
        if site != producer and (site, producer) not in self._edges:
            self._edges.add((site, producer))
            self._change(site, inputs=(*self.sites[site].inputs, producer))

    def passes(self, site: int, producer: int) -> None:
        """Note that `site` reads `producer` only by way of others: the link is none, for good."""
        self._edges.add((site, producer))
        inputs = self.sites[site].inputs
        if producer in inputs:
            self._change(site, inputs=tuple(i for i in inputs if i != producer))

    def uses(self, site: int, param: int) -> None:
        """Note that `site` reads a parameter, where the forward could not tell."""
        held, name = self.sites[site].params, self.params[param].name
        if name not in held:
            self._change(site, params=(*held, name))

    def _change(self, site: int, **what: Any) -> None:
        self.sites[site] = dataclasses.replace(self.sites[site], **what)
        self.dirty_sites.add(site)
