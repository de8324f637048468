"""Which release this code is part of; read once, since deployed code never changes."""

import json
from pathlib import Path


def _read() -> str:
    try:
        return str(json.loads((Path(__file__).resolve().parents[1] / "RELEASE").read_text())["id"])
    except FileNotFoundError:
        return "not deployed"


RELEASE = _read()
