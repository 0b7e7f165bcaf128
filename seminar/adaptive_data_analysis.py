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
# A data set does not wear out by being asked often; it wears out when the next question depends on the last answers. Each answer carries a trace of every row, and a question that adds up the traces is about the sample and no longer about the world.
# Noise on the answers blurs the traces faster than it blurs the truth, so that less exact answers support more questions: about $n^2$ instead of $n$.
#
# ## Where students stumble
#
# - *"Too many questions were asked."* The deaf analyst asks as many of the same rows and is off by almost nothing. What it does not do is listen.
# - *"Noise makes the analysis better."* It makes the first answers worse and the last one better. Whether that is a bargain depends on which answers count; x1 counts all of them.
# - *Thresholdout as a noisy holdout.* Within its threshold it gives the training answer, exactly and without a word. It is silent about overfitting of less than about $T$ (x2), and that is its contract, not a bug. In the coding exercise $T=1/\sqrt n$ lets the features be chosen by the holdout after all, and the report is nearly that of the plain one;
#   with $8/\sqrt n$ the training set alone chooses, and the report is right only because so many features overfit by more than $T$. Ask for five features.
# - *A slope below 2 in c2.* It is predicted: with fixed $\sigma$ the local exponent is $1+n\sigma^2/(1+n\sigma^2)$, which reaches 2 only for large $n$.
# - *"c6 is supported, hence the theorem is useful here."* At this sample size the privacy that it asks for drowns every answer (x4). A mechanism that says nothing never overfits.
#
# ## The discussion
#
# *A leaderboard* is one: the next submission depends on the last score. It suffers less than in this chapter because submissions are made to be accurate and so resemble each other, because scores come rounded and few a day, and because hardly anybody sets out to decode the sample. Which of these matters most is not settled;
# the studies that the chapter cites find little adaptive overfitting and do not isolate a cause.
#
# *The budget.* Whoever holds the data would have to, and would have to count every question of everybody: the colleague's histogram and the published table too. For a public data set nobody can. An honest second best is a part of the data that is locked away, with a log of who opened it.
#
# *Noise and preregistration.* They solve the same problem by different means: one forbids the next question to depend on the answers, the other limits how much it can. They live together well: register the main question, and explore through a mechanism. What preregistration cannot do is say anything of the questions that one did not foresee.
#
# *This chapter's own choices.* Rules and limits stood before the data. The family of attacks, the sizes, the settings $T$ and $\sigma$, and the places where claims are read (five, twenty and `k_max` features) were chosen by people who knew formula (1) and the published figures. What protects the verdicts is that a run draws its data anew:
# another seed is a fresh sample to all of these choices. Of real data there is no other seed.
#
# ## On the board
#
# 1. The hint. Average $\operatorname{sgn}(a_j)\,x_{ij}$ over the rows $i$: that is $|a_j|$, and $\mathbb E|a_j|\approx\sqrt{2/\pi n}$. A row agrees with the sign that it helped to make.
# 2. The vote. A row's sum over $m$ coordinates has mean $m\sqrt{2/\pi n}$ and standard deviation $\sqrt m$, hence $\mathbb E_S[\varphi]\approx2\Phi\big(\sqrt{2m/\pi n}\big)-1=\operatorname{erf}\sqrt{m/\pi n}$. The truth is 0.
# 3. Noise. It divides the hint by $\sqrt{1+n\sigma^2}$. Solve for $m$: $m^*\approx\pi n(1+n\sigma^2)\operatorname{erfinv}(\tau)^2$. Ask where $n^2$ comes from.
# 4. The picture of Thresholdout: the line of training answers, a band of half-width $T$ about it, holdout answers as points. Inside the band: repeat the line. Outside: the point, blurred.
#
# ## Time
#
# For 75 minutes: ten of bets, thirty of board, twenty of discussion, fifteen of the verdicts on the page (c5 and c6 are both supported and both cheap; ask why). The short exercise takes 15 minutes, the coding one 40 with its question about $T$, the open one an afternoon. The chapter's `quick` run takes under a minute.

# %% [markdown] tags=["short"]
# Without noise $m^*\approx\pi\cdot10^4\cdot\operatorname{erfinv}(0.05)^2\approx62$. With $\sigma=0.02$ the factor is $1+n\sigma^2=1+10^4\cdot0.0004=5$, so $m^*\approx309$ (1 point).
#
# No. An answer now has the standard deviation $\sqrt{\sigma^2+1/n}=\sqrt{0.0005}\approx0.022$, so each single one is off by more than 0.05 with probability about 0.025, and the worst of 309 by about $\sqrt{2\ln618}\cdot0.022\approx0.08$. The last query is safe and several of the first are not. Without noise the worst of 62 is off by about
# 0.03 and all are within $\tau$ (1 point).

# %% [markdown] tags=["task"]
# Write `thresholdout` so that it takes numbers and arrays alike. Noise is Gaussian here, with the standard deviation `noise`, and drawn afresh for every comparison and once more for every answer from the holdout. `report` is the analyst of the chapter on data without signal; the plain holdout is the mechanism that answers `holdout`.
# What is checked is the function; what you see at other thresholds, say in a comment under the example.

# %% tags=["given"]
import numpy as np


def plain(train, holdout, T, noise, rng):
    """The holdout itself."""
    return holdout


def report(mechanism, rng, n=1000, d=1000, k=500, threshold=4.0):
    """Accuracy reported for a vote of the best k features (at most) where none has signal.

    A feature is kept if its correlations with the label, on the training set and as the mechanism
    tells that of the holdout, have one sign and exceed 1 / sqrt(n). The truth is 0.5.
    """
    sets = rng.standard_normal((2, n, d), dtype=np.float32)  # label times feature
    ask = lambda a, b: mechanism(a, b, threshold / n**0.5, 1 / n**0.5, rng)
    seen, holdout = sets.mean(1)
    heard = ask(seen, holdout)
    both = np.minimum(abs(seen), abs(heard)) * (seen * heard > 0)
    best = np.argsort(-abs(seen))
    best = best[both[best] > n**-0.5][:k]
    right = [(x[:, best] @ np.sign(seen[best]) > 0).mean() for x in sets]
    return float(ask(*right))


def mean_report(mechanism, repeats=10, **settings):
    """Mean report over data sets."""
    rng = np.random.default_rng(0)
    return np.mean([report(mechanism, rng, **settings) for _ in range(repeats)])


# %% tags=["solution"]
def thresholdout(train, holdout, T, noise, rng):
    """Answer from the training set where the holdout agrees with it, else from the holdout.

    Parameters
    ----------
    train, holdout : float or numpy.ndarray
        Answers of the two sets, of one shape.
    T : float
        Answers that differ by less than T, plus noise, agree: the training answer is given.
    noise : float
        Standard deviation of the noise on each comparison and on each answer from the holdout.
    rng : numpy.random.Generator

    Returns
    -------
    float or numpy.ndarray
        Of the shape of `train`.
    """
    ### BEGIN SOLUTION
    shape = np.shape(train)
    limit = T + noise * rng.standard_normal(shape)
    blurred = holdout + noise * rng.standard_normal(shape)
    return np.where(abs(train - holdout) < limit, train, blurred)
    ### END SOLUTION


# %% tags=["example"]
for threshold in (1.0, 4.0, 8.0):
    print(threshold, mean_report(thresholdout, threshold=threshold))

# %% tags=["tests"] points=1
rng = np.random.default_rng(1)
train, holdout = np.array([0.50, 0.70, 0.90]), np.array([0.52, 0.50, 0.55])
got = thresholdout(train, holdout, 0.1, 0.0, rng)
assert np.allclose(got, [0.50, 0.50, 0.55]), f"without noise, T = 0.1: {got}"
got = float(thresholdout(0.7, 0.5, 0.1, 0.0, rng))
assert got == 0.5, f"two numbers that differ by 0.2, without noise, T = 0.1: {got}, not 0.5"

# %% tags=["tests"] points=1
got = mean_report(plain)
assert 0.60 < got < 0.66, f"the plain holdout reports {got:.3f}: has `report` been changed?"
got = mean_report(thresholdout)
assert 0.45 < got < 0.58, f"Thresholdout reports {got:.3f} where the truth is 0.5"

# %% tags=["tests"] points=2
rng = np.random.default_rng(2)
ones = np.ones(10_000)
got = thresholdout(ones, 0 * ones, 0.2, 0.05, rng)  # far apart: always from the holdout
assert abs(got.mean()) < 0.01, f"holdout answers of 0 come out as {got.mean():.3f} in the mean"
assert 0.045 < got.std() < 0.055, f"their noise is {got.std():.3f}, not 0.05"
### BEGIN HIDDEN TESTS
got = thresholdout(0 * ones, ones, 0.2, 0.05, rng)
assert abs(got.mean() - 1) < 0.01, "training answers below the holdout are compared wrongly"
got = thresholdout(0 * ones, 0.1 * ones, 0.2, 0.02, rng)  # five deviations inside
assert (got == 0).mean() > 0.99, "where the sets agree, the training answer is to be exact"
got = thresholdout(0 * ones, 0.25 * ones, 0.2, 0.05, rng)  # one deviation outside
share = (got == 0).mean()
assert 0.13 < share < 0.19, f"agreement one deviation beyond T: {share:.2f}, not about 0.16"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: compares without the absolute value, so that a holdout above the training set always agrees.
def thresholdout(train, holdout, T, noise, rng):
    shape = np.shape(train)
    limit = T + noise * rng.standard_normal(shape)
    blurred = holdout + noise * rng.standard_normal(shape)
    return np.where(train - holdout < limit, train, blurred)


# %% tags=["wrong"]
# Wrong: no noise on the comparison, only on the answers.
def thresholdout(train, holdout, T, noise, rng):
    blurred = holdout + noise * rng.standard_normal(np.shape(train))
    return np.where(abs(train - holdout) < T, train, blurred)


# %% [markdown] tags=["open"]
# - The idea: rounding is a fixed function, so answers can be placed where it is steep. Queries such as $0.1+0.9\,x_j$, which stay in $[-1,1]$ and need no look at the data, have truth 0.1 on the edge between 0 and 0.2; the rounded answer then tells the sign that exact averages would have told. (1 point)
# - What to expect is derived before anything is run: the hints, and so the error of the last query, are those of exact averages, and $m^*$ grows like $n$; shifting a query does nothing against noise, where formula (1) stands. (1 point)
# - The experiment has both mechanisms on the same rows, with noise of the size of the rounding error ($0.2/\sqrt{12}\approx0.058$), error against $m$ and at several $n$, over several data sets; and the unshifted analyst and a deaf one beside it. (1 point)
# - The answer says what is meant by *defeats*: noise too gives way at enough queries, about $n^2$ of them; what falls is the advantage of rounding, which protected against one attack and never promised more. (1 point)
#
# Typical mistakes: queries that leave $[-1,1]$; offsets found by looking at the data, which spends queries that are not counted; a comparison with noise of standard deviation 0.2.
