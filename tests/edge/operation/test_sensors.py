from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vedette_edge.operation.sensors import MemorySensors, Reading, SystemSensors

PRESSURE = "some avg10=3.10 avg60=1.00 avg300=0.00 total=5\nfull avg10=1.25 avg60=0.50 avg300=0.00 total=3\n"
CGROUP = "sys/fs/cgroup"


@pytest.fixture
def write(tmp_path):
    def write(path, content):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    return write


@pytest.fixture
def read(tmp_path):
    return lambda: SystemSensors(tmp_path, cores=4).read()


def zone(write, number, kind, milli):
    write(f"sys/class/thermal/thermal_zone{number}/type", f"{kind}\n")
    write(f"sys/class/thermal/thermal_zone{number}/temp", f"{milli}\n")


def group(write, path, *, limit, used, inactive=0):
    write(f"{CGROUP}{path}/memory.max", f"{limit}\n")
    write(f"{CGROUP}{path}/memory.current", f"{used}\n")
    write(f"{CGROUP}{path}/memory.stat", f"anon 1\ninactive_file {inactive}\nactive_file 2\n")


def test_a_device_that_tells_nothing_is_no_error(read):
    assert read() == Reading()


def test_the_hottest_zone_or_chip_counts(read, write):
    zone(write, 0, "CPU-therm", 41500)
    zone(write, 1, "GPU-therm", 55250)
    assert read().temperature_c == 55.25
    write("sys/class/hwmon/hwmon2/name", "coretemp\n")
    write("sys/class/hwmon/hwmon2/temp1_input", "61000\n")
    assert read().temperature_c == 61.0


@pytest.mark.parametrize(
    ("kind", "milli"),
    [
        ("PMIC-Die", "100000"),  # a Jetson's, at all times
        ("iwlwifi_1", "70000"),
        ("cpu", "-273000"),  # no sensor there
        ("cpu", "200000"),
        ("cpu", "nan"),
        ("cpu", ""),
        ("cpu", "hot"),
    ],
)
def test_what_is_not_the_processors_temperature_does_not_count(read, write, kind, milli):
    zone(write, 0, "cpu-thermal", 40000)
    zone(write, 1, kind, milli)
    assert read().temperature_c == 40.0


def test_free_memory_is_what_the_kernel_calls_available(read, write):
    write("proc/meminfo", "MemTotal: 4000 kB\nMemFree: 100 kB\nMemAvailable:    1000 kB\n")
    assert read().free_memory_bytes == 1000 * 1024


def test_a_limit_of_the_service_or_above_it_counts_when_it_is_tighter(read, write):
    write("proc/meminfo", "MemAvailable: 1000000 kB\n")
    write("proc/self/cgroup", "1:name=systemd:/x\n0::/system.slice/edge-agent.service\n")
    group(write, "/system.slice/edge-agent.service", limit=1000, used=900, inactive=300)
    group(write, "/system.slice", limit="max", used=5000)
    assert read().free_memory_bytes == 400
    group(write, "/system.slice", limit=1000, used=950, inactive=0)
    assert read().free_memory_bytes == 50


def test_a_group_above_its_limit_leaves_nothing(read, write):
    write("proc/self/cgroup", "0::/a\n")
    group(write, "/a", limit=1000, used=1200, inactive=0)
    assert read().free_memory_bytes == 0


def test_load_is_per_core_and_stall_is_that_of_everything(read, write):
    write("proc/loadavg", "6.00 5.00 4.00 1/100 42\n")
    write("proc/pressure/memory", PRESSURE)
    assert (read().load, read().memory_stall) == (1.5, 1.25)


def test_video_memory_is_that_of_the_fullest_card(read, write):
    for card, used in ((0, 100), (1, 700)):
        write(f"sys/class/drm/card{card}/device/mem_info_vram_total", "1000\n")
        write(f"sys/class/drm/card{card}/device/mem_info_vram_used", f"{used}\n")
    assert read().free_gpu_bytes == 300


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    content=st.binary(max_size=80) | st.sampled_from([b"0::/../..\n", b"full avg10\n", b"inactive_file\n"])
)
def test_garbage_in_any_file_is_never_an_error(read, write, content):
    for path in (
        "proc/meminfo",
        "proc/loadavg",
        "proc/pressure/memory",
        "proc/self/cgroup",
        f"{CGROUP}/memory.max",
        f"{CGROUP}/memory.current",
        f"{CGROUP}/memory.stat",
        "sys/class/thermal/thermal_zone0/type",
        "sys/class/thermal/thermal_zone0/temp",
        "sys/class/drm/card0/device/mem_info_vram_total",
        "sys/class/drm/card0/device/mem_info_vram_used",
    ):
        write(path, content)
    assert isinstance(read(), Reading)


def test_this_machine_tells_its_memory_and_load():
    reading = SystemSensors().read()
    assert reading.free_memory_bytes > 0
    assert reading.load >= 0


def test_the_twin_says_what_it_was_told():
    sensors = MemorySensors()
    assert sensors.read() == Reading()
    sensors.reading = Reading(load=3.0)
    assert sensors.read().load == 3.0
