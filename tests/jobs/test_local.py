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
from typing import Any

import pytest

from millrace.jobs.causes import TAIL
from millrace.jobs.child import LONGEST, Child, script_command
from millrace.jobs.guardian import GRACE
from millrace.jobs.job import Job, JobFailed, JobStopped, Request, State
from millrace.jobs.local import LocalProcess, run_script


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


def wait_for(found):
    """What a function gives as soon as that is something."""
    given: list[Any] = []
    assert wait_until(lambda: given.append(found()) or given[-1])
    return given[-1]


def children(parent: int) -> list[int]:
    answer = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True)
    return [int(pid) for pid in answer.stdout.split()]


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
    with pytest.raises(JobStopped, match=rf"work\.py was killed by {name}: busy"):
        run_script(path, [], {}, timeout=30)
    assert not issubclass(JobStopped, JobFailed)  # another try may succeed


FAMILY = """
    import os, pathlib, subprocess, sys, time
    nap = [sys.executable, "-c", "import time; time.sleep(60)"]
    child = subprocess.Popen(nap)
    reads, writes = os.pipe()
    if not os.fork():  # a daemon: its parent ends, and it leads a session of its own
        os.setsid()
        if daemon := os.fork():
            os.write(writes, str(daemon).encode())
            os._exit(0)
        os.execv(nap[0], nap)
    daemon = os.read(reads, 20).decode()
    pids = pathlib.Path(sys.argv[1])
    pids.with_suffix(".new").write_text(f"{os.getpid()} {child.pid} {daemon}")
    pids.with_suffix(".new").rename(pids)
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
    assert len(family(pids)) == 3
    assert not any(alive(pid) for pid in family(pids))


def test_what_a_script_leaves_behind_is_stopped_when_it_ends(script, tmp_path):
    path = script("""
        import pathlib, subprocess, sys
        quiet = subprocess.DEVNULL
        nap = [sys.executable, "-c", "import time; time.sleep(60)"]
        child = subprocess.Popen(nap, stdout=quiet, stderr=quiet)
        pathlib.Path(sys.argv[1]).write_text(str(child.pid))
    """)
    run_script(path, [str(tmp_path / "pids")], {}, timeout=30)
    assert not any(alive(pid) for pid in family(tmp_path / "pids"))


@pytest.mark.parametrize("stubborn", [False, True])
def test_what_a_script_leaves_behind_may_clear_up_but_not_stay(script, tmp_path, stubborn):
    """As Spark's JVM does, which removes its temporary files."""
    path = script("""
        import os, pathlib, signal, sys, time
        folder = pathlib.Path(sys.argv[1])
        if os.fork():
            while not (folder / "ready").exists():
                time.sleep(0.02)
            sys.exit()
        def clear_up(*_):
            time.sleep(0.2)
            (folder / "cleared").touch()
            if sys.argv[2] == "False":
                os._exit(0)
        os.setsid()
        signal.signal(signal.SIGTERM, clear_up)
        (folder / "pids").write_text(str(os.getpid()))
        (folder / "ready").touch()
        while True:
            time.sleep(1)
    """)
    run_script(path, [str(tmp_path), str(stubborn)], {}, timeout=30)
    since = time.time() - (tmp_path / "cleared").stat().st_mtime
    assert not any(alive(pid) for pid in family(tmp_path / "pids"))
    assert (since > GRACE - 1) is stubborn


@pytest.fixture
def worker(script, tmp_path: Path, project: Path):
    """Start a process that runs a family as its job; gives it and the family's ids."""
    started: list[subprocess.Popen[bytes]] = []
    pids = tmp_path / "pids"

    def start(then: str = "") -> tuple[subprocess.Popen[bytes], list[int]]:
        code = f"""
from pathlib import Path
from millrace.jobs.local import run_script
{then}
run_script(Path({str(script(FAMILY))!r}), [{str(pids)!r}], {{}}, timeout=60)
"""
        process = subprocess.Popen(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(project / "plugins")}
        )
        started.append(process)
        assert wait_until(pids.exists)
        assert all(alive(pid) for pid in family(pids))
        return process, family(pids)

    yield start
    for process in started:
        process.kill()
        process.wait()
    for pid in family(pids):
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def test_the_script_and_all_it_started_die_with_a_killed_worker(worker):
    """The worker has no time to do anything about it."""
    process, pids = worker()
    process.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not any(alive(pid) for pid in pids))


def test_they_die_also_where_a_fork_of_the_worker_holds_its_pipes(worker):
    process, pids = worker("""
import os, threading, time
def fork():
    time.sleep(0.5)
    if not os.fork():
        time.sleep(8)
        os._exit(0)
threading.Thread(target=fork, daemon=True).start()
""")
    time.sleep(0.7)
    process.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not any(alive(pid) for pid in pids), seconds=4)


def test_a_script_whose_guardian_is_killed_dies_too(script, tmp_path):
    child = Child(script_command(str(script("import time; time.sleep(60)")), []), {}, 60)
    job = wait_for(lambda: children(int(child.id)))[0]
    os.kill(int(child.id), signal.SIGKILL)
    assert wait_until(lambda: not alive(job))
    assert wait_until(lambda: child.status().state.ended)
    assert child.status().detail == "was killed by SIGKILL"
    child.end()


def test_a_task_that_is_told_to_end_ends_its_job_at_once(script, tmp_path):
    """Airflow's SIGTERM: the handler there was before is back afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    pids = tmp_path / "pids"
    threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with pytest.raises(JobStopped, match="SIGKILL"):
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
    assert not any(alive(pid) for pid in family(pids))
    assert threading.active_count() <= threads


def test_a_script_reads_nothing_and_holds_no_pipe_of_the_guardian(script, caplog):
    caplog.set_level(logging.INFO)
    path = script("""
        import os, signal, sys
        print(repr(sys.stdin.read()), os.getpid() == os.getpgid(0))
        print(sorted(os.listdir("/proc/self/fd")))
        print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
    """)
    run_script(path, [], {}, timeout=30)
    # 3 is the listing of the folder itself
    expected = ["'' True", "['0', '1', '2', '3']", "True"]
    assert caplog.messages == [f"work | {line}" for line in expected]


def test_progress_bars_and_endless_lines_are_broken(script, caplog):
    caplog.set_level(logging.INFO)
    path = script(f"""
        import sys
        sys.stdout.write("10 %\\r20 %\\r\\n" + "x" * {2 * LONGEST + 5} + "\\nend")
    """)
    run_script(path, [], {}, timeout=30)
    lengths = [len(message.removeprefix("work | ")) for message in caplog.messages]
    assert caplog.messages[:2] == ["work | 10 %", "work | 20 %"]
    assert sum(lengths[2:-1]) == 2 * LONGEST + 5
    assert max(lengths) <= LONGEST
    assert caplog.messages[-1] == "work | end"


@pytest.fixture
def backend():
    backend = LocalProcess()
    jobs: list[Job] = []

    def start(script: Path, limit: float = 60, **body: object) -> Job:
        request = Request("local", "millrace-work", {"script": str(script), **body}, limit)
        jobs.append(backend.start(request, 1))
        return jobs[-1]

    backend.begin = start  # type: ignore[attr-defined]
    yield backend
    for job in jobs:
        backend.tidy(job)


def ended(backend: LocalProcess, job: Job):
    def status():
        found = backend.poll([job])[job]
        return found if found.state.ended else None

    return wait_for(status)


def test_a_backend_gives_states_and_the_lines_written_so_far(backend, script, tmp_path):
    go = tmp_path / "go"
    job = backend.begin(
        script(f"""
            import os, pathlib, sys, time
            print(sys.argv[1:], os.environ["GIVEN"])
            sys.stdout.write("half a ")
            while not pathlib.Path({str(go)!r}).exists():
                time.sleep(0.02)
            sys.stdout.write("line")
        """),
        arguments=["a"],
        environment={"GIVEN": "yes"},
    )
    assert str(job) == "millrace-work-1"
    assert backend.find("millrace-work") is None
    first = wait_for(lambda: backend.logs(job, {}).lines)
    assert first == ["['a'] yes"]
    assert backend.logs(job, {}).lines == []  # it waits for no whole line
    assert backend.poll([job])[job].state is State.RUNNING
    go.touch()
    assert ended(backend, job).state is State.SUCCEEDED
    assert backend.logs(job, {}).lines == ["half a line"]
    assert 0 < backend.poll([job])[job].seconds < 30


@pytest.mark.parametrize(
    ("code", "limit", "state", "detail", "reason"),
    [
        ("raise SystemExit(3)", 60, State.FAILED, "exited with code 3", ""),
        ("import os; os.abort()", 60, State.STOPPED, "was killed by SIGABRT", ""),
        ("import time; time.sleep(60)", 0.5, State.STOPPED,
         "was stopped at its time limit of 0.5 s", "MaxRuntimeExceeded"),
    ],
)  # fmt: skip
def test_a_backend_says_how_a_job_ended(backend, script, code, limit, state, detail, reason):
    status = ended(backend, job := backend.begin(script(code), limit))
    assert (status.state, status.detail, status.reason) == (state, detail, reason)
    backend.tidy(job)
    assert backend.poll([job]) == {}
    assert backend.logs(job, {}).lines == ()
    backend.stop(job)


def test_a_backend_stops_a_job_and_all_it_started(backend, script, tmp_path):
    pids = tmp_path / "pids"
    job = backend.begin(script(FAMILY), arguments=[str(pids)])
    assert wait_until(pids.exists)
    backend.stop(job)
    assert ended(backend, job).detail == "was killed by SIGKILL"
    assert not any(alive(pid) for pid in family(pids))
    backend.stop(job)
