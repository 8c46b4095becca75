#include "client/commands/sign_set.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "client/commands/signers.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "machineconfig/sign/config_set.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/minisign.h"
#include "machineconfig/sign/sshsig.h"
#include "machineconfig/validate/validate.h"

namespace basalt::client {
namespace {

constexpr absl::string_view kSetFile = "set.yaml";

absl::Status Usage(absl::string_view reason, const std::string& what, absl::string_view hint) {
  return api::Coded(absl::StatusCode::kInvalidArgument, reason, what, hint);
}

// At the margin: below it the words may stand in somebody's manifest.
bool IsConfigSet(const Input& input) {
  return !input.is_envelope && (absl::StartsWith(input.text, "kind: ConfigSet\n") ||
                                absl::StrContains(input.text, "\nkind: ConfigSet\n"));
}

bool IsPartOfSet(const Input& input) {
  if (!input.is_envelope) return false;
  absl::StatusOr<v1::SignedDocument> envelope = sign::FromDsseJson(input.text);
  return envelope.ok() && envelope->has_set_proof();
}

bool NamesDirectory(const std::string& output) {
  return absl::EndsWith(output, "/") || (!output.empty() && IsDirectory(output));
}

std::string BaseName(absl::string_view path) {
  const size_t slash = path.rfind('/');
  return std::string(slash == absl::string_view::npos ? path : path.substr(slash + 1));
}

std::string Count(size_t n) { return absl::StrCat(n, n == 1 ? " file" : " files"); }

// What one signature will be over, and the files that it is for. `set` is a ConfigSet, or the one
// file itself when it is alone.
struct Batch {
  v1::SignedDocument set;
  std::vector<SetItem*> items;
  bool is_set = false;
};

class SetSigner {
 public:
  SetSigner(Session& session, const SignOptions& options) : session_(session), options_(options) {}

  absl::Status Run(std::vector<SetItem> items, const std::optional<Input>& set_file) {
    std::sort(items.begin(), items.end(), [](const SetItem& a, const SetItem& b) {
      return a.made.config.metadata().name() < b.made.config.metadata().name();
    });
    if (absl::Status s = RefuseTwins(items); !s.ok()) return s;
    std::vector<Batch> batches;
    if (items[0].signed_before) {
      batches = OfSigned(items);
    } else {
      absl::StatusOr<Batch> made = OfSources(items, set_file);
      if (!made.ok()) return made.status();
      batches.push_back(*std::move(made));
    }
    if ((options_.payload_only || !options_.attach.empty()) && batches.size() > 1) {
      return Usage("which-set",
                   absl::StrCat(options_.payload_only ? "--payload-only" : "--attach",
                                " is about one set, and these files are of ", batches.size()),
                   "name the files of one set");
    }
    if (options_.payload_only) return WritePayload(batches[0]);
    if (absl::Status s = RefuseOneTarget(items); !s.ok()) return s;
    for (Batch& batch : batches) {
      if (absl::Status s = Sign(batch); !s.ok()) return s;
    }
    // Everything is signed and verified before the first file is written.
    for (const Batch& batch : batches) {
      if (absl::Status s = Write(batch); !s.ok()) return s;
    }
    return absl::OkStatus();
  }

 private:
  static absl::Status RefuseTwins(const std::vector<SetItem>& items) {
    for (size_t i = 1; i < items.size(); ++i) {
      const std::string& name = items[i].made.config.metadata().name();
      if (items[i - 1].made.config.metadata().name() != name) continue;
      return AtNode(Usage("two-for-one-node",
                          absl::StrCat(items[i - 1].file, " and ", items[i].file,
                                       " are both for this node; nothing was signed"),
                          "the later would undo the earlier: leave one of them out"),
                    name);
    }
    return absl::OkStatus();
  }

  // Signed files keep their names, and two directories may have one each.
  absl::Status RefuseOneTarget(const std::vector<SetItem>& items) const {
    std::map<std::string, std::string> file_of;
    for (const SetItem& item : items) {
      const auto [first, is_new] = file_of.emplace(Target(item), item.file);
      if (is_new) continue;
      return Usage("two-for-one-file",
                   absl::StrCat(first->second, " and ", item.file, " would both be written to ",
                                first->first, "; nothing was signed"),
                   "sign them into directories of their own");
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Batch> OfSources(std::vector<SetItem>& items,
                                  const std::optional<Input>& set_file) {
    Batch out;
    for (SetItem& item : items) out.items.push_back(&item);
    if (items.size() == 1 && !set_file) {
      out.set = items[0].made.document;
      return out;
    }
    std::vector<absl::string_view> payloads;
    for (const SetItem& item : items) payloads.push_back(item.made.document.payload());
    sign::NewSet made = sign::MakeSet(items[0].made.config.metadata().cluster(), payloads);
    if (set_file) {
      if (absl::Status s = TakeBytesOf(*set_file, made); !s.ok()) return s;
    }
    for (size_t i = 0; i < items.size(); ++i) {
      *items[i].made.document.mutable_set_proof() = std::move(made.proofs[i]);
    }
    out.set = std::move(made.set);
    out.is_set = true;
    return out;
  }

  // Somebody signed these very bytes: they are kept, when they say what the files say.
  static absl::Status TakeBytesOf(const Input& file, sign::NewSet& made) {
    absl::StatusOr<v1::ConfigSet> theirs = validate::LoadConfigSet(file.text, file.file);
    if (!theirs.ok()) return theirs.status();
    absl::StatusOr<v1::ConfigSet> ours = validate::LoadConfigSet(made.set.payload(), "");
    if (!ours.ok()) return ours.status();
    if (theirs->SerializeAsString() != ours->SerializeAsString()) {
      return api::Coded(
          absl::StatusCode::kFailedPrecondition, "other-set",
          absl::StrCat(file.file, " is not the set of these files: it is of ", theirs->size(),
                       " in cluster ", theirs->cluster(), " with root ", theirs->root(),
                       ", they are ", ours->size(), " in cluster ", ours->cluster(), " with root ",
                       ours->root()),
          "the files must be there as --payload-only wrote them, all of them and no others; else "
          "begin with --payload-only again");
    }
    made.set.set_payload(file.text);
    for (v1::SetProof& proof : made.proofs) proof.set_set_payload(file.text);
    return absl::OkStatus();
  }

  static std::vector<Batch> OfSigned(std::vector<SetItem>& items) {
    std::map<std::string, Batch> sets;
    std::vector<Batch> out;
    for (SetItem& item : items) {
      const v1::SignedDocument& document = item.made.document;
      if (!document.has_set_proof()) {
        out.push_back({.set = document, .items = {&item}});
        continue;
      }
      Batch& batch = sets[document.set_proof().set_payload()];
      if (batch.items.empty()) batch.set = sign::SetOf(document);
      batch.is_set = true;
      batch.items.push_back(&item);
    }
    for (auto& [payload, batch] : sets) out.push_back(std::move(batch));
    return out;
  }

  // One signature of each signer, whatever the number of files.
  absl::Status Sign(Batch& batch) {
    const int before = batch.set.signatures_size();
    if (batch.is_set) {
      session_.io().err << "signing set " << sign::DocumentDigest(batch.set).ToString() << " of "
                        << Count(static_cast<size_t>(SizeOf(batch))) << "\n";
    }
    const bool signs = options_.attach.empty() || !options_.signing.keys.empty() ||
                       !options_.signing.sign_command.empty();
    if (batch.is_set) {
      if (absl::Status s = CheckWhole(batch, signs); !s.ok()) return s;
    }
    if (absl::Status s = AttachSignatures(options_.attach, batch.set); !s.ok()) return s;
    if (signs) {
      if (absl::Status s = AddSignatures(session_, options_.signing, batch.set); !s.ok()) return s;
    }
    absl::StatusOr<const sign::VerifiedChain*> trust = session_.trust();
    if (!trust.ok()) return trust.status();
    absl::Status missing;
    for (SetItem* item : batch.items) {
      // Of a set signed by several people in turn, files may have been left out on the way.
      for (int i = before; i < batch.set.signatures_size(); ++i) {
        *item->made.document.add_signatures() = batch.set.signatures(i);
      }
      absl::Status good = VerifyLocally(**trust, item->made.document, item->made.config);
      if (good.ok()) continue;
      if (!AwaitsSigners(good)) {
        return AtNode(good, item->made.config.metadata().name());
      }
      missing = good;
    }
    // One of several signers signs first: the files are made, and it is said what is missing.
    if (!missing.ok()) WarnOfMissing(session_, missing);
    return absl::OkStatus();
  }

  static int64_t SizeOf(const Batch& batch) {
    absl::StatusOr<v1::ConfigSet> set = validate::LoadConfigSet(batch.set.payload(), "");
    return set.ok() ? set->size() : 0;
  }

  // A signature on a set is one on each of its files, whoever puts it there: nobody signs for files
  // that were not shown. What was signed elsewhere is only put into those that are here.
  absl::Status CheckWhole(const Batch& batch, bool signs) {
    const int64_t here = static_cast<int64_t>(batch.items.size()), all = SizeOf(batch);
    if (here == all) return absl::OkStatus();
    if (signs) {
      return api::Coded(absl::StatusCode::kFailedPrecondition, "incomplete-set",
                        absl::StrCat("a signature on a set counts for all of its files, and ", here,
                                     " of ", all, " are here to be seen"),
                        "name the directory that has all of them: nodectl sign -f DIRECTORY/");
    }
    PrintWarning(session_.io(), absl::StrCat("the signature goes into ", here, " of the ", all,
                                             " files: name their directory to reach all"));
    return absl::OkStatus();
  }

  // NAME.json for what was a source; a signed file keeps its name.
  std::string Target(const SetItem& item) const {
    if (!NamesDirectory(options_.output_file)) return options_.output_file;
    const std::string name = item.made.config.metadata().name();
    return JoinPath(options_.output_file, item.signed_before && item.file.find('(') != 0
                                              ? BaseName(item.file)
                                              : absl::StrCat(name, ".json"));
  }

  absl::Status Write(const Batch& batch) {
    Io& io = session_.io();
    absl::StatusOr<const Context*> context = session_.context();
    if (!context.ok()) return context.status();
    const bool to_stdout = options_.output_file.empty() || options_.output_file == "-";
    if (!to_stdout && NamesDirectory(options_.output_file)) {
      if (absl::Status s = MakeDirectory(options_.output_file, 0700); !s.ok()) return s;
    }
    std::vector<CopyToKeep> copies;
    std::vector<FileToWrite> files;
    for (const SetItem* item : batch.items) {
      copies.push_back({&item->made.config, &item->made.document});
      files.push_back({Target(*item), sign::ToDsseJson(item->made.document)});
    }
    if (absl::Status s = KeepCopies(**context, copies); !s.ok()) return s;
    if (to_stdout) {
      for (const FileToWrite& file : files) io.out << file.data;
      return absl::OkStatus();
    }
    if (absl::Status s = WriteFilesAtomically(files, 0600); !s.ok()) return s;
    if (batch.items.size() > 1) {
      io.err << "signed " << Count(batch.items.size())
             << " with one signature of each signer: " << options_.output_file << "\n";
      return absl::OkStatus();
    }
    const SignedConfig& made = batch.items[0]->made;
    io.err << "signed " << made.digest << " for " << made.config.metadata().name()
           << ", generation " << made.config.metadata().generation() << ": "
           << Target(*batch.items[0]) << "\n";
    return absl::OkStatus();
  }

  // The completed files, and beside them the one that is to be signed.
  absl::Status WritePayload(const Batch& batch) {
    Io& io = session_.io();
    const std::string& directory = options_.output_file;
    if (!NamesDirectory(directory) && !batch.items[0]->signed_before) {
      return Usage("output-needed", "--payload-only writes the completed files of a set",
                   "-o DIRECTORY/");
    }
    std::string to_sign = directory;
    if (NamesDirectory(directory)) {
      if (absl::Status s = MakeDirectory(directory, 0700); !s.ok()) return s;
      to_sign = JoinPath(directory, batch.is_set
                                        ? std::string(kSetFile)
                                        : batch.items[0]->made.config.metadata().name() + ".yaml");
    }
    std::vector<FileToWrite> files;
    if (!batch.items[0]->signed_before) {
      for (const SetItem* item : batch.items) {
        files.push_back({JoinPath(directory, item->made.config.metadata().name() + ".yaml"),
                         item->made.document.payload()});
      }
    }
    if (to_sign.empty() || to_sign == "-") {
      io.out << batch.set.payload();
      to_sign = "FILE";
    } else if (batch.is_set || files.empty()) {
      files.push_back({to_sign, batch.set.payload()});
    }
    if (absl::Status s = WriteFilesAtomically(files, 0600); !s.ok()) return s;
    io.err << "to sign for " << Count(batch.items.size()) << ": ssh-keygen -Y sign -n "
           << sign::SshNamespace(batch.set.type()) << " -f KEY " << to_sign
           << ", or minisign -S -t " << sign::MinisignComment(batch.set.type()) << " -m " << to_sign
           << "; then nodectl sign -f "
           << (batch.items[0]->signed_before ? "THE SAME FILES" : directory)
           << " --attach SIGNATURE -o SIGNED/\n";
    return absl::OkStatus();
  }

  Session& session_;
  const SignOptions& options_;
};

}  // namespace

bool IsForSet(const std::vector<Input>& inputs, const SignOptions& options) {
  return inputs.size() > 1 || NamesDirectory(options.output_file) ||
         std::any_of(inputs.begin(), inputs.end(),
                     [](const Input& input) { return IsConfigSet(input) || IsPartOfSet(input); });
}

absl::Status PrepareSet(const SignOptions& options, std::vector<Input>& inputs,
                        std::optional<Input>& set_file) {
  for (size_t i = 0; i < inputs.size();) {
    if (!IsConfigSet(inputs[i])) {
      ++i;
      continue;
    }
    if (set_file) {
      return Usage("which-set",
                   absl::StrCat(set_file->file, " and ", inputs[i].file, " are both sets"),
                   "name the files of one set");
    }
    set_file = std::move(inputs[i]);
    inputs.erase(inputs.begin() + static_cast<ptrdiff_t>(i));
  }
  if (inputs.empty()) {
    return Usage("set-without-files", absl::StrCat(set_file->file, " is a set without its files"),
                 "-f takes the directory that --payload-only wrote: the set and the files");
  }
  const Input& first = inputs[0];
  for (const Input& input : inputs) {
    if (input.is_envelope == first.is_envelope) continue;
    return Usage("mixed-input",
                 absl::StrCat(first.file, " is ", first.is_envelope ? "signed" : "a source", ", ",
                              input.file, " is ", input.is_envelope ? "signed" : "a source"),
                 "sign the sources with one command, and add a signature to signed files with "
                 "another");
  }
  const std::string& output = options.output_file;
  if (inputs.size() > 1 && !NamesDirectory(output) &&
      !(options.payload_only && first.is_envelope)) {
    return Usage(
        "output-needed",
        output.empty() || output == "-"
            ? absl::StrCat(inputs.size(), " files are signed into a directory")
            : absl::StrCat("-o ", output, " is one file, and there are ", inputs.size()),
        "-o DIRECTORY/ gets a file for each node; with the slash it is made when it is missing");
  }
  if (first.is_envelope || !NamesDirectory(output)) return absl::OkStatus();
  const std::string target = AbsolutePath(absl::StrCat(absl::StripSuffix(output, "/"), "/x"));
  for (const Input& input : inputs) {
    if (DirectoryOf(AbsolutePath(input.file)) != DirectoryOf(target)) continue;
    return Usage("same-directory",
                 absl::StrCat("-o ", output, " is where the source ", input.file, " is"),
                 "keep what is signed apart from the sources: -o signed/");
  }
  return absl::OkStatus();
}

absl::Status SignSet(Session& session, const SignOptions& options, std::vector<SetItem> items,
                     const std::optional<Input>& set_file) {
  return SetSigner(session, options).Run(std::move(items), set_file);
}

}  // namespace basalt::client
