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
# If inputs lie on both sides of a boundary and up to it, the share within a small distance of it is proportional to that distance. This is all that exponent one says,
# and so a network that never learnt has it, too. What is worth finding is where it fails: on points learnt by heart and between classes with a gap.
#
# ## Where students stumble
#
# - *"A universal law must have a deep cause."* The opposite is likelier. What holds for trained, untrained and mistrained networks alike can depend on none of what
#   distinguishes them. Ask for the cause of the *constant* instead: $\rho(0)$ differs from model to model, and adversarial training moves it.
# - *Error rate instead of fooled rate.* A constant plus a power bends in a double logarithmic plot. Equation (1) counts changed answers, right ones or not.
# - *A wide window.* A line through the curve from one to ninety per cent averages over the law and its end. That is why (4) uses the lowest tenth, and why c1 also asks
#   for half of it.
# - *"Large differences of logits are robust."* Multiply all logits by ten. In (2) numerator and denominator grow alike.
# - *"FGSM found no gain for the factor, so why is x1 supported?"* It is the naive FGSM that reports a gain, since $1-p_y$ is rounded to zero and the direction is lost;
#   the exact direction and PGD report none. The network is the same in all three.
#
# ## The discussion
#
# *What would a law that differs have taught us?* That the density of inputs at the boundary vanishes, or diverges, for some networks and not for others, and how fast.
# That would be news on learning. Two such cases are on the page, training points learnt by heart and the islands, and both are about a gap.
#
# *Physics or calculus?* Calculus, as far as exponent one goes: it takes a density that is continuous and above zero at zero, and (2) holds for any smooth classifier.
# Physics would be the constant, or a reason why real inputs have such a density. Whether learning on data with real gaps ever clears the boundary for *fresh* points of
# a real task is open; that is the third exercise.
#
# *`separation` at 0.3 and 3.* At 0.3 the classes overlap and the control has exponent one, like everybody; at 3 its exponent is larger still than at 1. In between,
# about 0.5, one sees the crossing within one curve: slope above one in a wide window, since most inputs are far from a boundary, and one in the lowest tenth, since a
# few are not; the training points keep a gap of their own. In real data that is a set with a few ambiguous pictures: they alone make the tail. An exponent above one
# down to a share $q$ says that fewer than $q$ of the inputs lie between the classes, and no finite test set says more. (Gaussian noise reaches everywhere, so even at 3
# the exponent would be one in the end, at shares that nobody can sample.)
#
# ## On the board
#
# 1. A boundary, dots on both sides, a strip of width $\varepsilon$ along it. The dots in the strip are about $\rho(0)\,\varepsilon$ of all. Ask what a network has to
#    do with it.
# 2. Erase the dots near the boundary. What does the logarithmic plot do now? That is learning by heart, and the islands.
# 3. Write $r=\Delta_{12}/\lVert\nabla\Delta_{12}\rVert_1$ and multiply all logits by ten. Then write the gradient of the cross-entropy, $(1-p_y)\nabla m$, with
#    $1-p_y=10^{-12}$, and ask for its sign in single precision: $p_y$ is stored as 1.
# 4. Three attacks against the factor, *naive*, *exact*, *PGD*. Who sees a defence? One, and it is the one that was rounded.
#
# ## Time
#
# For 60 minutes: ten of bets, twenty of board, twenty of discussion, ten of verdicts (c3 beside c3b, and c4 beside x1). The short exercise takes 15 minutes, the coding
# one 30, the open one a day. The chapter's `quick` run takes about a minute.

# %% [markdown] tags=["short"]
# Sorted, the $K$ logits cut $[0,1]$ into $K+1$ pieces, whose joint law is the same in every order (a Dirichlet law with all parameters one). $\Delta_{1j}$ is made of
# the $j-1$ pieces between the $j$-th largest and the largest, so it has the law of the $(j-1)$-th smallest of $K$ uniform numbers, which is
# $\mathrm{Beta}(j-1,\,K-j+2)$ (1 point).
#
# The density of this law near zero is proportional to $\delta^{\,j-2}$, hence $P(\Delta_{1j}<\delta)\approx\binom{K}{j-1}\delta^{\,j-1}$, which is (3). For $j=2$ it is
# exactly $1-(1-\delta)^K\approx K\delta$: the constant is $K$, ten for ten classes (1 point).

# %% [markdown] tags=["task"]
# `hill_interval(r, k)` returns three numbers: the estimate (4) and the ends of an interval of 95 % with 2.5 % on either side. It is *exact* where $P(r<t)=ct^\gamma$
# holds up to $r_{(k+1)}$, for small $k$ as well: then the $k$ logarithms in (4) are independent and exponential with rate $\gamma$, so that $2\gamma$ times their sum
# has the chi-square law with $2k$ degrees of freedom. `chi2.ppf` gives its quantiles.

# %% tags=["given"]
import numpy as np
from scipy.stats import chi2


# %% tags=["solution"]
def hill_interval(r, k):
    """Exponent of the lowest points, with an exact interval.

    Parameters
    ----------
    r : numpy.ndarray, (points,)
        Positive numbers in any order.
    k : int
        Points of the tail; fewer than there are.

    Returns
    -------
    estimate, low, high : float
    """
    ### BEGIN SOLUTION
    lowest = np.sort(r)[: k + 1]
    total = np.log(lowest[k] / lowest[:k]).sum()
    low, high = chi2.ppf([0.025, 0.975], 2 * k) / (2 * total)
    return (k - 1) / total, low, high
    ### END SOLUTION


# %% tags=["example"]
print(hill_interval(np.random.default_rng(0).random(1000) ** 0.5, 100))

# %% tags=["tests"] points=1
found = hill_interval(np.array([4.0, 100.0, 1.0, 8.0, 2.0]), 3)[0]
wanted = 2 / (np.log(8) + np.log(4) + np.log(2))
assert abs(found - wanted) < 1e-9, f"the lowest 3 of 1, 2, 4, 8, 100: {found}, not {wanted}"
found = hill_interval(np.array([28.0, 700.0, 7.0, 56.0, 14.0]), 3)[0]
assert abs(found - wanted) < 1e-9, "in another unit of length the exponent must be the same"

# %% tags=["tests"] points=1
rng, hits = np.random.default_rng(1), 0
for _ in range(400):
    _, low, high = hill_interval(rng.random(10_000) ** 0.5, 200)
    hits += low < 2 < high
assert 0.92 < hits / 400 < 0.98, f"the interval covers 2 in {hits / 400:.3f} of 400 cases"

# %% tags=["tests"] points=2
low, high = hill_interval(np.random.default_rng(2).random(5000), 400)[1:]
assert 0.7 < low < high < 1.4, f"uniform numbers, k = 400: the interval is {low}, {high}"
### BEGIN HIDDEN TESTS
found = np.array([hill_interval(rng.random(12) ** (1 / 3), 5) for _ in range(4000)])
mean, below, above = found[:, 0].mean(), np.mean(found[:, 2] < 3), np.mean(found[:, 1] > 3)
assert abs(mean - 3) < 0.12, f"k = 5: the mean estimate is {mean:.2f}, not 3"
for side, share in (("below", below), ("above", above)):
    message = f"k = 5: the interval lies {side} the truth in {share:.3f} of cases, not 0.025"
    assert 0.015 < share < 0.035, message
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: multiplies the estimate by chi-square over 2 k and forgets that its numerator is k - 1; the same for large k.
def hill_interval(r, k):
    lowest = np.sort(r)[: k + 1]
    gamma = (k - 1) / np.log(lowest[k] / lowest[:k]).sum()
    low, high = gamma * chi2.ppf([0.025, 0.975], 2 * k) / (2 * k)
    return gamma, low, high


# %% tags=["wrong"]
# Wrong: the interval of the normal law with the standard error of the chapter, which is good for large k alone.
def hill_interval(r, k):
    lowest = np.sort(r)[: k + 1]
    gamma = (k - 1) / np.log(lowest[k] / lowest[:k]).sum()
    return gamma, gamma * (1 - 1.96 / np.sqrt(k)), gamma * (1 + 1.96 / np.sqrt(k))


# %% [markdown] tags=["open"]
# - What is measured is fixed beforehand: exponent on fresh points only, the size of the tail and of half of it, by two attacks of which one is iterated, and the loss
#   of clean accuracy that would count as none. (1 point)
# - A plain network and the control of islands go through the same procedure, over several seeds with differences within a seed. (1 point)
# - The idea is argued from (2): why the density of $r$ at zero should vanish, or, for the negative answer, why a boundary that passes through inputs of positive
#   density has a share proportional to $\varepsilon$ beside it, and what is assumed of density and boundary. (1 point)
# - A rise is taken apart: a smaller tail shows whether the exponent stays or goes back to one, and a factor on the logits is ruled out. (1 point)
#
# Typical mistakes: the exponent of training points; a classifier that rejects or blurs its inputs, so that gradients vanish and attacks fail though the boundary is
# where it was; a data set with a gap, such as the islands, offered as a way of *training*; a smaller constant taken for a larger exponent.
