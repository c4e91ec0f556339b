"""What servers make of a job is no difference; what somebody changed is one."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.jobs.config import (
    empty_properties,
    find_differences,
    format_config,
    hide_secrets,
    merge_configs,
    read_config,
    select_asserted,
    simplify,
    unfold_properties,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.xmltext import Element
from hypothesis import given
from hypothesis import strategies as st


def parse(text: str) -> Element:
    return read_config(text, attempt="read the job", on="x", do_next="Correct it.")


def differences(asserted: str, actual: str) -> list[str]:
    wanted = parse(asserted)
    found = unfold_properties(parse(actual))
    return list(find_differences(simplify(wanted), simplify(select_asserted(wanted, found))))


@pytest.mark.parametrize(
    ("asserted", "actual"),
    [
        ("<p><a>1</a><b>2</b></p>", "<p>\n  <b>2</b>\n  <a> 1 </a>\n</p>"),
        ("<p><a>1</a></p>", '<?xml version="1.1" encoding="UTF-8"?><p plugin="x@1"><a plugin="y@2">1</a><c/></p>'),
        ("<p><builders><s><c>x\ny</c></s></builders></p>", "<p><builders><s><c>x&#13;\ny</c></s></builders></p>"),
        ("<p><builders><s><c>x</c></s></builders></p>", "<p><builders><s><d>false</d><c>x</c></s></builders></p>"),
        ("<p><publishers/></p>", "<p><publishers><mail><to>x</to></mail></publishers></p>"),
        ("<p><disabled>false</disabled><e/><f><g>false</g></f><builders/></p>", "<p/>"),
        ('<p><triggers class="vector"/></p>', "<p><triggers/></p>"),
        ('<p><scm class="none"/></p>', '<p><scm class="none" plugin="git@1"/></p>'),
        ("<p><l><v>1</v></l></p>", '<p><x><v>1</v></x><l><v reference="../../x/v"/></l></p>'),
        ("<p><l><v>2</v></l></p>", '<p><x><v>1</v><v>2</v></x><l><v reference="/p/x/v[2]"/></l></p>'),
    ],
)  # fmt: skip
def test_what_a_server_writes_otherwise_is_no_difference(asserted: str, actual: str) -> None:
    assert differences(asserted, actual) == []


@pytest.mark.parametrize(
    ("asserted", "actual", "paths"),
    [
        ("<p><a>1</a></p>", "<p><a>2</a></p>", ["/p/a"]),
        ("<p><a>1</a></p>", "<p/>", ["/p/a"]),
        ("<p><a/></p>", "<p><a>text</a></p>", ["/p/a"]),
        ("<p><disabled>false</disabled></p>", "<p><disabled>true</disabled></p>", ["/p/disabled"]),
        ('<p><scm class="a"/></p>', '<p><scm class="b"/></p>', ["/p/scm"]),
        ("<p><builders/></p>", "<p><builders><s/></builders></p>", ["/p/builders"]),
        ("<p><builders><s>1</s></builders></p>", "<p><builders><s>1</s><s>2</s></builders></p>", ["/p/builders"]),
        ("<p><builders><s>1</s><t/></builders></p>", "<p><builders><t/><s>1</s></builders></p>", ["/p/builders"]),
        ("<p><x><s>1</s><s>2</s></x></p>", "<p><x><s>2</s><s>1</s></x></p>", ["/p/x/s", "/p/x/s"]),
        ("<p><publishers><m><to>a</to></m></publishers></p>", "<p><publishers/></p>", ["/p/publishers/m"]),
    ],
)
def test_what_somebody_changed_is_a_difference_with_its_path(asserted: str, actual: str, paths: list[str]) -> None:
    assert differences(asserted, actual) == paths


FOLDED = """<project>
  <project-properties class="concurrent-hash-map">
    <entry><string>builders</string><describable-list-property>
      <originalValue class="hudson.util.DescribableList"><shell><command>x</command></shell></originalValue>
      </describable-list-property></entry>
    <entry><string>a-Mailer</string><external-property><originalValue class="a.Mailer"><to>x</to></originalValue>
      </external-property></entry>
    <entry><string>a-Wrap</string><external-property><originalValue class="a.Wrap"/></external-property></entry>
    <entry><string>a-Timer</string><trigger-property><originalValue class="a.Timer"><spec>1</spec></originalValue>
      </trigger-property></entry>
    <entry><string>appointedNode</string><base-property>
      <originalValue class="appointed-node-property"><nodeName>master</nodeName></originalValue></base-property></entry>
    <entry><string>quietPeriod</string><integer-property><originalValue class="int">7</originalValue>
      </integer-property></entry>
    <entry><string>parametersDefinitionProperties</string><copy-write-list-property>
      <originalValue class="x"><P><parameterDefinitions><S><name>A</name></S></parameterDefinitions></P></originalValue>
      </copy-write-list-property></entry>
    <entry><string>broken</string></entry>
  </project-properties>
  <properties/>
</project>"""


def test_the_map_of_hudson_3_is_read_as_what_other_servers_write() -> None:
    job = unfold_properties(parse(FOLDED), wrappers={"a.Wrap"})
    assert format_config(simplify(job)) == format_config(
        simplify(
            parse(
                """<project>
  <properties><P><parameterDefinitions><S><name>A</name></S></parameterDefinitions></P></properties>
  <builders><shell><command>x</command></shell></builders><publishers><a.Mailer><to>x</to></a.Mailer></publishers>
  <buildWrappers><a.Wrap/></buildWrappers><triggers><a.Timer><spec>1</spec></a.Timer></triggers>
  <assignedNode>master</assignedNode><quietPeriod>7</quietPeriod></project>"""
            )
        )
    )
    assert empty_properties(job).children[0].attributes == {"class": "concurrent-hash-map"}


def test_what_is_not_asserted_stays_when_a_job_is_changed() -> None:
    under = parse("<p><a>1</a><builders><s>1</s><s>2</s></builders><publishers><m/></publishers><z>9</z></p>")
    over = parse("<p><a>2</a><builders><s>3</s></builders><publishers/><new><x>1</x></new></p>")
    assert format_config(simplify(merge_configs(under, over))) == format_config(
        simplify(
            parse(
                "<p><a>2</a><builders><s>3</s></builders><publishers><m/></publishers><z>9</z><new><x>1</x></new></p>"
            )
        )
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<p><a></p>", "it is not XML: line 1: mismatched tag"),
        ("", "it is not XML: line 1: no element found"),
        ("<html><body>Oops</html>", "it is not XML"),
        ('<!DOCTYPE p [<!ENTITY a "b">]><p>&a;</p>', "declares a document type or entities"),
        ("<a>" * 100 + "</a>" * 100, "nested more than 64 levels deep"),
        ("<p>" + "<a/>" * 30000 + "</p>", "more than 20000 elements"),
        ("<p>" + "x" * (2 << 20) + "</p>", "larger than 1 MiB"),
        ("<p>\ud800</p>", "surrogates not allowed"),
    ],
)
def test_what_is_no_job_is_refused_in_a_sentence(text: str, message: str) -> None:
    with pytest.raises(SlipwayError, match="Could not read the job x: ") as caught:
        parse(text)
    assert message in str(caught.value)
    assert str(caught.value).endswith("Correct it.")


@pytest.mark.parametrize(
    "path", ["../../p", "..", "../../../../..", "/p", "nowhere", "../b", "../a[9]", "../a[x]", "."]
)
def test_references_that_lead_nowhere_or_in_circles_end(path: str) -> None:
    parse(f'<p><a reference="{path}"/><b reference="../a"/></p>')


def test_references_that_multiply_are_refused() -> None:
    rows = "".join(f'<r{n}><i reference="../../r{n - 1}"/><j reference="../../r{n - 1}"/></r{n}>' for n in range(1, 30))
    with pytest.raises(SlipwayError, match="with those that it refers to"):
        parse(f"<p><r0>x</r0>{rows}</p>")


def test_secrets_are_hidden_and_it_is_said_which_differ() -> None:
    before = parse(
        "<p><authToken>one</authToken><m><smtpPassword>same</smtpPassword></m><Password><v>x</v></Password></p>"
    )
    after = parse("<p><authToken>two</authToken><m><smtpPassword>same</smtpPassword></m></p>")
    assert format_config(hide_secrets(before, after)).splitlines()[2:] == [
        "  <authToken>(hidden, another one)</authToken>",
        "  <m>",
        "    <smtpPassword>(hidden)</smtpPassword>",
        "  </m>",
        "  <Password>",
        "    <v>(hidden, another one)</v>",
        "  </Password>",
        "</p>",
    ]


TEXTS = st.text(
    st.characters(
        exclude_categories=["Cs"],
        exclude_characters=[chr(n) for n in range(32) if n not in (9, 10, 13)] + ["\ufffe", "\uffff"],
    )
)


@given(TEXTS, TEXTS)
def test_whatever_is_in_a_job_is_read_as_it_was_written(text: str, value: str) -> None:
    written = format_config(Element("p", {"a": value}, 1, [Element("b", {}, 1, [text])]))
    found = ElementTree.fromstring(written.encode())  # noqa: S314
    assert (found.find("b").text or "", found.get("a")) == (text, value)  # type: ignore[union-attr]
    assert list(find_differences(parse(written), parse(written))) == []
