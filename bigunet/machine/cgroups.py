"""The control groups of this process: where Linux keeps the limits of a container or batch job.

A process is in one group, which is inside others. Each of them may set a limit, so the smallest
limit on the way up is the one that holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class CgroupFiles:
    """Where Linux shows control groups.

    Parameters
    ----------
    mount : Path
        Folder of all groups. Version 1 has one folder in it for each controller.
    membership : Path
        File that names the groups of this process, one line per hierarchy.
    """

    mount: Path = Path("/sys/fs/cgroup")
    membership: Path = Path("/proc/self/cgroup")

    def groups(self, controller: str) -> Iterator[tuple[int, Path]]:
        """Version (1 or 2) and folder of each group that this process is in, from the inside out.

        Parameters
        ----------
        controller : str
            What the group limits: ``cpu`` or ``memory``.

        Notes
        -----
        A container often sees its own group as the mount itself, while the membership file still
        shows the path on the host. Folders that do not exist are therefore normal.
        """
        for line in lines(self.membership):
            match line.split(":", 2):
                case [_, "", path]:
                    yield from ((2, folder) for folder in _upwards(self.mount, path))
                case [_, controllers, path] if controller in controllers.split(","):
                    # Some hosts name the mount after all of its controllers: cpu,cpuacct.
                    for name in dict.fromkeys((controllers, controller)):
                        yield from ((1, folder) for folder in _upwards(self.mount / name, path))


def lines(file: Path) -> list[str]:
    """The lines of a small file; none where it cannot be read."""
    try:
        return file.read_text("utf-8").splitlines()
    except OSError:
        return []


def words(file: Path) -> list[str]:
    """The words of a small file; none where it cannot be read."""
    return " ".join(lines(file)).split()


def _upwards(mount: Path, path: str) -> list[Path]:
    group = mount / path.strip("/")
    return [folder for folder in (group, *group.parents) if folder.is_relative_to(mount)]
