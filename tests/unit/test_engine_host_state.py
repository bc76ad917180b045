"""The machine's state and its counters, from files of a made-up machine and our own."""

from __future__ import annotations

import msgspec
import pytest

from bytemlperf.engine.host_state import host_warnings, read_host_state
from bytemlperf.engine.resource_meter import (
    read_counters,
    resource_report,
    resource_warnings,
)

FILES = {
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave",
    "sys/devices/system/cpu/intel_pstate/no_turbo": "0",
    "sys/devices/system/cpu/smt/active": "1",
    "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "3",
    "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "4",
    "sys/devices/system/node/node0/cpulist": "0",
    "sys/devices/system/node/node1/cpulist": "1",
    "sys/fs/cgroup/cpu.max": "150000 100000",
    "sys/fs/cgroup/memory.max": "1073741824",
    "sys/fs/cgroup/cpu.stat": "usage_usec 5\nnr_throttled 9\nthrottled_usec 70000",
    "sys/class/powercap/intel-rapl:0/energy_uj": "900",
    "sys/class/powercap/intel-rapl:0/max_energy_range_uj": "999",
    "proc/cpuinfo": "cpu MHz : 2100.5\ncpu MHz : 3000.0\n",
    "proc/meminfo": (
        "MemTotal: 8000 kB\nMemAvailable: 3000 kB\n"
        "SwapTotal: 4096 kB\nSwapFree: 2048 kB"
    ),
    "proc/stat": "cpu 100 0 50 800 0 0 0 50 0 0\ncpu0 1 2",
    "proc/vmstat": "pswpin 7\npswpout 8",
}


@pytest.fixture
def machine(tmp_path):
    """Write the files of a machine."""

    def write():
        for name, text in FILES.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def test_a_noisy_machine_is_read_and_every_trouble_has_its_remedy(machine):
    """Governor, turbo, SMT, heat, quota, steal, swap and nodes are read and named."""
    state = read_host_state(machine())
    assert state.frequencies_mhz == [2100.5, 3000.0]
    assert (state.governor, state.turbo, state.smt_active) == ("powersave", True, True)
    assert state.cgroup_cpu_quota_cores == 1.5
    assert state.cgroup_memory_bytes == 2**30
    assert state.core_throttle_count == 7
    assert state.steal_share == 0.05
    assert state.swap_used_bytes == 2 * 2**20
    assert state.energy_readable
    text = "\n".join(host_warnings(state))
    for word in (
        "governor powersave", "turbo is on", "share physical", "5.0% of processor time",
        "throttled 9 times", "slowed for heat 7", "2 MiB are swapped", "2 memory nodes",
    ):  # fmt: skip
        assert word in text


def test_what_cannot_be_read_is_none_and_no_trouble(tmp_path):
    """A machine that tells nothing gives no guess and no warning but its load."""
    state = read_host_state(tmp_path)
    assert state.governor is state.turbo is state.smt_active is state.numa_nodes is None
    assert state.steal_share is state.cgroup_cpu_quota_cores is None
    assert not state.energy_readable
    quiet = msgspec.structs.replace(state, load_average_1min=0.0)
    assert host_warnings(quiet) == []
    busy = msgspec.structs.replace(state, load_average_1min=9.0)
    assert "load average 9.00" in host_warnings(busy)[0]


def test_counters_are_differences_and_energy_wraps_around(machine):
    """Between two readings: steal, quota, swap, and energy over its maximum."""
    root = machine()
    before = read_counters(root)
    (root / "proc/stat").write_text("cpu 150 0 50 840 0 0 0 60 0 0")
    (root / "sys/fs/cgroup/cpu.stat").write_text("throttled_usec 9070000")
    (root / "proc/vmstat").write_text("pswpin 9\npswpout 8")
    (root / "sys/class/powercap/intel-rapl:0/energy_uj").write_text("100")
    report = resource_report(before, read_counters(root))
    assert report.steal_share == pytest.approx(0.1)
    assert report.throttled_us == 9_000_000
    assert (report.swapped_in_pages, report.swapped_out_pages) == (2, 0)
    assert report.energy_uj == 200
    text = "\n".join(resource_warnings(report))
    for word in ("10.0% of the processors' time", "CPU quota stopped", "2 pages"):
        assert word in text


def test_this_process_uses_what_it_uses():
    """Real counters grow with work done, and there is memory."""
    before = read_counters()
    touched = bytearray(8 << 20)
    report = resource_report(before, read_counters())
    assert len(touched) == 8 << 20
    assert report.duration_ns > 0
    assert report.rss_bytes > 0
    assert report.cpu_ns >= 0
    assert report.minor_faults > 0
