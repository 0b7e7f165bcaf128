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
# To know something is to hold a partition of what is possible, and partitions lie at distances from one another. Summaries that rebuild an object cannot all lie far from it; but the distances count only how much each says and not whether they say the same, so that a set of summaries may pass and the object be lost.
# The slack of the condition is repetition minus loss, and one number cannot tell two.
#
# ## Where students stumble
#
# - *Necessary is read as sufficient.* Two pairs of remainders with the same slack, one rebuilding and one not, stand in the first exercise. Keep it on the board.
# - *"There is room to spare, so it is likely rebuilt."* Summaries scrambled independently have the same slack to the last digit (x1). Slack is no evidence of structure.
# - *Overlapping discs.* They are right for entropies of two variables. Informations are no sets: the distributive law fails for a large share of random triples, so common information is not an overlap.
# - *The meet is taken for mutual information.* $H(X\wedge Y)\le I(X;Y)$, and often the left side is nought: what two people surely both know is rare. Since the meet is a function of either, $I(X;Y)=H(X\wedge Y)+I(X;Y\mid X\wedge Y)$: the two are equal where $X$ and $Y$ are independent given what they have in common
#   (the question at the end of the coding exercise).
# - *"No violation in thousands of problems."* Against which opponents? Random problems stay far from the edge, and a wrong bound would pass as well. That is why a quarter of the problems is built on it.
#
# ## The discussion
#
# *New in content or in geometry?* In geometry. (1) holds exactly where $\sum_iH(X_i)\ge H(X)$ does, which is subadditivity. What the geometry buys is a way to draw and compare, and the question of what the other notions of a lattice (complements, distributivity) mean for information.
#
# *Sorting.* Suppose the comparison of $i$ and $j$ is left out. Take an order in which the two are neighbours, and exchange them: every other comparison stays as it was. So no smaller fixed set does. In binary insertion a later question depends on earlier answers, but the procedure is fixed, so each answer is a function of the
# order $X$ after all; pad with a constant where the procedure stops early. (1) applies and gives, since an answer has one bit at most, at least $\log_2n!$ answers. What changes is the set of functions allowed.
#
# *Complementary encoders.* The lattice's answer (together everything, in common nothing) fits finite partitions; noise of any size wipes the meet out, so that any two continuous codes would have nothing in common. A working answer uses both terms of (2): little loss for the task at hand and little total correlation. Both must be estimated, and x2 shows
# in which direction that goes wrong. How to do it for large codes is open.
#
# ## On the board
#
# 1. The numbers 0 to 11 in a grid of remainders modulo 3 and 4: one number a cell. The same for 2 and 6: half of the cells empty, the others with two numbers. Same entropies, same slack.
# 2. The proof of (1) in two lines: $H(X)=H(X_1,\dots,X_n)\le\sum_iH(X_i)$, divided by $H(X)$, with $d(X,X_i)=1-H(X_i)/H(X)$.
# 3. Add and subtract the joint entropy: $s\,H(X)=\mathrm{TC}-H(X\mid X_1,\dots,X_n)$. Mark the two grids: $0-0$ and, in bits, $1-1$.
# 4. Three bits against two bits and their exclusive or. All pairs have the same laws, so no condition on pairs can tell them apart; only the first rebuilds three bits. (Keep this for after the open exercise.)
#
# ## Time
#
# For 60 minutes: ten of bets, twenty of board, twenty of discussion, ten of the verdicts on the page (what would c2 be worth with `tight_share=0`?). The short exercise takes 10 minutes, the coding one 30, the open one an afternoon. The chapter's `quick` run takes about twenty seconds.

# %% [markdown] tags=["short"]
# Remainders are uniform here, so $s\,H(X)=\log_2 3+\log_2 4-\log_2 12=0$ and $\log_2 2+\log_2 6-\log_2 12=0$: the slack is 0 both times. Modulo 3 and 4 rebuild $X$, since the least common multiple is 12; modulo 2 and 6 do not, since it is 6 and $x$ and $x+6$ have the same remainders (1 point).
#
# Both terms of (2) differ. With 3 and 4 the remainders are independent and nothing is lost: $0-0$. With 2 and 6 the first is a function of the second, so the total correlation is 1 bit, and one bit of $X$ is never said: $1-1$. Repetition pays for loss (1 point).

# %% [markdown] tags=["task"]
# Two outcomes have equal labels where the meet cannot tell them apart. Which numbers serve as labels does not matter, neither in what you return nor in what you get. `mutual_information` and `entropy` are for equally likely outcomes. When are $H(X\wedge Y)$ and $I(X;Y)$ equal? Say it in a comment under the example.

# %% tags=["given"]
import numpy as np


def entropy(*labels):
    """H in bits of one or several label vectors (m,) together, all m outcomes equally likely."""
    p = np.unique(np.stack(labels, 1), axis=0, return_counts=True)[1] / len(labels[0])
    return -(p * np.log2(p)).sum()


def mutual_information(a, b):
    return entropy(a) + entropy(b) - entropy(a, b)


# %% tags=["solution"]
def meet(a, b):
    """Common information of two variables.

    Parameters
    ----------
    a, b : array_like of int, (m,)
        Label of each outcome; labels may have gaps.

    Returns
    -------
    numpy.ndarray of int, (m,)
        Equal labels for outcomes connected by a chain in which neighbours agree in a or in b.
    """
    ### BEGIN SOLUTION
    labels = np.arange(len(a))
    while True:
        old = labels.copy()
        for of in (np.asarray(a), np.asarray(b)):
            for value in np.unique(of):
                labels[of == value] = labels[of == value].min()
        if (labels == old).all():
            return labels
    ### END SOLUTION


# %% tags=["example"]
print(meet([0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 1, 1]))

# %% tags=["tests"] points=2
number = lambda labels: len(np.unique(labels))
for a, b, n in [
    ([0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 1, 1], 2),
    ([0, 0, 1, 1], [1, 1, 0, 0], 2),  # equal numbers on two sides mean nothing
    ([0, 0, 1, 1], [0, 1, 0, 1], 1),
    ([0, 1, 2, 3], [0, 1, 2, 3], 4),
    ([0, 1, 2, 3], [0, 0, 0, 0], 1),
]:
    got = meet(np.array(a), np.array(b))
    assert number(got) == n, f"the meet of {a} and {b} is {got}, but it has {n} classes"

# %% tags=["tests"] points=2
rng = np.random.default_rng(1)
for _ in range(100):
    a, b = rng.integers(0, 4, (2, 7))
    common, shared = entropy(meet(a, b)), mutual_information(a, b)
    assert common <= shared + 1e-9, f"H of the meet, {common}, exceeds I = {shared}: {a}, {b}"
### BEGIN HIDDEN TESTS
far = np.arange(60)
got = meet(far // 2, (far + 1) // 2)
assert number(got) == 1, f"a chain through all 60 outcomes falls into {number(got)} classes"
got = meet(far[::-1] // 2, (far[::-1] + 1) // 2)
assert number(got) == 1, f"the same chain backwards falls into {number(got)} classes"
for _ in range(200):
    a, b = 5 * rng.integers(0, 6, (2, 9))
    linked = (a[:, None] == a) | (b[:, None] == b)
    for _ in range(4):
        linked = linked.astype(int) @ linked > 0
    got = np.asarray(meet(a, b))
    assert ((got[:, None] == got) == linked).all(), f"the meet of {a} and {b} is not {got}"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: one round of merging; a chain that leads back to an earlier class is not followed.
def meet(a, b):
    labels = np.arange(len(a))
    for of in (np.asarray(a), np.asarray(b)):
        for value in np.unique(of):
            labels[of == value] = labels[of == value].min()
    return labels


# %% tags=["wrong"]
# Wrong: the join, what the two know together, in place of what each knows.
def meet(a, b):
    return np.unique(np.stack([a, b], 1), axis=0, return_inverse=True)[1].ravel()


# %% [markdown] tags=["open"]
# - A condition with entropies of pairs is written down and proved necessary. Examples: $\sum_{i<j}H(X_i,X_j)\ge(n-1)H(X)$, or subadditivity with the mutual informations along a tree taken off, $\sum_iH(X_i)-\sum_{(i,j)\in\text{tree}}I(X_i;X_j)\ge H(X)$. (1 point)
# - It is shown that the remainders modulo 4 and 6 violate it though they satisfy (1) with equality: the pair has $\log_212$ bits and $X$ has $\log_224$. (1 point)
# - The share of rebuilt problems among those that pass is measured for (1) and for the new condition on the same problems, with intervals, and by number of summaries: for two summaries the new condition decides, for more it may not. (1 point)
# - There is a problem that passes the new condition and is not rebuilt, such as two bits and their exclusive or for an object of three bits, and a note of what the condition costs ($n(n-1)/2$ joint laws, and their estimates from samples are worse than those of single ones). (1 point)
#
# Typical mistakes: a condition that is sufficient or plausible but not necessary, which the rebuilt problems of the audit would have exposed; shares compared on different draws; random problems only, which hardly ever come near the edge.
