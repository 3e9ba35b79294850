"""``python -m tests.simulation --seeds N [--first K] [--jobs J]``: play seeds, print those that broke a promise."""

import argparse
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.mutants import MUTANTS, planted
from tests.simulation.play import play, share


def hunt(names: list[str], seeds: range) -> int:
    """Find each mistake, and say by which seed."""
    missed = 0
    for name in names:
        with planted(name):
            found = next(((seed, broken[0]) for seed, broken, _ in play(seeds) if broken), None)
        missed += found is None
        sys.stdout.write(f"{name}: {'not found' if found is None else f'seed {found[0]}: {found[1][:120]}'}\n")
        sys.stdout.flush()
    return 1 if missed else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--mutants", nargs="*", help="look for each planted mistake instead; none named: for all")
    arguments = parser.parse_args()
    if arguments.mutants is not None:
        return hunt(arguments.mutants or list(MUTANTS), range(arguments.first, arguments.first + arguments.seeds))
    begin = time.monotonic()
    last = arguments.first + arguments.seeds
    size = max(25, min(200, arguments.seeds // (4 * arguments.jobs)))
    shares = [range(start, min(start + size, last)) for start in range(arguments.first, last, size)]
    failed = requests = 0
    # Unlike a ``multiprocessing.Pool`` it says so when a worker dies, instead of waiting for its result for ever.
    with ProcessPoolExecutor(arguments.jobs, multiprocessing.get_context("spawn")) as pool:
        for results in pool.map(share, shares):
            for seed, found, count in results:
                requests += count
                failed += bool(found)
                for sentence in found:
                    sys.stdout.write(f"seed {seed}: {sentence}\n")
            sys.stdout.write(f"played up to seed {results[-1][0]}: {failed} failed\n" if arguments.seeds > 1000 else "")
            sys.stdout.flush()  # whoever ends a long run early keeps what it found
    seconds = time.monotonic() - begin
    rate = 60 * arguments.seeds / seconds
    sys.stdout.write(
        f"{arguments.seeds} seeds, {requests} requests, {rate:.0f} seeds a minute: "
        f"{arguments.seeds - failed} passed, {failed} failed\n"
    )
    if failed:
        sys.stdout.write("play one again: python -m tests.simulation --seeds 1 --first SEED\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
