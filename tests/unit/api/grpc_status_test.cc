#include "api/grpc_status.h"

#include <gtest/gtest.h>

#include "api/coded_status.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace basalt::api {
namespace {

TEST(GrpcStatus, CodeMessageReasonAndHintSurviveBothWays) {
  for (int code = 1; code <= 16; ++code) {
    absl::Status in = Coded(static_cast<absl::StatusCode>(code), "below-floor", "too old", "sign");
    absl::Status out = FromGrpc(ToGrpc(in));
    EXPECT_EQ(out, in) << code;
    EXPECT_EQ(Reason(out), "below-floor");
    EXPECT_EQ(Hint(out), "sign");
  }
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpc(grpc::Status::OK).ok());
}

TEST(GrpcStatus, ViolationsSurviveBothWays) {
  absl::Status in = Invalid({{.reason = "unknown-field",
                              .file = "n1.yaml",
                              .line = 12,
                              .column = 3,
                              .path = "k3s.tokn",
                              .message = "unknown field",
                              .hint = "did you mean `token`?"}});
  EXPECT_EQ(Violations(FromGrpc(ToGrpc(in))), Violations(in));
}

TEST(GrpcStatus, OtherLanguagesFindTheStandardMessages) {
  grpc::Status status = ToGrpc(Coded(absl::StatusCode::kPermissionDenied, "revoked-key", "m"));
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), 7);
  ASSERT_EQ(details.details_size(), 1);
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(details.details(0).UnpackTo(&info));
  EXPECT_EQ(info.reason(), "revoked-key");
  EXPECT_EQ(info.domain(), "basalt");
}

TEST(GrpcStatus, AThousandViolationsDoNotCostTheReason) {
  std::vector<Violation> many(1000, Violation{.reason = "unknown-field", .path = "a.b"});
  grpc::Status status = ToGrpc(Invalid(many));
  EXPECT_LT(status.error_details().size() + status.error_message().size(), 8u << 10);
  EXPECT_EQ(Reason(FromGrpc(status)), "invalid-config");
}

TEST(GrpcStatus, GarbageDetailsAreDropped) {
  grpc::Status status(grpc::StatusCode::INTERNAL, "m", "\xff\xff\xff garbage");
  absl::Status out = FromGrpc(status);
  EXPECT_EQ(out.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(Reason(out), "");
}

TEST(GrpcStatus, AReasonInTheTextBecomesAReason) {
  grpc::Status status(grpc::StatusCode::PERMISSION_DENIED,
                      WithReasonPrefix("needs-role", "needs admin"));
  absl::Status out = FromGrpc(status);
  EXPECT_EQ(Reason(out), "needs-role");
  EXPECT_EQ(out.message(), "needs admin");
  for (const char* text : {"[", "[]", "[] x", "[Needs] x", "[a]x", "x [a] y"}) {
    EXPECT_EQ(Reason(FromGrpc(grpc::Status(grpc::StatusCode::UNKNOWN, text))), "") << text;
  }
}

}  // namespace
}  // namespace basalt::api
