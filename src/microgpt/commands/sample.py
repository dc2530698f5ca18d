"""`microgpt sample`: new texts from a saved model, one a line on standard output."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from .._fused import GPT
from ..checkpoint import Checkpoint, load
from . import Refused, note, refusing
from .options import Option, Options, path, temperature_option, text, whole
from .output import Output
from .stopping import Stop

SEEDS = 2**32  # where an arbitrary one is taken from
LIKELIEST = 5  # of the tokens that --explain shows

ABOUT = {
    "help": "generate texts with a saved model",
    "description": "Generate texts with a model that `microgpt train --out DIR` has saved, one a line.",
    "epilog": "Example: `microgpt sample --from names --num 10 --prompt ka --temperature 0.8`",
}
GROUPS = {
    "": (
        Option("--from", "DIR", path, "the folder that was given as --out", required=True, dest="source"),
        Option("--num", "N", whole(0), "number of texts (default: 20)", 20),
        temperature_option(0.5),
        Option("--top-k", "K", whole(1), "choose among the K likeliest letters (default: all)"),
        Option("--prompt", "TEXT", text, "how every text begins", ""),
        Option("--seed", "N", whole(), "same seed, same texts (default: new ones each time)"),
        Option("--explain", None, bool, f"show the {LIKELIEST} likeliest next letters at each step", False),
    )
}


def main(options: Options) -> int:
    kept = load(options.source)
    with refusing(f"--prompt {options.prompt!r}: "):
        prompt = kept.tokenizer.tokens(options.prompt)
    if len(prompt) >= kept.config.block_size:
        raise Refused(f"--prompt: {len(prompt)} letters, but the model's context is {kept.config.block_size}")
    model = GPT(kept.config)
    model.load_state_dict(kept.weights)
    seed = random.randrange(SEEDS) if options.seed is None else options.seed
    if options.seed is None and options.temperature:
        note(f"to repeat this: --seed {seed}")
    rng, output = random.Random(seed), Output()

    def one() -> str:
        tokens = model.generate(rng, options.temperature, top_k=options.top_k, prompt=prompt)
        shown = kept.tokenizer.decode(tokens)
        return f"{shown}\n{explained(kept, model, tokens, len(prompt))}" if options.explain else f"{shown}\n"

    with Stop() as stop:
        for _ in range(options.num):
            if stop.signum is not None:
                return stop.status
            with refusing(f"no text can be sampled at --temperature {options.temperature}: ", ArithmeticError):
                output.write(one())
    return 0


def explained(kept: Checkpoint, model: GPT, tokens: Sequence[int], start: int) -> str:
    """A line for each token after the prompt: the text so far, and the tokens likeliest to follow, at temperature 1."""
    tokenizer, lines = kept.tokenizer, []
    names = [repr(text) for text in tokenizer.texts] + ["end"]
    end = min(len(tokens) + 1, kept.config.block_size)
    for count in range(start, end):
        chances = _softmax(model.logits([tokenizer.bos, *tokens[:count]]))
        likeliest = sorted(range(len(chances)), key=lambda token: (-chances[token], token))[:LIKELIEST]
        so_far = repr(tokenizer.decode(tokens[:count]))
        shown = "  ".join(f"{names[token]} {100 * chances[token]:.1f} %" for token in likeliest)
        lines.append(f"    {so_far:18} {shown}\n")
    return "".join(lines)


def _softmax(logits: Sequence[float]) -> list[float]:
    largest = max(logits)
    exps = [math.exp(logit - largest) for logit in logits]
    total = sum(exps)
    return [each / total for each in exps]
