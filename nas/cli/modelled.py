"""The devices of `nas devices` that need nothing: this machine, and the paper's modelled phones."""

from __future__ import annotations

from typing import Any

from nas.cli.console import note, print_table, table

_PHONES_OWN = ("serial", "manufacturer", "android", "sdk", "build", "abis", "big_core_mask")
_MORE = ("battery_percent", "thermal_status", "usual", "structures", "median_error")
_DELEGATES = ("delegates", "missing_for", "default_delegate")


def blank_row() -> dict[str, Any]:
    """Return what `DeviceDocument` has beyond what every device tells, nothing of it known."""
    return dict.fromkeys((*_PHONES_OWN, *_MORE, *_DELEGATES))


def host_row() -> dict[str, Any]:
    """Return the row of this machine, as `DeviceDocument` has it."""
    from nas.system.environment import processor

    return blank_row() | {
        "device": "host",
        "kind": "host",
        "state": "ready",
        "model": "this machine",
        "chip": processor(),
        "accelerators": [],
        "source": "measured",
        "fit": None,
        "advice": "",
    }


def modelled_rows(with_errors: bool) -> list[dict[str, Any]]:
    """Return a row for each phone of the paper, as `DeviceDocument` has it.

    `with_errors` fits each model again without each of its networks, which takes a second.
    """
    from nas.devices.paper_phones.device import PREFIX
    from nas.devices.paper_phones.published import phones

    rows = []
    for phone in phones():
        row = blank_row() | {"device": f"{PREFIX}{phone.phone}", "kind": "paper"}
        row |= {"state": "ready", "model": phone.name, "chip": phone.chipset}
        row |= {"accelerators": list(phone.nnapi_runtimes), "source": "modelled"}
        row |= {"fit": None, "advice": ""}
        if with_errors:
            from nas.devices.paper_phones.latency_model import leave_one_out

            errors = leave_one_out(phone.phone)
            row |= {"structures": len(errors.rows), "median_error": errors.median_error("all")}
        rows.append(row)
    return rows


def show_host(row: dict[str, Any]) -> None:
    """Print this machine as a table."""
    columns = {"device": "left", "state": "left", "chip": "left"}
    print_table(table("", columns, [[row["device"], row["state"], row["chip"]]]))


def show_modelled(rows: list[dict[str, Any]]) -> None:
    """Print the paper's phones as a table, and what stands behind their figures."""
    columns = {"device": "left", "model": "left", "chip": "left", "NNAPI runtimes": "left"}
    cells = [[r["device"], r["model"], r["chip"], ", ".join(r["accelerators"])] for r in rows]
    if rows[0]["median_error"] is not None:
        columns |= {"fitted to": "right", "left-out error": "right"}
        for cell, row in zip(cells, rows, strict=True):
            cell += [f"{row['structures']} networks", f"{row['median_error']:.0%}"]
    print_table(table("The paper's phones, modelled (docs/modelled-phones.md)", columns, cells))
    note(
        "nothing is measured on these: the paper's own networks get its published figures, others "
        "what a model fitted to those says"
    )
