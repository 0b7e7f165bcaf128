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
# A rule for generating text comes with a theory of people: they choose words that surprise as much as expected. The rule can be tested without the theory, and the theory
# cannot be tested by the rule. Both tests hang on one habit, which is what this hour teaches: say what is held equal. Words that the model draws itself are the control for the theory,
# a nucleus of equal entropy or equal mean surprise and plain sampling are the controls for the rule.
#
# ## Where students stumble
#
# - *"Human deviations lie around zero, so people write typically."* For words drawn from the model the mean deviation is zero by definition. A model that predicts people well gives people the same density.
# - *"Typical sampling keeps the words of middling probability."* Where the entropy is small the favourite is itself the word nearest to it, and stays. It is dropped where the model hesitates.
# - The mass $\tau$ is a lower limit. The word that crosses it is kept, so a set for $\tau=0.2$ can hold much more than 0.2 of the probability. In exercise 2 the first word enters once $\tau$ exceeds 0.2.
# - *"Fewer repeats, better text."* The figure of repetition has a line for plain sampling. Ask who wins if repetition is all that counts.
# - At a human position repetition is an exact expectation, one word ahead. Loops need a generator that reads its own words, and only c3 sees them.
#
# ## The discussion
#
# *Little repetition.* It shows that one known fault is absent. Plain sampling has little of it at no cost, and words drawn evenly from the vocabulary would have less still, so it cannot be a sign of quality by itself. Human text
# has a rate of its own, which is a target with two sides. Whether a text that meets it is read with more pleasure is a question for readers, and c5 leaves it open.
#
# *A model's entropy and people.* $H_t$ is the uncertainty of the model. As long as the only finding is that human words match it on average, the finding is about the fit of the model. Support needs a prediction that good fit alone does not make:
# that human words lie *nearer* to $H_t$ than the model's own at the same places (c1b), or something measured on people that was not used in training, such as reading times or the choice between two ways to say the same thing.
#
# *What would refute even spreading?* Take choices that leave the meaning alone, for instance an optional *that*, and see whether speakers use the longer form where the next words carry much information. If they do so no more often than elsewhere, spreading is refuted
# for that choice. It remains open at which scale evenness is meant (sound, word, sentence), by which measure, and under whose model of the language; a hypothesis that leaves all three free is hard to refute.
#
# ## On the board
#
# 1. Bars of $p=(.5,.2,.1,.1,.05,.05)$, and above each bar its surprisal 0.69, 1.61, 2.30, 2.30, 3.00, 3.00. Draw the line $H=1.43$. Which word is nearest? The second; the favourite is four times as far from it.
# 2. $\mathbb E_p[I-H]=H-H=0$, one line. Write under it: *for any model, good or bad*.
# 3. Two axes, entropy left and repeats. Two curves, nucleus and typical, that meet on the right. A vertical line compares at equal entropy; a comparison "at the usual settings" joins two points that differ in both.
# 4. A table with the rows *nucleus at 0.9*, *nucleus of equal entropy*, *nucleus of equal surprise*, *plain*, and the column *what is held equal*. Students fill it in before they see the verdicts on c2, x1 and x2.
#
# ## Time
#
# Seventy minutes: ten of bets, twenty-five of board, twenty of verdicts and figures, fifteen of discussion. The short exercise takes 15 minutes, the coding one 30, the open one an afternoon on paper.
# The chapter's `quick` run takes about three minutes.

# %% [markdown] tags=["short"]
# A word drawn from the model has the law $p(\cdot\mid y_{<t})$, so $\mathbb E[\varepsilon_t]=\sum_y p(y)\,(I_t(y)-H_t)=\sum_y p(y)\,I_t(y)-H_t=H_t-H_t=0$, since the probabilities sum to one. Nothing was assumed of the model. (1 point)
#
# A human density centred at zero is therefore what any model gives that predicts people as well as it predicts itself. The density has to be compared with that of the model's own words at the *same* positions, and has to be narrower: human words must lie
# nearer to $H_t$ on average, $\mathbb E|\varepsilon^{\text{human}}|<\mathbb E|\varepsilon^{\text{model}}|$, with an interval over documents. A mean of zero does not even show a good fit, since high and low deviations may cancel. (1 point)

# %% [markdown] tags=["task"]
# `typical_keep` returns a mask, True for the words that are kept: those nearest to the entropy, up to and *including* the word that brings their mass to `tau`. What is checked: the set of the wording, your answer to its
# question (by calling your function on both sides of the value), predictions of many shapes, and words of probability nought, which a model that masks words produces. The order of words at equal distance is free.

# %% tags=["given"]
import numpy as np


# %% tags=["solution"]
def typical_keep(p, tau):
    """The locally typical set of one prediction.

    Parameters
    ----------
    p : array of shape (n,)
        Probabilities, which sum to one. Some may be nought.
    tau : float
        The mass to be reached, above 0 and below 1.

    Returns
    -------
    array of shape (n,)
        Booleans, True for a word that is kept.
    """
    ### BEGIN SOLUTION
    p = np.asarray(p, dtype=float)
    surprisal = np.full(len(p), np.inf)
    surprisal[p > 0] = -np.log(p[p > 0])
    entropy = (p[p > 0] * surprisal[p > 0]).sum()
    order = np.argsort(np.abs(surprisal - entropy))
    before = np.cumsum(p[order]) - p[order]  # mass of the words that are nearer
    keep = np.zeros(len(p), dtype=bool)
    keep[order[before < tau]] = True
    return keep & (p > 0)
    ### END SOLUTION


# %% tags=["example"]
print(typical_keep([0.5, 0.2, 0.1, 0.1, 0.05, 0.05], 0.15))

# %% tags=["tests"] points=2
example = np.array([0.5, 0.2, 0.1, 0.1, 0.05, 0.05])
kept = np.asarray(typical_keep(example, 0.15))
assert kept.shape == (6,), f"the mask needs one entry a word, not the shape {kept.shape}"
assert kept.dtype == bool, f"the mask needs booleans, not {kept.dtype}"
assert list(np.flatnonzero(kept)) == [1], f"kept {np.flatnonzero(kept)}, expected [1]"
kept = np.flatnonzero(typical_keep([0.9, 0.06, 0.03, 0.01], 0.5))
assert list(kept) == [0], f"a sure model: kept {kept}, expected [0], its favourite"

# %% tags=["tests"] points=2
kept = np.flatnonzero(typical_keep(np.full(8, 0.125), 0.45))
assert len(kept) == 4, f"of 8 equal words, 4 reach the mass 0.45; {len(kept)} are kept"
### BEGIN HIDDEN TESTS
assert not typical_keep(example, 0.19)[0], "tau = 0.19: the second word suffices"
assert list(np.flatnonzero(typical_keep(example, 0.21))) == [0, 1], (
    "tau = 0.21: the second word has 0.2, so the next nearest, the first, must enter"
)
generator = np.random.default_rng(3)
for alpha in (0.03, 0.3, 3.0):
    for tau in (0.1, 0.4, 0.8):
        p = generator.dirichlet(np.full(40, alpha))
        p[:5] = 0
        p /= p.sum()
        keep = np.asarray(typical_keep(p, tau))
        some = p > 1e-300
        k, q, surprisal = keep[some], p[some], -np.log(p[some])
        distance = np.abs(surprisal - (q * surprisal).sum())
        assert not keep[:5].any(), "words of probability nought must not be kept"
        assert q[k].sum() >= tau, f"the kept mass {q[k].sum():.3f} is below tau = {tau}"
        last = np.flatnonzero(k)[distance[k].argmax()]
        assert q[k].sum() - q[last] < tau, "the farthest word kept was not needed"
        assert k.all() or distance[k].max() < distance[~k].min() + 1e-9, (
            "a word was dropped that is nearer to the entropy than one kept"
        )
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: leaves out the word that crosses tau (and keeps one word at least), so that the mass falls short of tau.
def typical_keep(p, tau):
    p = np.asarray(p, dtype=float)
    surprisal = -np.log(np.maximum(p, 1e-12))
    order = np.argsort(np.abs(surprisal - (p * surprisal).sum()))
    inside = np.cumsum(p[order]) <= tau
    inside[0] = True
    keep = np.zeros(len(p), dtype=bool)
    keep[order[inside]] = True
    return keep


# %% tags=["wrong"]
# Wrong: compares probabilities with exp(-H) instead of surprisals with H, so that the order is another.
def typical_keep(p, tau):
    p = np.asarray(p, dtype=float)
    entropy = -(p * np.log(np.maximum(p, 1e-12))).sum()
    order = np.argsort(np.abs(p - np.exp(-entropy)))
    before = np.cumsum(p[order]) - p[order]
    keep = np.zeros(len(p), dtype=bool)
    keep[order[before < tau]] = True
    return keep & (p > 0)


# %% [markdown] tags=["open"]
# - The rule is written as a formula with one parameter, and it is said what happens where the entropy is low and where it is high. (1 point)
# - The parameter is set on some documents and the rule judged on others; repetition is held against the nucleus, typical and plain sampling, with equal entropy or equal mean surprise, and it is said which. (1 point)
# - The study with readers is fixed beforehand: blind and in random order, several texts a rule, the text or document as the unit, a number of readers that can show the smallest difference of interest, and what will count as better. (1 point)
# - Human text and plain sampling are rated too, and it is said which result would lead one to give the rule up. (1 point)
#
# Typical mistakes: perplexity under the generating model taken for quality; every rating counted as independent although a reader gives many; the best parameter chosen from the ratings themselves.
