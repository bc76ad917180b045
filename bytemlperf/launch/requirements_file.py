"""Read a ``requirements.txt`` and ask whether this interpreter satisfies it.

Input: a file in pip's format. Output: what it asks for, and what is not met here. It
installs nothing and imports none of the packages: it reads installed metadata.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import msgspec
from packaging.markers import UndefinedComparison
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from bytemlperf.errors import ConfigError

__all__ = ["RequirementsFile", "read_requirements", "unmet_requirements"]

# Options about where and how pip finds packages: they do not change what is wanted.
VALUE_OPTIONS = frozenset(
    {"-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--trusted-host"}
    | {"--no-binary", "--only-binary", "--use-feature"}
)
FLAG_OPTIONS = frozenset({"--no-index", "--pre", "--prefer-binary", "--require-hashes"})
# Options behind a requirement, such as --hash=sha256:...
TRAILING_OPTION = re.compile(r"\s--(?:hash|config-settings?|global-option)[= ].*$")
ARCHIVES = (".whl", ".tar.gz", ".zip")


class RequirementsFile(msgspec.Struct, frozen=True):
    """What a requirements file, with all it includes, asks for.

    Parameters
    ----------
    requirements, constraints : tuple of Requirement
        Wanted here (environment markers evaluated); a constraint only counts where
        its package is installed.
    archives : tuple of str
        Wheels and source archives by path or URL: nobody can tell from outside
        whether they are installed as they are.
    text : str
        All lines that count, for a key.
    files : tuple of Path
        Local archives, whose content belongs to a key too.
    """

    requirements: tuple[Requirement, ...]
    constraints: tuple[Requirement, ...]
    archives: tuple[str, ...]
    text: str
    files: tuple[Path, ...]


def read_requirements(path: Path) -> RequirementsFile:
    """Read a requirements file.

    Parameters
    ----------
    path : Path
        In pip's format; ``-r`` and ``-c`` are followed, relative to the file.

    Returns
    -------
    RequirementsFile
        With requirements whose environment marker is false left out.

    Raises
    ------
    ConfigError
        A file is missing, or a line is nothing that can be understood or kept track
        of (an editable install, a folder); it names file and line.
    """
    reader = _Reader()
    reader.read(path, ())
    return RequirementsFile(
        requirements=tuple(reader.requirements),
        constraints=tuple(reader.constraints),
        archives=tuple(reader.archives),
        text="\n".join(reader.lines),
        files=tuple(reader.files),
    )


def unmet_requirements(wanted: RequirementsFile) -> list[str]:
    """Compare a requirements file with what is installed in this interpreter.

    Parameters
    ----------
    wanted : RequirementsFile
        From `read_requirements`.

    Returns
    -------
    list of str
        One phrase for each requirement that is not met; empty if all are.
    """
    unmet = [
        f"{archive} (an archive is never taken as met)" for archive in wanted.archives
    ]
    for requirement in wanted.requirements:
        unmet += _unmet(requirement, "")
    for constraint in wanted.constraints:
        version = _installed_version(constraint.name)
        if version is not None and not _admits(constraint, version):
            unmet.append(f"{constraint} ({version} is installed)")
    return unmet


def _unmet(requirement: Requirement, wanted_by: str) -> list[str]:
    """Check one requirement, and with it the packages its extras ask for."""
    version = _installed_version(requirement.name)
    if version is None:
        return [f"{requirement}{wanted_by} (not installed)"]
    if requirement.url is not None:
        return [f"{requirement}{wanted_by} (a direct reference is never taken as met)"]
    if not _admits(requirement, version):
        return [f"{requirement}{wanted_by} ({version} is installed)"]
    own = metadata.distribution(requirement.name).requires or []
    unmet = []
    for extra in requirement.extras:
        for text in own:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                continue
            if needed.marker.evaluate({"extra": extra}):
                unmet += _unmet(needed, f", for {requirement.name}[{extra}]")
    return unmet


def _installed_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _admits(requirement: Requirement, version: str) -> bool:
    # What somebody has installed on purpose may be a pre-release.
    return requirement.specifier.contains(version, prereleases=True)


class _Reader:
    """Collects from a file and from those it includes."""

    def __init__(self) -> None:
        self.requirements: list[Requirement] = []
        self.constraints: list[Requirement] = []
        self.archives: list[str] = []
        self.lines: list[str] = []
        self.files: list[Path] = []

    def read(
        self, path: Path, including: tuple[Path, ...], *, constraint: bool = False
    ) -> None:
        if path in including:
            raise ConfigError(f"{path} includes itself")
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            # ValueError: not UTF-8, or a name with a null byte.
            raise ConfigError(f"cannot read requirements {path}: {error}") from error
        for number, line in _logical_lines(text):
            self.lines.append(line)
            included = re.match(
                r"(-r|--requirement|-c|--constraint)(?:\s*=\s*|\s+)?(\S+)$", line
            )
            if included:
                self.read(
                    path.parent / included[2],
                    (*including, path),
                    constraint=constraint or included[1] in {"-c", "--constraint"},
                )
            elif line.startswith("-"):
                _check_option(line, f"{path}:{number}")
            else:
                self._take(line, path, number, constraint=constraint)

    def _take(self, line: str, path: Path, number: int, *, constraint: bool) -> None:
        """Take one line that names a package."""
        text = TRAILING_OPTION.sub("", line).strip()
        if _is_archive(text):
            self.archives.append(text)
            local = path.parent / text.removeprefix("file://")
            if "\0" not in text and local.is_file():
                self.files.append(local)
            return
        try:
            requirement = Requirement(text)
            is_wanted = requirement.marker is None or requirement.marker.evaluate(
                {"extra": ""}
            )
        except (InvalidRequirement, UndefinedComparison) as error:
            raise ConfigError(
                f"{path}:{number}: expected a requirement, came {line!r}",
                detail=str(error).splitlines()[0],
                hint="a package that is kept as source goes in as a wheel",
            ) from error
        if is_wanted:
            requirement.name = canonicalize_name(requirement.name)
            (self.constraints if constraint else self.requirements).append(requirement)


def _logical_lines(text: str) -> list[tuple[int, str]]:
    r"""Join lines that end in ``\``; drop comments and empty lines; number the rest."""
    lines = []
    pending, start = "", 0
    for number, raw in enumerate([*text.splitlines(), ""], start=1):
        start = start or number
        if raw.endswith("\\"):
            pending += raw[:-1]
            continue
        line = re.sub(r"(^|\s)#.*$", "", pending + raw).strip()
        if line:
            lines.append((start, line))
        pending, start = "", 0
    return lines


def _check_option(line: str, where: str) -> None:
    """Refuse options that would change what is wanted in ways nobody can check."""
    option = re.split(r"[=\s]", line, maxsplit=1)[0]
    if option in FLAG_OPTIONS or option in VALUE_OPTIONS:
        return
    hint = None
    if option in {"-e", "--editable"}:
        hint = "an editable install cannot be kept track of: bring a wheel"
    raise ConfigError(f"{where}: option {option!r} is not supported here", hint=hint)


def _is_archive(text: str) -> bool:
    return text.endswith(ARCHIVES) and " @ " not in text
