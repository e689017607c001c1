"""What a run of the conformance suite comes to: every check of every scenario, scored by the suite or not.

The suite's own exit code passes over scenarios that it does not score, the extension's among them.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

PASSED = {"SUCCESS", "INFO", "SKIPPED"}


def main() -> int:
    """Print one line, and each check that did not pass; return 1 where one had to."""
    parser = argparse.ArgumentParser(description="Judge a run of the conformance suite.")
    parser.add_argument("results", type=Path, help="the folder that the suite has written")
    parser.add_argument("--scenarios", type=int, required=True, help="how many scenarios must have run")
    parser.add_argument("--without-fixture-tools", action="store_true", help="the server has none of the suite's tools")
    options = parser.parse_args()
    ran: Path = options.results
    count: Counter[str] = Counter()
    lines: list[str] = []
    scenarios = sorted(ran.glob("*/checks.json"))
    for path in scenarios:
        for check in json.loads(path.read_text("utf-8")):
            details: dict[str, Any] = check.get("details") or {}
            passed = check["status"] in PASSED
            # the suite says so where it could not check for want of a tool of its own, or it only warns
            unchecked = check["status"] == "WARNING" or details.get("untestable") is True
            excused = not passed and options.without_fixture_tools and unchecked
            count["not applicable" if excused else check["status"].lower()] += 1
            if not passed:
                kind = "not applicable" if excused else check["status"]
                lines.append(f"  {kind}: {check['id']}: {check.get('errorMessage')}")
    failed = count["failure"] + count["warning"]
    complete = len(scenarios) == options.scenarios
    figures = ", ".join(f"{number} {status}" for status, number in sorted(count.items()))
    verdict = "passed" if complete and not failed else "FAILED"
    lines.insert(0, f"conformance {ran.name}: {verdict}: {len(scenarios)} of {options.scenarios} scenarios; {figures}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if verdict == "passed" else 1


if __name__ == "__main__":
    sys.exit(main())
