"""A local job: its lines are heard as they are written, and no part of it outlives its end."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from millrace.jobs.local import TAIL, JobFailed, JobKilled, run_script


@pytest.fixture
def script(tmp_path: Path):
    def write(code: str) -> Path:
        path = tmp_path / "work.py"
        path.write_text(textwrap.dedent(code))
        return path

    return write


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_arguments_and_variables_reach_the_script(script, caplog):
    caplog.set_level(logging.INFO)
    path = script("import os, sys; print(sys.argv[1:], os.environ['GIVEN'], os.environ['HOME'])")
    seconds = run_script(path, ["a", "b c"], {"GIVEN": "yes"}, timeout=30)
    assert caplog.messages == [f"work | ['a', 'b c'] yes {os.environ['HOME']}"]
    assert 0 < seconds < 30


def test_lines_reach_the_log_while_the_script_runs(script, tmp_path, caplog):
    """The script ends only when the test has seen its first line."""
    caplog.set_level(logging.INFO)
    go = tmp_path / "go"
    path = script(f"""
        import pathlib, sys, time
        print("first, without a flush")
        print("to stderr", file=sys.stderr)
        while not pathlib.Path({str(go)!r}).exists():
            time.sleep(0.02)
        print("last")
    """)
    job = threading.Thread(target=run_script, args=(path, [], {}), kwargs={"timeout": 30})
    job.start()
    heard = wait_until(lambda: len(caplog.messages) == 2)
    go.touch()
    job.join()
    assert heard
    assert caplog.messages == ["work | first, without a flush", "work | to stderr", "work | last"]


def test_bytes_that_are_no_text_do_no_harm(script, caplog):
    caplog.set_level(logging.INFO)
    run_script(script(r"import os; os.write(1, b'caf\xe9\nend')"), [], {}, timeout=30)
    assert caplog.messages == ["work | caf\ufffd", "work | end"]


def test_a_failure_states_its_last_line_first_and_the_lines_before_it(script):
    path = script("for n in range(50): print('line', n)\nraise ValueError('the cause')")
    with pytest.raises(JobFailed) as caught:
        run_script(path, [], {}, timeout=30)
    lines = str(caught.value).splitlines()
    assert lines[0] == "work.py exited with code 1: ValueError: the cause"
    assert lines[1] == "Its last lines:"
    assert len(lines) == 2 + TAIL
    assert lines[-1] == "  ValueError: the cause"
    assert "  line 49" in lines


def test_a_silent_failure_says_so(script):
    with pytest.raises(JobFailed, match=r"work\.py exited with code 3: it wrote nothing"):
        run_script(script("raise SystemExit(3)"), [], {}, timeout=30)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGSEGV"])
def test_a_signal_is_told_from_a_failure(script, name):
    path = script(f"import os, signal; print('busy'); os.kill(os.getpid(), signal.{name})")
    with pytest.raises(JobKilled, match=rf"work\.py was killed by {name}: busy"):
        run_script(path, [], {}, timeout=30)
    assert not issubclass(JobKilled, JobFailed)  # another try may succeed


FAMILY = """
    import os, pathlib, subprocess, sys, time
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    pathlib.Path(sys.argv[1]).write_text(f"{os.getpid()} {child.pid}")
    print("started", flush=True)
    time.sleep(60)
"""


def family(pids: Path) -> list[int]:
    return [int(pid) for pid in pids.read_text().split()]


def test_the_time_limit_stops_the_script_and_all_it_started(script, tmp_path):
    pids = tmp_path / "pids"
    started = time.monotonic()
    with pytest.raises(JobFailed, match=r"work\.py was stopped at its time limit of 2 s: started"):
        run_script(script(FAMILY), [str(pids)], {}, timeout=2)
    assert time.monotonic() - started < 30
    assert len(family(pids)) == 2
    assert wait_until(lambda: not any(alive(pid) for pid in family(pids)))


def test_what_a_script_leaves_behind_is_stopped_when_it_ends(script, tmp_path):
    path = script("""
        import pathlib, subprocess, sys
        quiet = subprocess.DEVNULL
        nap = [sys.executable, "-c", "import time; time.sleep(60)"]
        child = subprocess.Popen(nap, stdout=quiet, stderr=quiet)
        pathlib.Path(sys.argv[1]).write_text(str(child.pid))
    """)
    run_script(path, [str(tmp_path / "pids")], {}, timeout=30)
    assert wait_until(lambda: not any(alive(pid) for pid in family(tmp_path / "pids")))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux' parent-death signal")
def test_the_script_dies_with_its_parent(script, tmp_path, project):
    """Even where the parent is killed and has no time to do anything about it."""
    pids = tmp_path / "pids"
    path = script(FAMILY)
    code = f"""
from pathlib import Path
from millrace.jobs.local import run_script
run_script(Path({str(path)!r}), [{str(pids)!r}], {{}}, timeout=60)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(project / "plugins")}
    )
    try:
        assert wait_until(lambda: pids.exists() and len(family(pids)) == 2)
        child, _ = family(pids)
        assert alive(child)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert wait_until(lambda: not alive(child))
    finally:
        parent.kill()
        for pid in family(pids):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_a_task_that_is_told_to_end_ends_its_job_at_once(script, tmp_path):
    """Airflow's SIGTERM: the handler there was before is back afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    pids = tmp_path / "pids"
    threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with pytest.raises(JobKilled, match="SIGKILL"):
        run_script(script(FAMILY), [str(pids)], {}, timeout=30)
    assert not any(alive(pid) for pid in family(pids))
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_job_knows_nothing_of_airflows_keys(script, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", "secret")
    path = script("import os; print([name for name in os.environ if name.startswith('AIRFLOW')])")
    run_script(path, [], {}, timeout=30)
    assert caplog.messages == ["work | []"]


def test_an_interrupted_wait_leaves_nothing_running(script, tmp_path, monkeypatch):
    """As when the task is cleared: the exception comes out of the log call."""
    import millrace.jobs.local as local

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(local.log, "info", interrupt)
    pids, threads = tmp_path / "pids", threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        run_script(script(FAMILY), [str(pids)], {}, timeout=30)
    assert wait_until(lambda: not any(alive(pid) for pid in family(pids)))
    assert threading.active_count() <= threads  # the timer is gone too
