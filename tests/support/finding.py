"""Doctor's findings as tests read them."""

from collections.abc import Iterable

from jobs.doctor.finding import Finding


def codes(findings: Iterable[Finding]) -> list[str]:
    """`error broker.evicts`; every line says something, and every fault what to do."""
    seen = list(findings)
    for finding in seen:
        assert finding.says.endswith((".", "!")), finding
        # A system check may say it in its sentence.
        assert finding.do or finding.severity in ("fine", "info") or finding.subject == "settings", finding
        assert "\n" not in finding.says + finding.do, finding
    return [f"{finding.severity} {finding.code}" for finding in seen]


def only(findings: Iterable[Finding]) -> Finding:
    [finding] = findings
    return finding
