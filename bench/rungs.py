"""The model of gpt.py on each rung that has Values, for the programs that have a process to themselves.

VARIANT  reference       rung 0: the pure-Python class
         untyped         rung 1: the same file through Cython, its functions and its Adam too
         compiled        rung 2: the compiled class, everything else as in the script
         compiled-adam   the same, and the compiled Adam
         bulk-functions  the same, and the script's three functions (linear, softmax, rmsnorm) replaced by the compiled
                         ones; its gpt() stays as it is, attention scalar by scalar
         bulk            rung 3: train.py's way, every vector by a compiled function, and the compiled Adam
         floats          no graph at all: the forward on plain floats

Whatever runs two of them in one process measures neither: `of` changes functions of gpt.py. A model of another size
is asked for first (`model.resize`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import gpt as model


class Rung(NamedTuple):
    """What a variant puts in the place of the script's own functions; `adam` is None for the script's loop."""

    how: model.Arithmetic
    gpt: Callable[..., list[Any]]
    surprise_at: Callable[[list[Any], int], Any]
    mean: Callable[[list[Any]], Any]
    adam: Any = None


def of(variant: str) -> Rung:
    """Raises KeyError for a variant that is none, ImportError for rung 1 where it was not built."""
    return {
        "reference": reference,
        "untyped": untyped,
        "compiled": typed,
        "compiled-adam": typed_with_adam,
        "bulk-functions": three_functions,
        "bulk": bulk,
        "floats": floats,
    }[variant]()


def as_written(how: model.Arithmetic, adam: Any = None) -> Rung:
    def surprise_at(logits: list[Any], target_id: int) -> Any:
        probs = how.softmax(logits)
        return how.surprise(probs[target_id])

    def mean(losses: list[Any]) -> Any:
        return (1 / len(losses)) * sum(losses)

    return Rung(how, model.gpt, surprise_at, mean, adam)


def floats() -> Rung:
    return as_written(model.on_floats())


def reference() -> Rung:
    from microgpt.reference import Value

    return as_written(model.on_values(Value))


def untyped() -> Rung:
    from microgpt import _compiled as all_of_it

    model.linear, model.rmsnorm = all_of_it.linear, all_of_it.rmsnorm
    model.attention = lambda q, keys, values, _: all_of_it.attention(q, keys, values, model.N_HEAD)
    how = model.on_values(all_of_it.Value)._replace(softmax=all_of_it.softmax, relu=all_of_it.relu)
    return Rung(how, model.gpt, all_of_it.cross_entropy, all_of_it.mean, all_of_it.Adam)


def typed() -> Rung:
    from microgpt import Value

    return as_written(model.on_values(Value))


def typed_with_adam() -> Rung:
    from microgpt import Adam

    return typed()._replace(adam=Adam)


def three_functions() -> Rung:
    from microgpt import Adam, Value, linear, rmsnorm, softmax

    model.linear, model.rmsnorm = linear, rmsnorm
    return as_written(model.on_values(Value)._replace(softmax=softmax), Adam)


def bulk() -> Rung:
    import microgpt
    from microgpt.model import gpt

    config = microgpt.GPTConfig(model.VOCAB_SIZE, model.N_LAYER, model.N_EMBD, model.N_HEAD, model.BLOCK_SIZE)

    def gpt_of_functions(state_dict: dict[str, Any], _: model.Arithmetic, *rest: Any) -> list[Any]:
        return gpt(config, state_dict, *rest)

    how = model.on_values(microgpt.Value)._replace(softmax=microgpt.softmax)
    return Rung(how, gpt_of_functions, microgpt.cross_entropy, microgpt.mean, microgpt.Adam)
