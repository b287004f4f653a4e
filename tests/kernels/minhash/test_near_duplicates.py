"""Which of the demo's real pages share a bucket, against the exact similarity of all their pairs."""

from itertools import combinations

import numpy as np
import pyarrow as pa
from places import DEMO_WARCS

from swallow_spark.kernels import lsh
from swallow_spark.kernels.html.page import Limits, Page, read_page
from swallow_spark.kernels.warc.warc import Record, read


def texts() -> list[str]:
    found = []
    for path in DEMO_WARCS[:2]:
        with path.open("rb") as stream:
            answers = [read_page(record, Limits()) for record in read(stream) if isinstance(record, Record)]
        found += [answer.text for answer in answers if isinstance(answer, Page)]
    return found


def test_near_duplicates_share_a_bucket_and_others_do_not() -> None:
    pages = texts()
    sets = [{page[at : at + 5] for at in range(max(1, len(page) - 4))} for page in pages]
    keys = lsh.sketch(pa.array(pages)).column("bands").flatten().to_numpy().reshape(len(pages), -1)
    near, between, far = [], [], []
    for one, other in combinations(range(len(pages)), 2):
        common = len(sets[one] & sets[other])
        jaccard = common / (len(sets[one]) + len(sets[other]) - common)
        shared = bool((keys[one] == keys[other]).any())
        if jaccard >= 0.95:
            near.append(shared)
        elif jaccard >= 0.5:
            between.append((shared, lsh.collision_probability(jaccard)))
        else:
            far.append(shared)
    assert len(near) > 10
    assert all(near)  # each is missed with a chance below one in a million
    assert len(far) > 20_000
    assert not any(far)  # the curve is below 4e-5 there, and next to nothing for most
    chances = np.array([chance for _, chance in between])
    error = np.sqrt((chances * (1 - chances)).sum())
    assert len(between) > 8
    assert abs(sum(shared for shared, _ in between) - chances.sum()) < 3 * error
