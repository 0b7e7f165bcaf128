# ---
# jupyter:
#   seedbook:
#     short: 1
#     coding: 2
#     open: 3
#     uses: [setup, method]
# ---

# %% [markdown] tags=["guide"]
# ## The point
#
# A random pick among many answers is a low bar, and a critic that clears it may still add nothing to what the same model says at temperature zero or by its own probabilities. Where every bug is known the critic passes these rivals too; in the published table, thirteen contracts, only the low bar can be seen to be
# cleared. A comparison needs its cheap rivals and enough units before it is a result.
#
# ## Where students stumble
#
# - Thirty-nine trials are not 39 units. Most rows of the table are all hits or none; the three trials of a contract say nearly the same thing. The contract is the unit, and there are thirteen.
# - *Inconclusive* is not *does not work*. x7 simulates studies of this size where the effect of a second auditor is known to be there, and they hardly ever find it.
# - The oracle is no method. It says that the truth was in the pile, and nobody hands the user the right one.
# - *"The critic beats a random pick, so it knows something that the auditor does not."* Own ranking uses no critic and beats a random pick as well. What a critic adds is measured from there.
# - "At least one hit in three trials" rewards scatter: greedy decoding gives one answer three times, a sampled answer has three chances (x4).
# - A second, unlabelled bug is real, and naming it counts as wrong. Part of what looks like an error of the critic is an error of the label.
#
# ## The discussion
#
# *If own ranking came close.* Then the second stage would have bought what the auditor's probabilities hold already: nothing for someone who has them, a substitute for someone who, as with many services, gets text only. It would be a way of decoding and not a second opinion.
#
# *Contracts without a bug.* How often a sound contract is accused, at a threshold of the critic's score that is fixed beforehand; from this and the share of faulty contracts, how many accusations are right. Thirteen contracts that all have a bug say nothing on it, and a method that always accuses loses nothing there.
#
# *Two weeks later.* Three trials in one session measure the noise of sampling. That the served model moves from week to week is a second source of variation, which all three trials share, so that no interval made from them contains it. One would repeat the protocol on several dates and take the date as a unit.
# What remains open: how large it is for today's services.
#
# *The questions of the coding exercise.* The critic's lead over own ranking is a hump: small where the auditor hardly gets the truth into the set, largest at a middling competence, and small again where own ranking has become nearly as good and the critic runs into its ceiling. Models differ by about as much as
# the hump is high, so ask for intervals. From above: label and second bug are drawn by the same law, so nothing in a contract tells which of the two was labelled, and *no* rule that names one answer, critic or auditor, is right more often than $1-\tfrac12\cdot\tfrac12=\tfrac34$
# when `p_latent` is one half; besides, the critic never passes its oracle.
#
# ## On the board
#
# 1. The table row by row: how many rows are 0 or 3 in column A? Then the eight contracts in which critic and random pick differ, all with the same sign: $p=2/2^8$.
# 2. Set $D$ as a bag. Four rules that take one answer out of it (random, own ranking, critic, oracle), and greedy, which needs no bag.
# 3. Equation (2) as an urn of three colours: preferred to the truth, the truth, the rest. No draw of the first colour, at least one of the second. Let $k$ grow.
# 4. Two lists, *what three trials average out* and *what they share*.
#
# ## Time
#
# Seventy minutes: ten of bets, twenty-five of board, twenty of discussion, fifteen on what to buy as a user. The short exercise takes 10 minutes, the coding one 40 and four runs of the chapter, the open one an afternoon. The chapter's `quick` run takes about a minute.

# %% [markdown] tags=["short"]
# The columns add up to 12, 7, 18, 25, 23 and 29. The first is printed as 13; the others are right. A single answer so has 30.8 % of the trials and not 33.3 % (1 point).
#
# No verdict changes. The chapter's tests work on the rows and never use the totals; the headline difference is $23-12=11$ trials, 28 points in place of 26. And if it was a row that lost a hit: put it back into any contract that has room, and the $p$ of c1, c2 and c4, the contrasts with column A, move, but all stay
# inconclusive after Holm's correction (1 point).

# %% [markdown] tags=["task"]
# What is checked is one function, `rates`, which gives the five rates of the exercise for any auditor and critic whose laws are known: no training is needed for it. `log_softmax`, `answers` and `choose` of the chapter may help; exact sums over all sets of answers are as good as draws. Greedy and own ranking do not depend
# on the temperature except through the set that own ranking chooses from.
#
# For the plot run the chapter four times with `train_steps` at 60, 120, 240 and 480 (a minute or two each; `n_seeds` at 3 is enough) and take the columns `G`, `A`, `S1`, `C1` and `O1` of the frame `models`: greedy, single answer, own ranking, critic and oracle. Answer the two questions in words, in a cell of your own.


# %% tags=["solution"]
def rates(logits, score, truth, t, m, draws, rng):
    """How often each rule names the truth, averaged over contracts.

    Parameters
    ----------
    logits : numpy.ndarray
        The auditor's, (contracts, pairs); its law at temperature t is their softmax over t.
    score : numpy.ndarray
        The critic's, (contracts, pairs).
    truth : numpy.ndarray
        The right pair of each contract, (contracts,).
    t : float
    m : int
        Distinct answers of the auditor, drawn one after the other from its law at t.
    draws : int
        Sets of answers drawn for each contract, where rates are not computed exactly.
    rng : numpy.random.Generator

    Returns
    -------
    dict of str to float
        ``single`` (one answer at t), ``greedy`` (the one of temperature zero), and of the m
        answers: ``own`` (most probable to the auditor), ``critic`` (best scored), ``oracle``.
    """
    ### BEGIN SOLUTION
    log_q, at = log_softmax(logits / t, axis=-1), np.arange(len(truth))
    noisy = log_q + rng.gumbel(size=(draws, *log_q.shape))
    mask = noisy >= np.partition(noisy, -m, axis=-1)[..., [-m]]
    return {
        "single": np.exp(log_q)[at, truth].mean(),
        "greedy": (logits.argmax(-1) == truth).mean(),
        "own": (choose(mask, logits) == truth).mean(),
        "critic": (choose(mask, score) == truth).mean(),
        "oracle": mask[:, at, truth].mean(),
    }
    ### END SOLUTION


# %% tags=["example"]
logits, score = np.log([[0.5, 0.3, 0.2]]), np.array([[0.0, 2.0, 1.0]])
print(rates(logits, score, np.array([1]), 1.0, 2, 4000, np.random.default_rng(0)))

# %% tags=["tests"] points=2
logits, score = np.log([[0.5, 0.3, 0.2]]), np.array([[0.0, 2.0, 1.0]])
found = rates(logits, score, np.array([1]), 1.0, 1, 20_000, np.random.default_rng(1))
assert set(found) == {"single", "greedy", "own", "critic", "oracle"}, f"the keys are {set(found)}"
assert found["greedy"] == 0, "the likeliest pair is not the truth"
for name in ("single", "own", "critic", "oracle"):
    assert abs(found[name] - 0.3) < 0.02, f"{name}: one answer is right with 0.3, not {found[name]}"
found = rates(logits, score, np.array([0]), 1.0, 1, 20_000, np.random.default_rng(2))
assert found["greedy"] == 1 and abs(found["critic"] - 0.5) < 0.02, found

# %% tags=["tests"] points=2
found = rates(logits, score, np.array([1]), 1.0, 2, 20_000, np.random.default_rng(3))
assert found["own"] < found["critic"], "here own ranking prefers a wrong pair to the truth"
### BEGIN HIDDEN TESTS
q = np.array([0.5, 0.3, 0.2])
pairs = {(a, b): q[a] * q[b] / (1 - q[a]) for a in range(3) for b in range(3) if a != b}


def near(name, got, wanted):
    assert abs(got - wanted) < 0.02, f"{name}: expected {wanted:.3f}, got {got:.3f}"


near("oracle of two", found["oracle"], sum(p for d, p in pairs.items() if 1 in d))
near("critic of two", found["critic"], sum(p for d, p in pairs.items() if 1 in d))
near("own ranking of two", found["own"], sum(p for d, p in pairs.items() if 0 not in d))
found = rates(logits, -score, np.array([1]), 1.0, 2, 20_000, np.random.default_rng(4))
near("critic that prefers the truth last", found["critic"], 0)
found = rates(logits, score, np.array([1]), 1.0, 3, 200, np.random.default_rng(5))
near("oracle of all three, which are distinct", found["oracle"], 1)
near("own ranking of all three: the greedy answer", found["own"], 0)
found = rates(logits + 7, score, np.array([1]), 0.5, 1, 20_000, np.random.default_rng(6))
near("single answer at temperature 0.5", found["single"], 0.09 / (q**2).sum())
near("oracle of one at temperature 0.5", found["oracle"], 0.09 / (q**2).sum())
both = np.concatenate([logits, logits[:, ::-1]]), np.concatenate([score, score])
found = rates(*both, np.array([0, 0]), 1.0, 1, 20_000, np.random.default_rng(7))
near("single answer, mean of two contracts", found["single"], 0.35)
near("greedy, mean of two contracts", found["greedy"], 0.5)
near("critic, mean of two contracts", found["critic"], 0.35)
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: draws the answers independently, so that they repeat and the set is smaller than m.
def rates(logits, score, truth, t, m, draws, rng):
    log_q, at = log_softmax(logits / t, axis=-1), np.arange(len(truth))
    mask = np.zeros((draws, *log_q.shape), bool)
    for _ in range(m):
        answer = (log_q + rng.gumbel(size=mask.shape)).argmax(-1)
        mask |= answer[..., None] == np.arange(log_q.shape[1])
    return {
        "single": np.exp(log_q)[at, truth].mean(),
        "greedy": (logits.argmax(-1) == truth).mean(),
        "own": (choose(mask, logits) == truth).mean(),
        "critic": (choose(mask, score) == truth).mean(),
        "oracle": mask[:, at, truth].mean(),
    }


# %% tags=["wrong"]
# Wrong: lets critic and own ranking choose among all pairs and not among the answers that were given.
def rates(logits, score, truth, t, m, draws, rng):
    log_q, at = log_softmax(logits / t, axis=-1), np.arange(len(truth))
    noisy = log_q + rng.gumbel(size=(draws, *log_q.shape))
    mask = noisy >= np.partition(noisy, -m, axis=-1)[..., [-m]]
    return {
        "single": np.exp(log_q)[at, truth].mean(),
        "greedy": (logits.argmax(-1) == truth).mean(),
        "own": (logits.argmax(-1) == truth).mean(),
        "critic": (score.argmax(-1) == truth).mean(),
        "oracle": mask[:, at, truth].mean(),
    }


# %% [markdown] tags=["open"]
# - "Worse" is measured on the same sets of answers, against one over the size of the set, with the model as the unit. (1 point)
# - A prediction comes first: with a positive share of the auditor's log probability the pick moves towards own ranking, which for a competent auditor is *better* than random; with a negative share it prefers what the auditor thinks unlikely, and falls below. (1 point)
# - The share is swept over both signs, with a critic that has read another contract as control, which must stay at the random pick. (1 point)
# - The correlation is measured where it matters, within the set: of the score with being right, and of the critic's errors with the auditor's; it is shown against the loss. It is said what a positive correlation of errors would need in order to do harm: favourites that are mostly wrong. (1 point)
#
# Typical mistakes: noise instead of correlation, which leads to a random pick and never below; correlations over all pairs, most of which no auditor ever names.
