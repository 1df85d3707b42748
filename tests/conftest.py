"""What every test may count on: none of this machine's settings, the same examples at every run, one AWS emulator for whoever asks."""

import os
import resource
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from console.stack.emulator import start_emulator

# No example may be too slow for a busy machine, and whether a change passes must not hang on which examples were drawn.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

_SOMEBODYS = ("AWS_", "PANOVEIL_", "FORCE_COLOR", "NO_COLOR", "TTY_")
_OURS = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "COLUMNS": "80",
}
_OPEN_FILES = 8192


def as_on_a_bare_machine() -> None:
    """Forget whoever runs the tests: AWS profiles, a running pipeline's settings, a proxy, a terminal's colours and width."""
    for name in [name for name in os.environ if name.startswith(_SOMEBODYS) and name != "PANOVEIL_EVAL"]:
        del os.environ[name]
    direct = ",".join(["127.0.0.1", "localhost", *filter(None, [os.environ.get("no_proxy") or os.environ.get("NO_PROXY")])])
    os.environ.update(_OURS | {"no_proxy": direct, "NO_PROXY": direct})


def room_for_open_files() -> None:
    """A rig's tables are dozens of mapped files, which stay open until the garbage collector comes by: make the usual 1024 more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


# Now: some modules look when they are imported.
as_on_a_bare_machine()
room_for_open_files()


@pytest.fixture(scope="session", autouse=True)
def no_pipeline_of_somebody_elses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep commands that run in this process from a pipeline that runs in this checkout: a developer's, or another test process's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("console.stack.stack.ENVIRONMENT_FILE", tmp_path_factory.mktemp("stack") / "stack.env")
        yield


@pytest.fixture(scope="session")
def credentials() -> Iterator[None]:
    """Give every AWS client, the JVM's included, keys that open nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield


@pytest.fixture(scope="session")
def emulator(credentials: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the AWS emulator on the loopback; yields its URL."""
    process, url = start_emulator(tmp_path_factory.mktemp("emulator"))
    yield url
    process.stop(10)
