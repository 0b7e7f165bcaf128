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
# A reward that does not depend on the answers teaches nothing in expectation, so a gain under "random" rewards has another cause: what was read before, the habit of answering, or the luck of one run. The chapter builds networks of which it is known what they have read, takes accuracy apart into format and
# skill, and shows how a reward that is random for every readable answer can still bring back a memory.
#
# ## Where students stumble
#
# - *"Mean nought, so nothing moves."* The expected gradient is nought, a gradient is not, and Adam makes steps of full size of it. Single runs under coins drift (x3); whoever has one run of one model sees a gain or a loss.
# - Purely random and *gated* random. The gate gives nought to what cannot be read. That is one bit about the answer, and one bit is enough.
# - *"Inverted rewards unlearn arithmetic."* Read the share answered beside the accuracy: silence is never right, so it always pays. Made to answer, the network calculates much as before.
# - Equation (2) has an $\approx$. The second factor is taken on *all* prompts with only digits allowed, those included that the network would not have answered.
# - *Start* and *boundary* are the same base network, asked with the template and without. A gain over the start may lie wholly below the boundary; c2b asks whether it does.
# - The audit finds what is repeated word for word. That it finds nothing does not show that nothing was read.
#
# ## The discussion
#
# *Which control?* Any of three. The same training scored on problems drawn after it, which nobody can have read; the share of prompts answered, printed beside the accuracy; several runs of each reward, so that drift shows as scatter. The first removes the memory, the second the format, the third the luck.
#
# *Fault or use?* It depends on what is claimed. As a way to make a model say what it knows, bringing out a memory is a use. As evidence that reasoning was learnt it is a fault, of the evidence and not of the training.
#
# *The boundary.* There is none without a way of asking. The likeliest answer, the best of sixteen and the best prompt give rising lines, and "beyond what the base could do" is a statement about one of them. The chapter fixes one rule: the same decoding on both sides, and the base asked as it was pretrained;
# the verdicts give the result for sampled and for likeliest answers. Which line matters to a user remains open.
#
# *Exercise 4* is a second short one. Without chatter the template hides nothing: x1 loses the format that it measures, and c4b and c5 the gain on the read benchmark that both ask for. Claims about waking need something asleep.
#
# ## On the board
#
# 1. $\mathbb E[A\,\nabla\log\pi(y)]=\mathbb E[A]\;\mathbb E[\nabla\log\pi(y)]$, and each factor is nought. Which word allowed the product? *Independent.*
# 2. The gate as a table: readable or not, heads or tails. Mean reward of each row: one half and nought. Where is the dependence?
# 3. A rectangle for (2): width the share answered, height the share right when made to answer. Draw the moves under each reward.
# 4. The twins: two networks, two benchmarks, a cross where read. Diagonal minus the rest; what cancels?
#
# ## Time
#
# Eighty minutes: ten of bets (which reward gains on fresh problems?), thirty of board, twenty-five of discussion, fifteen with the figure of format and skill. The short exercise takes 15 minutes, the coding one 30, the open one an afternoon or more. The chapter's `quick` run takes about a minute.

# %% [markdown] tags=["short"]
# At $\rho=1$ the gradient of a term of (1) is $A_i\nabla\log\pi(y_i)$. Without the mean, $A_i=r_i$, and $r_i$ is independent of $y_i$: $\mathbb E[r_i\nabla\log\pi(y_i)]=\mathbb E[r_i]\,\mathbb E[\nabla\log\pi(y_i)]$, with
# $\mathbb E[\nabla\log\pi(y)]=\sum_y\pi(y)\,\nabla\pi(y)/\pi(y)=\nabla\sum_y\pi(y)=\nabla1=0$. With $\bar r$ subtracted (and divided by the deviation) $A_i$ is a function of the group's rewards alone, which are independent of all answers, so the same product holds; that $\mathbb E[A_i]=0$ too is not even needed (1 point).
#
# At the second update $\rho\ne1$. Without the clip nothing would be lost yet: for weights that do not depend on these answers, $\mathbb E[\rho\,\nabla\log\pi]=\sum_y\pi_{\text{old}}\,(\pi/\pi_{\text{old}})\,\nabla\log\pi=\nabla1=0$. But (1) drops the gradient where $A>0$ and $\rho>1+\varepsilon$, and where $A<0$ and
# $\rho<1-\varepsilon$. What is dropped depends on the answer, through $\rho$, together with the sign of $A$: the expectation is no longer a product, and the two truncated halves need not cancel (1 point).
#
# (A good answer may add that if the *same* answers served twice, the new weights would depend on these rewards and answers. In this chapter the second update takes the other half of the prompts.)

# %% [markdown] tags=["task"]
# Problems are strings such as `3+1×4-2`. The model is a dictionary from a prefix to the next character, and what it does not know it does not continue. Of each problem the first `round(fraction * len(problem))` characters are shown. The model then goes on from what was shown *and what it wrote itself*, one
# character at a time, until the problem's length is reached; it has completed the problem if all the rest is right. `memorise` makes such a model from a list of problems: of two problems with the same prefix the one read first decides how to go on, and after a problem it writes `=`.

# %% tags=["given"]
import random


def draw_problems(rng, n, steps):
    """n different problems with so many operations."""
    found = {}
    while len(found) < n:
        digits, operators = rng.choices("01234", k=steps + 1), rng.choices("+-×", k=steps)
        found[digits[0] + "".join(map("".join, zip(operators, digits[1:], strict=True)))] = True
    return list(found)


def memorise(problems):
    """Dictionary from every prefix of the problems to the character that follows."""
    table = {}
    for problem in problems:
        for i, character in enumerate(problem + "="):
            table.setdefault(problem[:i], character)
    return table


# %% tags=["solution"]
def completion_rate(table, problems, fraction):
    """Share of problems that a model completes word for word.

    Parameters
    ----------
    table : dict of str to str
        Prefix to the next character.
    problems : sequence of str
    fraction : float
        Share of each problem that is shown, of its own length, rounded.

    Returns
    -------
    float
    """

    ### BEGIN SOLUTION
    def completed(problem):
        text = problem[: round(fraction * len(problem))]
        while len(text) < len(problem):
            if text not in table:
                return False
            text += table[text]
        return text == problem

    return sum(map(completed, problems)) / len(problems)
    ### END SOLUTION


# %% tags=["example"]
read = draw_problems(random.Random(0), 32, steps=6)
fresh = [p for p in draw_problems(random.Random(1), 500, steps=6) if p not in read]
for name, problems in (("read", read), ("fresh", fresh)):
    print(name, completion_rate(memorise(read), problems, 0.6))

# %% tags=["tests"] points=2
for seed in range(3):
    long = draw_problems(random.Random(seed), 32, steps=6)
    new = [p for p in draw_problems(random.Random(seed + 10), 500, steps=6) if p not in long]
    table = memorise(long)
    rate = completion_rate(table, long, 0.6)
    assert rate == 1, f"it has read these: expected 1, got {rate}"
    rate = completion_rate(table, new, 0.6)
    assert rate <= 0.05, f"nobody has read these: expected at most 0.05, got {rate}"
rate = completion_rate({}, ["1+2+3"], 0.6)
assert rate == 0, f"a model that knows nothing completes nothing, not {rate}"

# %% tags=["tests"] points=2
first, second = "1+2+3+4", "1+2+3+0"
rate = completion_rate(memorise([first]), [first], 0.8)
assert rate == 1, (
    f"it stops at the problem's length, before the equals sign: expected 1, got {rate}"
)
### BEGIN HIDDEN TESTS
both = memorise([first, second])
rate = completion_rate(both, [first, second], 0.6)
assert rate == 0.5, (
    f"of two problems with one prefix it completes the first read; got {rate}, not 0.5"
)
assert completion_rate(both, [second], 0.6) == 0, (
    "what counts is how it goes on, not a known prefix"
)
assert completion_rate(both, [second], 0.4) == 0, "all of the rest must be right, not a part of it"
ends_early = {k: v for k, v in memorise([first]).items() if len(k) < 6}
assert completion_rate(ends_early, [first], 0.6) == 0, "what breaks off is not completed"
for seed in range(3):
    short = draw_problems(random.Random(seed), 32, steps=3)
    new = [p for p in draw_problems(random.Random(seed + 10), 400, steps=3) if p not in short]
    rate = completion_rate(memorise(short), new, 0.6)
    assert rate <= 0.05, f"short prefixes are known by chance, the ends are not: got {rate}"
mixed = ["0" + p for p in draw_problems(random.Random(5), 5, steps=12)]
mixed += ["9" + p for p in draw_problems(random.Random(6), 5, steps=5)]
table = {p[:i]: p[i] for p in mixed for i in range(round(0.6 * len(p)), len(p))}
rate = completion_rate(table, mixed, 0.6)
assert rate == 1, f"each problem is shown in part by its own length: expected 1, got {rate}"
rate = completion_rate(table, mixed, 0.3)
assert rate == 0, f"less shown, and this model does not know how to begin: expected 0, got {rate}"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: asks whether the model knows the prefix, and not how it goes on.
def completion_rate(table, problems, fraction):
    shown = [problem[: round(fraction * len(problem))] for problem in problems]
    return sum(prefix in table for prefix in shown) / len(problems)


# %% tags=["wrong"]
# Wrong: averages the share of right characters, so that a lucky guess in the middle counts.
def completion_rate(table, problems, fraction):
    shares = []
    for problem in problems:
        start = round(fraction * len(problem))
        hits = [table.get(problem[:i]) == problem[i] for i in range(start, len(problem))]
        shares.append(sum(hits) / len(hits))
    return sum(shares) / len(shares)


# %% [markdown] tags=["open"]
# - The reward is written down as a function of answer and coin; its mean at the start is said, and by which property of the answer $\mathbb E[A\,\nabla\log\pi]$ differs from nought. (1 point)
# - What the auditor sees and which test he applies are fixed before: the mean over time, the scatter within groups against a binomial one, dependence between siblings or on the prompt; with a level, and a count of rewards that the test would need. (1 point)
# - It is run beside two controls: a true coin, and the same rewards dealt out again at random within each group. (1 point)
# - Several networks or seeds, and the property that is taught is measured by itself, so that drift under a coin is not taken for learning. (1 point)
#
# Typical mistakes: a reward whose mean rises as the model learns, which any plot of the log gives away; groups with exactly half of the rewards, more even than coins are; success judged by one run.
