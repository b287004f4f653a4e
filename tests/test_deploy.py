"""The manifests in deploy/ and docker/: they are what their readers take, and call commands that exist."""

import ast
import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import click
import pytest
import typer
import yaml
from places import DEMO_WARCS, REPOSITORY

from swallow_spark.cli import app
from swallow_spark.config.load import packaged_names
from swallow_spark.session.session import packaged_defaults

DEPLOY = REPOSITORY / "deploy"
MANIFESTS = sorted(path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".pyc")
TEXTS = {path: path.read_text(encoding="utf-8") for path in MANIFESTS}
COMMANDS: Any = typer.main.get_command(app)
PROGRAM = re.compile(r"(?:jobs/([\w-]+)\.py|bin/swallow-spark (?=[a-z]))(.*)")


def documents(path: Path) -> Iterator[Any]:
    yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


def arguments_of_containers(found: Any) -> Iterator[list[str]]:
    """All lists of strings in a manifest."""
    if isinstance(found, list) and found and all(isinstance(entry, str) for entry in found):
        yield found
    elif isinstance(found, dict | list):
        for entry in found.values() if isinstance(found, dict) else found:
            yield from arguments_of_containers(entry)


def calls() -> Iterator[tuple[str, list[str]]]:
    """Where, and a command of ours with its arguments."""
    for path, text in TEXTS.items():
        name = str(path.relative_to(REPOSITORY))
        if path.suffix == ".yaml":
            for document in documents(path):
                for words in arguments_of_containers(document):
                    job = next((place for place, word in enumerate(words) if "/jobs/" in word), None)
                    if job is not None:
                        yield name, [Path(words[job]).stem, *words[job + 1 :]]
                if document.get("kind") == "SparkApplication":
                    job_name = Path(document["spec"]["mainApplicationFile"]).stem
                    yield name, [job_name, *document["spec"]["arguments"]]
        elif path.suffix == ".json":
            submit = json.loads(text)["jobDriver"]["sparkSubmit"]
            yield name, [Path(submit["entryPoint"]).stem, *submit["entryPointArguments"]]
        elif path.suffix == ".sh":
            line = next(line for line in text.replace("\\\n", " ").splitlines() if line.startswith("exec "))
            words = shlex.split(line.replace("$@", "cc:CC-MAIN-2025-30").replace("${CONFIG:-swallow-v2}", "swallow-v2"))
            job = next(place for place, word in enumerate(words) if "jobs/" in word and word.endswith(".py"))
            rest = words[job + 1 :]
            own = rest[rest.index("--") + 1 :] if "--" in rest else rest
            yield name, [Path(words[job]).stem, *own]
        else:
            for line in text.splitlines():
                if "bin/swallow-spark " in line and not line.strip().startswith("#"):
                    own_line = line.partition("bin/swallow-spark ")[2].strip('",')
                    yield name, shlex.split(own_line.partition(" >>")[0])


CALLS = list(calls())


def test_there_are_calls_in_every_kind_of_manifest() -> None:
    assert {Path(name).parts[1] for name, _ in CALLS} == {path.name for path in DEPLOY.iterdir()}


@pytest.mark.parametrize(("name", "words"), CALLS, ids=[name for name, _ in CALLS])
def test_commands_and_options_exist(name: str, words: list[str]) -> None:
    command = COMMANDS.commands[words[0]]
    context = click.Context(command) if not hasattr(command, "make_context") else None
    assert context is None
    parsed = command.make_context(words[0], list(words[1:]))
    assert parsed.params["corpus"]
    config = parsed.params.get("config")
    assert config is None or config in packaged_names()


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("kubernetes/*.yaml")), ids=lambda path: path.name)
def test_kubernetes_takes_them(path: Path) -> None:
    validate = pytest.importorskip("kubernetes_validate")
    for document in documents(path):
        if document["apiVersion"].startswith("sparkoperator.k8s.io/"):
            assert document["kind"] == "SparkApplication"
            assert document["spec"].keys() >= {"type", "mode", "image", "mainApplicationFile", "driver", "executor"}
        else:
            validate.validate(document, "1.32", strict=True)


@pytest.mark.parametrize(
    "path", [path for path in MANIFESTS if path.suffix == ".sh"], ids=lambda path: path.parent.name
)
def test_scripts_are_scripts(path: Path) -> None:
    assert path.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", str(path)], check=True)


def test_python_workers_get_memory_beside_the_heap_everywhere() -> None:
    for path, text in TEXTS.items():
        if "executor.memory" in text or "executor:" in text:
            assert "memoryOverhead" in text, path


def test_compiled_kernels_are_not_taken_from_where_others_write() -> None:
    """Numba executes what it finds there; without a place of its own, the package chooses a safe one."""
    for path in (*MANIFESTS, *(REPOSITORY / "docker").iterdir()):
        places = re.findall(r"NUMBA_CACHE_DIR\W+(?:value\W+)?(/[\w/-]*)", path.read_text(encoding="utf-8"))
        assert not [place for place in places if place.startswith(("/tmp", "/var/tmp", "/dev/shm"))], path


def test_settings_without_the_properties_file_are_those_of_it() -> None:
    """Services that take no properties file repeat some of its settings: with the same values."""
    defaults = packaged_defaults()
    for path, text in TEXTS.items():
        for key, value in re.findall(r"(spark\.sql\.[\w.]+)[=:]\s*\"?([\w.]+)", text):
            assert defaults[key] == value, (path, key)


def test_the_dag_is_python_that_airflow_takes() -> None:
    source = TEXTS[DEPLOY / "airflow" / "add_crawl.py"]
    imported = {node.module for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)}
    assert imported == {
        *("datetime", "typing"),
        *("airflow.exceptions", "airflow.providers.standard.operators.bash", "airflow.sdk"),
    }
    pytest.importorskip("airflow")
    pytest.importorskip("airflow.providers.standard")
    space: dict[str, Any] = {}
    exec(compile(source, "add_crawl.py", "exec"), space)
    assert [task.task_id for task in space["dag"].tasks] == ["add_crawl"]


def test_the_dag_tries_no_wrong_call_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it takes of Airflow made up."""

    class FailError(Exception):
        pass

    class SkipError(Exception):
        pass

    class Operator:
        def __init__(self, **settings: Any) -> None:
            self.settings = settings

        def execute(self, context: Any) -> None:
            raise {2: SkipError, 1: OSError}[context]

    modules = {
        "pendulum": {"datetime": MagicMock()},
        "airflow.exceptions": {"AirflowFailException": FailError, "AirflowSkipException": SkipError},
        "airflow.providers.standard.operators.bash": {"BashOperator": Operator},
        "airflow.sdk": {"DAG": MagicMock()},
    }
    for name, content in modules.items():
        for parent in (name.rsplit(".", level)[0] for level in range(name.count("."), 0, -1)):
            monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(**content))
    task = runpy.run_path(str(DEPLOY / "airflow" / "add_crawl.py"))["add_crawl"]
    assert task.settings["skip_on_exit_code"] == 2
    for status, raised in ((2, FailError), (1, OSError)):
        with pytest.raises(raised):
            task.execute(status)


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd here")
    for name in ("swallow-spark.service", "swallow-spark.timer"):
        text = TEXTS[DEPLOY / "systemd" / name].replace("/opt/swallow-spark/bin/swallow-spark", "/bin/true")
        (tmp_path / name).write_text(text)
    units = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_crontab_has_five_fields_and_a_user() -> None:
    (line,) = [line for line in TEXTS[DEPLOY / "cron" / "swallow-spark"].splitlines() if line[:1].isdigit()]
    assert re.match(r"(?:[\d*/,-]+ ){5}spark ", line)


# ---- docker/


def test_compose_runs_a_job_that_exists_on_pages_that_are_there() -> None:
    (found,) = documents(REPOSITORY / "docker" / "compose.yaml")
    services = found["services"]
    (words,) = [words for words in arguments_of_containers(services["demo"]) if words[0] == "spark-submit"]
    job = next(place for place, word in enumerate(words) if "/jobs/" in word)
    name, given = Path(words[job]).stem, words[job + 1 :]
    parsed = COMMANDS.commands[name].make_context(name, list(given))
    there = {path.name for path in DEMO_WARCS}
    assert {Path(location).name for location in parsed.params["inputs"]} == there
    assert parsed.params["corpus"].startswith("s3://")
    for service in services.values():
        image = service["image"]
        assert image == "swallow-spark" or re.search(r":\d+\.\d+", image), f"{image} is not pinned"
        assert set(service.get("depends_on", {})) <= services.keys()


def test_the_cluster_of_the_page_is_that_of_compose() -> None:
    """docs/guides/cluster.md starts it from the pip package, as the tests do: the same classes, sizes and settings."""
    page = (REPOSITORY / "docs" / "guides" / "cluster.md").read_text(encoding="utf-8")
    block = re.split(r"^## A standalone cluster .*$", page, flags=re.MULTILINE)[1].split("```")[1]
    told = " ".join(shlex.split(block.replace("\\\n", " "), comments=True)).replace("=", " ")
    (found,) = documents(REPOSITORY / "docker" / "compose.yaml")
    master, worker, demo = (found["services"][name]["command"] for name in ("master", "worker", "demo"))
    sizes = [f"{name} {value}" for name, value in pairwise(worker) if name in ("--cores", "--memory")]
    settings = [word.replace("=", " ") for word in demo if re.match(r"--driver-memory|--conf=spark\.executor", word)]
    assert len(sizes) == len(settings) == 2
    for wanted in (" ".join(master[:2]), " ".join(worker[:2]), *sizes, *settings):
        assert wanted in told, wanted
    assert "--properties-file conf/spark-defaults.conf" in told
    assert "--properties-file=/opt/swallow-spark/conf/spark-defaults.conf" in demo
    assert "COPY conf/spark-defaults.conf /opt/swallow-spark/conf/" in (REPOSITORY / "docker" / "Dockerfile").read_text(
        encoding="utf-8"
    )


# ---- the image's entry point


@pytest.fixture
def image(tmp_path: Path) -> dict[str, str]:
    """An environment whose `java` and `spark-submit` print their arguments."""
    for name in ("bin/java", "bin/spark-submit"):
        program = tmp_path / name
        program.parent.mkdir(exist_ok=True)
        program.write_text('#!/bin/sh\nfor argument in "$@"; do printf "%s\\n" "$argument"; done\n')
        program.chmod(0o755)
    return {"JAVA_HOME": str(tmp_path), "SPARK_HOME": "/spark", "PATH": f"{tmp_path}/bin:/usr/bin:/bin"}


def start(environment: dict[str, str], *arguments: str) -> list[str]:
    entrypoint = str(REPOSITORY / "docker" / "entrypoint.sh")
    done = subprocess.run([entrypoint, *arguments], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_an_executor_pod_starts_the_executor(image: dict[str, str]) -> None:
    told = {
        "SPARK_EXECUTOR_MEMORY": "6g",
        "SPARK_DRIVER_URL": "spark://driver",
        "SPARK_EXECUTOR_ID": "3",
        "SPARK_EXECUTOR_CORES": "4",
        "SPARK_APPLICATION_ID": "app",
        "SPARK_EXECUTOR_POD_IP": "10.0.0.3",
        "SPARK_RESOURCE_PROFILE_ID": "0",
        "SPARK_EXECUTOR_POD_NAME": "pod-3",
        "SPARK_JAVA_OPT_0": "-Da=b c",
        "SPARK_JAVA_OPT_1": "-Dd='$HOME'",
    }
    words = start({**image, **told}, "executor")
    assert words[:4] == ["-Da=b c", "-Dd='$HOME'", "-Xms6g", "-Xmx6g"]
    assert "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend" in words
    assert words[words.index("--podName") + 1] == "pod-3"
    assert "/spark/jars/*" in words[words.index("-cp") + 1]


def test_a_driver_pod_submits_in_client_mode(image: dict[str, str]) -> None:
    words = start(
        {**image, "SPARK_DRIVER_BIND_ADDRESS": "10.0.0.2"}, "driver", "--properties-file", "p", "local:///x.py"
    )
    assert words[:2] == ["--deploy-mode", "client"]
    assert words[-3:] == ["--properties-file", "p", "local:///x.py"]
    assert "spark.driver.bindAddress=10.0.0.2" in words


def test_everything_else_is_a_command(image: dict[str, str]) -> None:
    assert start(image, "printf", "%s", "a b") == ["a b"]
