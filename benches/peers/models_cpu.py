#!/usr/bin/env python3
"""A training step of a language model in PyTorch on the CPU: the peer of `compare --model`.

    pip install torch
    python models_cpu.py --model gla --shape 256,4,4,1024 --threads 2

Pre-norm blocks (mixer, SwiGLU of two thirds of 4 D rounded up to 256), RMS norms, a head of its own, vocabulary 256,
AdamW, loss at every position. The mixers are chunk-parallel PyTorch without a loop over tokens, softmax is the fused
scaled_dot_product_attention. Prints JSON: seconds of the median step, the most memory that the process held, and the
multiply-adds per second of the best 1024 x 1024 product.
"""
import argparse
import json
import resource

import torch
import torch.nn as nn
import torch.nn.functional as F

import measuring
from ssm_cpu import ssd_chunked
from torch_cpu import gated_linear_attention, linear_attention, to_chunks

HEAD = 64
VOCABULARY = 256


def maps(d, *widths):
    return nn.ModuleList(nn.Linear(d, width, bias=False) for width in widths)


def joined(o, b, t, d):
    """[B,H,N,C,V] chunks, or [B,T,H,V], as [B,T,D]."""
    return (o.movedim(1, 3) if o.dim() == 5 else o).reshape(b, t, d)


class LinearAttention(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.maps, self.out, self.norm = maps(d, d, d, d), nn.Linear(d, d, bias=False), nn.RMSNorm(HEAD, eps=1e-5)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (f(x).view(b, t, -1, HEAD) for f in self.maps)
        o = linear_attention((F.elu(q) + 1) * HEAD**-0.5, F.elu(k) + 1, v)
        return self.out(self.norm(joined(o, b, t, d).view(b, t, -1, HEAD)).reshape(b, t, d))


class GatedLinearAttention(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.maps = maps(d, d // 2, d // 2, d, d, 16)
        self.up, self.out, self.norm = nn.Linear(16, d // 2), nn.Linear(d, d, bias=False), nn.RMSNorm(HEAD, eps=1e-5)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v, g, down = (f(x) for f in self.maps)
        decay = F.logsigmoid(self.up(down)) / 16
        q, k, decay = (x.view(b, t, -1, HEAD // 2) for x in (q, k, decay))
        o = gated_linear_attention(q * (HEAD // 2) ** -0.5, k, v.view(b, t, -1, HEAD), decay)
        o = self.norm(joined(o, b, t, d).view(b, t, -1, HEAD)).reshape(b, t, d)
        return self.out(o * F.silu(g))


def gated_delta_rule(q, k, v, beta, g, c=64):
    """Chunks through the unit-lower-triangular solve, with a log decay per head."""
    q, k, v = (to_chunks(x, c) for x in (q, k, v))
    beta, g = (to_chunks(x.unsqueeze(-1), c) for x in (beta, g))
    g = g.cumsum(-2)
    between = (g - g.transpose(-1, -2)).tril().exp()
    weighted = k * beta
    a = ((weighted @ k.transpose(-1, -2)) * between).tril(-1)
    eye = torch.eye(c).expand_as(a)
    solved = torch.linalg.solve_triangular(eye + a, eye, upper=False, unitriangular=True)
    u, w = solved @ (v * beta), solved @ (weighted * g.exp())
    scores = ((q @ k.transpose(-1, -2)) * between).tril()
    q, last = q * g.exp(), g[..., -1:, :]
    k = k * (last - g).exp()
    s = q.new_zeros(*k.shape[:2], k.shape[-1], v.shape[-1])
    out = []
    for i in range(k.shape[2]):
        written = u[:, :, i] - w[:, :, i] @ s
        out.append(q[:, :, i] @ s + scores[:, :, i] @ written)
        s = s * last[:, :, i].exp() + k[:, :, i].transpose(-1, -2) @ written
    return torch.stack(out, 2)


class ShortConv(nn.Module):
    def __init__(self, d, bias=False):
        super().__init__()
        self.conv = nn.Conv1d(d, d, 4, groups=d, padding=3, bias=bias)

    def forward(self, x):
        return F.silu(self.conv(x.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2))


class GatedDeltaNet(nn.Module):
    def __init__(self, d):
        super().__init__()
        h = d // HEAD
        self.maps, self.out, self.norm = maps(d, d, d, d, d, h, h), nn.Linear(d, d, bias=False), nn.RMSNorm(HEAD, eps=1e-5)
        self.convs = nn.ModuleList(ShortConv(d) for _ in range(3))
        self.rate, self.bias = nn.Parameter(torch.zeros(h)), nn.Parameter(torch.full((h,), -4.0))

    def forward(self, x):
        b, t, d = x.shape
        *qkv, gate, decay, beta = (f(x) for f in self.maps)
        q, k, v = (conv(x).view(b, t, -1, HEAD) for conv, x in zip(self.convs, qkv))
        g = -self.rate.exp() * F.softplus(decay + self.bias)
        o = gated_delta_rule(F.normalize(q, dim=-1) * HEAD**-0.5, F.normalize(k, dim=-1), v, beta.sigmoid(), g)
        o = self.norm(joined(o, b, t, d).view(b, t, -1, HEAD)).reshape(b, t, d)
        return self.out(o * F.silu(gate))


class Mamba2(nn.Module):
    """SSD with states of 64 numbers and one group."""

    def __init__(self, d, n=64):
        super().__init__()
        self.inner, self.n, h = 2 * d, n, 2 * d // HEAD
        self.into = nn.Linear(d, 2 * self.inner + 2 * n + h, bias=False)
        self.conv, self.out = ShortConv(self.inner + 2 * n, bias=True), nn.Linear(self.inner, d, bias=False)
        self.norm = nn.RMSNorm(self.inner, eps=1e-5)
        self.rate, self.bias, self.skip = (nn.Parameter(torch.full((h,), x)) for x in (0.0, -4.0, 1.0))
        self.ssd = ssd_chunked(64)

    def forward(self, x):
        b, t, _ = x.shape
        z, inner, dt = self.into(x).split((self.inner, self.inner + 2 * self.n, self.rate.numel()), -1)
        u, read, write = self.conv(inner).split((self.inner, self.n, self.n), -1)
        u, dt = u.view(b, t, -1, HEAD), F.softplus(dt + self.bias)
        y = self.ssd(u, dt, -self.rate.exp(), read, write).reshape(u.shape) + self.skip[:, None] * u
        return self.out(self.norm(y.reshape(b, t, -1) * F.silu(z)))


class SoftmaxAttention(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.maps, self.out = maps(d, d, d, d), nn.Linear(d, d, bias=False)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (f(x).view(b, t, -1, HEAD).transpose(1, 2) for f in self.maps)
        angle = torch.arange(t)[:, None] * 10000 ** (-torch.arange(0, HEAD, 2) / HEAD)
        cos, sin = angle.cos(), angle.sin()

        def turned(x):
            a, b = x.chunk(2, -1)
            return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

        o = F.scaled_dot_product_attention(turned(q), turned(k), v, is_causal=True)
        return self.out(o.transpose(1, 2).reshape(b, t, d))


MIXERS = dict(
    linear=LinearAttention,
    gla=GatedLinearAttention,
    gated_delta_net=GatedDeltaNet,
    mamba2=Mamba2,
    softmax=SoftmaxAttention,
)


class Block(nn.Module):
    def __init__(self, mixer, d):
        super().__init__()
        hidden = -(-(8 * d // 3) // 256) * 256
        self.norms = nn.ModuleList(nn.RMSNorm(d, eps=1e-6) for _ in range(2))
        self.mixer, self.gate, self.up = mixer(d), *maps(d, hidden, hidden)
        self.down = nn.Linear(hidden, d, bias=False)

    def forward(self, x):
        x = x + self.mixer(self.norms[0](x))
        y = self.norms[1](x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", choices=MIXERS, required=True)
    p.add_argument("--shape", required=True, help="width, layers, batch and tokens with commas between them")
    p.add_argument("--threads", type=int, default=torch.get_num_threads())
    p.add_argument("--runs", type=int, default=7, help="at least so many steps; their median counts")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    d, layers, b, t = map(int, a.shape.split(","))
    model = nn.Sequential(
        nn.Embedding(VOCABULARY, d),
        *(Block(MIXERS[a.model], d) for _ in range(layers)),
        nn.RMSNorm(d, eps=1e-6),
        nn.Linear(d, VOCABULARY, bias=False),
    )
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    x = torch.tensor([(i * 7919 + i // 13) % VOCABULARY for i in range(b * t)]).view(b, t)

    def step():
        loss = F.cross_entropy(model(x).view(-1, VOCABULARY), x.view(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    seconds = measuring.median(step, a.runs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    product = measuring.limits()["product"]
    print(json.dumps(dict(torch=torch.__version__, seconds=seconds, peak=peak, product=product)))


if __name__ == "__main__":
    main()
