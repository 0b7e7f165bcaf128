"""Editions: only what may be published is, and what is stale is seen."""

import json
import shutil

import pytest
from seedbook.press import catalog, editions, keys, runner, store


def entry(book):
    return catalog.load(book.root).chapter("dice")


def published(book):
    return editions.publish(store.runs(book.root, "dice")[0], book.root)


def test_publish_and_stale(ran):
    assert editions.stale(entry(ran), ran.root, "quick") == ["there is no quick edition"]
    (shown,) = editions.shown(entry(ran), ran.root)
    assert shown.current and not shown.published
    edition = published(ran)
    assert edition.current and edition.published and len(edition.history) == 1
    assert edition.history[0]["verdicts"] == {"c1": "supported"}
    assert not (edition.folder / "log.txt").exists()
    assert editions.stale(entry(ran), ran.root, "quick") == []
    ran.edit("title", "Is a die", "Is the die")
    assert editions.stale(entry(ran), ran.root, "quick") == []
    ran.edit("throws", "eyes[::2]", "eyes[::3]")
    assert editions.stale(entry(ran), ran.root, "quick") == ["experiment: cell throws changed"]
    (shown,) = editions.shown(entry(ran), ran.root)
    assert shown.published and not shown.current
    runner.run("dice", root=ran.root)
    (shown,) = editions.shown(entry(ran), ran.root)
    assert not shown.published and shown.current
    assert len(published(ran).history) == 2  # every published seed leaves a trace


def test_changed_default_makes_stale(ran):
    published(ran)
    ran.edit("parameters", "= 600", "= 700")
    (reason,) = editions.stale(entry(ran), ran.root, "quick")
    assert reason == "experiment: parameter n_throws changed from 600 to 700"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"given": {"seed": 3}}, "its seed was asked for"),
        ({"replicate": 2}, "it is replicate 2"),
        ({"given": {"salmon": True}}, "it is a salmon run"),
        ({"given": {"n_throws": 61}}, "its profile is custom"),
        ({"profile": "smoke"}, "its profile is smoke"),
    ],
)
def test_what_may_not_be_published(ran, options, sentence):
    record = store.runs(ran.root, "dice")[0].record
    claims = store.runs(ran.root, "dice")[0].claims
    plan = runner.prepare("dice", root=ran.root, **options)
    changed = {
        **record,
        "seed_asked": plan.seed_asked,
        "replicate": plan.replicate,
        "parameters": plan.values,
        "profile": plan.profile,
    }
    said = editions.refusals(changed, claims, entry(ran), ran.root / "runs", ran.root)
    assert any(sentence in s for s in said)


def test_late_claims_and_heavy_frames_are_refused(ran):
    run = store.runs(ran.root, "dice")[0]
    claims = {**run.claims, "declared_before_data": False}
    (run.folder / "frames" / "big.parquet").write_bytes(b"0" * 1_200_000)
    said = editions.refusals(run.record, claims, entry(ran), run.folder, ran.root)
    assert any("declared after a frame" in s for s in said)
    assert any("its frames take 1.2 MB" in s for s in said)
    with pytest.raises(editions.PublishError, match="1.2 MB"):
        editions.publish(run, ran.root)
    assert not (ran.root / "book" / "editions").exists()


def test_stale_source_is_refused(ran):
    ran.edit("method", "rng.integers(1, 7, n)", "rng.integers(1, 6, n)")
    with pytest.raises(editions.PublishError, match="the source has changed since: .*cell method"):
        published(ran)


def test_full_edition_of_another_machine_is_checked_with_its_own_device(ran):
    ran.edit("throws", "eyes = throw", "where = device\neyes = throw")
    path = ran.root / "notebooks" / "catalog.yml"
    path.write_text(path.read_text().replace(", device: cpu}", "}"))
    plan = runner.prepare("dice", root=ran.root, profile="full")
    now = editions.current_keys(
        entry(ran), ran.root, "full", {"device": {"kind": "cuda"}, "missing": []}
    )
    assert now.experiment != plan.keys.experiment
    assert now.parts["experiment"]["device"] == "cuda"


def test_a_run_made_elsewhere_is_published_here(ran, monkeypatch):
    """GPU runs are carried to a machine without one; a run asked of a processor will do as well."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    listed = ran.root / "notebooks" / "catalog.yml"
    listed.write_text(listed.read_text().replace("device: cpu", "device: cuda"))
    ran.edit("throws", "seeds.rng(seed", "device and seeds.rng(seed")  # so that it has a device
    with pytest.raises(editions.PublishError, match="no run .* full .*no CUDA device here"):
        editions.plan("dice", ran.root, "full")
    runner.run("dice", root=ran.root, profile="full", given={"device": "cpu"})
    plan = editions.plan("dice", ran.root, "full")
    assert plan.how == "kept" and plan.values["device"] == "cpu"
    assert editions.publish(plan.done, ran.root).current

    there = runner.prepare(
        "dice", root=ran.root, profile="full", given={"device": "cuda"}, elsewhere=True
    )
    assert there.keys.run != plan.keys.run
    folder = plan.done.folder.with_name(there.keys.run)
    shutil.copytree(plan.done.folder, folder)
    record = store.read_json(folder / "run.json")
    record |= {"run": there.keys.run, "parts": there.keys.parts}
    record["device"] |= {"kind": "cuda", "gpu": "H200"}
    store.write_json(folder / "run.json", record)
    plan = editions.plan("dice", ran.root, "full")
    assert plan.how == "kept" and plan.done.folder == folder
    edition = editions.publish(plan.done, ran.root)
    assert edition.current and edition.run["device"]["gpu"] == "H200"

    ran.edit("throws", "eyes[::2]", "eyes[::3]")
    with pytest.raises(editions.PublishError, match="differs: experiment: cell throws changed"):
        editions.plan("dice", ran.root, "full")


def test_skips_that_could_be_had_are_refused(ran, monkeypatch):
    run = store.runs(ran.root, "dice")[0]
    record = {**run.record, "missing": ["logs"]}
    said = editions.refusals(record, run.claims, entry(ran), run.folder, ran.root)
    assert any("logs was missing but can be had here" in s for s in said)
    monkeypatch.setattr(keys, "missing", lambda *a: ["logs"])
    said = editions.refusals(record, run.claims, entry(ran), run.folder, ran.root)
    assert not any("can be had here" in s for s in said)


def test_edition_is_plain_json_and_parquet(ran):
    edition = published(ran)
    for path in edition.folder.rglob("*"):
        if path.suffix == ".json":
            json.loads(path.read_text(), parse_constant=pytest.fail)
