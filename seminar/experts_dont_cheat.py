# ---
# jupyter:
#   seedbook:
#     short: 1
#     coding: 2
#     open: 4
#     uses: []
# ---

# %% [markdown] tags=["guide"]
# ## The point
#
# From single answers nobody can tell a fair coin from an unknown one. From two answers that are independent given the world one can: to whoever knows the coin the first throw says nothing about the second. What a model gains by peeking at the first answer is, for calibrated pairs, exactly its expected squared error.
# It rests on a premise that no training loss can check.
#
# ## Where students stumble
#
# - *"The two answers are independent, so the table factorises."* They are independent given the world. To a model that does not know which world it is in they go together, and that tie is the whole information.
# - *Uncertain is taken for ignorant.* Where nothing is hidden, $\hat p$ may be one half and $V$ nought. The chapter's first groups are such experts on a noisy matter.
# - *"A larger ensemble would see it."* Its members err alike: they all learn the mean over what is hidden. c1 compares with three of them, but thirty would agree as well.
# - *Calibrated is taken for good.* The blind model errs more and reports more (x2). What must not be too weak is the model of pairs: a mixture with one part reports nothing.
# - *"One repeated pair in ten cannot matter."* A share $f$ of repeats reports $(1-f)V+f\,\hat p(1-\hat p)$. A quarter too much is reached at $f=0.25\,V/(\hat p(1-\hat p)-V)$: little, where chance is large and ignorance small.
#
# ## The discussion
#
# *Independent pairs.* Two annotators who do not confer, two forks of one simulation from the same state, two readings by instruments with faults of their own. They are secretly dependent when one annotator counts twice, when both follow a guideline that decides the doubtful cases, when both answers come from one earlier model, and with near-duplicates
# in the data: then chance is reported as ignorance. The opposite fault, a second answer from a state that looks alike and is another one, hides ignorance. Neither shows in the loss; one must know how the pairs were made.
#
# *Where no answer is impossible.* (4) then says nothing, since there are no false answers in its sense. $C$ keeps a meaning: from (2), $1/C=1+V/\hat p^2$, so it tells how much $p$ varies over the group, relative to its mean. A bound for answers that are unlikely and wrong needs a definition of wrong first; for free text that is open.
#
# *Ensembles.* The members differ in initial weights and order of data, not in what they see. With enough data all of them tend to $\mathbb E[p\mid\Phi]$, and their disagreement to nought, whatever the group hides. They measure what training left to chance, which is worth knowing and is another thing.
#
# ## On the board
#
# 1. Two coins, 0.9 and 0.1, or one fair coin. First answers: the same. Two tables of pairs, $\begin{pmatrix}0.41&0.09\\0.09&0.41\end{pmatrix}$ and $0.25$ everywhere. Ask which table an expert has.
# 2. (1) less the product of its margins: the covariance of $p$ over the group. Its diagonal is $V$, and $\mathbb E(\hat p-p)^2=V$ in one line, since $\hat p$ is the mean of $p$.
# 3. Chebyshev on the left, Cauchy and Schwarz on the right: (3) and (4). Why does a rare but true way of putting it keep $C$ near 1?
# 4. Spoil the pairs. Repeated: the table is diagonal, $V=\hat p(1-\hat p)$. Unrelated: the table factorises, $V=0$. The first answers are untouched, so no loss on them shows it.
#
# ## Time
#
# For 75 minutes: ten of bets, thirty of board, twenty of discussion, fifteen of the verdicts on the page (x4 and x5 say where the promise ends). The short exercise takes 10 minutes, the coding one 20, the open one a day. The chapter's `quick` run takes about a minute.

# %% [markdown] tags=["short"]
# $\hat p(1)=\tfrac12(0.9+0.1)=0.5$ and $\hat p(1,1)=\tfrac12(0.81+0.01)=0.41$, so $\hat p(1\mid1)=0.41/0.5=0.82$, $V=0.5\cdot(0.82-0.5)=0.16$ and $C=0.5/0.82\approx0.61$. ($\sqrt V=0.4$ is half the distance of the two worlds, as it must be.) (1 point)
#
# With one world $\hat p(1)$ stays 0.5. The other three change: $\hat p(1\mid1)=0.5$, $V=0$, $C=1$. From first answers alone the two cases cannot be told apart (1 point).

# %% [markdown] tags=["task"]
# Call the function `variance_confidence`; it returns $V$ and $C$ of equations (2) and (4) as two arrays. The checks named in the wording are yours to make under the example. What is tested are tables whose answer is known: exercise 1, independent pairs, and worlds in which the variance of $p$ can be computed directly.

# %% tags=["given"]
import numpy as np


def pair_table(worlds, weights):
    """Table of pairs of a calibrated model, equation (1).

    Parameters
    ----------
    worlds : numpy.ndarray, (worlds, answers)
        p(y) in each world that the model cannot tell apart.
    weights : numpy.ndarray, (worlds,)
        Probability of each.
    """
    return np.einsum("w,wa,wb->ab", weights, worlds, worlds)


# %% tags=["solution"]
def variance_confidence(table):
    """Reported variance and confidence of every answer.

    Parameters
    ----------
    table : numpy.ndarray, (answers, answers)
        Law of two answers: symmetric, its sum 1.

    Returns
    -------
    V, C : numpy.ndarray, (answers,)
        Neither is clipped: where two answers shun each other V is negative and C above 1.
        C is 0 for an answer that never comes.
    """
    ### BEGIN SOLUTION
    p, same = table.sum(1), table.diagonal()
    confidence = np.zeros(len(p))
    confidence[same > 0] = p[same > 0] ** 2 / same[same > 0]
    return same - p**2, confidence
    ### END SOLUTION


# %% tags=["example"]
print(variance_confidence(pair_table(np.array([[0.1, 0.9], [0.9, 0.1]]), np.array([0.5, 0.5]))))

# %% tags=["tests"] points=2
V, C = variance_confidence(np.array([[0.41, 0.09], [0.09, 0.41]]))
assert np.allclose(V, 0.16), f"exercise 1: V = {V}, not 0.16"
assert np.allclose(C, 0.5 / 0.82), f"exercise 1: C = {C}, not {0.5 / 0.82:.4f}"
p = np.array([0.5, 0.3, 0.2])
V, C = variance_confidence(np.outer(p, p))
assert np.allclose(V, 0), f"independent pairs: V = {V}, not 0"
assert np.allclose(C, 1), f"independent pairs: C = {C}, not 1"

# %% tags=["tests"] points=2
rng = np.random.default_rng(1)
worlds, weights = rng.dirichlet(np.ones(5), 4), rng.dirichlet(np.ones(4))
V, C = variance_confidence(pair_table(worlds, weights))
wanted = weights @ (worlds - weights @ worlds) ** 2
assert np.allclose(V, wanted), f"V = {V}, but p varies over the worlds by {wanted}"
### BEGIN HIDDEN TESTS
for _ in range(50):
    possible = rng.random((4, 6)) < 0.5
    possible[:, 0], possible[:, 5] = True, False
    worlds = rng.gamma(1, size=(4, 6)) * possible
    worlds /= worlds.sum(1, keepdims=True)
    weights = rng.dirichlet(np.ones(4))
    V, C = variance_confidence(pair_table(worlds, weights))
    assert np.allclose(V, weights @ (worlds - weights @ worlds) ** 2), f"V = {V}"
    assert C[5] == 0, f"C of an answer that never comes is {C[5]}, not 0"
    assert (C <= weights @ possible + 1e-9).all(), f"C = {C} exceeds the share where possible"
V, C = variance_confidence(np.array([[0.1, 0.3], [0.3, 0.3]]))
assert np.allclose(V, [-0.06, -0.06]), f"answers that shun each other: V = {V}, not -0.06"
assert np.allclose(C, [1.6, 1.2]), f"answers that shun each other: C = {C}, not 1.6 and 1.2"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: divides by the probability of an answer that never comes, so that its confidence is nan.
def variance_confidence(table):
    with np.errstate(invalid="ignore", divide="ignore"):
        p = table.sum(1)
        again = table.diagonal() / p
        return p * (again - p), p / again


# %% tags=["wrong"]
# Wrong: cuts off negative variances and takes the confidence from what is left.
def variance_confidence(table):
    p = table.sum(1)
    V = np.maximum(table.diagonal() - p**2, 0)
    return V, np.divide(p**2, V + p**2, out=np.zeros(len(p)), where=p > 0)


# %% [markdown] tags=["open"]
# - The error of $V$ is defined against the known variance of $p$ and shown by group, from nothing hidden to much hidden, over several worlds with intervals, at shares 1, 0.3, 0.1 and 0.03. (1 point)
# - Share and number are kept apart: 3 % of many questions beside all of few, at equal numbers of second answers. It is said what the first answers without a second still contribute. (1 point)
# - The choice of where to spend uses the question and the first model only, never the first *answer*, and is compared with a random choice of equal number. (1 point)
# - It is seen that least certain is not most ignorant: noisy groups with nothing hidden draw pairs as well. And that a guarantee is for the questions asked (x4), so the chosen questions must be weighted or the claim restricted. (1 point)
#
# Typical mistakes: a second answer bought where the first was surprising, which spoils the law of pairs; the share of training pairs varied together with the number of steps; the error averaged over groups only, so that a model which reports the same everywhere looks well.
