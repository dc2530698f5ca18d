"""`microgpt sample`: new texts from a saved model, one a line on standard output."""

import argparse
import random
from typing import Any

from .._fused import GPT
from ..checkpoint import CheckpointError, load
from . import Refused, note
from .options import whole
from .output import Output
from .sampling import add_temperature, drawn
from .stopping import Stop

SEEDS = 2**32  # where an arbitrary one is taken from


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "sample",
        help="let a saved model invent new texts",
        description="Let a model that `microgpt train --out DIR` has saved invent new texts, one a line.",
        epilog="Example: `microgpt sample --from names --num 10 --prompt ka --temperature 0.8`",
    )
    parser.add_argument(
        "--from", dest="source", metavar="DIR", required=True, help="the folder that was given as --out"
    )
    parser.add_argument("--num", metavar="N", type=whole(0), default=20, help="how many (default: 20)")
    add_temperature(parser, default=0.5)
    parser.add_argument(
        "--top-k", metavar="K", type=whole(1), help="choose among the K likeliest letters (default: all)"
    )
    parser.add_argument("--prompt", metavar="TEXT", default="", help="how every text begins")
    parser.add_argument("--seed", metavar="N", type=whole(), help="same seed, same texts (default: new ones each time)")


def main(options: argparse.Namespace) -> int:
    try:
        kept = load(options.source)
        prompt = kept.tokenizer.tokens(options.prompt)
    except CheckpointError as error:
        raise Refused(str(error)) from None
    except ValueError as error:
        raise Refused(f"--prompt {options.prompt!r}: {error}") from None
    if len(prompt) >= kept.config.block_size:
        raise Refused(f"--prompt: {len(prompt)} letters, and the model sees {kept.config.block_size} at a time")
    model = GPT(kept.config)
    model.load_state_dict(kept.weights)
    seed = random.randrange(SEEDS) if options.seed is None else options.seed
    if options.seed is None:
        note(f"the same again: --seed {seed}")
    rng, output = random.Random(seed), Output()

    def one() -> str:
        return kept.tokenizer.decode(model.generate(rng, options.temperature, top_k=options.top_k, prompt=prompt))

    with Stop() as stop:
        for _ in range(options.num):
            if stop.signum is not None:
                return stop.status
            output.write(f"{drawn(one, options.temperature)}\n")
    return 0
