"""Random programs over two engines at once.

A program is a list of instructions, plain tuples such as ("mul", 0, 3) or ("backward", 1), which read and write a
list of Values, the slots. Operands are places counted from the newest slot back, modulo the number of slots, so every
list of instructions is a valid program and Hypothesis can shrink it by dropping some. `Pair.run` carries out each
instruction on the reference and on its rival and compares what came of it: numbers to the bit, graphs node for node,
exceptions by type.

Where the engines differ on purpose, the reference is levelled or the instruction skipped:
- ints of 2**53 and more are floats in the compiled engine, so both engines' are turned into floats as they appear;
  powers of ints and backward runs that pass through such ints on the way are skipped;
- a complex power is a ValueError;
- graphs with cycles, which only writing `_children` can make, are not copied;
- a node made its own child sees its gradient change while it is being passed on: not made here. Longer cycles are.
"""

from __future__ import annotations

import copy
import math
import pickle
import random
from types import SimpleNamespace
from typing import Any

from bits import EXACT_INTS, bits, node_bits, reachable
from hypothesis import strategies as st

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e-5, 5e-324, -5e-324, 2.2250738585072014e-308, 1e-160, 1e160]
SPECIAL += [-1e160, 1.7976931348623157e308, math.inf, -math.inf, math.nan, 0, 1, -1, 2, 3, -7, 2**31, 2**53 - 1]
SPECIAL += [1 - 2**53, True, False]
EXPONENTS = [-1, 2, 3, 0.5, -0.5, -1.0, 2.0, 0, 1, -2, 1.5, 0.0, True, 1 / 3]
METHODS = ["log", "exp", "relu"]
EXTRA_METHODS = ["tanh", "sigmoid", "sqrt", "sin", "cos", "abs", "silu", "gelu", "gelu_tanh"]
BINARY = {"add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b}

Instruction = tuple[Any, ...]


# ---- strategies: how Hypothesis, or a random.Random in long programs, makes instructions ----------------------------

numbers = st.one_of(
    st.sampled_from([1.0, 2.0, 0.5, -1.5, 3, 0, 1]),
    st.floats(-4, 4),
    st.integers(-5, 5),
    st.sampled_from(SPECIAL),
    st.floats(),
    st.integers(1 - EXACT_INTS, EXACT_INTS - 1),
)
places = st.integers(0, 25)
some_places = st.one_of(st.lists(places, max_size=4), st.lists(places, max_size=40))
some_numbers = st.one_of(st.lists(numbers, max_size=4), st.lists(numbers, max_size=40))
one_instruction = st.one_of(
    st.tuples(st.just("leaf"), numbers),
    st.tuples(st.sampled_from(sorted(BINARY)), places, places),
    st.tuples(st.sampled_from([f"{name}_number" for name in BINARY]), places, numbers),
    st.tuples(st.sampled_from([f"number_{name}" for name in BINARY]), places, numbers),
    st.tuples(st.just("pow"), places, st.one_of(st.sampled_from(EXPONENTS), numbers)),
    st.tuples(st.sampled_from(["neg", *METHODS, *EXTRA_METHODS]), places),
    st.tuples(st.just("rpow"), places, numbers),
    st.tuples(st.just("own"), numbers, some_places, some_numbers),
    st.tuples(st.just("sum"), some_places),
    st.tuples(st.sampled_from(["set_data", "set_grad", "scale_grad", "initialise"]), places, numbers),
    st.tuples(st.just("descend"), places, numbers),
    st.tuples(st.just("set_children"), places, some_places),
    st.tuples(st.just("set_local_grads"), places, some_numbers),
    st.tuples(st.sampled_from(["backward", "check"]), places),
    st.tuples(st.just("backward"), places),
    st.tuples(
        st.sampled_from(["drop", "drop_newer", "drop_older", "copy", "read_child", "read_all_children"]), places, places
    ),
    st.tuples(st.just("tagged_leaf"), numbers, st.text(max_size=2)),
    st.tuples(st.just("tag"), places, st.text(max_size=2)),
    st.tuples(st.sampled_from(["deepcopy", "pickle"]), st.integers(2, 5)),
)
programs = st.lists(one_instruction, min_size=1, max_size=60)

# How often each instruction comes in long programs.
LONG_MIX_TABLE = """
leaf 6, add 12, sub 4, mul 14, div 3, add_number 4, mul_number 4, sub_number 2, div_number 2,
number_add 2, number_mul 3, number_sub 2, number_div 1, pow 5, neg 2, log 2, exp 2, relu 4, tanh 2,
sigmoid 1, sin 1, gelu 1, own 4, sum 2, set_data 2, set_grad 2, scale_grad 1, descend 2,
set_children 0.3, set_local_grads 0.3, initialise 0.2, backward 2, drop 22, drop_newer 0.05,
drop_older 0.03, read_child 3, read_all_children 1, tagged_leaf 1, tag 1, copy 0.3
"""
LONG_MIX = {name: float(weight) for name, weight in (entry.split() for entry in LONG_MIX_TABLE.split(","))}


def random_instruction(rng: random.Random, names: list[str], weights: list[float], reach: int) -> Instruction:
    """One instruction for a long program: mostly tame numbers, operands anywhere within `reach` of the newest slot."""
    name = rng.choices(names, weights)[0]

    def number() -> Any:
        return (
            rng.choice(SPECIAL)
            if rng.random() < 0.02
            else rng.randint(-3, 3)
            if rng.random() < 0.2
            else rng.uniform(-1.5, 1.5)
        )

    def place() -> int:
        return int(reach ** rng.random()) - 1

    def many(one: Any) -> list[Any]:
        return [one() for _ in range(rng.choice([0, 1, 2, 2, 3, 4, 7, rng.randint(8, 40)]))]

    if name == "leaf":
        return name, number()
    if name == "own":
        return name, number(), many(place), many(number)
    if name == "sum":
        return name, many(place)
    if name == "set_children":
        return name, place(), many(place)
    if name == "set_local_grads":
        return name, place(), many(number)
    if name == "pow":
        return name, place(), rng.choice(EXPONENTS)
    if name == "tagged_leaf":
        return name, number(), rng.choice("abc")
    if name == "tag":
        return name, place(), rng.choice("abc")
    if name.startswith(("drop", "read")) or name in (*BINARY, "copy"):
        return name, place(), place()
    return name, place(), number()


# ---- what the instructions do ---------------------------------------------------------------------------------------


def pick(slots: list[Any], place: int) -> Any:
    return slots[-1 - place % len(slots)]


def apply(engine: SimpleNamespace, slots: list[Any], instruction: Instruction) -> list[Any]:
    """Carry out one instruction on the slots of one engine; the Values to append to them."""
    name, *arguments = instruction
    if name == "leaf":
        return [engine.Value(arguments[0])]
    if name == "tagged_leaf":
        return [engine.Tagged(arguments[0], tag=arguments[1])]
    if name == "own":
        data, children, local_grads = arguments
        return [engine.Value(data, tuple(pick(slots, place) for place in children), tuple(local_grads))]
    if name == "sum":
        total = sum(pick(slots, place) for place in arguments[0])
        return [total] if arguments[0] else []
    if name in ("deepcopy", "pickle"):
        slots[:] = (
            pickle.loads(pickle.dumps(slots, arguments[0]))
            if name == "pickle" and engine.name != "script"
            else copy.deepcopy(slots)
        )
        return []
    value, more = pick(slots, arguments[0]), arguments[1:]
    if name in BINARY:
        return [BINARY[name](value, pick(slots, more[0]))]
    if name.endswith("_number"):
        return [BINARY[name[:-7]](value, more[0])]
    if name.startswith("number_"):
        return [BINARY[name[7:]](more[0], value)]
    if name == "pow":
        return [value ** more[0]]
    if name == "rpow":
        return [more[0] ** value]
    if name == "neg":
        return [-value]
    if name == "gelu_tanh":
        return [value.gelu("tanh")]
    if name in METHODS or name in EXTRA_METHODS:
        return [getattr(value, name)()]
    if name == "copy":
        return [copy.copy(value)]
    return change(slots, name, value, more)


def change(slots: list[Any], name: str, value: Any, more: list[Any]) -> list[Any]:
    """The instructions that write to a Value, or to the list of slots."""
    if name == "set_data":
        value.data = more[0]
    elif name == "set_grad":
        value.grad = more[0]
    elif name == "scale_grad":
        value.grad *= more[0]
    elif name == "descend":
        value.data -= more[0] * value.grad
    elif name == "initialise":
        value.__init__(more[0])
    elif name == "set_children":
        value._children = tuple(pick(slots, place) for place in more[0])
    elif name == "set_local_grads":
        value._local_grads = tuple(more[0])
    elif name == "backward":
        value.backward()
    elif name == "tag":
        value.tag = more[0]
    elif name == "read_child":
        return [value._children[more[0] % len(value._children)]] if value._children else []
    elif name == "read_all_children":
        return list(value._children)[:10]
    elif name == "drop":
        del slots[-1 - more[0] % len(slots)]
    elif name == "drop_newer":
        del slots[max(1, len(slots) - more[0]) :]
    elif name == "drop_older":
        del slots[: len(slots) - 1 - more[0]]
    return []


# ---- where the engines differ on purpose ----------------------------------------------------------------------------


def is_int(number: Any) -> bool:
    return isinstance(number, int)


def level(number: Any) -> Any:
    return float(number) if is_int(number) and abs(number) >= EXACT_INTS else number


def level_pair(ours: Any, theirs: Any) -> None:
    """Turn what is too large for an int in the reference's node into a float, in both engines."""
    for name in ("data", "grad"):
        number = getattr(ours, name)
        if level(number) is not number:
            setattr(ours, name, float(number))
            if abs(float(number)) == EXACT_INTS:  # may have been rounded down to it: int or float, both are right
                setattr(theirs, name, float(number))
    if any(level(g) is not g for g in ours._local_grads):
        ours._local_grads = tuple(level(g) for g in ours._local_grads)


def is_complex_power(base: Any, exponent: Any) -> bool:
    return base < 0 and math.isfinite(base) and math.isfinite(exponent) and exponent != int(exponent)


def leaves_exact_ints(base: Any, exponent: Any) -> bool:
    """Whether a power of two ints, or its slope, gets too large to be an int in the compiled engine."""
    if not (is_int(base) and is_int(exponent)) or exponent < 0 or (abs(base) < 2 and exponent < EXACT_INTS):
        return False
    return exponent > 60 or max(abs(base**exponent), abs(exponent * base ** max(exponent - 1, 0))) >= EXACT_INTS


def backward_leaves_exact_ints(root: Any) -> bool:
    """Whether a sum or product of ints beyond 2**53 would turn up in `root.backward()`."""
    order, seen, stack = [], {root}, [(root, 0)]
    while stack:
        value, i = stack.pop()
        if i == len(value._children):
            order.append(value)
            continue
        stack.append((value, i + 1))
        child = value._children[i]
        if child not in seen:
            seen.add(child)
            stack.append((child, 0))
    grads = {value: value.grad for value in order}
    grads[root] = 1
    for value in reversed(order):
        for child, local_grad in zip(value._children, value._local_grads):
            product = local_grad * grads[value]
            grads[child] += product
            if level(product) is not product or level(grads[child]) is not grads[child]:
                return True
    return False


def has_cycle(roots: list[Any]) -> bool:
    """Whether some node depends on itself: no graph that operations make, and none that has to survive a copy."""
    done: set[Any] = set()
    for root in roots:
        on_the_way, stack = {root}, [(root, 0)]
        while stack:
            value, i = stack.pop()
            if i == len(value._children):
                on_the_way.discard(value)
                done.add(value)
                continue
            stack.append((value, i + 1))
            child = value._children[i]
            if child in on_the_way:
                return True
            if child not in done:
                on_the_way.add(child)
                stack.append((child, 0))
    return False


class Pair:
    """The reference and a rival, side by side, with the same slots."""

    def __init__(self, reference: SimpleNamespace, rival: SimpleNamespace) -> None:
        self.engines = [with_tags(reference), with_tags(rival)]
        self.slots: tuple[list[Any], list[Any]] = ([], [])

    def run(self, program: list[Instruction]) -> None:
        for instruction in program:
            self.step(instruction)
        self.check_all()

    def step(self, instruction: Instruction) -> None:
        if not self.slots[0]:
            self.both(("leaf", 1.0), None)
        name = instruction[0]
        if name == "check":
            self.check_all()
        elif not self.out_of_contract(instruction):
            self.both(instruction, self.expected_error(instruction))

    def out_of_contract(self, instruction: Instruction) -> bool:
        name, *arguments = instruction
        ours, rival = self.engines
        if name in (*EXTRA_METHODS, "rpow") and not rival.extras:
            return True
        if name in ("deepcopy", "pickle"):
            return has_cycle(self.slots[0])
        if name == "set_children":
            return pick(self.slots[0], arguments[0]) in [pick(self.slots[0], place) for place in arguments[1]]
        if name == "tag":
            return type(pick(self.slots[0], arguments[0])) is not ours.Tagged
        if name == "backward":
            return backward_leaves_exact_ints(pick(self.slots[0], arguments[0]))
        if name == "pow":
            return leaves_exact_ints(pick(self.slots[0], arguments[0]).data, arguments[1])
        if name == "rpow":
            return leaves_exact_ints(arguments[1], pick(self.slots[0], arguments[0]).data)
        if name == "gelu_tanh":
            return leaves_exact_ints(pick(self.slots[0], arguments[0]).data, 3)
        return False

    def expected_error(self, instruction: Instruction) -> type[Exception] | None:
        name, *arguments = instruction
        if name == "pow" and is_complex_power(pick(self.slots[0], arguments[0]).data, arguments[1]):
            return ValueError
        if name == "rpow" and is_complex_power(arguments[1], pick(self.slots[0], arguments[0]).data):
            return ValueError
        return None

    def both(self, instruction: Instruction, error: type[Exception] | None) -> None:
        made: list[list[Any]] = []
        errors: list[type[Exception] | None] = []
        for engine, slots in zip(self.engines, self.slots):
            try:
                made.append(apply(engine, slots, instruction))
                errors.append(None)
            except (ArithmeticError, ValueError, TypeError, AttributeError) as problem:
                made.append([])
                errors.append(type(problem))
        if error and not self.engines[1].compiled:
            return
        if error and errors[1] is error:  # where the reference got a complex number, or went on from one
            errors[0], made[0] = error, []
        assert errors[0] is errors[1], f"{instruction}: {errors[0]} in the reference, {errors[1]} in the rival"
        assert len(made[0]) == len(made[1])
        if instruction[0] in ("set_data", "set_grad", "scale_grad", "descend", "initialise", "set_local_grads"):
            level_pair(*(pick(slots, instruction[1]) for slots in self.slots))
        for ours, theirs in zip(*made):
            level_pair(ours, theirs)
            assert node_bits(ours) == node_bits(theirs), instruction
            assert len(ours._children) == len(theirs._children), instruction
        for slots, new in zip(self.slots, made):
            slots.extend(new)

    def check_all(self) -> None:
        """Every node under every slot: numbers, wiring, identities, tags."""
        ours, theirs = (reachable(slots) for slots in self.slots)
        assert len(ours) == len(theirs)
        places = [{value: i for i, value in enumerate(nodes)} for nodes in (ours, theirs)]
        assert [places[0][v] for v in self.slots[0]] == [places[1][v] for v in self.slots[1]]
        for i, (a, b) in enumerate(zip(ours, theirs)):
            assert node_bits(a) == node_bits(b), (
                f"node {i} differs: {node_bits(a)} in the reference, {node_bits(b)} in the rival"
            )
            assert [places[0][v] for v in a._children] == [places[1][v] for v in b._children], (
                f"children of node {i} differ"
            )
            assert getattr(a, "tag", "") == getattr(b, "tag", ""), f"tag of node {i} differs"

    def check_slots(self) -> None:
        """The numbers in the slots alone, without touching the rest of the graph."""
        for a, b in zip(*self.slots):
            assert (bits(a.data), bits(a.grad)) == (bits(b.data), bits(b.grad))


TAGGED: dict[type, type] = {}


def with_tags(engine: SimpleNamespace) -> SimpleNamespace:
    """The engine, with a subclass of its Value whose instances carry an attribute."""
    if engine.Value not in TAGGED:

        class Tagged(engine.Value):
            def __init__(self, data: Any, children: Any = (), local_grads: Any = (), tag: str = "") -> None:
                super().__init__(data, children, local_grads)
                if tag:
                    self.tag = tag

        Tagged.__qualname__ = f"Tagged_{engine.name}"
        globals()[f"Tagged_{engine.name}"] = Tagged
        TAGGED[engine.Value] = Tagged
    return SimpleNamespace(**vars(engine), Tagged=TAGGED[engine.Value])
