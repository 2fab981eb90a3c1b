"""Reading how a child ended."""

from pathlib import Path

import pytest

from workers.exits import KILLED_TOO_OFTEN, Exit, explain, memory_kills


@pytest.mark.parametrize(
    ("code", "oom", "attempt", "expected"),
    [
        (0, False, 1, Exit("exit code 0", "user_error")),
        (3, False, 1, Exit("exit code 3", "user_error")),
        (-11, False, 1, Exit("killed by SIGSEGV", "user_error")),
        (-6, True, 1, Exit("killed by SIGABRT", "user_error")),
        (-15, True, 1, Exit("killed by SIGTERM", "outside")),
        (-9, False, 1, Exit("killed by SIGKILL", "outside")),
        (-9, True, 1, Exit("killed by SIGKILL: the machine ran out of memory", "oom")),
        (-99, False, 1, Exit("killed by signal 99", "outside")),
    ],
)
def test_whose_fault_it_was(code: int, oom: bool, attempt: int, expected: Exit) -> None:
    assert explain(code, out_of_memory=oom, attempt=attempt) == expected


def test_what_is_killed_again_and_again_is_not_run_for_ever() -> None:
    causes = [
        explain(-9, out_of_memory=False, attempt=n).cause for n in range(1, KILLED_TOO_OFTEN + 1)
    ]
    assert causes == ["outside"] * (KILLED_TOO_OFTEN - 1) + ["oom"]


def test_the_kernels_counters_are_added_up(tmp_path: Path) -> None:
    def write(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    assert memory_kills(tmp_path) == 0
    write("proc/vmstat", "nr_free_pages 7\noom_kill 3\n")
    write("proc/self/cgroup", "0::/user/job\n")
    write("sys/fs/cgroup/user/job/memory.events", "low 0\noom 9\noom_kill 2\noom_group_kill 4\n")
    assert memory_kills(tmp_path) == 5
