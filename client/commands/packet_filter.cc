#include "client/commands/packet_filter.h"

#include <dlfcn.h>

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"

namespace basalt::client {
namespace {

constexpr char kLibrary[] = "libpcap.so.0.8";
constexpr uint32_t kNetmaskUnknown = 0xFFFFFFFF;
constexpr int kSnapLength = 262144;

// As pcap/bpf.h has them: the library's interface since its first release.
struct BpfInsn {
  uint16_t code;
  uint8_t jt, jf;
  uint32_t k;
};
struct BpfProgram {
  unsigned int length;
  BpfInsn* instructions;
};

// The kinds of links of a node: LINKTYPE_, and what this library calls it (DLT_).
struct Kind {
  int link_type;
  int dlt;
};
constexpr Kind kKinds[] = {{1, 1}, {101, 12}};

class Pcap {
 public:
  ~Pcap() {
    if (library_ != nullptr) dlclose(library_);
  }
  bool Load() {
    library_ = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    return library_ != nullptr && Find(&open, "pcap_open_dead") && Find(&close, "pcap_close") &&
           Find(&compile, "pcap_compile") && Find(&free, "pcap_freecode") &&
           Find(&error, "pcap_geterr");
  }
  void* (*open)(int, int) = nullptr;
  void (*close)(void*) = nullptr;
  int (*compile)(void*, BpfProgram*, const char*, int, uint32_t) = nullptr;
  void (*free)(BpfProgram*) = nullptr;
  char* (*error)(void*) = nullptr;

 private:
  template <typename Fn>
  bool Find(Fn* fn, const char* name) {
    *fn = reinterpret_cast<Fn>(dlsym(library_, name));
    return *fn != nullptr;
  }
  void* library_ = nullptr;
};

}  // namespace

absl::StatusOr<google::protobuf::RepeatedPtrField<v1::CaptureFilter>> CompileFilter(
    const std::string& expression, int snap_length) {
  Pcap pcap;
  if (!pcap.Load()) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "no-libpcap",
                      absl::StrCat("--filter is compiled by ", kLibrary, ", which is not here"),
                      "install libpcap0.8, or capture without a filter and filter the file");
  }
  google::protobuf::RepeatedPtrField<v1::CaptureFilter> out;
  std::string first_error;
  for (const Kind& kind : kKinds) {
    void* handle = pcap.open(kind.dlt, snap_length > 0 ? snap_length : kSnapLength);
    if (handle == nullptr) continue;
    BpfProgram program = {};
    if (pcap.compile(handle, &program, expression.c_str(), 1, kNetmaskUnknown) == 0) {
      v1::CaptureFilter& filter = *out.Add();
      filter.set_link_type(kind.link_type);
      for (unsigned int i = 0; i < program.length; ++i) {
        const BpfInsn& from = program.instructions[i];
        v1::BpfInstruction& to = *filter.add_instructions();
        to.set_code(from.code);
        to.set_jump_true(from.jt);
        to.set_jump_false(from.jf);
        to.set_k(from.k);
      }
      pcap.free(&program);
    } else if (first_error.empty()) {
      // "ether host" makes no sense without Ethernet: only where no kind takes it is it wrong.
      first_error = pcap.error(handle);
    }
    pcap.close(handle);
  }
  if (!out.empty()) return out;
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-filter",
                    absl::StrCat("--filter `", expression, "`: ", first_error),
                    "`man pcap-filter` has the language");
}

}  // namespace basalt::client
