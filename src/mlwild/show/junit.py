"""The verdicts of the gate as JUnit XML, for whatever reads the tests of a program."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, tostring

from mlwild.gate.outcome import RED
from mlwild.gating import GateReport
from mlwild.show.gate import word_of


def junit_xml(report: GateReport) -> str:
    """
    Return a JUnit test suite: red tests are failures, waived and underpowered ones are skipped.

    Returns
    -------
    str
    """
    words = [word_of(verdict) for verdict in report.verdicts]
    suite = Element(
        "testsuite",
        name=f"mlwild gate {report.app}",
        tests=str(len(words)),
        failures=str(words.count("fail")),
        errors=str(words.count("error")),
        skipped=str(words.count("waived") + words.count("underpowered")),
        time=f"{sum(verdict.seconds for verdict in report.verdicts):.3f}",
    )
    for verdict, word in zip(report.verdicts, words, strict=True):
        case = SubElement(
            suite,
            "testcase",
            classname=f"{report.app}.{verdict.family}",
            name=verdict.test,
            time=f"{verdict.seconds:.3f}",
        )
        said = _legal(verdict.outcome.said)
        if word in RED:
            SubElement(case, "failure" if word == "fail" else "error", message=said)
        elif word != "pass":
            waived = verdict.waived
            by = f" (waived by {waived.by} until {waived.until}: {waived.why})" if waived is not None else ""
            SubElement(case, "skipped", message=f"{word}: {said}{_legal(by)}")
        else:
            SubElement(case, "system-out").text = said
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(suite, encoding="unicode") + "\n"


def _legal(text: str) -> str:
    """Return a text without characters that XML cannot hold."""
    return "".join(sign for sign in text if sign in "\t\n" or _is_char(ord(sign)))


def _is_char(code: int) -> bool:
    """Say whether XML 1.0 has a sign."""
    return 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000
