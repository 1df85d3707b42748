"""What a drive's audit chain says: one entry for every publication, hold and deed of an operator.

Entries outlive what they tell of and go to auditors, so they hold no personal data: no pixels, no positions, no times at which
somebody was somewhere, no names. `at` is when it was decided, which tells nothing of the capture.
"""

import hashlib
from operator import not_
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from panoveil.contracts.keys import Bucket
from panoveil.contracts.messages import Name, PanoramaBox, Sha256
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import CODE_VERSION, AnonymizeRecipe
from panoveil.contracts.review import Review


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class AuditedObject(_Frozen):
    """An object, and what is in it."""

    bucket: Bucket
    key: str
    sha256: Sha256


class Verification(_Frozen):
    """How the last look at what would be published ended: after how many rounds, and what was still found, if anything.

    No rounds: nobody looked, for the panorama was held before, and `findings` say why.
    """

    rounds: int = Field(ge=0)
    findings: str


class _Entry(_Frozen):
    version: Literal[1] = 1
    at: AwareDatetime
    drive_id: str = Field(description="survey/drive")


class _Decision(_Entry):
    capture_id: str
    inputs: tuple[AuditedObject, ...] = Field(min_length=1)
    recipe_id: str
    recipe: AnonymizeRecipe = Field(
        description="the models with name, version and SHA-256 of the weights, thresholds, obfuscator"
    )
    code: str = Field(default=CODE_VERSION, description="part of the recipe's id")
    verification: Verification


class Publication(_Decision):
    """A panorama was published; `regions` are what is obfuscated in it, margins included, in panorama degrees."""

    kind: Literal["publication"] = "publication"
    outputs: tuple[AuditedObject, ...] = Field(min_length=1)
    regions: tuple[PanoramaBox, ...]

    @property
    def identity(self) -> str:
        """The same for every delivery of the same outcome."""
        return f"{self.capture_id}/{self.recipe_id}/{self.kind}/{self.outputs[0].sha256}"


class Hold(_Decision):
    """A panorama was not published, and nothing may lie under the keys in `withdrawn`.

    `regions` are what was found in it and hidden by the last round, `left` what that round still found: what a person must look at.
    Entries from before `left` was told have both in `regions`.
    """

    kind: Literal["hold"] = "hold"
    withdrawn: tuple[str, ...]
    reason: Reason
    regions: tuple[PanoramaBox, ...]
    left: tuple[PanoramaBox, ...] = Field(default=(), exclude_if=not_)

    @property
    def identity(self) -> str:
        """The same for every delivery of the same outcome."""
        return f"{self.capture_id}/{self.recipe_id}/{self.kind}/{self.reason}"


class HoldDecision(_Entry):
    """A person looked at a panorama that the recipe `held` held, made of `inputs`: it stays held, or is looked at once more by `recipe_id`.

    `review` is what counts then besides the detectors' word, all that was decided before included.
    """

    kind: Literal["review"] = "review"
    action: Literal["release", "keep"]
    by: Name
    because: str = Field(min_length=1, max_length=500, description="goes to auditors: it names nobody and no place")
    capture_id: str
    held: str
    inputs: tuple[AuditedObject, ...] = Field(min_length=1)
    recipe_id: str | None = None
    review: Review | None = None

    @property
    def identity(self) -> str:
        """The same for every attempt to note this decision; who keeps it held once more for another reason decides anew."""
        why = "" if self.recipe_id else hashlib.sha256(f"{self.by}/{self.because}".encode()).hexdigest()[:16]
        return "/".join((self.kind, self.action, self.capture_id, self.held, self.recipe_id or why))


class OperatorAction(_Entry):
    """A person decided something: a takedown, a release, a replay.

    `by` is a role or a number that the operator's own register explains, never a person's name; `reference` is the number of the
    request that it answers.
    """

    kind: Literal["operator"] = "operator"
    action: Name
    by: Name
    capture_id: str | None = None
    recipe_id: str | None = None
    reference: Name | None = None
    outputs: tuple[AuditedObject, ...] = ()
    withdrawn: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """The same for every attempt to note this deed."""
        return "/".join((self.kind, self.action, self.by, self.capture_id or self.drive_id, self.at.isoformat()))


class QuarantineDecision(_Entry):
    """A person decided about something in quarantine. `because` goes to auditors, so it names nobody and no place."""

    kind: Literal["quarantine"] = "quarantine"
    action: Literal["drop"] = "drop"
    by: Name
    because: str = Field(min_length=1, max_length=500)
    capture_id: str
    entry_id: str
    service: Name
    reason: Name
    times: int = Field(ge=1, description="how often it had been put away by then")

    @property
    def identity(self) -> str:
        """The same for every attempt to note this decision."""
        return "/".join((self.kind, self.action, self.capture_id, self.entry_id, str(self.times)))


class Flip(_Entry):
    """Somebody decided that another publication of a capture is the current one.

    `recipe_id` made it, `instead_of` the one that was current. `place` is which change of the pointer this is to be: where several
    were decided for the same place, one came about, and the ledger knows which; the others have an entry for a later place, or gave up.
    """

    kind: Literal["flip"] = "flip"
    action: Literal["flip", "rollback"] = "flip"
    by: Name
    because: str = Field(min_length=1, max_length=500, description="goes to auditors: it names nobody and no place")
    capture_id: str
    recipe_id: str
    instead_of: str | None
    place: int = Field(ge=1)

    @property
    def identity(self) -> str:
        """The same for every attempt to come to this decision."""
        return "/".join((self.kind, self.capture_id, str(self.place), self.recipe_id))


class Archival(_Entry):
    """A capture's originals lie in the archive, and the store's checksum was right. `key_sha256` is that of the drive's wrapped data key."""

    kind: Literal["archival"] = "archival"
    capture_id: str
    inputs: tuple[AuditedObject, ...] = Field(min_length=1)
    archived: AuditedObject
    index_sha256: Sha256
    key_sha256: Sha256

    @property
    def identity(self) -> str:
        """The same for every delivery of the same content."""
        return f"{self.kind}/{self.capture_id}/{self.index_sha256}"


class Restoration(_Entry):
    """A person had a capture's originals brought back from the archive; `outputs` are where they lie again, bit-exact."""

    kind: Literal["restoration"] = "restoration"
    by: Name
    because: str = Field(min_length=1, max_length=500, description="goes to auditors: it names nobody and no place")
    capture_id: str
    archived: AuditedObject
    outputs: tuple[AuditedObject, ...] = Field(min_length=1)

    @property
    def identity(self) -> str:
        """The same for every attempt to note this deed."""
        return "/".join((self.kind, self.capture_id, self.archived.sha256[:16], self.at.isoformat()))


class Erasure(_Entry):
    """A capture, or a whole drive, was erased: decided (`begun`), and afterwards what was removed by then (`done`).

    `removed` counts objects by bucket. Nothing may lie under the keys in `withdrawn` any more. `key_sha256` is that of the drive's wrapped data
    key, where that was destroyed: what is archived of the drive cannot be read since.
    """

    kind: Literal["erasure"] = "erasure"
    step: Literal["begun", "done"]
    by: Name
    because: str = Field(min_length=1, max_length=500, description="goes to auditors: it names nobody and no place")
    capture_id: str | None = None
    removed: dict[Bucket, int] = {}
    withdrawn: tuple[str, ...] = ()
    key_sha256: Sha256 | None = None

    @property
    def identity(self) -> str:
        """The same for every attempt to note this deed."""
        return "/".join((self.kind, self.step, self.capture_id or self.drive_id, self.at.isoformat()))


class Expiry(_Entry):
    """A retention rule came due for a drive: noted before anything is removed. `keep` is the rule's term."""

    kind: Literal["expiry"] = "expiry"
    by: Name
    data_class: Literal["raw", "stitched", "published", "archive", "quarantine", "erased"]
    keep: str
    objects: int = Field(ge=1)
    size: int = Field(ge=0, description="bytes")
    withdrawn: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """The same for every attempt to note this deed."""
        return "/".join((self.kind, self.data_class, self.at.isoformat(), self.withdrawn[0] if self.withdrawn else ""))


Audited = Annotated[
    Publication | Hold | HoldDecision | OperatorAction | QuarantineDecision | Flip | Archival | Restoration | Erasure | Expiry,
    Field(discriminator="kind"),
]
