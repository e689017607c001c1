"""Judges what tdqs has found in our tools' definitions, which it prints as JSON. `scripts/hosts` runs it."""

import json
import sys

KNOWN = ("info", "no-output-schema", "runway_downloadOutput")
"""Its inline images would not reach a model beside structured content, which an output schema demands."""


def main() -> None:
    report = json.load(sys.stdin)
    findings = [
        finding
        for finding in report["findings"]
        if tuple(finding[key] for key in ("severity", "rule", "tool")) != KNOWN
    ]
    print(f"tdqs: {len(report['tools'])} tools, {len(findings)} findings")
    sys.exit("\n".join(finding["message"] for finding in findings) or None)


main()
