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
# Unlabelled data pay for the many parameters of a representation, labels for the few of a head. That this is an advantage does not follow from two upper bounds; it
# takes a lower bound for supervised learning, which here is some $d/r$ times larger. And it takes a condition: what pretraining finds must be what the label rides on.
#
# ## Where students stumble
#
# - *"The bound has square roots, so the error falls like $1/\sqrt m$."* An upper bound says nothing of its own rate. Squared error is flat at its minimum, and both
#   terms fall like one over the number of points (x2).
# - *"c3 shows that unlabelled data can hurt."* It shows that a recipe hurts which throws the labelled $x$ away. Few unlabelled points are used, a thousand labelled
#   ones lie there unread; pretraining on those is far better than ridge regression.
# - *An excess risk above that of knowing nothing.* Below the threshold the encoder points anywhere, and a head that is fitted to noise adds an error of its own to what
#   is left over.
# - *Comparing $\hat B$ with $B$ entry by entry.* Signs and rotations are free; only $\hat B\hat B^\top$ and predictions mean anything.
# - *"$K$ labels suffice for $K$ clouds."* If they are dealt out evenly. Drawn by chance, two a class leave some class without a name quite often; that is the collector
#   of coupons.
#
# ## The discussion
#
# *Is ridge regression fair?* As the tool of somebody who has labels only and knows nothing of factors, yes, and its penalty is tuned. As a measure of what unlabelled
# data are worth, no: it mixes their worth with that of knowing the model class. The arm *own* has the knowledge without the data, and x1 says how the gain divides. The
# minimax bound in (4) is a third answer, since it holds for every supervised learner that must serve all linear functions.
#
# *The label outside the factors, for text.* Something that is in the text and does not help to predict text. A serial number whose digits are random is noise to a
# language model; let the label be their parity. Also things that texts say as often wrongly as rightly. In practice the representation is tuned along with the head, so
# that such a label is dear rather than lost; how dear is open.
#
# *Free data, and a reason not to pretrain?* In this chapter, three. The label may ride outside (c4a). Labels may be so many that the floor $e$ of (4), which they do
# not lower, is more than what supervised learning has left. The unlabelled data may be of another world, which is the salmon. All three are reasons against *stopping*
# at the pretrained representation, not against starting there. Weak factors are none: the gain is gone, but next to nothing is lost (x4, contradicted).
#
# ## On the board
#
# 1. The graph: $z\to x$, $z\to y$, and a dotted arrow from $u$ to $y$. The dotted arrow is c4a. Ask what a thin arrow $z\to x$ means: c4b.
# 2. The two terms, $e+(\tau^2+e)\frac{r}{n-r-1}$ against $\tau^2\frac{d}{n-d-1}$. For $d=100$, $r=4$: 4/45 at $n=50$, where the other promises nothing, and 0.004
#    against 0.111 at $n=1000$. Then ask for $e$, and where labels stop helping.
# 3. Why rate one: a parabola. A parameter wrong by $\delta\sim1/\sqrt m$ costs $\delta^2$.
# 4. The eigenvalues of pure noise as a hump of half-width about $2\sqrt\gamma$, a factor as a spike. Push the spike into the hump; it drowns at $s=\sqrt\gamma$. Write
#    (7): squared ratio of threshold to strength.
#
# ## Time
#
# For 75 minutes: ten of bets, thirty of board, twenty of discussion, fifteen of verdicts (c3 with its *own* arm, x4). The short exercise takes 15 minutes, the coding
# one 30, the open one half a day. The chapter's `quick` run takes about half a minute.

# %% [markdown] tags=["short"]
# The covariance of $x$ is $BB^\top+I$: along a factor its eigenvalue is $s_j+1$, elsewhere 1. The one is the noise, so the strength is estimated by the eigenvalue
# minus one. A direction with eigenvalue below one would need a negative strength; of those allowed, 0 is the likeliest, so its column of $\hat B$ is nought and it adds
# nothing (1 point).
#
# With $\hat BQ$ in place of $\hat B$, (2) gives $(Q^\top\hat B^\top\hat BQ+I)^{-1}Q^\top\hat B^\top x=Q^\top\hat z(x)$. Least squares on $Q^\top\hat z$ may choose the
# coefficients $Q^\top c$ wherever it chose $c$ before, and $c^\top QQ^\top\hat z=c^\top\hat z$: the same functions are on offer, so the same one is best (1 point).

# %% [markdown] tags=["task"]
# The mean of $x$ is known to be 0. A direction whose eigenvalue is below one gets a column of zeros. `m` may be smaller than `d`. `predictor` does the rest of the two
# stages with what you return.

# %% tags=["given"]
import numpy as np


def predictor(b, x, y):
    """Weights (d,) of the linear predictor: factors by equation (2), then least squares."""
    encoder = b @ np.linalg.inv(b.T @ b + np.eye(b.shape[1]))
    return encoder @ np.linalg.lstsq(x @ encoder, y)[0]


def factor_world(rng, m, d, strengths):
    """Loadings B (d, r) and m points x (m, d) of equation (1)."""
    b = np.linalg.qr(rng.standard_normal((d, len(strengths))))[0] * np.sqrt(strengths)
    x = rng.standard_normal((m, len(strengths))) @ b.T + rng.standard_normal((m, d))
    return b, x


# %% tags=["solution"]
def loadings(x, r):
    """Likeliest loadings of r factors in data with noise of variance 1, equation (2).

    Parameters
    ----------
    x : numpy.ndarray, (m, d)
        Points, of mean 0.
    r : int
        Factors; at most d.

    Returns
    -------
    numpy.ndarray, (d, r)
    """
    ### BEGIN SOLUTION
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    values, vectors = values[::-1][:r], vectors[:, ::-1][:, :r]
    return vectors * np.sqrt(np.maximum(values - 1, 0))
    ### END SOLUTION


# %% tags=["example"]
truth, points = factor_world(np.random.default_rng(0), 5000, 6, [9, 4])
print((loadings(points, 2) ** 2).sum(0))

# %% tags=["tests"] points=1
truth, points = factor_world(np.random.default_rng(1), 20_000, 20, [30, 20])
found = loadings(points, 2)
assert found.shape == (20, 2), f"d = 20, r = 2: the shape is {found.shape}"
gap = np.linalg.norm(found @ found.T - truth @ truth.T) / np.linalg.norm(truth @ truth.T)
assert gap < 0.1, f"relative distance from the true B B^T: {gap:.3f}"

# %% tags=["tests"] points=1
rng = np.random.default_rng(2)
labels = points @ rng.standard_normal(20) + rng.standard_normal(20_000)
turn = np.linalg.qr(rng.standard_normal((2, 2)))[0]
moved = abs(predictor(found @ turn, points, labels) - predictor(found, points, labels)).max()
assert moved < 1e-8, f"rotating the loadings moves the predictor by {moved}"
few = loadings(points[:12], 2)
assert few.shape == (20, 2) and np.isfinite(few).all(), "12 points in 20 dimensions: not finite"

# %% tags=["tests"] points=2
lengths = np.sort((loadings(points, 2) ** 2).sum(0))
assert np.allclose(lengths, [20, 30], rtol=0.1), f"strengths 30 and 20: found {lengths}"
### BEGIN HIDDEN TESTS
truth, weak = factor_world(np.random.default_rng(3), 20_000, 20, [2, 3])
found = loadings(weak, 2)
gap = np.linalg.norm(found @ found.T - truth @ truth.T) / np.linalg.norm(truth @ truth.T)
assert gap < 0.15, f"strengths 2 and 3: relative distance from the true B B^T {gap:.3f}"
rng, m = np.random.default_rng(4), 4000
columns = np.linalg.qr(np.column_stack([np.ones(m), rng.standard_normal((m, 6))]))[0][:, 1:]
axes = np.linalg.qr(rng.standard_normal((6, 6)))[0]
exact = np.sqrt(m) * columns * np.sqrt([9, 4, 2, 0.8, 0.5, 0.3]) @ axes.T
for r, strengths in ((2, [8, 3, 0, 0, 0, 0]), (5, [8, 3, 1, 0, 0, 0])):
    found = loadings(exact, r)
    found = found @ found.T
    gap = abs(found - axes * strengths @ axes.T).max()
    message = f"covariance with eigenvalues 9, 4, 2, 0.8, 0.5, 0.3, r = {r}: off by {gap:.3f}"
    assert gap < 0.05, message
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: principal components, without taking off the variance of the noise; with strong factors it hardly shows.
def loadings(x, r):
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    return vectors[:, -r:] * np.sqrt(values[-r:])


# %% tags=["wrong"]
# Wrong: turns round directions with an eigenvalue below one, instead of leaving them out.
def loadings(x, r):
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    return vectors[:, -r:] * np.sqrt(abs(values[-r:] - 1))


# %% [markdown] tags=["open"]
# - Before the run, (4) is used to say what to expect: with too few factors $e$ grows by what the lost factor is worth, and no label brings it back; with too many, $r$
#   grows and $e$ does not. From this, the number of labels where the two errors change places. (1 point)
# - The right number stands beside both wrong ones in the same worlds and with the same labels, over ten worlds or more, with differences within a world. (1 point)
# - $n$ covers both sides: from just above $r+6$, where the head explodes, to a thousand; $e$ is measured by itself (`left_over`) and not read off from a curve.
#   (1 point)
# - It is asked which factor is lost, since strengths differ, and what changes when factors are near the threshold, where what is left out was hardly found in the first
#   place. (1 point)
#
# Typical mistakes: "extra factors are harmless since their loadings are small", although least squares rescales them and pays in full for each; means of skewed risks
# at the smallest $n$; a head with a penalty tuned in one arm alone.
