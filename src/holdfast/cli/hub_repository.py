"""A dataset repository on the Hugging Face hub: what it holds, and uploading to it in one commit."""

import hashlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
from huggingface_hub import CommitOperationAdd, HfApi, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import disable_progress_bars, validate_repo_id

from holdfast.common.errors import UserError, first_line
from holdfast.common.files import digest

TOKENS = "https://huggingface.co/settings/tokens"
Content = str | bytes  # path of a file, or what is in it


class Repository(NamedTuple):
    """What the hub says of a repository."""

    user: str  # whose token is used
    private: bool | None  # None: there is no such repository, or the user may not see it
    states: dict[str, str]  # of each file: new, changed or unchanged


def check_name(repository: str) -> None:
    """Raises UserError when this is not the name of a repository with its owner."""
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise UserError(f"REPO {repository}: is no name for a repository: {first_line(error)}") from error
    if "/" not in repository:
        raise UserError(
            f"REPO {repository}: name its owner too, for example me/{repository} (a user or an organisation)"
        )


def address(repository: str) -> str:
    """The page of the repository."""
    return f"{constants.ENDPOINT}/datasets/{repository}"


def look(repository: str, files: Mapping[str, Content]) -> Repository:
    """Ask the hub for the repository. Raises UserError when there is no valid token or the hub cannot be reached."""
    if get_token() is None:
        raise UserError(
            "no Hugging Face token: log in with `hf auth login`, or set HF_TOKEN to a token with write access"
            f" ({TOKENS})"
        )
    hub = HfApi()
    with explained(repository, "your token's user"):
        user = hub.whoami()["name"]
    with explained(repository, user):
        try:
            private = hub.dataset_info(repository, timeout=30).private
            found = hub.get_paths_info(repository, [*files], repo_type="dataset")
        except RepositoryNotFoundError:
            return Repository(user, None, dict.fromkeys(files, "new"))
    there = {file.path: file for file in found if isinstance(file, RepoFile)}
    states = {
        name: "new" if name not in there else "unchanged" if is_equal(content, there[name]) else "changed"
        for name, content in files.items()
    }
    return Repository(user, bool(private), states)


def is_equal(content: Content, file: RepoFile) -> bool:
    """Whether a file of the repository has this content, by its SHA-256 (large files) or its Git hash."""
    if file.lfs:
        sha256 = digest(content) if isinstance(content, str) else hashlib.sha256(content).hexdigest()
        return sha256 == file.lfs.sha256
    data = Path(content).read_bytes() if isinstance(content, str) else content
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() == file.blob_id


def upload(repository: str, found: Repository, files: Mapping[str, Content], public: bool, message: str) -> str:
    """Create the repository if there is none, and commit the files that differ. Returns the commit's page."""
    hub = HfApi()
    if not sys.stderr.isatty():
        disable_progress_bars()
    with explained(repository, found.user):
        if found.private is None:
            hub.create_repo(repository, repo_type="dataset", private=not public)
        changed = [name for name in files if found.states[name] != "unchanged"]
        operations = [CommitOperationAdd(name, files[name]) for name in changed]
        return hub.create_commit(repository, operations, commit_message=message, repo_type="dataset").commit_url


@contextmanager
def explained(repository: str, user: str) -> Iterator[None]:
    """Turn what the hub's client raises into a UserError with the repair."""
    again = "run the same command again later: it uploads what is still missing"
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise UserError("the hub was not asked, because HF_HUB_OFFLINE is set: unset it and run again") from error
    except (httpx.HTTPError, OSError, RuntimeError, ValueError) as error:
        cause = error if isinstance(error, HfHubHTTPError) or error.__cause__ is None else error.__cause__
        if not isinstance(cause, HfHubHTTPError):
            if isinstance(error, ValueError):
                raise UserError(f"the hub does not accept the files: {' '.join(str(error).split())}") from error
            fault = f"asking {constants.ENDPOINT} failed: {first_line(cause)}"
            raise UserError(f"{fault}; {again}") from error
        status, said = cause.response.status_code, cause.server_message or cause.response.reason_phrase
        repairs = {
            401: f"the token is not valid: log in again with `hf auth login`, or set HF_TOKEN to a new one ({TOKENS})",
            403: f"{user} may not write to {repository} with this token: name a repository of your own or of an"
            f" organisation in which you may write, and use a token with write access ({TOKENS})",
            404: f"there is no {repository} that {user} may see: check the name, and your rights in the organisation",
            409: f"{repository} exists, but {user} may not see it: choose another name, or ask its owner for access",
        }
        raise UserError(f"{constants.ENDPOINT}: {status} ({said}): {repairs.get(status, again)}") from error
