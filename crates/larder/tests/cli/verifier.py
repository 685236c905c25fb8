"""Checks an envelope with in-toto's and securesystemslib's own code: verifier.py ENVELOPE KEY.pem SHA256-OF-RECORD."""

import hashlib
import json
import sys

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from in_toto.models.metadata import Metadata
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

envelope_file, key_file, record = sys.argv[1:]
with open(key_file, "rb") as file:
    key = SSlibKey.from_crypto(load_pem_public_key(file.read()))
with open(envelope_file, encoding="utf-8") as file:
    text = json.load(file)

# The key's name is the one that they give it, and one signature of it is enough.
envelope = Envelope.from_dict(json.loads(json.dumps(text)))
assert list(envelope.signatures) == [key.keyid], "the signature is called after the key"
assert list(envelope.verify([key], 1)) == [key.keyid]
Metadata.load(envelope_file).verify_signature({"keyid": key.keyid, **key.to_dict()})

statement = json.loads(envelope.payload)
assert envelope.payload_type == "application/vnd.in-toto+json"
assert statement["_type"] == "https://in-toto.io/Statement/v1"
assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
with open(record, "rb") as file:
    assert statement["subject"][0]["digest"]["sha256"] == hashlib.sha256(file.read()).hexdigest()


def refused(changed):
    try:
        Envelope.from_dict(changed).verify([key], 1)
    except VerificationError:
        return True
    return False


# What is altered is refused: the payload, the signature, and what the payload is said to be.
for member, value in [
    ("payload", text["payload"][:-8] + "AAAA" + text["payload"][-4:]),
    ("payloadType", "application/json"),
    ("signatures", [{"keyid": key.keyid, "sig": "A" * 86 + "=="}]),
]:
    assert refused(json.loads(json.dumps({**text, member: value}))), member
print("accepted, and refused when altered")
