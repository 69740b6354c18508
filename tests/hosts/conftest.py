"""Several hosts on one machine: network namespaces with addresses of their own, wired together."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

# Seen by these hosts alone, whatever networks the machine has.
_SUBNET = "10.91.0"


@dataclass(frozen=True)
class Host:
    """A namespace; what runs in it sees its own network, and the machine's files."""

    name: str
    address: str

    def start(
        self, command: Sequence[str | Path], log: Path, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """A process in a session of its own on this host, which prints to a file."""
        with log.open("ab") as words:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.name, *map(str, command)],
                stdout=words, stderr=words, env=environment, start_new_session=True,
            )  # fmt: skip


class Network:
    """Hosts around a bridge, which is the first one's, so that the machine's own is not touched."""

    def __init__(self, count: int) -> None:
        label = f"bigunet-{uuid.uuid4().hex[:8]}"
        self.hosts = [Host(f"{label}-{k}", f"{_SUBNET}.{k + 1}") for k in range(count)]

    def connect(self) -> None:
        """Bring up the hosts and their wires."""
        for host in self.hosts:
            _ip("netns", "add", host.name)
            _ip("-n", host.name, "link", "set", "lo", "up")
        first, *others = self.hosts
        _ip("-n", first.name, "link", "add", "bridge", "type", "bridge")
        _ip("-n", first.name, "addr", "add", f"{first.address}/24", "dev", "bridge")
        _ip("-n", first.name, "link", "set", "bridge", "up")
        for number, host in enumerate(others):
            _ip(
                "-n", first.name, "link", "add", f"to{number}", "type", "veth",
                "peer", "name", "wire", "netns", host.name,
            )  # fmt: skip
            _ip("-n", first.name, "link", "set", f"to{number}", "master", "bridge", "up")
            _ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", "wire")
            _ip("-n", host.name, "link", "set", "wire", "up")

    def cut(self, host: Host) -> None:
        """Cut its network: packets are lost without an error."""
        _ip("-n", self.hosts[0].name, "link", "set", self._port(host), "down")

    def mend(self, host: Host) -> None:
        """Put it back."""
        _ip("-n", self.hosts[0].name, "link", "set", self._port(host), "up")

    def remove(self) -> None:
        """Take all of it down."""
        for host in self.hosts:
            subprocess.run(["ip", "netns", "del", host.name], capture_output=True)

    def _port(self, host: Host) -> str:
        return f"to{self.hosts.index(host) - 1}"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    """Three hosts."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if shutil.which("ip") is None:
        script = Path(__file__).with_name("install_ip.sh")
        if subprocess.run(["sh", script], capture_output=True).returncode:
            pytest.skip("iproute2 is not installed, and cannot be")
    made = Network(3)
    try:
        try:
            made.connect()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this kernel or container makes no network namespaces: {error.stderr}")
        yield made
    finally:
        made.remove()
