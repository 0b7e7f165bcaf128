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
# A survey of a model measures the model, the sheet and the nation that it is told to speak for, all at once; only a design that varies each of them says which of the three was measured. Here the sheet wins by far.
# The second lesson is about nulls: an index that is adjusted for chance is adjusted for *one* chance, and a part compared with its whole, or answers paired with the wrong questions, need another.
#
# ## Where students stumble
#
# - *"So language models have no culture."* The verdicts are about four sheets in the hands of a very small model, which reads hardly anything but the place of an option. The chapter says so; a larger `model` is the first thing to try.
# - The two ratios. (2) sets the model's variance over sheets beside the variance between *real nations*; (3) sets it beside the variance between the model's own *personas*. Noise alone makes (3) about 1, which is why x1 asks for 2; (2) has no such value.
# - *"No sampling, so no uncertainty."* The score (1) is exact for one question on one sheet. The intervals are over questions, which are a sample.
# - A correlation near nought between the model's steering and the people's (c3) could be mere noise. Look at `steering_mirrored` in the verdict's text: with the options turned round the moves do not scatter, they change sign. That is a habit of place.
# - c4 stays open for want of a preference. Whether something vanishes cannot be asked where there was nothing.
#
# ## The discussion
#
# *Which randomness?* None of sampling: nothing is drawn. The randomness is that of the evaluator's choices. Many sheets would have been equally good, one was taken, and the answer depends on which; seen from the question that was meant to be asked, the sheet is a random effect, however
# deterministic the model is once it lies before it.
#
# *Measurement or treatment?* A treatment always: words are added, and the change of the answers is their effect. A measurement only if one adds that the model has a disposition for each nation and that the words select it. That is an assumption with consequences: the moves should agree across sheets, and
# with how people differ. c3 tests both.
#
# *People on all four sheets.* We do not know; it is the control that is missing, here and in the paper. Survey research has long known that people too are moved by the order of options and by a middle category. The honest form of c1 has people's own variance over sheets beside the model's; until it is measured,
# $R$ compares sheets for one with nations for the other.
#
# *The questions of the coding exercise.* Of the agreement about one sixteenth is left, since only what whole batches have in common survives; on the chapter's table it falls from about 0.6 to below 0.05. A test on the answers alone: permute within batches *once more*. An intact table loses most of its agreement
# by this, a scrambled one nothing; the size of the batch need be known only roughly. Answers outside a question's range are a second sign where questions differ in their number of options.
#
# ## On the board
#
# 1. The four sheets (digits or letters, up or down) as a table with one model's answers to one question. Average over rows, over columns: which differences are left?
# 2. $R$ and $\rho$, equations (2) and (3), as two arrows out of the same numerator.
# 3. Six circles, five of them shaded: part and whole. Then three and the other three. Which comparison can be high without any relation between the dimensions?
# 4. A table nations by questions; shuffle each row within brackets of four. Every entry is still a valid answer, every row keeps its mean. What has gone?
#
# ## Time
#
# Seventy minutes: ten of bets (how large is $R$?), twenty-five of board, twenty of discussion, fifteen on the salmon's rules. The short exercise takes 10 minutes, the coding one 40, the open one an afternoon. The chapter's `quick` run takes two to three minutes and wants the language model
# (a pip package) and the authors' tables.

# %% [markdown] tags=["short"]
# "Adjusted for chance" means: the expected value is nought if one labelling is held fixed and the other is dealt to the countries at random, with groups of the same sizes (1 point).
#
# The two groupings here are not dealt independently. Five of the six coordinates are the same numbers in both, so the distances between countries are nearly the same, and countries that are near each other by five dimensions are near by six. The index is right to be positive: the groupings do agree,
# because the part is in the whole and not because one dimension tells of another. The null for *extrapolation* has independent dimensions, or leaves the subset out: subset against complement, where the expectation is nought (1 point).

# %% [markdown] tags=["task"]
# Write `arrive`, and below it in the same cell `agreement(X)`, which returns an array with one number for each row of `X`: the mean of its correlations (Pearson's) with the *other* rows.
#
# The people's table of the chapter comes over the network, so `people` here is an artificial one of the same shape and about the same agreement; in the chapter's own notebook, `people.to_numpy()` is the real one. Answer the two questions on both if you can, in words, in a cell of your own.

# %% tags=["given"]
import numpy as np

_rng = np.random.default_rng(2025)
_questions, _nations = _rng.uniform(0.2, 0.8, 133), _rng.normal(0, 0.14, (17, 133))
people = np.clip(_questions + _nations, 0, 1)  # nations x questions


# %% tags=["solution"]
def arrive(rng, X, size):
    """The rows of X with their entries permuted within batches of neighbouring columns.

    Each row gets permutations of its own, since each nation's answers arrive by themselves.

    Parameters
    ----------
    rng : numpy.random.Generator
    X : numpy.ndarray
        Nations x questions; it is left as it is.
    size : int
        Columns in a batch; the last batch has what is left.

    Returns
    -------
    numpy.ndarray
        Of the shape of X.
    """
    ### BEGIN SOLUTION
    batches = [X[:, i : i + size] for i in range(0, X.shape[1], size)]
    return np.hstack([rng.permuted(batch, axis=1) for batch in batches])


def agreement(X):
    """The mean correlation of each row with the others, (rows,)."""
    r = np.corrcoef(X)
    return (r.sum(axis=1) - 1) / (len(X) - 1)
    ### END SOLUTION


# %% tags=["example"]
for size in (1, 4, 16, 133):
    left = agreement(arrive(np.random.default_rng(0), people, size))
    print(f"batches of {size}: {left.mean():.3f}")

# %% tags=["tests"] points=2
before, rng = people.copy(), np.random.default_rng(1)
arrived = arrive(rng, people, 16)
assert arrived.shape == people.shape, f"the shape is {arrived.shape}, not {people.shape}"
assert np.array_equal(people, before), "the table that was given has changed; work on a copy"
assert np.array_equal(arrive(rng, people, 1), people), "batches of one leave all in its place"
assert not np.array_equal(arrived, people), "nothing has moved"
### BEGIN HIDDEN TESTS
for size in (2, 16, 50, 133, 500):
    arrived = arrive(rng, people, size)
    for i in range(0, people.shape[1], size):
        a, b = (np.sort(x[:, i : i + size], axis=1) for x in (arrived, people))
        assert np.array_equal(a, b), f"size {size}: the batch from column {i} has other answers"
numbers = np.tile(np.arange(32.0), (200, 1))
arrived = arrive(rng, numbers, 16)
assert len({tuple(row) for row in arrived}) > 190, "each row needs a permutation of its own"
assert np.all(np.abs(arrived[:, :16].mean(0) - 7.5) < 1.6), "not all orders are equally likely"
### END HIDDEN TESTS

# %% tags=["tests"] points=2
a = np.array([0.0, 1.0, 3.0, 2.0])
found = agreement(np.stack([a, a, 2 * a + 1]))
assert np.shape(found) == (3,), "one number for each row"
assert np.allclose(found, 1), f"rows that rise and fall together correlate by 1, not by {found}"
### BEGIN HIDDEN TESTS
found = agreement(np.stack([a, 5 * a, -a]))
assert np.allclose(found, [0, 0, -1]), (
    f"expected 0, 0 and -1, got {found}: others only, and correlations"
)
table = np.random.default_rng(3).normal(size=(5, 30)).cumsum(0)
wanted = [
    np.mean([np.corrcoef(table[i], table[j])[0, 1] for j in range(5) if j != i]) for i in range(5)
]
assert np.allclose(agreement(table), wanted), (
    "the mean of correlations, not a correlation with a mean"
)
intact = np.mean(agreement(people))
left = np.mean([agreement(arrive(np.random.default_rng(s), people, 16)).mean() for s in range(5)])
assert 0.4 < intact < 0.8 and left < 0.1, (
    f"of {intact:.2f} a sixteenth or so is left, not {left:.2f}"
)
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: all nations get the same permutation, as if questions had been renamed; agreement stays what it was.
def arrive(rng, X, size):
    order = np.arange(X.shape[1])
    for i in range(0, len(order), size):
        order[i : i + size] = rng.permutation(order[i : i + size])
    return X[:, order]


def agreement(X):
    r = np.corrcoef(X)
    return (r.sum(axis=1) - 1) / (len(X) - 1)


# %% tags=["wrong"]
# Wrong: each row's correlation with itself is averaged in, so that 17 unrelated nations agree by 1/17.
def arrive(rng, X, size):
    out = X.copy()
    for i in range(0, X.shape[1], size):
        out[:, i : i + size] = rng.permuted(out[:, i : i + size], axis=1)
    return out


def agreement(X):
    return np.corrcoef(X).mean(axis=1)


# %% [markdown] tags=["open"]
# - Forms, statistic, threshold and number of questions are written down before the first question is asked, with the result that would count *against* alignment. (1 point)
# - There are several forms, and the statistic is an agreement that survives averaging over them or is shown form by form; labels and order are crossed. (1 point)
# - It has a null and a positive control that go through the same code: respondents with a nation's opinions must be found, answers dealt to the wrong nations must not. (1 point)
# - The unit is said (question, nation or model) with the precision to be expected from it, and how refusals and mass beside the labels are counted. (1 point)
#
# Typical mistakes: nations chosen after a look at which of them the model resembles; a null of random answers, against which any text that follows the people's average does well; "statistically different from nought" in place of a size that would matter.
