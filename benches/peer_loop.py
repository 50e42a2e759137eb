# Times a round of each work whose name comes in, one line each. A round is the median of as many runs as fit 50 ms, three at
# least, of a run of over a second the first; inputs are made once.
import json
import statistics
import time

TRAINS = ("backward", "step")


def timed(run, grad):
    begun, times = time.perf_counter(), []
    with torch.set_grad_enabled(grad):
        while len(times) < 3 or time.perf_counter() - begun < 0.05:
            start = time.perf_counter()
            run()
            times.append((time.perf_counter() - start) * 1e3)
            if time.perf_counter() - begun > 1:
                break
    return statistics.median(times)


def answer(**fields):
    print(json.dumps(fields), flush=True)


def peak():
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return None


def main():
    answer(version=globals().get("VERSION", f"PyTorch {torch.__version__}"))
    ready = {}
    for line in sys.stdin:
        name = line.strip()
        try:
            if name not in ready:
                ready.clear()
                ready[name] = BENCHMARKS[name]()
            run = ready[name]
            # Some do a part of the work, so many times of which is the whole.
            ms = timed(run, any(part in name for part in TRAINS)) * getattr(run, "times", 1)
            answer(ms=ms, memory=peak())
        except Exception as error:
            answer(error=f"{type(error).__name__}: {error}")


main()
