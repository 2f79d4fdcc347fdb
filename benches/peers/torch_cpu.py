#!/usr/bin/env python3
"""PyTorch on the CPU, as a user of PyTorch would run it: the peer of `compare`.

    pip install torch
    python torch_cpu.py --shape 1,2048,4,64 --threads 2

Every operator is a batched, chunk-parallel PyTorch program in float32, without a Python loop over tokens
(one over chunks where the recurrence needs it). Prints JSON: seconds of the median run of the forward pass,
and of forward and backward pass of the sum of squares.
"""
import argparse
import json
import time

import torch
import torch.nn.functional as F

def to_chunks(x, c):
    b, t, h = x.shape[:3]
    return x.reshape(b, t // c, c, h, *x.shape[3:]).movedim(3, 1)  # [B,H,N,C,...]


def linear_attention(q, k, v, c=64):
    qc, kc, vc = (to_chunks(x, c) for x in (q, k, v))
    kv = torch.einsum("bhncd,bhnce->bhnde", kc, vc)
    s = kv.cumsum(2) - kv
    intra = (qc @ kc.transpose(-1, -2)).tril() @ vc
    return intra + qc @ s


def gated_linear_attention(q, k, v, g, c=64, sub=16):
    """Vector decay g (log space, [B,T,H,D]); secondary chunking keeps exp() bounded."""
    qc, kc, vc, gc = (to_chunks(x, c) for x in (q, k, v, g))
    gcum = gc.cumsum(-2)
    total = gcum[..., -1:, :]
    kd = kc * (total - gcum).exp()
    kv = torch.einsum("bhncd,bhnce->bhnde", kd, vc)
    n = kv.shape[2]
    decay = total.exp().transpose(-1, -2)  # [B,H,N,D,1]
    s = torch.zeros_like(kv[:, :, 0])
    states = []
    for i in range(n):
        states.append(s)
        s = s * decay[:, :, i] + kv[:, :, i]
    inter = (qc * gcum.exp()) @ torch.stack(states, 2)
    b, h, n, cc, d = qc.shape
    m = cc // sub
    qs, ks, gs = (x.reshape(b, h, n, m, sub, d) for x in (qc, kc, gcum))
    att = q.new_zeros(b, h, n, m, sub, m, sub)
    for i in range(m):
        ref = gs[:, :, :, i, :1]
        qi = qs[:, :, :, i] * (gs[:, :, :, i] - ref).exp()
        for j in range(i):
            kj = ks[:, :, :, j] * (ref - gs[:, :, :, j]).exp()
            att[:, :, :, i, :, j] = qi @ kj.transpose(-1, -2)
        diff = (gs[:, :, :, i, :, None] - gs[:, :, :, i, None, :]).clamp(max=0).exp()
        att[:, :, :, i, :, i] = torch.einsum(
            "bhncd,bhned,bhnced->bhnce", qs[:, :, :, i], ks[:, :, :, i], diff
        ).tril()
    att = att.reshape(b, h, n, cc, cc)
    return inter + att @ vc


def scalar_decay_attention(q, k, v, g, c=64):
    """Scalar decay per head (retention, Mamba-2 SSD): g in log space, [B,T,H]."""
    qc, kc, vc = (to_chunks(x, c) for x in (q, k, v))
    gc = to_chunks(g.unsqueeze(-1), c).squeeze(-1)
    gcum = gc.cumsum(-1)
    seg = (gcum[..., :, None] - gcum[..., None, :]).tril().exp().tril()
    intra = ((qc @ kc.transpose(-1, -2)) * seg) @ vc
    total = gcum[..., -1]
    kv = torch.einsum("bhncd,bhnce->bhnde", kc * (total[..., None] - gcum).exp()[..., None], vc)
    s = torch.zeros_like(kv[:, :, 0])
    states = []
    for i in range(kv.shape[2]):
        states.append(s)
        s = s * total[:, :, i].exp()[..., None, None] + kv[:, :, i]
    return intra + (qc * gcum.exp()[..., None]) @ torch.stack(states, 2)


def delta_rule(q, k, v, beta, c=64):
    """Chunked delta rule through the unit-lower-triangular (WY) solve."""
    qc, kc, vc = (to_chunks(x, c) for x in (q, k, v))
    bc = to_chunks(beta.unsqueeze(-1), c)
    kb = kc * bc
    a = (kb @ kc.transpose(-1, -2)).tril(-1)
    eye = torch.eye(c).expand_as(a)
    t = torch.linalg.solve_triangular(eye + a, eye, upper=False, unitriangular=True)
    u, w = t @ (vc * bc), t @ kb
    att = (qc @ kc.transpose(-1, -2)).tril()
    s = q.new_zeros(*kc.shape[:2], kc.shape[-1], vc.shape[-1])
    outs = []
    for i in range(kc.shape[2]):
        ui = u[:, :, i] - w[:, :, i] @ s
        outs.append(qc[:, :, i] @ s + att[:, :, i] @ ui)
        s = s + kc[:, :, i].transpose(-1, -2) @ ui
    return torch.stack(outs, 2)


def factor_products(x):
    """[..., c] factors -> [..., c, c], entry (t, s) the product of x over s+1..t (1 on the diagonal)."""
    c = x.shape[-1]
    rows = x[..., :, None].expand(*x.shape, c)
    return torch.where(torch.ones(c, c, dtype=torch.bool).tril(-1), rows, torch.ones_like(rows)).cumprod(-2).tril()


def gelu_slope(x):
    return 0.5 * (1 + torch.erf(x * 0.7071067811865476)) + x * torch.exp(-0.5 * x * x) * 0.3989422804014327


def neural_memory(q, k, v, alpha, eta, theta, *weights, c=64):
    """Titans, in the dual form: gradients at the weights where a chunk of c tokens starts. W_t is a sum of W and S
    before the chunk and of what its tokens write, with coefficients of the gates alone."""
    q, k, v = (to_chunks(x, c) for x in (q, k, v))
    alpha, eta, rate = (to_chunks(x.unsqueeze(-1), c).squeeze(-1) for x in (alpha, eta, -2 * theta))
    kept, turned = factor_products(1 - alpha), factor_products(eta)
    mixed = kept @ turned  # what s writes in W_t
    of_w = (1 - alpha).cumprod(-1)[..., None]
    in_s = eta.cumprod(-1)[..., None]
    of_s = kept @ in_s
    last = mixed[..., -1, :, None], turned[..., -1, :, None]
    w = [x.expand(q.shape[0], -1, -1, -1) for x in weights]
    s = [torch.zeros_like(x) for x in w]
    scores = (q @ k.transpose(-1, -2)) * mixed

    def carry(x, u, layer, i):
        xt = x.transpose(-1, -2)
        before = s[layer]
        s[layer] = in_s[:, :, i, -1:] * before + xt @ (last[1][:, :, i] * u)
        w[layer] = of_w[:, :, i, -1:] * w[layer] + of_s[:, :, i, -1:] * before + xt @ (last[0][:, :, i] * u)

    def read(y, weighted, u, layer, i):
        return of_w[:, :, i] * (y @ w[layer]) + of_s[:, :, i] * (y @ s[layer]) + weighted @ u

    outs = []
    for i in range(q.shape[2]):
        qi, ki, vi, r = q[:, :, i], k[:, :, i], v[:, :, i], rate[:, :, i, :, None]
        if len(w) == 1:
            u = r * (ki @ w[0] - vi)
            outs.append(read(qi, scores[:, :, i], u, 0, i))
            carry(ki, u, 0, i)
        else:
            z = ki @ w[0]
            hidden = F.gelu(z)
            u1 = r * (hidden @ w[1] - vi)
            u0 = (u1 @ w[1].transpose(-1, -2)) * gelu_slope(z)
            y = F.gelu(read(qi, scores[:, :, i], u0, 0, i))
            outs.append(read(y, (y @ hidden.transpose(-1, -2)) * mixed[:, :, i], u1, 1, i))
            carry(ki, u0, 0, i)
            carry(hidden, u1, 1, i)
    return torch.stack(outs, 2)


def softmax_attention(q, k, v):
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def cases(b, t, h, d):
    r = lambda *s: torch.randn(*s)
    q, k, v = r(b, t, h, d), F.normalize(r(b, t, h, d), dim=-1), r(b, t, h, d)
    yield "softmax_sdpa", softmax_attention, [q, k, v]
    yield "linear_attention", linear_attention, [q, k, v]
    yield "scalar_decay", scalar_decay_attention, [q, k, v, F.logsigmoid(r(b, t, h)) / 16]
    yield "gla", gated_linear_attention, [q, k, v, F.logsigmoid(r(b, t, h, d)) / 16]
    yield "delta", delta_rule, [q, k, v, torch.sigmoid(r(b, t, h))]
    unit = F.normalize(q, dim=-1)
    # A deep memory diverges with the steps that a linear one can take, and dies where it forgets as fast.
    gates = lambda *means: [torch.sigmoid(r(b, t, h) + mean) for mean in means]
    weight = lambda i, o: r(1, h, i, o) / i**0.5
    yield "neural_memory", neural_memory, [unit, k, v, *gates(-4, 2, -2), weight(d, d)]
    yield "neural_memory_deep", neural_memory, [unit, k, v, *gates(-9, 2, -7), weight(d, 2 * d), weight(2 * d, d)]


def median(f, runs, budget=0.25, most=101):
    f()
    f()
    times, start = [], time.perf_counter()
    while len(times) < runs or (len(times) < most and time.perf_counter() - start < budget):
        t = time.perf_counter()
        f()
        times.append(time.perf_counter() - t)
    return sorted(times)[len(times) // 2]


def product(side=1024):
    """Multiply-adds per second of the best product of two square matrices."""
    a, b = torch.randn(side, side), torch.randn(side, side)
    times = []
    for _ in range(30):
        t = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - t)
    return side**3 / min(times)


def measure(fn, args, runs):
    with torch.no_grad():
        forward = median(lambda: fn(*args), runs)
    leaf = [x.detach().requires_grad_() for x in args]

    def train():
        for x in leaf:
            x.grad = None
        fn(*leaf).square().sum().backward()

    return forward, median(train, runs)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--threads", type=int, default=torch.get_num_threads())
    p.add_argument("--runs", type=int, default=9, help="at least so many runs; their median counts")
    p.add_argument("--shape", default="1,2048,4,64", help="batch,time,heads,head_dim")
    p.add_argument("--only", help="names of operators, with commas between them; all if left out")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    limit = product()
    rows = []
    for name, fn, args in cases(*map(int, a.shape.split(","))):
        if a.only and name not in a.only.split(","):
            continue
        forward, both = measure(fn, args, a.runs)
        rows.append(dict(op=name, forward=forward, both=both))
    limit = max(limit, product())
    print(json.dumps(dict(torch=torch.__version__, threads=a.threads, product=limit, rows=rows)))


if __name__ == "__main__":
    main()
