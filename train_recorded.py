"""train.py with its loss recorded: `python train_recorded.py`.

The same lines are printed, to the byte. The first document of each length runs in Python and is recorded; C replays its
graph for all others of that length. What is new stands behind two comments, `Recorded`.
"""

import random

from microgpt import Adam, Value, add, attention, cross_entropy, linear, mean, recorded, relu, rmsnorm, softmax, table
from microgpt.data import load_documents

random.seed(42)  # every run of this file is the same run

# Documents: input.txt from the working directory if there is one, else the names embedded in the package.
docs = load_documents()
random.shuffle(docs)
print(f"num docs: {len(docs)}")

# Tokens: the characters that occur, in order, and one more that stands at both ends of a document.
uchars = sorted(set("".join(docs)))
BOS = len(uchars)
vocab_size = len(uchars) + 1
print(f"vocab size: {vocab_size}")

# Parameters: matrices of Values, drawn in this order, since the stream of random numbers is part of the result.
n_embd = 16  # width of the residual stream
n_head = 4  # attention heads in a layer
n_layer = 1  # transformer layers
block_size = 16  # positions the model can see


def matrix(nout, nin, std=0.08):
    return [[Value(random.gauss(0, std)) for _ in range(nin)] for _ in range(nout)]


state_dict = {
    "wte": matrix(vocab_size, n_embd),
    "wpe": matrix(block_size, n_embd),
    "lm_head": matrix(vocab_size, n_embd),
}
for i in range(n_layer):
    state_dict[f"layer{i}.attn_wq"] = matrix(n_embd, n_embd)
    state_dict[f"layer{i}.attn_wk"] = matrix(n_embd, n_embd)
    state_dict[f"layer{i}.attn_wv"] = matrix(n_embd, n_embd)
    state_dict[f"layer{i}.attn_wo"] = matrix(n_embd, n_embd)
    state_dict[f"layer{i}.mlp_fc1"] = matrix(4 * n_embd, n_embd)
    state_dict[f"layer{i}.mlp_fc2"] = matrix(n_embd, 4 * n_embd)
# Recorded: tokens choose rows of this matrix.
state_dict["wte"] = table(state_dict["wte"])
params = [p for mat in state_dict.values() for row in mat for p in row]
print(f"num params: {len(params)}")


# One token at a time: keys and values grow by one entry a call and are the model's memory of the document so far.
def gpt(token_id, pos_id, keys, values):
    x = add(state_dict["wte"][token_id], state_dict["wpe"][pos_id])
    x = rmsnorm(x)
    for li in range(n_layer):
        # Attention: every head mixes the values of the positions so far, by how well their keys fit its query.
        x_residual = x
        x = rmsnorm(x)
        q = linear(x, state_dict[f"layer{li}.attn_wq"])
        k = linear(x, state_dict[f"layer{li}.attn_wk"])
        v = linear(x, state_dict[f"layer{li}.attn_wv"])
        keys[li].append(k)
        values[li].append(v)
        x = attention(q, keys[li], values[li], n_head)
        x = linear(x, state_dict[f"layer{li}.attn_wo"])
        x = add(x, x_residual)
        # The small network: four times as wide inside, each position for itself.
        x_residual = x
        x = rmsnorm(x)
        x = linear(x, state_dict[f"layer{li}.mlp_fc1"])
        x = relu(x)
        x = linear(x, state_dict[f"layer{li}.mlp_fc2"])
        x = add(x, x_residual)
    return linear(x, state_dict["lm_head"])


# Recorded: at every position the loss is how much the next token surprises the model.
@recorded
def loss_of(tokens):
    keys, values = [[] for _ in range(n_layer)], [[] for _ in range(n_layer)]
    losses = []
    for pos_id in range(min(block_size, len(tokens) - 1)):
        logits = gpt(tokens[pos_id], pos_id, keys, values)
        losses.append(cross_entropy(logits, tokens[pos_id + 1]))
    return mean(losses)


# Training: one document a step, with a learning rate that falls in a straight line to zero.
learning_rate = 0.01
optimizer = Adam(params, lr=learning_rate, betas=(0.85, 0.99), eps=1e-8)
num_steps = 1000
for step in range(num_steps):
    doc = docs[step % len(docs)]
    tokens = [BOS] + [uchars.index(ch) for ch in doc] + [BOS]
    loss = loss_of(tokens)

    # Backward fills in every grad, the optimizer uses them up and sets them back to zero.
    loss.backward()
    optimizer.step(lr=learning_rate * (1 - step / num_steps))
    print(f"step {step + 1:4d} / {num_steps:4d} | loss {loss.data:.4f}")

# Sampling: draw token after token, each fed back in, until the end token or a full block.
temperature = 0.5  # below 1: likelier tokens become likelier still
print("\n--- inference (new, hallucinated names) ---")
for sample_idx in range(20):
    keys, values = [[] for _ in range(n_layer)], [[] for _ in range(n_layer)]
    token_id = BOS
    sample = []
    for pos_id in range(block_size):
        logits = gpt(token_id, pos_id, keys, values)
        probs = softmax([logit / temperature for logit in logits])
        token_id = random.choices(range(vocab_size), weights=[p.data for p in probs])[0]
        if token_id == BOS:
            break
        sample.append(uchars[token_id])
    print(f"sample {sample_idx + 1:2d}: {''.join(sample)}")
