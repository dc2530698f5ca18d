"""What .ci/memcheck runs: models of several shapes on the fused rung, and a training step on the others."""

import random

from microgpt import GPT, Adam, GPTConfig, Value, cross_entropy, mean
from microgpt.ladder.rungs import LADDER, fresh_parameters
from microgpt.model import gpt

rng = random.Random(1)
for config in (GPTConfig(27), GPTConfig(5, 2, 6, 3, 7), GPTConfig(11, 1, 20, 1, 3), GPTConfig(2, 1, 1, 1, 1)):
    model = GPT(config, rng)
    for length in range(2, 12):
        model.train_step([rng.randrange(config.vocab_size) for _ in range(length)])
    model.train_batch([[1, 0, 1], [0, 1]], threads=2, clip_norm=1.0)
    model.generate_many(5, rng, 2.0, top_k=2, prompt=[1])
    parameters = fresh_parameters(config)
    losses = {
        tuple(kind.make(config, parameters).run([[1, 0, 1, 0], [0, 1]], [0.01] * 2).losses)
        for name, kind in LADDER.items()
        if name != "interpreted"
    }
    assert len(losses) == 1, losses

config = GPTConfig(9, 1, 8, 2, 5)
state_dict = GPT(config, rng).to_values()
optimizer = Adam([p for matrix in state_dict.values() for row in matrix for p in row])
for _ in range(2):
    keys, values = [[]], [[]]
    logits = [gpt(config, state_dict, token, position, keys, values) for position, token in enumerate([1, 2, 3, 4])]
    loss = mean([cross_entropy(each, 3) for each in logits]) + Value(1.5).gelu() * Value(2.0).tanh()
    loss.backward()
    optimizer.step()
