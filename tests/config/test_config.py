"""Configuration: what is refused and in which words, what extends what, and what a fingerprint stands for."""

import shutil
from pathlib import Path

import pytest

from swallow_spark.config.load import Config, load, packaged_directory, packaged_names, remembered
from swallow_spark.config.section import sha256_of
from swallow_spark.errors import ConfigError, InputError
from swallow_spark.pipeline import STAGES
from swallow_spark.stages.run import check_config
from swallow_spark.stages.score.models import model_file
from swallow_spark.stages.stage import Lineage

MODEL = packaged_directory() / "models" / "demo-wiki.ftz"
MINIMAL = '[rules]\npreset = "mine"\n'


def write(directory: Path, text: str, name: str = "mine.toml") -> Path:
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", packaged_names())
def test_packaged_configurations_load(name: str) -> None:
    check_config(load(name), models=True)


def test_packaged_names() -> None:
    assert {"demo", "swallow-v1", "swallow-v2"} <= set(packaged_names())


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[dedub]\nx = 1\n" + MINIMAL, ["dedub: unknown key", "did you mean dedup?", "sketch"]),
        ("[sketch]\nband = 40\n" + MINIMAL, ["sketch.band: unknown key", "did you mean bands?", "rows_per_band"]),
        (
            "[rules]\npreset = 'x'\n[rules.bounds]\nnum_kuten = {mim = 1, source = 's'}",
            ["rules.bounds.num_kuten.mim", "did you mean min?", "min, max, below"],
        ),
        ("[sketch]\nbands = 0\n" + MINIMAL, ["sketch.bands", "greater than or equal to 1", "it is 0"]),
        ("[sketch]\nbands = 'many'\n" + MINIMAL, ["sketch.bands", "integer", "it is 'many'"]),
        ("[sketch]\nbands = 3\nrows_per_band = 3\n" + MINIMAL, ["sketch", "multiple of 8"]),
        ("[ingest]\nmax_replaced_fraction = 1.5\n" + MINIMAL, ["ingest.max_replaced_fraction", "equal to 1", "1.5"]),
        ("[ingest]\nmax_replaced_fraction = nan\n" + MINIMAL, ["ingest.max_replaced_fraction", "finite"]),
        ("[dedup]\npolicy = 'best'\n" + MINIMAL, ["dedup.policy", "'bucket'"]),
        ("[ingest]\n", ["rules: missing"]),
        ("[rules]\npreset = '../up'\n", ["rules.preset"]),
        ("[rules]\npreset = 'x'\n[rules.bounds]\nnum_kuten = {min = 1}", ["rules.bounds.num_kuten.source: missing"]),
        (
            "[rules]\npreset = 'x'\n[rules.bounds]\nnum_kuten = {source = 's'}",
            ["rules.bounds.num_kuten", "one of min, max, below"],
        ),
        (
            "[rules]\npreset = 'x'\n[rules.bounds]\nnum_kuten = {max = 1, below = 1, source = 's'}",
            ["rules.bounds.num_kuten", "max or below"],
        ),
        ("[features]\nng_words = 'none.txt'\n" + MINIMAL, ["features.ng_words", "No such file", "none.txt"]),
        (MINIMAL + "host_lists = ['none.txt']\n", ["rules.host_lists.0", "no such file", "none.txt"]),
        (
            MINIMAL + "[classifiers.wiki]\npath = 'none.bin'\nweights = {a = 1}",
            ["classifiers.wiki.path", "no such file", "none.bin"],
        ),
        (
            MINIMAL + f"[classifiers.wiki]\npath = '{MODEL}'\nsha256 = '{'0' * 64}'\nweights = {{a = 1}}",
            ["classifiers.wiki", "has sha256", f"not {'0' * 64}"],
        ),
        (MINIMAL + f"[classifiers.wiki]\npath = '{MODEL}'\nweights = {{}}", ["classifiers.wiki.weights", "at least 1"]),
        (MINIMAL + f"[classifiers.'a/b']\npath = '{MODEL}'\nweights = {{a = 1}}", ["classifiers.a/b"]),
        (MINIMAL + "[[subsets]]\nclassifier = 'wiki'\n", ["subsets: no classifier 'wiki'", "there are: none"]),
        (
            MINIMAL
            + f"[classifiers.w]\npath = '{MODEL}'\nweights = {{a=1}}\n[[subsets]]\nclassifier='w'\nbands=['best']",
            ["subsets.0.bands", "'best' is no band", "top10-30"],
        ),
        ("[spark]\n'sql.shuffle.partitions' = '4'\n" + MINIMAL, ["spark", "begin with spark."]),
        ("extends = 'nothing'\n" + MINIMAL, ["nothing", ", ".join(packaged_names())]),
        ("[rules\n", ["line 1"]),
        ("rules = 3\n", ["rules: must be a table", "preset, bounds, hosts", "not 3"]),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text))
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in parts), message
    assert "mine.toml" in message or "extends" in text


def test_configuration_that_is_not_there(tmp_path: Path) -> None:
    for name in (str(tmp_path / "none.toml"), "swallow-v3"):
        with pytest.raises(ConfigError, match="no such configuration") as caught:
            load(name)
        assert name in str(caught.value)
    path = tmp_path / "latin.toml"
    path.write_bytes(b"# caf\xe9\n")
    with pytest.raises(ConfigError, match=r"latin\.toml"):
        load(path)


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("sketch.bands", ["--set sketch.bands", "section.key=value"]),
        ("=3", ["section.key=value"]),
        (".bands=3", ["section.key=value"]),
        ("spark.=3", ["section.key=value"]),
        ("sketch.bands.more=3", ["sketch.bands.more", "bands"]),
        ("sketch.bands=0", ["sketch.bands", "greater than or equal to 1"]),
        ("sketch.bnads=1", ["sketch.bnads: unknown key", "did you mean bands?"]),
        ("bands=1", ["bands: unknown key"]),
        ("classifiers.wiki.path=none.bin", ["classifiers.wiki.path", "none.bin"]),
        ("spark.sql.shuffle.partitions=4", ["spark", "begin with spark."]),
        ("rules.bounds.hiragana_fracton=false", ["no such feature, did you mean hiragana_fraction?", "num_letters"]),
        ("rules.bounds.hiragana_fraction=flase", ["must be a table", "false to turn the rule off", "not 'flase'"]),
        ("rules.bounds.hiragana_fraction.min=true", ["hiragana_fraction.min: must be a number, not true"]),
        ("sketch.seed=true", ["sketch.seed: must be a number, not true"]),
        ("dedup.policy=greddy", ["'component', did you mean greedy?"]),
        ("features.groups=['line']", ["features.groups.0", "did you mean lines?"]),
        ("subsets=[{classifier='wikis'}]", ["no classifier 'wikis' is configured, did you mean wiki?"]),
        ("subsets=[{name='u', union=['wikis-top10', 'edu-top10']}]", ["no ranking 'wikis', did you mean wiki?"]),
        ("rules.hosts=['https://5ch.net/']", ["rules.hosts", "is no domain"]),
        ("rules.url_prefixes=['*.example/x']", ["rules.url_prefixes", "begins no URL"]),
        ("classifiers.wiki.kind=fastext", ["did you mean fasttext?"]),
    ],
)
def test_overrides_refused(override: str, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load("demo", ["sketch.bands=20", override] if override.startswith("sketch.bands.") else [override])
    message = str(caught.value)
    assert message.startswith(f"--set {override.partition('=')[0].strip()}")
    assert ".toml" not in message
    assert "\n" not in message
    assert all(part in message for part in parts), message


def test_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(MODEL, tmp_path / "here.ftz")
    monkeypatch.chdir(tmp_path)
    config = load(
        "demo",
        [
            "sketch.bands=20",
            " sketch . bands = 30 ",
            "dedup.policy=bucket",
            "rules.hosts=['example.jp']",
            "rules.bounds.hiragana_fraction=false",
            "rules.bounds.num_japanese_letters.min=10",
            "classifiers.wiki.path=here.ftz",
            "spark.spark.sql.execution.arrow.maxRecordsPerBatch=1",
            "spark.spark.app.name=a = b",
        ],
    )
    assert config.sketch.bands == 30
    assert config.rules.hosts == ("example.jp",)
    assert "hiragana_fraction" not in config.rules.bounds
    assert config.rules.bounds["num_japanese_letters"].min == 10
    assert config.rules.bounds["num_japanese_letters"].source
    assert config.classifiers["wiki"].path == tmp_path / "here.ftz"
    assert config.spark["spark.sql.execution.arrow.maxRecordsPerBatch"] == "1"
    assert config.spark["spark.app.name"] == "a = b"
    assert "spark.driver.extraJavaOptions" in config.spark  # the rest of the section stays


def test_extends_merges_key_by_key_and_names_files_from_where_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "words.txt").write_text("語\n", encoding="utf-8")
    shutil.copy(MODEL, tmp_path / "base" / "m.ftz")
    base = 'extends = "swallow-v2"\n[features]\nng_words = "words.txt"\n[sketch]\nbands = 20\nrows_per_band = 10\n'
    base += '[classifiers.w]\npath = "m.ftz"\nweights = {__label__positive = 1}\n'
    write(tmp_path / "base", base)
    path = write(tmp_path, 'extends = "base/mine.toml"\n[sketch]\nrows_per_band = 2\n[rules]\nhosts = []\n')
    config = load(path)
    assert (config.sketch.bands, config.sketch.rows_per_band) == (20, 2)
    assert config.features.ng_words is not None
    assert config.features.ng_words.location == str(tmp_path / "base" / "words.txt")
    assert config.features.ng_words.content == "語\n".encode()
    assert config.classifiers["w"].path == tmp_path / "base" / "m.ftz"
    assert config.rules.hosts == ()
    assert config.rules.bounds == load("swallow-v2").rules.bounds


def test_file_that_extends_itself(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="extends itself"):
        load(write(tmp_path, 'extends = "mine.toml"\n' + MINIMAL))


def test_earlier_run_gives_its_configuration_again() -> None:
    config = load("demo", ["rules.bounds.hiragana_fraction=false", "spark.spark.ui.port=0"])
    assert load(config.model_dump(mode="json")) == config


def test_an_earlier_run_finds_files_that_were_moved(tmp_path: Path) -> None:
    before, now = tmp_path / "before", tmp_path / "now"
    (before / "lists").mkdir(parents=True)
    (before / "lists/hosts.txt").write_text("a.example\n")
    config = load("demo", [f"rules.host_lists=['{before}/lists/hosts.txt']"])
    run = {"config": config.model_dump(mode="json"), "corpus": str(before / "corpus")}
    for classifier in run["config"]["classifiers"].values():  # as of a program that was installed elsewhere
        classifier["path"] = f"/gone/site-packages/swallow_spark/conf/models/{Path(classifier['path']).name}"
    before.rename(now)
    found = load(remembered(run, str(now / "corpus")))
    assert found.rules.host_lists == (now / "lists/hosts.txt",)
    assert found.classifiers == config.classifiers
    with pytest.raises(ConfigError, match=r"last run \(--config FILE gives another\): rules.host_lists.*no such file"):
        load(remembered({"config": {**run["config"], "rules": config.rules.model_dump(mode="json")}}, str(now)))


def test_a_model_that_is_gone_is_known_by_its_content(tmp_path: Path) -> None:
    model = tmp_path / "model.ftz"
    shutil.copy(MODEL, model)
    config = load("demo", [f"classifiers.wiki.path={model}"])
    meaning, values = config.classifiers["wiki"].meaning(), config.model_dump(mode="json")
    models = {"wiki": config.classifiers["wiki"].content}
    model.unlink()
    with pytest.raises(ConfigError, match="no such file"):
        load(remembered({"config": values}, str(tmp_path)))
    found = load(remembered({"config": values, "models": models}, str(tmp_path)))
    assert found.classifiers["wiki"].meaning() == meaning
    with pytest.raises(InputError, match=r"model.ftz: no such file: .*--config"):
        model_file(found.classifiers["wiki"])


# ---- fingerprints


def prints(config: Config) -> dict[str, str]:
    lineage = Lineage(STAGES, config, None)
    stages = ("ingest", "sketch", "measure", "deduplicate", "decide", "cuts")
    found = {name: lineage.fingerprint(name) for name in stages}
    return found | {name: lineage.fingerprint("score", name) for name in config.classifiers}


ALL = {"ingest", "sketch", "measure", "deduplicate", "decide", "cuts", "wiki", "edu"}


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("execution.files_per_batch=1", set()),
        ("execution.files_per_task=1", set()),
        ("execution.batches_in_flight=1", set()),
        ("execution.shuffle_partitions=7", set()),
        ("execution.bands_per_pass=7", set()),
        ("report.sample_pages=3", set()),
        ("spark.spark.sql.shuffle.partitions=7", set()),
        ("subsets=[{classifier = 'wiki', bands = ['top20']}]", {"cuts"}),
        ("classifiers.wiki.weights={__label__positive = 2}", {"wiki", "cuts"}),
        ("classifiers.wiki.nfkc=true", {"wiki", "cuts"}),
        ("rules.hosts=[]", {"decide", "wiki", "edu", "cuts"}),
        ("rules.bounds.num_japanese_letters.min=399", {"decide", "wiki", "edu", "cuts"}),
        ("features.blank_lines=keep", {"measure", "decide", "wiki", "edu", "cuts"}),
        ("dedup.policy=greedy", {"deduplicate"}),  # what is kept counts for verdicts, by their lineage
        ("sketch.seed=2", {"sketch", "deduplicate"}),
        ("ingest.max_html_bytes=9999", ALL),
    ],
)
def test_fingerprints_change_with_what_they_depend_on_alone(override: str, changed: set[str]) -> None:
    one, other = prints(load("demo")), prints(load("demo", [override]))
    assert {stage for stage in one if one[stage] != other[stage]} == changed


def test_files_count_by_content(tmp_path: Path) -> None:
    found = []
    for directory, content in (
        ("a", b"\xe8\xaa\x9e\n"),
        ("b", b"\xe8\xaa\x9e\n"),
        ("c", b"\xe8\xaa\x9e\xe8\xaa\x9e\n"),
    ):
        (tmp_path / directory).mkdir()
        shutil.copy(MODEL, tmp_path / directory / MODEL.name)
        words = tmp_path / directory / "words.txt"
        words.write_bytes(content)
        overrides = [f"classifiers.wiki.path={tmp_path / directory / MODEL.name}", f"features.ng_words={words}"]
        found.append(prints(load("demo", overrides)))
    assert found[0] == found[1]
    assert found[0]["wiki"] != found[2]["wiki"]
    assert found[0]["measure"] != found[2]["measure"]
    assert found[0]["sketch"] == found[2]["sketch"]


# ---- what only a look at the models shows


def test_weights_of_labels_that_the_model_has_not() -> None:
    with pytest.raises(ConfigError) as caught:
        check_config(load("demo", ["classifiers.wiki.weights={__label__postive=1}"]), models=True)
    message = str(caught.value)
    for part in ("classifiers.wiki.weights", "no label __label__postive, did you mean __label__positive?", "(it has "):
        assert part in message
    assert "\n" not in message


# ---- bounds and the values that features can have


@pytest.mark.parametrize(
    ("bound", "said"),
    [
        ("hiragana_fraction={min=3", "min: 3 rejects every page: hiragana_fraction is always from 0 to 1"),
        ("hiragana_fraction={max=-0.1", "max: -0.1 rejects every page"),
        ("ng_fraction={below=0", "below: 0 rejects every page: ng_fraction is never below 0"),
        ("num_kuten={max=-1", "max: -1 rejects every page: num_kuten is never below 0"),
        ("num_kuten={min=5, max=3", "max: 3 with min 5 rejects every page"),
        ("num_kuten={min=5, below=5", "below: 5 with min 5 rejects every page"),
        ("symbol_fraction={max=0.5", "not measured: it needs features.groups = ['lines']"),
    ],
)
def test_a_rule_that_rejects_every_page_is_refused(bound: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load("demo", [f"rules.bounds.{bound}, source='s'}}"])
    feature = bound.partition("=")[0]
    assert f"rules.bounds.{feature}" in str(caught.value)
    assert said in str(caught.value)


def test_a_rule_that_rejects_no_page_is_told() -> None:
    sound = ["hiragana_fraction={min=1", "num_kuten={max=0", "ng_fraction={below=5", "num_kuten={min=3, max=3"]
    for bound in sound:
        assert load("demo", [f"rules.bounds.{bound}, source='s'}}"]).rules.extremes() == ([], [])
    useless = {"hiragana_fraction={max=1": "max", "hiragana_fraction={below=1.5": "below", "num_kuten={min=0": "min"}
    for bound, key in useless.items():
        every, none = load("demo", [f"rules.bounds.{bound}, source='s'}}"]).rules.extremes()
        assert not every
        assert len(none) == 1
        assert none[0].startswith(f"rules.bounds.{bound.partition('=')[0]}.{key}: ")
        assert "rejects no page" in none[0]


# ---- where a value is from


def test_errors_name_where_the_value_is_from(tmp_path: Path) -> None:
    base = write(tmp_path, 'extends = "swallow-v2"\n[sketch]\nbands = 0\n', "base.toml")
    mine = write(tmp_path, 'extends = "base.toml"\n[dedup]\npolicy = "best"\n[sketch]\nseed = 1\n')
    with pytest.raises(ConfigError) as caught:
        load(mine, ["report.seed=x", "rules.bounds.num_kuten.min=1"])
    said = str(caught.value)
    assert f"{base}: sketch.bands: " in said
    assert f"{mine}: dedup.policy: " in said
    assert "--set report.seed: input should be a valid integer" in said
    assert "--set rules.bounds.num_kuten.min: rules.bounds.num_kuten.source: missing" in said
    with pytest.raises(ConfigError) as caught:  # what was set last is at fault for what doesn't fit together
        load(mine, ["sketch.bands=3", "dedup.policy=bucket"])
    assert str(caught.value).startswith("--set sketch.bands: sketch: ")


def test_what_only_tells_or_checks_is_in_no_fingerprint_and_the_order_of_rules_is() -> None:
    demo = load("demo")
    told = load("demo", ["rules.bounds.hiragana_fraction.source='elsewhere'"])
    checked = load("demo", [f"classifiers.wiki.sha256={sha256_of(MODEL)}"])
    assert prints(demo) == prints(told) == prints(checked)
    bounds = dict(reversed(demo.rules.bounds.items()))
    turned = demo.model_copy(update={"rules": demo.rules.model_copy(update={"bounds": bounds})})
    assert prints(turned)["decide"] != prints(demo)["decide"]


def test_a_classifier_name_fits_a_column() -> None:
    with pytest.raises(ConfigError, match=r"v1\.5"):
        load(
            "demo",
            [f"classifiers={{'v1.5' = {{path = '{MODEL}', weights = {{__label__positive = 1}}}}}}", "subsets=[]"],
        )
