"""Trouble on purpose: builds that are disturbed at random, and what must come of them.

    python tests/support/chaos.py --seed 1 --minutes 15        (`make chaos`)

`--fault kill_driver` is for one kind of trouble alone, `--cluster` for builds on a standalone cluster instead of local
mode.

Each round disturbs a build once or twice (faults.py tells how), lets the same command run until it is through, and
compares all tables with those of an undisturbed build. What happens in a round is decided by its seed alone; when it
happens, by what the build has written until then, so that slow machines see the same trouble as fast ones.
"""

import argparse
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from corpora import same_tables, slice_of
from disturbed import Build, Fault, Round
from faults import FAULTS, ON_CLUSTERS, cluster
from places import DEMO_PAGES

ATTEMPTS: Final = 4


def run_round(
    seed: int,
    faults: Sequence[Fault],
    reference: Path,
    warcs: Sequence[Path],
    directory: Path,
    num_faults: int = 0,
    arguments: Sequence[str] = (),
) -> str:
    """One round of `num_faults` (0: one or two) on builds with `arguments`; what happened. Fails where the corpus isn't
    the undisturbed one in the end."""
    round_ = Round(seed, warcs, reference, directory, arguments)
    told = []
    for _ in range(num_faults or round_.chance.randint(1, 2)):
        fault = round_.chance.choice(faults)
        told.append(f"{fault.__name__} ({fault(round_)})")
    for _ in range(ATTEMPTS):
        status, text = round_.build().end()
        if status == 0:
            break
        told.append(text.strip().splitlines()[-1])
        assert _is_clear(told[-1]), (seed, told, text)
    assert status == 0, (seed, told, text)
    same_tables(round_.corpus, reference)
    assert not (round_.corpus / "lock.json").exists()
    shutil.rmtree(round_.corpus)
    shutil.rmtree(round_.scratch)
    return "; ".join(told)


def _is_clear(line: str) -> bool:
    """Whether it tells of what the program knows: of all else it tells the exception's type, at the end."""
    is_known = not re.search(r"\(\w+\)$", line) or re.search(r"swallow_spark\.errors\.(Input|Changed)Error: ", line)
    return line.startswith("swallow-spark: ") and bool(is_known)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the following count on")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--fault", action="append", choices=[fault.__name__ for fault in FAULTS])
    parser.add_argument("--cluster", action="store_true", help="builds on a standalone cluster, not in local mode")
    given = parser.parse_args()
    kinds = ON_CLUSTERS if given.cluster else FAULTS
    faults = [fault for fault in kinds if not given.fault or fault.__name__ in given.fault]
    if not faults:
        parser.error("of these faults none is for builds on a cluster: " + ", ".join(given.fault))
    with ExitStack() as ended:
        scratch = ended.enter_context(tempfile.TemporaryDirectory())
        directory = Path(scratch)
        names = range(4)
        warcs = [slice_of(DEMO_PAGES / f"{n:05}.warc.gz", directory / f"{n}.warc.gz", slice(0, 45)) for n in names]
        reference = directory / "reference"
        status, text = Build(reference, warcs).end()
        assert status == 0, text
        arguments = ended.enter_context(cluster(directory))[1] if given.cluster else []
        end, seed = time.monotonic() + 60 * given.minutes, given.seed
        while time.monotonic() < end:
            began = time.monotonic()
            told = run_round(seed, faults, reference, warcs, directory, arguments=arguments)
            print(f"seed {seed}: {told}: the same corpus, after {time.monotonic() - began:.0f} s", flush=True)
            seed += 1


if __name__ == "__main__":
    main()
