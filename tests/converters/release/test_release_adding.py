"""What becomes a release, and what does not."""

import re
import shutil

import numpy as np
import onnx
import pytest
from edge_helpers import edit_manifest, entry, write_bundle
from release_helpers import NOW, Device, KilledError, Site

from vedette_converters.release.adding import Wanted, change_rollout, earlier_releases, revert
from vedette_edge.errors import BundleError, DigestError, UpdateError, UsageError
from vedette_edge.ota.release import Budget, Rollout


def other(bundle):
    edit_manifest(bundle, lambda values: values.update(release=values["release"] + 1))
    return bundle


def go_back(site, to=None):
    with site.repository.alone():
        return revert(site.repository, "gates", "people", to, Wanted(share=1.0), NOW)


def test_a_release_says_what_it_was_told(site, bundle):
    budget = Budget(p95_ms=20.0, peak_rss_bytes=300_000_000)
    site.add(
        bundle,
        hardware=("intel-nuc",),
        agent="0.2",
        budget=budget,
        notes="lights",
        share=0.25,
        first=("n-1",),
    )
    site.publish()
    release, rollout = Device(site).offer()
    assert (release.hardware, release.agent, release.budget, release.notes) == (
        ("intel-nuc",), "0.2", budget, "lights",
    )  # fmt: skip
    assert rollout == Rollout(campaign="people-1", share=0.25, first=("n-1",))
    assert release.files[0].path == "manifest.json"


def test_only_what_is_new_is_copied(site, bundle):
    site.add(bundle)
    site.publish()
    site.disk.steps.clear()
    site.add(other(bundle))
    copied = [name for name in site.disk.steps if re.fullmatch(r"[0-9a-f]{64}\.[0-9a-f]{64}", name)]
    assert len(copied) == 1, "the manifest alone"


def test_the_same_file_of_two_paths_is_one_target(site, bundle):
    shutil.copy(bundle / "model.onnx", bundle / "again.onnx")

    def edit(values):
        variant = values["variants"][0]
        values["variants"].append(variant | {"name": "again", "files": [entry(bundle, "again.onnx")]})

    edit_manifest(bundle, edit)
    made = site.add(bundle)
    site.publish()
    assert len(made.files) == 6
    assert Device(site).offer()[0] == made


def test_counters_are_never_used_twice(site, bundle):
    assert site.add(bundle).release == 1
    assert site.add(other(bundle)).release == 2, "the first was never published, and its number is gone"
    site.publish()
    assert site.add(other(bundle)).release == 3
    assert site.add(bundle, model="cars").release == 1


def test_the_bundle_that_is_current_already_is_refused(site, bundle):
    site.add(bundle)
    with pytest.raises(UsageError, match="is release 1 of 'people' for the fleet 'gates' already"):
        site.add(bundle)
    site.publish()
    before = site.files()
    with pytest.raises(UsageError, match="is release 1"):
        site.add(bundle)
    assert site.files() == before


def test_fleets_and_models_stand_beside_each_other(tmp_path, bundle):
    site = Site(tmp_path, fleets=("gates", "docks"))
    site.add(bundle)
    site.add(bundle, model="cars")
    site.publish()
    assert Device(site).offer(model="cars")[0].model == "cars"
    assert Device(site).offer(fleet="docks") is None
    with pytest.raises(UsageError, match=r"no fleet 'doors' in .*; there are: docks, gates"):
        site.add(bundle, fleet="doors")


def unnamed_file(bundle):
    (bundle / "more.txt").write_text("x")
    return "is not named by manifest.json"


def link(bundle):
    (bundle / "model.onnx").rename(bundle.parent / "elsewhere.onnx")
    (bundle / "model.onnx").symlink_to(bundle.parent / "elsewhere.onnx")
    return "is a link or no plain file"


def linked_manifest(bundle):
    (bundle / "manifest.json").rename(bundle.parent / "elsewhere.json")
    (bundle / "manifest.json").symlink_to(bundle.parent / "elsewhere.json")
    return "is a link or no plain file"


def linked_folder(bundle):
    (bundle / "more").symlink_to(bundle.parent)
    return "is a link or no plain file"


def damage(bundle):
    data = bytearray((bundle / "golden_logits.npy").read_bytes())
    data[-1] ^= 1
    (bundle / "golden_logits.npy").write_bytes(bytes(data))
    return "is not the file that manifest.json names"


def missing_file(bundle):
    (bundle / "golden_heatmap.npy").unlink()
    return "cannot read this file"


def no_samples(bundle):
    np.save(bundle / "golden_inputs.npy", np.zeros((0, 4, 32, 32, 3), np.uint8))
    named = entry(bundle, "golden_inputs.npy")
    edit_manifest(bundle, lambda values: values["golden"].update(inputs=named))
    return "has no golden samples"


def external_data(bundle):
    model = onnx.load_model_from_string((bundle / "model.onnx").read_bytes())
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return no_longer(bundle, model)


def external_data_in_a_node(bundle):
    model = onnx.load_model_from_string((bundle / "model.onnx").read_bytes())
    hidden = onnx.TensorProto(data_location=onnx.TensorProto.EXTERNAL)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Constant", [], ["y"], value=hidden)], "inner", [], []
    )
    model.graph.node.append(onnx.helper.make_node("If", ["x"], ["y"], then_branch=graph, else_branch=graph))
    return no_longer(bundle, model)


def no_longer(bundle, model):
    (bundle / "model.onnx").write_bytes(model.SerializeToString())
    named = entry(bundle, "model.onnx")
    edit_manifest(bundle, lambda values: values["variants"][0].update(files=[named]))
    return "keeps weights in further files"


def no_model(bundle):
    (bundle / "model.onnx").write_bytes(b"\xff" * 100)
    named = entry(bundle, "model.onnx")
    edit_manifest(bundle, lambda values: values["variants"][0].update(files=[named]))
    return "is no ONNX model"


FAULTS = (
    unnamed_file,
    link,
    linked_manifest,
    linked_folder,
    damage,
    missing_file,
    no_samples,
    external_data,
    external_data_in_a_node,
    no_model,
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_bundle_that_is_not_what_was_proved_is_refused_before_anything_is_written(fault, site, bundle):
    sentence = fault(bundle)
    site.disk.steps.clear()
    with pytest.raises((BundleError, DigestError), match=sentence):
        site.add(bundle)
    assert site.disk.steps == []


def test_adding_may_be_killed_at_any_write(tmp_path):
    bundle = write_bundle(tmp_path / "bundle")
    (tmp_path / "whole").mkdir()
    whole = Site(tmp_path / "whole")
    whole.disk.steps.clear()
    whole.add(bundle)
    for at in range(len(whole.disk.steps)):
        (tmp_path / f"cut-{at}").mkdir()
        site = Site(tmp_path / f"cut-{at}")
        site.publish()
        site.disk.steps.clear()
        site.disk.dies_at = at
        with pytest.raises(KilledError):
            site.add(bundle)
        site.disk.dies_at = None
        site.publish()
        assert Device(site).offer() is None
        site.add(bundle)
        site.publish()
        assert Device(site).offer()[0].release in (1, 2)


def test_a_rollout_is_changed_without_a_new_release(site, bundle):
    site.add(bundle, share=0.0)
    site.publish()
    with site.repository.alone():
        change_rollout(site.repository, "gates", "people", Rollout(campaign="people-1", share=0.5), NOW)
    site.publish()
    release, rollout = Device(site).offer()
    assert (release.release, rollout.share) == (1, 0.5)
    with site.repository.alone(), pytest.raises(UsageError, match="no release of 'cars'"):
        change_rollout(site.repository, "gates", "cars", rollout, NOW)


def test_going_back_is_a_new_release_of_the_old_files(site, bundle):
    old = site.add(bundle)
    site.publish()
    device = Device(site)
    device.offer()
    site.add(other(bundle))
    site.publish()
    made = go_back(site)
    site.publish()
    release, rollout = device.offer()
    assert release == made
    assert (release.release, release.digest, release.files) == (3, old.digest, old.files)
    assert (rollout.share, rollout.campaign) == (1.0, "people-3")


def test_going_back_to_a_release_that_is_not_there_is_told(site, bundle):
    with pytest.raises(UsageError, match="no release of 'people' for the fleet 'gates' to go back from"):
        go_back(site)
    site.add(bundle)
    site.publish()
    with pytest.raises(UsageError, match="no earlier release of 'people'"):
        go_back(site)
    with pytest.raises(UsageError, match="no release 7 of 'people'"):
        go_back(site, to=7)
    with pytest.raises(UsageError, match="release 1 has the files of the current one"):
        go_back(site, to=1)


def test_going_back_needs_the_old_files_whole(site, bundle):
    old = site.add(bundle)
    site.publish()
    site.add(other(bundle))
    site.publish()
    name = f"gates/people/files/{old.digest}"
    site.repository.target(name, old.digest).write_bytes(b"{}")
    with pytest.raises(UpdateError, match="of release 1 is gone or damaged"):
        go_back(site)


def test_an_old_release_counts_only_where_the_fleets_keys_signed_it(site, bundle):
    site.add(bundle)
    site.publish()
    site.add(other(bundle))
    site.publish()
    releases = earlier_releases(site.repository, "gates", "people")
    assert [release.release for release in releases] == [2, 1]
    path = site.repository.metadata / "1.gates.json"
    path.write_bytes(path.read_bytes().replace(b'"people-1"', b'"people-9"'))
    releases = earlier_releases(site.repository, "gates", "people")
    assert [release.release for release in releases] == [2]
