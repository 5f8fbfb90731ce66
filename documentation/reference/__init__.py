"""The reference: pages that are written by the code that they are about."""

from collections.abc import Callable

from documentation.reference import (
    commands,
    documents,
    failures,
    figures,
    files,
    python_api,
    study_fields,
)

# Each page's text by its address below docs/.
PAGES: dict[str, Callable[[], str]] = {
    "reference/commands.md": commands.page,
    "reference/study.md": study_fields.page,
    "reference/figures.md": figures.page,
    "reference/json.md": documents.page,
    "reference/files.md": files.page,
    "reference/failures.md": failures.page,
    "reference/python.md": python_api.page,
}
