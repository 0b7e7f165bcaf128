# ---
# jupyter:
#   seedbook:
#     short: 1
#     coding: 2
#     open: 5
#     uses: []
# ---

# %% [markdown] tags=["guide"]
# ## The point
#
# A finding in a network is a statistic, and a statistic needs a comparison. Guessing is the wrong one: a network with random weights is a function of its input and passes on what the input tells, so that
# textbook tests find concepts in networks which learned nothing. A null of random networks, put through the whole procedure with its search, answers the question that was asked: was this *learned*?
#
# ## Where students stumble
#
# - *"So the naive test is broken."* It is not. For coin flips the probe errs as often as it promised. It rejects independence of features and label, and where the label leaks, independence is false. The error is in the sentence written after the test.
# - *Search and leakage are taken for one thing.* Search makes a test reject what is true; leakage makes it reject, rightly, something that nobody cared about. Bonferroni helps with the first alone.
# - *"The calibrated test errs in about 5 %: a result!"* It is a theorem. That the measured rate agrees shows only that the code treats the salmon and its nulls alike; x2 shows what happens when it does not.
# - *Too few nulls.* Set `n_null` to 18 in your head: $p\ge1/19>0.05$, the error rate is 0 and so is the power. A test that never rejects has a perfect record.
# - *Counting networks.* Networks that are examined on one set of documents share its accidents, so the unit is the world. Two hundred networks in one world are closer to one observation than to two hundred.
#
# ## The discussion
#
# *A rival for seven billion weights?* A necessary one: what a random twin also shows was not learned. But it is a weak opponent, since almost everything about a pretrained model beats it, and beating it says nothing of what is used (that takes interventions). Nulls nearer to the model, such as
# the open exercise asks for, answer narrower questions. Which null suffices for which claim is open, and so is who pays for nineteen pretrained models.
#
# *Two circuits, one network.* Neither, as far as the criterion sees: both give the right sign on all four inputs when removed edges carry zero. Other criteria may part them (removed edges carry their mean, other inputs, the size of the output and not its sign). If nothing parts them, the honest answer is the
# whole set of minimal circuits. Whether a mechanism must be unique to be one is a question for philosophers, and worth five minutes.
#
# *A referee.* How many places were searched; the same pipeline on random networks, search and training of dictionaries included; the size of the effect against that null and not only a $p$; a positive control, since a method that finds nothing also errs never; several seeds of the examined network; whether another explanation
# does as well.
#
# ## On the board
#
# 1. $K+1$ fish in a row, one of them ours. Rank them by score. If ours is no different in kind, every rank has probability $1/(K+1)$; write $p=\dfrac{1+\#\{k:T(f_k)\ge T(f)\}}{K+1}$ under it.
# 2. Ask what the argument needs: that the row can be shuffled. Nothing about $T$, nothing about normality. Cross out one search on one side and the row can no longer be shuffled.
# 3. A table. Rows *search* and *leakage*; columns *what it is*, *shuffled labels see it?*, *Bonferroni cures it?*, *random nulls cure it?* Search: yes, yes, yes. Leakage: no, no, yes.
# 4. Point at the row of leakage: the two usual remedies leave it alone, and only a null that leaks as well removes it.
#
# ## Time
#
# For 60 minutes: ten of bets, twenty of board, twenty of discussion, ten of the verdicts on the page (x1, x2 and the inconclusive x4). The short exercise takes 10 minutes, the coding one 20, the open one an afternoon to propose and a day to run. The chapter's `quick` run takes about a minute and a half.

# %% [markdown] tags=["short"]
# Bonferroni multiplies $p$ by the number $m$ of places searched. It removes *search*: the best of $m$ features judged as if it were the only one. The word probe searches nothing, there is one probe, so $m=1$ and nothing changes (1 point).
#
# The cause is *leakage*: the activations of a random network are a function of its input, the input tells the label, and so the hypothesis that is tested, "features and label are independent", is false. Rejecting it is no error that a correction could remove; only "hence it was learned" is wrong. Even with a large factor, $m\,p$ falls exponentially with
# the number of documents: $|r|=0.19$ gives $p\approx2\cdot10^{-5}$ with 500 documents and $1.4\cdot10^{-9}$ with 1000, which a factor of 128 does not mend (1 point).

# %% [markdown] tags=["task"]
# Write `rank_p` for one score and an array of `K` scores of nulls, by counting and without a function made for the purpose. Look at the formula of the chapter once more before you decide what to do with ties: accuracies on a few documents are often equal.

# %% tags=["given"]
import numpy as np


# %% tags=["solution"]
def rank_p(value, nulls):
    """p of a score among the scores of nulls.

    Parameters
    ----------
    value : float
        Score of the examined network; large is interesting.
    nulls : numpy.ndarray, (K,)
        Scores of K networks of the null, got by the same procedure.

    Returns
    -------
    float
        Between 1 / (K + 1) and 1.
    """
    ### BEGIN SOLUTION
    return (1 + np.sum(nulls >= value)) / (len(nulls) + 1)
    ### END SOLUTION


# %% tags=["example"]
print(rank_p(0.61, np.array([0.58, 0.63, 0.6, 0.55])))

# %% tags=["tests"] points=2
for K in (1, 18, 19, 99):
    row = np.arange(K) / K
    p = rank_p(2.0, row)
    assert abs(p - 1 / (K + 1)) < 1e-12, f"{K} nulls, all beaten: p = {p}, not 1/{K + 1}"
    p = rank_p(-1.0, row)
    assert abs(p - 1) < 1e-12, f"{K} nulls, none beaten: p = {p}, not 1"

# %% tags=["tests"] points=2
# Twenty scores of one law: each of them in turn is the value and the others are its nulls.
scores = np.random.default_rng(1).normal(size=20)
p = sorted(rank_p(scores[i], np.delete(scores, i)) for i in range(20))
assert np.allclose(p, np.arange(1, 21) / 20), f"not 1/20, 2/20, ..., 1: {np.round(p, 3)}"
### BEGIN HIDDEN TESTS
p = rank_p(0.5, np.array([0.4, 0.5, 0.5, 0.6]))
assert abs(p - 0.8) < 1e-12, f"two of four nulls tie and one is above: p = {p}, not 4/5"
accuracies = np.random.default_rng(2).binomial(20, 0.5, (2000, 20)) / 20
rate = np.mean([rank_p(row[0], row[1:]) <= 0.05 + 1e-9 for row in accuracies])
assert rate < 0.06, f"with ties the test errs in {rate:.3f} of the cases at level 0.05"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: counts only nulls that are strictly better, so that ties count for the finding.
def rank_p(value, nulls):
    return (1 + np.sum(nulls > value)) / (len(nulls) + 1)


# %% tags=["wrong"]
# Wrong: the share of nulls that do as well, kept from 0 by hand; the value itself is not counted.
def rank_p(value, nulls):
    return max(np.mean(nulls >= value), 1 / (len(nulls) + 1))


# %% [markdown] tags=["open"]
# - At least two nulls are described so exactly that somebody else could build them: what is kept, what is drawn anew, what is trained and on what. (1 point)
# - For each it is said which hypothesis it stands for and which sentence one may write when it is beaten, for instance "more than what the embeddings alone carry" or "more than what training on the frequencies of words gives". (1 point)
# - Exchangeability is looked after: the whole procedure runs on each null, with its search and with the same amount of training where the null is trained, and there are at least 19 of them. (1 point)
# - There is a case where the null must not be beaten and one where it must, such as the lexical label and the order label for networks trained on shuffled words. (1 point)
#
# Typical mistakes: the trained network itself with shuffled activations, which is the control of shuffled labels once more; a null that differs in two respects, so that a finding cannot be placed; a null chosen after the scores were seen.
