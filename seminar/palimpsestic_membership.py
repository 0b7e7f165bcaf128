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
# The order of the training data is the work of dice that only Alice threw, so a trace of it in Bob's model cannot be explained by his having read the same texts. The test is exact for that reason alone: whatever Bob's model is, under the null every order is equally likely. It stands and falls with the shuffle; where
# the order was a property of the texts, it accuses everybody.
#
# ## Where students stumble
#
# - The null is not "Bob has not seen these texts". He may have trained on all of them; the null is that what he has is independent of their *order*.
# - *"So small a $p$ is strong evidence that he copied."* It is evidence that the order is in his model. By which way it came there, weights or something else made from Alice's model, is another question (Exercise 3).
# - The reference $\mu_0$ takes out what makes texts hard, and may be any model that does not depend on Alice's order. An earlier checkpoint of hers does. An untrained network does not, and is of no use: see the second number of c2.
# - With 19 reshuffles no text, however long, gives less than 1/20. Power and smallest $p$ are two things.
# - In (3) the optimiser's state is restored with the weights. Otherwise Alice's own model is told apart by how it was made, and $p$ is small for all texts.
# - The p values of "another Alice's" transcript share orders and a reference; twenty of them are not twenty independent numbers. The wide band in the figure is theirs.
# - c4 is contradicted here. The text gives a likely reason, scale, and says that the chapter does not test it.
#
# ## The discussion
#
# *Immune to the same data.* The defence explains why Bob's model likes the texts, all of them. It does not explain why it likes those more that happened to come late in a permutation drawn by somebody else. Permuting the places holds everything about the texts fixed, so whatever the texts explain is in the null already.
#
# *Depositing transcripts.* For: the order must have been fixed before there was anybody to accuse, or it could be chosen to fit; a hash, published with the model and dated, shows this without giving the data away. Against: it binds only the honest, it costs, and it proves that an order was fixed and not that it
# was random. A seed thrown in public would. Whether makers *should* is no matter of statistics.
#
# *Shards.* If texts were shuffled within shards only, and the order of the shards means something (date, source, difficulty), then only permutations within each shard are allowed: rank within the shard, correlate, and add up over shards. Lost is the contrast between early and late shards, which for long training is the
# larger part of the trace, since late texts stand out. If the shards themselves were put in random order, whole shards may be permuted too. The usual test would accuse the innocent, as under the curriculum of x1.
#
# *The question of the coding exercise.* In the middle of the scale the two agree. They part where $p$ is small: the permutation $p$ ends at $1/(\text{draws}+1)$, and scipy's goes on by a $t$ distribution, an approximation that is good for many untied values and unchecked far out in the tail. A judge gets the first,
# which is exact at any number of draws, with its floor named; to say $10^{-8}$ in this way takes $10^8$ draws, and permuting numbers is cheap, unlike the retraining of Exercise 1.
#
# ## On the board
#
# 1. Two columns, *text* and *place*. Cross out the second and deal it anew: what has changed for an innocent model? Nothing; that is the proof.
# 2. The trace as a curve over the place, rising at the end. Where does fine-tuning press it down?
# 3. Rank of Alice's model among $S+1$ that are exchangeable: $p=(1+\#)/(S+1)$, and why the 1 must be there.
# 4. Sorted by difficulty: draw likelihood against place for an innocent model. The correlation is there without any dice.
#
# ## Time
#
# Seventy-five minutes: ten of bets, twenty-five of board, twenty-five of discussion, fifteen on the figure of calibration. The short exercise takes 10 minutes, the coding one 30, the open one a day with training. The chapter's `quick` run takes one to two minutes.

# %% [markdown] tags=["short"]
# The smallest is $1/(S+1)=1/20=0.05$. For $p<10^{-3}$ one needs $S+1>1000$, so 1000 reshuffles (999 give $10^{-3}$ exactly) (1 point).
#
# Each costs the tail of the training, here one twentieth: a thousand are fifty whole trainings. For $10^{-8}$ it takes about $10^8$ reshuffles, five million trainings. Nobody gets there by ranks; the query setting permutes numbers and not trainings, and a smaller $p$ from few reshuffles needs an assumption about
# the shape of the distribution of $\ell$ (1 point).

# %% [markdown] tags=["task"]
# The test is one-sided, against a correlation above nought, and Spearman's: ranks, with mean ranks for ties (`rankdata`). It counts the permutation that was observed among all, so that $p$ is never nought, and permutations that do exactly as well count against Alice. Rank once, and permute the ranks; a table of all permutations and one
# matrix product will do.

# %% tags=["given"]
import numpy as np
from scipy.stats import rankdata, spearmanr


def scipy_p(score, place):
    """The p of scipy for the same question, by a t distribution."""
    return spearmanr(score, place, alternative="greater").pvalue


# %% tags=["solution"]
def perm_pvalue(score, place, draws, rng):
    """One-sided permutation p of Spearman's rank correlation.

    Parameters
    ----------
    score, place : array_like
        Of each example, (n,); there may be ties.
    draws : int
        Random permutations.
    rng : numpy.random.Generator

    Returns
    -------
    float
        At least 1 / (draws + 1).
    """
    ### BEGIN SOLUTION
    a, b = (rankdata(x) - (len(x) + 1) / 2 for x in (score, place))
    permuted = rng.permuted(np.tile(b, (draws, 1)), axis=1)
    # the norms are the same for all permutations, so products stand for correlations
    return float((1 + (permuted @ a >= a @ b - 1e-9).sum()) / (draws + 1))
    ### END SOLUTION


# %% tags=["example"]
rng = np.random.default_rng(0)
place = rng.permutation(100)
for slope in (0, 0.2, 1):
    score = rng.normal(size=100) + slope * place / 29
    print(slope, perm_pvalue(score, place, 999, rng), scipy_p(score, place))

# %% tags=["tests"] points=2
for seed in range(5):
    rng = np.random.default_rng(seed)
    place = rng.permutation(60)
    score = rng.normal(size=60) + 0.005 * seed * place
    p, about = perm_pvalue(score, place, 3000, rng), scipy_p(score, place)
    assert abs(p - about) < 0.05, f"expected about {about:.3f}, got {p:.3f}"
p = perm_pvalue(np.arange(40.0), np.arange(40), 99, np.random.default_rng(0))
assert p < 0.05, f"a perfect correlation has a small p, not {p}"

# %% tags=["tests"] points=2
rng = np.random.default_rng(1)
p = perm_pvalue(-np.arange(40.0), np.arange(40), 199, rng)
assert p > 0.95, f"one-sided: a falling score speaks for nobody, but p is {p}"
### BEGIN HIDDEN TESTS
p = perm_pvalue(np.arange(40.0), np.arange(40), 199, rng)
assert abs(p - 1 / 200) < 1e-12, f"the observed order is one of 200: expected 1/200, got {p}"
p = perm_pvalue([0, 0, 0, 1], [1, 2, 3, 4], 4000, rng)
assert abs(p - 0.25) < 0.04, f"one order in four does as well as this: expected 0.25, got {p:.3f}"
p = perm_pvalue([0, 1], [0, 1], 2000, rng)
assert abs(p - 0.5) < 0.06, f"of two orders one is as good: expected 0.5, got {p:.3f}"
p = perm_pvalue([1, 2, 3, 1000], [1, 2, 4, 3], 4000, rng)
assert abs(p - 4 / 24) < 0.04, f"ranks, not values: expected {4 / 24:.3f}, got {p:.3f}"
score, place = rng.normal(size=30), rng.permutation(30)
copies = score.copy(), place.copy()
ps = [perm_pvalue(score, place, 400, np.random.default_rng(s)) for s in (3, 3)]
assert ps[0] == ps[1], "the same generator must give the same p: draw from `rng` only"
assert all(map(np.array_equal, copies, (score, place))), "what was given has been changed"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: the share of permutations that do better; it can be nought, and ties count for Alice.
def perm_pvalue(score, place, draws, rng):
    a, b = rankdata(score), rankdata(place)
    a, b = a - a.mean(), b - b.mean()
    permuted = rng.permuted(np.tile(b, (draws, 1)), axis=1)
    return float((permuted @ a > a @ b + 1e-9).mean())


# %% tags=["wrong"]
# Wrong: correlates the values instead of their ranks, so that one outlier decides.
def perm_pvalue(score, place, draws, rng):
    a, b = np.array(score, float), np.array(place, float)
    a, b = a - a.mean(), b - b.mean()
    permuted = rng.permuted(np.tile(b, (draws, 1)), axis=1)
    return float((1 + (permuted @ a >= a @ b - 1e-9).sum()) / (draws + 1))


# %% [markdown] tags=["open"]
# - A prediction with a reason comes before the experiment: what a text can carry of an order, how much text, and whether the trace should be weaker than after fine-tuning. (1 point)
# - The new model has weights and an order of its own, and the number of its texts is varied; test, reference and level are those of (1) and fixed beforehand. (1 point)
# - The null goes the same way: a model trained on texts that *another* Alice wrote, who read the same documents in another order. Transcripts that nobody used are the weaker control. (1 point)
# - The unit is the Alice, several of them, and a null result comes with the correlation that could have been seen; the copied model is run beside it as a positive control. (1 point)
#
# Typical mistakes: a fresh model trained on Alice's *documents* as control, which changes two things at once; one Alice and many texts taken for many units; no trace found, and no word on what the test could have found.
