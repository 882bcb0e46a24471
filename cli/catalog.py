"""``ehps catalog``: rebuild the DuckDB catalog from the shards' sidecars."""

from .options import CatalogOption
from .output import note


def rebuild_catalog(catalog: CatalogOption) -> None:
    """Rebuild the catalog of a folder of converted data; it can be thrown away at any time.

    Example: ehps catalog --catalog DATA
    """
    from ..shards.catalog import build_catalog

    note(f"wrote {build_catalog(catalog)}")
