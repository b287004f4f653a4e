"""The public functions: tables of a corpus for Python, kernels on plain values, and `build`.

Functions import what they need, so that one page can be extracted without Spark.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, reduce
from importlib import import_module
from os import PathLike, fspath
from os.path import abspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from swallow_spark import tables
from swallow_spark.errors import CorpusError, UsageError, meant

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation
    from polars import LazyFrame
    from pyspark.sql import DataFrame, SparkSession

    from swallow_spark.corpus.manifests import Manifest
    from swallow_spark.files.storage import Root
    from swallow_spark.kernels.classifiers import Model
    from swallow_spark.kernels.html import Extracted

Location: TypeAlias = str | PathLike[str]
Texts: TypeAlias = Iterable[str | None]
"""Texts; None counts as empty. Also an Arrow array of strings, or an object that exports one."""

_PARQUET: Final = ds.ParquetFileFormat()
_NAMED_BY_SUBSET: Final = ("subsets", "tokens")  # their directories have no NAME=VALUE for the subset
_INTERNAL: Final = ("boundaries",)
# Tables that may have no file although their stage has finished.
_MAYBE_EMPTY: Final = {
    "ingest": {"pages": tables.PAGES, "failures": tables.FAILURES, "ledger": tables.LEDGER},
    "deduplicate": {"duplicates": tables.DUPLICATES, "groups": tables.GROUPS},
    "decontaminate": {"contamination": tables.CONTAMINATION},
    "remove": {"removed": tables.REMOVED},
}


class _File(NamedTuple):
    """A Parquet file of a table."""

    path: str
    bytes: int | None
    columns: tuple[tuple[str, str], ...]
    """Columns from the names of its directories: name and value, the same for all rows."""
    origin: tuple[str, ...]
    """Files of one table with the same origin have the same schema."""


class Corpus:
    """The tables of a corpus, as `open` found them.

    A table is named by its directory in the corpus: `pages`, `verdicts/preset=swallow-v2`, `scores/classifier=edu`,
    `subsets/edu-top10` (docs/reference/tables.md lists them with their columns). A name above several of them, such as
    `verdicts`, gives the rows of all. Names of directories become columns: `crawl`, and `preset` (verdicts),
    `classifier` (scores), or `subset` (subsets and tokens). Filters on these columns skip whole files.

    Only rows of finished units are read, also of those that the next run will replace because the configuration has
    changed.

    Reading takes no lock and sees the units that were there at `open`. If a run replaces or discards one of them,
    reading its files fails with FileNotFoundError (in Spark, an error of the job); then call `open` again.
    """

    def __init__(self, root: "Root", files: Mapping[str, Sequence[_File]], empty: Mapping[str, pa.Schema]) -> None:
        self._root = root
        self._files = {**dict.fromkeys(empty, ()), **files}
        self._empty = empty
        self._schema = cache(self._read_schema)

    def __repr__(self) -> str:
        return f"<Corpus {self.location}: {', '.join(self.tables)}>"

    @property
    def location(self) -> str:
        return self._root.location

    @property
    def tables(self) -> list[str]:
        """The names of the tables, sorted."""
        return sorted(self._files)

    def table(self, name: str) -> Any:
        """A table as a `pyarrow.dataset.Dataset`; only schemas are read until it is scanned.

        Raises CorpusError if there is no such table.
        """
        from swallow_spark.files.storage import filesystem as find_filesystem

        files, schema = self._found(name)
        filesystem, base = find_filesystem(self._root.location)
        fragments = []
        for file in files:
            known = [ds.field(column) == value for column, value in file.columns]
            more = {"partition_expression": reduce(lambda one, other: one & other, known)} if known else {}
            path = f"{base.rstrip('/')}/{file.path}"
            fragments.append(_PARQUET.make_fragment(path, filesystem, file_size=file.bytes, **more))
        return ds.FileSystemDataset(fragments, schema, _PARQUET, filesystem)

    def spark(self, name: str, session: "SparkSession | None" = None) -> "DataFrame":
        """A table as a Spark DataFrame.

        session: default: the active one, otherwise a local one as the commands open it. Spark itself reads local and
        HDFS paths. On object stores, PyArrow reads all columns inside tasks, whatever is selected later: use `table`
        for a small part of a large table there. Raises CorpusError if there is no such table.
        """
        from pyspark.sql import SparkSession
        from pyspark.sql.functions import lit
        from pyspark.sql.pandas.types import from_arrow_schema

        from swallow_spark.corpus.read import read_files
        from swallow_spark.session.session import open_session

        spark = session or SparkSession.getActiveSession() or open_session("swallow-spark")
        files, schema = self._found(name)
        if not files:
            return spark.createDataFrame(schema.empty_table(), from_arrow_schema(schema))
        alike: dict[tuple[Any, ...], list[_File]] = {}
        for file in files:
            alike.setdefault((file.origin, file.columns), []).append(file)
        frames = [
            read_files(spark, self._root, [file.path for file in group], self._schema(group[0].origin)).withColumns(
                {column: lit(value) for column, value in group[0].columns}
            )
            for group in alike.values()
        ]
        rows = reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), frames)
        return rows.select(*(f"`{column}`" for column in schema.names))

    def duckdb(self, name: str, connection: "DuckDBPyConnection | None" = None) -> "DuckDBPyRelation":
        """A table as a DuckDB relation, by default on DuckDB's default connection.

        DuckDB pushes filters and columns down to Arrow. Raises CorpusError if there is no such table, ImportError
        without the package duckdb.
        """
        module = _optional("duckdb")
        relation: DuckDBPyRelation = (connection or module).from_arrow(self.table(name))
        return relation

    def polars(self, name: str) -> "LazyFrame":
        """A table as a polars LazyFrame.

        polars pushes filters and columns down to Arrow. Raises CorpusError if there is no such table, ImportError
        without the package polars.
        """
        frame: LazyFrame = _optional("polars").scan_pyarrow_dataset(self.table(name))
        return frame

    def _found(self, name: str) -> tuple[list[_File], pa.Schema]:
        """The files of a table, and its columns with those of directories."""
        names = [table for table in self.tables if f"{table}/".startswith(f"{name}/")]
        if not names:
            known = {*self.tables, *(table.partition("/")[0] for table in self.tables)}
            there = ", ".join(self.tables)
            raise CorpusError(f"{self.location}: no table {name!r}{meant(name, known)} (there are: {there})")
        files = [file for table in names for file in self._files[table]]
        if not files:
            return files, pa.schema([*self._empty[names[0]], pa.field("crawl", pa.string())])
        stored = pa.unify_schemas([self._schema(origin) for origin in dict.fromkeys(file.origin for file in files)])
        columns = dict.fromkeys(column for file in files for column, _ in file.columns)
        return files, pa.schema([*stored, *(pa.field(column, pa.string()) for column in columns)])

    def _read_schema(self, origin: tuple[str, ...]) -> pa.Schema:
        path = next(file.path for file in self._files[origin[0]] if file.origin == origin)
        with self._root.open_input(path) as stream:
            schema = pq.read_schema(stream).remove_metadata()
        # A column that older files lack is no change of the fingerprint: files of one origin may have it or not.
        schemas = [schema, self._empty[origin[0]]] if origin[0] in self._empty else [schema]
        return pa.unify_schemas([pa.schema([field.with_nullable(True) for field in one]) for one in schemas])


def open(corpus: Location) -> Corpus:
    """The tables of a corpus, for reading.

    corpus: its directory or URI (`s3://…`, `hdfs://…`). Reads all manifests. Raises CorpusError if there is no corpus,
    it can't be read, or a manifest is damaged; InputError for a URI that can't be used.
    """
    from swallow_spark.corpus import corpus as stored
    from swallow_spark.corpus import manifests

    opened = stored.Corpus.open(_location(corpus))
    files: dict[str, list[_File]] = {}
    empty: dict[str, pa.Schema] = {}
    for manifest in manifests.read(opened.root, manifests.find(opened.root)):
        empty |= _MAYBE_EMPTY.get(manifest.stage, {})
        for file in manifest.files:
            if file.table not in _INTERNAL:
                files.setdefault(file.table, []).append(_of_manifest(file.table, file.path, file.bytes, manifest))
    for path in opened.root.files("inputs", ".parquet"):
        files.setdefault("inputs", []).append(_File(path, None, (), ("inputs",)))
    return Corpus(opened.root, files, empty)


def _location(location: Location) -> str:
    """An absolute path or URI: Spark's workers stay in the directory where the session was opened."""
    found = fspath(location)
    return found if "://" in found else abspath(found)


def _of_manifest(table: str, path: str, size: int, manifest: "Manifest") -> _File:
    kind, _, name = table.partition("/")
    columns = {"subset": name} if kind in _NAMED_BY_SUBSET else {}
    for step in path.split("/")[1:-1]:
        column, is_column, value = step.partition("=")
        if is_column:
            columns[column] = value
    return _File(path, size, tuple(columns.items()), (table, manifest.version, manifest.fingerprint))


def _optional(package: str) -> Any:
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ImportError(f"{package} is not installed: pip install {package}", name=package) from None


def build(
    corpus: Location,
    inputs: Location | Iterable[Location],
    *,
    config: Location | None = None,
    crawl: str | None = None,
    base_url: str | None = None,
    files: str | None = None,
    index: str | None = None,
    hosts: Sequence[str] = (),
    urls: Sequence[str] = (),
    until: str = "report",
    overrides: Sequence[str] = (),
    master: str | None = None,
    replace: bool = False,
) -> dict[str, Any]:
    """Runs all stages, from WARCs to subsets and the report, as `swallow-spark build` with the same arguments. Called
    again, it continues where it stopped. Returns the summary, as `--json` prints it.

    corpus: a directory or URI, created if missing. inputs: WARC files, globs, URLs, listings, or `cc:CC-MAIN-YYYY-WW`.
    config: a file, or the name of a packaged configuration; None: that of the corpus's last run, otherwise swallow-v2.
    overrides: `section.key=value` (`--set`). until: the last stage. replace: agree that subsets made with another
    configuration are deleted or replaced.

    Progress and the summary's table go to standard error. Uses the Spark session of this process; if there is none,
    opens one with `master`, which stays open. Raises UsageError (ConfigError, InputError, CorpusError, ModelError)
    before any work starts if the command would end with status 2, or with 75 because another run uses the corpus; any
    other exception if the run fails.
    """
    from swallow_spark import pipeline
    from swallow_spark.commands import stages

    ends = pipeline.STAGES.ends
    if until not in ends:
        raise UsageError(f"until={until!r}: no such stage{meant(until, ends)} (there are: {', '.join(ends)})")
    names = [fspath(name) for name in ([inputs] if isinstance(inputs, (str, PathLike)) else inputs)]
    # The base URL as an override, so that this call collects the summary.
    settings = [*overrides, *([f"ingest.base_url={base_url}"] if base_url else [])]
    call = stages.OnWarcs(
        command="build",
        corpus=_location(corpus),
        config=fspath(config) if config else None,
        overrides=settings,
        master=master,
        files=files,
        index=_location(index) if index and not index.startswith("cc:") else index,
        hosts=list(hosts),
        urls=list(urls),
    )
    stages.build(call, names, crawl, until, replace)
    return call.result


def extract(html: bytes | str, content_type: str | None = None) -> "Extracted":
    """The title and the main text of a page: `.title`, `.text` (a line for each block; "" if there is none),
    `.charset`, and more.

    html: the body of the response, as bytes or decoded. content_type: the value of the HTTP header, for bytes. No page
    is refused.
    """
    from swallow_spark.kernels import html as kernel

    # With a BOM, nothing else determines the charset.
    return kernel.extract(html.encode("utf-8-sig", "replace") if isinstance(html, str) else html, content_type)


def is_japanese(text: str) -> bool:
    """Whether a text is Japanese: more than a twentieth of its letters, or 400 of them, are kana and Chinese
    characters, with a fair share of kana."""
    from swallow_spark.kernels import japanese

    return japanese.is_japanese(text)


def signatures(texts: Texts, *, num_perm: int = 800, shingle_chars: int = 5, seed: int = 1) -> npt.NDArray[np.uint32]:
    """The MinHash signatures of texts: shape (number of texts, num_perm). The share of equal values of two rows
    estimates the Jaccard similarity of their sets of shingles, which are runs of `shingle_chars` code points.

    Equal to those of datasketch.MinHash(num_perm, seed, scheme="affine32", hashfunc=xxhash.xxh32_intdigest). Raises
    TypeError for anything but texts, ValueError for a `num_perm` or `shingle_chars` below 1.
    """
    from swallow_spark.kernels import minhash

    return minhash.signatures(_array(texts), num_perm=num_perm, shingle_chars=shingle_chars, seed=seed)


def measure(texts: Texts, *, groups: Sequence[str] = ()) -> Any:
    """The features that rules decide by, as a `pyarrow.RecordBatch`: a row for each text, a column for each feature
    (docs/reference/features.md).

    groups: optional groups of features to measure. Columns of other groups, and of features that need a configured
    list, are null. Raises TypeError for anything but texts, ValueError for an unknown group.
    """
    from swallow_spark.kernels import features

    return features.measure(_array(texts), groups=groups)


class Classifier:
    """A classifier from `load_classifier`."""

    def __init__(self, model: "Model") -> None:
        self._model = model

    def __repr__(self) -> str:
        return f"<Classifier {self._model.path}: {', '.join(self.labels)}>"

    @property
    def labels(self) -> list[str]:
        """The model's labels (`__label__…`), in its order."""
        return list(self._model.labels)

    def probabilities(self, texts: Texts) -> npt.NDArray[np.float32]:
        """Probability of each label: shape (texts, labels). Raises TypeError for anything but texts."""
        return self._model.probabilities(_array(texts))


def load_classifier(path: Location, *, kind: str = "fasttext") -> Classifier:
    """The classifier in a file; of the kind fasttext, in `.bin` or `.ftz`. kind: as in `classifiers.NAME.kind`.

    Raises ModelError if the file is missing, damaged or of another kind, ValueError for an unknown kind.
    """
    from swallow_spark.kernels import classifiers

    if kind not in classifiers.KINDS:
        raise ValueError(f"no such kind of classifier: {kind} (there are: {', '.join(classifiers.KINDS)})")
    return Classifier(classifiers.kind(kind).load(Path(path)))


def _array(texts: Any) -> Any:
    """Texts as the kernels take them: a large_string array. Raises TypeError for anything else."""
    if isinstance(texts, (str, bytes)):
        raise TypeError("a list of texts is needed, not a single one")
    try:
        if hasattr(texts, "__arrow_c_array__"):
            found = pa.array(texts)
        elif hasattr(texts, "__arrow_c_stream__"):
            found = pa.chunked_array(texts)
        else:
            return pa.array(list(texts), pa.large_string())
    except pa.ArrowTypeError as error:
        raise TypeError(f"texts are needed: {error}") from None
    kind = found.type.value_type if pa.types.is_dictionary(found.type) else found.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise TypeError(f"an array of strings is needed, not of {found.type}")
    found = found.cast(pa.large_string())
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
