# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the extra files of a release, each once and whole, with the same bytes in every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import SlipwayError, count_of, refuse
from ..release.artifact import Artifact
from ..release.making import Making, open_making, refuse_failed
from .bills import TYPE as BILL
from .bills import write_bills
from .site import Site, Wanted
from .writers import WRITERS

CHANGED = "Find out who changed them; remove them to make them again from the same systems."


def make_files(
    extras: Sequence[Wanted],
    site: Site,
    *,
    previous: Mapping[str, Artifact],
    write: bool = True,
) -> tuple[dict[str, Artifact], list[str]]:
    """Ensure the extra files beside the deployments; return the files, and the names of those made now.

    ``previous`` are the files of an earlier run by their names.
    """
    unknown = [
        f"{each.name}: there is no type {each.type!r}, known are {', '.join(WRITERS)}"
        for each in extras
        if each.type not in (*WRITERS, BILL)
    ]
    refuse("make", "the extra files", unknown, do_next="Correct the policy and run again. Nothing was made.")
    errors = []
    names = [each.file for each in extras]
    with open_making(site.release.images, names, previous, do_next=CHANGED, write=write) as making:
        missing = [each for each in extras if write and each.file in making.todo]
        site.progress.total += len(missing)
        errors += _make_bills([each for each in missing if each.type == BILL], site, making)
        for each in missing:
            if each.type == BILL:
                continue
            site.progress.report(f"making {each.file}")
            try:
                _make_file(each, site, making)
            except SlipwayError as error:
                errors.append(error)
            else:
                site.progress.step(f"{each.file} is made")
    refuse_failed("make", "extra files", errors)
    return making.present, making.todo


def _make_bills(bills: Sequence[Wanted], site: Site, making: Making) -> list[SlipwayError]:
    """All bills at the same time: starting what makes them takes as long as ten of them."""
    if not bills:
        return []
    site.progress.report(f"making {count_of(len(bills), 'bill')} of materials")
    with making.open_work() as work:
        made, errors = write_bills(bills, site, work)
        for path in made:
            try:
                making.put(path)
            except SlipwayError as error:
                errors.append(error)
            else:
                site.progress.step(f"{path.name} is made")
    return errors


def _make_file(wanted: Wanted, site: Site, making: Making) -> None:
    with making.open_work() as work:
        target = work / wanted.file
        try:
            WRITERS[wanted.type](wanted, site, target)
            making.put(target)
        except OSError as error:
            do_next = "Check that the disk is not full, and run again."
            raise SlipwayError("make", wanted.file, str(error), do_next=do_next) from error


def read_tools(extras: Sequence[Wanted], site: Site) -> dict[str, str]:
    """The versions of the programs whose words are in these files."""
    judged = any(
        each.type == "licence-manifest" or each.settings.get("format") == "csv" or each.settings.get("licences")
        for each in extras
    )
    return {**({"licensecheck": site.tool} if judged else {}), **site.bill_tools}
