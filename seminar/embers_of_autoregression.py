# ---
# jupyter:
#   seedbook:
#     short: 1
#     coding: 2
#     open: 3
#     uses: [world]
# ---

# %% [markdown] tags=["guide"]
# ## The point
#
# A model leans on what is probable where the task leaves it in doubt. The published answers show the leaning, for stimuli that were sorted and not drawn by lot; the world made by hand shows what it takes, a language *and* a blurred task,
# and either can be switched off. Between "the model has a bias" and "the model reasons well from poor evidence" lies the whole hour.
#
# ## Where students stumble
#
# - *"The prior makes the errors."* In (1) a prior is powerless as long as the first factor is sharp. Without slips the common cipher has hardly a gap, with the same language.
# - *"Rare strings are harder."* The twin reads the very same strings under the same cipher. What it lacks is a language in which they are rare.
# - Whole strings exaggerate: the share right is about the sixth power of the share of right letters (the eighth in `full`, whose strings are longer), so that 97 % of letters are five strings in six. Have them look for the letters in the verdict on x1.
# - At the floor nothing can show. A model that cannot decode at all has no gap, and with a chain of thought the gap has more room: neither says that leaning is weak or strong.
# - The unit of c1 to c6 is the question. Intervals speak of other sentences, not of other models or tasks.
#
# ## The discussion
#
# *Autoregression or noisy data?* In the world it takes both a language to lean on and a reason to lean: slips, or for the rare cipher too little practice, which `full` makes good. "Noisy data" is thus half of one answer. Autoregression was not varied, since all networks are trained to continue texts, and the chapter cannot say what it adds.
#
# *A decoder that is not autoregressive?* The Viterbi decoder of exercise 2 searches over whole strings and has the gap all the more: it reads all of the most probable strings and none of the least probable, for it takes every string for prose. The training texts have a tenth of strings of any letters; a reader who reckons with that, too,
# gets the least probable strings right again and errs in the middle bin only (computed for languages with the default parameters). The network lies between the two. So leaning on a prior is no peculiarity of writing from left to right, and this network leans more than its training texts justify.
#
# *Sorting numbers.* Look at its row in the second figure, model by model. One model answers nearly everything in either direction, which is a ceiling. GPT-4 is below the ceiling and shows hardly a gap, which counts against the prediction; two others do show one. It is also not clear how rare sorting downwards is, and by what it should be counted.
#
# ## On the board
#
# 1. Bayes with two letters, 0.9 and 0.1, and slips with probability $\varepsilon$: when the rarer is seen, compare $0.1(1-\varepsilon)$ with $0.9\,\varepsilon$. The decoder changes its mind at $\varepsilon=0.1$.
# 2. A square, language structured or flat, slips or none. Students enter the gap they expect in each cell; then figures 1 and 3.
# 3. $0.97^6\approx0.83$: letters against strings.
# 4. Formula (2) and what $b_2$ cannot do: it holds length and input equal, not how often a sentence was read in training.
#
# ## Time
#
# Eighty minutes: ten of bets, twenty-five of board, twenty-five of figures and verdicts, twenty of discussion. The short exercise takes 15 minutes, the coding one 45, the open one an afternoon. The chapter's `quick` run takes about three minutes.

# %% [markdown] tags=["short"]
# Seen the rarer letter, the decoder weighs $0.1\,(1-\varepsilon)$ for it against $0.9\,\varepsilon$ for the commoner one, so it answers with the commoner one if $\varepsilon>0.1$. Seen the commoner letter, it stays with it as long as $0.9\,(1-\varepsilon)>0.1\,\varepsilon$, that is $\varepsilon<0.9$. Hence it never answers with the
# rarer letter for $0.1<\varepsilon<0.9$ (at either end there is a tie). (1 point)
#
# On clean questions it is then right whenever the truth is the commoner letter, never when it is the rarer one: 0.9 if questions come as the language does, one half if both letters are asked equally often, and a gap of 1 between the two "bins". It is the best decoder all the same, for questions with slips. (1 point)

# %% [markdown] tags=["task"]
# The channel is that of the chapter: a letter $y$ is written as `code[y]`, and with probability `noise` what was written is replaced by a letter drawn evenly from all $K$, the same letter included. `score` is the logarithm of (1) for one answer, to check with; `rows[i, j]` is $P(j\mid i)$, and the first letter is drawn evenly.
# Of the functions above you need `log_prob` at most, and for the example `language` and `test_bins`; `training_texts` and `answer` call packages that are not loaded here.
# What is checked: short strings against a search of all answers, a channel without noise, two letters, and strings of several hundred letters, for which products of probabilities vanish. The example prints what the last question asks for; the network's gap stands in the first figure of the chapter.

# %% tags=["given"]
import itertools

import numpy as np


def score(answer, source, code, rows, noise):
    """Log P(source | answer) + log P(answer), in nats."""
    same = code[np.asarray(answer)] == np.asarray(source)
    channel = noise / len(code) + (1 - noise) * same
    return np.log(np.maximum(channel, 1e-300)).sum() + log_prob(rows, np.asarray(answer))


def search(source, code, rows, noise):
    """The highest score of all answers."""
    every = itertools.product(range(len(code)), repeat=len(source))
    return max(score(answer, source, code, rows, noise) for answer in every)


# %% tags=["solution"]
def viterbi(source, code, rows, noise):
    """The most probable string of the language given a noisy cipher.

    Parameters
    ----------
    source : array of n int
        The letters that are seen.
    code : array of K int
        The cipher: letter y is written as code[y].
    rows : array of shape (K, K)
        P(next letter | letter), all positive.
    noise : float
        Share of written letters that are replaced by any letter, from 0 to below 1.

    Returns
    -------
    array of n int
    """
    ### BEGIN SOLUTION
    same = np.asarray(source)[:, None] == np.asarray(code)
    emission = np.log(np.maximum(noise / len(code) + (1 - noise) * same, 1e-300))
    step, best, back = np.log(rows), emission[0], []
    for seen in emission[1:]:
        paths = best[:, None] + step  # (from, to)
        back.append(paths.argmax(0))
        best = paths.max(0) + seen
    answer = [int(best.argmax())]
    for came_from in reversed(back):
        answer.append(int(came_from[answer[-1]]))
    return np.array(answer[::-1])
    ### END SOLUTION


# %% tags=["example"]
rng = np.random.default_rng(0)
rows, code = language(16, 0.08, rng), rng.permutation(16)
for name, strings in test_bins(rows, 100, 6, rng).items():
    right = [(viterbi(code[y], code, rows, 0.1) == y).all() for y in strings]
    print(f"{name}: {np.mean(right):.0%} of clean strings read")

# %% tags=["tests"] points=2
rng = np.random.default_rng(1)
rows, code = language(4, 0.5, rng), rng.permutation(4)
string = rng.integers(4, size=12)
got = np.asarray(viterbi(code[string], code, rows, 0.0))
assert np.array_equal(got, string), f"without noise the cipher is exact: {got}, not {string}"
for _ in range(5):
    source = rng.integers(4, size=4)
    got = score(viterbi(source, code, rows, 0.1), source, code, rows, 0.1)
    best = search(source, code, rows, 0.1)
    assert got > best - 1e-9, f"{source}: score {got:.4f}, a search finds {best:.4f}"
### BEGIN HIDDEN TESTS
for K, n, noise in [(2, 6, 0.6), (3, 5, 0.3), (4, 4, 0.05), (5, 4, 0.5)]:
    for _ in range(8):
        rows, code = language(K, 0.5, rng), rng.permutation(K)
        source = rng.integers(K, size=n)
        got = score(viterbi(source, code, rows, noise), source, code, rows, noise)
        best = search(source, code, rows, noise)
        assert got > best - 1e-9, f"K = {K}, noise = {noise}: {got:.4f}, not {best:.4f}"
### END HIDDEN TESTS

# %% tags=["tests"] points=2
rng = np.random.default_rng(2)
rows, code = language(16, 0.08, rng), rng.permutation(16)
truth = draw_strings(rows, 1, 400, rng)[0]
got = np.asarray(viterbi(code[truth], code, rows, 0.1))
assert got.shape == (400,), f"400 letters need 400 answers; got the shape {got.shape}"
assert (got == truth).mean() > 0.8, f"of a clean text {(got == truth).mean():.0%} is read"
### BEGIN HIDDEN TESTS
slips = rng.random(400) < 0.3
source = np.where(slips, rng.integers(16, size=400), code[truth])
got = viterbi(source, code, rows, 0.3)
value = np.log(0.3 / 16 + 0.7 * (code == source[0])) - np.log(16)
for seen in source[1:]:  # the highest score of a string up to here, by its last letter
    emission = np.log(0.3 / 16 + 0.7 * (code == seen))
    value = emission + (value[:, None] + np.log(rows)).max(0)
short = value.max() - score(got, source, code, rows, 0.3)
assert abs(short) < 1e-6, f"400 letters with slips: {short:.3f} nats below the best"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: takes the best letter after the one just chosen and never looks back, so that a slip cannot be mended by what follows.
def viterbi(source, code, rows, noise):
    channel = lambda seen: np.maximum(noise / len(code) + (1 - noise) * (code == seen), 1e-300)
    answer = [int(np.argmax(channel(source[0])))]
    for seen in source[1:]:
        answer.append(int(np.argmax(channel(seen) * rows[answer[-1]])))
    return np.array(answer)


# %% tags=["wrong"]
# Wrong: lets a slip never be the right letter, so that right letters count for too little and slips for too much.
def viterbi(source, code, rows, noise):
    same = np.asarray(source)[:, None] == code
    channel = np.where(same, 1 - noise, noise / (len(code) - 1))
    emission, step = np.log(np.maximum(channel, 1e-300)), np.log(rows)
    best, back = emission[0], []
    for seen in emission[1:]:
        back.append((best[:, None] + step).argmax(0))
        best = (best[:, None] + step).max(0) + seen
    answer = [int(best.argmax())]
    for came_from in reversed(back):
        answer.append(int(came_from[answer[-1]]))
    return np.array(answer[::-1])


# %% [markdown] tags=["open"]
# - Two tasks with one right answer each, on the same questions, and a reason why their difficulty is equal that does not use the accuracies to be explained. (1 point)
# - Frequency is estimated from a named collection of texts by counting something stated, with its error; difficulty independently, by steps of an algorithm, by people, or by a small network trained on both equally. (1 point)
# - What else differs is listed (tokens, letters used, examples with answers, words that name the task), and at least one of these is made equal or measured. (1 point)
# - The analysis is fixed beforehand: accuracy paired by question, floors and ceilings excluded by a rule, several pairs of tasks, since one pair is one observation of frequency. (1 point)
#
# Typical mistakes: difficulty judged by how the model does; frequency judged from memory; a pair of which one task is at the floor in every model.
