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
# Attention finds things by their content, and a neighbour is not content: somebody has to carry it over first. A Canon layer does this for four numbers a channel, and the puzzle is made so that nothing can be learned before it is done.
# What is measured is how soon a network learns within a budget; that it then *can* do more is another claim, and the chapter keeps the two apart.
#
# ## Where students stumble
#
# - *"Plain RoPE cannot do it."* With two layers it can: one carries the neighbour, the next one looks up. It is late within these updates. Only with one layer (c6) is there a reason why it never could.
# - *"Canon has more weights, so of course."* The plain networks were made wider until they have at least as many. And kernel 1 has Canon's module without Canon's neighbour: that is the control which tells the two explanations apart.
# - *Equal, or not told apart?* c2 says that two arms do equally well. A difference that is not significant would not show it; the whole interval has to lie on the right side of a margin that was named before, and with five seeds it hardly fits.
# - *Five, not 2560.* Eight questions about each of 64 lists in five seeds make 2560 answers. They share lists and networks; what is drawn anew is the seed.
# - *Learned, or learned by heart?* There are only $5\cdot3!\cdot4!=720$ lists and each network of two layers meets 6000 in training. That plain networks of the same size do not learn them either is an argument, not a proof; ask what would be one (test on lists that were kept out).
#
# ## The discussion
#
# *Faster or deeper?* Under a fixed budget they look alike: the second hop begins when the first is known, so whoever is early with the first is also further at the end. They part when the budget grows. If the plain network arrives at the same accuracy later, the gain was speed;
# if it stays behind for good, depth. The full profile asks this for one hop (x1). For many hops and large models it is open, and where nobody can pay for more steps the difference is perhaps one of words.
#
# *Ability or optimisation?* With one layer, ability, for no later layer can look up what the first has carried. With two, optimisation, for a head that looks one token back followed by a lookup solves the puzzle. Experiments that would tell: build that head into the first layer by hand and train the rest; if Canon's lead is gone,
# what was lacking was only the finding of the head. Or train plain RoPE for longer, with a learning rate of its own.
#
# *From $1/n$ to $1/(n-1)$.* With five names a blind guess gets $1/5$. Whoever knows which names occur in this list gets $1/n=1/4$; whoever also knows that the answer is never the node asked about, since fewer than $n$ hops do not lead back, gets $1/(n-1)$.
# Neither needs an edge: the first is a bag of words, the second the question itself taken out of it. So a curve can rise well above its start with no step of the puzzle learned, and c3 is counted from the higher line.
#
# ## On the board
#
# 1. The list `C F A C F D D A`, then `<1> C`. Ask for the answer, then how they found it: look for C in a first place, read what stands to its right. Let them say what attention can compare (contents) and what it cannot (what is written next to a content).
# 2. Two layers as two rows. First row: an arrow one place to the right, "I am F, and C stands before me". Second row: an arrow from the question to the token with that note. Now $h'_t=h_t+w_0\odot h_t+w_1\odot h_{t-1}+\dots$ and wipe out the first row.
# 3. The five arms of one layer: plain, own token, Canon, frozen, split. Columns: *module there? partner in reach? weights trained?* Let the class bet on each before the figure is shown.
# 4. Two curves that end at one height, one early and one late; shade the second half. Score (2) is the shaded mean: it sees speed, and would see ability only as a part of it.
#
# ## Time
#
# For 60 minutes: ten of bets, twenty-five of board, twenty of discussion, five for c8, which nobody can settle in a seminar. The short exercise takes 10 minutes, the coding one 20, the open one a day. The chapter's `quick` run takes about a minute.

# %% [markdown] tags=["short"]
# Each channel at each place has 4 weights. A sees $d$ channels, B the queries, keys and values, so $3d$, C again $d$, and D the two hidden vectors of a gated MLP, $2h$. Together $4(5d+2h)=20d+8h$ (1 point).
#
# For $d=768$, $h=2048$ these are $15360+16384=31744$. The block has $4d^2$ weights for attention and $3dh$ for the MLP, $2359296+4718592=7077888$ in all; the share is 0.45 %, with or without the $2d$ of the norms (1 point).

# %% [markdown] tags=["task"]
# States and weights are torch tensors. `w[j]` belongs to lag $j$, so `w[0]` is the weight of the token itself; this is the order of formula (1), which the convolutions of a library may turn round. Write the sums out, without calling a convolution.

# %% tags=["given"]
import torch


# %% tags=["solution"]
def canon(x, w):
    """A Canon layer: equation (1) for a kernel of any length.

    Parameters
    ----------
    x : torch.Tensor, (batch, seq, width)
        States; before the first token they are zero. Must not be changed.
    w : torch.Tensor, (kernel, width)
        Row j has the weights of lag j; the kernel may be longer than the sequence.

    Returns
    -------
    torch.Tensor, (batch, seq, width)
    """
    ### BEGIN SOLUTION
    out = x * (1 + w[0])
    for lag in range(1, min(len(w), x.shape[1])):
        earlier = torch.zeros_like(x)
        earlier[:, lag:] = x[:, :-lag]
        out = out + w[lag] * earlier
    return out
    ### END SOLUTION


# %% tags=["example"]
print(canon(torch.ones(1, 5, 2), torch.tensor([[0.0, 0.5], [1.0, 0.5]]))[0])

# %% tags=["tests"] points=2
# One token speaks, all others are silent: it is heard in its own place and in the next ones.
x = torch.zeros(1, 9, 2, dtype=torch.float64)
x[0, 2] = torch.tensor([1.0, 10.0])
w = torch.tensor([[0.5, 0.1], [2.0, 0.2], [3.0, 0.3], [4.0, 0.4]], dtype=torch.float64)
out = canon(x, w)
assert out.shape == x.shape, f"the shape of the states is {tuple(x.shape)}, got {tuple(out.shape)}"
for channel, heard in enumerate([[1.5, 2, 3, 4], [11, 2, 3, 4]]):
    expected = torch.tensor([0, 0, *heard, 0, 0, 0], dtype=torch.float64)
    got = out[0, :, channel]
    assert torch.allclose(got, expected), (
        f"channel {channel}: expected {expected.tolist()}, got {got.tolist()}"
    )

# %% tags=["tests"] points=2
generator = torch.Generator().manual_seed(1)
x, w = torch.randn(3, 12, 5, generator=generator), torch.randn(4, 5, generator=generator)
before = x.clone()
out = canon(x, w)
assert torch.equal(x, before), "the states that were given have changed"
changed = x.clone()
changed[:, 6] += 1
late = (canon(changed, w) - out).abs().amax((0, 2))
assert late[:6].max() < 1e-6, f"a change of token 6 is seen earlier: {late.tolist()}"
assert late[6:10].min() > 1e-5 > 10 * late[10:].max(), f"token 6 is seen by 6 to 9: {late.tolist()}"
### BEGIN HIDDEN TESTS
for token in range(12):
    changed = x.clone()
    changed[1, token] += 1
    moved = (canon(changed, w) - out).abs().amax(2)
    assert moved[1, :token].sum() < 1e-6, f"a change of token {token} is seen before it"
    assert moved[[0, 2]].max() < 1e-6, f"a change of token {token} is seen in another sequence"
for kernel, length in [(4, 12), (1, 7), (7, 3)]:
    x = torch.randn(3, length, 5, generator=generator)
    w = torch.randn(kernel, 5, generator=generator)
    conv = torch.nn.Conv1d(5, 5, kernel, groups=5, padding=kernel - 1, bias=False)
    conv.weight.data = w.flip(0).T[:, None]
    expected = x + conv(x.transpose(1, 2))[..., :length].transpose(1, 2)
    far = (canon(x, w) - expected).abs().max().item()
    assert far < 1e-5, f"kernel {kernel}, {length} tokens: {far:.2g} from the convolution"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: rolls the sequence, so that the first tokens are told what the last ones say.
def canon(x, w):
    out = x * (1 + w[0])
    for lag in range(1, len(w)):
        out = out + w[lag] * x.roll(lag, 1)
    return out


# %% tags=["wrong"]
# Wrong: the weights in the order of a library's convolution, the earliest token first.
def canon(x, w):
    out, kernel = x.clone(), len(w)
    for j in range(kernel):
        lag = kernel - 1 - j
        out[:, lag:] = out[:, lag:] + w[j] * x[:, : x.shape[1] - lag]
    return out


# %% [markdown] tags=["open"]
# - A reason is given why the neighbour should mislead on this task although the layer may learn weights of zero, and with it whether it is speed or the final accuracy that should suffer. (1 point)
# - Controls separate the misleading neighbour from the module: kernel 1, and the same task with neighbours that tell nothing; the arms have equal weights, steps and puzzles. (1 point)
# - Trials and the last run use different seeds; measure, smallest difference that counts and rule (supported, contradicted, neither) are written down before the last run, and so are the seeds. (1 point)
# - The contrast is paired by seed and comes with an interval; all tasks that were tried are reported, also those on which Canon helped. (1 point)
#
# Typical mistakes: a dozen tasks tried and the one told about on which Canon lost; a learning rate that suits one arm only; no gain taken for harm, which is what the split layout alone will mostly show.
