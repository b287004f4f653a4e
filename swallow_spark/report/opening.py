"""The report in a paragraph: what this is, when and with which configuration it was made, and whether all is well."""

from collections.abc import Sequence

from swallow_spark.report.contents import Dedup, Ledger, Opening, Rules, Sources, Stage, Subset
from swallow_spark.report.resources import Resources

_NEARLY_ALL = 0.9


def opening(
    ledger: Ledger,
    stages: Sequence[Stage],
    sources: Sources | None,
    dedup: Dedup | None,
    rules: Rules | None,
    subsets: Sequence[Subset],
    used: Resources,
) -> Opening:
    crawls = sources.crawls if sources else ()
    named = ", ".join(crawl.name for crawl in crawls[:3]) + (", …" if len(crawls) > 3 else "")
    said = [
        f"This corpus has {_number(ledger.pages, 'page')}, from {_number(ledger.records, 'record')} in "
        f"{_number(ledger.files, 'file')} of {_number(len(crawls), 'crawl')}" + (f" ({named})." if named else ".")
    ]
    if finished := max((stage.finished for stage in stages), default=""):
        versions = sorted({version for stage in stages for version in stage.versions})
        said.append(f"Its last unit was made on {finished} UTC, by swallow-spark {', '.join(versions)}.")
    if dedup:
        share = _share(dedup.duplicates, dedup.duplicates + dedup.survivors)
        said.append(f"Dedup drops {_number(dedup.duplicates, 'near-duplicate')} ({share}).")
    if rules:
        share = _share(rules.accepted, rules.survivors)
        said.append(f"The rules {rules.preset} accept {_number(rules.accepted, 'page')}, {share} of what dedup keeps.")
    if subsets:
        said.append(f"It has {_number(len(subsets), 'subset')} with text to train on.")
    if used.stages:
        said.append(f"All of it took {used.seconds:,.0f} s of work and {used.cpu_seconds:,.0f} CPU seconds so far.")
    return Opening(tuple(said), tuple(_problems(ledger, stages, rules, used)))


def _problems(ledger: Ledger, stages: Sequence[Stage], rules: Rules | None, used: Resources) -> list[str]:
    found = []
    if ledger.accounted != ledger.records:
        found.append(f"{ledger.records:,} records were read, but {ledger.accounted:,} are accounted for.")
    if ledger.files_pending:
        found.append(f"{_number(ledger.files_pending, 'registered file')} not read yet.")
    if failed := sum(ledger.file_failures.values()):
        found.append(f"{_number(failed, 'problem')} with whole files, or with gaps between records.")
    if failed := sum(ledger.failures.values()):
        found.append(f"{_number(failed, 'record')} could not be read ({_share(failed, ledger.records)}).")
    if not ledger.pages:
        found.append("There is no page.")
    for state in ("not done", "partly done", "out of date"):
        if names := [stage.name for stage in stages if stage.state == state]:
            found.append(f"{state[0].upper()}{state[1:]}: {', '.join(names)}.")
    if rules and rules.survivors and rules.accepted < (1 - _NEARLY_ALL) * rules.survivors:
        found.append(f"The rules reject {_share(rules.survivors - rules.accepted, rules.survivors)} of the pages.")
    if failed := int(used.total("failed_tasks")):
        found.append(f"{_number(failed, 'task')} of Spark failed and {'was' if failed == 1 else 'were'} repeated.")
    return found


def _number(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"
