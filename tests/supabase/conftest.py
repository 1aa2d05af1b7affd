"""What the tests of the schema share: a PostgreSQL and a Supabase API server per worker."""

from collections.abc import Generator

import pytest

from tests.supabase.lite import Lite, running_lite
from tests.supabase.postgres import Cluster, Database, running_postgres
from tests.supabase.storage import Project, with_storage


@pytest.fixture(scope="session")
def postgres() -> Generator[Cluster]:
    with running_postgres() as cluster:
        yield cluster


@pytest.fixture
def database(postgres: Cluster) -> Generator[Database]:
    """An empty project."""
    with postgres.database() as database:
        yield database


@pytest.fixture(scope="session")
def migrated(postgres: Cluster) -> Generator[Database]:
    """A project with our schema, shared: leave it as it was found."""
    with postgres.database() as database:
        database.migrate()
        yield database


@pytest.fixture(scope="session")
def lite() -> Generator[Lite]:
    """Supabase's API over our schema, shared: use ids of your own."""
    with running_lite() as server:
        yield server


@pytest.fixture(scope="session")
def lite_with_vector() -> Generator[Lite]:
    """The same with pgvector, shared: use ids of your own."""
    with running_lite(with_vector=True) as server:
        yield server


@pytest.fixture(scope="session")
def storage_project() -> Generator[Project]:
    """Supabase's API with Storage over our schema, shared: use ids of your own."""
    with running_lite(with_storage=True) as server, with_storage(server) as project:
        yield project
