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
# One formula has two readings, and no experiment can choose between readings unless they predict different things. Where they do, the truth itself serves as the control: it errs when sampled and gains by a steeper softmax, although nothing is wrong with it.
# What remains after this is subtracted belongs to the network. And likelihood and decisions ask for opposite corrections of the same numbers, which no talk of good or bad probabilities covers.
#
# ## Where students stumble
#
# - *"A model whose samples err more than its favourite output is paradoxical."* The truth does the same: with 5 % of random words its samples of five words are faultless in about 79 % of cases, and its favourite always.
# - (2) is a theorem. That the experiment finds it again tests the program, not the paper; what could have failed is c1b, that learning from single challengers ends at an equal network.
# - *"A power is a new probability."* It is the temperature, $b=1/T$. Towards $b\to\infty$ sampling becomes the preferred output, so that its improvement is no merit of sampling.
# - *"The order survives overtraining."* The utility reading suggests it, and x3 was there to see: after the best look there are more words at which a synonym no longer stands above all else, and the samples do not show it.
# - The gains are relative, and the unit is the network, with data of its own; the eight networks share one world.
#
# ## The discussion
#
# *Why calibrate?* The preferred output needs an order only. Whoever weighs costs, abstains when unsure, combines two models or compares sentences of different sources needs numbers that mean the same everywhere. Calibration chooses one of the transforms that the order leaves open, for a purpose;
# for the overtrained network likelihood chooses a flatter one than deciding does (x2).
#
# *The truth gains as well.* This refutes nobody who claims that outputs improve. It shrinks what may be credited to repairing the network: the part that the truth gains is the removal of the world's noise, which here counts as error by definition. Where variety is wanted the same power does harm. The net gain is x1,
# and the paper's own equation is unknown to the chapter (c4c).
#
# *A cardinal utility.* For a cardinal utility differences have a size. An economist would offer lotteries, or look whether the difference $u(y)-u(y')$ predicts how *often* $y$ is taken over $y'$, with one unit for all pairs and all sources. For networks: does one power fit every source, or do long or rare sources need another?
# The chapter fits one a network, so this is open.
#
# ## On the board
#
# 1. Three utilities 1, 0, $-1$: softmax 0.67, 0.24, 0.09. The second is observed: by (2) the step is $-0.67$, $+0.76$, $-0.09$. "This one rather than that one", and the steps sum to zero.
# 2. A table: what may be done to $u$ without changing what it says? As log-probability: add a constant. As cardinal utility: also change the unit. As order: any increasing transform.
# 3. The truth under power 3: a right word has 0.571, 0.286 or 0.096, a wrong one 0.0014. Cubes: 0.211 in all for right words, $10^{-7}$ for the wrong ones. So faultless samples rise from 0.79 to nearly 1, by 26 %, and no network was involved.
# 4. (3) is a telescope: $u_T-u_0=a\sum_t(e_{y_t}-P_{u_t})$. Divide by $aT$ and carry the play to the other side.
#
# ## Time
#
# Eighty minutes: ten of bets, thirty of board, twenty of figures and verdicts, twenty of discussion. The short exercise takes 15 minutes, the coding one 35, the open one two afternoons. The chapter's `quick` run takes a little over a minute.

# %% [markdown] tags=["short"]
# $\log P_u(y^*\mid x)=u(x,y^*)-\log\sum_{y'}e^{u(x,y')}$. The gradient of the second term is $\sum_{y'}\frac{e^{u(x,y')}}{\sum_{y''}e^{u(x,y'')}}\nabla u(x,y')=\mathbb E_{y'\sim P_u}[\nabla u(x,y')]$, which gives (2). (1 point)
#
# With $u+c(x)$ numerator and denominator of the softmax are both multiplied by $e^{c(x)}$, so that $P_u$ stays, and in (2) $\nabla c$ appears in both terms and cancels. The zero of a utility is therefore arbitrary, for each $x$ anew; only differences within one $x$ count. The unit is another matter: $b\,u$ has the same order but
# $P_{bu}\propto P_u^b$ is another distribution. Read as a probability, $u$ has a fixed unit; read as an ordinal utility it has none. (1 point)

# %% [markdown] tags=["task"]
# `identity` returns the two terms of the right side of (3), not only their sum, which you could have counted. `rate` is a number, or one number for each step. With changing rates the first term is divided by the sum of the rates in place of $aT$; it is for you to find the average of the play that goes with it,
# such that both terms together are again an average of the observations. Which one? Utilities start at 0.

# %% tags=["given"]
import numpy as np


def observations(T, n, seed):
    """T draws from an unknown distribution over n outputs, as rows of one 1 and zeros."""
    rng = np.random.default_rng(seed)
    return np.eye(n)[rng.choice(n, size=T, p=rng.dirichlet(np.ones(n)))]


# %% tags=["solution"]
def identity(seen, rate):
    """The terms of identity (3), for a table of utilities that follows (2) from 0 on.

    Parameters
    ----------
    seen : array of shape (T, n)
        What was observed at each step: a row with a single 1.
    rate : float or array of shape (T,)
        Learning rate, of all steps or of each.

    Returns
    -------
    gain : array of shape (n,)
        The gain of utility over all steps, divided by the sum of the rates.
    play : array of shape (n,)
        The average of what was played that makes gain + play an average of `seen`.
    """
    ### BEGIN SOLUTION
    seen = np.asarray(seen, dtype=float)
    rates = np.broadcast_to(np.asarray(rate, dtype=float), len(seen))
    u, play = np.zeros(seen.shape[1]), np.zeros(seen.shape[1])
    for observed, a in zip(seen, rates, strict=True):
        p = np.exp(u - u.max())
        p /= p.sum()
        play += a * p
        u += a * (observed - p)
    return u / rates.sum(), play / rates.sum()
    ### END SOLUTION


# %% tags=["example"]
seen = observations(60, 8, seed=0)
gain, play = identity(seen, 0.5)
print((gain + play).round(3), seen.mean(0).round(3), sep="\n")

# %% tags=["tests"] points=2
gain, play = identity(np.array([[1.0, 0.0]]), 0.5)
assert np.allclose(play, [0.5, 0.5]), f"at step one all utilities are 0; play {play}"
assert np.allclose(gain, [0.5, -0.5]), f"one step, P = 1/2: expected 1/2, -1/2, got {gain}"
for seed in range(3):
    seen = observations(60, 8, seed)
    gain, play = identity(seen, 0.5)
    error = np.abs(gain + play - seen.mean(0)).max()
    assert error < 1e-10, f"the terms miss the frequencies by {error:.2g}"
### BEGIN HIDDEN TESTS
gain, play = identity(np.array([[1.0, 0.0], [1.0, 0.0]]), 2.0)
second = 1 / (1 + np.exp(-2.0))  # utilities 1 and -1 after one step
assert abs(play[0] - (0.5 + second) / 2) < 1e-9, f"two steps of rate 2: play {play}"
assert abs(gain.sum()) < 1e-12 and abs(play.sum() - 1) < 1e-12, "gains sum to 0 and play sums to 1"
### END HIDDEN TESTS

# %% tags=["tests"] points=2
falling = 1 / np.sqrt(np.arange(1, 61))
gain, play = identity(seen, falling)
assert abs(play.sum() - 1) < 1e-9, f"an average of play sums to 1, not {play.sum():.3f}"
assert np.abs(gain).max() <= 1, "the gain is divided by the sum of the rates"
### BEGIN HIDDEN TESTS
for seed in range(3):
    seen = observations(60, 8, seed + 10)
    for rates in (falling, falling[::-1], np.full(60, 0.3)):
        gain, play = identity(seen, rates)
        error = np.abs(gain + play - rates @ seen / rates.sum()).max()
        assert error < 1e-9, (
            f"rates that change: off by {error:.2g} from the average of the "
            "observations in which each step weighs as much as its rate"
        )
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: averages the play evenly whatever the rates are, so that (3) holds for a constant rate only.
def identity(seen, rate):
    rates = np.broadcast_to(rate, len(seen))
    u, play = np.zeros(seen.shape[1]), np.zeros(seen.shape[1])
    for observed, a in zip(seen, rates, strict=True):
        p = np.exp(u) / np.exp(u).sum()
        play += p / len(seen)
        u = u + a * (observed - p)
    return u / rates.sum(), play


# %% tags=["wrong"]
# Wrong: records the play after the step instead of before it, so that the last play counts and the first does not.
def identity(seen, rate):
    rates = np.broadcast_to(rate, len(seen))
    u, play = np.zeros(seen.shape[1]), np.zeros(seen.shape[1])
    for observed, a in zip(seen, rates, strict=True):
        u = u + a * (observed - np.exp(u) / np.exp(u).sum())
        play += a * np.exp(u) / np.exp(u).sum()
    return u / rates.sum(), play / rates.sum()


# %% [markdown] tags=["open"]
# - The transform is strictly increasing, is fitted on decisions that are then not used to judge it, and the power is fitted on the same ones. (1 point)
# - It is shown, not only said, that the preferred output cannot change: the largest utility at each prefix stays the largest, and greedy decoding looks at nothing else. (1 point)
# - Both are compared on fresh sentences with the network as the unit, over several networks, and the same is done for the truth, whose gain is subtracted. (1 point)
# - It is named what the comparison holds equal, since the steepest transform always wins: entropy or variety of the samples, or the gain at MBR. (1 point)
#
# Typical mistakes: an isotonic regression with flat stretches, which makes ties and so loses the order; utilities of different prefixes compared although their zeros are arbitrary; success that is greedy decoding in disguise.
