"""Sampling as the script does it, timed: `generation_run.py VARIANT NAMES ROUNDS KEPT` prints one line of json.

VARIANT is one of rungs.py, or `fused`. Every variant has the same trained weights and the same random numbers, so the
same names must come out. All rounds draw these names again; the times of the last KEPT rounds are given, a name each.

The loop stands at the level of the module and keeps the script's names, as in training_run.py: the graph of one name is
freed while the next is made, token by token.

For `fused` there is a second list, of the positions alone: the same names given as prompts, with one draw at the end.
What it lacks are the other draws: the random number from Python, and the weights that it falls on.
"""

import itertools
import json
import random
import sys
import time
from types import SimpleNamespace

import gpt as model
import rungs

from microgpt import GPT, GPTConfig

variant, names, rounds, kept = sys.argv[1], *map(int, sys.argv[2:])
BOS, vocab_size, block_size, n_layer = model.VOCAB_SIZE - 1, model.VOCAB_SIZE, model.BLOCK_SIZE, model.N_LAYER
temperature = 0.5
clock, times, positions = time.perf_counter, [], []


def trained():
    """A model that has seen some hundred names; the fused step gives the same bits on every instruction set."""
    docs, uchars, state_dict, _ = model.setting(model.on_floats())
    documents = [model.tokens_of(doc, uchars) for doc in docs[:600]]
    gpt = GPT(GPTConfig(len(uchars) + 1))
    gpt.load_state_dict(state_dict)
    gpt.train_steps(documents, [0.01] * len(documents))
    return gpt


model_of_all = trained()
if variant == "fused":
    at_the_end = SimpleNamespace(random=itertools.repeat(1 - 2**-53).__next__)  # falls on the last token, the end
    for _ in range(rounds):
        random.seed(1)
        samples = []
        for _ in range(names):
            started = clock()
            sample = model_of_all.generate(random, temperature)
            times.append(clock() - started)
            samples.append(sample)
        for sample in samples:
            started = clock()
            again = model_of_all.generate(at_the_end, temperature, prompt=sample)
            positions.append(clock() - started)
            assert again == sample
else:
    rung = rungs.of(variant)
    how, gpt, softmax = rung.how, rung.gpt, rung.how.softmax
    weights = {name: matrix.tolist() for name, matrix in model_of_all.state_dict().items()}
    state_dict = {name: [[how.number(x) for x in row] for row in matrix] for name, matrix in weights.items()}
    del model_of_all, weights
    for _ in range(rounds):
        random.seed(1)
        samples = []
        for _ in range(names):
            started = clock()
            keys, values = [[] for _ in range(n_layer)], [[] for _ in range(n_layer)]
            token_id = BOS
            sample = []
            for pos_id in range(block_size):
                logits = gpt(state_dict, how, token_id, pos_id, keys, values)
                probs = softmax([logit / temperature for logit in logits])
                masses = probs if variant == "floats" else [p.data for p in probs]
                token_id = random.choices(range(vocab_size), weights=masses)[0]
                if token_id == BOS:
                    break
                sample.append(token_id)
            times.append(clock() - started)
            samples.append(sample)

last = -kept * names
print(json.dumps({"variant": variant, "times": times[last:], "positions": positions[last:], "names": samples}))
