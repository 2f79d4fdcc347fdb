#!/usr/bin/env python3
"""State spaces in PyTorch on the CPU, as a user of PyTorch would run them: the peer of `scans`.

    pip install torch
    python ssm_cpu.py --task selective --shape 1,2048,256,16 --threads 2

Every task is written in the formulations that PyTorch allows, and all of them are timed in turn; the page takes the
best, figure by figure. float32. Prints JSON: seconds of the median run of the forward pass, and of forward and
backward pass of the sum of squares.
"""
import math

import measuring
import torch
import torch.nn.functional as F

# ---------------------------------------------------------------- h_t = a_t h_(t-1) + x_t, element-wise, [B,T,...]


def recurrence_loop(a, x, reverse=False):
    """One fused multiply-add per token, written in place."""
    h = torch.empty_like(x)
    av, xv, hv = a.unbind(1), x.unbind(1), h.unbind(1)
    before = None
    for t in range(x.shape[1] - 1, -1, -1) if reverse else range(x.shape[1]):
        if before is None:
            hv[t].copy_(xv[t])
        else:
            torch.addcmul(xv[t], av[t], hv[before], out=hv[t])
        before = t
    return h


def recurrence_block(a, x, reverse=False):
    """About sqrt(T) blocks: first all blocks at once, step by step within; then the carry, block by block."""
    b, t = x.shape[:2]
    c = 1 << ((t.bit_length() - 1) // 2)
    if t % c:
        return recurrence_loop(a, x, reverse)
    h, p = (y.reshape(b, t // c, c, *x.shape[2:]).clone() for y in (x, a))
    hs, ps = h.unbind(2), p.unbind(2)
    for i in range(c - 2, -1, -1) if reverse else range(1, c):
        j = i + 1 if reverse else i - 1
        hs[i].addcmul_(ps[i], hs[j])
        ps[i].mul_(ps[j])
    hb, pb = h.unbind(1), p.unbind(1)
    for i in range(t // c - 2, -1, -1) if reverse else range(1, t // c):
        edge = hb[i + 1][:, :1] if reverse else hb[i - 1][:, -1:]
        hb[i].addcmul_(pb[i], edge)
    return h.view_as(x)


def recurrence_doubling(a, x, reverse=False):
    """log2(T) passes over everything (Hillis and Steele)."""
    if reverse:
        return recurrence_doubling(a.flip(1), x.flip(1)).flip(1)
    d, t = 1, x.shape[1]
    while d < t:
        x = torch.cat([x[:, :d], torch.addcmul(x[:, d:], a[:, d:], x[:, :-d])], 1)
        a = torch.cat([a[:, :d], a[:, d:] * a[:, :-d]], 1)
        d *= 2
    return x


class Recurrence(torch.autograd.Function):
    """The recurrence with its backward written as the recurrence in the other direction."""

    @staticmethod
    def forward(ctx, a, x, method):
        h = method(a, x)
        ctx.save_for_backward(a, h)
        ctx.method = method
        return h

    @staticmethod
    def backward(ctx, g):
        a, h = ctx.saved_tensors
        following = torch.cat([a[:, 1:], torch.zeros_like(a[:, :1])], 1).conj().resolve_conj()
        dx = ctx.method(following, g.contiguous(), reverse=True)
        da = torch.zeros_like(a)
        torch.mul(dx[:, 1:], h[:, :-1].conj(), out=da[:, 1:])
        return da, dx, None


METHODS = dict(loop=recurrence_loop, block=recurrence_block, doubling=recurrence_doubling)


def linear(b, t, d, kind):
    a, x = torch.sigmoid(torch.randn(b, t, d) + 3), torch.randn(b, t, d)
    seen = lambda h: h
    if kind == "complex":
        a, x = torch.polar(a, torch.randn(b, t, d)), torch.complex(x, torch.randn(b, t, d))
        seen = torch.view_as_real
    for name, method in METHODS.items():
        yield name, (lambda a, x, method=method: seen(Recurrence.apply(a, x, method))), [a, x]


# ---------------------------------------------------------------- selective scan: x, dt [B,T,E]; A [E,N]; B, C [B,T,N]


def selective_with(method):
    def f(x, dt, a, b, c):
        da = torch.exp(dt[..., None] * a)
        dbx = (dt * x)[..., None] * b[:, :, None, :]
        return (Recurrence.apply(da, dbx, method) @ c[..., None])[..., 0]

    return f


class SelectiveChunked(torch.autograd.Function):
    """Chunk by chunk, so that what is made of [chunk,E,N] stays in cache; only the states between chunks are kept."""

    @staticmethod
    def states(da, u, before):
        for a_t, u_t in zip(da.unbind(1), u.unbind(1)):
            u_t.addcmul_(a_t, before)
            before = u_t
        return u

    @staticmethod
    def forward(ctx, x, dt, a, b, c, size):
        h, starts, ys = x.new_zeros(x.shape[0], *a.shape), [], []
        for s in range(0, x.shape[1], size):
            at = slice(s, s + size)
            starts.append(h)
            da = (dt[:, at, :, None] * a).exp_()
            u = (dt[:, at] * x[:, at])[..., None] * b[:, at, None, :]
            hs = SelectiveChunked.states(da, u, h)
            ys.append((hs @ c[:, at, :, None])[..., 0])
            h = hs[:, -1].clone()
        ctx.save_for_backward(x, dt, a, b, c, *starts)
        ctx.size = size
        return torch.cat(ys, 1)

    @staticmethod
    def backward(ctx, dy):
        x, dt, a, b, c, *starts = ctx.saved_tensors
        size, t = ctx.size, x.shape[1]
        dx, ddt, db, dc = (torch.empty_like(v) for v in (x, dt, b, c))
        d_a, carry = torch.zeros_like(a), torch.zeros_like(starts[0])
        for s in reversed(range(0, t, size)):
            at = slice(s, min(s + size, t))
            h0 = starts[s // size]
            da = (dt[:, at, :, None] * a).exp_()
            dtx = dt[:, at] * x[:, at]
            hs = SelectiveChunked.states(da, dtx[..., None] * b[:, at, None, :], h0)
            g = dy[:, at, :, None] * c[:, at, None, :]
            gs, das = g.unbind(1), da.unbind(1)
            gs[-1].add_(carry)
            for i in range(len(gs) - 2, -1, -1):
                gs[i].addcmul_(das[i + 1], gs[i + 1])
            carry = das[0] * gs[0]
            dc[:, at] = (dy[:, at, None, :] @ hs)[:, :, 0]
            ddtx = (g @ b[:, at, :, None])[..., 0]
            db[:, at] = (dtx[:, :, None, :] @ g)[:, :, 0]
            g.mul_(da)
            g[:, 1:].mul_(hs[:, :-1])
            g[:, 0].mul_(h0)
            d_a += torch.einsum("bten,bte->en", g, dt[:, at])
            ddt[:, at] = (g * a).sum(-1) + ddtx * x[:, at]
            dx[:, at] = ddtx * dt[:, at]
        return dx, ddt, d_a, db, dc, None


def selective_chunked(x, dt, a, b, c, size=32):
    return SelectiveChunked.apply(x, dt, a, b, c, size)


def selective(b, t, e, n):
    a = -torch.arange(1, n + 1).float().repeat(e, 1)
    dt = F.softplus(torch.randn(b, t, e) - 4)
    args = [torch.randn(b, t, e), dt, a, torch.randn(b, t, n), torch.randn(b, t, n)]
    yield "chunked", selective_chunked, args
    for name, method in METHODS.items():
        yield name, selective_with(method), args


# ---------------------------------------------------------------- Mamba-2: x [B,T,H,P]; dt [B,T,H]; A [H]; B, C [B,T,N]


def ssd_chunked(size):
    def f(x, dt, a, b, c):
        bs, t, h, p = x.shape
        n, k = b.shape[-1], min(size, t)
        m = t // k
        xs = (x * dt[..., None]).view(bs, m, k, h, p).transpose(2, 3)
        bc, cc = (v.view(bs, m, 1, k, n) for v in (b, c))
        total = (dt * a).view(bs, m, k, h).transpose(2, 3).cumsum(-1)
        mask = torch.ones(k, k, dtype=torch.bool).tril()
        decay = (total[..., :, None] - total[..., None, :]).masked_fill(~mask, -math.inf).exp()
        y = ((cc @ bc.transpose(-1, -2)) * decay) @ xs
        last = total[..., -1:]
        add = (xs * (last - total).exp()[..., None]).transpose(-1, -2) @ bc
        s, states, keep = x.new_zeros(bs, h, p, n), [], last.exp()[..., None]
        for i in range(m):
            states.append(s)
            s = torch.addcmul(add[:, i], keep[:, i], s)
        y = y + (cc @ torch.stack(states, 1).transpose(-1, -2)) * total.exp()[..., None]
        return y.transpose(2, 3).reshape(bs, t, h, p)

    return f


def ssd(b, t, h, p, n):
    args = [torch.randn(b, t, h, p), F.softplus(torch.randn(b, t, h) - 4), -torch.rand(h) * 15 - 1]
    args += [torch.randn(b, t, n), torch.randn(b, t, n)]
    for size in (32, 64, 128, 256):
        yield f"chunks of {size}", ssd_chunked(size), args


# ---------------------------------------------------------------- filters as long as the sequence


def convolve(u, kernel):
    """u [B,T,D], kernel [D,T]."""
    t = u.shape[1]
    spectrum = torch.fft.rfft(u.transpose(1, 2), n=2 * t) * torch.fft.rfft(kernel, n=2 * t)
    return torch.fft.irfft(spectrum, n=2 * t)[..., :t].transpose(1, 2)


def s4d_filter(log_dt, c, log_a, a_im, length):
    """Powers by two levels, l = 64 i + j: a small batched product in the place of N/2 x L exponentials."""
    step = 64
    a = torch.complex(-log_a.exp(), a_im)
    dt_a = a * log_dt.exp()[:, None]
    scale = torch.view_as_complex(c) * (dt_a.exp() - 1) / a
    coarse = scale[..., None] * torch.exp(dt_a[..., None] * (step * torch.arange(-(-length // step))))
    fine = torch.exp(dt_a[..., None] * torch.arange(step))
    left = torch.cat([coarse.real, -coarse.imag], 1).transpose(1, 2)
    k = 2 * left @ torch.cat([fine.real, fine.imag], 1)
    return k.reshape(k.shape[0], -1)[:, :length]


def s4d(b, t, e, n):
    n //= 2
    args = [torch.randn(b, t, e), torch.rand(e) * math.log(100) + math.log(0.001), torch.randn(e, n, 2)]
    args += [torch.full((e, n), math.log(0.5)), math.pi * torch.arange(n).float().repeat(e, 1)]
    yield "filter by products, FFT", lambda u, *p: convolve(u, s4d_filter(*p, u.shape[1])), args


def long_conv(b, t, d):
    yield "FFT", convolve, [torch.randn(b, t, d), torch.randn(d, t) / t**0.5]


# ---------------------------------------------------------------- whole layers


class Mamba(torch.nn.Module):
    """A Mamba layer with the fastest of the scans above."""

    def __init__(self, d, n=16):
        super().__init__()
        e, r = 2 * d, math.ceil(d / 16)
        self.norm = torch.nn.RMSNorm(d, eps=1e-5)
        self.into = torch.nn.Linear(d, 2 * e, bias=False)
        self.conv = torch.nn.Conv1d(e, e, 4, groups=e, padding=3)
        self.select = torch.nn.Linear(e, r + 2 * n, bias=False)
        self.step = torch.nn.Linear(r, e)
        torch.nn.init.constant_(self.step.bias, -4.0)
        self.log_a = torch.nn.Parameter(torch.arange(1, n + 1).float().log().repeat(e, 1))
        self.skip = torch.nn.Parameter(torch.ones(e))
        self.out = torch.nn.Linear(e, d, bias=False)
        self.split = [r, n, n]

    def forward(self, x):
        u, z = self.into(self.norm(x)).chunk(2, -1)
        u = F.silu(self.conv(u.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2))
        dt, b, c = self.select(u).split(self.split, -1)
        y = selective_chunked(u, F.softplus(self.step(dt)), -self.log_a.exp(), b, c) + self.skip * u
        return x + self.out(y * F.silu(z))


def mamba_layers(b, t, d, layers):
    model = torch.nn.Sequential(*(Mamba(d) for _ in range(layers)))
    yield "chunked scan", model, [torch.randn(b, t, d)]


TASKS = dict(
    selective=selective,
    ssd=ssd,
    linear=lambda *shape: linear(*shape, "real"),
    complex=lambda *shape: linear(*shape, "complex"),
    s4d=s4d,
    long_conv=long_conv,
    mamba=mamba_layers,
)

if __name__ == "__main__":
    measuring.main(__doc__, TASKS)
