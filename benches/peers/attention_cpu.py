#!/usr/bin/env python3
"""Softmax attention in PyTorch on the CPU, as a user of PyTorch would run it: the peer of `attention`.

    pip install torch
    python attention_cpu.py --task causal --shape 1,2048,4,64 --threads 2

Every task is written in the formulations that PyTorch allows, and all of them are timed in turn; the page takes the
best, figure by figure. Inputs are [B,T,H,D] in float32, as layers have them; the caches of `decode` are [B,H,S,D], as
PyTorch likes them. Prints JSON: seconds of the median run of the forward pass, and of forward and backward pass of the
sum of squares.
"""
import math

import measuring
import torch
import torch.nn.functional as F

BLOCK = 64  # tokens of a block of landmark attention, the landmark included
STEPS = 64  # tokens that `decode` asks one after another


def heads_first(f):
    return lambda q, k, v: f(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)).transpose(1, 2)


def qkv(b, t, h, d):
    return [torch.randn(b, t, h, d) for _ in range(3)]


def fused_causal(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def causal(b, t, h, d):
    yield "fused", heads_first(fused_causal), qkv(b, t, h, d)


# ---------------------------------------------------------------- sliding window


def seen_in_window(t, w):
    i = torch.arange(t)
    away = i[:, None] - i[None, :]
    return (away >= 0) & (away < w)


def fused_with_mask(mask):
    return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def fused_in_blocks(w):
    """Blocks as long as the window; each sees itself and the one before, so the cost grows with T W, not T^2."""
    here = seen_in_window(2 * w, w)[w:]
    first = here.clone()
    first[:, :w] = False

    def f(q, k, v):
        b, h, t, d = q.shape
        n = t // w
        q = q.reshape(b, h, n, w, d)
        k, v = (F.pad(x, (0, 0, w, 0)).unfold(2, 2 * w, w).transpose(-1, -2) for x in (k, v))
        mask = torch.cat([first[None], here[None].expand(n - 1, -1, -1)])
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).reshape(b, h, t, d)

    return f


def window(b, t, h, d, w):
    args = qkv(b, t, h, d)
    if t <= 2048:
        yield "fused, with a mask", heads_first(fused_with_mask(seen_in_window(t, w))), args
    yield "fused, in blocks", heads_first(fused_in_blocks(w)), args


# ---------------------------------------------------------------- one token after another


def decode(b, s, h, d):
    tokens = torch.randn(STEPS, b, h, 1, d)
    cache = [torch.randn(b, h, s, d) for _ in range(2)]

    def each(step):
        def f(tokens, k, v):
            for token in tokens:
                out = step(token, k, v)
            return out

        f.forward_only = True
        return f

    def plain(q, k, v):
        return ((q @ k.transpose(-1, -2)) * d**-0.5).softmax(-1) @ v

    yield "fused", each(F.scaled_dot_product_attention), [tokens, *cache]
    yield "products", each(plain), [tokens, *cache]


# ---------------------------------------------------------------- landmark attention: every BLOCK-th token is a landmark


def landmark_at_once(q, k, v):
    """The groups are an axis: nothing is gathered."""
    b, h, t, d = q.shape
    n = t // BLOCK
    s = ((q @ k.transpose(-1, -2)) * d**-0.5).view(b, h, n, BLOCK, n, BLOCK)
    own = torch.eye(n, dtype=torch.bool)[:, None, :]
    past = torch.ones(n, n, dtype=torch.bool).tril(-1)[:, None, :]
    seen = torch.ones(BLOCK, BLOCK - 1, dtype=torch.bool).tril()
    local = torch.diagonal(s, dim1=2, dim2=4)[:, :, :, : BLOCK - 1].movedim(-1, 2)
    marks = s[..., -1].masked_fill(~past, -math.inf)
    joint = torch.cat([local.masked_fill(~seen, -math.inf), marks], -1).softmax(-1)
    near, share = joint.split([BLOCK - 1, n], -1)
    far = s[..., :-1].softmax(-1) * share[..., None]
    p = torch.where(own[..., None], near[..., None, :] * seen[:, None, :], far * past[..., None])
    return F.pad(p, (0, 1)).reshape(b, h, t, t) @ v


def landmark_in_blocks(q, k, v):
    """One block of queries after another: no scores above the diagonal."""
    b, h, t, d = q.shape
    seen = torch.ones(BLOCK, BLOCK - 1, dtype=torch.bool).tril()
    outs = []
    k, v = (x.reshape(b, h, t // BLOCK, BLOCK, d) for x in (k, v))
    plain_k, plain_v, mark_k = k[..., : BLOCK - 1, :], v[..., : BLOCK - 1, :], k[..., -1, :]
    for i, qi in enumerate(q.reshape(b, h, t // BLOCK, BLOCK, d).unbind(2)):
        qi = qi * d**-0.5
        local = (qi @ plain_k[:, :, i].transpose(-1, -2)).masked_fill(~seen, -math.inf)
        if i == 0:
            outs.append(local.softmax(-1) @ plain_v[:, :, 0])
            continue
        joint = torch.cat([local, qi @ mark_k[:, :, :i].transpose(-1, -2)], -1).softmax(-1)
        near, share = joint.split([BLOCK - 1, i], -1)
        keys = plain_k[:, :, :i].reshape(b, h, i * (BLOCK - 1), d)
        far = (qi @ keys.transpose(-1, -2)).view(b, h, BLOCK, i, BLOCK - 1).softmax(-1) * share[..., None]
        values = plain_v[:, :, :i].reshape(b, h, i * (BLOCK - 1), d)
        outs.append(near @ plain_v[:, :, i] + far.reshape(b, h, BLOCK, -1) @ values)
    return torch.cat(outs, 2)


def landmark(b, t, h, d):
    args = qkv(b, t, h, d)
    yield "in blocks", heads_first(landmark_in_blocks), args
    if t <= 2048:
        yield "at once", heads_first(landmark_at_once), args


TASKS = dict(causal=causal, window=window, decode=decode, landmark=landmark)

if __name__ == "__main__":
    measuring.main(__doc__, TASKS)
