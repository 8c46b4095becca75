#!/usr/bin/env python3
"""A gRPC client that nobody here wrote asks a node who it is.

python3-grpcio is an independent implementation of the caller: it proves that the wire, the TLS settings
and the error details are the standard's and not only our own client's.

foreign_client.py HOST:PORT FINGERPRINT MESSAGES_DIR   (MESSAGES_DIR: where protoc --python_out wrote)
"""
import hashlib
import ssl
import sys

import grpc

endpoint, fingerprint, messages = sys.argv[1:4]
sys.path.insert(0, messages)
from basalt.v1 import node_service_pb2  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402


def check(condition, what):
    if not condition:
        print("FAILED:", what)
        sys.exit(1)
    print("ok:", what)


host, port = endpoint.rsplit(":", 1)
pem = ssl.get_server_certificate((host.strip("[]"), int(port)))
# The Ed25519 SPKI is the 44 bytes that begin with this header; the pin is their sha256.
der = ssl.PEM_cert_to_DER_cert(pem)
at = der.find(bytes.fromhex("302a300506032b6570032100"))
check(at > 0, "the certificate carries an Ed25519 key")
check(hashlib.sha256(der[at:at + 44]).hexdigest() == fingerprint, "the key is the one that was pinned")

channel = grpc.secure_channel(
    endpoint, grpc.ssl_channel_credentials(pem.encode()),
    options=[("grpc.ssl_target_name_override", fingerprint), ("grpc.enable_http_proxy", 0)])


def method(name, request, reply):
    return channel.unary_unary("/basalt.v1.NodeService/" + name, request_serializer=request.SerializeToString,
                               response_deserializer=reply.FromString)


hello = method("Hello", node_service_pb2.HelloRequest, node_service_pb2.HelloReply)(
    node_service_pb2.HelloRequest(client_version="python"), timeout=10)
check(hello.machine_id == fingerprint, "Hello names the machine")
check(hello.platform == "sandbox", "Hello names the platform")

try:
    method("History", node_service_pb2.HistoryRequest, node_service_pb2.HistoryReply)(
        node_service_pb2.HistoryRequest(), timeout=10)
    check(False, "History without a certificate is refused")
except grpc.RpcError as error:
    check(error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED),
          "History without a certificate is refused: %s" % error.code().name)

try:
    method("Apply", node_service_pb2.ApplyRequest, node_service_pb2.ApplyEvent)
    stream = channel.unary_stream("/basalt.v1.NodeService/Apply",
                                  request_serializer=node_service_pb2.ApplyRequest.SerializeToString,
                                  response_deserializer=node_service_pb2.ApplyEvent.FromString)
    request = node_service_pb2.ApplyRequest()
    request.document.type = 1
    request.document.payload = b"kind: MachineConfig\n"
    list(stream(request, timeout=10))
    check(False, "an unsigned document is refused")
except grpc.RpcError as error:
    details = [value for key, value in error.trailing_metadata() if key == "grpc-status-details-bin"]
    check(details, "the refusal carries error details")
    status = status_pb2.Status.FromString(details[0])
    infos = [any_message for any_message in status.details if any_message.type_url.endswith("google.rpc.ErrorInfo")]
    info = error_details_pb2.ErrorInfo.FromString(infos[0].value)
    check(info.domain == "basalt" and info.reason, "with a stable code: %s" % info.reason)
print("1 passed, 0 failed")
