"""Trees on stores: the same people as from a local tree, and what is said when a store does not answer."""

import pickle
import shutil

import fsspec
import pytest

from ehps.errors import MissingExtraError, QueryError, ShardError
from ehps.shards import remote, stores
from ehps.shards.catalog import build_catalog, query
from ehps.shards.mirror import local_catalog, origin
from ehps.shards.reader import PeopleIndex
from ehps.shards.remote import RemoteTar, read_range
from ehps.tests.shards.store_server import as_s3, serving

pytest.importorskip("s3fs", reason="s3fs is not installed (ehps[remote])")


@pytest.fixture(autouse=True)
def _fast(monkeypatch, tmp_path):
    monkeypatch.setattr(remote, "FIRST_PAUSE", 0.001)
    monkeypatch.setenv("EHPS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def in_memory(catalog):
    """The tree on fsspec's store in memory."""
    store = fsspec.filesystem("memory")
    store.put(str(catalog), "/converted", recursive=True)
    yield "memory://converted"
    store.rm("/converted", recursive=True)


def assert_same_people(found, expected):
    assert len(found) == len(expected) > 0
    for person_id in range(len(expected)):
        one, other = found.load(person_id), expected.load(person_id)
        assert one.person_key == other.person_key
        assert one.image_bytes == other.image_bytes
        assert one.frame.rows.tobytes() == other.frame.rows.tobytes()


def test_a_tree_in_memory_of_a_store_reads_as_the_local_one(catalog, in_memory):
    index = PeopleIndex.open(in_memory)
    assert index.is_remote
    assert_same_people(index, PeopleIndex.open(catalog))


def test_a_tree_on_s3_reads_as_the_local_one_also_in_another_process(catalog):
    with as_s3(catalog) as store:
        index = PeopleIndex.open("s3://bucket/")
        assert_same_people(pickle.loads(pickle.dumps(index)), PeopleIndex.open(catalog))
        assert all(asked for path, asked in store.requests if path.endswith(".tar"))


def test_a_tree_on_a_web_server_and_at_a_file_url(catalog):
    with serving(catalog) as store:
        assert_same_people(PeopleIndex.open(f"{store.endpoint}/bucket"), PeopleIndex.open(catalog))
    assert_same_people(PeopleIndex.open(f"file://{catalog}"), PeopleIndex.open(catalog))


def test_a_catalog_kept_here_with_shards_elsewhere(catalog, tmp_path):
    shutil.copytree(catalog / "catalog", tmp_path / "small" / "catalog")
    shutil.copy(catalog / "catalog.duckdb", tmp_path / "small")
    with as_s3(catalog) as store:
        index = PeopleIndex.open(tmp_path / "small", shards="s3://bucket")
        assert_same_people(index, PeopleIndex.open(catalog))
        assert all(path.endswith(".tar") for path, _ in store.requests)
    assert_same_people(PeopleIndex.open(tmp_path / "small", shards=catalog), PeopleIndex.open(catalog))


def test_the_catalog_is_fetched_once_and_answers_sql(catalog):
    with as_s3(catalog) as store:
        first = local_catalog("s3://bucket")
        fetched = len(store.requests)
        assert local_catalog("s3://bucket/") == first
        assert len(store.requests) - fetched <= 3  # its list alone
    assert origin(first) == "s3://bucket"
    sql = "SELECT person_key FROM people ORDER BY person_id"
    assert query(first, sql).equals(query(catalog, sql))
    with pytest.raises(QueryError, match="sidecars, which are not beside this copy"):
        query(first, "SELECT * FROM poses")


def test_only_partitions_that_have_changed_are_fetched_again(tree, make):
    build_catalog(tree)
    with as_s3(tree) as store:
        local_catalog("s3://bucket")
        make.unit(tree, [make.frame(20)], "unit_9", dataset="third")
        build_catalog(tree)
        store.requests.clear()
        assert_same_people(PeopleIndex.open("s3://bucket"), PeopleIndex.open(tree))
        folders = {path.split("/")[1] for path, _ in store.requests if path.count("/") > 2 and "catalog/" in path}
        assert folders == {"third"}


def test_a_damaged_file_of_the_catalog_is_refused(tree):
    build_catalog(tree)
    path = next(tree.glob("catalog/*/*/*/index.npy"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with as_s3(tree), pytest.raises(ShardError, match=r"index.npy: its bytes are not what its checksum says"):
        local_catalog("s3://bucket")


def test_no_catalog_no_bucket_and_no_key_are_told_apart(tree, monkeypatch):
    with as_s3(tree):
        with pytest.raises(ShardError, match="there is no catalog of a converted tree here; run ehps catalog"):
            PeopleIndex.open("s3://bucket/empty")
        with pytest.raises(ShardError, match="there is no such bucket"):
            read_range("s3://nobody/file", 0, 4)
        with pytest.raises(ShardError, match=r"s3://bucket/file: is not there"):
            read_range("s3://bucket/file", 0, 4)


def test_a_store_that_refuses_says_so_at_once(catalog):
    with as_s3(catalog, fault=lambda _: 403) as store:
        with pytest.raises(ShardError, match="the store refuses to let you read it"):
            read_range("s3://bucket/catalog.duckdb", 0, 4)
        assert len(store.requests) == 2  # plainly, and by the store's own client


def test_missing_credentials_are_named(catalog, monkeypatch, tmp_path):
    with as_s3(catalog):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("HOME", str(tmp_path))
        with pytest.raises(ShardError, match=r"no credentials for this store .*; set AWS_ACCESS_KEY_ID"):
            read_range("s3://bucket/catalog.duckdb", 0, 4)


def test_what_passes_is_asked_again(catalog):
    left = [503, "cut", 500, "cut"]
    with as_s3(catalog, fault=lambda _: left.pop() if left else None):
        found = read_range("s3://bucket/catalog.duckdb", 10, 90)
    assert found == (catalog / "catalog.duckdb").read_bytes()[10:90]
    assert not left


def test_what_does_not_pass_is_said_in_a_sentence(catalog, monkeypatch):
    monkeypatch.setattr(remote, "RETRIES", 1)
    with as_s3(catalog, fault=lambda _: 503), pytest.raises(ShardError, match="cannot be read, tried 2 times"):
        read_range("s3://bucket/catalog.duckdb", 0, 4)


def test_a_short_answer_is_no_answer(in_memory):
    with pytest.raises(ShardError, match=r"the store gave 0 of the 5 bytes at 99999999"):
        read_range(f"{in_memory}/catalog.duckdb", 99_999_999, 100_000_004)


def test_damaged_bytes_and_changed_tars_are_told_apart(tree):
    build_catalog(tree)
    with as_s3(tree):
        index = PeopleIndex.open("s3://bucket")
        tar = tree / index.shards[0].path
        data = bytearray(tar.read_bytes())
        place = index._pieces[0].part.rows[0]
        data[int(place["json_offset"]) + 3] ^= 1
        tar.write_bytes(data)
        with pytest.raises(ShardError, match=r"s3://bucket/.*\.tar: the \d+ bytes at \d+ are damaged"):
            _ = index.load(0).frame.meta
        tar.write_bytes(data + b"more")
        with pytest.raises(ShardError, match=r"has \d+ bytes, the catalog says \d+: it has changed since"):
            _ = index.load(0).frame.meta
        tar.write_bytes(b"")
        with pytest.raises(ShardError, match=r"has 0 bytes, the catalog says \d+: it has changed since"):
            _ = index.load(1).frame.meta


def test_unknown_protocols_and_missing_packages_are_named(monkeypatch):
    with pytest.raises(ShardError, match="fsspec knows no such place"):
        read_range("nonsense://bucket/file", 0, 4)

    def missing(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    stores._opened.cache_clear()
    with pytest.raises(MissingExtraError, match=r"pip install 'ehps\[remote\]'"):
        read_range("s3://bucket/file", 0, 4)
    with pytest.raises(ShardError, match="fsspec cannot read gs here; install what it names"):
        read_range("gs://bucket/file", 0, 4)


def test_a_remote_tar_is_read_by_name_in_another_process():
    tar = pickle.loads(pickle.dumps(RemoteTar("s3://bucket/a.tar", 512)))
    assert (tar.path, tar.size) == ("s3://bucket/a.tar", 512)
