"""A data card in the format of the Hugging Face Hub: YAML front matter and Markdown."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

_MOST_FILES: Final = 100
_SIZES: Final = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
    (10_000_000_000, "1B<n<10B"),
    (100_000_000_000, "10B<n<100B"),
    (1_000_000_000_000, "100B<n<1T"),
)
_SUFFIXES: Final = {"parquet": "parquet", "jsonl.zst": "jsonl.zst"}
_LICENCE: Final = (
    "The texts are those of web pages. They belong to their authors and publishers; nobody has asked for a licence, "
    "and this program knows none. Whether and how you may use them depends on the law where you are and on each page's "
    "terms: name the licence under which you publish in `license` above, after you have checked.",
    "Pages from Common Crawl also fall under its [terms of use](https://commoncrawl.org/terms-of-use). What pages ask "
    "of robots (`noindex`, `noai` and the like) is in the column `robots` of the table `pages`; no rule uses it.",
)
_LICENCE_OF_IMPORTS: Final = (
    "The texts were imported, and this program knows no licence of them: name the licence under which you publish in "
    "`license` above, after you have checked.",
)
_LIMITS: Final = (  # the first and the last are of web pages
    "The main text is found by heuristics: menus or captions may be left, and parts of articles may be missing.",
    "Near-duplicates are found by MinHash with a probability, not with certainty; some remain.",
    "The rules are bounds on numbers. They drop some good pages, such as poems and tables, and keep some bad ones.",
    "A classifier's score says how much a page is like those that it was trained on. It is no measure of truth.",
    "Texts are not checked for personal data, hate or errors, beyond what is named above.",
    "It is what a crawler found of the Japanese web: no fair sample of the language or of its speakers.",
)
_CITATIONS: Final = (
    "Okazaki et al., “Building a Large Japanese Web Corpus for Large Language Models”, COLM 2024.",
    "服部ら, 「Swallowコーパスv2: 教育的な日本語ウェブコーパスの構築」, 言語処理学会第31回年次大会, 2025.",
)


def markdown(facts: Mapping[str, Any]) -> str:
    """The card. Strings from configurations and names can't leave their cell or line."""
    return f"---\n{_front_matter(facts)}---\n\n{_body(facts)}"


def _front_matter(facts: Mapping[str, Any]) -> str:
    documents = max((of.get("documents", 0) for of in facts["subsets"].values()), default=0)
    size = next((name for most, name in _SIZES if documents < most), "n>1T")
    lines = [
        f"pretty_name: {_quoted(facts['corpus'])}",
        *(["language:", "- ja"] if _has_web_pages(facts) else []),
        "license: other",
        f"license_name: {'web-pages' if _has_web_pages(facts) else 'texts'}-no-licence-checked",
        "task_categories:",
        "- text-generation",
        "size_categories:",
        f"- {_quoted(size)}",
        "tags:",
        *(["- common-crawl"] if _has_web_pages(facts) else []),
        "- pretraining",
        "- swallow-spark",
    ]
    if facts["columns"]:  # an export: its files lie beside the card
        lines.append("configs:")
        for name in facts["subsets"]:
            path = f"{name}/*.{_SUFFIXES[facts['format']]}"
            lines += [f"- config_name: {_quoted(name)}", f"  data_files: {_quoted(path)}"]
    return "".join(f"{line}\n" for line in lines)


def _has_web_pages(facts: Mapping[str, Any]) -> bool:
    """Whether there are pages of WARCs, which are Japanese; imported text may be in any language, of any origin."""
    return any("warc" in of["formats"] for of in facts["sources"]) or not facts["sources"]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # which is YAML too


def _body(facts: Mapping[str, Any]) -> str:
    made, counts = facts["made"], facts["counts"]
    what = "Japanese text of web pages" if _has_web_pages(facts) else "Imported text"
    parts = [f"# {_cell(facts['corpus'])}"]
    parts.append(
        f"{what}, made with swallow-spark {', '.join(made['versions'])} "
        f"from {made['first']} to {made['last']}. This card is written from the manifests of the corpus."
    )
    parts += ["## Contents", _subsets(facts)]
    if facts["samples"]:
        shares = ", ".join(
            f"`{_cell(name)}`: {of['share']} (seed {of['seed']})" for name, of in facts["samples"].items()
        )
        parts.append(f"Samples of the subsets: {shares}.")
    if facts["columns"]:
        parts.append(f"Columns: {', '.join(f'`{_cell(name)}`' for name in facts['columns'])}.")
    parts += ["## Sources", _sources(facts["sources"])]
    parts.append(_table(("step", "number"), [(key.replace("_", " "), value) for key, value in counts.items()]))
    if facts["passed_over"]:
        parts.append(f"Records passed over: {_counted(facts['passed_over'])}.")
    if facts["failures"]:
        parts.append(f"Records that couldn't be read: {_counted(facts['failures'])}.")
    parts += ["## Method", *_method(facts["method"], _text_from(facts))]
    if removed := facts["removed"]:
        parts.append(
            f"Removal requests: {removed['hosts']:,} hosts and {removed['urls']:,} URLs, "
            f"with {removed['pages']:,} pages of the corpus."
        )
    limits = _LIMITS if _has_web_pages(facts) else _LIMITS[1:-1]
    parts += ["## Licences and terms", *(_LICENCE if _has_web_pages(facts) else _LICENCE_OF_IMPORTS)]
    parts += ["## Known limits", "\n".join(f"* {limit}" for limit in limits)]
    parts += ["## Checksums", *_checksums(facts["checksums"])]
    parts += ["## Citation", "The method is that of:", "\n".join(f"* {one}" for one in _CITATIONS)]
    return "\n\n".join(parts) + "\n"


def _subsets(facts: Mapping[str, Any]) -> str:
    sizes = facts["subsets"]
    keys = [key for key in ("documents", "characters", "tokens", "bytes") if any(key in of for of in sizes.values())]
    if not sizes:
        return "There is no subset yet."
    table = _table(("subset", *keys), [(name, *(of.get(key) for key in keys)) for name, of in sizes.items()])
    return f"{table}\n\nTokens by {_cell(facts['tokenizer'])}." if "tokens" in keys else table


def _sources(sources: Iterable[Mapping[str, Any]]) -> str:
    rows = [
        (
            of["crawl"],
            ", ".join(of["from"]),
            ", ".join(of["formats"]),
            *(of[key] for key in ("files", "bytes", "records", "pages")),
        )
        for of in sources
    ]
    return _table(("crawl", "from", "format", "files", "bytes", "records", "pages"), rows)


def _text_from(facts: Mapping[str, Any]) -> str:
    extracted = (
        "The main text of pages in Japanese, as Unicode. Pages in other languages and records without HTML are passed "
        "over, and counted."
    )
    imported = "Text that was extracted elsewhere and imported, in whatever language it is."
    kinds = {kind == "warc" for of in facts["sources"] for kind in of["formats"]} or {True}
    return " ".join(said for is_warc, said in ((True, extracted), (False, imported)) if is_warc in kinds)


def _method(method: Mapping[str, Any], text_from: str) -> list[str]:
    parts = [f"1. **Text.** {text_from}"]
    if dedup := method.get("dedup"):
        near = f", of an estimated similarity of {dedup['min_similarity']:g} or more" if dedup["min_similarity"] else ""
        parts.append(
            f"2. **Near-duplicates.** MinHash over shingles of {dedup['shingle_chars']} characters, {dedup['bands']} "
            f"bands of {dedup['rows_per_band']} values; policy `{dedup['policy']}`, order `{dedup['prefer']}`{near}."
        )
    if rules := method.get("rules"):
        parts.append(f"3. **Rules** `{_cell(rules['preset'])}`: a page outside any of these bounds is left out.")
        rejected = rules["rejected"]
        rows = [
            (
                name,
                _bound(bound, name in rules["not_measured"]),
                bound["source"],
                sum(rejected.get(f"{name}:{side}", 0) for side in ("low", "high")),
            )
            for name, bound in rules["bounds"].items()
        ]
        parts.append(_table(("feature", "kept", "source", "pages rejected"), rows))
        if rules["hosts"]:
            parts.append(f"Hosts left out: {', '.join(f'`{_cell(host)}`' for host in rules['hosts'])}.")
    if against := method.get("decontamination"):
        names = ", ".join(_cell(name) for name in against["against"])
        parts.append(f"Pages with {against['rejected_from']:.0%} or more of a question of {names} are left out.")
    if classifiers := method.get("classifiers"):
        parts.append("4. **Scores**, each the sum of weight × probability over a classifier's labels.")
        rows = [
            (
                name,
                of["kind"],
                ", ".join(f"{label}: {weight:g}" for label, weight in of["weights"].items()),
                of["sha256"],
            )
            for name, of in classifiers.items()
        ]
        parts.append(_table(("classifier", "kind", "weights", "model's SHA-256"), rows))
    if thresholds := method.get("thresholds"):
        parts.append("5. **Selection.** The best pages of each ranking; a band ends with this score.")
        ends = [(name, band, score) for name, bands in thresholds.items() for band, score in bands.items()]
        parts.append(_table(("ranking", "band", "last score"), ends))
        cleanup = method["cleanup"]
        masked = f"; masked: {', '.join(cleanup['mask'])}" if cleanup["mask"] else "; no personal data is masked"
        parts.append(f"6. **Clean-up** of the selected texts: `{cleanup['mode']}`{masked}.")
    return parts


def _bound(bound: Mapping[str, Any], not_measured: bool) -> str:
    if not_measured:
        return "not measured: no list of expressions is configured"
    words = {"min": "at least {:g}", "max": "at most {:g}", "below": "below {:g}"}
    return ", ".join(said.format(bound[key]) for key, said in words.items() if key in bound)


def _checksums(files: Sequence[Mapping[str, Any]]) -> list[str]:
    if not files:
        return ["None are known."]
    kind = next(key for key in files[0] if key != "file")
    rows = [(of["file"], of[kind]) for of in files[:_MOST_FILES]]
    all_of = "`SHA256SUMS` has all" if kind == "sha256" else "the manifests of the corpus have all"
    more = [f"The first {_MOST_FILES} of {len(files):,}; {all_of}."] if len(files) > _MOST_FILES else []
    return [_table(("file", {"sha256": "SHA-256", "crc32": "CRC-32"}[kind]), rows), *more]


def _counted(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{_cell(reason).replace('_', ' ')} {number:,}" for reason, number in numbers.items())


def _table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(_cell(value) for value in line)} |" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    text = "–" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
