"""What the peer programs share: the timer, the machine's limits, the command line."""
import argparse
import json
import time

import torch


def median(f, runs, budget=0.25, most=101):
    f()
    f()
    times, start = [], time.perf_counter()
    while len(times) < runs or (len(times) < most and time.perf_counter() - start < budget):
        t = time.perf_counter()
        f()
        times.append(time.perf_counter() - t)
    return sorted(times)[len(times) // 2]


def limits():
    """Multiply-adds of a product, bytes of a sum of two arrays, and exponentials, per second."""
    a, b, c = (torch.randn(1024, 1024) for _ in range(3))
    x, y, z = (torch.randn(1 << 24) for _ in range(3))
    e, f = -torch.rand(1 << 17), torch.empty(1 << 17)

    def best(work, run, count=30):
        times = []
        for _ in range(count):
            t = time.perf_counter()
            run()
            times.append(time.perf_counter() - t)
        return work / min(times)

    return dict(
        product=best(1024**3, lambda: torch.mm(a, b, out=c)),
        bytes=best(12 << 24, lambda: torch.add(x, y, alpha=2.0, out=z), 10),
        exponentials=best(1 << 17, lambda: torch.exp(e, out=f), 200),
    )


def measure(fn, args, runs):
    with torch.no_grad():
        forward = median(lambda: fn(*args), runs)
    if getattr(fn, "forward_only", False):
        return forward, forward
    leaves = [x.detach().requires_grad_() for x in args]
    parameters = list(fn.parameters()) if isinstance(fn, torch.nn.Module) else []

    def train():
        for x in leaves + parameters:
            x.grad = None
        fn(*leaves).square().sum().backward()

    return forward, median(train, runs)


def main(doc, tasks):
    """Times every formulation of a task, each a name, a function and its arguments, and prints JSON."""
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--task", choices=tasks, required=True)
    p.add_argument("--shape", required=True, help="numbers with commas between them")
    p.add_argument("--threads", type=int, default=torch.get_num_threads())
    p.add_argument("--runs", type=int, default=5, help="at least so many runs; their median counts")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    rows = []
    for name, fn, args in tasks[a.task](*map(int, a.shape.split(","))):
        forward, both = measure(fn, args, a.runs)
        rows.append(dict(op=name, forward=forward, both=both))
    print(json.dumps(dict(torch=torch.__version__, threads=a.threads, rows=rows, **limits())))
