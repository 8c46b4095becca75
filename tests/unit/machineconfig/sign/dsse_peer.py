#!/usr/bin/python3
"""DSSE by somebody else's hands: keys and signatures of securesystemslib, the encoding written here
from the specification (its release in Debian 12 has no envelope of its own).

  dsse_peer.py verify ENVELOPE PUBLIC...      every signature by one of the keys, each key used
  dsse_peer.py sign TYPE PAYLOAD ENVELOPE DIR new keys, an Ed25519 and an ECDSA one, both sign

PUBLIC is `ed25519:HEX` or a PEM file. Exit code 77: not installed."""
import base64
import json
import sys

try:
    from securesystemslib import keys
    keys.generate_ed25519_key()
except Exception as error:  # without nacl it says so only when it is used
    print("no securesystemslib with ed25519:", error)
    sys.exit(77)


def pae(payload_type, payload):
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def public(text):
    if text.startswith("ed25519:"):
        return {"keytype": "ed25519", "scheme": "ed25519", "keyid": "aa", "keyval": {"public": text[8:], "private": ""}}
    return keys.import_ecdsakey_from_public_pem(open(text).read())


def verify(envelope, publics):
    data = json.load(open(envelope))
    message = pae(data["payloadType"], base64.b64decode(data["payload"], validate=True))
    unused = [public(text) for text in publics]
    for signature in data["signatures"]:
        sig = base64.b64decode(signature["sig"], validate=True).hex()
        for key in list(unused):
            try:
                good = keys.verify_signature(key, {"keyid": key["keyid"], "sig": sig}, message)
            except Exception:
                good = False
            if good:
                unused.remove(key)
                break
        else:
            sys.exit("a signature of none of the keys")
    if unused:
        sys.exit("%d keys did not sign" % len(unused))


def sign(payload_type, payload, envelope, directory):
    payload = open(payload, "rb").read()
    message = pae(payload_type, payload)
    ed, ec = keys.generate_ed25519_key(), keys.generate_ecdsa_key()
    signatures = []
    for key in (ed, ec):
        made = keys.create_signature(key, message)
        # Its key ids are its own; DSSE lets a signer leave them out.
        signatures.append({"sig": base64.b64encode(bytes.fromhex(made["sig"])).decode()})
    json.dump({"payload": base64.b64encode(payload).decode(), "payloadType": payload_type, "signatures": signatures},
              open(envelope, "w"))
    open(directory + "/ed.hex", "w").write(ed["keyval"]["public"])
    open(directory + "/ec.pem", "w").write(ec["keyval"]["public"])


if sys.argv[1] == "verify":
    verify(sys.argv[2], sys.argv[3:])
else:
    sign(*sys.argv[2:6])
