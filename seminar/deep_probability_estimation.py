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
# A network that sees only outcomes can learn probabilities, for a while: what cases share comes first, each case's own coin flip later. Outcomes drawn afresh in every epoch keep it from collapsing, which shows that the collapse comes from seeing one draw again and again and not from long training.
# Whether a remedy is worth its name depends on what it is set beside: here on more training with the same second choice, and on two fitted numbers.
#
# ## Where students stumble
#
# - *Calibrated is taken for good.* The base rate, said of everybody, is perfectly calibrated. Ask for its $\mathrm{MSE}_p$: the variance of $p$.
# - *"AUC stayed high, so nothing was overfitted."* The collapsed network still orders the cases well (x1). What it lost is how far to trust itself, and a score of ranks cannot see that.
# - *"c2 is contradicted, hence CaPE does harm."* Its rule asks for a gain of 2 % of the constant's loss against three controls, and is contradicted when one of them leaves less. The verdict says "no gain worth naming at this size". Harm would be another claim.
# - *The comparison with the early stop alone.* CaPE trains longer and chooses its epoch on the validation cases a second time. Whatever comes of that must be given to the control too.
# - *"The Brier score was found to be the best."* It follows $\mathrm{MSE}_p$ by an identity. The finding of c4 is about the others.
#
# ## The discussion
#
# *From its own predictions?* In part. The groups are the network's own (who is like whom), the values are outcomes. So it cannot become surer of itself by listening to itself, as with distillation, but it inherits its own order: where that is poor, groups are mixed and the targets go to the base rate. The prior says that
# cases with like $\hat p$ have like $p$.
#
# *Which baselines share the tuning?* All that have a knob. The early stop has learning rate, batch and weight decay; continued training has its rate and its choice of epoch; Platt scaling has none, which is why it is the cheapest. Equal looks at the validation set matter as much as equal computing. How to count looks made while a method was
# being invented is open, and they are seldom reported.
#
# *Without knowing $p$?* With two independent outcomes of a case, $\mathbb E\,(\hat p-y_1)(\hat p-y_2)=(\hat p-p)^2$, so the mean of the products estimates (1) without bias. With one outcome there is only (3), which suffices to compare two estimates on the same cases, as the unknown term cancels, but not to say how good either is. A
# second outcome of one patient does not exist; whether near twins may stand in for it is open.
#
# ## On the board
#
# 1. The plane of $p$ against $\hat p$: a good estimate on the diagonal, the constant as a horizontal line, the collapsed network as two bands at 0 and 1. Which of them is calibrated? Which orders well?
# 2. Derive (3): add and subtract $p$, and see the middle term vanish. Ask where it is used that the network has not seen this $y$.
# 3. Error against epoch, down and up. Then ask for the experiment that tells "too long" from "the same draw too often".
# 4. CaPE with eight cases: sort by $\hat p$, cut, take means. One group gives the base rate, eight give the outcomes back. Everything lies between.
#
# ## Time
#
# For 60 minutes: ten of bets, twenty of board, twenty of discussion, ten of the verdicts on the page (c3 and c3b are two readings of one figure). The short exercise takes 15 minutes, the coding one 20, the open one a day. The chapter's `quick` run takes about a minute.

# %% [markdown] tags=["short"]
# For one test case with $\hat p$ fixed, $(\hat p-y)^2=(\hat p-p)^2+2(\hat p-p)(p-y)+(p-y)^2$. Over the outcome, which the network has not seen, the middle term has mean 0 and the last one $p(1-p)$; averaging over the cases gives (3) (1 point).
#
# For $p$ with the beta law of parameters $a=1.3$ and $b=2$, $\mathbb E[p(1-p)]=\dfrac{ab}{(a+b)(a+b+1)}=\dfrac{2.6}{3.3\cdot4.3}\approx0.183$. Who knows every $p$ has $\mathrm{MSE}_p=0$ and so this Brier score, on average over outcomes: it is no sign of ignorance that it is not 0 (1 point).

# %% [markdown] tags=["task"]
# Write `group_targets` with NumPy for the cases of one network. Groups have equal size, or sizes that differ by one; cases with equal $\hat p$ may fall either way. Targets are returned in the order in which the cases came.

# %% tags=["given"]
import numpy as np


# %% tags=["solution"]
def group_targets(q, y, n_bins):
    """Frequency of the outcome among cases of like probability, equation (2).

    Parameters
    ----------
    q : numpy.ndarray, (cases,)
        The network's probabilities, in any order.
    y : numpy.ndarray, (cases,)
        Outcomes, 0 or 1.
    n_bins : int
        Number of groups; at most the number of cases.

    Returns
    -------
    numpy.ndarray of float, (cases,)
        The target of each case.
    """
    ### BEGIN SOLUTION
    targets = np.empty(len(q))
    for group in np.array_split(np.argsort(q, kind="stable"), n_bins):
        targets[group] = y[group].mean()
    return targets
    ### END SOLUTION


# %% tags=["example"]
print(group_targets(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 1, 0, 1]), 2))

# %% tags=["tests"] points=2
q, y = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1])
for n_bins, wanted in ((2, [0, 0, 1, 1]), (1, [0.5] * 4), (4, [0, 0, 1, 1])):
    got = group_targets(q, y, n_bins)
    assert np.allclose(got, wanted), f"{n_bins} groups: {got}, not {wanted}"

# %% tags=["tests"] points=2
rng = np.random.default_rng(1)
q = rng.random(103)
y = (rng.random(103) < q).astype(int)
for n_bins in (1, 5, 10, 103):
    got = np.mean(group_targets(q, y, n_bins))
    assert abs(got - y.mean()) < 1e-12, f"{n_bins} groups: mean target {got}, not {y.mean()}"
### BEGIN HIDDEN TESTS
got = group_targets(np.array([0.9, 0.1, 0.8, 0.2]), np.array([1, 0, 0, 0]), 2)
assert np.allclose(got, [0.5, 0, 0.5, 0]), f"cases out of order: {got}, not [0.5, 0, 0.5, 0]"
assert (group_targets(q, y, 103) == y).all(), "groups of one case must give back its outcome"
got = group_targets(np.array([0.01, 0.02, 0.03, 0.04, 0.05, 0.9]), np.array([0, 1, 0, 1, 1, 1]), 3)
wanted = [0.5, 0.5, 0.5, 0.5, 1, 1]
assert np.allclose(got, wanted), f"groups must have equal numbers of cases: {got}, not {wanted}"
q, y = rng.random(200) ** 4, rng.integers(0, 2, 200)
got, up = group_targets(q, y, 8), np.argsort(q)
wanted = np.repeat(y[up].reshape(8, 25).mean(1), 25)
assert np.allclose(got[up], wanted), "200 cases in 8 groups of 25: other targets than expected"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: leaves the targets in the order of the sorted cases and hands them to the wrong ones.
def group_targets(q, y, n_bins):
    groups = np.array_split(y[np.argsort(q)], n_bins)
    return np.concatenate([np.full(len(g), g.mean()) for g in groups])


# %% tags=["wrong"]
# Wrong: cuts the range of probabilities into equal parts, so that groups may have a single case.
def group_targets(q, y, n_bins):
    edges = np.linspace(q.min(), q.max(), n_bins + 1)[1:-1]
    group = np.digitize(q, edges)
    return np.array([y[group == g].mean() for g in group])


# %% [markdown] tags=["open"]
# - It is said from the chapter where to look and why, before anything is tried: where the early stop is far from what the pictures allow (more noise, fewer or more cases, a larger network), and by which mechanism CaPE should gain there. (1 point)
# - Setting, seeds and rule are written down before the last run; the seeds that served for the search do not serve for the verdict, and it is said how many settings were tried. (1 point)
# - The comparison is with continued training that has the same start, rate, epochs and choice on validation, paired by data set, with an interval against 0.02 and not against 0. (1 point)
# - A setting in which no gain is found is reported as such, with the half-width: could it have been seen? (1 point)
#
# Typical mistakes: the number of groups tuned on the test cases; CaPE against the early stop alone; the best of many settings reported with the interval of one.
