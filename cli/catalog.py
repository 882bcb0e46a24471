"""``ehps catalog``: bring the catalog up to date with the shards."""

from typing import Annotated

import typer

from .options import CatalogOption
from .output import note


def rebuild_catalog(
    catalog: CatalogOption,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Make a new reference for the rarity of poses, and all parts with it.")
    ] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make all parts anew, also those that seem sound.")
    ] = False,
) -> None:
    """Bring the catalog of a folder of converted data up to date; it can be thrown away at any time.

    Only the sources and splits whose shards have changed are read.

    Example: ehps catalog --catalog DATA
    """
    from ..shards.catalog import build_catalog

    note(f"wrote {build_catalog(catalog, refresh=refresh, rebuild=rebuild)}")
