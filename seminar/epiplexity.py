# ---
# jupyter:
#   seedbook:
#     short: 1
#     coding: 2
#     open: 3
#     uses: []
# ---

# %% [markdown] tags=["guide"]
# ## The point
#
# To a reader with limited time a message has two parts: what can be turned into a model, and what stays noise. Neither is a property of the data alone: the same eight-bit rule is structure two steps ahead and noise far ahead, and what a deterministic computation has made
# may look random to whoever cannot undo it. The estimates order data as the theory says; their size is the price of learning and not the length of a program.
#
# ## Where students stumble
#
# - *Structure is taken for difficulty.* The hardest data set has almost no structure to this observer, as has the easiest thing of all, a constant. S is large where learning is slow and gets somewhere.
# - *A small S read alone.* It means that there is nothing to learn, that everything was learnt at once, or that the observer failed. Only H beside it tells which.
# - *"Rule 54 contains so many kilobits."* A table of the small ring is many times shorter than the estimate for it (x2), and the rule's number has eight bits. Equation (2) counts what was paid for getting to the model.
# - *Shannon's entropy of automata.* Given the state shown it is 0 for all of them. Students look for the noise in the data; it is in the reader.
# - *Area under which curve?* Loss on fresh batches, before the update, in bits and not nats, times the cells that were coded. On repeated data the area counts what was learnt by heart.
#
# ## The discussion
#
# *Data or optimiser?* In (1) there is no optimiser, only data and a time bound, and the best of all programs within it. In (2) and (3) there is one particular network trained in one particular way, and x3 and the fourth exercise show that it matters. An estimate that does not move when the observer is improved would be one of the data; whether
# such a plateau can be reached for anything of interest is open.
#
# *Where did it come from?* Out of computing. Whoever has the time simply runs the generator, and to him the data are as short as it. Within a budget one needs other regularities, those that the computation leaves in its results, such as the particles of rule 54; a model of these can be much longer than the generator. A
# cryptographic generator is built so that nothing of the kind is left. That nature lies on the near side of this line is an observation, and nobody has a theorem for it.
#
# *Choosing data by S?* It has two good properties, since it discards noise and what is known. But it says nothing of use: much structure may be irrelevant to the task, and S belongs to an observer, so that a list made for a small one may be wrong for a large one (x1). The claim that it helps is c6, and it is not tested here. The open exercise is a small version.
#
# ## On the board
#
# 1. A falling loss curve over updates. Shade what lies above the final loss (S) and below it (H per update). Ask: who would pay only the lower part? Somebody who has the final model.
# 2. The plane, H to the right and S upwards. Let the class place coins, biased coins, rule 15, rule 54, and rule 30 at 2, 8 and very many steps; then show the figure.
# 3. Shannon's chain rule, (4), written in both directions. Replace $H$ by $H_T$ and ask which step of the proof is gone: computing $P(x\mid y)$ from $P(y\mid x)$ by Bayes takes time that is not in the budget.
# 4. A list: what changed S in this chapter though the rule stayed the same? Horizon, hidden cells, units, budget.
#
# ## Time
#
# For 75 minutes: ten of bets, thirty of board, twenty of discussion, fifteen of verdicts (c4 against what the page says of the true $S_T$ under x2, and x3, which was declared after a look). The short exercise takes 10 minutes, the coding one 20, the open one a day. The chapter's `quick` run takes about a minute.

# %% [markdown] tags=["short"]
# With fresh batches the losses add up to the length of a message from which a receiver, who trains the same network, recovers all the data. Somebody who had the final network from the start would still pay the final loss for each batch. That rectangle is the noise that no model of this observer removes; what was paid above it was paid for lack
# of the model, and is charged as the model's length (1 point).
#
# The whole area is the length of the whole message, model and noise together. As a measure of structure it would put coins first: one bit a cell for ever, and nothing to learn (1 point).

# %% [markdown] tags=["task"]
# `losses` is the curve of one observer, `cells` the number of cells that each update codes (batch times width). Everything is to come out in bits. Take as the final loss the mean over the last tenth of the updates, at least one, as the chapter does.

# %% tags=["given"]
import numpy as np


# %% tags=["solution"]
def prequential_bits(losses, cells):
    """Structure and noise of a loss curve, by the area above and below the final loss.

    Parameters
    ----------
    losses : numpy.ndarray, (updates,)
        Bits a cell on fresh batches, each before the update on it.
    cells : int
        Cells of a batch.

    Returns
    -------
    structure, entropy, total : float
        Bits: S, what remains in all updates together, and their sum.
    """
    ### BEGIN SOLUTION
    final = losses[-max(1, len(losses) // 10) :].mean()
    structure = cells * (losses - final).sum()
    entropy = cells * final * len(losses)
    return structure, entropy, structure + entropy
    ### END SOLUTION


# %% tags=["example"]
print(prequential_bits(0.25 + 0.75 * np.exp(-np.arange(700) / 100), 64 * 24))

# %% tags=["tests"] points=1
for final in (1.0, 0.3):
    S, H, total = prequential_bits(np.full(50, final), 8)
    assert abs(S) < 1e-9, f"a constant curve has S = {S}, not 0"
    assert abs(H - 400 * final) < 1e-9, f"50 updates of 8 cells at {final} bits: H = {H}"

# %% tags=["tests"] points=1
curve = np.random.default_rng(1).random(200)
S, H, total = prequential_bits(curve, 5)
length = 5 * curve.sum()
assert abs(S + H - total) < 1e-9, f"S + H = {S + H}, but the total is {total}"
assert abs(total - length) < 1e-9, f"the total is {total}, the whole code {length}"

# %% tags=["tests"] points=2
curve = np.repeat([1.0, 0.25], [30, 70])
S, H, total = prequential_bits(curve, 8)
assert np.allclose([S, H], [180, 200]), f"30 updates at 1, 70 at 0.25: S, H = {S}, {H}"
### BEGIN HIDDEN TESTS
S, H, _ = prequential_bits(np.array([1.0, 0.5, 0.5]), 2)
assert np.allclose([S, H], [1, 3]), f"a curve of three updates: S, H = {S}, {H}, not 1, 3"
falling, rng, errors = 0.5 + 0.5 * np.exp(-np.arange(1000) / 50), np.random.default_rng(2), []
for _ in range(50):
    S, H, _ = prequential_bits(falling + 0.02 * rng.standard_normal(1000), 1)
    errors.append(S - (falling - 0.5).sum())
rms = np.sqrt(np.mean(np.square(errors)))
assert rms < 4, f"on a curve with noise of 0.02 bits S is off by {rms:.1f} bits, not about 2"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: takes the very last loss for the final one, so that its noise is charged to every update.
def prequential_bits(losses, cells):
    structure = cells * (losses - losses[-1]).sum()
    entropy = cells * losses[-1] * len(losses)
    return structure, entropy, structure + entropy


# %% tags=["wrong"]
# Wrong: leaves out what lies below the final loss, so that S and H are more than the whole code.
def prequential_bits(losses, cells):
    final = losses[-max(1, len(losses) // 10) :].mean()
    structure = cells * np.maximum(losses - final, 0).sum()
    entropy = cells * final * len(losses)
    return structure, entropy, structure + entropy


# %% [markdown] tags=["open"]
# - Before any run it is written down which measure of training counts (updates to a given loss, or area of the curve on rule 110), which difference would count as none, and what would be a no. (1 point)
# - There is a control without pretraining with the same reset of the last layer, and one pretrained on coins; several seeds, with differences within a seed. (1 point)
# - S is measured for the same observer, budget and horizon that the pretraining had, and H is told beside it. (1 point)
# - A third rule, or the first at another horizon, is chosen before the outcome of the first two is known, and the conclusion says how little three points can order. (1 point)
#
# Typical mistakes: comparing the loss at the end, where all have learnt; a rule that resembles rule 110, so that what helps is likeness and not structure; a last layer that is not reset, so that the pretrained observer starts over-confident.
