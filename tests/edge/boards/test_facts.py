from __future__ import annotations

from vedette_edge.boards import BoardFacts, read_facts


def tree(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def test_a_board_is_known_by_its_device_tree(tmp_path):
    root = tree(
        tmp_path,
        {
            "proc/device-tree/model": b"Raspberry Pi 4 Model B Rev 1.4\0",
            "proc/device-tree/compatible": b"raspberrypi,4-model-b\0brcm,bcm2711\0",
        },
    )
    facts = read_facts(root, "aarch64")
    assert facts.compatible == ("raspberrypi,4-model-b", "brcm,bcm2711")
    assert str(facts) == "Raspberry Pi 4 Model B Rev 1.4"


def test_a_pc_is_known_by_its_dmi(tmp_path):
    root = tree(
        tmp_path,
        {
            "sys/class/dmi/id/sys_vendor": b"Intel(R) Client Systems\n",
            "sys/class/dmi/id/product_name": b"NUC11TNHi5\n",
        },
    )
    assert read_facts(root, "x86_64") == BoardFacts("x86_64", "Intel(R) Client Systems NUC11TNHi5")


def test_a_machine_that_says_nothing_still_has_an_architecture(tmp_path):
    assert str(read_facts(tmp_path, "riscv64")) == "riscv64"


def test_bytes_that_are_no_text_do_no_harm(tmp_path):
    root = tree(tmp_path, {"proc/device-tree/compatible": b"\xff\xfe\0ok\0"})
    assert read_facts(root, "aarch64").compatible[-1] == "ok"
