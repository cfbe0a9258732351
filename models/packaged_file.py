"""Files that come with a package, such as weights somebody else trained: pinned by version and sha256."""

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from models.errors import PackagedFileError


@dataclass(frozen=True)
class PackagedFile:
    """A file of an installed package.

    Attributes:
        package: Name of the distribution.
        version: The one version of it that is used.
        path: Where the file lies among those of the package.
        sha256: Hexadecimal digest of the file.
        licence: SPDX expression of the licence of the file, and where that is said.
        extra: The extra of this project that installs the package.
    """

    package: str
    version: str
    path: str
    sha256: str
    licence: str
    extra: str

    def find(self) -> Path:
        """Return where the file is.

        Raises:
            PackagedFileError: The package is missing or of another version, or the file is not the one that is meant.
        """
        install = f"pip install -c constraints.txt -e '.[{self.extra}]'"
        try:
            found = distribution(self.package)
        except PackageNotFoundError:
            raise PackagedFileError(f"package {self.package} is missing: {install}") from None
        if found.version != self.version:
            raise PackagedFileError(f"package {self.package} is {found.version}, not {self.version}: {install}")
        file = Path(str(found.locate_file(self.path)))
        reinstall = f"pip install --force-reinstall --no-deps {self.package}=={self.version}"
        try:
            with file.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise PackagedFileError(f"{file} cannot be read ({error.strerror}): {reinstall}") from error
        if digest != self.sha256:
            raise PackagedFileError(f"{file} is damaged or another file (its sha256 differs): {reinstall}")
        return file
