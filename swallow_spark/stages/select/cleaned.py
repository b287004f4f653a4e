"""Clean-up of the texts that leave `pages`: for subsets, and for exports of the built-in ones."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from swallow_spark.config.select import Cleanup
from swallow_spark.corpus.lookups import Lookups
from swallow_spark.kernels.text import cleanup, host_lines, personal


class Done(NamedTuple):
    """What clean-up did to each page: lines dropped, footer trimmed, and personal data masked (kinds, pages)."""

    host_lines: NDArray[np.int32]
    trimmed: NDArray[np.bool_]
    masked: NDArray[np.int32]

    def sums(self, here: NDArray[np.bool_], table: str) -> dict[str, int]:
        """The sums of some pages, for a table."""
        masked = self.masked[:, here].sum(axis=1).tolist()
        optional = {"host_lines": int(self.host_lines[here].sum(dtype=np.int64))}
        optional |= {f"masked_{kind}": number for kind, number in zip(personal.KINDS, masked, strict=True)}
        return {
            f"trimmed:{table}": int(self.trimmed[here].sum()),
            **{f"{name}:{table}": number for name, number in optional.items() if number},
        }


def cleaned(batch: pa.RecordBatch, section: Cleanup, repeated: Lookups | None) -> tuple[pa.RecordBatch, Done]:
    """The batch (text, num_chars, with `repeated` also host, which it loses) with its texts cleaned up and their new
    lengths. Lines are dropped first: they were counted as they are in `pages`."""
    columns = {name: batch.column(name) for name in batch.schema.names}
    dropped = np.zeros(batch.num_rows, np.int32)
    trimmed = np.zeros(batch.num_rows, np.bool_)
    masked = np.zeros((len(personal.KINDS), batch.num_rows), np.int32)
    if repeated:
        short = _without_repeated(columns["text"], columns.pop("host"), repeated)
        columns["text"], columns["num_chars"], dropped = short.texts, pa.array(short.num_chars), short.num_lines
    if section.mode != "off":
        clean = cleanup.clean(columns["text"], section.mode)
        columns["text"], columns["num_chars"], trimmed = clean.texts, pa.array(clean.num_chars), clean.trimmed
    if section.mask:
        found = personal.mask(columns["text"], section.mask)
        columns["text"], columns["num_chars"], masked = found.texts, pa.array(found.num_chars), found.counts
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns)), Done(dropped, trimmed, masked)


def _without_repeated(texts: pa.Array, hosts: pa.Array, repeated: Lookups) -> host_lines.Without:
    keys = host_lines.host_keys(hosts)
    text, host, line = host_lines.lines(texts, keys)
    dropped, values = repeated.find(line)
    if dropped.any():
        dropped[dropped] = values["host"] == host[dropped]
    return host_lines.without(texts, text, dropped)
