"""The array job runs what it lists, under bash, and stops when all is there."""

import os
import subprocess

from seedbook.press import cli, runner, store


def export(*words: str) -> int:
    return cli.main(["export", "--slurm-array", *words])


def submit(script, task: int) -> subprocess.CompletedProcess:
    env = os.environ | {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_JOB_ID": "1"}
    return subprocess.run(["bash", str(script)], env=env, capture_output=True, text=True)


def directives(script) -> dict[str, str]:
    lines = [x.split(" ", 1)[1] for x in script.read_text().splitlines() if x.startswith("#SBATCH")]
    return dict(x.removeprefix("--").split("=", 1) for x in lines)


def test_a_task_makes_its_run_and_what_is_there_is_left_out(ran, tmp_path, capsys):
    out = tmp_path / "dice.sbatch"
    words = ["dice", "-p", "n_throws=60", "--seeds", "2", "--out", str(out)]
    assert export(*words) == 0
    assert "2 to run" in capsys.readouterr().out
    asked = directives(out)
    assert asked["array"] == "0-1%50" and asked["cpus-per-task"] == "1" and "gres" not in asked
    done = submit(out, 0)
    assert done.returncode == 0, done.stderr
    found = store.runs(ran.root, "dice")[0].record
    assert found["replicate"] == 1 and found["parameters"]["n_throws"] == 60
    assert export(*words) == 0
    assert "1 to run; 1 are there already" in capsys.readouterr().out
    assert directives(out)["array"] == "0-0%50"
    out.write_text(out.read_text().replace("n_throws=60", "n_throws=0"))
    done = submit(out, 0)
    assert done.returncode == 1 and "must lie in [1, 1000000]" in done.stderr


def test_runs_for_a_gpu_have_a_job_of_their_own(ran, tmp_path, capsys):
    out = tmp_path / "dice.sbatch"
    assert (
        export("dice", "-p", "device=cuda", "-p", "device=cpu", "--seeds", "3", "--out", str(out))
        == 0
    )
    gpu = tmp_path / "dice-gpu.sbatch"
    assert directives(gpu)["gres"] == "gpu:1" and "gres" not in directives(out)
    assert "CUDA_VISIBLE_DEVICES" in out.read_text()
    assert "CUDA_VISIBLE_DEVICES" not in gpu.read_text()
    for script in (out, gpu):
        assert subprocess.run(["bash", "-n", str(script)]).returncode == 0


def test_values_reach_the_command_as_they_were_given(ran, tmp_path):
    out = tmp_path / "a b.sbatch"
    plan = runner.prepare("dice", root=ran.root, replicate=1)
    from seedbook.press import slurm

    slurm.write([plan], [["run", "dice", "-p", "words=['a b', \"$(touch x)\"]"]], out, 5)
    probe = out.read_text().replace("-m seedbook.press.cli", "-c 'import sys; print(sys.argv[1:])'")
    out.write_text(probe)
    said = submit(out, 0).stdout
    assert repr("words=['a b', \"$(touch x)\"]") in said and "'--no-warm'" in said


def test_a_full_run_is_not_given_the_time_of_a_smaller_one(ran, tmp_path):
    out = tmp_path / "dice.sbatch"
    assert export("dice", "-p", "n_throws=61", "--out", str(out)) == 0
    assert directives(out)["time"] == "00:10:00"  # the least, over the seconds that it took
    assert export("dice", "--profile", "full", "--out", str(out)) == 0
    assert directives(out)["time"] == "01:00:00"  # no full run is recorded: the limit of a run
