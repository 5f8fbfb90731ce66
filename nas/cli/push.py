"""`nas push` puts an exported model on the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.console import emit_json, err, note, out, table
from nas.cli.options import JsonOption

if TYPE_CHECKING:
    from nas.report.push import Upload


def push(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A model's folder, of `nas export`.")
    ],
    repo: Annotated[str, typer.Argument(metavar="USER/NAME", help="The repository on the Hub.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be sent; no network.")
    ] = False,
    public: Annotated[
        bool, typer.Option("--public", help="Everybody can see it; else only you can.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Put an exported model on the Hugging Face Hub, with its card."""
    from nas.report.push import planned_upload
    from nas.report.push import push as send

    upload = planned_upload(model, repo)
    if not json_:
        _show(upload, public)
    address = None
    if not dry_run:
        with err.status(f"sending {upload.bytes / 1e6:.1f} MB"):
            address = send(upload, private=not public)
    if json_:
        emit_json("push", _document(upload, public, address))
        return
    if address is not None:
        out.print(address, markup=False, highlight=False, soft_wrap=True)
        return
    for text in upload.obstacles:
        note(f"before it can be pushed: {text}")
    note("nothing was sent: this was a dry run")


def _document(upload: Upload, public: bool, address: str | None) -> dict[str, Any]:
    return {
        "repository": upload.repo,
        "title": upload.title,
        "public": public,
        "front_matter": upload.front_matter,
        "files": [{"name": name, "bytes": size} for name, size in upload.files],
        "obstacles": list(upload.obstacles),
        "address": address,
    }


def _show(upload: Upload, public: bool) -> None:
    """Print the files, and what the Hub will file the model under."""
    rows = [[name, f"{size:,}"] for name, size in upload.files]
    err.print(table("", {"file": "left", "bytes": "right"}, rows))
    front = upload.front_matter
    licence = front.get("license_name") or front.get("license")
    seen = "public" if public else "private"
    note(upload.title)
    note(
        f"{upload.repo}, {seen}: {len(upload.files)} files, {upload.bytes / 1e6:.1f} MB; "
        f"{front.get('pipeline_tag')}, licence {licence}, tags {', '.join(front.get('tags', ()))}"
    )
