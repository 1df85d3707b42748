"""What every test may count on: none of this machine's settings, the same examples at every run, one AWS emulator for whoever asks."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from console.stack.emulator import start_emulator

# No example may be too slow for a busy machine, and whether a change passes must not hang on which examples were drawn.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

_KEPT = {"PANOVEIL_EVAL"}


@pytest.fixture(scope="session", autouse=True)
def _as_on_a_bare_machine() -> Iterator[None]:
    """Whoever runs the tests may have AWS profiles, a running pipeline's settings or a proxy in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - _KEPT:
            if name.startswith(("AWS_", "PANOVEIL_")):
                patch.delenv(name)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "127.0.0.1,localhost")
        yield


@pytest.fixture(scope="session")
def credentials(_as_on_a_bare_machine: None) -> Iterator[None]:
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
