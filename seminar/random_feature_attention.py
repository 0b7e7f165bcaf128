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
# Against an ordinary random network on the long vector of all tokens, random attention needs far fewer examples for averages over keys, and its need does not grow with
# their number. That advantage belongs to averaging: a random network that merely pools over the keys has it, too. What attention has for itself is the product of a
# score with a value.
#
# ## Where students stumble
#
# - *Heads and features.* 700 features are 100 heads for $d=6$. Comparing as many heads as neurons gives attention $d+1$ times the features.
# - *"More weights need more examples."* Not here: trained weights are equally many in all networks, and with infinitely many $n^*$ is finite and no larger. It is the
#   number of functions that the kernel cannot tell apart which counts (4).
# - *Which exchanges leave (1) unchanged?* Those among keys. The query is another matter; students like to write "invariant under permutations" without saying of what.
# - *"RFMLP's exponent should be $p=2$."* Only for large $Nd$. With few keys and dimensions the lower degrees and the query count, and (4), which has them, is what the
#   rates follow (x3).
# - *A mean of the size of the identity does nothing, so c3 is an artefact.* The random part of a score has standard deviation 2 and the mean at $b=1$ at most 1. A
#   prior has to be visible to be one; the last figure shows where that begins.
#
# ## The discussion
#
# *Attention or averaging?* On averages, averaging: the pooled network needs about as many examples (x1). The opponent in the comparison, RFMLP, has to learn from
# examples that order does not matter, and pays for all $N$ keys. Against a symmetric opponent attention earns its keep only where score and value are multiplied (x2).
# Whether a symmetric network with one more frozen layer would close that gap as well was not tried.
#
# *A query-key product with a mean.* It says "attend to what resembles the query", which is right where the same thing has to be found again: copying, looking up,
# comparing. Where the answer lies in keys that differ from the query it blinds the layer, as the last figure shows for averages. Training can find it: pretrained
# transformers, above all those for vision, are reported to have products of query and key weights with a marked diagonal, and to start from such products helps small
# ones (Trockman and Kolter, ICML 2023, abstract read). When and how it is found is a question about learnt features, on which a chapter with frozen ones is silent.
#
# *Two upper bounds.* Each is a promise about its own model. If one is smaller, this shows that less is promised for the other, by a proof that may be at fault. For a
# comparison one of the two must be bounded from the other side. The chapter does it by (5), a lower bound for RFMLP, and a measurement of RFA below it (x4). What is
# still missing is a lower bound that comes near RFMLP's real need.
#
# ## On the board
#
# 1. One query, $N$ keys. Two ways to read them: a row of $(N+1)d$ numbers, or a bag. Ask which of the targets is a function of the bag.
# 2. Count quadratic functions: $d^2/2$ for one key, about $(Nd)^2/2$ for the row. With $d=6$, $N=8$ that is 18 against 1152. Then show (4) as the exact version.
# 3. The bound (5) in four lines: a fit is a constant and $n$ functions, which know nothing of $\beta$; turn every key by its own rotation and nothing changes in law;
#    the target is then spread evenly over $ND_p$ directions; $n$ functions catch at most $n$ of these.
# 4. Where does the argument fail for RFA? It has one matrix for all keys, so only a common rotation is allowed: $D_p$ without $N$.
# 5. A table, targets by networks (row, bag without product, bag with product). Let the class fill it before the first figure is shown.
#
# ## Time
#
# For 75 minutes: ten of bets, thirty of board, twenty of discussion, fifteen of verdicts (x1 right after c1, then x4). The short exercise takes 15 minutes, the coding
# one 30, the open one a day. The chapter's `quick` run takes under a minute.

# %% [markdown] tags=["short"]
# RFA has $700/(d+1)=100$ heads. Trained are $100\cdot7=700$ numbers, frozen $100\cdot7\cdot7=4900$. RFMLP trains 700 as well, and has
# $700\cdot\big((N+1)d+1\big)=700\cdot55=38\,500$ frozen ones. (A constant may be added to the trained ones of each.) (1 point)
#
# The trained numbers are the same and $n^*$ is not, so they do not decide; and with infinitely many features, where both counts are infinite, $n^*$ is finite. Ridge
# regression keeps 700 coefficients in check with fewer examples than that. What decides is how many functions the network treats as it treats the target: to RFMLP all
# polynomials of the degree in $(N+1)d$ coordinates are alike, to RFA those in one key and the query, by (4) (1 point).

# %% [markdown] tags=["task"]
# Write `rfa_features` for NumPy arrays, without `einsum` or a product of tensors: one loop over heads and one over keys will do. Each token gets a one at its end,
# $\tilde x=(x,1)$. The features of one head stand side by side: the first $d+1$ columns belong to the first head.

# %% tags=["given"]
import numpy as np


# %% tags=["solution"]
def rfa_features(x, w):
    """Features of random-feature attention, equation (1) without the trained vectors.

    Parameters
    ----------
    x : numpy.ndarray, (n, N + 1, d)
        Tokens of n examples, the query first.
    w : numpy.ndarray, (heads, d + 1, d + 1)
        The frozen matrices: rows for the query, columns for keys.

    Returns
    -------
    numpy.ndarray, (n, heads * (d + 1))
    """
    ### BEGIN SOLUTION
    n, tokens, d = x.shape
    tilde = np.concatenate([x, np.ones((n, tokens, 1))], axis=2)
    query, keys = tilde[:, 0], tilde[:, 1:]
    out = np.zeros((n, len(w), d + 1))
    for m in range(len(w)):
        turned = query @ w[m]  # (n, d + 1)
        for i in range(tokens - 1):
            score = np.maximum((turned * keys[:, i]).sum(1), 0)
            out[:, m] += score[:, None] * keys[:, i] / (tokens - 1)
    return out.reshape(n, -1)
    ### END SOLUTION


# %% tags=["example"]
rng = np.random.default_rng(0)
print(rfa_features(rng.standard_normal((2, 4, 3)), rng.standard_normal((2, 4, 4))).round(2))

# %% tags=["tests"] points=1
found = rfa_features(np.array([[[1.0], [2.0]]]), np.eye(2)[None])
assert found.shape == (1, 2), f"one example, one head, d = 1: the shape is {found.shape}"
assert np.allclose(found, [[6, 3]]), f"query 1, key 2, W = 1: {found}; (1, 1) @ (2, 1) is 3"

# %% tags=["tests"] points=1
rng = np.random.default_rng(1)
x, w = rng.standard_normal((20, 6, 3)), rng.standard_normal((5, 4, 4))
features = rfa_features(x, w)
assert features.shape == (20, 20), f"20 examples, 5 heads, d = 3: the shape is {features.shape}"
moved = abs(rfa_features(x[:, [0, 3, 5, 1, 2, 4]], w) - features).max()
assert moved < 1e-10, f"permuting the keys moves the features by {moved}"
moved = abs(rfa_features(x[:, [1, 0, 2, 3, 4, 5]], w) - features).max()
assert moved > 0.1, "query and first key exchanged: the features must not stay the same"
moved = abs(rfa_features(x, 3 * w) - 3 * features).max()
assert moved < 1e-10, f"3 w must give 3 times the features; they are off by {moved}"

# %% tags=["tests"] points=2
zero = abs(rfa_features(x, 0 * w)).max()
assert zero == 0, f"without weights all scores are 0, yet there is a feature {zero}"
### BEGIN HIDDEN TESTS
three = np.array([[[1.0], [2.0], [-3.0]]])
found = rfa_features(three, np.array([[[1.0, 0.0], [0.0, 0.0]]]))
message = f"query 1, keys 2 and -3: {found}; one of two keys fits, so (2, 1) * 2 / 2"
assert np.allclose(found, [[2, 1]]), message
found = rfa_features(three, np.array([[[0.0, 1.0], [0.0, 0.0]]]))
message = f"a matrix that multiplies the query with the one of the key: {found}"
assert np.allclose(found, [[-0.5, 1]]), message
tilde = np.concatenate([x, np.ones((20, 6, 1))], axis=2)
scores = np.einsum("na,mab,nib->nmi", tilde[:, 0], w, tilde[:, 1:]).clip(0)
wanted = np.einsum("nmi,nib->nmb", scores, tilde[:, 1:]).reshape(20, -1) / 5
gap = abs(features - wanted).max()
assert gap < 1e-10, f"random tokens and matrices: features are off by {gap:.3f}"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: lets the key meet the rows of W and the query its columns; for random W alike in law, and another network.
def rfa_features(x, w):
    n, tokens, d = x.shape
    tilde = np.concatenate([x, np.ones((n, tokens, 1))], axis=2)
    out = np.zeros((n, len(w), d + 1))
    for m in range(len(w)):
        for i in range(1, tokens):
            score = np.maximum((tilde[:, i] @ w[m] * tilde[:, 0]).sum(1, keepdims=True), 0)
            out[:, m] += score * tilde[:, i] / (tokens - 1)
    return out.reshape(n, -1)


# %% tags=["wrong"]
# Wrong: averages the keys before the score, so that ReLU sees one mean key; with one key it is right.
def rfa_features(x, w):
    n, tokens, d = x.shape
    tilde = np.concatenate([x, np.ones((n, tokens, 1))], axis=2)
    mean = tilde[:, 1:].mean(1)
    blocks = [np.maximum((tilde[:, 0] @ v * mean).sum(1), 0)[:, None] * mean for v in w]
    return np.concatenate(blocks, axis=1)


# %% [markdown] tags=["open"]
# - What is expected is written down for both ends of the temperature before any run. At one end all scores are alike: every head then gives the plain mean of the keys,
#   only $d+1$ different features are left, and of the targets only the average with $p=1$ can be learnt in full. At the other the best key takes all. (1 point)
# - The first end is used as a check of the code, and temperatures form a ladder that is fixed beforehand. (1 point)
# - ReLU and softmax get the same features, data, and way to choose the ridge, in several seeds, with differences within a seed and on several targets. (1 point)
# - The pooled network stands beside them, so that what is owed to averaging is not credited to scores that compete; where an effect goes against what was expected,
#   that is said. (1 point)
#
# Typical mistakes: a temperature chosen on the half of the test set that is reported; comparing at one number of examples where all have learnt; "softmax is worse"
# from the default scale alone, where the scores of tokens of norm 1 may be near either end.
