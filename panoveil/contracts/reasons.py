"""Every reason for which input is quarantined or an output held, each with what to do about it."""

from enum import StrEnum


class Reason(StrEnum):
    """Stable names; they are metric labels, table values and `--reason` arguments."""

    NOT_JSON = "not_json"
    UNKNOWN_MESSAGE = "unknown_message"
    UNKNOWN_KEY = "unknown_key"
    OBJECT_GONE = "object_gone"
    EMPTY_OBJECT = "empty_object"
    BAD_MANIFEST = "bad_manifest"
    UNKNOWN_RIG = "unknown_rig"
    FRAME_MISSING = "frame_missing"
    HASH_MISMATCH = "hash_mismatch"
    CORRUPT_FRAME = "corrupt_frame"
    UNSAFE_FRAME = "unsafe_frame"
    WRONG_FRAME_SIZE = "wrong_frame_size"
    TOO_LARGE = "too_large"
    IMPLAUSIBLE_POSE = "implausible_pose"
    CORRUPT_PANORAMA = "corrupt_panorama"
    HANDLER_FAILED = "handler_failed"
    NOT_VERIFIED = "not_verified"
    POOR_QUALITY = "poor_quality"
    RIG_DRIFTED = "rig_drifted"
    LENS_DIRTY = "lens_dirty"
    LENS_DEAD = "lens_dead"
    ERASED = "erased"
    KEY_GONE = "key_gone"
    NOT_RESTORED = "not_restored"
    CORRUPT_ARCHIVE = "corrupt_archive"


ADVICE: dict[Reason, str] = {
    Reason.NOT_JSON: "A record on the stream is no JSON: find out who else writes to it.",
    Reason.UNKNOWN_MESSAGE: "The message's type or version is newer than this service: deploy the newer service, then `panoveil quarantine redrive --reason unknown_message`.",
    Reason.UNKNOWN_KEY: "The object's key is not <survey>/<drive>/<capture>/<file>: it was not uploaded by the agent.",
    Reason.OBJECT_GONE: "The event names an object that is not in the bucket: upload it again.",
    Reason.EMPTY_OBJECT: "The object has zero bytes: upload the frame again from the car's disk.",
    Reason.BAD_MANIFEST: "capture.json does not follow the documented form: mend it and upload it again.",
    Reason.UNKNOWN_RIG: "Import the rig (`panoveil rig import FILE`), then `panoveil quarantine redrive --reason unknown_rig`.",
    Reason.FRAME_MISSING: "A lens never delivered: upload the frame, it is picked up by itself. If there is none: `panoveil quarantine drop --because TEXT CAPTURE`.",
    Reason.HASH_MISMATCH: "The frame differs from what the manifest promises: upload it again from the car's disk.",
    Reason.CORRUPT_FRAME: "The JPEG does not decode whole: upload it again from the car's disk.",
    Reason.UNSAFE_FRAME: "The JPEG is built as no camera builds one (what, the entry says): find out what wrote it. A trailer or metadata is cut off by `jpegtran -copy none`; then make its manifest anew and upload both again.",
    Reason.WRONG_FRAME_SIZE: "The frame's size is not the rig's: the wrong rig is named, or a lens changed.",
    Reason.TOO_LARGE: "The object is larger than anything of its kind is, so it was not read: find out who wrote it.",
    Reason.IMPLAUSIBLE_POSE: "Position or time are out of bounds: check the pose source.",
    Reason.CORRUPT_PANORAMA: "The stitched panorama in the sealed bucket is damaged: find out by whom, then stitch it anew (`panoveil replay --stage stitcher --capture CAPTURE`).",
    Reason.HANDLER_FAILED: "A bug: `panoveil quarantine show ENTRY` has the record and the traceback. Mend it, then `panoveil quarantine redrive --reason handler_failed`.",
    Reason.NOT_VERIFIED: "Something identifiable was still found after the last round: a person must look (`panoveil holds show CAPTURE`).",
    Reason.POOR_QUALITY: "The panorama falls short of the recipe's quality gate: look at the frames, and at the camera's focus and exposure.",
    Reason.RIG_DRIFTED: "A lens no longer looks where the rig says: mend the mount, or calibrate, import the new rig and announce the drive again.",
    Reason.LENS_DIRTY: "Something sticks to a lens or its dome: clean it before the next drive.",
    Reason.LENS_DEAD: "A lens shows nothing at all: take off its cover, or repair the camera.",
    Reason.ERASED: "It was erased, for good: nothing of it is worked on any more.",
    Reason.KEY_GONE: "The drive's key was destroyed, or never made: what is archived of the drive cannot be read by anyone.",
    Reason.NOT_RESTORED: "It lies in the archive and was not restored yet: `panoveil restore --capture CAPTURE`, then wait.",
    Reason.CORRUPT_ARCHIVE: "The archive object is not what was archived: find out by whom; the ledger has the SHA-256 of what it was.",
}
