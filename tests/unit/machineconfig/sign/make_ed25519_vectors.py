#!/usr/bin/env python3
"""Writes ed25519_vectors.h: signatures that obey an equation of Ed25519, or nearly, and must not be
believed; for each scheme over its own bytes. Curve arithmetic as RFC 8032 section 6 has it, slow and
plain. Deterministic: run it again and nothing changes."""
import hashlib
import struct

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
PAYLOAD = b"kind: MachineConfig\n"
TYPE = b"application/vnd.basalt.machineconfig.v1+yaml"
WORD = b"basalt-machineconfig@v1"
SECRET = 0x1234567890ABCDEF1234567890ABCDEF1234567890ABCDEF1234567890ABCDE


def recover(y, sign):
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert (x * x - x2) % P == 0
    return P - x if x and (x & 1) != sign else x


def add(a, b):
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2
    return ((x1 * y2 + x2 * y1) * pow(1 + t, P - 2, P) % P,
            (y1 * y2 + x1 * x2) * pow(1 - t, P - 2, P) % P)


def mul(n, point):
    out = (0, 1)
    while n:
        if n & 1:
            out = add(out, point)
        point = add(point, point)
        n >>= 1
    return out


def enc(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


BASE = (recover(4 * pow(5, P - 2, P) % P, 0), 4 * pow(5, P - 2, P) % P)
# A point of order 8; its multiples are all points of small order.
Y8 = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
T8 = (recover(Y8, 0), Y8)
assert mul(8, T8) == (0, 1) != mul(4, T8)


def h(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % L


def ssh(s):
    return struct.pack(">I", len(s)) + s


def messages():
    blob = b"SSHSIG" + ssh(WORD) + ssh(b"") + ssh(b"sha512") + ssh(hashlib.sha512(PAYLOAD).digest())
    touched = hashlib.sha256(b"ssh:").digest() + b"\x01" + struct.pack(">I", 7)
    return {
        "kDsse": b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE, len(PAYLOAD), PAYLOAD),
        "kSsh": blob,
        "kSecurityKey": touched + hashlib.sha256(blob).digest(),
        "kMinisign": hashlib.blake2b(PAYLOAD).digest(),
    }


def le(n):
    return (n % 2**256).to_bytes(32, "little")


def sign(public, message, a, r, torsion=(0, 1)):
    R = enc(add(mul(r, BASE), torsion))
    return R + le((r + h(R, public, message) * a) % L)


def vectors(message):
    a = SECRET % L
    A = mul(a, BASE)
    pub = enc(A)
    r = h(b"nonce", message)
    good = sign(pub, message, a, r)
    s = int.from_bytes(good[32:], "little")
    yield "good", pub, good, True
    for n in range(1, 8):
        if s + n * L < 2**256:
            yield "S + %d L" % n, pub, good[:32] + le(s + n * L), False
    yield "the upper bit of S", pub, good[:63] + bytes([good[63] | 0x80]), False
    yield "S = 0", pub, good[:32] + le(0), False
    yield "S = L", pub, good[:32] + le(L), False
    yield "-S", pub, good[:32] + le(L - s), False
    yield "-R", pub, good[:31] + bytes([good[31] ^ 0x80]) + good[32:], False
    yield "R = A", pub, pub + good[32:], False
    # SB = R + kA holds for R = 0, and times 8 for every point of small order.
    for n in range(8):
        R = enc(mul(n, T8))
        yield "R of order dividing 8, number %d" % n, pub, R + le(h(R, pub, message) * a % L), False
    for name, y in ("R = 1 as p + 1", P + 1), ("R = 0 as p", P):
        for top in (0, 1):
            R = (y | top << 255).to_bytes(32, "little")
            yield "%s, sign %d" % (name, top), pub, R + le(h(R, pub, message) * a % L), False
    for n, order in ((1, 8), (2, 4), (4, 2)):
        torsion = mul(n, T8)
        yield "R of mixed order, %d" % order, pub, sign(pub, message, a, r, torsion), False
        # A of mixed order: holds times 8, and as it stands when k is a multiple of the order.
        mixed = enc(add(A, torsion))
        nonce = r
        while h(enc(mul(nonce, BASE)), mixed, message) % order == 0:
            nonce += 1
        yield "A of mixed order, %d" % order, mixed, sign(mixed, message, a, nonce), False
    # A of small order: S = r fits R = rB whatever the message says, when k is right.
    for n in range(8):
        weak = enc(mul(n, T8))
        nonce = r
        while h(enc(mul(nonce, BASE)), weak, message) % 8:
            nonce += 1
        R = enc(mul(nonce, BASE))
        yield "A of order dividing 8, number %d" % n, weak, R + le(nonce % L), False


def main():
    out = ["// Made by make_ed25519_vectors.py; not edited by hand.", "#pragma once", "",
           "namespace basalt::sign {", "",
           "enum class Under { kDsse, kSsh, kSecurityKey, kMinisign };",
           "struct Ed25519Vector {", "  Under scheme;", "  const char* name;", "  const char* key;",
           "  const char* signature;", "  const char* global;  // minisign: over signature and comment",
           "  bool good;", "};", "", "// clang-format off",
           "inline constexpr Ed25519Vector kEd25519Vectors[] = {"]
    for scheme, message in messages().items():
        for name, pub, sig, good in vectors(message):
            second = b""
            if scheme == "kMinisign":
                second = sign(enc(mul(SECRET % L, BASE)), sig + WORD, SECRET % L, h(b"global", sig))
            out.append('    {Under::%s, "%s",\n     "%s",\n     "%s", "%s", %s},' %
                       (scheme, name, pub.hex(), sig.hex(), second.hex(), str(good).lower()))
    out += ["};", "// clang-format on", "", "}  // namespace basalt::sign", ""]
    open("ed25519_vectors.h", "w").write("\n".join(out))


main()
